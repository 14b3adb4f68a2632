//! Which tokens are believed, and which are not.

use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::signer::{Source, claims, encode, header, jwk, settings, signing, token, token_with, wall};
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyward_origin::{Identity, Verifier, VerifyError};
use p256::ecdsa::{Signature, signature::Signer as _};
use serde_json::{Value, json};
use sha2::Sha256;

async fn verdict(token: &str) -> Result<Identity, VerifyError> {
    Verifier::new(settings(), Source::of(&["a", "b"])).verify(token).await
}

/// A token whose claims differ in some members from a good one's; null removes one.
fn changed(changes: &Value) -> String {
    let mut claims = claims(wall());
    change(&mut claims, changes);
    token_with(&header("a").to_string(), &claims.to_string(), "a")
}

fn with_header(changes: &Value) -> String {
    let mut header = header("a");
    change(&mut header, changes);
    token_with(&header.to_string(), &claims(wall()).to_string(), "a")
}

fn change(object: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let now = wall();
    for name in ["a", "b"] {
        let identity = verdict(&token(name, now)).await.unwrap();
        assert_eq!((identity.owner(), identity.company(), identity.key_id()), ("ann", "acme", "key_0123456789abcdefghij"));
        assert_eq!(identity.permissions(), ["orders.*"]);
        let second = |at: std::time::SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!((second(identity.issued_at()), second(identity.expires_at())), (now.as_secs(), now.as_secs() + 60));
    }
    verdict(&changed(&json!({"later": ["member"], "nbf": now.as_secs()}))).await.expect("what is added later does no harm");
}

#[tokio::test]
async fn a_permission_covers_what_it_covers_at_the_edge() {
    for (held, asked, may) in [
        ("orders.read", "orders.read", true),
        ("orders.read", "orders.read.all", false),
        ("orders.read", "orders.rea", false),
        ("orders.*", "orders.read", true),
        ("orders.*", "orders.read.all", true),
        ("orders.*", "orders", false),
        ("orders.*", "ordersX.read", false),
        ("orders.*", "orders.*", true),
        ("*", "anything.at.all", true),
        ("*", "keyward.keys", false),
        ("*", "keywards.keys", true),
        ("keyward.*", "keyward.keys.own", true),
        ("keyward.*", "keyward.operator", false),
        ("keyward.*", "keyward.operator.x", false),
        ("keyward.operator", "keyward.operator", true),
    ] {
        let identity = verdict(&changed(&json!({"permissions": ["else", held]}))).await.unwrap();
        assert_eq!(identity.may(asked), may, "{held} {asked}");
    }
    assert!(!verdict(&changed(&json!({"permissions": []}))).await.unwrap().may("orders.read"));
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    use VerifyError::{Algorithm, Malformed, Signature as WrongSignature, UnknownKey};
    let now = wall();
    let good = token("a", now);
    let [head, body, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let (head_json, body_json) = (header("a").to_string(), claims(now).to_string());
    let none = |alg: &str| encode(json!({"alg": alg, "typ": "JWT", "kid": "a"}).to_string());
    // What a verifier that believes the header would compute.
    let hmac = {
        let signed = format!("{}.{body}", none("HS256"));
        let public = signing("a").verifying_key().to_sec1_point(false);
        let mut mac = Hmac::<Sha256>::new_from_slice(public.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", encode(mac.finalize().into_bytes()))
    };
    let der: Signature = signing("a").sign(format!("{head}.{body}").as_bytes());
    for (what, token, error) in [
        ("nothing", String::new(), Malformed),
        ("one part", "a".to_owned(), Malformed),
        ("two parts", format!("{head}.{body}"), Malformed),
        ("four parts", format!("{good}.{signature}"), Malformed),
        ("two tokens", format!("{good}, {good}"), Malformed),
        ("a space before it", format!(" {good}"), Malformed),
        ("padding", format!("{good}=="), Malformed),
        ("another alphabet", format!("{head}.{body}.{}", "+".repeat(86)), Malformed),
        ("a scheme before it", format!("Bearer {good}"), Malformed),
        ("33 KiB", format!("{head}.{}.{signature}", "A".repeat(33 * 1024)), Malformed),
        ("a header that is no object", token_with("[]", &body_json, "a"), Malformed),
        ("a member twice", token_with(&head_json.replacen('{', "{\"alg\":\"ES256\",", 1), &body_json, "a"), Malformed),
        ("alg none", format!("{}.{body}.", none("none")), Algorithm),
        ("alg None with a signature", format!("{}.{body}.{signature}", none("None")), Algorithm),
        ("alg HS256 with the public key as its secret", hmac, Algorithm),
        ("alg es256", with_header(&json!({"alg": "es256"})), Algorithm),
        ("alg ES384", with_header(&json!({"alg": "ES384"})), Algorithm),
        ("alg RS256", with_header(&json!({"alg": "RS256"})), Algorithm),
        ("no alg", with_header(&json!({"alg": null})), Malformed),
        ("no kid", with_header(&json!({"kid": null})), Malformed),
        ("a kid that is no text", with_header(&json!({"kid": 1})), Malformed),
        ("another typ", with_header(&json!({"typ": "at+jwt"})), Malformed),
        ("no typ", with_header(&json!({"typ": null})), Malformed),
        ("something critical", with_header(&json!({"crit": ["exp"]})), Malformed),
        ("an unknown kid", with_header(&json!({"kid": "c"})), UnknownKey),
        ("the kid of another key", with_header(&json!({"kid": "b"})), WrongSignature),
        ("a key of its own", token_with(&with(&header("a"), "jwk", jwk("c")).to_string(), &body_json, "c"), WrongSignature),
        ("no signature", format!("{head}.{body}."), WrongSignature),
        ("a signature of zeros", format!("{head}.{body}.{}", encode([0; 64])), WrongSignature),
        ("a signature in DER", format!("{head}.{body}.{}", encode(der.to_der().as_bytes())), WrongSignature),
        ("a longer signature", format!("{head}.{body}.{}", encode([der.to_bytes().as_slice(), &[0]].concat())), WrongSignature),
        ("another's claims", format!("{head}.{}.{signature}", encode(body_json.replace("ann", "bob"))), WrongSignature),
    ] {
        assert_eq!(verdict(&token).await, Err(error), "{what}: {token:.200}");
    }
}

fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

#[tokio::test]
async fn no_character_of_a_token_can_be_changed() {
    let good = token("a", wall());
    let verifier = Verifier::new(settings(), Source::of(&["a"]));
    verifier.verify(&good).await.unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let forged = String::from_utf8(bytes).unwrap();
        assert!(verifier.verify(&forged).await.is_err_and(|error| !error.is_unavailable()), "{at}: {forged}");
    }
}

#[tokio::test]
async fn a_token_must_be_of_the_issuer_for_the_audience_and_whole() {
    use VerifyError::{Audience, Issuer, Malformed};
    for (changes, error) in [
        (json!({"iss": "other"}), Issuer),
        (json!({"iss": "keyward "}), Issuer),
        (json!({"aud": "other"}), Audience),
        (json!({"aud": ["keyward-origin", "other"]}), Malformed),
        (json!({"iss": null}), Malformed),
        (json!({"aud": null}), Malformed),
        (json!({"sub": null}), Malformed),
        (json!({"company": null}), Malformed),
        (json!({"permissions": null}), Malformed),
        (json!({"permissions": "orders.*"}), Malformed),
        (json!({"act": null}), Malformed),
        (json!({"act": "key_0123456789abcdefghij"}), Malformed),
        (json!({"iat": null}), Malformed),
        (json!({"exp": null}), Malformed),
        (json!({"exp": "9999999999"}), Malformed),
        (json!({"exp": -1}), Malformed),
        (json!({"exp": 1e300}), Malformed),
        (json!({"sub": 7}), Malformed),
    ] {
        assert_eq!(verdict(&changed(&changes)).await, Err(error), "{changes}");
    }
    assert_eq!(verdict(&token_with(&header("a").to_string(), "[]", "a")).await, Err(Malformed));
}

#[tokio::test]
async fn a_token_serves_from_its_time_to_its_end_give_or_take_the_leeway() {
    let made = Duration::from_hours(500_000);
    let verifier = Verifier::new(settings(), Source::of(&["a"]));
    let early = token_with(&header("a").to_string(), &with(&claims(made), "nbf", json!(made.as_secs() + 20)).to_string(), "a");
    let plain = token("a", made);
    for (token, from, until) in [(&plain, -5, 64), (&early, 15, 64)] {
        for after in -10..=70_i64 {
            let now = Duration::from_secs(made.as_secs().checked_add_signed(after).unwrap());
            let verdict = verifier.verify_at(token, now, Instant::now()).await.map(|_| ());
            let expected = match after {
                _ if after < from => Err(VerifyError::NotYetValid),
                _ if after > until => Err(VerifyError::Expired),
                _ => Ok(()),
            };
            assert_eq!(verdict, expected, "{after} s after it was made");
        }
    }
    let last = made + Duration::from_millis(64_999);
    assert!(verifier.verify_at(&plain, last, Instant::now()).await.is_ok());
    for time in [u64::MAX, u64::MAX - 60] {
        let odd = with(&with(&claims(made), "iat", json!(time)), "exp", json!(time));
        let token = token_with(&header("a").to_string(), &odd.to_string(), "a");
        assert_eq!(verifier.verify_at(&token, made, Instant::now()).await, Err(VerifyError::NotYetValid));
    }
}
