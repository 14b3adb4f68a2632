//! Where a webhook may lead. A URL is read as a browser reads it (WHATWG) and kept in the form that came out: what is
//! checked is what is sent to. A name that resolves to a private address is the network's business, which asks after
//! resolving.

use core::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::parse::{self, Host};
use crate::settings::WebhookTargets;

/// The longest URL, in bytes.
const MAX_LEN: usize = 2_000;
/// Names that mean this machine or this network, with everything below them.
const LOCAL_NAMES: [&str; 6] = ["localhost", "localdomain", "local", "internal", "lan", "home.arpa"];

/// Why a URL is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Too long.
    #[error("must be at most {MAX_LEN} bytes long")]
    TooLong,
    /// Not a URL, or not in ASCII.
    #[error("must be an absolute URL in ASCII")]
    Unreadable,
    /// Not `https`.
    #[error("must begin with https://")]
    Scheme,
    /// A user or a password.
    #[error("must not hold a user or a password")]
    Credentials,
    /// A fragment.
    #[error("must not have a fragment")]
    Fragment,
    /// An address or a name that is not of the public Internet.
    #[error("must lead to a name or an address of the public Internet")]
    Private,
}

/// The URL `text` in its one form, where webhooks may lead there.
pub fn check(text: &str, targets: WebhookTargets) -> Result<String, TargetError> {
    if text.len() > MAX_LEN {
        return Err(TargetError::TooLong);
    }
    // The parser leaves out blanks and line breaks, and turns other scripts into ASCII: nobody needs that here.
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TargetError::Unreadable);
    }
    let any = targets == WebhookTargets::Any;
    // Other schemes have no hosts, or other ones.
    let Some(scheme) = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()) else {
        return Err(TargetError::Unreadable);
    };
    if scheme != "https" && !(any && scheme == "http") {
        return Err(TargetError::Scheme);
    }
    let url = parse::parse(text).filter(|url| url.scheme == scheme).ok_or(TargetError::Unreadable)?;
    if url.credentials {
        return Err(TargetError::Credentials);
    }
    if url.href.contains('#') {
        return Err(TargetError::Fragment);
    }
    if url.href.len() > MAX_LEN {
        return Err(TargetError::TooLong);
    }
    let public = match &url.host {
        Host::Name(name) => public_name(name),
        Host::V4(address) => public_v4(*address),
        Host::V6(address) => public_v6(*address),
    };
    if public || any { Ok(url.href) } else { Err(TargetError::Private) }
}

/// Of a URL that was checked only where it leads: `https://host:port`.
pub(super) fn origin(url: &str) -> Option<String> {
    parse::parse(url).map(|url| url.origin)
}

/// Whether a name (in lower case, as the parser gives it) can be of the public Internet.
fn public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let within = |local: &&str| name == *local || name.strip_suffix(*local).is_some_and(|rest| rest.ends_with('.'));
    name.contains('.') && !LOCAL_NAMES.iter().any(within)
}

/// Whether an address is of the public Internet: none of IANA's special-purpose blocks.
fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => b == 168 || b == 0 && (c == 0 || c == 2) || b == 88 && c == 99,
        198 => b & 0xfe == 18 || b == 51 && c == 100,
        203 => b == 0 && c == 113,
        _ => false,
    };
    !special
}

/// The same for IPv6: global unicast, without what stands for another protocol's addresses and for documentation. So
/// addresses that hold one of IPv4 (mapped, translated, 6to4, Teredo) are none.
fn public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = match first {
        0x2001 => second < 0x200 || second == 0xdb8,
        0x2002 => true,
        0x3fff => second < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> Result<String, TargetError> {
        check(text, WebhookTargets::Public)
    }

    #[test]
    fn a_public_https_url_is_taken_in_its_one_form() {
        for (text, form) in [
            ("https://hooks.example.com/keyward?x=1", "https://hooks.example.com/keyward?x=1"),
            ("HTTPS://Hooks.Example.COM:443", "https://hooks.example.com/"),
            ("https://hooks.example.com:8443/a/../b", "https://hooks.example.com:8443/b"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
            ("https://notlocalhost.example/", "https://notlocalhost.example/"),
            ("https://localhost.example.com/", "https://localhost.example.com/"),
            ("https://172.32.0.1/", "https://172.32.0.1/"),
            ("https://100.128.0.1/", "https://100.128.0.1/"),
        ] {
            assert_eq!(public(text).as_deref(), Ok(form), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_https_url_is_refused() {
        let long = format!("https://hooks.example.com/{}", "x".repeat(2_000));
        let grows = format!("https://hooks.example.com/{}", "\"".repeat(1_900));
        for (text, error) in [
            ("", TargetError::Unreadable),
            ("/path", TargetError::Unreadable),
            ("https://", TargetError::Unreadable),
            ("https://a b.example.com/", TargetError::Unreadable),
            ("https://hooks.example.com/\n", TargetError::Unreadable),
            ("https://höoks.example.com/", TargetError::Unreadable),
            ("https://hooks.example.com:99999/", TargetError::Unreadable),
            ("http://hooks.example.com/", TargetError::Scheme),
            ("ftp://hooks.example.com/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            ("data:text/plain,x", TargetError::Scheme),
            ("https://user@hooks.example.com/", TargetError::Credentials),
            ("https://:secret@hooks.example.com/", TargetError::Credentials),
            ("https://hooks.example.com/#", TargetError::Fragment),
            ("https://hooks.example.com/#x", TargetError::Fragment),
            (long.as_str(), TargetError::TooLong),
            (grows.as_str(), TargetError::TooLong),
        ] {
            assert_eq!(public(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_not_of_the_public_internet_is_refused_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "printer.local",
            "vault.internal",
            "metadata.google.internal",
            "nas.lan",
            "x.home.arpa",
            "intranet",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[ff02::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[fec0::1]",
        ] {
            assert_eq!(public(&format!("https://{host}/x")), Err(TargetError::Private), "{host}");
            assert!(check(&format!("http://{host}/x"), WebhookTargets::Any).is_ok(), "{host}");
        }
        assert_eq!(check("ftp://127.0.0.1/", WebhookTargets::Any), Err(TargetError::Scheme));
        assert_eq!(check("http://a:b@127.0.0.1/", WebhookTargets::Any), Err(TargetError::Credentials));
    }
}
