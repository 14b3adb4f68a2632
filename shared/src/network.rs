//! Networks that a key may be used from, in CIDR notation (RFC 4632, RFC 4291 §2.3).

use core::{fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json_text;

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an address or a network such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32")]
pub struct NetworkError;

/// An IPv4 or IPv6 network. IPv4-mapped IPv6 (`::ffff:10.0.0.0/104`) becomes IPv4, and host bits are
/// cleared, so equal networks are equal values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether `address` is inside; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        IpNet::new(address.to_canonical(), self.0.prefix_len()).is_ok_and(|net| net.trunc() == self.0)
    }

    /// Whether every address of `other` is inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

json_text!(Network: str::parse);

impl core::str::FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        // The standard library reads the address: it takes no `010.0.0.0`, which is 8.0.0.0 to some and 10.0.0.0 to others.
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let net = match length {
            None => address.into(),
            Some(digits) if digits != "0" && digits.starts_with(['0', '+']) => return Err(NetworkError),
            Some(digits) => digits.parse().ok().and_then(|length| IpNet::new(address, length).ok()).ok_or(NetworkError)?,
        };
        let net = match (net.addr().to_canonical(), net) {
            (IpAddr::V4(v4), IpNet::V6(v6)) if v6.prefix_len() >= 96 => {
                IpNet::new(v4.into(), v6.prefix_len() - 96).map_err(|_| NetworkError)?
            }
            (_, net) => net,
        };
        Ok(Self(net.trunc()))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;
    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_spelling_each() {
        for (text, canonical) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/96", "0.0.0.0/0"),
            ("::ffff:10.1.2.3/90", "::ffc0:0:0/90"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), canonical);
        }
        for bad in ["", "10.0.0.1/33", "10.0.0", "10.0.0.0/8/8", "::/129", "010.0.0.1", "10.0.0.0 /8", "localhost"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_that_is_octal_to_some_is_refused() {
        for bad in ["010.0.0.0/8", "10.0.0.00/8", "10.0.0.0/08", "2001:db8::/032", "10.0.0.0/+8", "10.0.0.0/", "10.0.0.0/00"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mapped_address_is_inside_the_ipv4_network() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("::ffff:10.9.8.7".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        assert!(network.covers(&"10.1.0.0/16".parse().unwrap()) && !network.covers(&"0.0.0.0/0".parse().unwrap()));
    }
}
