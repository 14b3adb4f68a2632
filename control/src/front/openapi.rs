//! The description of the API for machines: `OpenAPI` 3.1, written by hand next to the table of routes that it is tested
//! against.

use super::Answer;

const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /v1/openapi.json`: the same for everybody, so it may be kept for a while.
pub(super) fn answer() -> Answer {
    Answer::json(200, DOCUMENT.into()).with("Cache-Control", "public, max-age=300")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::route::{self, Missed};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn it_describes_the_methods_that_each_of_its_paths_has_and_no_others() {
        for (path, methods) in document()["paths"].as_object().unwrap() {
            let sample = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
            let described: BTreeSet<String> =
                methods.as_object().unwrap().keys().filter(|name| *name != "parameters").map(|name| name.to_uppercase()).collect();
            let Err(Missed::Method { allow }) = route::find("TRACE", &sample) else { panic!("{path} is no route") };
            let routed: BTreeSet<String> = allow.split(", ").filter(|name| *name != "HEAD").map(Into::into).collect();
            assert_eq!(described, routed, "{path}");
        }
    }

    #[test]
    fn what_it_refers_to_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                    Value::String(target) if name == "$ref" => found.push(target.clone()),
                    _ => references(value, found),
                }),
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for target in found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    }
}
