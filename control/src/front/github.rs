//! Alerts of GitHub's secret scanning, as its partner program sends them: whose signature is on one, and what it says. Pure.
//! A signature says nothing of when: an alert that is sent again is as true as before.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_shared::key::SECRET_LEN;
use p256::{
    ecdsa::{DerSignature, VerifyingKey, signature::Verifier as _},
    pkcs8::DecodePublicKey as _,
};
use serde::Deserialize;

/// The longest text of a signature: two numbers of 33 bytes and their frame are 72 bytes at most.
const MAX_SIGNATURE: usize = 96;
/// The longest name of a place and the longest address that are kept.
const MAX_SOURCE: usize = 40;
const MAX_URL: usize = 2_000;

/// One alert. It has no `Debug`: it holds a key.
#[derive(Deserialize)]
pub(super) struct Alert {
    /// What was found.
    pub(super) token: String,
    /// What GitHub calls texts of this form.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// GitHub's list of public keys.
#[derive(Deserialize)]
struct Keys {
    public_keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    key_identifier: String,
    /// PEM of a `SubjectPublicKeyInfo`.
    key: String,
}

/// The public key that `document` lists under `id`; `None` where it lists none that can be used. An error where it is no
/// list of keys: its site then says something else than it should.
pub(super) fn key(document: &str, id: &str) -> Result<Option<VerifyingKey>, serde_json::Error> {
    let keys: Keys = serde_json::from_str(document)?;
    let listed = keys.public_keys.into_iter().find(|key| key.key_identifier == id);
    Ok(listed.and_then(|key| VerifyingKey::from_public_key_pem(&key.key).ok()))
}

/// Whether `signature` (base64 of DER: ECDSA over P-256 with SHA-256) is one of `key` on exactly these bytes.
pub(super) fn signed(key: &VerifyingKey, signature: &str, body: &[u8]) -> bool {
    if signature.len() > MAX_SIGNATURE {
        return false;
    }
    let Ok(der) = STANDARD.decode(signature) else { return false };
    DerSignature::from_bytes(&der).is_ok_and(|signature| key.verify(body, &signature).is_ok())
}

/// The alerts of a body; `None` where it is something else. Members that are not known are left alone: the form is
/// GitHub's to extend. Why it cannot be read is not said, because that could repeat a part of it.
pub(super) fn alerts(body: &str) -> Option<Vec<Alert>> {
    serde_json::from_str(body).ok()
}

impl Alert {
    /// Where it was found, for the trail: `github:commit`.
    pub(super) fn source(&self) -> String {
        let source = self.source.as_deref().unwrap_or_default().to_ascii_lowercase();
        let fits = (1..=MAX_SOURCE).contains(&source.len()) && source.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        format!("github:{}", if fits { &source } else { "unknown" })
    }

    /// The address for the trail: plain, and without any key. Whoever named a file or a branch may have put one into it.
    pub(super) fn url(&self) -> Option<String> {
        let url = self.url.as_deref()?;
        let plain = url.len() <= MAX_URL && url.starts_with("https://") && url.bytes().all(|b| b.is_ascii_graphic());
        (plain && !may_hold_a_key(url)).then(|| url.to_owned())
    }
}

/// Whether something as long as a key's secret and more stands in `text` that no name has in it, be it percent-encoded, and
/// be that so again and again. Names of commits are hexadecimal and have no capitals.
fn may_hold_a_key(text: &str) -> bool {
    let mut text = text.to_owned();
    loop {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        if words
            .filter(|word| word.len() >= SECRET_LEN)
            .any(|word| word.bytes().any(|b| !b.is_ascii_digit() && !(b'a'..=b'f').contains(&b)))
        {
            return true;
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use p256::{
        ecdsa::{Signature, SigningKey, signature::Signer as _},
        pkcs8::{EncodePublicKey as _, LineEnding},
    };
    use serde_json::json;

    use super::*;

    /// A key like GitHub's.
    pub(in crate::front) fn signing_key(number: u8) -> SigningKey {
        SigningKey::from_slice(&[number; 32]).unwrap()
    }

    /// A list of keys like GitHub's.
    pub(in crate::front) fn listed(keys: &[(&str, &SigningKey)]) -> String {
        let pem = |key: &SigningKey| p256::PublicKey::from(key.verifying_key()).to_public_key_pem(LineEnding::LF).unwrap();
        let keys: Vec<_> = keys.iter().map(|(id, key)| json!({"key_identifier": id, "key": pem(key), "is_current": true})).collect();
        json!({"public_keys": keys}).to_string()
    }

    /// A signature as it is sent.
    pub(in crate::front) fn sign(key: &SigningKey, body: &str) -> String {
        let signature: Signature = key.sign(body.as_bytes());
        STANDARD.encode(signature.to_der().as_bytes())
    }

    fn alert(value: serde_json::Value) -> Alert {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_github_itself_has_signed_is_verified() {
        // An alert that GitHub has published for those who verify them.
        let id = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a";
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n";
        let body = r#"[{"type":"github_oauth_token","token":"cb4985f91f740272c0234202299f43808034d7f5","url":" https://github.com/github/faketestrepo/blob/b0dd59c0b500650cacd4551ca5989a6194001b10/production.env"}]"#;
        let signature = "MEQCIAfgjgz6Ou/3DXMYZBervz1TKCHFsvwMcbuJhNZse622AiAG86/cku2XdcmFWNHl2WSJi2fkE8t+auvB24eURaOd2A==";
        let document = json!({"public_keys": [{"key_identifier": id, "key": pem, "is_current": true}]}).to_string();
        let key = key(&document, id).unwrap().unwrap();
        assert!(signed(&key, signature, body.as_bytes()));
        assert!(!signed(&key, signature, body.replace("faketest", "realtest").as_bytes()));
    }

    #[test]
    fn only_a_signature_of_the_key_on_these_very_bytes_is_taken() {
        let (own, other) = (signing_key(1), signing_key(2));
        let body = r#"[ {"token":"t","type":"k"} ]"#;
        let key = *own.verifying_key();
        let good = sign(&own, body);
        assert!(signed(&key, &good, body.as_bytes()));
        assert!(signed(&key, &good, body.as_bytes()), "a replay is as true as before");

        let reserialized = serde_json::from_str::<serde_json::Value>(body).unwrap().to_string();
        for (changed, why) in [(reserialized.as_str(), "written again"), ("", "empty"), (&body[1..], "cut off")] {
            assert!(!signed(&key, &good, changed.as_bytes()), "{why}");
        }
        assert!(!signed(&key, &sign(&other, body), body.as_bytes()), "another key's");

        let der = STANDARD.decode(&good).unwrap();
        let encoded = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = der.clone();
            change(&mut changed);
            STANDARD.encode(changed)
        };
        let bad = [
            ("empty", String::new()),
            ("no base64", "?".repeat(40)),
            ("padded too much", format!("{good}=")),
            ("spaces", format!(" {good}")),
            ("huge", STANDARD.encode(vec![0x30; 10_000])),
            ("truncated", encoded(&|der| der.truncate(der.len() - 1))),
            ("only its first byte", encoded(&|der| der.truncate(1))),
            ("with something after it", encoded(&|der| der.push(0))),
            ("another type", encoded(&|der| der[0] = 0x31)),
            (
                "a length in the long form",
                encoded(&|der| {
                    der.insert(1, 0x81);
                }),
            ),
            ("a bit turned in r", encoded(&|der| der[10] ^= 1)),
            ("a bit turned in s", encoded(&|der| *der.last_mut().unwrap() ^= 1)),
            ("r and s are 0", STANDARD.encode([0x30, 6, 2, 1, 0, 2, 1, 0])),
            ("r and s are 1", STANDARD.encode([0x30, 6, 2, 1, 1, 2, 1, 1])),
            ("negative numbers", STANDARD.encode([0x30, 6, 2, 1, 0x80, 2, 1, 0x80])),
            ("r and s as they are, without a frame", {
                let plain: Signature = own.sign(body.as_bytes());
                STANDARD.encode(plain.to_bytes())
            }),
        ];
        for (why, bad) in bad {
            assert!(!signed(&key, &bad, body.as_bytes()), "{why}");
        }
    }

    #[test]
    fn the_other_signature_that_everybody_can_make_of_one_says_the_same() {
        // (r, n - s) is valid where (r, s) is. GitHub sends both kinds, and nothing here hangs on a signature's own bytes.
        let own = signing_key(1);
        let signature: Signature = own.sign(b"[]");
        let twin = Signature::from_scalars(*signature.r(), -*signature.s()).unwrap();
        assert_ne!(signature, twin);
        assert!(signed(own.verifying_key(), &STANDARD.encode(twin.to_der().as_bytes()), b"[]"));
    }

    #[test]
    fn a_key_is_found_by_its_id_and_must_be_one_of_this_curve() {
        let (one, two) = (signing_key(1), signing_key(2));
        let document = listed(&[("one", &one), ("two", &two)]);
        assert_eq!(key(&document, "two").unwrap().as_ref(), Some(two.verifying_key()));
        for absent in ["", "three", "ONE", "one, two"] {
            assert_eq!(key(&document, absent).unwrap(), None, "{absent}");
        }
        let rsa = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        for unusable in ["", "x", rsa, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
            let document = json!({"public_keys": [{"key_identifier": "one", "key": unusable}]}).to_string();
            assert_eq!(key(&document, "one").unwrap(), None, "{unusable}");
        }
        for no_list in ["", "{}", "[]", "<html>", r#"{"public_keys":[{"key_identifier":"one"}]}"#] {
            assert!(key(no_list, "one").is_err(), "{no_list}");
        }
    }

    #[test]
    fn alerts_are_read_as_github_sends_them_and_may_say_more() {
        let body = r#"[{"token":"t","type":"k","url":"https://h/x","source":"Pull_request_title","more":{"a":[1]}},{"token":"","type":"k","url":null}]"#;
        let alerts = alerts(body).unwrap();
        let said: Vec<_> = alerts.iter().map(|alert| (alert.token.as_str(), alert.kind.as_str(), alert.source(), alert.url())).collect();
        assert_eq!(said[0], ("t", "k", "github:pull_request_title".into(), Some("https://h/x".into())));
        assert_eq!(said[1], ("", "k", "github:unknown".into(), None));
        for bad in [
            "",
            "{}",
            "null",
            "[1]",
            r#"["t"]"#,
            r#"[{"token":"t"}]"#,
            r#"[{"token":1,"type":"k"}]"#,
            r#"[{"token":"t","token":"u","type":"k"}]"#,
            "[] []",
        ] {
            assert!(super::alerts(bad).is_none(), "{bad}");
        }
        assert!(super::alerts("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_kept_of_a_place_is_plain_and_never_names_the_key() {
        let secret = "MDeuq7Rm2ZxV0bTgYc9LwN4sKd8H";
        let url = |url: &str| alert(json!({"token": "t", "type": "k", "url": url})).url();
        let blob = "https://github.com/o/r/blob/12345600b9cbe38a219f39a9941c9319b600c002/a%20file?x=1#L5";
        assert_eq!(url(blob).as_deref(), Some(blob));
        let encoded = secret.replace('u', "%75").replace('2', "%32").replace('T', "%54").replace('s', "%73").replace('9', "%39");
        let twice = encoded.replace('%', "%25");
        for bad in [
            "",
            "ftp://h",
            "javascript:alert(1)",
            "https://h/a b",
            "https://h/\n",
            "https://h/ä",
            &format!("https://h/{secret}"),
            &format!("https://h/?k=kw_live_{secret}x"),
            &format!("https://h/{encoded}"),
            &format!("https://h/{twice}"),
            &format!("https://h/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
        let source = |source: &str| alert(json!({"token": "t", "type": "k", "source": source})).source();
        for (text, expected) in [("Npm", "github:npm"), ("", "github:unknown"), ("a b", "github:unknown"), (secret, "github:unknown")] {
            assert_eq!(source(text), expected);
        }
    }
}
