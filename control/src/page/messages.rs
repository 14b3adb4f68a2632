//! The pages shown instead of what was asked for: nobody signed in, a sign-in that did not work, no answer.

use maud::{Markup, html};

use super::layout::{Frame, document};

/// How a visitor gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// Whether people sign in at an identity provider. If not, they need a link.
    pub provider: bool,
    /// Where they are led then: an address within the administration.
    pub return_to: String,
}

impl WayIn {
    fn href(&self) -> String {
        let return_to: String = form_urlencoded::byte_serialize(self.return_to.as_bytes()).collect();
        format!("{}?return={return_to}", super::SIGN_IN_PATH)
    }

    /// The way in, as a button that leads there or as a sentence. In a tab of its own where this one holds what was typed.
    fn shown(&self, own_tab: bool) -> Markup {
        html! {
            @if self.provider {
                p {
                    @if own_tab {
                        a role="button" href=(self.href()) target="_blank" rel="noopener" { "Sign in" }
                        " (opens in a new tab)"
                    } @else {
                        a role="button" href=(self.href()) { "Sign in" }
                    }
                }
            } @else {
                p {
                    "Open a new sign-in link to continue"
                    @if own_tab { ", in another tab" }
                    ". You get one from the application that led you here, or from your administrator."
                }
            }
        }
    }
}

/// For a visitor without a session.
pub fn not_signed_in(way: &WayIn) -> String {
    message(
        "Not signed in",
        &html! {
            p { "You are not signed in, or your session has ended." }
            (way.shown(false))
        },
    )
}

/// For somebody whose session ended before they sent a form to this page's address. `kept` is what they typed; `all`: nothing was
/// left out.
pub fn session_ended(way: &WayIn, kept: &[(String, String)], all: bool) -> String {
    message(
        "Your session has ended",
        &html! {
            p { "Nothing has been changed yet. What you typed is kept on this page." }
            h2 { "1. Sign in" }
            (way.shown(true))
            h2 { "2. Come back here and send it again" }
            @if !all { p { "Passwords and keys are not kept: you will be asked for them again." } }
            form.plain method="post" {
                @for (name, value) in kept { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Send again" }
            }
        },
    )
}

/// For somebody who has just signed in, to go on with another page.
pub fn signed_in() -> String {
    message(
        "You are signed in",
        &html! {
            p { "Close this tab and go on where you were." }
            p { a href=(super::KEYS_PATH) { "API Keys" } }
        },
    )
}

/// Why somebody who was at the identity provider is not signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInProblem {
    /// Not begun in this browser, begun twice, or used already.
    NotBegunHere,
    /// Begun too long ago.
    TookTooLong,
    /// The provider, or they themselves, said no.
    Denied,
    /// The provider does not take its own code any more.
    CodeRefused,
    /// What came is not from this provider, or not for this site: why not.
    Unproven(String),
    /// The provider does not take this site as it is set up: its word for that.
    Misconfigured(&'static str),
    /// Not in the directory, or not active: their id, where it is known.
    Stranger(Option<String>),
    /// The provider does not answer.
    Unavailable,
}

/// For somebody whose sign-in did not work. `way`: how to try again, where that helps.
pub fn sign_in_problem(problem: &SignInProblem, way: Option<&WayIn>) -> String {
    let title = match problem {
        SignInProblem::Stranger(_) => "You are not known here",
        SignInProblem::Unavailable => "Signing in is not possible right now",
        _ => "You are not signed in",
    };
    message(
        title,
        &html! {
            @match problem {
                SignInProblem::NotBegunHere => p { "This sign-in was begun in another browser or another tab, or it is finished already. Begin again here." },
                SignInProblem::TookTooLong => p { "Signing in took too long. Begin again." },
                SignInProblem::Denied => p { "The sign-in was cancelled, or it was refused there." },
                SignInProblem::CodeRefused => p { "The sign-in was confirmed too late, or twice. Begin again." },
                SignInProblem::Unproven(why) => {
                    p { "What came back from the sign-in cannot be used here." }
                    p { "For your administrator: " (why) "." }
                }
                SignInProblem::Misconfigured(word) => {
                    p { "Sign-in is not set up right on this site. Tell your administrator." }
                    p { "For your administrator: the identity provider says " code { (word) } "." }
                }
                SignInProblem::Stranger(account) => {
                    p { "You have signed in, but your account is not set up here, or it is not active. Ask an administrator of your company for it." }
                    @if let Some(account) = account { p { "Your account is " code { (account) } "." } }
                }
                SignInProblem::Unavailable => p { "The service that you sign in with does not answer. Nothing is wrong with your account." },
            }
            @if let Some(way) = way {
                p { a role="button" href=(way.href()) { @if matches!(problem, SignInProblem::Unavailable | SignInProblem::Stranger(_)) { "Try again" } @else { "Sign in" } } }
            }
        },
    )
}

/// For somebody who has signed out and is now led out of Cloudflare Access too: `onwards`.
pub fn left_access(onwards: &str) -> String {
    message(
        "You are signed out here",
        &html! {
            p { "You are being signed out of Cloudflare Access too." }
            p { a href=(onwards) { "Go on" } }
        },
    )
}

/// For a sign-in link that cannot be used; `detail` says why. `way`: another way in, where there is one.
pub fn link_problem(detail: &str, way: &WayIn) -> String {
    message(
        "This sign-in link does not work",
        &html! {
            p { (detail) }
            p { "A link signs in once and only for a short time. Ask for a new one where you got this one." }
            @if way.provider { (way.shown(false)) }
        },
    )
}

/// For somebody who is signed in, but may not have keys.
pub fn not_allowed() -> String {
    message(
        "You may not see this",
        &html! {
            p { "Your account lacks the permission for this part of the administration. Ask an administrator of your company for it." }
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
    document(&Frame { title, inside: None, above: &[], styles: &[], scripts: &[], done: "" }, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(provider: bool) -> WayIn {
        WayIn { provider, return_to: "/admin/keys?q=a&b=\"<c>".into() }
    }

    const HREF: &str = r#"href="/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Da%26b%3D%22%3Cc%3E""#;

    #[test]
    fn a_detail_is_text_not_markup() {
        for html in [
            link_problem("<script>alert(1)</script>", &way(false)),
            sign_in_problem(&SignInProblem::Unproven("<script>alert(1)</script>".into()), None),
            sign_in_problem(&SignInProblem::Stranger(Some("<script>alert(1)</script>".into())), None),
        ] {
            assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
            assert!(!html.contains("<script"));
        }
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
        assert!(not_signed_in(&way(false)).contains("new sign-in link") && !not_signed_in(&way(false)).contains(r#"role="button""#));
        assert!(not_signed_in(&way(true)).contains(HREF) && !not_signed_in(&way(true)).contains("sign-in link"));
        assert!(unavailable().contains("Try again"));
        assert!(not_allowed().contains("administrator") && not_allowed().contains("/sign-out"));
        assert!(!not_signed_in(&way(true)).contains("Sign out"));
        assert!(link_problem("x", &way(true)).contains(HREF) && !link_problem("x", &way(false)).contains("/sign-in"));
    }

    #[test]
    fn what_was_typed_is_kept_as_it_was() {
        let kept = [("name".into(), "a \"quoted\" <b>&amp;".into()), ("<x>".into(), "line 1\nline 2".into()), ("name".into(), "b".into())];
        let html = session_ended(&way(true), &kept, true);
        assert!(html.contains(r#"<form class="plain" method="post"><input"#), "to where it came from: {html}");
        assert!(html.contains(r#"<input type="hidden" name="name" value="a &quot;quoted&quot; &lt;b&gt;&amp;amp;">"#), "{html}");
        assert!(html.contains("<input type=\"hidden\" name=\"&lt;x&gt;\" value=\"line 1\nline 2\">"), "{html}");
        assert_eq!(html.matches(r#"type="hidden""#).count(), 3);
        assert!(html.contains(HREF) && html.contains(r#"target="_blank" rel="noopener""#));
        assert!(!html.contains("not kept"));
        assert!(session_ended(&way(false), &[], false).contains("in another tab"));
        assert!(session_ended(&way(false), &[], false).contains("not kept"));
    }

    #[test]
    fn every_problem_says_what_happened_and_how_to_go_on() {
        for (problem, words) in [
            (SignInProblem::NotBegunHere, "another browser"),
            (SignInProblem::TookTooLong, "too long"),
            (SignInProblem::Denied, "cancelled"),
            (SignInProblem::CodeRefused, "too late, or twice"),
            (SignInProblem::Unproven("the token has expired".into()), "the token has expired."),
            (SignInProblem::Misconfigured("invalid_scope"), "invalid_scope"),
            (SignInProblem::Stranger(None), "not known here"),
            (SignInProblem::Unavailable, "Try again"),
        ] {
            let html = sign_in_problem(&problem, Some(&way(true)));
            assert!(html.contains(words) && html.contains(HREF), "{problem:?}: {html}");
            assert!(!sign_in_problem(&problem, None).contains(HREF));
        }
    }
}
