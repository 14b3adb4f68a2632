//! `/admin/keys`: the list.

use serde::Deserialize;

use super::{
    super::{Answer, Outside},
    new_key,
    visit::{Told, Visit},
};
use crate::page::{self, Choice, KeysPage, Making, PageKey, Problems};

/// How many keys a page has.
const PAGE: usize = 50;
/// How often the API is asked for one page at most: each call looks through a bounded number of keys, and a search that finds little
/// would else show page after page with nothing on it.
const CALLS: usize = 5;

/// The part of `GET /v1/keys` that the page shows.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<PageKey>,
    next_cursor: Option<String>,
}

pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    let parameter = |name: &str| visit.parameter(name);
    let choice = Choice::read(parameter, &visit.reader);
    if Choice::has_key(parameter) {
        // What a browser without a script sent: the key leaves its address, and is asked for nowhere.
        let address = choice.first().address();
        return Ok(Answer::redirect(&format!("{address}{}pasted=key", if address.contains('?') { '&' } else { '?' })));
    }
    let mut page = KeysPage {
        keys: Vec::new(),
        next_cursor: choice.cursor.clone(),
        problems: if visit.parameter("pasted").is_some() { pasted() } else { Problems::default() },
        making: if visit.reader.makes_keys() { new_key::making(visit).await } else { Making::default() },
        deleted: visit.parameter("done").as_deref() == Some("deleted"),
        now: visit.now(),
        choice,
    };
    // Where one owner of another company is looked at, a new key is probably theirs.
    page.making.form.owner.clone_from(&page.choice.owner);
    for _ in 0..CALLS {
        let told = ask(visit, &page).await?;
        if told.status == 400 {
            if page.choice.cursor.is_some() {
                // A cursor of another list, or one that was cut: the first page is better than an error.
                return Ok(Answer::redirect(&page.choice.first().address()));
            }
            page.problems = told.problems();
            return Ok(Answer::html(400, page::keys(&visit.reader, &page)));
        }
        let listed: Listed = told.granted()?;
        page.keys.extend(listed.keys);
        page.next_cursor = listed.next_cursor;
        if page.next_cursor.is_none() || page.keys.len() >= PAGE {
            break;
        }
    }
    Ok(Answer::html(200, page::keys(&visit.reader, &page)))
}

/// For a whole key in the search.
fn pasted() -> Problems {
    let sentence = "That was a key. Never paste one here: search for its name or its id.";
    Problems { general: Vec::new(), fields: vec![("q".into(), sentence.into())] }
}

/// The next part of the page: as many keys as it still lacks, with their use, in one call.
async fn ask<O: Outside>(visit: &Visit<'_, O>, page: &KeysPage) -> Result<Told, Answer> {
    let mut query = page.choice.asked(&visit.reader.owner, page.now);
    query.push(("usage", "30d".into()));
    query.push(("limit", PAGE.saturating_sub(page.keys.len()).max(1).to_string()));
    query.extend(page.next_cursor.clone().map(|cursor| ("cursor", cursor)));
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    visit.get("/v1/keys", &query).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::super::tests::{Script, api_answer, caller, header, request, run, with_session},
        *,
    };

    fn whoami(permissions: &[&str]) -> (u16, Value) {
        api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": permissions}))
    }

    fn key(n: usize) -> Value {
        json!({"id": format!("key_{n}"), "name": format!("Number {n}"), "hint": "kw_live_…", "owner": "ann", "owner_active": true,
            "status": "active", "created_at": "2026-11-01T08:00:00Z", "usage": []})
    }

    fn listed(numbers: core::ops::Range<usize>, next: &str) -> (u16, Value) {
        let next = (!next.is_empty()).then_some(next);
        api_answer(200, &json!({"keys": numbers.map(key).collect::<Vec<_>>(), "next_cursor": next}))
    }

    fn open(url: &str, answers: impl IntoIterator<Item = (u16, Value)>) -> (Answer, String, Vec<String>) {
        let objects = Script::saying(answers);
        let answer = run(&with_session(request("GET", url)), &objects);
        let asked = (1..objects.asked().len()).map(|at| objects.call(at).query).collect();
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        (answer, html, asked)
    }

    #[test]
    fn a_page_of_keys_with_their_use_is_one_call() {
        let (answer, html, asked) = open("/admin/keys", [whoami(&["keyward.keys.own"]), listed(0..50, "c.d")]);
        assert_eq!((answer.status, html.matches("data-key-id").count()), (200, 50));
        assert_eq!(asked, ["owner=ann&sort=-created_at&usage=30d&limit=50"]);
        assert!(html.contains("cursor=c.d"));
    }

    #[test]
    fn a_search_that_finds_little_looks_further_but_not_for_ever() {
        let found = [whoami(&["keyward.keys"]), listed(0..2, "a.a"), listed(2..3, "b.b"), listed(3..4, "")];
        let (_, html, asked) = open("/admin/keys?owners=all&q=x", found);
        assert_eq!((html.matches("data-key-id").count(), asked.len()), (4, 3));
        assert_eq!(asked[2], "q=x&sort=-created_at&usage=30d&limit=47&cursor=b.b");
        assert!(!html.contains("rel=\"next\""));
        let nothing = [whoami(&["keyward.keys"])].into_iter().chain((0..9).map(|_| listed(0..0, "e.e")));
        let (_, html, asked) = open("/admin/keys?q=x", nothing);
        assert_eq!(asked.len(), CALLS);
        assert!(html.contains("Nothing found so far") && html.contains("Search on") && html.contains("cursor=e.e"));
    }

    #[test]
    fn in_another_company_all_keys_are_asked_for_whoever_the_reader_is() {
        let operator = whoami(&["keyward.operator"]);
        let who = || caller("demo", "keyward.operator");
        let company = api_answer(200, &json!({"company": "acme", "max_key_lifetime_days": 30}));
        let objects = Script::saying([operator, who(), company, who(), listed(0..1, "")]);
        let answer = run(&with_session(request("GET", "/admin/keys?company=acme&owner=bob")), &objects);
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(answer.status, 200, "{html}");
        assert_eq!(objects.call(2).path, "/v1/companies/acme");
        assert_eq!(objects.call(4).query, "owner=bob&sort=-created_at&usage=30d&limit=50&company=acme");
        assert!(html.contains("As long as allowed: 30 days"));
        assert!(html.contains("id=\"create-owner\" type=\"text\" name=\"owner\" value=\"bob\""));
    }

    #[test]
    fn a_key_that_was_pasted_into_the_search_leaves_the_address_and_is_asked_for_nowhere() {
        let key = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
        let (answer, html, asked) = open(&format!("/admin/keys?q=+{key}&status=active"), [whoami(&["keyward.keys"])]);
        assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/keys?status=active&pasted=key")));
        assert!(asked.is_empty() && !html.contains(key));
        let (_, html, asked) = open("/admin/keys?pasted=key", [whoami(&["keyward.keys"]), listed(0..0, "")]);
        assert_eq!(asked, ["owner=ann&sort=-created_at&usage=30d&limit=50"]);
        assert!(
            html.contains("id=\"filter-q-problem\">That was a key") && html.contains("aria-describedby=\"filter-q-problem\""),
            "{html}"
        );
        // Nor does the way in lead back to it.
        let answer = run(&request("GET", &format!("/admin/keys?q={key}")), &Script::saying([]));
        assert_eq!(answer.status, 401);
        assert!(!String::from_utf8(answer.body.to_vec()).unwrap().contains(key));
    }

    #[test]
    fn what_the_api_refuses_is_said_with_what_was_typed() {
        let refusal = || api_answer(400, &json!({"title": "Bad", "detail": "owner must be <short>"}));
        let (answer, html, _) = open("/admin/keys?owners=all&owner=a+b&q=x", [whoami(&["keyward.keys"]), refusal()]);
        assert_eq!(answer.status, 400);
        assert!(html.contains("owner must be &lt;short&gt;") && html.contains("value=\"a b\"") && html.contains("value=\"x\""));
        assert!(!html.contains("No key"), "nobody knows whether there is one");
        let (answer, ..) = open("/admin/keys?q=x&cursor=bad", [whoami(&[]), refusal()]);
        assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/keys?q=x")));
    }
}
