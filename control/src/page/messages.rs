//! The pages shown instead of what was asked for: nobody signed in, a sign-in that did not work, no answer.

use maud::{Markup, html};

use super::{
    layout::{Frame, document},
    reader::{Reader, Section},
};

/// How a visitor gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// Whether people sign in at an identity provider. If not, they need a link.
    pub provider: bool,
    /// Whether Cloudflare Access has let them in: then nothing is to be done but to go on.
    pub access: bool,
    /// Where they are led then: an address within the administration.
    pub return_to: String,
}

/// What is added to the way in where somebody wants to sign in as another account.
pub const ANOTHER: (&str, &str) = ("account", "another");

impl WayIn {
    fn href(&self) -> String {
        let return_to: String = form_urlencoded::byte_serialize(self.return_to.as_bytes()).collect();
        format!("{}?return={return_to}", super::SIGN_IN_PATH)
    }

    /// The same for another account than the one that the provider would say again by itself.
    fn href_of_another(&self) -> String {
        format!("{}&{}={}", self.href(), ANOTHER.0, ANOTHER.1)
    }

    /// The way in, as a button that leads there or as a sentence. In a tab of its own where this one holds what was typed.
    fn shown(&self, own_tab: bool) -> Markup {
        html! {
            @if self.access {
                p { "Cloudflare Access has let you in, so there is nothing to sign in to." }
                @if !own_tab { p { a.button href=(self.return_to) { "Go on" } } }
            } @else if self.provider {
                p {
                    @if own_tab {
                        a.button href=(self.href()) target="_blank" rel="noopener" { "Sign in" }
                        " (opens in a new tab)"
                    } @else {
                        a.button href=(self.href()) { "Sign in" }
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
        if way.access { "Your session has ended" } else { "Not signed in" },
        &html! {
            @if !way.access { p { "You are not signed in, or your session has ended." } }
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
            p { "What you sent was not done, or not all of it. " @if all { "What you typed is kept on this page." } @else { (KEPT_BUT_SECRETS) } }
            @if !way.access { h2 { "1. Sign in" } }
            (way.shown(true))
            @if !way.access { h2 { "2. Come back here and send it again" } }
            form.plain method="post" {
                @for (name, value) in kept { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Send again" }
            }
        },
    )
}

const KEPT_BUT_SECRETS: &str =
    "What you typed is kept on this page, but passwords and keys are not kept: you will be asked for them again.";

/// For somebody who has just signed in, to go on with another page.
pub fn signed_in() -> String {
    message(
        "You are signed in",
        &html! {
            p { "Close this tab and go on where you were." }
            p { a href=(super::START_PATH) { "Administration" } }
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
    /// What the provider says of itself, or instead of a token, is nothing to sign in with: why not.
    Unusable(String),
    /// Not in the directory, or not active: their id, where it is known.
    Stranger(Option<String>),
    /// The provider does not answer.
    Unavailable,
    /// The provider has done its part, but who that is here could not be found out.
    NoAnswer,
}

/// For somebody whose sign-in did not work. `way`: how to try again, where that helps.
pub fn sign_in_problem(problem: &SignInProblem, way: Option<&WayIn>) -> String {
    let title = match problem {
        SignInProblem::NotBegunHere => "This sign-in cannot be finished here",
        SignInProblem::Stranger(_) => "You are not known here",
        SignInProblem::Unavailable | SignInProblem::NoAnswer => "Signing in is not possible right now",
        _ => "You are not signed in",
    };
    message(
        title,
        &html! {
            @match problem {
                SignInProblem::NotBegunHere => {
                    p { "It was begun in another browser or another tab, or it is finished already." }
                    p { "If you are signed in, go on to the " a href=(super::START_PATH) { "administration" } ". If not, begin again." }
                }
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
                SignInProblem::Unusable(why) => {
                    p { "Sign-in is not set up right on this site. Tell your administrator." }
                    p { "For your administrator: " (why) "." }
                }
                SignInProblem::Stranger(account) => {
                    p { "You have signed in, but your account is not set up here, or it is not active. Ask an administrator of your company for it." }
                    @if let Some(account) = account { p { "Your account is " code { (account) } "." } }
                }
                SignInProblem::Unavailable => p { "The service that you sign in with does not answer. Nothing is wrong with your account." },
                SignInProblem::NoAnswer => p { "A part of this site does not answer. Nothing is wrong with your account." },
            }
            @if let Some(way) = way {
                p {
                    @match problem {
                        SignInProblem::Unavailable | SignInProblem::NoAnswer => a.button href=(way.href()) { "Try again" },
                        SignInProblem::Stranger(_) => a.button href=(way.href_of_another()) { "Try again" },
                        _ => a.button href=(way.href()) { "Sign in" },
                    }
                }
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

/// For somebody who is signed in, but may not see this. `inside`: who they are, and the page's path; then the frame leads to what they
/// may see.
pub fn not_allowed(inside: Option<(&Reader, &str)>) -> String {
    let title = "You may not see this";
    let text = html! {
        p { "Your account lacks the permission for this part of the administration. Ask an administrator of your company for it." }
        @if inside.is_none() { form method="post" action=(super::SIGN_OUT_PATH) { button type="submit" class="secondary" { "Sign out" } } }
    };
    match inside {
        Some((reader, path)) => in_frame(&Frame { title, ..Frame::of(reader, Section::at(path)) }, &text),
        None => message(title, &text),
    }
}

/// For a page, or a thing on it, that is not there, or not for this reader to know of.
pub fn not_found() -> String {
    message(
        "Not found",
        &html! {
            p { "There is no such page, or what it was about is gone." }
            p { a href=(super::START_PATH) { "Administration" } }
        },
    )
}

/// For a moment in which the data cannot be reached.
pub fn unavailable() -> String {
    message(
        "Not available right now",
        &html! {
            p { "A part of this site that is needed does not answer at the moment. Wait a little and try again." }
            p { a href="" { "Try again" } }
        },
    )
}

/// For somebody who wanted to sign out, where nobody knows whether they are; `everywhere`: in all browsers.
pub fn not_signed_out(everywhere: bool) -> String {
    let (action, label) =
        if everywhere { (super::SIGN_OUT_EVERYWHERE_PATH, "Sign out everywhere") } else { (super::SIGN_OUT_PATH, "Sign out") };
    message(
        "No answer came",
        &html! {
            p { "You may still be signed in. Wait a moment and try again before you leave this computer." }
            form.plain method="post" action=(action) { button type="submit" { (label) } }
        },
    )
}

/// For a form whose effect is not known, because no answer came: it can be sent again. `all`: as it was, because nothing was left out.
pub fn not_answered(action: &str, fields: &[(String, String)], all: bool) -> String {
    message(
        "No answer came",
        &html! {
            p { "What you sent may have been done, or not. " @if all { "What you typed is kept on this page." } @else { (KEPT_BUT_SECRETS) } }
            p { "Wait a moment and send it again. If doing it twice would matter, look first whether it was done." }
            form.plain method="post" action=(action) {
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Send again" }
            }
        },
    )
}

fn message(title: &str, text: &Markup) -> String {
    in_frame(&Frame { title, inside: None, above: &[], styles: &[], scripts: &[], done: "" }, text)
}

fn in_frame(frame: &Frame<'_>, text: &Markup) -> String {
    let main = html! {
        article.message { h1 { (frame.title) } (text) }
    };
    document(frame, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(provider: bool) -> WayIn {
        WayIn { provider, access: false, return_to: "/admin/keys?q=a&b=\"<c>".into() }
    }

    const HREF: &str = r#"href="/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Da%26b%3D%22%3Cc%3E""#;

    const HREF_OF_ANOTHER: &str = r#"href="/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Da%26b%3D%22%3Cc%3E&amp;account=another""#;

    #[test]
    fn whom_access_has_let_in_needs_no_link() {
        let way = WayIn { access: true, ..way(false) };
        let html = not_signed_in(&way);
        assert!(html.contains(r#"href="/admin/keys?q=a&amp;b=&quot;&lt;c&gt;""#) && !html.contains("sign-in link"), "{html}");
        assert!(!session_ended(&way, &[], true).contains("sign-in link"));
    }

    #[test]
    fn a_detail_is_text_not_markup() {
        for html in [
            link_problem("<script>alert(1)</script>", &way(false)),
            sign_in_problem(&SignInProblem::Unproven("<script>alert(1)</script>".into()), None),
            sign_in_problem(&SignInProblem::Unusable("<script>alert(1)</script>".into()), None),
            sign_in_problem(&SignInProblem::Stranger(Some("<script>alert(1)</script>".into())), None),
        ] {
            assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
            assert!(!html.contains("<script"));
        }
    }

    #[test]
    fn what_got_no_answer_can_be_sent_again_as_it_was() {
        let html = not_answered("/admin/policy?a=\"b", &[("path".into(), "/a\"><script>".into()), ("path".into(), "/b".into())], true);
        assert!(!html.contains("not kept") && not_answered("/admin/policy", &[], false).contains("not kept"));
        assert!(html.contains(
            r#"<input type="hidden" name="path" value="/a&quot;&gt;&lt;script&gt;"><input type="hidden" name="path" value="/b">"#
        ));
        assert!(html.contains(r#"action="/admin/policy?a=&quot;b""#));
    }

    #[test]
    fn a_visitor_without_a_session_learns_what_to_do() {
        assert!(not_signed_in(&way(false)).contains("new sign-in link") && !not_signed_in(&way(false)).contains(r#"class="button""#));
        assert!(not_signed_in(&way(true)).contains(HREF) && !not_signed_in(&way(true)).contains("sign-in link"));
        assert!(unavailable().contains("Try again"));
        for inside in [None, Some((&Reader::default(), "/admin/audit/verify"))] {
            let html = not_allowed(inside);
            assert!(html.contains("administrator") && html.matches(r#"action="/sign-out""#).count() == 1, "{html}");
        }
        for (everywhere, action) in [(false, r#"action="/sign-out""#), (true, r#"action="/sign-out/everywhere""#)] {
            let html = not_signed_out(everywhere);
            assert!(html.contains(action) && html.contains("may still be signed in"), "{html}");
        }
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
            (SignInProblem::Unusable("it has no token_endpoint".into()), "it has no token_endpoint."),
            (SignInProblem::Stranger(None), "not known here"),
            (SignInProblem::Unavailable, "Try again"),
            (SignInProblem::NoAnswer, "Try again"),
        ] {
            let html = sign_in_problem(&problem, Some(&way(true)));
            let href = if matches!(problem, SignInProblem::Stranger(_)) { HREF_OF_ANOTHER } else { HREF };
            assert!(html.contains(words) && html.contains(href), "{problem:?}: {html}");
            assert!(!sign_in_problem(&problem, None).contains("/sign-in?"));
        }
        // Who reloads the page after a sign-in that worked is signed in, and need not do it again.
        let html = sign_in_problem(&SignInProblem::NotBegunHere, Some(&way(true)));
        assert!(html.contains(r#"href="/admin/""#) && !html.contains("not signed in"), "{html}");
    }
}
