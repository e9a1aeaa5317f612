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
        let (rest, last) = last_word(name)?;
        let (rest, policy, names_slashes, names_parameters) = match last {
            b"slashes" => with_policy(rest, true, false)?,
            b"parameters" => with_policy(rest, false, true)?,
            b"slashes,parameters" => with_policy(rest, true, true)?,
            word => (rest, policy_of(word)?, false, false),
        };
        let (route, service) = last_word(rest)?;
        if route.is_empty() || service.is_empty() || route.contains(&b' ') {
            return None;
        }
        Some(RouteName {
            route,
            service,
            policy,
            names_slashes,
            names_parameters,
        })
    }
}

type Ending<'a> = (&'a [u8], Policy, bool, bool);

fn with_policy(rest: &[u8], names_slashes: bool, names_parameters: bool) -> Option<Ending<'_>> {
    let (rest, word) = last_word(rest)?;
    Some((rest, policy_of(word)?, names_slashes, names_parameters))
}

/// What stands before and after the last space.
fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().rposition(|byte| *byte == b' ')?;
    Some((text.get(..space)?, text.get(space.checked_add(1)?..)?))
}

fn policy_of(word: &[u8]) -> Option<Policy> {
    if word == b"open" {
        return Some(Policy::Open);
    }
    let id: [u8; 32] = word.try_into().ok()?;
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    id.iter().all(is_hex).then_some(Policy::Id(id))
}
