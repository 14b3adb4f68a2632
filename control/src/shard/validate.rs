//! Reading a request's fields: every wrong one is collected, so that the answer names them all at once.

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    network::Network,
    permission::{MAX_COUNT, Permission, PermissionSet},
    problem::{Code, FieldError},
    time::Millis,
};
use serde_json::{Map, Value};

pub use super::json::MAX_WHOLE;
use super::{json, sha256};
use crate::{
    call::Refused,
    time::{self, END},
};

/// The most networks of a key.
const MAX_NETWORKS: usize = 50;
/// The most bytes of metadata.
const MAX_METADATA: usize = 1024;

/// The members of a request's body, and what is wrong with those that were read.
#[derive(Debug)]
pub struct Fields {
    /// What stands before the name of a field where an error names it: `owners[3].`.
    place: String,
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads `body`; a member that is not one of `known` is refused by its name.
    pub fn read(body: &str, known: &[&str]) -> Result<Self, Refused> {
        Self::of(json::object(body)?, known)
    }

    /// The members of an object that was read already.
    pub fn of(members: Map<String, Value>, known: &[&str]) -> Result<Self, Refused> {
        Self::at(String::new(), members, known)
    }

    fn at(place: String, members: Map<String, Value>, known: &[&str]) -> Result<Self, Refused> {
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Refused::new(Code::InvalidRequest, format!("unknown field: {place}{unknown}"))),
            None => Ok(Self { place, members, errors: Vec::new() }),
        }
    }

    /// The objects in the list `field`, which must be 1 to `most`, each with members of `known`. What is found wrong in one of them is
    /// to be given back with [`Fields::add_errors`].
    pub fn objects(&mut self, field: &str, most: usize, known: &[&str]) -> Result<Vec<Self>, Refused> {
        let given = match self.value(field) {
            None => {
                self.wrong(field, "is required");
                return Ok(Vec::new());
            }
            Some(Value::Array(given)) if (1..=most).contains(&given.len()) => given,
            Some(_) => {
                self.wrong(field, format!("must be a list of 1 to {most}"));
                return Ok(Vec::new());
            }
        };
        let mut objects = Vec::new();
        for (index, value) in given.into_iter().enumerate() {
            match value {
                Value::Object(members) => objects.push(Self::at(format!("{}{field}[{index}].", self.place), members, known)?),
                _ => self.wrong(format!("{field}[{index}]"), "must be an object"),
            }
        }
        Ok(objects)
    }

    /// Takes over what was found wrong in an object of a list.
    pub fn add_errors(&mut self, object: Self) {
        self.errors.extend(object.errors);
    }

    /// Whether the request names `field` at all, be it with null.
    pub fn has(&self, field: &str) -> bool {
        self.members.contains_key(field)
    }

    /// Whether the request names `field` with something else than null.
    pub fn given(&self, field: &str) -> bool {
        self.value(field).is_some()
    }

    /// Text as it is, which must be there.
    pub fn required_text(&mut self, field: &str) -> Option<String> {
        if !self.given(field) {
            self.wrong(field, "is required");
            return None;
        }
        self.text(field)
    }

    /// [`Fields::truth`], which must be there.
    pub fn required_truth(&mut self, field: &str) -> Option<bool> {
        if !self.given(field) {
            self.wrong(field, "is required");
            return None;
        }
        self.truth(field)
    }

    /// Remembers that `field` is wrong.
    pub fn wrong(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError { field: format!("{}{}", self.place, field.into()), detail: detail.into() });
    }

    /// Whether nothing was wrong so far.
    pub fn is_right(&self) -> bool {
        self.errors.is_empty()
    }

    /// Notes that `field` is missing, where it is.
    pub fn require(&mut self, field: &str) {
        if !self.given(field) {
            self.wrong(field, "is required");
        }
    }

    /// 422 with everything that was wrong.
    pub fn check(&mut self) -> Result<(), Refused> {
        if self.errors.is_empty() { Ok(()) } else { Err(Refused::fields(core::mem::take(&mut self.errors))) }
    }

    /// The member, where it is there and not null.
    fn value(&self, field: &str) -> Option<Value> {
        self.members.get(field).filter(|value| !value.is_null()).cloned()
    }

    /// Text as it was sent.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        if let Value::String(text) = self.value(field)? {
            return Some(text);
        }
        self.wrong(field, "must be text");
        None
    }

    /// A list of at most `most` texts.
    pub(super) fn texts(&mut self, field: &str, most: usize) -> Option<Vec<String>> {
        let Some(Value::Array(values)) = self.value(field) else {
            if self.given(field) {
                self.wrong(field, "must be a list of texts");
            }
            return None;
        };
        if values.len() > most {
            self.wrong(field, format!("must be at most {most}"));
            return None;
        }
        let mut texts = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text),
                _ => self.wrong(format!("{field}[{index}]"), "must be text"),
            }
        }
        Some(texts)
    }

    /// A list of 1 to `most` texts, which must be there.
    pub fn required_texts(&mut self, field: &str, most: usize) -> Option<Vec<String>> {
        if !self.given(field) {
            self.wrong(field, "is required");
            return None;
        }
        let texts = self.texts(field, most)?;
        if texts.is_empty() {
            self.wrong(field, "must not be empty");
        }
        Some(texts)
    }

    /// Text of 1 to `most` characters after trimming, without control characters and without those that turn the
    /// direction of writing.
    pub fn label(&mut self, field: &str, most: usize) -> Option<String> {
        let text = self.text(field)?;
        label(&text, most).map(ToOwned::to_owned).map_err(|detail| self.wrong(field, detail)).ok()
    }

    /// Text of 1 to `most` characters, exactly as it stands.
    pub fn exact(&mut self, field: &str, most: usize) -> Option<String> {
        let text = self.text(field)?;
        if !text.is_empty() && text.chars().count() <= most {
            return Some(text);
        }
        self.wrong(field, format!("must be 1 to {most} characters long"));
        None
    }

    /// [`Fields::label`], which must be there.
    pub fn required_label(&mut self, field: &str, most: usize) -> Option<String> {
        if !self.given(field) {
            self.wrong(field, "is required");
            return None;
        }
        self.label(field, most)
    }

    /// `true` or `false`.
    pub fn truth(&mut self, field: &str) -> Option<bool> {
        if let Value::Bool(truth) = self.value(field)? {
            return Some(truth);
        }
        self.wrong(field, "must be true or false");
        None
    }

    /// A whole number from `least` to `most`.
    pub fn number(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(field)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(field, format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    /// [`Fields::number`], which must be there.
    pub fn required_number(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        if !self.given(field) {
            self.wrong(field, "is required");
            return None;
        }
        self.number(field, least, most)
    }

    /// A time after `now`, not beyond the year 9999.
    pub fn future(&mut self, field: &str, now: Millis) -> Option<Millis> {
        let text = self.text(field)?;
        match time::parse(&text) {
            Ok(at) if at > now && at <= END => Some(at),
            Ok(_) => {
                self.wrong(field, "must be in the future");
                None
            }
            Err(error) => {
                self.wrong(field, error.to_string());
                None
            }
        }
    }

    /// A time that is not after `now`.
    pub fn past(&mut self, field: &str, now: Millis) -> Option<Millis> {
        let text = self.text(field)?;
        match time::parse(&text) {
            Ok(at) if at <= now => return Some(at),
            Ok(_) => self.wrong(field, "must not be in the future"),
            Err(error) => self.wrong(field, error.to_string()),
        }
        None
    }

    /// A list of permissions.
    pub fn permissions(&mut self, field: &str) -> Option<PermissionSet> {
        let texts = self.texts(field, MAX_COUNT)?;
        let mut permissions = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match Permission::new(text) {
                Ok(permission) => permissions.push(permission),
                Err(error) => self.wrong(format!("{field}[{index}]"), error.to_string()),
            }
        }
        PermissionSet::new(permissions).ok()
    }

    /// A list of networks, sorted, each once.
    pub fn networks(&mut self, field: &str) -> Option<Vec<Network>> {
        let texts = self.texts(field, MAX_NETWORKS)?;
        let mut networks: Vec<Network> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => self.wrong(format!("{field}[{index}]"), error.to_string()),
            }
        }
        networks.sort();
        networks.dedup();
        Some(networks)
    }

    /// A JSON object of at most 1 KB.
    pub fn metadata(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.value(field)? {
            Value::Object(members) if Value::Object(members.clone()).to_string().len() <= MAX_METADATA => Some(members),
            Value::Object(_) => {
                self.wrong(field, format!("must be at most {MAX_METADATA} bytes of JSON"));
                None
            }
            _ => {
                self.wrong(field, "must be an object");
                None
            }
        }
    }

    /// 64 lower-case hexadecimal characters.
    pub fn digest(&mut self, field: &str) -> Option<Digest> {
        let text = self.text(field)?;
        text.parse::<Digest>().map_err(|error| self.wrong(field, error.to_string())).ok()
    }

    /// A SHA-256 as other systems write it: hex, base64 or base64url.
    pub fn sha256(&mut self, field: &str) -> Option<Digest> {
        let text = self.text(field)?;
        let digest = sha256::read(&text);
        if digest.is_none() {
            self.wrong(field, "must be a SHA-256 in hex, base64 or base64url");
        }
        digest
    }

    /// The id of an owner.
    pub fn owner(&mut self, field: &str) -> Option<OwnerId> {
        let text = self.text(field)?;
        OwnerId::new(&text).map_err(|error| self.wrong(field, error.to_string())).ok()
    }

    /// The id of a company.
    pub fn company(&mut self, field: &str) -> Option<CompanyId> {
        let text = self.text(field)?;
        CompanyId::new(&text).map_err(|error| self.wrong(field, error.to_string())).ok()
    }

    /// Something with an `@` between other visible characters.
    pub fn email(&mut self, field: &str) -> Option<String> {
        let text = self.label(field, 254)?;
        if is_email(&text) {
            return Some(text);
        }
        self.wrong(field, "must be an e-mail address");
        None
    }
}

/// `text` trimmed, where it then is 1 to `most` characters long and misleads nobody; else what is wrong with it.
pub(super) fn label(text: &str, most: usize) -> Result<&str, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > most {
        Err(format!("must be 1 to {most} characters long"))
    } else if text.chars().any(misleading) {
        Err("must not have control characters or characters that change the direction of writing".into())
    } else {
        Ok(text)
    }
}

/// Whether there is an `@` between other visible characters.
pub(super) fn is_email(text: &str) -> bool {
    let fits = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    fits && !text.contains(char::is_whitespace)
}

/// Control characters, and the marks, embeddings, overrides and isolates of bidirectional text (Unicode UAX #9).
fn misleading(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
