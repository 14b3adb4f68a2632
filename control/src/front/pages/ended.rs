//! What a page says where nobody is signed in, or no longer: how to get in, and back to where one wanted to go. What was typed into a
//! form is kept on that page, so that it can be sent again; passwords and keys are not.

use keyward_shared::{ids::KeyId, key::ParsedKey};

use super::{
    super::{Answer, Context, Request, credential, sign_in::within_admin},
    form::Form,
};
use crate::{
    page::{self, START_PATH, WayIn},
    settings::ControlSettings,
};

/// How one gets in here, and where one is led then.
pub(in super::super) fn way_in(settings: &ControlSettings, return_to: &str) -> WayIn {
    WayIn { provider: settings.sign_in.is_some(), access: false, return_to: return_to.to_owned() }
}

/// The same for somebody whose session has ended: it went before Cloudflare Access, which may have let them in all the same.
pub(in super::super) fn way_in_again(request: &Request, settings: &ControlSettings, return_to: &str) -> WayIn {
    let access =
        settings.access.is_some() && request.headers.access_assertion.is_some() && credential::of_session(request, settings).is_some();
    WayIn { access, ..way_in(settings, return_to) }
}

/// The answer to a request of somebody who is not signed in.
pub(super) fn answer<O>(request: &Request, context: &Context<'_, O>) -> Answer {
    let settings = context.settings;
    if !request.is_safe()
        && let Ok(form) = Form::read(request)
    {
        let kept = kept(&form);
        let all = kept.len() == form.sent().len();
        return Answer::html(401, page::session_ended(&way_in_again(request, settings, page::SIGNED_IN_PATH), &kept, all));
    }
    let whole = match request.target.query.as_str() {
        query if query.is_empty() || page::holds_key(query) => request.target.path.clone(),
        query => format!("{}?{query}", request.target.path),
    };
    let here = within_admin(&whole).unwrap_or(START_PATH);
    let let_in_by_access =
        settings.access.is_some() && request.headers.access_assertion.is_some() && credential::of_session(request, settings).is_none();
    let page = if let_in_by_access {
        page::sign_in_problem(&page::SignInProblem::Stranger(None), None)
    } else {
        page::not_signed_in(&way_in_again(request, settings, here))
    };
    Answer::html(401, page)
}

/// What of a form may come back in a page, to be sent again.
pub(super) fn kept(form: &Form) -> Vec<(String, String)> {
    form.sent().iter().filter(|(name, value)| !is_secret(name, value)).cloned().collect()
}

/// Whether a field must not come back in a page. The id of a key is no secret, whatever the field is called.
fn is_secret(name: &str, value: &str) -> bool {
    const SECRET: [&str; 5] = ["password", "passphrase", "secret", "token", "key"];
    let name = name.to_ascii_lowercase();
    let named = SECRET.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")) || name.ends_with(&format!("-{word}")));
    let mut words = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    (named && KeyId::new(value.trim()).is_err()) || words.any(|word| ParsedKey::parse(word.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_keys_are_known_by_their_names_and_by_what_they_are() {
        let key = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
        for (name, value) in [
            ("password", ""),
            ("New-Password", "x"),
            ("client_secret", "x"),
            ("key", "x"),
            ("name", key),
            ("note", &format!("KEY={key}\n")),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("name", "ERP nightly sync"),
            ("key", "key_5McJmDgrvcm7AQFuv3B2"),
            ("key_id", "key_7"),
            ("keyboard", "x"),
            ("reason", &key[..40]),
            ("", ""),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }
}
