//! What the pages about one key say: in words, as it is, and no more than is known.

use super::*;

#[test]
fn a_lost_successor_is_replaced_by_another_one_only_while_the_old_key_works() {
    let with = |more: &Value, successor: Option<&Value>| {
        let mut way = rotation(&rotated(more));
        way.successor = successor.map(object);
        rotate_key(&owner(), &way)
    };
    let mut gone = revoked();
    gone["id"] = json!("key_2");
    for (successor, what) in [
        (None, "it is not there any more"),
        (Some(&gone), "by joe: “left”"),
        (Some(&json!({"id": "key_2", "status": "expired", "expires_at": "2026-11-18T11:00:00Z"})), "it expired"),
    ] {
        let html = with(&json!({}), successor);
        for wanted in
            ["The successor does not work any more: make another one", what, "Make the successor</button>", "/admin/keys/key_1/revoke"]
        {
            assert!(html.contains(wanted), "{wanted}: {html}");
        }
        assert!(!html.contains("Revoke the old key</button>"), "the program would be left without a key: {html}");
        assert_tidy(&html);
    }
    let over = with(&revoked(), Some(&gone));
    assert!(!over.contains("Make the successor</button>") && over.contains("The successor does not work any more"), "{over}");
    assert!(!with(&json!({}), Some(&json!({"id": "key_2"}))).contains("Make the successor</button>"), "one that works is enough");
    let mut others = rotation(&rotated(&json!({"owner": "joe"})));
    others.successor = None;
    let html = rotate_key(&reader(&["keyward.keys"]), &others);
    assert!(html.contains("Only its owner or the operator") && !html.contains("Make the successor</button>"), "{html}");
    assert!(
        key_rotated(&owner(), &NewPage { key: object(&json!({})), secret: None, edge_url: String::new() })
            .contains("revoke the successor and rotate this key again")
    );
}

#[test]
fn a_successor_says_when_it_ends_and_offers_what_the_company_allows() {
    let lives = |change: &Value, longest: Option<u64>, life: &str| {
        let mut way = rotation(change);
        (way.longest, way.life) = (longest, life.into());
        let html = rotate_key(&owner(), &way);
        let select = html.split("<select id=\"rotate-life\"").nth(1).unwrap().split("</select>").next().unwrap().to_owned();
        select.split("<option").skip(1).map(|option| option.trim_end_matches("</option>").to_owned()).collect::<Vec<_>>()
    };
    let dated = json!({"expires_at": "2027-01-31T12:00:00Z"});
    assert_eq!(
        lives(&json!({}), None, ""),
        [
            " value=\"\" selected>As the old key: never",
            " value=\"30\">In 30 days",
            " value=\"90\">In 90 days",
            " value=\"365\">In 365 days"
        ]
    );
    assert_eq!(
        lives(&dated, None, "never")[..2],
        [" value=\"\">As the old key: 31 Jan 2027, 12:00 UTC", " value=\"never\" selected>Never"]
    );
    let limited = [" value=\"\" selected>As late as the company allows: 28 Dec 2026, 11:06 UTC", " value=\"30\">In 30 days"];
    assert_eq!(lives(&json!({}), Some(40), ""), limited);
    assert_eq!(lives(&dated, Some(40), ""), limited);
    let mut again = rotation(&rotated(&json!({"expires_at": "2026-11-19T00:00:00Z"})));
    again.successor = Some(object(&json!({"status": "revoked", "expires_at": null})));
    let html = rotate_key(&owner(), &again);
    assert!(html.contains("As the successor before: never") && html.contains("until <time"), "not the end of the overlap: {html}");
}

#[test]
fn a_key_that_does_not_work_may_do_nothing_now_and_says_what_it_was_limited_to() {
    for (change, why) in [
        (json!({"status": "revoked", "permissions": ["orders.read"]}), "nothing, because it was revoked."),
        (json!({"status": "expired", "permissions": ["orders.read"]}), "nothing, because it has expired."),
        (json!({"owner_active": false, "permissions": ["orders.read"]}), "nothing, because its owner or company is not active."),
    ] {
        let html = shown(&change);
        assert!(
            html.contains(why) && html.contains("It was limited to the following.") && html.contains("<code>orders.read</code>"),
            "{html}"
        );
        assert_eq!(html.matches("<li><code>orders.read</code></li>").count(), 1, "only as what it was limited to");
    }
    assert!(shown(&json!({"status": "revoked"})).contains("It could do what its owner may do."));
    assert!(shown(&json!({})).contains("What it may do now:</p>"));
}

#[test]
fn of_a_revocation_the_stages_are_told_only_as_long_as_nothing_came_after_it() {
    let mut change = revoked();
    change["propagation"] =
        json!({"committed_at": "2026-11-18T11:06:30Z", "announced_at": null, "expected_by": null, "effective_by": null});
    let html = propagation(&object(&change), NOW).into_string();
    assert!(html.contains("by joe") && html.contains("was changed after that") && html.contains("data-state=\"over\""), "{html}");
    assert!(!html.contains("announced yet") && !html.contains("data-until"), "{html}");
    let new = json!({"created_at": "2026-11-18T11:06:20Z", "propagation": {"committed_at": "2026-11-18T11:06:20Z",
        "announced_at": "2026-11-18T11:06:20Z", "expected_by": "2026-11-18T11:07:20Z", "effective_by": "2026-11-18T11:09:20Z"}});
    assert_eq!(propagation(&object(&new), NOW).into_string(), "", "a new key works at once");
    let mut changed = new;
    changed["created_at"] = json!("2026-11-18T10:00:00Z");
    assert!(propagation(&object(&changed), NOW).into_string().contains("guaranteed by"));
    let mut long_ago = revoked();
    long_ago["revoked_at"] = json!("2026-10-01T14:26:51Z");
    long_ago["propagation"] = json!({"committed_at": "2026-10-01T14:26:51Z", "announced_at": "2026-10-01T14:26:51Z",
        "expected_by": "2026-10-01T14:27:51Z", "effective_by": "2026-10-01T14:29:51Z"});
    assert!(propagation(&object(&long_ago), NOW).into_string().contains("1 Oct 2026, 14:29:51 UTC</time>"), "with its day");
}

#[test]
fn what_somebody_else_changed_is_said_in_words() {
    let was = fields(&json!({"expires_at": "2027-01-01T00:00:00Z", "permissions": ["orders.read"], "allowed_ips": ["192.0.2.0/24"]}));
    let mine = Fields {
        expires_at: Some("2027-05-05T00:00:00Z".into()),
        permissions: Some(["orders.write".to_owned()].into()),
        allowed_ips: ["10.0.0.0/8".to_owned()].into(),
        ..was.clone()
    };
    let said = |theirs: Value| mine.conflicts(&was, &fields(&theirs)).into_iter().map(|(_, said)| said).collect::<Vec<_>>().join("\n");
    let widened = said(json!({"expires_at": null, "permissions": null, "allowed_ips": []}));
    for words in ["to never meanwhile", "to everything that its owner may do meanwhile", "to from anywhere meanwhile"] {
        assert!(widened.contains(words), "{words}: {widened}");
    }
    let narrowed = said(json!({"expires_at": "2027-01-31T23:59:59Z", "permissions": [], "allowed_ips": ["192.0.2.7/32"]}));
    for words in ["to 31 Jan 2027, 23:59 UTC meanwhile", "to nothing that asks for a permission meanwhile", "to 192.0.2.7/32 meanwhile"] {
        assert!(narrowed.contains(words), "{words}: {narrowed}");
    }
}

#[test]
fn what_cannot_be_told_right_now_is_not_called_absent() {
    let mut whole = page(&json!({"parent": "key_0", "supersedes": "key_00"}));
    whole.related = vec![Related { id: "key_0".into(), name: Named::Unknown }, Related { id: "key_00".into(), name: Named::Gone }];
    (whole.trail, whole.grantable) = (Trail::Unknown, None);
    let html = key(&owner(), &whole);
    for wanted in [
        "key_0</code></a> (its name cannot be shown right now)",
        "key_00</code> (deleted, or not yours to see)",
        "The audit trail cannot be shown right now.",
        "What its owner may do cannot be shown right now.",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_tidy(&html);
}

#[test]
fn the_trail_is_told_in_sentences() {
    let mut whole = page(&json!({}));
    let narrowed = json!({"action": "key.change", "before": {"name": "Sync", "permissions": null}, "after": {"name": "Sync", "permissions": ["orders.read"]}});
    whole.trail = Trail::Known(vec![entry_with(&narrowed)], names());
    let html = key(&owner(), &whole);
    for wanted in ["<strong>Ann Lee</strong> changed the key", "all of the owner’s", "<td>orders.read</td>"] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_tidy(&html);
    whole.trail = Trail::Known(vec![], names());
    assert!(key(&owner(), &whole).contains("Nothing is recorded about this key."));
}

#[test]
fn a_question_has_an_address_where_the_key_has_networks() {
    assert!(!shown(&json!({})).contains("explain-address") && shown(&json!({})).contains("value=\"HEAD\""));
    let mut whole = page(&json!({"allowed_ips": ["10.0.0.0/8"]}));
    let explained = json!({"decision": "allow", "status": 200, "detail": "it passes", "rule": null, "owner_permissions": [], "checks": []});
    whole.asked = Asked { assumed: Some("10.0.0.0".into()), answer: Some(serde_json::from_value(explained).unwrap()), ..whole.asked };
    let html = key(&owner(), &whole);
    assert!(html.contains("id=\"explain-address\"") && html.contains("As if it came from <code>10.0.0.0</code>"), "{html}");
    whole.asked = Asked { address: "x".into(), ..Asked::default() };
    whole.asked.problems.fields = vec![("ip".into(), "This is no address.".into())];
    let html = key(&owner(), &whole);
    assert!(html.contains("id=\"explain-address-problem\">This is no address.") && !html.contains("explain-path-problem"), "{html}");
}

#[test]
fn what_a_key_made_can_still_be_revoked_when_the_key_itself_does_not_work_any_more() {
    let page = |change: Value, reason: &str, cascade: bool| {
        revoke_key(
            &owner(),
            &RevokePage { key: object(&change), reason: reason.into(), cascade, problems: crate::page::Problems::default() },
        )
    };
    let mut maker = revoked();
    maker["manages_keys"] = json!(true);
    for change in [maker.clone(), json!({"status": "expired", "manages_keys": true})] {
        let html = page(change.clone(), "a leak", true);
        for wanted in ["id=\"family-form\"", "name=\"cascade\" value=\"on\"", "value=\"a leak\"", "Revoke the keys that it made</button>"] {
            assert!(html.contains(wanted), "{wanted}: {html}");
        }
        assert!(!html.contains("was not recorded"), "{html}");
        assert_tidy(&html);
        assert!(shown(&change).contains("/admin/keys/key_1/revoke\">Revoke the keys that it made</a>"));
    }
    assert!(!page(revoked(), "", false).contains("family-form") && !shown(&revoked()).contains("/revoke\""), "it made none");
}

#[test]
fn the_expiry_says_what_is_true_of_this_key() {
    let help = |reader: &Reader, change: &Value, longest: Option<u64>| {
        let mut page = page(change);
        page.longest = longest;
        key(reader, &page).split("id=\"change-expires-help\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let limited = Reader { max_key_lifetime_days: Some(90), ..owner() };
    let dated = json!({"expires_at": "2026-12-01T11:06:40Z"});
    assert!(help(&owner(), &dated, None).starts_with("If you choose another day"), "it does not end with a day");
    assert!(!help(&limited, &json!({}), None).contains("empty") && help(&limited, &dated, None).contains("also where you make this empty"));
    let operator = Reader { max_key_lifetime_days: None, ..reader(&["keyward.operator"]) };
    let theirs = json!({"company": "acme"});
    assert!(help(&operator, &theirs, Some(10)).contains("The company lets a key live for 10 days: this one until 11 Nov 2026, 08:00 UTC"));
}

#[test]
fn an_owner_without_the_permission_for_own_keys_is_not_told_that_only_the_owner_may() {
    let mut sent = page(&json!({}));
    sent.change.sent = true;
    for html in [
        key(&reader(&["keyward.keys"]), &page(&json!({}))),
        key(&reader(&["keyward.keys"]), &sent),
        rotate_key(&reader(&["keyward.keys"]), &rotation(&json!({}))),
    ] {
        assert!(html.contains("though it is yours") && html.contains("keyward.keys.own") && !html.contains("Only its owner"), "{html}");
    }
}

#[test]
fn use_that_only_this_administration_saw_is_explained() {
    let words = "Only requests to your API are counted";
    assert!(!shown(&json!({})).contains(words));
    assert!(!shown(&json!({"last_used_at": "2026-01-01T00:00:00Z"})).contains(words), "longer ago than the picture shows");
    assert!(shown(&json!({"last_used_at": "2026-11-18T10:00:00Z"})).contains(words));
    assert!(shown(&json!({"manages_keys": true})).contains(words));
}

#[test]
fn one_request_is_one_request() {
    let mut way = rotation(&rotated(&json!({})));
    way.successor = Some(object(&json!({"id": "key_2"})));
    way.traffic = Some(Traffic { since: Millis(1_794_996_000_000), allowed: 1, refused: 0, hours: Vec::new() });
    assert!(rotate_key(&owner(), &way).contains(">1</strong> request with the old key"));
}
