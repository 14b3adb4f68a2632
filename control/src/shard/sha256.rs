//! A SHA-256 as other systems store it: 64 hexadecimal characters in either case, base64 (RFC 4648 §4) or base64url (§5),
//! these with padding or without. One digest has one spelling in each: bits that mean nothing must be zero.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use keyward_shared::digest::Digest;

const EITHER: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, EITHER);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER);

/// The digest that `text` is; `None`: it is none.
pub(super) fn read(text: &str) -> Option<Digest> {
    let bytes = match text.len() {
        64 => hex::decode(text).ok()?,
        43 | 44 => BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()?,
        _ => return None,
    };
    <[u8; 32]>::try_from(bytes).ok().map(Digest::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_in_each_of_its_spellings() {
        let mut bytes = [0xfb; 32];
        bytes[31] = 0xff;
        let digest = Digest::from_bytes(bytes);
        let hex = "fb".repeat(31) + "ff";
        let base64 = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/8";
        let url = base64.replace('+', "-").replace('/', "_");
        for text in [&hex, &hex.to_uppercase(), &base64.to_owned(), &format!("{base64}="), &url, &format!("{url}=")] {
            assert_eq!(read(text), Some(digest), "{text}");
        }
    }

    #[test]
    fn what_is_no_digest_is_not_taken_for_one() {
        let hex = "fb".repeat(32);
        let base64 = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/8";
        for text in [
            String::new(),
            hex[1..].to_owned(),
            format!("{hex}0"),
            hex.replace("fb", "fg"),
            format!(" {}", &hex[1..]),
            base64[1..].to_owned(),
            format!("{base64}=="),
            format!("{}=", &base64[1..]),
            base64.replacen('+', "-", 1),      // both alphabets
            format!("{}9", &base64[..42]),     // bits beyond the digest
            format!("\u{e9}{}", &base64[2..]), // as long in bytes
            base64.replacen('v', "\n", 1),
        ] {
            assert_eq!(read(&text), None, "{text:?}");
        }
    }
}
