//! What the page of the trail must and must not contain.

use serde_json::json;

use super::*;
use crate::page::audit_entry::tests::{entry_with, names};

const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

fn reader() -> Reader {
    let permissions = keyward_shared::permission::PermissionSet::parse(["keyward.audit"]).unwrap();
    Reader { owner: "ann".into(), company: "demo".into(), permissions, ..Reader::default() }
}

fn filters(change: impl FnOnce(&mut AuditFilters)) -> AuditFilters {
    let mut filters = AuditFilters::default();
    change(&mut filters);
    filters
}

fn html(change: impl FnOnce(&mut AuditPage)) -> String {
    let mut page = AuditPage { names: names(), ..AuditPage::default() };
    change(&mut page);
    audit(&reader(), &page)
}

#[test]
fn days_become_times_of_which_the_last_is_not_wanted_any_more() {
    let query = filters(|f| (f.actor, f.from, f.to) = ("ann".into(), "2027-01-31".into(), "2027-01-31".into())).query().unwrap();
    assert_eq!(query, [("actor", "ann".into()), ("from", "2027-01-31T00:00:00Z".into()), ("to", "2027-02-01T00:00:00Z".into())]);
    assert_eq!(filters(|f| f.to = "2028-02-28".into()).query().unwrap(), [("to", "2028-02-29T00:00:00Z".into())]);
    assert_eq!(AuditFilters::default().query(), Ok(Vec::new()));
}

#[test]
fn what_is_no_day_is_said_at_its_field_and_stays_there() {
    for day in ["yesterday", "2027-02-30", "2027-1-1", "31.01.2027", "2027-01-31T00:00:00Z", "-027-01-01", "9999-12-31", EVIL] {
        let filters = filters(|f| f.to = day.into());
        let wrong = filters.query().unwrap_err();
        assert!(wrong.of("to").is_some() && wrong.of("from").is_none(), "{day}");
        let html = html(|page| (page.filters, page.problems) = (filters, wrong));
        assert!(html.contains("id=\"audit-to-problem\"") && html.contains("aria-invalid=\"true\""), "{day}");
        assert!(!html.contains("No such entry"), "nothing was looked for");
    }
    let turned = filters(|f| (f.from, f.to) = ("2027-02-01".into(), "2027-01-31".into())).query().unwrap_err();
    assert!(turned.of("to").is_some());
}

#[test]
fn what_is_looked_for_stays_in_the_form_and_in_the_links_to_other_parts() {
    let html = html(|page| {
        page.filters = filters(|f| (f.actor, f.action, f.from) = ("demo/a&b".into(), "key.revoke".into(), "2027-01-31".into()));
        page.entries = vec![entry_with(&json!({}))];
        (page.is_later_part, page.next_cursor) = (true, Some("c+1".into()));
    });
    assert!(html.contains("value=\"demo/a&amp;b\"") && html.contains("value=\"key.revoke\" selected"), "{html}");
    let query = "actor=demo%2Fa%26b&amp;action=key.revoke&amp;from=2027-01-31";
    assert!(html.contains(&format!("href=\"/admin/audit?{query}&amp;cursor=c%2B1\">Older")), "{html}");
    assert!(html.contains(&format!("href=\"/admin/audit?{query}\">Newest")));
    assert!(html.contains("href=\"/v1/audit/export?from=2027-01-31T00%3A00%3A00Z\""), "the days count for the download");
}

#[test]
fn every_reason_for_nothing_is_said() {
    let text = |cursor: Option<&str>, filtered: bool| {
        html(|page| {
            page.next_cursor = cursor.map(Into::into);
            page.filters.actor = if filtered { "bob".into() } else { String::new() };
        })
    };
    assert!(text(None, false).contains("Nothing here yet"));
    assert!(text(None, true).contains("No such entry") && text(None, true).contains("Show everything"));
    let part = text(Some("c"), true);
    assert!(part.contains("Nothing in this part of the trail") && part.contains(">Older<"), "{part}");
}

#[test]
fn the_check_says_what_it_found_and_what_to_do() {
    let text = |found| audit_verified(&reader(), found);
    assert!(text(Ok(1)).contains("1 entry checked") && text(Ok(7)).contains("7 entries checked"));
    let broken = text(Err(Some(42)));
    assert!(broken.contains("Entry 42 is not as it was written") && broken.contains("role=\"alert\"") && !broken.contains("In order"));
    assert!(text(Err(None)).contains("The trail is not as it was written."));
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let html = html(|page| {
        page.filters = AuditFilters { target: EVIL.into(), actor: EVIL.into(), action: EVIL.into(), from: EVIL.into(), to: EVIL.into() };
        page.problems.general = vec![EVIL.into()];
        page.next_cursor = Some(EVIL.into());
        page.entries = vec![
            entry_with(&json!({"actor": EVIL, "action": EVIL, "target": EVIL, "outcome": EVIL, "request_id": EVIL, "hash": EVIL,
                "address": EVIL, "key": EVIL, "before": {EVIL: EVIL}, "after": {"name": EVIL}})),
            entry_with(&json!({"actor": EVIL, "target": EVIL})),
        ];
    });
    assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    assert!(!html.contains(" style=") && html.contains("&lt;script&gt;alert(1)"));
    assert_eq!(html.matches("<script").count(), 1);
}
