//! What the pages of owners must and must not contain.

use serde_json::json;

use super::*;

const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

fn reader(permissions: &[&str]) -> Reader {
    let permissions = PermissionSet::parse(permissions.iter().copied()).unwrap();
    Reader { owner: "admin".into(), company: "demo".into(), permissions, ..Reader::default() }
}

fn ann(permissions: &[&str]) -> PageOwner {
    let object = json!({"owner": "ann", "name": "Ann Lee", "email": "ann@acme.example", "permissions": permissions, "active": true,
        "created_at": "2026-11-01T08:00:00Z", "changed_at": "2026-11-02T08:00:00Z", "company": "demo"});
    serde_json::from_value(object).unwrap()
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let hostile = PageOwner { owner: EVIL.into(), name: EVIL.into(), email: Some(EVIL.into()), permissions: vec![EVIL.into()], ..ann(&[]) };
    let somebody = Reader { elsewhere: Some(EVIL.into()), ..reader(&["keyward.owners", "keyward.keys", "keyward.operator"]) };
    let list =
        OwnersPage { owners: vec![hostile.clone()], next_cursor: Some(EVIL.into()), missed: Some(EVIL.into()), ..OwnersPage::default() };
    let link = SignInLink { url: EVIL.into(), expires_at: Millis(0) };
    let fields = ["owner", "name", "email", "permissions[0]", CONFIRM, "other"].map(|field| (field.to_owned(), EVIL.to_owned()));
    let page = OwnerPage {
        problems: Problems { general: vec![EVIL.into()], fields: fields.to_vec() },
        changed_meanwhile: true,
        typed: EVIL.into(),
        link: Some(link),
        form_id: EVIL.into(),
        ..OwnerPage::of(hostile)
    };
    let new = OwnerPage { owner: None, ..page.clone() };
    for html in [owners(&somebody, &list), owner(&somebody, &page), owner(&somebody, &new)] {
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)"));
        assert!(!html.contains(" style=") && !html.contains("javascript:"));
    }
}

#[test]
fn a_list_shows_a_few_permissions_and_leads_to_the_keys_of_whom_may_see_them() {
    let page = OwnersPage { owners: vec![ann(&["a", "b", "c", "d", "e"])], next_cursor: Some("x y".into()), ..OwnersPage::default() };
    let html = owners(&reader(&["keyward.owners"]), &page);
    assert!(html.contains("<code>c</code> and 2 more") && !html.contains("<code>d</code>"), "{html}");
    assert!(!html.contains("/admin/keys?"));
    assert!(html.contains(r#"href="/admin/owners?cursor=x+y""#));
    assert!(owners(&reader(&["keyward.owners", "keyward.keys"]), &page).contains(r#"href="/admin/keys?owners=all&amp;owner=ann""#));
    let elsewhere = Reader { elsewhere: Some("acme".into()), ..reader(&["keyward.owners", "keyward.keys"]) };
    let html = owners(&elsewhere, &page);
    for expected in [
        r#"href="/admin/keys?owners=all&amp;owner=ann&amp;company=acme""#,
        r#"href="/admin/owners/ann?company=acme""#,
        r#"href="/admin/owners?cursor=x+y&amp;company=acme""#,
        r#"<input type="hidden" name="company" value="acme">"#,
        r#"<body data-company="acme">"#,
        "You are acting in the company",
    ] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
}

#[test]
fn an_empty_list_explains_what_owners_are() {
    assert!(owners(&reader(&["keyward.owners"]), &OwnersPage::default()).contains("No owners yet"));
    let beyond = OwnersPage { further: true, ..OwnersPage::default() };
    assert!(!owners(&reader(&["keyward.owners"]), &beyond).contains("No owners yet"));
}

#[test]
fn each_wrong_permission_is_named_by_its_text() {
    let fields = vec![("permissions[1]".into(), "is none".into()), ("permissions[2]".into(), "is none either".into())];
    let form = OwnerForm { permissions: "orders.read, A B".into(), ..OwnerForm::default() };
    let page = OwnerPage { form, problems: Problems { fields, ..Problems::default() }, ..OwnerPage::default() };
    let html = owner(&reader(&["keyward.owners"]), &page);
    assert!(html.contains("“A” is none; “B” is none either"), "{html}");
    assert!(html.contains(">\norders.read, A B</textarea>"));
}

#[test]
fn nobody_is_offered_what_they_cannot_do() {
    let page = OwnerPage::of(ann(&["orders.*"]));
    let html = owner(&reader(&["keyward.owners"]), &page);
    assert!(html.contains("Delete owner") && html.contains("Deactivate owner") && !html.contains("Make a sign-in link"));
    assert!(owner(&reader(&["keyward.owners", "keyward.operator"]), &page).contains("Make a sign-in link"));
    let herself = Reader { owner: "ann".into(), ..reader(&["keyward.owners"]) };
    assert!(owner(&herself, &page).contains("This is you") && !owner(&herself, &page).contains("Delete owner"));
    let inactive = OwnerPage::of(PageOwner { active: false, ..ann(&[]) });
    assert!(owner(&reader(&["keyward.owners"]), &inactive).contains("Activate owner"));
    let new = owner(&reader(&["keyward.owners", "keyward.operator"]), &OwnerPage::default());
    assert!(new.contains("Create owner") && !new.contains("Delete owner") && !new.contains("Deactivate"));
}

#[test]
fn a_form_says_what_it_was_made_from() {
    let seen = OwnerForm::of(&ann(&["a"])).seen;
    assert_eq!(seen, ann(&["a"]).version());
    for other in [ann(&["b"]), PageOwner { active: false, ..ann(&["a"]) }, PageOwner { email: None, ..ann(&["a"]) }] {
        assert_ne!(seen, other.version());
    }
    assert!(OwnerForm::of(&ann(&["a", "b"])).says(&ann(&["a", "b"])));
    assert!(!OwnerForm::of(&ann(&["a", "b"])).says(&ann(&["a"])));
    assert!(OwnerForm::of(&ann(&["b", "a.b", "a.*"])).says(&ann(&["a.*", "b"])), "what is covered is not kept");
}
