//! Where somebody is led after they signed in: only within the administration of this very site, whoever made the link.

/// The longest address that is kept.
const MAX: usize = 512;

/// `text`, where it is an address within the administration: no other site, no other part of this one by way of dots, nothing
/// that a browser reads in another way than it is written.
pub(in super::super) fn within_admin(text: &str) -> Option<&str> {
    let path = text.split('?').next()?;
    let inside = path.strip_prefix("/admin/")?;
    let plain = text.len() <= MAX && text.bytes().all(|b| b.is_ascii_graphic() && !b"\\#\"<>^`{}".contains(&b));
    let lower = inside.to_ascii_lowercase();
    let dotted = lower.split('/').any(|segment| matches!(segment.replace("%2e", ".").as_str(), "." | ".."));
    (plain && !dotted).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_within_the_administration() {
        for good in [
            "/admin/",
            "/admin/keys",
            "/admin/keys/key_7",
            "/admin/keys?q=a%20b&sort=name",
            "/admin/owners/auth0%7C5f2",
            "/admin/owners/auth0|5f2",
            "/admin/keys?u=https://a",
        ] {
            assert_eq!(within_admin(good), Some(good), "{good}");
        }
    }

    #[test]
    fn one_is_led_nowhere_else() {
        for bad in [
            "",
            "/",
            "/admin",
            "/adminx",
            "/sign-out",
            "/v1/keys",
            "admin/keys",
            "//evil.example/admin/keys",
            "///evil.example/admin/",
            "/\\evil.example/admin/",
            "\\/evil.example",
            "https://evil.example/admin/keys",
            "https:/admin/keys",
            "javascript:alert(1)//admin/",
            "/admin/../v1/keys",
            "/admin/..//evil.example",
            "/admin/..",
            "/admin/./../../evil",
            "/admin/%2e%2e/x",
            "/admin/%2E./x",
            "/admin/.%2e?x",
            "/admin/\\..\\..\\evil",
            "/admin/keys#x",
            "/admin/keys\r\nSet-Cookie: a=b",
            "/admin/keys\t",
            " /admin/keys",
            "/admin/k eys",
            "/admin/schlüssel",
            "/ADMIN/keys",
        ] {
            assert_eq!(within_admin(bad), None, "{bad:?}");
        }
        assert_eq!(within_admin(&format!("/admin/{}", "a".repeat(MAX))), None);
    }
}
