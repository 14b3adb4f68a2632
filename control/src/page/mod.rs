//! The administration page: HTML from typed templates, its style sheet and its script.
//!
//! Here: what a page shows and how. Not here: routes, cookies and sessions, where the keys come from. Each
//! function returns a whole document; whoever sends it adds [`SECURITY_HEADERS`]. Text from people is
//! escaped by the template language; there is no inline script, style or handler, so the content security
//! policy can forbid them all.

mod account;
mod assets;
mod audit;
mod audit_entry;
mod companies;
mod difference;
pub(crate) mod directory;
pub(crate) mod elsewhere;
mod form;
mod key;
mod keys;
mod layout;
mod messages;
mod owners;
mod plot;
mod policy;
pub(crate) mod policy_draft;
mod policy_history;
pub(crate) mod policy_text;
mod reader;
mod secret;
mod time;
mod webhook;
mod webhooks;

pub use account::account;
pub use assets::{Asset, asset};
pub use audit::{AuditFilters, AuditPage, audit, audit_verified};
#[cfg(test)]
pub(crate) use audit_entry::expect_words_for;
pub use audit_entry::{AuditEntry, Names};
pub use companies::{COMPANIES_PATH, CompaniesPage, CompanyForm, CompanyPage, ListedCompany, PageCompany, companies, company};
pub use form::Problems;
pub use key::{
    Asked, Change, DELETED, DeletePage, Explained, Fields, GonePage, Key, KeyPage, Named, NewPage, Related, RevokePage, RotatePage, Status,
    Traffic, Trail, delete_key, key, key_gone, key_rotated, revoke_key, rotate_key,
};
pub use keys::{Choice, Created, KeysPage, Making, NewKey, PageKey, created, keys, new_key};
pub use messages::{
    ANOTHER, SignInProblem, WayIn, left_access, link_problem, not_allowed, not_answered, not_found, not_signed_in, not_signed_out,
    session_ended, sign_in_problem, signed_in, unavailable,
};
pub use owners::{OWNERS_PATH, OwnerForm, OwnerPage, OwnersPage, PageOwner, owner, owners};
pub use plot::{Bucket, By, filled, plot, spark};
pub use policy::{HISTORY_PATH, Meanwhile, POLICY_PATH, PolicyPage, Propagation, SavedPolicy, Tried, policy};
pub use policy_history::{Before, HistoryPage, PolicyVersion, VersionPage, policy_history, policy_version};
pub use reader::{Reader, start};
pub use secret::Drawing;
pub(crate) use secret::holds_key;
pub use webhook::{Delivery, ReplayForm, WebhookPage, webhook};
pub use webhooks::{PageWebhook, WEBHOOKS_PATH, WebhookForm, delete_webhook, new_webhook, webhook_created, webhooks};

/// Where the administration begins: it leads on to the first part that is the reader's.
pub const START_PATH: &str = "/admin/";
/// Where the list of keys lives.
pub const KEYS_PATH: &str = "/admin/keys";

/// Where one signs in.
pub const SIGN_IN_PATH: &str = "/sign-in";
/// Where the identity provider sends people back to.
pub const CALLBACK_PATH: &str = "/sign-in/callback";
/// Where one signs out in this browser.
pub const SIGN_OUT_PATH: &str = "/sign-out";
/// Where one signs out in all browsers.
pub const SIGN_OUT_EVERYWHERE_PATH: &str = "/sign-out/everywhere";
/// What to look at after a sign-in in a tab of its own.
pub const SIGNED_IN_PATH: &str = "/admin/signed-in";
/// Where the reader's own account is.
pub const ACCOUNT_PATH: &str = "/admin/account";

/// A text as one segment of an address.
pub fn encoded(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Headers of every page and asset.
pub const SECURITY_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // The own site gets it: without one, browsers send `Origin: null` with a form, and it could not be told from a stranger's.
    ("referrer-policy", "same-origin"),
];
