//! Reading a request's JSON strictly: one object, no member twice, not deep, no number that programs read
//! differently.

use core::fmt;

use keyward_shared::problem::Code;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::call::Refused;

/// How deep objects and arrays may nest.
const MAX_DEPTH: usize = 16;
/// The largest whole number that every JSON reader reads alike (RFC 8259 §6).
pub const MAX_WHOLE: u64 = (1 << 53) - 1;

/// Reads `body` as one JSON object; an empty body is an empty object.
pub(crate) fn object(body: &str) -> Result<Map<String, Value>, Refused> {
    if body.trim().is_empty() {
        return Ok(Map::new());
    }
    let refuse = |e: serde_json::Error| Refused::new(Code::InvalidRequest, format!("the body is not acceptable JSON: {e}"));
    let mut reader = serde_json::Deserializer::from_str(body);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(refuse)?;
    reader.end().map_err(refuse)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Refused::new(Code::InvalidRequest, "the body must be a JSON object")),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH { Ok(Self { depth: self.depth + 1 }) } else { Err(E::custom("it nests too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        if number <= MAX_WHOLE { Ok(number.into()) } else { Err(E::custom("a number is too large")) }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        if number.unsigned_abs() <= MAX_WHOLE { Ok(number.into()) } else { Err(E::custom("a number is too large")) }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // 2^53 - 1 is exact
        if number.fract() == 0.0 {
            // 1.0 is 1: JSON has no other whole numbers.
            return if number.abs() <= MAX_WHOLE as f64 { self.visit_i64(number as i64) } else { Err(E::custom("a number is too large")) };
        }
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number is too large"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("a member stands twice: {name:?}")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_object_is_read_whole() {
        let members = object(r#" {"a":[1,-2,0.5,null,true,"x"],"b":{"__proto__":{}}} "#).unwrap();
        assert_eq!(Value::Object(members).to_string(), r#"{"a":[1,-2,0.5,null,true,"x"],"b":{"__proto__":{}}}"#);
        assert!(object("").unwrap().is_empty());
        let whole = object(r#"{"a":[1.0,-0.0,2e3,-7.0,1e15]}"#).unwrap();
        assert_eq!(Value::Object(whole).to_string(), r#"{"a":[1,0,2000,-7,1000000000000000]}"#);
    }

    #[test]
    fn what_readers_read_differently_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in [
            "[]",
            "1",
            "null",
            "{",
            "{} {}",
            "{\"a\":1,\"a\":2}",
            "{\"m\":{\"a\":1,\"\\u0061\":2}}",
            "{\"a\":NaN}",
            "{\"a\":9007199254740993}",
            "{\"a\":-9007199254740993}",
            "{\"a\":1e300}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "{'a':1}",
            "{\"a\":1,}",
            deep.as_str(),
        ] {
            assert_eq!(object(bad).unwrap_err().0.code, Code::InvalidRequest, "{}", &bad[..bad.len().min(60)]);
        }
    }
}
