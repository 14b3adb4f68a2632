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

/// The same where the answer to the form names the owner: the script puts the name there.
pub(super) const ITS_OWNER: &str = "its owner";

/// Whether there is a key in a text, be it mistyped or cut a little: nothing else that people write has so much after an underscore.
pub(crate) fn holds_key(text: &str) -> bool {
    const MUCH: usize = 40;
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| word.rsplit_once('_').is_some_and(|(prefix, rest)| !prefix.is_empty() && rest.len() >= MUCH))
}

/// Where the key of a form is made, in the element that `assets/birth.mjs` rewrites when the browser can do it.
pub(super) fn birth(id: &str) -> Markup {
    html! { p.birth id=(id) { "The server makes the key, shows it to you once, and keeps only a fingerprint of it." } }
}

/// The dialog. `acts_as`: the key's owner, or [`YOU`], or [`ITS_OWNER`]. `closedby="none"`: neither Escape nor a click outside may lose the key.
/// `assets/secret.mjs` fills, guards and empties it.
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
    // Where the deployment does not say it, what is to be put there reads as that.
    let edge_url = if edge_url.is_empty() { "https://YOUR-API" } else { edge_url.trim_end_matches('/') };
    let example = format!("curl -H \"x-api-key: ${VARIABLE}\" {edge_url}/");
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
        // A page says it in its head.
        @if key.is_empty() { p #created-end {} }
        ul {
            li { "Whoever has this key acts as " @if acts_as == ITS_OWNER { span #created-owner { (acts_as) } } @else { (acts_as) } ", with everything it may do." }
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
    fn the_script_finds_where_the_owner_s_name_belongs() {
        assert!(dialog("", ITS_OWNER).into_string().contains("acts as <span id=\"created-owner\">its owner</span>, with"));
    }

    #[test]
    fn an_edge_that_nobody_named_reads_as_something_to_fill_in() {
        assert!(dialog("", YOU).into_string().contains("$KEYWARD_KEY&quot; https://YOUR-API/<"));
    }

    #[test]
    fn a_key_is_known_wherever_it_is_pasted() {
        let key = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
        for text in [key, &key[..50], &key.replace('M', "m"), &format!("X-API-Key: {key}\n")] {
            assert!(holds_key(text), "{text}");
        }
        for text in ["", "key_5McJmDgrvcm7AQFuv3B2", "kw_live_…fA1e", "ERP nightly sync", &"a".repeat(64), &format!("_{}", "a".repeat(64))]
        {
            assert!(!holds_key(text), "{text}");
        }
    }

    #[test]
    fn hostile_text_is_escaped() {
        let html = part("\"><script>", "\"><script>", "\"><script>", "\"><script>").into_string();
        assert!(!html.contains("<script>"), "{html}");
    }
}
