//! Administration → Owners: who the people of a company are and what they may do. The list, and the page of one owner with its forms.
//!
//! Every form works without a script. What is wrong stands at its field, with all that was typed.

use keyward_shared::{
    permission::{OPERATOR, PermissionSet},
    time::Millis,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    KEYS_PATH, Reader,
    assets::File,
    directory::{CONFIRM, Conflict, Deletion, address, conflict, deletion, takes_effect, version},
    form::{Problems, field, problems},
    layout::{Frame, document},
    reader::Section,
    time::{exact, moment, time},
};

/// Where the directory lives.
pub const OWNERS_PATH: &str = "/admin/owners";

/// How many permissions a row of the list shows.
const SHOWN: usize = 3;

/// An owner as the API's object says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PageOwner {
    pub(crate) owner: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) email: Option<String>,
    pub(crate) permissions: Vec<String>,
    pub(crate) active: bool,
    #[serde(deserialize_with = "time")]
    created_at: Millis,
    #[serde(deserialize_with = "time")]
    changed_at: Millis,
}

impl PageOwner {
    /// The address of the owner's page.
    pub(crate) fn address(&self, reader: &Reader) -> String {
        reader.at(&address(OWNERS_PATH, &self.owner))
    }

    /// Names what it says, so that a form made from it notices a change.
    pub(crate) fn version(&self) -> String {
        let active = if self.active { "active" } else { "inactive" };
        let email = self.email.as_deref().unwrap_or_default();
        version(&[&self.name, email, &self.permissions.join(" "), active])
    }
}

/// What the list is made from.
#[derive(Clone, Debug, Default)]
pub struct OwnersPage {
    /// In the order of their ids.
    pub owners: Vec<PageOwner>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// Whether this is not the list's beginning.
    pub further: bool,
    /// What was looked for and is nobody's id; empty: nothing was typed.
    pub missed: Option<String>,
    /// What has just been done.
    pub done: &'static str,
}

/// The list of owners.
pub fn owners(reader: &Reader, page: &OwnersPage) -> String {
    let main = html! {
        header.title {
            div {
                h1 { "Owners" }
                p { "The people of " @if reader.elsewhere.is_some() { "this" } @else { "your" } " company. A key acts as its owner, and can do what its owner may do now." }
            }
            a.button href=(reader.at("/admin/owners/new")) { "New owner" }
        }
        form.find method="get" action=(OWNERS_PATH) {
            label for="find-owner" { "Open an owner by id" }
            div role="group" {
                input #find-owner type="text" name="owner" value=(page.missed.as_deref().unwrap_or_default()) required
                    autocapitalize="none" spellcheck="false" aria-invalid=[page.missed.as_ref().map(|_| "true")]
                    aria-describedby=[page.missed.as_ref().map(|_| "find-owner-problem")];
                button.secondary type="submit" { "Open" }
            }
            @if let Some(missed) = &page.missed {
                small.problem #find-owner-problem { @if missed.is_empty() { "Type an id." } @else { "Nobody here has this id." } }
            }
        }
        @if page.owners.is_empty() && !page.further {
            article.empty {
                h2 { "No owners yet" }
                p { "An owner is a person who has keys. Your application puts its people here by itself, or you add them one by one." }
            }
        } @else {
            (list(reader, &page.owners))
        }
        @if page.further || page.next_cursor.is_some() {
            nav.pages aria-label="Pages" {
                @if page.further { a href=(reader.at(OWNERS_PATH)) { "First page" } }
                @if let Some(cursor) = &page.next_cursor { a href=(reader.at(&further(OWNERS_PATH, cursor))) rel="next" { "Next page" } }
            }
        }
    };
    document(&Frame { styles: &[File::DirectoryStyle], done: page.done, ..Frame::of(reader, Section::Owners) }, &main)
}

/// Where a list goes on.
pub(super) fn further(path: &str, cursor: &str) -> String {
    format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).append_pair("cursor", cursor).finish())
}

fn list(reader: &Reader, owners: &[PageOwner]) -> Markup {
    let sees_keys = sees_keys(reader);
    html! {
        table.stacked role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    @for title in ["Name", "Id", "E-mail", "Permissions", "Status"] { th scope="col" role="columnheader" { (title) } }
                    @if sees_keys { th scope="col" role="columnheader" { "Keys" } }
                }
            }
            tbody role="rowgroup" {
                @for owner in owners {
                    tr role="row" data-owner=(owner.owner) {
                        th.name scope="row" role="rowheader" { a href=(owner.address(reader)) { (owner.name) } }
                        td role="cell" data-label="Id" { code { (owner.owner) } }
                        td role="cell" data-label="E-mail" { (owner.email.as_deref().unwrap_or("–")) }
                        td role="cell" data-label="Permissions" { (in_short(&owner.permissions)) }
                        td role="cell" data-label="Status" { (status(owner.active)) }
                        @if sees_keys {
                            td role="cell" data-label="Keys" {
                                a href=(keys_of(reader, owner)) aria-label={ "Keys of " (owner.name) } { "Keys" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether the list of keys shows them everyone's.
fn sees_keys(reader: &Reader) -> bool {
    reader.may("keyward.keys") || reader.may(OPERATOR)
}

fn keys_of(reader: &Reader, owner: &PageOwner) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs([("owners", "all"), ("owner", &owner.owner)]).finish();
    reader.at(&format!("{KEYS_PATH}?{query}"))
}

pub(super) fn status(active: bool) -> Markup {
    let (text, class) = if active { ("Active", "good") } else { ("Inactive", "warn") };
    html! { span class={ "badge " (class) } { (text) } }
}

fn in_short(permissions: &[String]) -> Markup {
    html! {
        span {
            @if permissions.is_empty() { "none" }
            @for (at, permission) in permissions.iter().take(SHOWN).enumerate() {
                @if at > 0 { " " }
                code { (permission) }
            }
            @if permissions.len() > SHOWN { " and " (permissions.len() - SHOWN) " more" }
        }
    }
}

/// An owner as a form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerForm {
    pub(crate) id: String,
    /// Whether the id stands in the address of the page, and is not to be typed.
    pub(crate) id_is_given: bool,
    pub(crate) name: String,
    pub(crate) email: String,
    /// One a line.
    pub(crate) permissions: String,
    /// Chosen where an owner is made; after that it has buttons of its own, and a form that was opened earlier does not change it.
    pub(crate) active: bool,
    /// [`PageOwner::version`] of what the form was made from; empty: of nothing.
    pub(crate) seen: String,
}

impl OwnerForm {
    /// The form for an owner as they are now.
    pub(crate) fn of(owner: &PageOwner) -> Self {
        Self {
            id: owner.owner.clone(),
            id_is_given: true,
            name: owner.name.clone(),
            email: owner.email.clone().unwrap_or_default(),
            permissions: owner.permissions.join("\n"),
            active: owner.active,
            seen: owner.version(),
        }
    }

    /// Whether the owner is as the form says.
    pub(crate) fn says(&self, owner: &PageOwner) -> bool {
        let permissions = PermissionSet::parse(self.permissions()).ok();
        let email = owner.email.as_deref().unwrap_or_default();
        (self.name.as_str(), self.email.as_str(), self.active) == (&owner.name, email, owner.active)
            && permissions == PermissionSet::parse(owner.permissions.iter().map(String::as_str)).ok()
    }

    /// What stands in the field of permissions.
    pub(crate) fn permissions(&self) -> impl Iterator<Item = &str> {
        self.permissions.split([' ', '\t', '\r', '\n', ',']).filter(|permission| !permission.is_empty())
    }
}

/// What the page of an owner is made from.
#[derive(Clone, Debug, Default)]
pub struct OwnerPage {
    /// The owner as they are now; `None`: there is none.
    pub(crate) owner: Option<PageOwner>,
    pub(crate) form: OwnerForm,
    pub(crate) problems: Problems,
    /// Whether somebody else has changed the owner since the form was made.
    pub(crate) changed_meanwhile: bool,
    /// What was typed to confirm the deletion.
    pub(crate) typed: String,
    /// A link that signs the owner in, and when it ends.
    pub(crate) link: Option<SignInLink>,
    /// Names the form that is sent.
    pub(crate) form_id: String,
    /// Within which time a change takes effect.
    pub(crate) bound: Millis,
    /// What has just been done.
    pub(crate) done: String,
}

impl OwnerPage {
    /// Of an owner as they are now.
    pub(crate) fn of(owner: PageOwner) -> Self {
        Self { form: OwnerForm::of(&owner), owner: Some(owner), ..Self::default() }
    }
}

/// A one-time link.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SignInLink {
    url: String,
    #[serde(deserialize_with = "time")]
    expires_at: Millis,
}

/// The page of one owner, or of a new one.
pub fn owner(reader: &Reader, page: &OwnerPage) -> String {
    let title = page.owner.as_ref().map_or("New owner", |owner| owner.name.as_str());
    let is_reader = reader.elsewhere.is_none() && page.owner.as_ref().is_some_and(|owner| owner.owner == reader.owner);
    let main = html! {
        header.title {
            div {
                h1 { (title) }
                @if let Some(owner) = &page.owner {
                    p {
                        code { (owner.owner) } " · " (status(owner.active)) " · changed "
                        (moment(owner.changed_at, &exact(owner.changed_at), "exact"))
                        " · added " (moment(owner.created_at, &exact(owner.created_at), "exact"))
                    }
                }
            }
            @if let Some(owner) = page.owner.as_ref().filter(|_| sees_keys(reader)) {
                a.button.outline href=(keys_of(reader, owner)) { "Keys" }
            }
        }
        @if is_reader { p { strong { "This is you." } " What you take away here, you take away from yourself." } }
        @if page.changed_meanwhile { (changed_meanwhile(page.owner.as_ref())) }
        (problems(&page.problems, &["owner", "name", "email", "permissions", CONFIRM]))
        @if let Some(link) = &page.link { (shown_link(link)) }
        (form(page))
        @if let Some(owner) = &page.owner {
            (activity(owner, &page.form_id))
            @if reader.may(OPERATOR) { (link_form(owner)) }
            @if !is_reader { (delete_form(owner, page)) }
        }
    };
    let frame = Frame {
        title,
        styles: &[File::DirectoryStyle],
        scripts: &[File::Directory],
        done: &page.done,
        ..Frame::of(reader, Section::Owners)
    };
    document(&frame, &main)
}

fn changed_meanwhile(owner: Option<&PageOwner>) -> Markup {
    let title = match owner {
        Some(_) => "Somebody else has changed this owner while you had the form open.",
        None => "Somebody else has deleted this owner while you had the form open; saving makes the owner again, without the keys.",
    };
    let now = owner.map_or_else(Vec::new, |owner| {
        vec![
            ("Name", owner.name.clone()),
            ("E-mail", owner.email.clone().unwrap_or_else(|| "none".into())),
            ("Permissions", if owner.permissions.is_empty() { "none".into() } else { owner.permissions.join(", ") }),
            ("Status", format!("{}; saving does not change it", if owner.active { "active" } else { "inactive" })),
        ]
    });
    conflict(&Conflict { title, now: &now })
}

fn form(page: &OwnerPage) -> Markup {
    let OwnerPage { form, problems, .. } = page;
    let is_new = page.owner.is_none();
    let rows = form.permissions.lines().count().clamp(4, 12);
    html! {
        section aria-labelledby="details-title" {
            h2 #details-title { "Details" }
            @if !is_new { (takes_effect("all keys of this owner", page.bound)) }
            form method="post" autocomplete="off" {
                input type="hidden" name="form" value=(page.form_id);
                input type="hidden" name="seen" value=(form.seen);
                @if is_new {
                    (field("owner-id", "Id", "How your application calls this person. It cannot be changed later.", problems.of("owner"), |marks| html! {
                        input id=(marks.id) type="text" name="id" value=(form.id) required maxlength="128" autocapitalize="none" spellcheck="false"
                            readonly[form.id_is_given]
                            aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                    }))
                }
                (field("owner-name", "Name", "", problems.of("name"), |marks| html! {
                    input id=(marks.id) type="text" name="name" value=(form.name) required
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                (field("owner-email", "E-mail (optional)", "", problems.of("email"), |marks| html! {
                    input id=(marks.id) type="text" inputmode="email" name="email" value=(form.email)
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                (field("owner-permissions", "Permissions", PERMISSIONS_HELP, permission_problem(page).as_deref(), |marks| html! {
                    textarea id=(marks.id) name="permissions" rows=(rows) autocapitalize="none" spellcheck="false"
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] { "\n" (form.permissions) }
                }))
                (keywards_own())
                @if is_new {
                    label { input type="checkbox" name="active" value="yes" checked[form.active]; " Active: may sign in, and their keys work" }
                }
                button type="submit" name="do" value="save" { @if is_new { "Create owner" } @else { "Save" } }
            }
        }
    }
}

const PERMISSIONS_HELP: &str = "One per line: orders.read is one permission, orders.* everything that begins with “orders.”, * everything \
    but Keyward's own. Nobody grants what they lack: you can only give permissions that you have yourself.";

/// What is wrong with the permissions, each by its text.
fn permission_problem(page: &OwnerPage) -> Option<String> {
    let typed: Vec<&str> = page.form.permissions().collect();
    let said: Vec<String> = page
        .problems
        .fields
        .iter()
        .filter_map(|(name, detail)| {
            let rest = name.strip_prefix("permissions")?;
            let at = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).and_then(|at| at.parse::<usize>().ok());
            Some(at.and_then(|at| typed.get(at)).map_or_else(|| detail.clone(), |text| format!("“{text}” {detail}")))
        })
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// What Keyward's own permissions are for.
fn keywards_own() -> Markup {
    const OWN: [(&str, &str); 6] = [
        ("keyward.keys.own", "have keys: create, rotate, revoke and delete one's own"),
        ("keyward.keys", "see, revoke and delete everyone's keys in the company, and manage its webhooks"),
        ("keyward.owners", "manage owners, as on this page"),
        ("keyward.audit", "read the audit trail"),
        ("keyward.introspect", "ask the edge about other keys"),
        (
            "keyward.operator",
            "run the whole deployment: companies and the policy. Acts in every company, and can make a link that signs in as anybody",
        ),
    ];
    html! {
        details {
            summary { "Keyward's own permissions" }
            dl.facts { @for (name, meaning) in OWN { div { dt { code { (name) } } dd { (meaning) } } } }
        }
    }
}

fn activity(owner: &PageOwner, form_id: &str) -> Markup {
    html! {
        section aria-labelledby="activity-title" {
            h2 #activity-title { @if owner.active { "Deactivate" } @else { "Activate" } }
            @if owner.active {
                p { "An owner who is not active cannot sign in, and all their keys are refused. Nothing is lost: you can activate them again." }
            } @else {
                p { "This owner cannot sign in, and all their keys are refused. Activated, they have again everything that is listed above." }
            }
            form method="post" {
                input type="hidden" name="form" value=(form_id);
                @if owner.active {
                    button.secondary type="submit" name="do" value="deactivate" { "Deactivate owner" }
                } @else {
                    button type="submit" name="do" value="activate" { "Activate owner" }
                }
            }
        }
    }
}

fn link_form(owner: &PageOwner) -> Markup {
    html! {
        section aria-labelledby="link-title" {
            h2 #link-title { "Sign-in link" }
            p { "A link that signs " (owner.name) " in here, once and only for a short time. Whoever opens it first is signed in as them." }
            form method="post" { button.secondary type="submit" name="do" value="link" disabled[!owner.active] { "Make a sign-in link" } }
            @if !owner.active { small { "Only an active owner can sign in." } }
        }
    }
}

fn shown_link(link: &SignInLink) -> Markup {
    html! {
        section.shown-link aria-labelledby="shown-link-title" {
            h2 #shown-link-title { "Sign-in link" }
            p {
                strong { "Copy it now: it is not shown again." } " It works once, until "
                (moment(link.expires_at, &exact(link.expires_at), "exact")) "."
            }
            div role="group" {
                input #sign-in-link type="text" readonly value=(link.url) aria-label="Sign-in link" autofocus;
                button type="button" data-copy="sign-in-link" hidden { "Copy" }
            }
        }
    }
}

fn delete_form(owner: &PageOwner, page: &OwnerPage) -> Markup {
    let lost = html! {
        p {
            "All their keys are revoked for good, also if you add an owner of this id again later; their sessions end. The entry is gone; \
             the audit trail remembers it. To shut somebody out and keep everything, deactivate them instead."
        }
    };
    deletion(&Deletion { kind: "owner", id: &owner.owner, typed: &page.typed, problems: &page.problems, lost: &lost })
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
