//! The name of a route table's entry, which says what decides about its requests.
//!
//! `<route id>[/<name>] <service id>[/<name>]|- <policy id>|open [slashes][,parameters]`; written by
//! `ir/route_label.py` and `envoy/route_entries.py`.

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody has to.
    Open,
    /// The policy with this id.
    Id([u8; 32]),
}

/// A name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteName<'a> {
    /// `<route id>[/<name>]`
    pub route: &'a [u8],
    /// `<service id>[/<name>]`, or `-`
    pub service: &'a [u8],
    /// Who decides.
    pub policy: Policy,
    /// The route's own path names an encoded slash or backslash.
    pub names_slashes: bool,
    /// The route's own path names a `;`.
    pub names_parameters: bool,
}

impl RouteName<'_> {
    /// None for anything that is no such name: what decides is not known.
    pub fn parse(name: &[u8]) -> Option<RouteName<'_>> {
        let mut words = name.split(|byte| *byte == b' ');
        let (route, service, policy) = (words.next()?, words.next()?, words.next()?);
        let (names_slashes, names_parameters) = match words.next() {
            None => (false, false),
            Some(b"slashes") => (true, false),
            Some(b"parameters") => (false, true),
            Some(b"slashes,parameters") => (true, true),
            Some(_) => return None,
        };
        if words.next().is_some() || route.is_empty() || service.is_empty() {
            return None;
        }
        Some(RouteName {
            route,
            service,
            policy: policy_of(policy)?,
            names_slashes,
            names_parameters,
        })
    }
}

fn policy_of(word: &[u8]) -> Option<Policy> {
    if word == b"open" {
        return Some(Policy::Open);
    }
    let id: [u8; 32] = word.try_into().ok()?;
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    id.iter().all(is_hex).then_some(Policy::Id(id))
}
