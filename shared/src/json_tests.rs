use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
enum Kind {
    Plain,
    With(String),
}

impl FromJson for Kind {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek() == Some(b'"') {
            return reader.text(|text| (text == "Plain").then_some(Self::Plain));
        }
        let mut with = None;
        reader.object(&mut |reader, name| if name == "With" { reader.member(&mut with) } else { Err(Fault::Value) })?;
        with.map(Self::With).ok_or(Fault::Value)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pair(String, u16);

impl FromJson for Pair {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        FromJson::from_json(reader).map(|(text, number)| Self(text, number))
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    text: String,
    number: u64,
    #[serde(default)]
    flag: bool,
    maybe: Option<u32>,
    #[serde(default)]
    kinds: Vec<Kind>,
    #[serde(default)]
    pairs: Vec<Pair>,
}

crate::json_object!(Whole { text, number; or default flag, maybe, kinds, pairs } strict);

#[derive(Debug, Deserialize)]
struct One {
    v: u32,
}

crate::json_object!(One { v } passing over others);

#[test]
fn it_reads_what_serde_json_reads() {
    for text in [
        r#"{"text":"a","number":0}"#,
        r#" { "text" : "" , "number" : 18446744073709551615 , "flag" : true , "maybe" : null } "#,
        r#"{"text":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é","number":1,"maybe":7,"kinds":["Plain",{"With":"x"}],"pairs":[["a",1],["b",65535]]}"#,
        r#"{"text":"é\u0041z","number":1,"kinds":[],"pairs":[]}"#,
    ] {
        assert_eq!(from_str::<Whole>(text).unwrap(), serde_json::from_str(text).unwrap(), "{text}");
    }
}

#[test]
fn it_refuses_what_serde_json_refuses() {
    for text in [
        "",
        "{",
        r#"{"text":"a","number":0"#,
        r#"{"text":"a","number":0,}"#,
        r#"{"text":"a","number":0} x"#,
        r#"{"text":"a""number":0}"#,
        r#"{"text":"a","number":01}"#,
        r#"{"text":"a","number":-1}"#,
        r#"{"text":"a","number":1.0}"#,
        r#"{"text":"a","number":1e3}"#,
        r#"{"text":"a","number":18446744073709551616}"#,
        r#"{"text":"a","number":"1"}"#,
        r#"{"text":1,"number":1}"#,
        r#"{"text":"a","text":"b","number":1}"#,
        r#"{"text":"\ud83d","number":1}"#,
        r#"{"text":"\ude00","number":1}"#,
        r#"{"text":"\ud83d\u0041","number":1}"#,
        r#"{"text":"\u+041","number":1}"#,
        r#"{"text":"\x","number":1}"#,
        "{\"text\":\"\n\",\"number\":1}",
        r#"{"text":"a","number":1,"maybe":4294967296}"#,
        r#"{"text":"a","number":1,"flag":tru}"#,
        r#"{"text":"a","number":1,"kinds":["Other"]}"#,
        r#"{"text":"a","number":1,"kinds":[{"With":"x","Plain":1}]}"#,
        r#"{"text":"a","number":1,"kinds":[{"Plain":"x"}]}"#,
        r#"{"text":"a","number":1,"kinds":[{"Plain":}]}"#,
        r#"{"text":"a","number":1,"pairs":[["a"]]}"#,
        r#"{"text":"a","number":1,"pairs":[["a",1,2]]}"#,
        r#"{"text":"a","number":1,"pairs":["a",1}"#,
        "null",
    ] {
        assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        assert!(from_str::<Whole>(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_passed_over_must_be_json_too() {
    for value in [
        "-0.5e+10",
        "0",
        "[]",
        "{}",
        r#"{"a":[1,{"b":null}],"c":"\"]"}"#,
        "true",
        " [ 1 , 2 ] ",
        "-",
        "01",
        "1.",
        "1e",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "nul",
        "[1 2]",
        "\"\\q\"",
    ] {
        let text = format!("{{\"x\":{value},\"v\":1}}");
        assert_eq!(from_str::<One>(&text).is_ok_and(|one| one.v == 1), serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
    let deep = |depth: usize| format!("{{\"x\":{}{},\"v\":1}}", "[".repeat(depth), "]".repeat(depth));
    assert!(from_str::<One>(&deep(60)).is_ok() && from_str::<One>(&deep(100_000)).is_err());
    assert!(from_str::<One>(&deep(63)).is_ok() && from_str::<One>(&deep(64)).is_err(), "64 deep, the object counted");
    let wide = format!("{{\"x\":[{}],\"v\":1}}", vec!["[{}]"; 1_000].join(","));
    assert!(from_str::<One>(&wide).is_ok(), "what is closed no longer counts");
}

#[test]
fn an_error_names_the_field_and_never_a_value() {
    assert_eq!(from_str::<Whole>("{}").unwrap_err().problem, Problem::MissingField("text"));
    assert_eq!(from_str::<Whole>(r#"{"y":"s3cret"}"#).unwrap_err().problem, Problem::UnknownField("y".into()));
    let error = from_str::<Whole>(r#"{"text":"a","number":"s3cret"}"#).unwrap_err();
    assert_eq!(error.to_string(), "an unexpected value, at byte 21");
}

#[test]
fn a_number_that_fits_no_field_is_told_from_what_is_no_number() {
    for (number, problem) in
        [("1.5", Problem::Value), ("1e3", Problem::Value), ("1E3", Problem::Value), ("-1", Problem::Value), ("01", Problem::Syntax)]
    {
        assert_eq!(from_str::<u64>(number).unwrap_err().problem, problem, "{number}");
    }
}

#[test]
fn an_object_is_written_as_serde_json_writes_it() {
    let controls: String = (0..0x21_u8).map(char::from).chain(['"', '\\', '/', '\u{7f}', 'é']).collect();
    assert_eq!(string(&controls), serde_json::to_string(&controls).unwrap());
    let object = Object::default().text("a", &controls).number("b", u64::MAX).raw("c", &list([string("x"), list([])])).end();
    assert_eq!(object, serde_json::to_string(&serde_json::json!({ "a": controls, "b": u64::MAX, "c": ["x", []] })).unwrap());
    assert_eq!(Object::default().end(), "{}");
}

#[cfg(not(target_arch = "wasm32"))] // the harness of browser tests knows no properties
proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_string_that_serde_json_writes_is_read_back(text in ".*") {
        let written = serde_json::to_string(&text).unwrap();
        proptest::prop_assert_eq!(&string(&text), &written);
        proptest::prop_assert_eq!(from_str::<String>(&written), Ok(text));
    }

    #[test]
    fn any_text_is_taken_or_refused_as_serde_json_does(text in "[\\[\\]{}\",:0-9a\\\\ .e-]{0,24}") {
        let ours = from_str::<()>(&text).is_ok();
        proptest::prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
    }
}
