//! A request's query: each parameter known, and once.

use std::collections::BTreeMap;

use keyward_shared::{problem::Code, time::Millis};

use crate::{call::Refused, time};

/// The default and the greatest number of entries on a page of a list.
const PAGE: (u64, u64) = (50, 200);

/// Parameters by name.
#[derive(Clone, Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads `query`; only `known` parameters and `company` are taken.
    pub fn read(query: &str, known: &[&str]) -> Result<Self, Refused> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name != "company" && !known.contains(&&*name) {
                return Err(bad(format!("unknown parameter: {name}")));
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(bad(format!("the parameter {name} stands twice")));
            }
        }
        parameters.remove("company"); // says where the call acts, which was decided before
        Ok(Self(parameters))
    }

    /// The parameter, where it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `true` or `false`; false where it is not there.
    pub fn truth(&self, name: &str) -> Result<bool, Refused> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(bad(format!("{name} must be true or false"))),
        }
    }

    /// A time.
    pub fn time(&self, name: &str) -> Result<Option<Millis>, Refused> {
        self.get(name).map(|text| time::parse(text).map_err(|error| bad(format!("{name} {error}")))).transpose()
    }

    /// `limit`: 1 to 200, by default 50.
    pub fn limit(&self) -> Result<u64, Refused> {
        match self.0.get("limit") {
            None => Ok(PAGE.0),
            Some(text) => match text.parse() {
                Ok(limit) if (1..=PAGE.1).contains(&limit) => Ok(limit),
                _ => Err(bad("limit must be a whole number from 1 to 200")),
            },
        }
    }

    /// Everything that decides which entries a list has, to bind its cursors to; not how many are on a page, nor what is told of them.
    pub fn filters(&self) -> String {
        let filters = self.0.iter().filter(|(name, _)| !["cursor", "limit", "usage"].contains(&name.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(filters).finish()
    }
}

/// 400 with `detail`.
pub fn bad(detail: impl Into<String>) -> Refused {
    Refused::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_and_stand_once() {
        let query = Query::read("q=a%20b&limit=7&company=x&cursor=c", &["q", "limit", "cursor"]).unwrap();
        assert_eq!((query.get("q"), query.limit().unwrap(), query.filters().as_str()), (Some("a b"), 7, "q=a+b"));
        for bad in ["p=1", "q=1&q=2", "company=a&company=b"] {
            assert_eq!(Query::read(bad, &["q"]).unwrap_err().0.code, Code::InvalidRequest, "{bad}");
        }
        for bad in ["limit=0", "limit=-1", "limit=201", "limit=1e9", "limit=", "limit=x"] {
            assert!(Query::read(bad, &["limit"]).unwrap().limit().is_err(), "{bad}");
        }
    }
}
