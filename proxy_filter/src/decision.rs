//! What a check response says about the headers of a request: applied once when it arrives, and
//! again for each use of the cached decision.

use crate::check_response::Response;

type Pairs = Box<[(Box<[u8]>, Box<[u8]>)]>;

/// Header changes of an allowed request, in the order in which they are made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names, as the client spelt them, that do not go on.
    pub remove: Box<[Box<[u8]>]>,
    /// Names and values that take the place of all of that name.
    pub set: Pairs,
}

impl Changes {
    /// Those of a response.
    pub fn of(response: &Response<'_>) -> Changes {
        Changes {
            remove: response
                .remove
                .iter()
                .map(|name| Box::from(*name))
                .collect(),
            set: response
                .set
                .iter()
                .map(|(name, value)| (Box::from(*name), Box::from(*value)))
                .collect(),
        }
    }

    /// Whether they change this header.
    pub fn touch(&self, name: &[u8]) -> bool {
        self.remove.iter().any(|each| &**each == name)
            || self.set.iter().any(|each| &*each.0 == name)
    }

    /// Bytes of all their texts.
    pub fn bytes(&self) -> usize {
        let removed: usize = self.remove.iter().map(|name| name.len()).sum();
        let set: usize = self
            .set
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        removed + set
    }
}
