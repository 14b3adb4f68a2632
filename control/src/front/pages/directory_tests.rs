//! The pages of owners, companies and the policy: what a form makes of the API, and that nothing that was typed is lost.

use keyward_shared::{ids::CompanyId, shard::Shard};
use serde_json::{Value, json};

use super::super::{
    Answer, Object, Request,
    tests::{Script, api_answer, caller, header, request, run, with_session},
};
use crate::{
    call::{ApiAnswer, ApiCall},
    page::{PageCompany, PageOwner},
};

type Said = (u16, Value);

fn whoami(permissions: &[&str]) -> Said {
    api_answer(200, &json!({"owner": "admin", "company": "demo", "permissions": permissions}))
}

fn ann(permissions: &[&str]) -> Value {
    json!({"owner": "ann", "company": "demo", "name": "Ann Lee", "email": null, "permissions": permissions, "active": true,
        "created_at": "2026-11-01T08:00:00Z", "changed_at": "2026-11-02T08:00:00Z"})
}

fn version_of(owner: &Value) -> String {
    serde_json::from_value::<PageOwner>(owner.clone()).unwrap().version()
}

fn missing() -> Said {
    api_answer(404, &json!({"code": "not_found", "detail": "there is no such owner"}))
}

/// A form as a browser sends it.
fn post(url: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = with_session(request("POST", url));
    request.headers.sec_fetch_site = Some("same-origin".into());
    request.headers.content_type = Some("application/x-www-form-urlencoded".into());
    request.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
    request
}

fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn calls(objects: &Script) -> Vec<String> {
    let asked = objects.asked.borrow();
    let calls = asked.iter().filter_map(|(_, _, body)| serde_json::from_str::<ApiCall>(body).ok());
    calls.map(|call| format!("{} {}{}{}", call.method, call.path, if call.query.is_empty() { "" } else { "?" }, call.query)).collect()
}

#[test]
fn an_owner_is_saved_as_typed_on_top_of_what_was_seen() {
    let now = ann(&["orders.*"]);
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &now), api_answer(200, &now)]);
    let seen = version_of(&now);
    let fields = [
        ("do", "save"),
        ("seen", &*seen),
        ("name", " Ann B "),
        ("email", ""),
        ("permissions", "orders.read\r\n\r\nbilling.*"),
        ("active", "yes"),
    ];
    let answer = run(&post("/admin/owners/ann", &fields), &objects);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/owners/ann?done=saved")));
    assert_eq!(calls(&objects), ["GET /v1/whoami", "GET /v1/owners/ann", "PUT /v1/owners/ann"]);
    let sent: Value = serde_json::from_str(&objects.call(2).body).unwrap();
    assert_eq!(sent, json!({"name": "Ann B", "email": null, "permissions": ["orders.read", "billing.*"], "active": true}));
}

#[test]
fn what_somebody_else_changed_is_shown_and_not_overwritten() {
    let (then, now) = (ann(&["orders.*"]), ann(&["billing.*"]));
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &now)]);
    let (seen, fresh) = (version_of(&then), version_of(&now));
    let fields = [("do", "save"), ("seen", &*seen), ("name", "Typed <name>"), ("permissions", "typed.permission"), ("active", "yes")];
    let answer = run(&post("/admin/owners/ann", &fields), &objects);
    let page = html(&answer);
    assert_eq!((answer.status, calls(&objects).len()), (409, 2), "nothing is put");
    for expected in
        ["Somebody else has changed", "billing.*", "Typed &lt;name&gt;", "typed.permission", &format!("name=\"seen\" value=\"{fresh}\"")]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let gone = Script::saying([whoami(&["keyward.owners"]), missing()]);
    let answer = run(&post("/admin/owners/ann", &fields), &gone);
    assert_eq!(answer.status, 409);
    assert!(html(&answer).contains("has deleted this owner") && html(&answer).contains("Typed &lt;name&gt;"));
}

#[test]
fn a_form_sent_twice_makes_one_owner_and_another_of_the_id_is_not_overwritten() {
    let fields = [("id", "ann"), ("seen", ""), ("name", "Ann Lee"), ("permissions", "orders.*"), ("active", "yes")];
    let twice = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &ann(&["orders.*"]))]);
    let answer = run(&post("/admin/owners/new", &fields), &twice);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/owners/ann?done=created")));
    let other = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &ann(&["billing.*"]))]);
    let answer = run(&post("/admin/owners/new", &fields), &other);
    assert_eq!((answer.status, calls(&other).len()), (409, 2));
    assert!(html(&answer).contains("already an owner with this id") && html(&answer).contains("orders.*"));
}

#[test]
fn saving_what_was_typed_changes_nothing_of_who_is_active() {
    // Somebody else has deactivated them while the form was open, from which older pages sent that they are active.
    let inactive =
        Value::Object(ann(&["orders.*"]).as_object().unwrap().clone().into_iter().chain([("active".into(), json!(false))]).collect());
    let fields = |seen: &str| {
        [("do", "save"), ("seen", seen), ("name", "Ann B"), ("permissions", "orders.*"), ("active", "yes")].map(|(a, b)| (a, b.to_owned()))
    };
    let send = |fields: &[(&str, String)], objects: &Script| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&post("/admin/owners/ann", &fields), objects)
    };
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &inactive)]);
    let page = html(&send(&fields(&version_of(&ann(&["orders.*"]))), &objects));
    assert!(page.contains("inactive; saving does not change it") && !page.contains("name=\"active\""), "{page}");
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &inactive), api_answer(200, &inactive)]);
    assert_eq!(send(&fields(&version_of(&inactive)), &objects).status, 303);
    assert_eq!(serde_json::from_str::<Value>(&objects.call(2).body).unwrap()["active"], json!(false));

    // A company in the same way.
    let acme = json!({"company": "acme", "name": "Acme", "active": false, "max_key_lifetime_days": null,
        "created_at": "2026-11-01T08:00:00Z", "changed_at": "2026-11-02T08:00:00Z"});
    let seen = serde_json::from_value::<PageCompany>(acme.clone()).unwrap().version();
    let objects = as_operator([api_answer(200, &acme), api_answer(200, &acme)]);
    let answer = run(
        &post("/admin/companies/acme", &[("do", "save"), ("seen", &seen), ("name", "Acme 2"), ("days", ""), ("active", "yes")]),
        &objects,
    );
    assert_eq!(answer.status, 303, "{}", html(&answer));
    assert_eq!(serde_json::from_str::<Value>(&objects.call(4).body).unwrap()["active"], json!(false));
}

#[test]
fn what_was_deleted_meanwhile_is_made_again_under_its_own_id() {
    let fields = [("do", "save"), ("seen", "0123456789abcdef"), ("id", "other"), ("name", "Ann"), ("permissions", "orders.*")];
    let objects = Script::saying([whoami(&["keyward.owners"]), missing()]);
    let page = html(&run(&post("/admin/owners/ann", &fields), &objects));
    assert!(page.contains("value=\"ann\" required") && page.contains(" readonly"), "{page}");
    let objects = as_operator([missing()]);
    let page = html(&run(&post("/admin/companies/acme", &fields), &objects));
    assert!(page.contains("value=\"acme\" required") && page.contains(" readonly"), "{page}");
    let objects = Script::saying([whoami(&["keyward.owners"])]);
    assert!(!html(&run(&post("/admin/owners/new", &[("id", "a b")]), &objects)).contains(" readonly"));
}

#[test]
fn what_cannot_be_an_id_is_looked_for_nowhere() {
    for (looked_for, status, words) in
        [("%20", 400, "Type an id."), ("a%20b", 404, "Nobody here has this id."), ("a%2Fb", 404, "Nobody here")]
    {
        let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &json!({"owners": [ann(&[])], "next_cursor": null}))]);
        let answer = run(&with_session(request("GET", &format!("/admin/owners?owner={looked_for}"))), &objects);
        let page = html(&answer);
        assert_eq!((answer.status, calls(&objects)[1].as_str()), (status, "GET /v1/owners"), "{looked_for}");
        assert!(page.contains(words) && page.contains("data-owner=\"ann\""), "{looked_for}: {page}");
    }
}

#[test]
fn a_company_that_is_unclear_is_nowhere_and_never_ones_own() {
    let operator = || whoami(&["keyward.*", "keyward.operator"]);
    for query in ["company=acme&company=acme", "company=acme&owner=ann&company=acme", "company=", "company=a%20b", "company=a%2Fb"] {
        for url in [format!("/admin/owners?{query}"), format!("/admin/keys?{query}"), format!("/admin/owners/ann?{query}")] {
            let objects = Script::saying([operator()]);
            let answer = run(&with_session(request("GET", &url)), &objects);
            assert_eq!((answer.status, calls(&objects)), (404, vec!["GET /v1/whoami".into()]), "{url}");
        }
        let objects = Script::saying([operator()]);
        let answer = run(&post(&format!("/admin/owners/ann?{query}"), &[("do", "deactivate")]), &objects);
        assert_eq!((answer.status, calls(&objects).len()), (404, 1), "{query}");
    }
    // Every form that looks for something looks in the company that it is shown for.
    let listed = api_answer(
        200,
        &json!({"owners": [], "keys": [], "entries": [], "names": {"owners": {}, "keys": {}, "webhooks": {}}, "next_cursor": null}),
    );
    for url in ["/admin/owners?company=acme", "/admin/keys?company=acme", "/admin/audit?company=acme"] {
        let there = (0..4).flat_map(|_| [caller("demo", "keyward.* keyward.operator"), listed.clone()]);
        let page = html(&run(&with_session(request("GET", url)), &Script::saying([operator()].into_iter().chain(there))));
        let forms: Vec<_> = page.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap()).collect();
        let searches: Vec<_> = forms.iter().filter(|form| form.split('>').next().unwrap().contains("method=\"get\"")).collect();
        assert!(!searches.is_empty(), "{url}: {page}");
        for search in searches {
            assert_eq!(search.matches("name=\"company\" value=\"acme\"").count(), 1, "{url}: {search}");
        }
    }
}

#[test]
fn who_may_not_look_sees_what_is_theirs_instead_and_begins_there() {
    let forbidden = || api_answer(403, &json!({"code": "forbidden", "detail": "missing"}));
    let objects = Script::saying([whoami(&["keyward.owners", "keyward.audit"]), forbidden()]);
    let page = html(&run(&with_session(request("GET", "/admin/keys")), &objects));
    for expected in
        ["You may not see this", "href=\"/admin/owners\"", "href=\"/admin/audit\"", "action=\"/sign-out\"", "aria-current=\"true\""]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    for (permissions, place) in [
        (&["keyward.owners", "keyward.audit"][..], "/admin/owners"),
        (&["keyward.audit"], "/admin/audit"),
        (&["keyward.keys.own", "keyward.audit"], "/admin/keys"),
        (&[], "/admin/keys"),
    ] {
        let answer = run(&with_session(request("GET", "/admin/")), &Script::saying([whoami(permissions)]));
        assert_eq!((answer.status, header(&answer, "location")), (303, Some(place)), "{permissions:?}");
    }
    for url in ["/", "/admin"] {
        assert_eq!(header(&run(&request("GET", url), &Script::default()), "location"), Some("/admin/"));
    }
}

#[test]
fn what_is_refused_comes_back_with_what_was_typed() {
    let refused = api_answer(422, &json!({"code": "unprocessable", "errors": [{"field": "permissions[1]", "detail": "is none"}]}));
    let objects = Script::saying([whoami(&["keyward.owners"]), missing(), refused]);
    let fields = [("id", "ann"), ("name", "Ann"), ("email", "a@b"), ("permissions", "orders.* Nope"), ("active", "yes")];
    let answer = run(&post("/admin/owners/new", &fields), &objects);
    let page = html(&answer);
    assert_eq!(answer.status, 422);
    assert!(page.contains("“Nope” is none") && page.contains("value=\"a@b\"") && page.contains("orders.* Nope"), "{page}");
    let forbidden = api_answer(403, &json!({"code": "forbidden", "detail": "you lack orders.*"}));
    let objects = Script::saying([whoami(&["keyward.owners"]), missing(), forbidden]);
    let answer = run(&post("/admin/owners/new", &fields), &objects);
    assert!(answer.status == 403 && html(&answer).contains("you lack orders.*") && html(&answer).contains("orders.* Nope"));
    let objects = Script::saying([whoami(&["keyward.owners"])]);
    let answer = run(&post("/admin/owners/new", &[("id", "a b"), ("name", "Ann")]), &objects);
    assert!(answer.status == 422 && html(&answer).contains("value=\"a b\"") && html(&answer).contains("value=\"Ann\""));
}

#[test]
fn deleting_needs_the_id_typed() {
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &ann(&[]))]);
    let answer = run(&post("/admin/owners/ann", &[("do", "delete"), ("confirm", "Ann")]), &objects);
    assert_eq!((answer.status, calls(&objects).len()), (422, 2));
    assert!(html(&answer).contains("This is not the id. Nothing was deleted."));
    let done = (200, serde_json::to_value(ApiAnswer { status: 204, headers: Vec::new(), body: String::new() }).unwrap());
    let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &ann(&[])), done]);
    let answer = run(&post("/admin/owners/ann", &[("do", "delete"), ("confirm", "ann")]), &objects);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/owners?done=deleted")));
    assert_eq!(calls(&objects)[2], "DELETE /v1/owners/ann");
}

#[test]
fn in_another_company_every_call_and_every_link_goes_there() {
    let elsewhere = Object::Shard(Shard::of(&CompanyId::new("acme").unwrap()));
    let listed = api_answer(200, &json!({"owners": [ann(&[])], "next_cursor": "c"}));
    let objects = Script::saying([whoami(&["keyward.*", "keyward.operator"]), caller("demo", "keyward.* keyward.operator"), listed]);
    let answer = run(&with_session(request("GET", "/admin/owners?company=acme&cursor=x")), &objects);
    assert_eq!(answer.status, 200, "{}", html(&answer));
    assert_eq!(objects.asked.borrow()[2].0, elsewhere);
    assert_eq!(calls(&objects)[1], "GET /v1/owners?cursor=x&company=acme");
    assert!(html(&answer).contains("You are acting in the company <strong>acme</strong>"));

    let made = api_answer(201, &json!({"url": "https://control.example/sign-in?token=t", "expires_at": "2027-01-15T08:10:00Z"}));
    let who = || caller("demo", "keyward.* keyward.operator");
    let objects = Script::saying([whoami(&["keyward.*", "keyward.operator"]), who(), api_answer(200, &ann(&[])), who(), made]);
    let answer = run(&post("/admin/owners/ann?company=acme", &[("do", "link")]), &objects);
    assert!(answer.status == 200 && html(&answer).contains("https://control.example/sign-in?token=t"), "{}", html(&answer));
    let call: ApiCall = serde_json::from_str(&objects.asked.borrow()[4].2).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&call.body).unwrap(), json!({"owner": "ann", "company": "acme"}));

    let own = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &json!({"owners": [], "next_cursor": null}))]);
    let answer = run(&with_session(request("GET", "/admin/owners?company=demo")), &own);
    assert!(answer.status == 200 && calls(&own)[1] == "GET /v1/owners" && !html(&answer).contains("You are acting"));
}

#[test]
fn ids_that_are_words_of_the_address_have_pages_too() {
    for (url, called) in [
        ("/admin/owners/-?id=new", "GET /v1/owners/new"),
        ("/admin/owners/-?id=%2E%2E", "GET /v1/owners/%2E%2E"),
        ("/admin/owners/-", "GET /v1/owners/%2D"),
        ("/admin/owners/auth0%7C5f2", "GET /v1/owners/auth0%7C5f2"),
    ] {
        let objects = Script::saying([whoami(&["keyward.owners"]), api_answer(200, &ann(&[]))]);
        assert_eq!(run(&with_session(request("GET", url)), &objects).status, 200, "{url}");
        assert_eq!(calls(&objects)[1], called);
    }
}

#[test]
fn a_companys_longest_life_of_keys_is_a_number_or_what_was_typed() {
    let permissions = ["keyward.*", "keyward.operator"];
    for (typed, sent) in [("", Value::Null), ("90", json!(90)), ("ninety", json!("ninety"))] {
        let who = || caller("demo", "keyward.* keyward.operator");
        let refused = api_answer(422, &json!({"errors": [{"field": "max_key_lifetime_days", "detail": "must be a whole number"}]}));
        let objects = Script::saying([whoami(&permissions), who(), missing(), who(), refused]);
        let answer = run(&post("/admin/companies/new", &[("id", "acme"), ("name", "Acme"), ("days", typed), ("active", "yes")]), &objects);
        let call: ApiCall = serde_json::from_str(&objects.asked.borrow()[4].2).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&call.body).unwrap()["max_key_lifetime_days"], sent);
        assert!(answer.status == 422 && html(&answer).contains(&format!("name=\"days\" value=\"{typed}\"")), "{}", html(&answer));
    }
}

/// A policy as the API answers it.
fn policy(version: u64, paths: &[&str]) -> Said {
    let rules: Vec<_> = paths.iter().map(|path| json!({ "path": path })).collect();
    let how = json!({"committed_at": "2027-01-15T08:00:00Z", "announced_at": null, "expected_by": null, "effective_by": null});
    let body = json!({"default": "forward", "rules": rules, "propagation": how}).to_string();
    (200, serde_json::to_value(ApiAnswer { status: 200, headers: vec![("ETag".into(), format!("\"{version}\""))], body }).unwrap())
}

/// Answers of the Registry: before each the operator's shard says who is calling, and what is refused is noted there.
fn as_operator(answers: impl IntoIterator<Item = Said>) -> Script {
    let who = || caller("demo", "keyward.* keyward.operator");
    let noted = |answer: &Said| (400..500).contains(&answer.1["status"].as_u64().unwrap()).then_some((204, Value::Null));
    Script::saying([whoami(&["keyward.*", "keyward.operator"])].into_iter().chain(answers.into_iter().flat_map(|answer| {
        let noted = noted(&answer);
        [Some(who()), Some(answer), noted].into_iter().flatten()
    })))
}

fn rows<'a>(action: &'a str, etag: &'a str, paths: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("do", action), ("mode", "rows"), ("etag", etag), ("form", "f1"), ("default", "forward")];
    for path in paths {
        fields.extend([("methods", ""), ("path", *path), ("passes", "key"), ("permission", ""), ("bearer", "")]);
    }
    fields
}

#[test]
fn the_buttons_of_a_rule_change_the_rows_and_save_nothing() {
    for (button, order) in [("up-1", ["/b", "/a"]), ("down-0", ["/b", "/a"]), ("up-0", ["/a", "/b"])] {
        let objects = as_operator([policy(7, &["/saved"])]);
        let answer = run(&post("/admin/policy", &rows(button, "\"7\"", &["/a", "/b"])), &objects);
        let page = html(&answer);
        assert_eq!((answer.status, calls(&objects)), (200, vec!["GET /v1/whoami".into(), "GET /v1/policy".into()]));
        let place = |path: &str| page.find(&format!("value=\"{path}\"")).unwrap();
        assert!(place(order[0]) < place(order[1]), "{button}");
        assert!(page.contains("name=\"etag\" value=\"&quot;7&quot;\"") && page.contains("data-keeps=\"changed\""));
    }
}

#[test]
fn a_policy_is_saved_on_top_of_the_version_it_was_made_from_and_once() {
    let objects = as_operator([policy(7, &["/saved"]), policy(8, &["/a"])]);
    let answer = run(&post("/admin/policy", &rows("save", "\"7\"", &["/a"])), &objects);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/policy?done=saved")), "{}", html(&answer));
    let call = objects.call(4);
    assert_eq!((call.method.as_str(), call.path.as_str(), call.if_match.as_deref()), ("PUT", "/v1/policy", Some("\"7\"")));
    assert!(call.idempotency_key.unwrap().starts_with("f1-"));
    // Sent again from a page that was gone back to: answered as it was then, though somebody has saved another one since.
    let objects = as_operator([policy(9, &["/theirs"]), policy(8, &["/a"]), policy(9, &["/theirs"])]);
    let answer = run(&post("/admin/policy", &rows("save", "\"7\"", &["/a"])), &objects);
    assert_eq!(header(&answer, "location"), Some("/admin/policy?done=replaced"), "{}", html(&answer));
    let same = as_operator([policy(7, &["/a"])]);
    let answer = run(&post("/admin/policy", &rows("save", "\"7\"", &["/a"])), &same);
    assert_eq!(header(&answer, "location"), Some("/admin/policy?done=same"));
}

#[test]
fn the_second_editor_is_told_sees_both_and_loses_nothing() {
    let conflict = api_answer(409, &json!({"code": "conflict", "detail": "the policy was changed meanwhile"}));
    let versions =
        api_answer(200, &json!({"versions": [{"version": 8, "changed_by": "ben", "changed_at": "2027-01-15T08:00:00Z", "rules": 1}]}));
    let theirs = || policy(8, &["/theirs"]);
    let objects = as_operator([theirs(), conflict, theirs(), versions, policy(7, &["/old"])]);
    let answer = run(&post("/admin/policy", &rows("save", "\"7\"", &["/mine"])), &objects);
    let page = html(&answer);
    assert_eq!(answer.status, 409);
    for expected in
        ["ben has saved another version", "<del>Any method /old", "<ins>Any method /theirs", "value=\"/mine\"", "value=\"&quot;8&quot;\""]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
}

#[test]
fn a_rule_that_cannot_be_used_is_not_sent() {
    let objects = as_operator([policy(7, &[])]);
    let answer = run(&post("/admin/policy", &rows("save", "\"7\"", &["/fine", "/a//b"])), &objects);
    let page = html(&answer);
    assert_eq!((answer.status, calls(&objects).len()), (422, 2));
    assert!(page.contains("id=\"rule-1-path-problem\">the path has an empty segment") && page.contains("value=\"/a//b\""), "{page}");
}

#[test]
fn a_request_is_tried_by_the_saved_and_the_edited_rules() {
    for (path, expected, differ) in [
        ("/a?query=1", "<h3>GET /a</h3>", true),
        ("https://api.example/a#x", "<h3>GET /a</h3>", true),
        ("https://api.example", "<h3>GET /</h3>", false),
        ("/a/../b", "Refused with 400", false),
    ] {
        let objects = as_operator([policy(7, &["/saved"])]);
        let mut fields = rows("test", "\"7\"", &["/a"]);
        fields.extend([("test_method", "get"), ("test_path", path)]);
        let page = html(&run(&post("/admin/policy", &fields), &objects));
        assert!(page.contains(expected), "{path}: {page}");
        assert_eq!(page.contains("By the rules in the editor"), differ, "{path}");
    }
}

#[test]
fn rows_become_json_and_back() {
    let objects = as_operator([policy(7, &["/saved"])]);
    let page = html(&run(&post("/admin/policy", &rows("json", "\"7\"", &["/a"])), &objects));
    assert!(page.contains("{&quot;path&quot;:&quot;/a&quot;}") && page.contains("name=\"mode\" value=\"json\""), "{page}");
    let json = |action, text| [("do", action), ("mode", "json"), ("etag", "\"7\""), ("json", text)];
    let objects = as_operator([policy(7, &["/saved"])]);
    let page = html(&run(&post("/admin/policy", &json("rows", r#"{"rules":[{"path":"/b","anonymous":true}]}"#)), &objects));
    assert!(page.contains("name=\"path\" type=\"text\" value=\"/b\""), "{page}");
    let objects = as_operator([policy(7, &["/saved"])]);
    let page = html(&run(&post("/admin/policy", &json("rows", "{\"rules\": oops")), &objects));
    assert!(page.contains("{&quot;rules&quot;: oops</textarea>") && page.contains("not acceptable JSON"), "{page}");
}

#[test]
fn rolling_back_needs_a_tick_and_the_version_that_was_seen() {
    let list = || api_answer(200, &json!({"versions": [], "next_cursor": null}));
    let objects = as_operator([policy(5, &["/old"]), policy(7, &["/now"]), list()]);
    let answer = run(&post("/admin/policy/versions/5", &[("do", "roll-back"), ("etag", "\"7\"")]), &objects);
    assert!(answer.status == 422 && html(&answer).contains("Nothing was changed"), "{}", html(&answer));
    let fields = [("do", "roll-back"), ("etag", "\"7\""), ("form", "f1"), ("sure", "yes")];
    let objects = as_operator([policy(8, &["/old"])]);
    let answer = run(&post("/admin/policy/versions/5", &fields), &objects);
    assert_eq!(header(&answer, "location"), Some("/admin/policy?done=rolled-back"));
    let call = objects.call(2);
    assert_eq!(
        (call.path.as_str(), call.if_match.as_deref(), call.body.as_str()),
        ("/v1/policy/rollback", Some("\"7\""), "{\"version\":5}")
    );
    let objects = as_operator([policy(8, &["/old"]), policy(9, &["/theirs"])]);
    assert_eq!(header(&run(&post("/admin/policy/versions/5", &fields), &objects), "location"), Some("/admin/policy?done=replaced"));
    let conflict = api_answer(409, &json!({"code": "conflict", "detail": "changed"}));
    let objects = as_operator([conflict, policy(5, &["/old"]), policy(9, &["/theirs"]), list()]);
    let answer = run(&post("/admin/policy/versions/5", &fields), &objects);
    let page = html(&answer);
    assert!(answer.status == 409 && page.contains("<del>Any method /theirs") && page.contains("value=\"&quot;9&quot;\""), "{page}");
    assert_eq!(run(&with_session(request("GET", "/admin/policy/versions/x")), &as_operator([])).status, 404);
}

#[test]
fn a_version_whose_predecessor_is_not_found_is_not_called_the_first() {
    let list = |versions: Value| api_answer(200, &json!({ "versions": versions, "next_cursor": null }));
    let of = |url: &str, answers: Vec<(u16, Value)>| html(&run(&with_session(request("GET", url)), &as_operator(answers)));
    let first = json!([{"version": 5, "changed_at": "2026-11-18T09:00:00Z", "changed_by": "ann", "rules": 1}]);
    let page = of("/admin/policy/versions/5", vec![policy(5, &["/old"]), policy(7, &["/now"]), list(first)]);
    assert!(page.contains("it is the first one"), "{page}");
    let gone = api_answer(404, &json!({"detail": "there is no such version"}));
    let page = of("/admin/policy/versions/5?before=4", vec![policy(5, &["/old"]), policy(7, &["/now"]), list(json!([])), gone]);
    assert!(page.contains("The version before it was not found") && !page.contains("it is the first one"), "{page}");
}

#[test]
fn who_may_not_look_is_told_so() {
    let forbidden = || api_answer(403, &json!({"code": "forbidden", "detail": "missing"}));
    let who = || caller("demo", "keyward.keys.own");
    for url in ["/admin/owners", "/admin/owners/new", "/admin/owners/ann"] {
        let objects = Script::saying([whoami(&["keyward.keys.own"]), forbidden()]);
        assert_eq!(run(&with_session(request("GET", url)), &objects).status, 403, "{url}");
    }
    for url in ["/admin/companies", "/admin/companies/new", "/admin/policy", "/admin/policy/history", "/admin/policy/versions/7"] {
        let objects = Script::saying([whoami(&["keyward.keys.own"]), who(), forbidden()]);
        assert_eq!(run(&with_session(request("GET", url)), &objects).status, 403, "{url}");
    }
}

#[test]
fn an_outage_takes_nothing_away_that_was_typed() {
    for said in [vec![], vec![whoami(&["keyward.owners"]), missing()]] {
        let objects = Script::saying(said);
        let answer =
            run(&post("/admin/owners/new?company=demo", &[("id", "ann"), ("name", "Ann <b>"), ("permissions", "a\r\nb")]), &objects);
        let page = html(&answer);
        assert_eq!(answer.status, 503);
        assert!(
            page.contains("action=\"/admin/owners/new?company=demo\"") && page.contains("name=\"name\" value=\"Ann &lt;b&gt;\""),
            "{page}"
        );
        assert!(page.contains("value=\"a\r\nb\"") && page.contains("Send again"));
    }
}
