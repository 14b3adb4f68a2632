//! The reader's own account: who they are here, what they may do, and the ways out.

use maud::html;

use super::{
    layout::{Frame, document},
    reader::{Reader, Section},
};

/// `access`: whether Cloudflare Access has let the reader in, from which one signs out too.
pub fn account(reader: &Reader, access: bool) -> String {
    let permissions: Vec<String> = reader.permissions.iter().map(ToString::to_string).collect();
    let main = html! {
        header.title { div { h1 { "Your account" } } }
        dl.facts {
            dt { "Name" } dd { (reader.name()) }
            dt { "Account" } dd { code { (reader.owner) } }
            dt { "Company" } dd { (reader.company_name()) }
            dt { "Permissions" }
            dd {
                @if permissions.is_empty() { "none" }
                @for (index, permission) in permissions.iter().enumerate() {
                    @if index > 0 { ", " }
                    code { (permission) }
                }
            }
        }
        section aria-labelledby="ways-out" {
            h2 #ways-out { "Sign out" }
            p {
                "Sign out when you leave this computer."
                @if access { " You are then signed out of Cloudflare Access too." }
            }
            form.plain method="post" action="/sign-out" { button type="submit" { "Sign out here" } }
            p.apart {
                "Signed in on a computer that you no longer have, or not sure where? This ends every session of yours, in all browsers, this one too. "
                "Your API keys keep working."
            }
            form.plain method="post" action="/sign-out/everywhere" { button.secondary type="submit" { "Sign out everywhere" } }
        }
    };
    document(&Frame::of(reader, Section::Account), &main)
}

#[cfg(test)]
mod tests {
    use keyward_shared::permission::PermissionSet;

    use super::*;

    #[test]
    fn an_account_shows_what_it_is_as_text_and_both_ways_out() {
        let reader = Reader {
            owner: "auth0|5f2".into(),
            owner_name: Some("<b>Ann</b>".into()),
            company: "acme".into(),
            company_name: Some("<i>Acme".into()),
            permissions: PermissionSet::parse(["keyward.keys.own", "orders.*"]).unwrap(),
            ..Reader::default()
        };
        let html = account(&reader, false);
        assert!(html.contains("&lt;b&gt;Ann&lt;/b&gt;") && !html.contains("<b>Ann") && !html.contains("<i>"));
        assert!(html.contains("auth0|5f2") && html.contains("orders.*"));
        assert!(html.contains(r#"action="/sign-out""#) && html.contains(r#"action="/sign-out/everywhere""#));
        assert!(html.contains("<title>Your account · Keyward</title>") && !html.contains("Access"));
        assert!(account(&reader, true).contains("Cloudflare Access"));
        assert!(account(&Reader::default(), false).contains("none"));
    }
}
