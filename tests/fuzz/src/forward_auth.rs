//! The headers that a proxy describes a request with, and the addresses that it tells.

use core::net::{IpAddr, SocketAddr};

use keyward_control::front::{Target, address_from_proxy, address_of_peer};
use keyward_edge::forward_auth::{client_address, route};
use keyward_shared::path;
use url::Url;

use crate::{input, path::one_reading};

/// Method, URI, `X-Real-IP` and `X-Forwarded-For`, one on a line (`-`: not sent). The route is the method as it was sent and
/// the URI up to its query; where the path has one reading, it is the path of the whole URI as a URL parser reads it. The
/// address is the proxy's own entry, the same at the edge and in the control plane.
pub fn forward_auth(data: &[u8]) {
    let Some([method, uri, real_ip, forwarded_for]) = input::lines(data) else { return };
    let (method, uri) = (input::header(method), input::header(uri));
    let there = method.is_some_and(|method| !method.is_empty()) && uri.is_some_and(|uri| !uri.is_empty());
    let repeated = method.is_some_and(|method| method.contains(',')) || uri.is_some_and(|uri| uri.contains(", "));
    match route(method, uri) {
        Ok(route) => {
            assert!(there && !repeated);
            let (method, uri) = (method.unwrap(), uri.unwrap());
            assert_eq!(route.method, method);
            let rest = uri.strip_prefix(&route.path).expect("the path is how the URI begins");
            assert!(!route.path.contains('?') && (rest.is_empty() || rest.starts_with('?')));
            if path::check(&route.path).is_ok() {
                one_reading(&route.path);
                let url = Url::parse(&format!("https://origin.example{uri}")).unwrap();
                assert_eq!(url.path(), route.path, "the origin reads another path than was judged");
                let target = Target::split(&format!("https://origin.example{uri}")).unwrap();
                assert_eq!((target.origin.as_str(), &target.path), ("https://origin.example", &route.path));
            }
        }
        Err(_) => assert!(!there || repeated),
    }
    addresses(input::header(real_ip), input::header(forwarded_for));
}

fn addresses(real_ip: Option<&str>, forwarded_for: Option<&str>) {
    let told = client_address(real_ip, forwarded_for);
    assert_eq!(told, address_from_proxy(real_ip, forwarded_for));
    let own = real_ip.or(forwarded_for.map(|list| list.split(',').next_back().unwrap()));
    assert_eq!(told, own.and_then(|text| text.trim().parse().ok()));
    if let Some(text) = real_ip {
        let expected = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|peer| peer.ip()));
        assert_eq!(address_of_peer(text), expected.ok());
    }
}
