//! A request as the front looks at it: only the parts that it needs, copied out once.

use core::net::{IpAddr, SocketAddr};

use keyward_shared::problem::{Code, Problem};

use super::Answer;

/// The largest body that the API takes: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;

/// Where a request was sent to, as sent: nothing is decoded or normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `https://control.example`
    pub origin: String,
    /// `/v1/keys`
    pub path: String,
    /// Without the question mark; empty where there is none.
    pub query: String,
}

impl Target {
    /// Takes an absolute URL apart.
    pub fn split(url: &str) -> Option<Self> {
        let scheme_end = url.find("://")? + 3;
        let url = url.split('#').next()?;
        let after = url.get(scheme_end..)?;
        let host_end = after.find(['/', '?']).unwrap_or(after.len());
        let (origin, rest) = url.split_at(scheme_end + host_end);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { origin: origin.into(), path: path.into(), query: query.into() })
    }
}

/// The headers that mean something here.
#[derive(Clone, Default)]
pub struct Headers {
    /// `x-api-key`; a repeated header arrives joined with a comma.
    pub x_api_key: Option<String>,
    /// `Authorization`
    pub authorization: Option<String>,
    /// `Cookie`
    pub cookie: Option<String>,
    /// `Accept-Encoding`
    pub accept_encoding: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Origin`
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`
    pub sec_fetch_site: Option<String>,
    /// `Sec-Purpose`, or else `Purpose`
    pub purpose: Option<String>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<String>,
    /// `If-Match`
    pub if_match: Option<String>,
    /// `Cf-Access-Jwt-Assertion`
    pub access_assertion: Option<String>,
    /// `Github-Public-Key-Identifier`
    pub github_key_id: Option<String>,
    /// `Github-Public-Key-Signature`
    pub github_signature: Option<String>,
}

/// One request. It has no `Debug`: it holds credentials.
#[derive(Clone)]
pub struct Request {
    /// Drawn by the Worker; in the answer, the logs and the audit trail.
    pub id: String,
    /// Upper-case.
    pub method: String,
    /// Where it was sent to.
    pub target: Target,
    /// What came with it.
    pub headers: Headers,
    /// At most one byte more than [`MAX_BODY`] is read.
    pub body: Vec<u8>,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
}

impl Request {
    /// A problem document for this request.
    pub(super) fn refuse(&self, code: Code, detail: &str) -> Answer {
        Answer::problem(&Problem::new(code, detail), &self.id)
    }

    pub(super) fn wrong_method(&self, allow: &str) -> Answer {
        self.refuse(Code::MethodNotAllowed, &format!("allowed: {allow}")).with("Allow", allow)
    }

    /// Whether it can change something.
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The only value of the query's parameter `name`; an error where it stands there twice.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<String>, Answer> {
        let mut values = form_urlencoded::parse(self.target.query.as_bytes()).filter(|(known, _)| known == name);
        let first = values.next().map(|(_, value)| value.into_owned());
        match values.next() {
            None => Ok(first),
            Some(_) => Err(self.refuse(Code::InvalidRequest, &format!("the parameter {name} stands twice"))),
        }
    }

    /// The body as text, where it is a small enough JSON text. That it is well-formed is the object's to check.
    pub(super) fn json(&self) -> Result<&str, Answer> {
        if self.body.len() > MAX_BODY {
            return Err(self.refuse(Code::TooLarge, "a body may have at most 1 MiB"));
        }
        if self.body.is_empty() {
            return Ok("");
        }
        if !self.headers.content_type.as_deref().is_some_and(is_json) {
            return Err(self.refuse(Code::UnsupportedMediaType, "send the body as Content-Type: application/json"));
        }
        core::str::from_utf8(&self.body).map_err(|_| self.refuse(Code::InvalidRequest, "the body is not UTF-8"))
    }

    /// Whether the browser says that a page of this very origin sent it. Browsers that do not say where a request comes
    /// from (`Sec-Fetch-Site`) send the `Origin`; with a form as well only where the page's referrer policy tells the own site
    /// where it comes from (`page::SECURITY_HEADERS`), else `null`.
    pub(super) fn is_same_origin(&self) -> bool {
        match (&self.headers.sec_fetch_site, &self.headers.origin) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => *origin == self.target.origin,
            (None, None) => false,
        }
    }

    /// Whether the answer may come compressed with gzip.
    pub(super) fn accepts_gzip(&self) -> bool {
        let accepted = self.headers.accept_encoding.as_deref().unwrap_or_default().split(',');
        accepted.map(|coding| coding.split(';').map(str::trim)).any(|mut parts| {
            let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            is_gzip && !parts.any(|weight| weight.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
        })
    }

    /// Whether the browser only guesses that somebody may want this.
    pub(super) fn is_prefetch(&self) -> bool {
        self.headers.purpose.as_deref().is_some_and(|purpose| {
            let purpose = purpose.to_ascii_lowercase();
            ["prefetch", "prerender", "preview"].iter().any(|guess| purpose.contains(guess))
        })
    }
}

/// The client's address as a proxy that has introduced itself says it: `X-Real-IP`, else the last of `X-Forwarded-For`,
/// which is the one that the proxy itself has added.
pub fn address_from_proxy(real_ip: Option<&str>, forwarded_for: Option<&str>) -> Option<IpAddr> {
    let last = || forwarded_for.and_then(|list| list.rsplit(',').next());
    real_ip.or_else(last)?.trim().parse().ok()
}

/// The address of `192.0.2.1`, `192.0.2.1:4711` or `[2001:db8::1]:4711`.
pub fn address_of_peer(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|peer| peer.ip()))
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"),
        _ => true,
    };
    media_type.eq_ignore_ascii_case("application/json") && parts.all(charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: Headers) -> Request {
        let target = Target::split("https://control.example/v1/keys?a=1&b=2&b=3").unwrap();
        Request { id: "r1".into(), method: "POST".into(), target, headers, body: Vec::new(), address: None }
    }

    #[test]
    fn an_url_is_taken_apart_as_it_was_sent() {
        for (url, origin, path, query) in [
            ("https://h/v1/keys?a=%20b", "https://h", "/v1/keys", "a=%20b"),
            ("http://127.0.0.1:8788", "http://127.0.0.1:8788", "/", ""),
            ("http://h?x", "http://h", "/", "x"),
            ("http://h/a/../b%2e?x?y#z", "http://h", "/a/../b%2e", "x?y"),
        ] {
            let target = Target::split(url).unwrap();
            assert_eq!((target.origin.as_str(), target.path.as_str(), target.query.as_str()), (origin, path, query), "{url}");
        }
        assert_eq!(Target::split("/v1/keys"), None);
    }

    #[test]
    fn a_request_of_the_same_origin_is_told_by_what_the_browser_says() {
        for (site, origin, same) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("null"), true),
            (Some("same-site"), Some("https://control.example"), false),
            (Some("cross-site"), Some("https://control.example"), false),
            (Some("none"), None, false),
            (None, Some("https://control.example"), true),
            (None, Some("https://control.example.evil"), false),
            (None, Some("http://control.example"), false),
            (None, Some("null"), false),
            (None, None, false),
        ] {
            let headers = Headers { sec_fetch_site: site.map(Into::into), origin: origin.map(Into::into), ..Headers::default() };
            assert_eq!(request(headers).is_same_origin(), same, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_body_must_be_said_to_be_json() {
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/plain", "application/json; charset=latin1", "application/jsonx", "text/plain; application/json"] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        let request = request(Headers::default());
        assert_eq!(request.parameter("a").ok().flatten().as_deref(), Some("1"));
        assert_eq!(request.parameter("c").ok().flatten(), None);
        assert_eq!(request.parameter("b").err().map(|answer| answer.status), Some(400));
    }

    #[test]
    fn gzip_is_for_whoever_takes_it() {
        for (accepted, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("br, xgzip", false),
            ("", false),
        ] {
            assert_eq!(
                request(Headers { accept_encoding: Some(accepted.into()), ..Headers::default() }).accepts_gzip(),
                takes,
                "{accepted}"
            );
        }
        assert!(!request(Headers::default()).accepts_gzip());
    }

    #[test]
    fn of_what_a_proxy_says_only_what_it_added_itself_counts() {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(address_from_proxy(Some("192.0.2.1"), Some("10.0.0.1")), address("192.0.2.1"));
        assert_eq!(address_from_proxy(None, Some("10.0.0.1, 192.0.2.1")), address("192.0.2.1"));
        assert_eq!(address_from_proxy(None, Some("10.0.0.1, x")), None);
        assert_eq!(address_from_proxy(None, None), None);
    }

    #[test]
    fn a_peers_address_is_read_with_or_without_its_port() {
        for (text, address) in [("127.0.0.1:40230", "127.0.0.1"), ("[2001:db8::1]:1", "2001:db8::1"), ("2001:db8::1", "2001:db8::1")] {
            assert_eq!(address_of_peer(text), address.parse().ok(), "{text}");
        }
        assert_eq!(address_of_peer("unix:/run/x"), None);
    }

    #[test]
    fn a_browser_that_only_guesses_is_noticed() {
        for (purpose, guess) in [("prefetch", true), ("prefetch;prerender", true), ("Preview", true), ("", false)] {
            assert_eq!(request(Headers { purpose: Some(purpose.into()), ..Headers::default() }).is_prefetch(), guess, "{purpose}");
        }
    }
}
