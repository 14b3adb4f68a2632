//! The frame around every page: head, navigation, main.

use maud::{DOCTYPE, Markup, html};

use super::assets::urls;

/// Who is signed in, as the navigation names them.
pub(super) struct SignedIn<'a> {
    /// Their name.
    pub(super) owner: &'a str,
    /// Their company's name.
    pub(super) company: &'a str,
}

/// A whole document. The script is loaded only where somebody is signed in: the other pages do nothing.
pub(super) fn document(title: &str, signed_in: Option<&SignedIn<'_>>, main: &Markup) -> String {
    let urls = urls();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Keyward" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(urls.pico);
                link rel="stylesheet" href=(urls.style);
                @if signed_in.is_some() {
                    script type="module" src=(urls.script) {}
                }
            }
            body {
                header.container {
                    nav aria-label="Account" {
                        ul { li { strong { "Keyward" } } }
                        @if let Some(who) = signed_in {
                            ul {
                                li.who { (who.owner) " · " (who.company) }
                                li {
                                    form.plain method="post" action="/sign-out" {
                                        button.secondary.outline.small type="submit" { "Sign out" }
                                    }
                                }
                            }
                        }
                    }
                }
                main.container { (main) }
            }
        }
    }
    .into_string()
}
