//! The description of the API for machines: `OpenAPI` 3.1. It is written in parts, one per kind of call
//! (`control/openapi/*.json`), which tests hold against the table of routes; `control/openapi.json` is what they make
//! together, checked in so that a change of the contract shows.

use super::Answer;

const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /v1/openapi.json`: the same for everybody, so it may be kept for a while.
pub(super) fn answer() -> Answer {
    Answer::json(200, DOCUMENT.into()).with("Cache-Control", "public, max-age=300")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs, path::PathBuf};

    use serde_json::{Map, Value};

    use super::*;
    use crate::route;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// Puts what `part` has beside what `whole` has; nothing may stand in both.
    fn add(whole: &mut Map<String, Value>, part: Map<String, Value>, place: &str) {
        for (name, value) in part {
            match (whole.get_mut(&name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => add(known, more, &format!("{place}/{name}")),
                (Some(_), _) => panic!("{place}/{name} stands in two parts"),
                (None, value) => drop(whole.insert(name, value)),
            }
        }
    }

    #[test]
    fn the_document_is_what_its_parts_make_together() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(folder.join("openapi")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut whole = Map::new();
        for file in files {
            let Value::Object(part) =
                serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
            else {
                panic!("{} is no object", file.display())
            };
            add(&mut whole, part, "");
        }
        let whole = serde_json::to_string_pretty(&whole).unwrap() + "\n";
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(folder.join("openapi.json"), &whole).unwrap();
        } else {
            assert!(whole == DOCUMENT, "openapi.json is not what its parts make: see what UPDATE_GOLDEN=1 changes in it");
        }
    }

    #[test]
    fn it_describes_every_route_with_its_methods_and_no_other() {
        let of_routes: BTreeSet<(String, String)> = route::all().map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
        let mut described = BTreeSet::new();
        for (path, methods) in document()["paths"].as_object().unwrap() {
            let pattern = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/");
            for method in methods.as_object().unwrap().keys().filter(|name| *name != "parameters") {
                described.insert((method.to_uppercase(), pattern.clone()));
            }
        }
        assert_eq!(described, of_routes);
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
