//! Session tokens: `kws_<hex company>.<64 hex random>.<64 hex MAC>`. The MAC keeps made-up ones away from the
//! objects; what a session may do is the Shard object's business, which stores the token's SHA-256.

use keyward_shared::{digest::Digest, ids::CompanyId, secret::SecretList, time::Millis};

/// For how long a session lasts: 8 hours.
pub const LIFETIME: Millis = Millis::from_secs(8 * 3600);
/// The cookie that carries the token.
pub const COOKIE: &str = "__Host-keyward";

const CONTEXT: &[u8] = b"keyward session v1\n";

/// A new token of `company`.
pub fn mint(company: &CompanyId, random: [u8; 32], secrets: &SecretList) -> String {
    let body = format!("kws_{}.{}", hex::encode(company.as_str()), hex::encode(random));
    let mac = hex::encode(secrets.mac(&[CONTEXT, body.as_bytes()]));
    format!("{body}.{mac}")
}

/// The company of a token and the digest under which it is stored; `None` where no secret of ours made it.
pub fn read(token: &str, secrets: &SecretList) -> Option<(CompanyId, Digest)> {
    let (body, mac) = token.rsplit_once('.')?;
    if !secrets.verify_hex(&[CONTEXT, body.as_bytes()], mac) {
        return None;
    }
    let company = hex::decode(body.strip_prefix("kws_")?.split_once('.')?.0).ok()?;
    let company = CompanyId::new(core::str::from_utf8(&company).ok()?).ok()?;
    Some((company, Digest::of(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_company_and_a_made_up_one_nothing() {
        let secrets = SecretList::single([5; 32]);
        let company = CompanyId::new("auth0|5f2").unwrap();
        let token = mint(&company, [7; 32], &secrets);
        assert_eq!(read(&token, &secrets), Some((company, Digest::of(token.as_bytes()))));
        assert_eq!(read(&token, &SecretList::single([6; 32])), None);
        let (body, mac) = token.rsplit_once('.').unwrap();
        let in_capitals = format!("{body}.{}", mac.to_ascii_uppercase());
        for bad in ["", ".", "kws_", "kws_00.00.00", &token[1..], &token.replace("07", "08"), &in_capitals] {
            assert_eq!(read(bad, &secrets), None, "{bad}");
        }
    }
}
