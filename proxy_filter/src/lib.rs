//! Scopegate's filter in Envoy: guards paths and hosts, asks the policy service whether a request
//! may pass, gives cached decisions again, and applies what was decided.
//!
//! `filter` is where a request is followed from start to end. Only `abi` touches Envoy.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
// Clippy 1.63 says so of `thread_local!` with `const`.
#![allow(clippy::declare_interior_mutable_const)]
#![warn(missing_docs)]

#[cfg(not(test))]
#[allow(unsafe_code)]
mod abi;
pub mod addresses;
pub mod apply;
pub mod arrival;
pub mod arriving;
pub mod asking;
pub mod background;
pub mod cache;
pub mod check_request;
pub mod check_response;
pub mod cookies;
pub mod decision;
pub mod filter;
pub mod filter_config;
pub mod flow;
pub mod forwarded;
pub mod guard;
pub mod hits;
pub mod host;
pub mod names;
pub mod own_changes;
pub mod path_tokens;
pub mod profile;
pub mod reasons;
pub mod revocations;
pub mod route_name;
pub mod stream;
pub mod table_config;
pub mod told;
pub mod tries;
pub mod upstream_faults;
pub mod worker;
