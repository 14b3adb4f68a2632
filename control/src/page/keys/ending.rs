//! The dialog over the list in which a key is revoked; the script puts the key's name into it. Deleting one leads to a page of its own,
//! which asks for the name.

use maud::{Markup, html};

use super::{cancel, dialog};

pub(super) fn revoke() -> Markup {
    let body = html! {
        p { "Revoke " strong data-slot="name" {} "?" }
        p {
            "Within a few minutes the key stops working everywhere. This cannot be undone. Its record stays in this list, \
             with its usage and its last use."
        }
    };
    let buttons = html! {
        (cancel())
        button type="button" data-confirm { "Revoke key" }
    };
    dialog("revoke-dialog", "Revoke this key?", &body, &buttons)
}
