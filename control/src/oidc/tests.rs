//! Good tokens, and everything that is done to tokens to make a verifier take what nobody signed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use keyward_shared::{ids::CompanyId, permission::PermissionSet, time::Millis};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    Provider,
    claims::Disproof,
    fixtures::{ISSUER, NOW, NOW_S, claims, claims_with, encode, golden, header_with, key_set, operator, provider, sign, signed, token},
    jwk::Missing,
    jws::MAX_LEN,
};
use crate::call::Token;

/// What becomes of a token: what it says, or why it is refused.
fn read(provider: &Provider, token: &str, keys: &Value) -> Result<Token, String> {
    let unproven = provider.read(token, &operator(), NOW).map_err(|invalid| invalid.to_string())?;
    unproven.proven(&keys.to_string()).map_err(|disproof| match disproof {
        Disproof::Invalid(invalid) => invalid.to_string(),
        Disproof::Key(Missing::NoKey) => "no key".into(),
        Disproof::Key(Missing::NoKeySet) => "no key set".into(),
    })
}

fn all_keys() -> Value {
    key_set(&["rsa", "p256", "ed25519"])
}

/// The owner that a token speaks of, or the first words of why it is refused.
fn verdict(token: &str, keys: &Value) -> Result<String, String> {
    read(&provider(), token, keys).map(|token| token.owner.to_string())
}

#[track_caller]
fn refused(what: &str, token: &str, keys: &Value, why: &str) {
    match verdict(token, keys) {
        Ok(owner) => panic!("{what}: taken as {owner}: {token}"),
        Err(said) => assert!(said.contains(why), "{what}: refused with {said:?}, not with {why:?}"),
    }
}

/// A name for each case, a token, and a part of what is said of it.
type Cases = Vec<(&'static str, String, &'static str)>;

#[track_caller]
fn all_refused(cases: Cases) {
    let keys = all_keys();
    for (what, token, why) in cases {
        refused(what, &token, &keys, why);
    }
}

#[test]
fn what_another_implementation_signed_is_taken() {
    let tokens = &golden()["tokens"];
    for name in ["RS256", "ES256", "EdDSA"] {
        assert_eq!(verdict(tokens[name].as_str().unwrap(), &all_keys()).as_deref(), Ok("ann"), "{name}");
    }
    for (name, why) in [
        ("RS256_with_sha512", "signature"),
        ("RS256_with_pss", "signature"),
        ("ES256_der", "signature"),
        ("RS256_small", "no key"),
        ("ES256_on_p384", "no key"),
    ] {
        let keys = key_set(&["rsa", "p256", "ed25519", "rsa_small", "p384"]);
        refused(name, tokens[name].as_str().unwrap(), &keys, why);
    }
}

#[test]
fn a_token_says_who_calls() {
    let full = claims_with(&json!({
        "aud": ["other", "keyward"], "nbf": NOW_S + 60, "iat": NOW_S + 60, "exp": 1_800_000_001.5, "name": "Ann", "email": "ann@acme.example",
        "https://issuer.example/company": "acme", "scope": "orders.read openid", "jti": "7", "nonce": "n", "deep": {"a": [1, null]},
    }));
    let provider = Provider { company: Some("https://issuer.example/company".into()), permissions: Some("scope".into()), ..provider() };
    for name in ["rsa", "p256", "ed25519"] {
        let said = read(&provider, &token(name, &json!({}), &full), &all_keys()).unwrap();
        let expected = Token {
            company: CompanyId::new("acme").unwrap(),
            owner: keyward_shared::ids::OwnerId::new("ann").unwrap(),
            issuer: ISSUER.into(),
            name: Some("Ann".into()),
            email: Some("ann@acme.example".into()),
            permissions: Some(PermissionSet::parse(["orders.read", "openid"]).unwrap()),
            issued_at: Millis::from_secs(NOW_S + 60),
            expires_at: Millis::from_secs(NOW_S + 1),
        };
        assert_eq!(said, expected, "{name}");
    }
}

#[test]
fn the_header_may_vary_in_what_changes_nothing() {
    for header in [
        json!({"typ": null}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "AT+JWT"}),
        json!({"typ": "application/at+jwt"}),
        json!({"typ": "jwt"}),
        json!({"kid": null}), // the only key of its type
        json!({"x5t": "x"}),
        // Where a token brings its key, or says where it is, that is not looked at.
        json!({"jwk": key_set(&["p256_other"])["keys"][0]}),
        json!({"jku": "https://evil.example/keys", "x5u": "https://evil.example/x5", "x5c": ["MIIB"]}),
    ] {
        assert_eq!(verdict(&token("p256", &header, &claims()), &all_keys()).as_deref(), Ok("ann"), "{header}");
    }
    let ed25519 = token("ed25519", &json!({"alg": "Ed25519"}), &claims());
    assert_eq!(verdict(&ed25519, &all_keys()).as_deref(), Ok("ann"), "by the name of RFC 9864");
}

#[test]
fn a_token_without_a_signature_is_refused_however_it_says_so() {
    let mut cases = Cases::new();
    for name in ["none", "None", "NONE", "nOnE", "none ", "", "null"] {
        for signature in ["", "AA", &encode(sign("p256", b"x"))] {
            let header = header_with("p256", &json!({ "alg": name })).to_string();
            cases.push(("alg none", format!("{}.{}.{signature}", encode(header), encode(claims().to_string())), "must be signed"));
        }
    }
    for alg in [json!(null), json!(["RS256"]), json!({"alg": "RS256"}), json!(0), json!(true)] {
        let header = format!(r#"{{"alg":{alg},"kid":"p256"}}"#);
        cases.push(("alg is no text", signed("p256", &header, &claims().to_string()), ""));
    }
    let good = token("p256", &json!({}), &claims());
    let (input, signature) = good.rsplit_once('.').unwrap();
    cases.push(("no alg", signed("p256", r#"{"kid":"p256"}"#, &claims().to_string()), "must be signed"));
    cases.push(("stripped", format!("{input}."), "signature"));
    cases.push(("stripped with its dot", input.to_owned(), "three parts"));
    cases.push(("truncated", format!("{input}.{}", &signature[..signature.len() - 4]), "signature"));
    cases.push(("doubled", format!("{input}.{signature}{signature}"), "signature"));
    cases.push(("a fourth part", format!("{good}."), "three parts"));
    cases.push(("nothing", "..".into(), "not a JSON object"));
    all_refused(cases);
}

#[test]
fn the_key_decides_the_algorithm_and_not_the_token() {
    let golden = golden();
    let text = |name: &str| golden[name].as_str().unwrap().to_owned();
    let jwk = key_set(&["rsa"])["keys"][0].clone();
    let pem = text("rsa_public_pem");
    let secrets = [
        ("the PEM", pem.clone().into_bytes()),
        ("the PEM trimmed", pem.trim().as_bytes().to_vec()),
        ("the DER", super::base64url(&text("rsa_public_der")).unwrap()),
        ("the JWK", jwk.to_string().into_bytes()),
        ("the modulus", super::base64url(jwk["n"].as_str().unwrap()).unwrap()),
        ("nothing", Vec::new()),
    ];
    let mut cases = Cases::new();
    for (what, secret) in secrets {
        for alg in ["HS256", "RS256", "ES256", "EdDSA"] {
            let header = header_with("rsa", &json!({ "alg": alg })).to_string();
            let input = format!("{}.{}", encode(header), encode(claims().to_string()));
            let mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(input.as_bytes()).finalize().into_bytes();
            cases.push((what, format!("{input}.{}", encode(mac)), if alg == "HS256" { "must be signed" } else { "" }));
        }
    }
    for alg in
        ["HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES512", "ES256K", "Ed448", "rs256", "es256", "eddsa", "RS256 ", "dir"]
    {
        cases.push(("another algorithm", token("rsa", &json!({ "alg": alg }), &claims()), "must be signed"));
    }
    for (alg, kid) in [("RS256", "p256"), ("RS256", "ed25519"), ("ES256", "rsa"), ("ES256", "ed25519"), ("EdDSA", "rsa"), ("EdDSA", "p256")]
    {
        cases.push(("the name of a key of another type", token(kid, &json!({"alg": alg, "kid": kid}), &claims()), "no key"));
        // The right algorithm under the name of a key of another type, and without a name, where it is another key's.
        let maker = match alg {
            "RS256" => "rsa",
            "ES256" => "p256",
            _ => "ed25519",
        };
        cases.push(("a key of another type", token(maker, &json!({ "kid": kid }), &claims()), "no key"));
        cases.push(("the algorithm of another key", token(kid, &json!({"alg": alg, "kid": null}), &claims()), "signature"));
    }
    all_refused(cases);
}

#[test]
fn only_a_signature_of_the_named_key_over_these_very_bytes_counts() {
    let mut cases = Cases::new();
    for (name, other) in [("rsa", "rsa_other"), ("p256", "p256_other"), ("ed25519", "ed25519_other")] {
        cases.push(("of another key", token(other, &json!({ "kid": name }), &claims()), "signature"));
        cases.push(("of an unknown key", token(other, &json!({}), &claims()), "no key"));
        let good = token(name, &json!({}), &claims());
        let parts: Vec<&str> = good.split('.').collect();
        let forged = encode(claims_with(&json!({"sub": "admin"})).to_string());
        cases.push(("other claims", format!("{}.{forged}.{}", parts[0], parts[2]), "signature"));
        let header = encode(header_with(name, &json!({"x": 1})).to_string());
        cases.push(("another header", format!("{header}.{}.{}", parts[1], parts[2]), "signature"));
        let signature = super::base64url(parts[2]).unwrap();
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            cases.push(("a bit of the signature", format!("{}.{}.{}", parts[0], parts[1], encode(changed)), "signature"));
        }
        for length in [0, 1, 32, 63, 64, 65, 96, 132, 255, 256, 257, 1024, 1025] {
            for byte in [0, 1, 0xff] {
                let filled = encode(vec![byte; length]);
                cases.push(("a filled signature", format!("{}.{}.{filled}", parts[0], parts[1]), "signature"));
            }
        }
        let mut longer = signature.clone();
        longer.insert(0, 0);
        cases.push(("a zero before it", format!("{}.{}.{}", parts[0], parts[1], encode(longer)), "signature"));
        // A token that another one carries is not verified for it.
        cases.push(("nested", signed(name, &header_with(name, &json!({"cty": "JWT"})).to_string(), &good), "not a JSON object"));
    }
    // (r, s) with one of them 0, and one of them the order of the curve.
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let one = [vec![0; 31], vec![1]].concat();
    let input = format!("{}.{}", encode(header_with("p256", &json!({})).to_string()), encode(claims().to_string()));
    for (r, s) in [(&one, &vec![0; 32]), (&vec![0; 32], &one), (&order, &one), (&one, &order), (&order, &order)] {
        cases.push(("r or s out of range", format!("{input}.{}", encode([r.as_slice(), s].concat())), "signature"));
    }
    // Ed25519: R the neutral point with s = 0, and s raised by the order of the group.
    let input = format!("{}.{}", encode(header_with("ed25519", &json!({})).to_string()), encode(claims().to_string()));
    let neutral = [vec![1], vec![0; 63]].concat();
    cases.push(("the neutral point", format!("{input}.{}", encode(neutral)), "signature"));
    let mut raised = sign("ed25519", input.as_bytes());
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, add) in raised[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    cases.push(("s beyond the order", format!("{input}.{}", encode(raised)), "signature"));
    all_refused(cases);
}

#[test]
fn keys_that_must_not_be_used_are_passed_over() {
    let small_order = json!({"kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": encode([&[1u8][..], &[0; 31]].concat())});
    let with = |name: &str, changed: Value| {
        let mut keys = key_set(&[name]);
        for (member, value) in changed.as_object().unwrap() {
            keys["keys"][0][member] = value.clone();
        }
        keys
    };
    for (name, changed) in [
        ("rsa", json!({"use": "enc"})),
        ("p256", json!({"use": "enc"})),
        ("p256", json!({"use": 7})),
        ("ed25519", json!({"key_ops": ["sign"]})),
        ("ed25519", json!({"key_ops": "verify"})),
        ("rsa", json!({"alg": "RS512"})),
        ("rsa", json!({"alg": "PS256"})),
        ("rsa", json!({"alg": "RSA-OAEP"})),
        ("p256", json!({"alg": "RS256"})),
        ("p256", json!({"alg": null})),
        ("p256", json!({"crv": "secp256k1"})),
        ("p256", json!({"x": encode([1; 32])})), // not on the curve
        ("p256", json!({"x": encode([0; 31])})),
        ("p256", json!({"y": ""})),
        ("ed25519", json!({"x": encode([2; 31])})),
        ("ed25519", json!({"crv": "X25519"})),
        ("rsa", json!({"e": encode([1])})),
        ("rsa", json!({"e": encode([2])})),
        ("rsa", json!({"e": ""})),
        ("rsa", json!({"n": ""})),
        ("rsa", json!({"n": "!"})),
        ("rsa", json!({"n": encode([0xff; 1025])})),
        ("rsa", json!({"kty": "oct", "k": "AAAA"})),
        ("rsa", json!({"kid": 7})),
    ] {
        refused(&changed.to_string(), &token(name, &json!({}), &claims()), &with(name, changed.clone()), "no key");
    }
    refused("1024 bits", &token("rsa_small", &json!({}), &claims()), &key_set(&["rsa_small"]), "no key");
    // With the point of order one as its key, a signature of (neutral point, 0) would be right for any message.
    let input = format!("{}.{}", encode(json!({"alg": "EdDSA", "kid": "weak"}).to_string()), encode(claims().to_string()));
    let any = format!("{input}.{}", encode([&[1u8][..], &[0; 63]].concat()));
    refused("a key of small order", &any, &json!({ "keys": [small_order] }), "signature");
    for (name, changed) in [
        ("rsa", json!({"use": "sig", "alg": "RS256", "key_ops": ["verify"]})),
        ("ed25519", json!({"alg": "Ed25519"})),
        ("p256", json!({"x5c": ["x"], "unknown": 1})),
    ] {
        assert_eq!(verdict(&token(name, &json!({}), &claims()), &with(name, changed.clone())).as_deref(), Ok("ann"), "{changed}");
    }
}

#[test]
fn the_key_is_the_one_that_is_named_and_without_a_name_the_only_one() {
    let nameless = |name: &str| token(name, &json!({"kid": null}), &claims());
    assert_eq!(verdict(&nameless("rsa"), &key_set(&["p256", "rsa"])).as_deref(), Ok("ann"));
    assert_eq!(verdict(&nameless("rsa"), &key_set(&["rsa_small", "rsa"])).as_deref(), Ok("ann"), "one of them can be used");
    refused("no kid and two keys", &nameless("rsa"), &key_set(&["rsa", "rsa_other"]), "no key");
    refused("a key that was rotated out", &token("rsa", &json!({}), &claims()), &key_set(&["rsa_other"]), "no key");
    refused("another case", &token("rsa", &json!({"kid": "RSA"}), &claims()), &all_keys(), "no key");
    refused("a path", &token("rsa", &json!({"kid": "../rsa"}), &claims()), &all_keys(), "no key");
    refused("an empty name", &token("rsa", &json!({"kid": ""}), &claims()), &all_keys(), "no key");
    refused("no text", &token("rsa", &json!({"kid": 7}), &claims()), &all_keys(), "not a token");
    refused("a long name", &token("rsa", &json!({"kid": "k".repeat(257)}), &claims()), &all_keys(), "too long");
    let mut twice = key_set(&["rsa", "rsa_other"]);
    twice["keys"][1]["kid"] = json!("rsa");
    refused("two keys of one name", &token("rsa", &json!({}), &claims()), &twice, "no key");
    for (keys, why) in
        [(json!({}), "no key set"), (json!([]), "no key set"), (json!({"keys": {}}), "no key set"), (json!({"keys": []}), "no key")]
    {
        refused("a bad key set", &token("rsa", &json!({}), &claims()), &keys, why);
    }
}

#[test]
fn what_changes_the_meaning_of_a_header_is_refused() {
    let mut cases = Cases::new();
    for header in [
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"crit": null, "b64": false}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "secevent+jwt"}),
        json!({"typ": "JWS"}),
        json!({"typ": ""}),
        json!({"typ": "JWT "}),
        json!({"typ": "application/application/jwt"}),
    ] {
        cases.push(("header", token("p256", &header, &claims()), "header"));
    }
    cases.push(("typ is no text", token("p256", &json!({"typ": ["JWT"]}), &claims()), "not a token"));
    let (header, good) = (header_with("p256", &json!({})).to_string(), claims().to_string());
    for (what, header, claims) in [
        ("alg twice", r#"{"alg":"none","alg":"ES256","kid":"p256"}"#, good.as_str()),
        ("alg twice by an escape", r#"{"alg":"ES256","\u0061lg":"none","kid":"p256"}"#, good.as_str()),
        ("kid twice", r#"{"alg":"ES256","kid":"x","kid":"p256"}"#, good.as_str()),
        ("sub twice", &header, &good.replace(r#""sub""#, r#""sub":"admin","sub""#)),
        ("a claim twice deeper", &header, &good.replace(r#""sub""#, r#""a":{"b":1,"b":2},"sub""#)),
        ("header is a list", "[]", good.as_str()),
        ("claims are a list", &header, "[]"),
        ("claims are text", &header, "\"ann\""),
        ("claims are empty", &header, " "),
        ("header is empty", "", good.as_str()),
        ("claims go on", &header, &format!("{good}{good}")),
        ("claims are cut", &header, &good[..good.len() - 1]),
        ("too deep", &header, &good.replace(r#""sub""#, &format!(r#""a":{}1{},"sub""#, "[".repeat(20), "]".repeat(20)))),
        ("not UTF-16", &header, &good.replace("ann", r"\ud800")),
    ] {
        cases.push((what, signed("p256", header, claims), "not a"));
    }
    all_refused(cases);
}

#[test]
fn a_token_has_one_spelling() {
    let good = token("ed25519", &json!({}), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    // 64 bytes are 86 characters, of which the last carries two bits: the other four must be 0.
    let last = s.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let mut cases = Cases::new();
    for (what, spelled) in [
        ("trailing bits", format!("{h}.{c}.{}{next}", &s[..s.len() - 1])),
        ("padding", format!("{h}.{c}.{s}==")),
        ("a space before", format!(" {good}")),
        ("a space behind", format!("{good} ")),
        ("a line break behind", format!("{good}\n")),
        ("a space inside", format!("{h}. {c}.{s}")),
        ("a line break inside", format!("{h}.{}\n{}.{s}", &c[..8], &c[8..])),
        ("a null byte", format!("{h}.{c}.{s}\0")),
        ("the other alphabet", format!("{h}.{c}.{}", s.replace('-', "+").replace('_', "/") + "+/")),
        ("percent", format!("{h}.{c}.%41{}", &s[1..])),
        ("one character too many", format!("{h}.{c}.{s}A")),
        ("not ASCII", format!("{h}.{c}.{s}\u{430}")),
    ] {
        cases.push((what, spelled, ""));
    }
    // The same bytes with padding where the signature covers it: whoever signs so is not understood either.
    let input = format!("{}.{}", encode(header_with("ed25519", &json!({})).to_string()), encode(claims().to_string() + " ") + "==");
    cases.push(("padding that was signed", format!("{input}.{}", encode(sign("ed25519", input.as_bytes()))), "base64url"));
    all_refused(cases);
    assert_eq!(verdict(&good, &all_keys()).as_deref(), Ok("ann"));
}

#[test]
fn a_token_is_for_us_and_of_now() {
    let good = json!({});
    let with = |changed: Value| token("ed25519", &good, &claims_with(&changed));
    let mut cases = Cases::new();
    for (changed, why) in [
        (json!({"iss": "https://other.example"}), "another issuer"),
        (json!({"iss": "https://issuer.example/"}), "another issuer"),
        (json!({"iss": "https://ISSUER.example"}), "another issuer"),
        (json!({"iss": "http://issuer.example"}), "another issuer"),
        (json!({"iss": "https://issuer.example."}), "another issuer"),
        (json!({"iss": "https://\u{456}ssuer.example"}), "another issuer"),
        (json!({"iss": null}), "claim iss is missing"),
        (json!({"iss": [ISSUER]}), "claim iss must be text"),
        (json!({"aud": "other"}), "another audience"),
        (json!({"aud": ["other", "others"]}), "another audience"),
        (json!({"aud": []}), "another audience"),
        (json!({"aud": "keyward other"}), "another audience"),
        (json!({"aud": "KEYWARD"}), "another audience"),
        (json!({"aud": "keyward/"}), "another audience"),
        (json!({"aud": ["keyward", 7]}), "another audience"),
        (json!({"aud": {"keyward": true}}), "another audience"),
        (json!({"aud": null}), "another audience"),
        (json!({"exp": NOW_S}), "expired"),
        (json!({"exp": NOW_S - 1}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": null}), "claim exp is missing"),
        (json!({"exp": -1}), "claim exp must be a time"),
        (json!({"exp": (NOW_S + 9).to_string()}), "claim exp must be a time"),
        (json!({"exp": 9_007_199_254_740_991_u64}), "claim exp must be a time"),
        (json!({"exp": [NOW_S + 9]}), "claim exp must be a time"),
        (json!({"exp": true}), "claim exp must be a time"),
        (json!({"nbf": NOW_S + 61}), "not valid yet"),
        (json!({"nbf": "soon"}), "claim nbf must be a time"),
        (json!({"iat": NOW_S + 61}), "not valid yet"),
        (json!({"iat": null}), "claim iat is missing"),
        (json!({"iat": "now"}), "claim iat must be a time"),
        (json!({"cnf": {"jkt": "x"}}), "claim cnf"),
    ] {
        cases.push(("a claim", with(changed), why));
    }
    all_refused(cases);
    for changed in
        [json!({"exp": NOW_S + 1}), json!({"nbf": NOW_S + 60}), json!({"iat": NOW_S + 60}), json!({"iat": 0}), json!({"aud": ["keyward"]})]
    {
        assert_eq!(verdict(&with(changed.clone()), &all_keys()).as_deref(), Ok("ann"), "{changed}");
    }
}

#[test]
fn whom_a_token_speaks_of_has_a_well_formed_id() {
    let all = Provider { company: Some("org".into()), permissions: Some("may".into()), ..provider() };
    let with = |changed: &Value| {
        let whole = claims_with(&json!({"org": "acme", "may": ["orders.read"]}));
        let mut whole = whole;
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => drop(whole.as_object_mut().unwrap().remove(name)),
                _ => whole[name] = value.clone(),
            }
        }
        read(&all, &token("ed25519", &json!({}), &whole), &all_keys())
    };
    for (changed, why) in [
        (json!({"sub": null}), "claim sub is missing"),
        (json!({"sub": 7}), "claim sub must be text"),
        (json!({"sub": ["ann"]}), "claim sub must be text"),
        (json!({"sub": ""}), "claim sub must be 1 to 128"),
        (json!({"sub": "a".repeat(129)}), "claim sub must be 1 to 128"),
        (json!({"sub": "ann "}), "claim sub must be visible ASCII"),
        (json!({"sub": " ann"}), "claim sub must be visible ASCII"),
        (json!({"sub": "ann\u{0}"}), "claim sub must be visible ASCII"),
        (json!({"sub": "ann\n"}), "claim sub must be visible ASCII"),
        (json!({"sub": "\u{430}nn"}), "claim sub must be visible ASCII"), // Cyrillic
        (json!({"sub": "ann\u{200b}"}), "claim sub must be visible ASCII"),
        (json!({"sub": "../admin"}), "claim sub must be visible ASCII"),
        (json!({"sub": "a,b"}), "claim sub must be visible ASCII"),
        (json!({"org": null}), "claim org is missing"),
        (json!({"org": 7}), "claim org must be text"),
        (json!({"org": "acme?company=demo"}), "claim org must be visible ASCII"),
        (json!({"org": "acme/demo"}), "claim org must be visible ASCII"),
        (json!({"org": "\u{ff41}cme"}), "claim org must be visible ASCII"), // full width
        (json!({"may": null}), "claim may is missing"),
        (json!({"may": 7}), "claim may must be a list"),
        (json!({"may": ["orders.read", 7]}), "claim may must be a list of texts"),
        (json!({"may": ["orders.read", "Orders"]}), "claim may [1] must be dotted"),
        (json!({"may": ["orders.read orders.write"]}), "claim may [0] must be dotted"),
        (json!({"may": "orders.read,orders.write"}), "claim may [0] must be dotted"),
        (json!({"may": [""]}), "claim may [0] must be 1 to 100"),
        (json!({"may": vec!["a"; 101]}), "claim may must have at most 100"),
        (json!({"may": ["keyward.operator"]}), "claim may has keyward.operator"),
    ] {
        let said = with(&changed).unwrap_err();
        assert!(said.contains(why), "{changed}: {said}");
    }
    for (changed, owner, company, permissions) in [
        (json!({}), "ann", "acme", vec!["orders.read"]),
        (json!({"sub": "auth0|5f2", "may": []}), "auth0|5f2", "acme", vec![]),
        (json!({"may": " a  b.c "}), "ann", "acme", vec!["a", "b.c"]),
        (json!({"may": ""}), "ann", "acme", vec![]),
        (json!({"may": ["a", "a", "*"]}), "ann", "acme", vec!["*"]),
        (json!({"org": "demo", "may": ["keyward.operator"]}), "ann", "demo", vec!["keyward.operator"]),
    ] {
        let said = with(&changed).unwrap();
        assert_eq!((said.owner.as_str(), said.company.as_str()), (owner, company), "{changed}");
        assert_eq!(said.permissions, Some(PermissionSet::parse(permissions).unwrap()), "{changed}");
    }
}

#[test]
fn an_address_that_is_not_verified_names_nobody() {
    let by_email = Provider { owner: "email".into(), ..provider() };
    let with = |changed: Value| read(&by_email, &token("ed25519", &json!({}), &claims_with(&changed)), &all_keys());
    let owner = |changed: Value| with(changed).map(|token| token.owner.to_string());
    assert!(owner(json!({"email": "ann@acme.example"})).unwrap_err().contains("email_verified is missing"));
    let access = Provider { keys: super::provider::Keys::At("https://issuer.example/certs".into()), ..by_email.clone() };
    let asserted = |changed: Value| read(&access, &token("ed25519", &json!({}), &claims_with(&changed)), &all_keys());
    assert_eq!(
        asserted(json!({"email": "ann@acme.example"})).unwrap().owner.as_str(),
        "ann@acme.example",
        "Access lets in who has proven it"
    );
    assert!(asserted(json!({"email": "ann@acme.example", "email_verified": false})).is_err());
    assert_eq!(owner(json!({"email": "ann@acme.example", "email_verified": true})).as_deref(), Ok("ann@acme.example"));
    for not in [json!(false), json!("true"), json!(0)] {
        assert!(with(json!({"email": "ann@acme.example", "email_verified": not})).unwrap_err().contains("not verified"));
    }
    let ignored = claims_with(&json!({"email_verified": false}));
    assert_eq!(verdict(&token("ed25519", &json!({}), &ignored), &all_keys()).as_deref(), Ok("ann"), "where it names nobody it may be so");
}

#[test]
fn a_token_has_at_most_8_kilobytes() {
    let padded = |length: usize| token("ed25519", &json!({}), &claims_with(&json!({"pad": "x".repeat(length)})));
    // Three characters more make four of base64url.
    let room = (MAX_LEN - padded(0).len()) / 4 * 3;
    let longest = padded(room);
    assert!(longest.len() <= MAX_LEN && longest.len() > MAX_LEN - 8);
    assert_eq!(verdict(&longest, &all_keys()).as_deref(), Ok("ann"));
    refused("too long", &padded(room + 6), &all_keys(), "longer than 8 KB");
    refused("much too long", &".".repeat(1 << 20), &all_keys(), "longer than 8 KB");
}
