//! A new key, shown once: as a dialog that the script fills, and as part of a page for browsers without a script.
//!
//! Both say the same and offer the same: copying, a file for a program's environment, a call to try it with. The dialog is sent empty;
//! only the part of a page has the key in it, and nothing keeps that page.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Where a new key can be drawn: in a browser that has these two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The address of the script.
    pub script: String,
    /// The address of the WebAssembly.
    pub wasm: String,
}

/// What the variable is called in the file and in the example.
const VARIABLE: &str = "KEYWARD_KEY";

/// Whom a key acts as, to its owner.
pub(super) const YOU: &str = "you";

/// Where the key of a form is made, in the element that `assets/birth.mjs` rewrites when the browser can do it.
pub(super) fn birth(id: &str) -> Markup {
    html! { p.birth id=(id) { "The server makes the key, shows it to you once, and keeps only a fingerprint of it." } }
}

/// The dialog. `acts_as`: the key's owner, or [`YOU`]. `closedby="none"`: neither Escape nor a click outside may lose the key. `assets/secret.mjs` fills, guards and empties it.
pub(super) fn dialog(edge_url: &str, acts_as: &str) -> Markup {
    html! {
        dialog #created-dialog aria-labelledby="created-dialog-title" aria-describedby="created-once" closedby="none" {
            article {
                header { h2 #created-dialog-title { "Your new key" } }
                (shown_once("", edge_url, acts_as))
                footer { button #stored-key type="button" { "I have stored it" } }
            }
        }
    }
}

/// The part of a page that has the key in it. `acts_as`: the key's owner, or [`YOU`]. `on` is where the reader goes when the key is stored.
pub(super) fn part(key: &str, edge_url: &str, acts_as: &str, on: &str) -> Markup {
    html! {
        article.secret aria-labelledby="created-title" {
            header { h2 #created-title { "Your new key" } }
            (shown_once(key, edge_url, acts_as))
            footer { a.button href=(on) { "I have stored it" } }
        }
    }
}

fn shown_once(key: &str, edge_url: &str, acts_as: &str) -> Markup {
    let example = format!("curl -H \"x-api-key: ${VARIABLE}\" {}/", edge_url.trim_end_matches('/'));
    let file = (!key.is_empty()).then(|| format!("data:text/plain,{VARIABLE}%3D{}%0A", utf8_percent_encode(key, NON_ALPHANUMERIC)));
    html! {
        p #created-once { strong { "Store it now: it will not be shown again." } }
        div.new-key {
            code #new-key tabindex="0" role="textbox" aria-readonly="true" aria-label="The new key" { (key) }
            // Copying needs the script, which shows the button on a page.
            button #copy-key type="button" hidden[!key.is_empty()] { "Copy" }
        }
        p { a #download-key download="keyward.env" href=[file] data-variable=(VARIABLE) { "Download as an .env file" } }
        p #copy-status role="status" {}
        ul {
            li { "Whoever has this key acts as " (acts_as) ", with everything it may do." }
            li { "Keep it in a secrets manager or a password vault." }
            li { "Never put it into mail, chat, shared documents or source code." }
            li { "If you lose it, nobody can bring it back: revoke it and make a new one." }
        }
        p { "To try it, with the key in the variable " code { (VARIABLE) } ":" }
        pre tabindex="0" { code { (example) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_sent_without_a_key_and_a_part_with_it() {
        let dialog = dialog("https://api.example/", YOU).into_string();
        assert!(dialog.contains("aria-label=\"The new key\"></code>") && !dialog.contains("data:"), "{dialog}");
        let part = part("kw_live_x", "https://api.example", "Ann", "/admin/keys/key_1").into_string();
        assert!(part.contains("aria-label=\"The new key\">kw_live_x</code>"), "{part}");
        assert!(part.contains("href=\"data:text/plain,KEYWARD_KEY%3Dkw%5Flive%5Fx%0A\""), "{part}");
        assert!(dialog.contains("acts as you, with") && part.contains("acts as Ann, with"));
        for html in [&dialog, &part] {
            assert!(html.contains("curl -H &quot;x-api-key: $KEYWARD_KEY&quot; https://api.example/<"), "{html}");
            assert!(html.contains("will not be shown again") && !html.contains("style="), "{html}");
        }
    }

    #[test]
    fn hostile_text_is_escaped() {
        let html = part("\"><script>", "\"><script>", "\"><script>", "\"><script>").into_string();
        assert!(!html.contains("<script>"), "{html}");
    }
}
