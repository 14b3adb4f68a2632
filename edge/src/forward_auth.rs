//! Forward-auth: a proxy asks whether the request that it holds may pass. The route is in headers that the
//! proxy sets; which family is trusted is a setting, so a client cannot choose.

use core::net::IpAddr;

use crate::settings::ForwardAuth;

/// The route that a proxy asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method of the original request.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
}

/// The endpoint's family by the last segment of its path.
pub fn family(segment: &str) -> Option<ForwardAuth> {
    match segment {
        "original" => Some(ForwardAuth::Original),
        "forwarded" => Some(ForwardAuth::Forwarded),
        _ => None,
    }
}

/// The names of the two headers of a family: method and URI.
pub fn header_names(family: ForwardAuth) -> (&'static str, &'static str) {
    match family {
        ForwardAuth::Original => ("x-original-method", "x-original-uri"),
        ForwardAuth::Forwarded => ("x-forwarded-method", "x-forwarded-uri"),
    }
}

/// Reads the two headers; an error says which is missing or repeated. The runtime joins repeated headers
/// with a comma and a space, which no method and no encoded path has.
pub fn route(method: Option<&str>, uri: Option<&str>) -> Result<Route, &'static str> {
    let method = method.filter(|m| !m.is_empty()).ok_or("the header with the original method is missing")?;
    let uri = uri.filter(|u| !u.is_empty()).ok_or("the header with the original URI is missing")?;
    if method.as_bytes().contains(&b',') {
        return Err("the header with the original method is repeated");
    }
    if uri.as_bytes().windows(2).any(|pair| pair == b", ") {
        return Err("the header with the original URI is repeated");
    }
    // A `#` stays in the path, where it is refused: some origins read on after it, some do not.
    let path = uri.split('?').next().unwrap_or_default();
    Ok(Route { method: method.into(), path: path.into() })
}

/// The client's address as a trusted proxy says it: `X-Real-IP`, else the last of `X-Forwarded-For`, which
/// is the one that this proxy added.
pub fn client_address(real_ip: Option<&str>, forwarded_for: Option<&str>) -> Option<IpAddr> {
    let text = real_ip.or_else(|| forwarded_for?.rsplit(',').next())?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_is_method_and_path_without_the_query() {
        let route = route(Some("GET"), Some("/a/b?c=d,%20e")).unwrap();
        assert_eq!((route.method.as_str(), route.path.as_str()), ("GET", "/a/b"));
    }

    #[test]
    fn a_fragment_is_not_cut_off_but_left_to_be_refused() {
        let route = route(Some("GET"), Some("/public#/../admin?x")).unwrap();
        assert!(keyward_shared::path::check(&route.path).is_err(), "{route:?}");
    }

    #[test]
    fn missing_and_repeated_headers_are_refused() {
        for (method, uri) in
            [(None, Some("/")), (Some("GET"), None), (Some(""), Some("/")), (Some("GET, GET"), Some("/")), (Some("GET"), Some("/a, /b"))]
        {
            assert!(route(method, uri).is_err(), "{method:?} {uri:?}");
        }
    }

    #[test]
    fn the_address_is_the_one_that_the_proxy_added() {
        assert_eq!(client_address(None, Some("1.1.1.1, 2.2.2.2")), "2.2.2.2".parse().ok());
        assert_eq!(client_address(Some("3.3.3.3"), Some("1.1.1.1")), "3.3.3.3".parse().ok());
        assert_eq!(client_address(None, Some("unknown")), None);
    }
}
