//! Reading a URL as the WHATWG's standard says: in the runtime by the runtime's own parser, which reads it again when it
//! is sent to, so that both see the same; natively by the crate `url`. (That crate in the Worker would be a seventh more
//! of WebAssembly.)

use core::net::{Ipv4Addr, Ipv6Addr};

/// A URL's parts, each in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// `https`.
    pub(super) scheme: String,
    /// Whether it has a user or a password.
    pub(super) credentials: bool,
    /// Where it leads.
    pub(super) host: Host,
    /// `https://host:port`.
    pub(super) origin: String,
    /// All of it; with a `#` only where it has a fragment.
    pub(super) href: String,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name in lower case; maybe with a dot at its end.
    Name(String),
    /// An address, however it was written.
    V4(Ipv4Addr),
    /// The same.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a host as a parser gives it: addresses in their canonical form.
    fn read(host: &str) -> Option<Self> {
        if let Some(inner) = host.strip_prefix('[') {
            return inner.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if let Ok(address) = host.parse() {
            return Some(Self::V4(address));
        }
        (!host.is_empty()).then(|| Self::Name(host.to_owned()))
    }
}

/// Reads `text`, which must be absolute; `None` where it cannot be.
#[cfg(target_arch = "wasm32")]
pub(super) fn parse(text: &str) -> Option<Parts> {
    let url = web_sys::Url::new(text).ok()?;
    Some(Parts {
        scheme: url.protocol().trim_end_matches(':').to_owned(),
        credentials: !url.username().is_empty() || !url.password().is_empty(),
        host: Host::read(&url.hostname())?,
        origin: url.origin(),
        href: url.href(),
    })
}

/// Reads `text`, which must be absolute; `None` where it cannot be.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn parse(text: &str) -> Option<Parts> {
    let url = url::Url::parse(text).ok()?;
    Some(Parts {
        scheme: url.scheme().to_owned(),
        credentials: !url.username().is_empty() || url.password().is_some_and(|password| !password.is_empty()),
        host: Host::read(url.host_str()?)?,
        origin: url.origin().ascii_serialization(),
        href: url.into(),
    })
}
