//! A case at the control plane: sent as it is written, and held against what the case asks for.

use keyward_bad_inputs::case::Control;
use keyward_e2e::http;
use serde_json::Value;

use super::deployment::Prepared;

/// What is wrong with the answer to a call.
pub(super) async fn wrong(prepared: &Prepared, call: &Control) -> Option<String> {
    let words = &prepared.words;
    let url = format!("{}{}", prepared.world.system.control_url(), words.fill_text(&call.target));
    let mut request = prepared.world.http.request(call.method.parse().unwrap(), url);
    if !call.key.is_empty() {
        request = request.header("x-api-key", words.fill_text(call.key));
    }
    for (name, value) in &call.headers {
        request = request.header(name, words.fill(value));
    }
    if let Some(body) = &call.body {
        request = request.header("content-type", "application/json").body(words.fill_text(body));
    }
    let answer = http::send(request).await;
    if answer.verdict() != (call.status, call.code.to_owned()) {
        return Some(format!("{} {} expected; {answer:?}", call.status, call.code));
    }
    if call.code.is_empty() {
        return None;
    }
    let problem = answer.json();
    let named = problem["errors"].as_array().into_iter().flatten().any(|error| error["field"] == call.field);
    if !call.field.is_empty() && !named {
        return Some(format!("{} is not named; {answer:?}", call.field));
    }
    let well_formed = answer.header("content-type") == "application/problem+json" && problem["request_id"] == answer.header("x-request-id");
    if !well_formed || answer.header("cache-control") != "no-store" {
        return Some(format!("not in the form of a problem; {answer:?}"));
    }
    let challenged = answer.header("www-authenticate").starts_with("Bearer realm=\"keyward\"");
    if (call.status == 401) != (challenged && call.status != 403) {
        return Some(format!("the challenge is wrong; {answer:?}"));
    }
    words.gives_away(&format!("{} {:?}", answer.text, answer.headers)).map(|word| format!("the answer gives {word} away"))
}

/// What the refused calls changed: nothing, and the trail is whole.
pub(super) async fn left_behind(prepared: &Prepared) -> Vec<String> {
    let mut wrong = Vec::new();
    let world = &prepared.world;
    for company in ["demo", "acme", "globex"] {
        let trail = world.operator("GET", &format!("/v1/audit/verify?company={company}"), Value::Null).await.json();
        if trail["valid"] != true {
            wrong.push(format!("the trail of {company} is broken: {trail}"));
        }
    }
    let companies = world.operator("GET", "/v1/companies", Value::Null).await.text;
    if companies.contains("evil") {
        wrong.push(format!("a company was made: {companies}"));
    }
    let clerk = prepared.words.get("manager-id");
    let key = world.operator("GET", &format!("/v1/keys/{clerk}?company=acme"), Value::Null).await.json();
    if key["permissions"] != Value::Null {
        wrong.push(format!("the manager was changed: {key}"));
    }
    let other = world.operator("GET", &format!("/v1/keys/{}?company=acme", prepared.words.get("other-id")), Value::Null).await.json();
    if (other["name"].as_str(), other["status"].as_str()) != (Some("A key"), Some("active")) {
        wrong.push(format!("another owner's key was changed: {other}"));
    }
    let foreign = world.operator("GET", &format!("/v1/keys/{}?company=globex", prepared.words.get("foreign-id")), Value::Null).await.json();
    if foreign["status"] != "active" {
        wrong.push(format!("another company's key was changed: {foreign}"));
    }
    wrong
}
