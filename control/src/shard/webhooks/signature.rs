//! Signatures as the Standard Webhooks specification has them. A webhook's secret is kept nowhere: it is derived from the
//! deployment's, from each of them while they are rotated, and each of them signs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_shared::{ids::CompanyId, secret::SecretList};

/// What separates a webhook's secret from any other MAC made with the same secrets.
const CONTEXT: &[u8] = b"keyward webhook v1\n";

/// The secrets of the webhook `id`, newest first.
fn derived(secrets: &SecretList, company: &CompanyId, id: &str) -> Vec<[u8; 32]> {
    secrets.macs(&[CONTEXT, company.as_str().as_bytes(), b"\n", id.as_bytes()]).collect()
}

/// The newest secret, as receivers' libraries read it: `whsec_<base64>`.
pub(super) fn secret(secrets: &SecretList, company: &CompanyId, id: &str) -> String {
    derived(secrets, company, id).first().map(|newest| format!("whsec_{}", STANDARD.encode(newest))).unwrap_or_default()
}

/// `webhook-signature` of a message that is sent `at_s` seconds after 1970: one signature for each secret.
pub(super) fn signatures(secrets: &SecretList, company: &CompanyId, id: &str, message: &str, at_s: u64, body: &str) -> String {
    let signed = format!("{message}.{at_s}.{body}");
    let one = |secret| format!("v1,{}", STANDARD.encode(SecretList::single(secret).mac(&[signed.as_bytes()])));
    derived(secrets, company, id).into_iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    #[test]
    fn a_secret_is_of_one_webhook_of_one_company_and_of_the_newest_of_the_deployments() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let both = list(&format!("{new},{old}"));
        let [acme, other] = ["acme", "other"].map(|id| CompanyId::new(id).unwrap());
        let shown = secret(&both, &acme, "wh_1");
        assert!(shown.starts_with("whsec_") && STANDARD.decode(&shown[6..]).unwrap().len() == 32, "{shown}");
        assert_eq!(shown, secret(&list(&new), &acme, "wh_1"));
        for another in [secret(&list(&old), &acme, "wh_1"), secret(&both, &other, "wh_1"), secret(&both, &acme, "wh_2")] {
            assert_ne!(shown, another);
        }
    }

    #[test]
    fn a_signature_is_what_a_receiver_reckons_with_the_secret_that_it_was_shown() {
        // Reckoned by Python's hmac: secret = HMAC(key, "keyward webhook v1\nacme\nwh_1"), signature = HMAC(secret, "msg_1.1700000000.{}").
        let secrets = list(&"ab".repeat(32));
        let acme = CompanyId::new("acme").unwrap();
        assert_eq!(secret(&secrets, &acme, "wh_1"), "whsec_Osm3j9jyLSGW0GP8n5Q5nSLe47FDy8kE5B0L2VNrsH4=");
        assert_eq!(signatures(&secrets, &acme, "wh_1", "msg_1", 1_700_000_000, "{}"), "v1,zS2N2cML9sYXKrmpdWOOW7evTW6WYqsjadrTVvemEqQ=");
    }

    #[test]
    fn while_secrets_are_rotated_all_of_them_sign() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let acme = CompanyId::new("acme").unwrap();
        let sign = |text: &str| signatures(&list(text), &acme, "wh_1", "msg_1", 7, "{}");
        assert_eq!(sign(&format!("{new},{old}")), format!("{} {}", sign(&new), sign(&old)));
    }
}
