//! Whether a test that a case names is there.

use std::{fs, path::Path};

/// The error says what is missing.
pub fn find(file: &str, name: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    if names(file, &text).any(|known| known == name) { Ok(()) } else { Err(format!("{file} has no test {name}")) }
}

/// The names of the tests in a file, Rust or JavaScript.
fn names<'t>(file: &str, text: &'t str) -> Box<dyn Iterator<Item = &'t str> + 't> {
    if Path::new(file).extension().is_some_and(|extension| extension == "mjs") {
        return Box::new(text.lines().filter_map(|line| line.trim_start().strip_prefix("test(\"")?.split('"').next()));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            let function = lines[at + 1..].iter().find_map(|line| line.split_once("fn "));
            found.extend(function.and_then(|(_, rest)| rest.split('(').next()));
        }
    }
    Box::new(found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_its_name_and_a_function_is_no_test() {
        assert!(find("tests/bad-inputs/no-such-file.rs", "x").is_err());
        let file = "tests/bad-inputs/src/tests_named.rs";
        assert_eq!(find(file, "a_test_is_found_by_its_name_and_a_function_is_no_test"), Ok(()));
        assert!(find(file, "find").unwrap_err().contains("has no test find"));
        let script = "test(\"one title\", async () => {\n  test(\"another\", () => {});\n";
        assert_eq!(names("a.mjs", script).collect::<Vec<_>>(), ["one title", "another"]);
    }
}
