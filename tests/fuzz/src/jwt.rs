//! Tokens of an identity provider: what is taken was signed by one of its keys, and says what a naive reading of it says.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek as ed25519;
use keyward_control::{
    call::Token,
    oidc::{Provider, provider::Keys},
};
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    permission::{OPERATOR, PermissionSet},
    time::Millis,
};
use p256::ecdsa::{self, signature::Signer as _};
use serde_json::{Map, Value, json};

use crate::{input, tokens::changes};

const NOW_S: u64 = 1_795_000_000;
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "keyward";
/// Up to here a number is the same for every reader.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// The provider's two keys.
struct Issuer {
    ed25519: ed25519::SigningKey,
    p256: ecdsa::SigningKey,
}

/// A header, claims, and any text, one on a line. The text is no token. Header and claims signed by a key of the provider are taken
/// exactly where a naive reading takes them, and say the same; where somebody else signed them, or one character of the token was
/// changed, added or taken away, they are not. With the text as key set nothing is taken either.
pub fn jwt(data: &[u8]) {
    let Some([header, claims, text]) = input::lines(data) else { return };
    let issuer = Issuer::new([7; 32]);
    let keys = issuer.key_set();
    let provider = provider();
    assert_eq!(taken(&provider, text, &keys), None, "what nobody signed: {text}");

    let seed = *Digest::of(data).as_bytes();
    let mut spellings = vec![(header.to_owned(), claims.to_owned(), false)];
    if let (Some(header), Some(claims)) = (plainly(header), plainly(claims)) {
        spellings.push((header, claims, true));
    }
    for (header, claims, plain) in spellings {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
        for (kid, algorithms, signature) in issuer.sign(&input) {
            let token = format!("{input}.{signature}");
            let said = taken(&provider, &token, &keys);
            let naive = naively(&header, &claims, kid, algorithms).filter(|_| token.len() <= 8 << 10);
            match &said {
                Some(said) => assert_eq!(naive, Some(said.clone()), "{header} {claims}"),
                None => assert!(!plain || naive.is_none(), "refused: {header} {claims}"),
            }
            if said.is_none() {
                continue;
            }
            assert_eq!(taken(&provider, &token, text), None, "a key set that is none: {text}");
            assert_eq!(taken(&provider, &token, &Issuer::new([8; 32]).key_set()), None, "the same names, other keys");
            // Each costs a verification: every eighth, beginning where the input says.
            for changed in changes(&token, text, &seed).into_iter().skip(usize::from(seed[2] % 8)).step_by(8) {
                assert_eq!(taken(&provider, &changed, &keys), None, "{changed} for {token}");
            }
        }
    }
}

fn provider() -> Provider {
    Provider {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        owner: "sub".into(),
        company: Some("org".into()),
        permissions: Some("may".into()),
        keys: Keys::At(String::new()),
    }
}

fn operator() -> CompanyId {
    CompanyId::new("demo").unwrap()
}

fn taken(provider: &Provider, token: &str, keys: &str) -> Option<Token> {
    provider.read(token, &operator(), Millis::from_secs(NOW_S)).ok()?.proven(keys).ok()
}

impl Issuer {
    fn new(seed: [u8; 32]) -> Self {
        Self { ed25519: ed25519::SigningKey::from_bytes(&seed), p256: ecdsa::SigningKey::from_slice(&seed).unwrap() }
    }

    fn key_set(&self) -> String {
        let point = self.p256.verifying_key().to_sec1_point(false);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": encode(self.ed25519.verifying_key().as_bytes())},
            {"kty": "EC", "crv": "P-256", "kid": "p", "x": encode(&point.as_bytes()[1..33]), "y": encode(&point.as_bytes()[33..])},
        ]})
        .to_string()
    }

    /// The name of each key, the algorithms that are its own, and its signature.
    fn sign(&self, input: &str) -> [(&'static str, &'static [&'static str], String); 2] {
        let ed25519 = self.ed25519.sign(input.as_bytes()).to_bytes();
        let p256: ecdsa::Signature = self.p256.sign(input.as_bytes());
        [("e", &["EdDSA", "Ed25519"], URL_SAFE_NO_PAD.encode(ed25519)), ("p", &["ES256"], URL_SAFE_NO_PAD.encode(p256.to_bytes()))]
    }
}

/// An object as `serde_json` writes it: each member once. `None` where there is something that not every reader takes.
fn plainly(text: &str) -> Option<String> {
    let value: Map<String, Value> = serde_json::from_str(text).ok()?;
    value.values().all(|value| is_plain(value, 10)).then(|| serde_json::to_string(&value).unwrap())
}

fn is_plain(value: &Value, depth: usize) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() <= MAX_WHOLE),
        Value::Array(values) => depth > 0 && values.iter().all(|value| is_plain(value, depth - 1)),
        Value::Object(members) => depth > 0 && members.values().all(|value| is_plain(value, depth - 1)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// What a token of the key `kid` says, as one reads RFC 7515 and RFC 7519 who does not mind duplicates.
fn naively(header: &str, claims: &str, kid: &str, algorithms: &[&str]) -> Option<Token> {
    let (header, claims) = (object(header)?, object(claims)?);
    let text = |from: &Map<String, Value>, name: &str| Some(from.get(name)?.as_str()?.to_owned());
    let known = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
    let typ = match header.get("typ") {
        None => "jwt".into(),
        Some(_) => text(&header, "typ")?.to_lowercase(),
    };
    let named = header.get("kid").is_none_or(|sent| sent == kid);
    let marked = header.keys().any(|name| matches!(name.as_str(), "crit" | "b64" | "zip" | "enc"));
    if !algorithms.contains(&text(&header, "alg")?.as_str()) || !known.contains(&typ.as_str()) || !named || marked {
        return None;
    }

    let audiences = match claims.get("aud")? {
        Value::String(one) => vec![one.clone()],
        Value::Array(list) => list.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect::<Option<_>>()?,
        _ => return None,
    };
    let time = |name: &str| claims.get(name).map(|value| value.as_f64().filter(|at| *at >= 0.0).map(f64::floor));
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    let now = NOW_S as f64;
    let (expires_at, issued_at) = (time("exp")??, time("iat")??);
    let begun = time("nbf").is_none_or(|from| from.is_some_and(|from| from <= now + 60.0));
    let valid = expires_at > now && expires_at < 253_402_300_800.0 && issued_at <= now + 60.0 && begun;
    if text(&claims, "iss")? != ISSUER || !audiences.iter().any(|one| one == AUDIENCE) || !valid || claims.contains_key("cnf") {
        return None;
    }
    let company = CompanyId::new(&text(&claims, "org")?).ok()?;
    let may = match claims.get("may")? {
        Value::String(words) => {
            words.split([' ', '\t', '\n', '\r', '\u{c}']).filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
        }
        Value::Array(list) => list.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    if may.iter().any(|one| one == OPERATOR) && company != operator() {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, not negative, and before the year 10000
    let millis = |seconds: f64| Millis::from_secs(seconds as u64);
    Some(Token {
        company,
        owner: OwnerId::new(&text(&claims, "sub")?).ok()?,
        issuer: ISSUER.into(),
        name: text(&claims, "name"),
        email: text(&claims, "email"),
        permissions: Some(PermissionSet::parse(may.iter().map(String::as_str)).ok()?),
        issued_at: millis(issued_at),
        expires_at: millis(expires_at),
    })
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}
