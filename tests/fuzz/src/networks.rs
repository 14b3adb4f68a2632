//! Networks, against the standard library's addresses and their bits.

use core::net::IpAddr;

use keyward_shared::{json, network::Network};

use crate::input;

/// Two networks and an address, one on a line. A network is read exactly where the standard library reads its address and
/// the rest is a number of bits that such an address has; it has one spelling; and it contains and covers what agrees with
/// it in so many bits.
pub fn networks(data: &[u8]) {
    let Some([first, second, address]) = input::lines(data) else { return };
    let [one, other] = [first, second].map(|text| {
        let (ours, bits) = (text.parse::<Network>().ok(), Bits::read(text));
        assert_eq!(ours.is_some(), bits.is_some(), "{text:?}");
        ours.zip(bits)
    });
    for (network, bits) in one.iter().chain(&other) {
        let text = network.to_string();
        assert_eq!(text.parse::<Network>(), Ok(*network), "one spelling");
        assert_eq!(Bits::read(&text).as_ref(), Some(bits), "{text}");
        let quoted = serde_json::to_string(network).unwrap();
        assert_eq!(json::from_str::<Network>(&quoted), Ok(*network));
        if let Ok(address) = address.parse::<IpAddr>() {
            assert_eq!(network.contains(address), bits.contains(&Bits::of(address)), "{text} {address}");
        }
    }
    if let (Some((one, one_bits)), Some((other, other_bits))) = (one, other) {
        assert_eq!(one.covers(&other), one_bits.contains(&other_bits), "{one} {other}");
        assert_eq!(one == other, one_bits == other_bits);
    }
}

/// The leading bits of an address, and how many of them count; IPv4-mapped IPv6 is IPv4.
#[derive(Debug, PartialEq)]
struct Bits {
    six: bool,
    leading: Vec<bool>,
}

impl Bits {
    fn of(address: IpAddr) -> Self {
        let octets = match address.to_canonical() {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        };
        let leading = octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect::<Vec<_>>();
        Self { six: leading.len() == 128, leading }
    }

    fn read(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) => {
                let right = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
                digits.parse::<usize>().ok().filter(|length| right && *length <= most)?
            }
        };
        let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let mut bits = match address {
            // Too wide for IPv4: it stays a network of IPv6.
            IpAddr::V6(six) if mapped && length < 96 => {
                let leading = six.octets().iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect();
                Self { six: true, leading }
            }
            _ => Self::of(address),
        };
        bits.leading.truncate(if mapped && length >= 96 { length - 96 } else { length });
        Some(bits)
    }

    fn contains(&self, other: &Self) -> bool {
        self.six == other.six && other.leading.starts_with(&self.leading)
    }
}
