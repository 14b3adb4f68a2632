//! The bodies of introspection requests.

use keyward_edge::introspect::{MAX_QUESTIONS, Question, read};
use keyward_shared::permission::Permission;
use serde_json::{Map, Value};

use crate::{
    input,
    loose::{Document, Loose},
};

/// First line a content type, then a body. What is read is what another reading finds in it: the only `token` of a form, or
/// the members of one or at most a hundred JSON objects, no other member, method and path together. What is refused is
/// refused without quoting a value.
pub fn introspect(data: &[u8]) {
    let Some([content_type, body]) = input::lines(data) else { return };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let is_json = media_type.eq_ignore_ascii_case("application/json");
    if body.matches(['[', '{']).count() > 300 {
        return; // too deep for the grammar's own reader, and more questions than are taken
    }
    match read(content_type, body) {
        Ok(questions) => {
            assert!(form || is_json);
            assert!(questions.list.len() <= MAX_QUESTIONS && (questions.many || questions.list.len() == 1));
            assert!(questions.list.iter().all(|question| question.method.is_some() == question.path.is_some()));
            if form {
                assert!(!questions.many);
                assert_eq!(tokens(body), [questions.list[0].token.clone()]);
            } else {
                let value: Value = serde_json::from_str(body).expect("what is read is JSON");
                let objects = if questions.many { value.as_array().unwrap().clone() } else { vec![value] };
                assert_eq!(objects.len(), questions.list.len());
                for (question, object) in questions.list.iter().zip(&objects) {
                    same(question, object.as_object().unwrap());
                }
            }
        }
        Err((code, detail)) => {
            assert!(matches!(code.status(), 400 | 415));
            assert!((code.status() == 415) != (form || is_json));
            assert!(!form || tokens(body).len() != 1, "a form with one token is refused");
            assert!(!is_json || !plain_question(body), "a plain question is refused: {detail}");
            if let Ok(Value::Object(members)) = serde_json::from_str(body) {
                let named = |value: &str| members.keys().any(|name| name.contains(value));
                let mut values = members.values().filter_map(Value::as_str).filter(|value| value.len() > 50 && !named(value));
                assert!(values.all(|value| !detail.contains(value)), "{detail}");
            }
        }
    }
}

fn same(question: &Question, object: &Map<String, Value>) {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    assert_eq!(Some(question.token.as_str()), text("token"));
    assert_eq!(question.method.as_deref(), text("method"));
    assert_eq!(question.path.as_deref(), text("path"));
    assert_eq!(question.permission.as_ref().map(Permission::as_str), text("permission"));
    assert_eq!(question.ip, text("ip").map(|text| text.parse().unwrap()));
    assert!(object.keys().all(|name| ["token", "method", "path", "permission", "ip"].contains(&name.as_str())));
}

/// A JSON object with a token and nothing else in it.
fn plain_question(body: &str) -> bool {
    let document = Document::read(body).filter(|document| !document.half_pair);
    let Some(Loose::Object(members)) = document.map(|document| document.value) else { return false };
    matches!(members.as_slice(), [(name, Loose::Text)] if name == "token")
}

/// The tokens of a form, read pair by pair (WHATWG URL §5.1).
fn tokens(body: &str) -> Vec<String> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = body.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(name, _)| decoded(name) == "token").map(|(_, value)| decoded(value)).collect()
}
