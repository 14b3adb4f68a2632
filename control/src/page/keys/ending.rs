//! The dialogs over the list in which a key is revoked or deleted. The script puts the key's name into them.

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

pub(super) fn delete() -> Markup {
    let body = html! {
        p { "Delete " strong data-slot="name" {} "?" }
        p {
            "Its row, its usage and its last use are gone for good; only the audit trail remembers that there was such a key. \
             If it still works, it stops working within a few minutes."
        }
        p { "To turn a key off and keep its record, revoke it instead." }
    };
    let buttons = html! {
        (cancel())
        button.danger type="button" data-confirm { "Delete key" }
    };
    dialog("delete-dialog", "Delete this key?", &body, &buttons)
}
