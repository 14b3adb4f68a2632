//! Tokens that an edge did not sign: with its own key or with another, and with whatever they are to say.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_selfhost::identity_key;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::World;

/// A private key as a JWK.
pub fn draw() -> Value {
    serde_json::from_str(&identity_key::draw().unwrap()).unwrap()
}

/// The first key of the world's edges.
pub fn key_of(world: &World) -> Value {
    let keys: Value = serde_json::from_str(&world.system.settings().edge["IDENTITY_KEYS"]).unwrap();
    keys[0].clone()
}

/// What `part` of a token (0 the header, 1 the claims) says.
pub fn part(token: &str, part: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(part).unwrap_or_default()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// `token` with other claims, signed with the private key `jwk`.
pub fn resigned(token: &str, changes: &Value, jwk: &Value) -> String {
    let mut claims = part(token, 1);
    claims.as_object_mut().unwrap().extend(changes.as_object().cloned().unwrap_or_default());
    sign(&part(token, 0), &claims, jwk)
}

fn sign(header: &Value, claims: &Value, jwk: &Value) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let d = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
    let signature: Signature = SigningKey::from_slice(&d).unwrap().sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// Headers that must not get anybody in, made from the good `token` of a world whose key is `jwk`: what each is, and the values sent.
pub fn forgeries(token: &str, jwk: &Value) -> Vec<(&'static str, Vec<String>)> {
    let (header, claims) = (part(token, 0), part(token, 1));
    let with_alg = |alg: &str, more: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        format!("{}.{}.{more}", encode(&header), token.split('.').nth(1).unwrap())
    };
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut of_its_own = header.clone();
    let other = draw();
    of_its_own["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": other["x"], "y": other["y"]});
    let mut unknown = header.clone();
    unknown["kid"] = json!("made up");
    let flipped = |at: usize| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let one = |what, token: String| (what, vec![token]);
    vec![
        ("nothing", vec![]),
        ("twice the same", vec![token.to_owned(), token.to_owned()]),
        ("another before it", vec!["x".to_owned(), token.to_owned()]),
        one("an empty one", String::new()),
        one("alg none", with_alg("none", "")),
        one("alg none with the signature", with_alg("none", signature)),
        one("alg HS256", with_alg("HS256", signature)),
        one("alg HS256 with the public key as its secret", {
            let signed = with_alg("HS256", "");
            let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&[vec![4], number("x"), number("y")].concat()).unwrap();
            mac.update(signed.trim_end_matches('.').as_bytes());
            format!("{signed}{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
        }),
        one("no signature", format!("{signed}.")),
        one("a changed header", flipped(5)),
        one("a changed claim", flipped(signed.find('.').unwrap() + 12)),
        one("a changed signature", flipped(signed.len() + 20)),
        one("signed by another", sign(&header, &claims, &other)),
        one("signed by another that it names", sign(&of_its_own, &claims, &other)),
        one("an unknown key", sign(&unknown, &claims, &other)),
        one("another issuer", resigned(token, &json!({"iss": "other"}), jwk)),
        one("another audience", resigned(token, &json!({"aud": "other"}), jwk)),
        one("expired", resigned(token, &json!({"iat": now() - 100, "exp": now() - 40}), jwk)),
        one("not valid yet", resigned(token, &json!({"nbf": now() + 60}), jwk)),
    ]
}
