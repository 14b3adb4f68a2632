//! The pages shown instead of the list: nobody signed in, a link that no longer works, no answer.

use maud::{Markup, html};

use super::layout::{Frame, document};

/// For a visitor without a session.
pub fn not_signed_in() -> String {
    message(
        "Not signed in",
        &html! {
            p { "You are not signed in, or your session has ended." }
            p { "Open a new sign-in link to continue. You get one from the application that led you here, or from your administrator." }
        },
    )
}

/// For a sign-in link that cannot be used; `detail` says why.
pub fn link_problem(detail: &str) -> String {
    message(
        "This sign-in link does not work",
        &html! {
            p { (detail) }
            p { "A link signs in once and only for a short time. Ask for a new one where you got this one." }
        },
    )
}

/// For somebody who is signed in, but may not have keys.
pub fn not_allowed() -> String {
    message(
        "You may not manage API keys",
        &html! {
            p { "Your account lacks the permission for API keys here. Ask an administrator of your company for it." }
            form method="post" action="/sign-out" { button type="submit" class="secondary" { "Sign out" } }
        },
    )
}

/// For a page, or a thing on it, that is not there, or not for this reader to know of.
pub fn not_found() -> String {
    message(
        "Not found",
        &html! {
            p { "There is no such page, or what it was about is gone." }
            p { a href=(super::KEYS_PATH) { "API Keys" } }
        },
    )
}

/// For a moment in which the data cannot be reached.
pub fn unavailable() -> String {
    message(
        "Not available right now",
        &html! {
            p { "Your keys cannot be shown at this moment. Nothing has been changed, and keys in use keep working." }
            p { a href="" { "Try again" } }
        },
    )
}

/// For a form whose effect is not known, because no answer came: it can be sent again as it was.
pub fn not_answered(action: &str, fields: &[(String, String)]) -> String {
    message(
        "No answer came",
        &html! {
            p { "What you sent may have been done, or not. Nothing that you typed is lost: this page keeps it." }
            p { "Wait a moment and send it again. If doing it twice would matter, look first whether it was done." }
            form.plain method="post" action=(action) {
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Send again" }
            }
        },
    )
}

fn message(title: &str, text: &Markup) -> String {
    let main = html! {
        article.message { h1 { (title) } (text) }
    };
    document(&Frame { title, inside: None, above: &[], scripts: &[], done: "" }, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_text_not_markup() {
        let html = link_problem("<script>alert(1)</script>");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn what_got_no_answer_can_be_sent_again_as_it_was() {
        let html = not_answered("/admin/policy?a=\"b", &[("path".into(), "/a\"><script>".into()), ("path".into(), "/b".into())]);
        assert!(html.contains(
            r#"<input type="hidden" name="path" value="/a&quot;&gt;&lt;script&gt;"><input type="hidden" name="path" value="/b">"#
        ));
        assert!(html.contains(r#"action="/admin/policy?a=&quot;b""#));
    }

    #[test]
    fn a_visitor_without_a_session_learns_what_to_do() {
        assert!(not_signed_in().contains("new sign-in link"));
        assert!(unavailable().contains("Try again"));
        assert!(not_allowed().contains("administrator") && not_allowed().contains("/sign-out"));
        assert!(!not_signed_in().contains("Sign out"));
    }
}
