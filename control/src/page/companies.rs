//! Administration → Companies, for the operator: the list, and the page of one company with its forms and the ways into its data.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    KEYS_PATH, Reader,
    assets::File,
    directory::{CONFIRM, Conflict, Deletion, address, conflict, deletion, encoded, takes_effect, version},
    form::{Problems, field, problems},
    layout::{Frame, document},
    owners::{OWNERS_PATH, further, status},
    reader::Section,
    time::{exact, moment, time},
};

/// Where the companies live.
pub const COMPANIES_PATH: &str = "/admin/companies";

/// A company as the list says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedCompany {
    company: String,
    name: String,
}

/// A company as the API's object says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PageCompany {
    pub(crate) company: String,
    pub(crate) name: String,
    pub(crate) active: bool,
    #[serde(default)]
    pub(crate) max_key_lifetime_days: Option<u64>,
    #[serde(deserialize_with = "time")]
    created_at: Millis,
    #[serde(deserialize_with = "time")]
    changed_at: Millis,
}

impl PageCompany {
    /// Names what it says, so that a form made from it notices a change.
    pub(crate) fn version(&self) -> String {
        let days = self.max_key_lifetime_days.map(|days| days.to_string()).unwrap_or_default();
        version(&[&self.name, &days, if self.active { "active" } else { "inactive" }])
    }
}

/// What the list is made from.
#[derive(Clone, Debug, Default)]
pub struct CompaniesPage {
    /// In the order of their ids.
    pub companies: Vec<ListedCompany>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// Whether this is not the list's beginning.
    pub further: bool,
    /// What has just been done.
    pub done: &'static str,
}

/// The list of companies.
pub fn companies(reader: &Reader, page: &CompaniesPage) -> String {
    let main = html! {
        header.title {
            div {
                h1 { "Companies" }
                p { "Each company's people, keys and audit trail are its own. No key of one company reaches another." }
            }
            a.button href="/admin/companies/new" { "New company" }
        }
        @if page.companies.is_empty() && !page.further {
            article.empty { h2 { "No companies yet" } p { "A company is made here, or by your application." } }
        } @else {
            table.stacked role="table" {
                thead role="rowgroup" {
                    tr role="row" { @for title in ["Name", "Id", "Look at"] { th scope="col" role="columnheader" { (title) } } }
                }
                tbody role="rowgroup" {
                    @for company in &page.companies {
                        tr role="row" data-company=(company.company) {
                            th.name scope="row" role="rowheader" { a href=(address(COMPANIES_PATH, &company.company)) { (company.name) } }
                            td role="cell" data-label="Id" { code { (company.company) } }
                            td role="cell" data-label="Look at" { (ways(reader, &company.company, &company.name)) }
                        }
                    }
                }
            }
        }
        @if page.further || page.next_cursor.is_some() {
            nav.pages aria-label="Pages" {
                @if page.further { a href=(COMPANIES_PATH) { "First page" } }
                @if let Some(cursor) = &page.next_cursor { a href=(further(COMPANIES_PATH, cursor)) rel="next" { "Next page" } }
            }
        }
    };
    document(&Frame { styles: &[File::DirectoryStyle], done: page.done, ..Frame::of(reader, Section::Companies) }, &main)
}

/// The ways to what a company has.
fn ways(reader: &Reader, company: &str, name: &str) -> Markup {
    let there = Reader { elsewhere: Some(company.to_owned()).filter(|company| *company != reader.company), ..reader.clone() };
    html! {
        span.ways {
            @if reader.may("keyward.owners") { a href=(there.at(OWNERS_PATH)) aria-label={ "Owners of " (name) } { "Owners" } " " }
            a href=(there.at(&format!("{KEYS_PATH}?owners=all"))) aria-label={ "Keys of " (name) } { "Keys" }
        }
    }
}

/// A company as a form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompanyForm {
    pub(crate) id: String,
    /// Whether the id stands in the address of the page, and is not to be typed.
    pub(crate) id_is_given: bool,
    pub(crate) name: String,
    /// Empty: no limit.
    pub(crate) days: String,
    /// Chosen where a company is made; after that it has buttons of its own, and a form that was opened earlier does not change it.
    pub(crate) active: bool,
    /// [`PageCompany::version`] of what the form was made from; empty: of nothing.
    pub(crate) seen: String,
}

impl CompanyForm {
    /// The form for a company as it is now.
    pub(crate) fn of(company: &PageCompany) -> Self {
        Self {
            id: company.company.clone(),
            id_is_given: true,
            name: company.name.clone(),
            days: company.max_key_lifetime_days.map(|days| days.to_string()).unwrap_or_default(),
            active: company.active,
            seen: company.version(),
        }
    }

    /// Whether the company is as the form says.
    pub(crate) fn says(&self, company: &PageCompany) -> bool {
        let there = Self::of(company);
        (&self.name, &self.days, self.active) == (&there.name, &there.days, there.active)
    }
}

/// What the page of a company is made from.
#[derive(Clone, Debug, Default)]
pub struct CompanyPage {
    /// The company as it is now; `None`: there is none.
    pub(crate) company: Option<PageCompany>,
    pub(crate) form: CompanyForm,
    pub(crate) problems: Problems,
    /// Whether somebody else has changed it since the form was made.
    pub(crate) changed_meanwhile: bool,
    /// Whether it is the operator's own, which stays.
    pub(crate) is_operators: bool,
    /// What was typed to confirm the deletion.
    pub(crate) typed: String,
    /// Within which time a change takes effect.
    pub(crate) bound: Millis,
    /// What has just been done.
    pub(crate) done: String,
}

impl CompanyPage {
    /// Of a company as it is now.
    pub(crate) fn of(company: PageCompany) -> Self {
        Self { form: CompanyForm::of(&company), company: Some(company), ..Self::default() }
    }
}

/// The page of one company, or of a new one.
pub fn company(reader: &Reader, page: &CompanyPage) -> String {
    let title = page.company.as_ref().map_or("New company", |company| company.name.as_str());
    let main = html! {
        header.title {
            div {
                h1 { (title) }
                @if let Some(company) = &page.company {
                    p {
                        code { (company.company) } " · " (status(company.active)) " · changed "
                        (moment(company.changed_at, &exact(company.changed_at), "exact"))
                        " · made " (moment(company.created_at, &exact(company.created_at), "exact"))
                    }
                }
            }
            @if let Some(company) = &page.company { (ways(reader, &company.company, &company.name)) }
        }
        @if page.changed_meanwhile { (changed_meanwhile(page.company.as_ref())) }
        (problems(&page.problems, &["company", "name", "max_key_lifetime_days", CONFIRM]))
        (form(page))
        @if let Some(company) = &page.company {
            @if !page.is_operators { (activity(company, page.bound)) }
            section aria-labelledby="export-title" {
                h2 #export-title { "Export" }
                p { "Everything that there is of this company, as lines of JSON: people, keys without their secrets, and the audit trail." }
                p { a href={ "/v1/companies/" (encoded(&company.company)) "/export" } download { "Download the export" } }
            }
            @if !page.is_operators { (delete_form(company, page)) }
        }
    };
    let frame = Frame {
        title,
        styles: &[File::DirectoryStyle],
        scripts: &[File::Directory],
        done: &page.done,
        ..Frame::of(reader, Section::Companies)
    };
    document(&frame, &main)
}

fn changed_meanwhile(company: Option<&PageCompany>) -> Markup {
    let title = match company {
        Some(_) => "Somebody else has changed this company while you had the form open.",
        None => "Somebody else has deleted this company while you had the form open; saving makes a new, empty one.",
    };
    let now = company.map_or_else(Vec::new, |company| {
        let days = company.max_key_lifetime_days.map_or_else(|| "no limit".to_owned(), |days| format!("{days} days"));
        let active = format!("{}; saving does not change it", if company.active { "active" } else { "inactive" });
        vec![("Name", company.name.clone()), ("Longest life of a key", days), ("Status", active)]
    });
    conflict(&Conflict { title, now: &now })
}

fn form(page: &CompanyPage) -> Markup {
    let CompanyPage { form, problems, .. } = page;
    let is_new = page.company.is_none();
    html! {
        section aria-labelledby="details-title" {
            h2 #details-title { "Details" }
            form method="post" autocomplete="off" {
                input type="hidden" name="seen" value=(form.seen);
                @if is_new {
                    (field("company-id", "Id", "How your application calls this company. It cannot be changed later.", problems.of("company"), |marks| html! {
                        input id=(marks.id) type="text" name="id" value=(form.id) required maxlength="128" autocapitalize="none" spellcheck="false"
                            readonly[form.id_is_given]
                            aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                    }))
                }
                (field("company-name", "Name", "", problems.of("name"), |marks| html! {
                    input id=(marks.id) type="text" name="name" value=(form.name) required
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                (field("company-days", "Longest life of a key, in days (optional)",
                    "No new key may last longer. Empty: keys may last as long as their owners want. Keys that there are stay as they are.",
                    problems.of("max_key_lifetime_days"), |marks| html! {
                    input id=(marks.id) type="text" inputmode="numeric" name="days" value=(form.days)
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                @if is_new {
                    label { input type="checkbox" name="active" value="yes" checked[form.active]; " Active: its people may sign in, and their keys work" }
                }
                button type="submit" name="do" value="save" { @if is_new { "Create company" } @else { "Save" } }
            }
        }
    }
}

fn activity(company: &PageCompany, bound: Millis) -> Markup {
    html! {
        section aria-labelledby="activity-title" {
            h2 #activity-title { @if company.active { "Deactivate" } @else { "Activate" } }
            @if company.active {
                p { "Nobody of a company that is not active can sign in, and all its keys are refused. Nothing is lost: you can activate it again." }
            } @else {
                p { "Nobody of this company can sign in, and all its keys are refused." }
            }
            (takes_effect("all keys of this company", bound))
            form method="post" {
                @if company.active {
                    button.secondary type="submit" name="do" value="deactivate" { "Deactivate company" }
                } @else {
                    button type="submit" name="do" value="activate" { "Activate company" }
                }
            }
        }
    }
}

fn delete_form(company: &PageCompany, page: &CompanyPage) -> Markup {
    let lost = html! {
        p {
            "Everything of this company is erased: its people, its keys, their use, its webhooks and its audit trail. Every key is refused, and \
             can never be used again. " strong { "It cannot come back in this deployment, not even from an export. " } "To shut the company out and keep everything, deactivate it instead."
        }
    };
    deletion(&Deletion { kind: "company", id: &company.company, typed: &page.typed, problems: &page.problems, lost: &lost })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

    fn acme() -> PageCompany {
        let object = json!({"company": "acme", "name": "Acme", "active": true, "max_key_lifetime_days": 90,
            "created_at": "2026-11-01T08:00:00Z", "changed_at": "2026-11-02T08:00:00Z"});
        serde_json::from_value(object).unwrap()
    }

    fn operator() -> Reader {
        let permissions = keyward_shared::permission::PermissionSet::parse(["keyward.*", "keyward.operator"]).unwrap();
        Reader { owner: "admin".into(), company: "demo".into(), permissions, ..Reader::default() }
    }

    #[test]
    fn hostile_text_is_escaped_everywhere() {
        let listed = ListedCompany { company: EVIL.into(), name: EVIL.into() };
        let list = CompaniesPage { companies: vec![listed], next_cursor: Some(EVIL.into()), ..CompaniesPage::default() };
        let fields = ["company", "name", "max_key_lifetime_days", CONFIRM, "other"].map(|field| (field.to_owned(), EVIL.to_owned()));
        let hostile = PageCompany { company: EVIL.into(), name: EVIL.into(), ..acme() };
        let page = CompanyPage {
            problems: Problems { general: vec![EVIL.into()], fields: fields.to_vec() },
            changed_meanwhile: true,
            typed: EVIL.into(),
            ..CompanyPage::of(hostile)
        };
        let new = CompanyPage { company: None, form: CompanyForm { days: EVIL.into(), ..page.form.clone() }, ..page.clone() };
        for html in [companies(&operator(), &list), company(&operator(), &page), company(&operator(), &new)] {
            assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
            assert!(html.contains("&lt;script&gt;alert(1)"));
        }
    }

    #[test]
    fn the_ways_into_a_company_name_it_unless_it_is_the_readers_own() {
        let html = companies(
            &operator(),
            &CompaniesPage { companies: vec![ListedCompany { company: "a|b".into(), name: "A".into() }], ..CompaniesPage::default() },
        );
        assert!(
            html.contains(r#"href="/admin/owners?company=a%7Cb""#) && html.contains(r#"href="/admin/keys?owners=all&amp;company=a%7Cb""#),
            "{html}"
        );
        let own = company(&operator(), &CompanyPage::of(PageCompany { company: "demo".into(), ..acme() }));
        assert!(own.contains(r#"href="/admin/owners" aria-label="Owners of Acme""#), "{own}");
    }

    #[test]
    fn the_operators_own_company_is_neither_deactivated_nor_deleted() {
        let page = CompanyPage::of(acme());
        let html = company(&operator(), &page);
        assert!(html.contains("Delete company") && html.contains("Deactivate company") && html.contains("/v1/companies/acme/export"));
        assert!(html.find("takes-effect") > html.find("activity-title"), "it is said where it is so: {html}");
        let html = company(&operator(), &CompanyPage { is_operators: true, ..page });
        assert!(!html.contains("takes-effect"));
        assert!(!html.contains("Delete company") && !html.contains("Deactivate company"));
    }

    #[test]
    fn a_form_says_what_it_was_made_from() {
        let form = CompanyForm::of(&acme());
        assert!(form.says(&acme()) && !form.says(&PageCompany { max_key_lifetime_days: None, ..acme() }));
        for other in [PageCompany { name: "B".into(), ..acme() }, PageCompany { active: false, ..acme() }] {
            assert_ne!(form.seen, other.version());
        }
    }
}
