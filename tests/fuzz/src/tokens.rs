//! Sign-in links and session tokens: only what a secret of the deployment made is taken, in the one spelling it was given.

use keyward_control::session;
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    link::{LinkError, SignInLink},
    secret::SecretList,
    time::Millis,
};

use crate::input;

const NOW: Millis = Millis(1_795_000_000_000);

/// A company, an owner, and any text, one on a line. The text is no token; a link for that owner and a session of that
/// company tell what they were made with, until they expire, and nothing once a character of them is changed, added or
/// taken away, whatever the change.
pub fn tokens(data: &[u8]) {
    let Some([company, owner, text]) = input::lines(data) else { return };
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let secrets = SecretList::parse(&format!("{new},{old}")).unwrap();
    assert_eq!(SignInLink::from_token(text, &secrets, NOW), Err(LinkError::Invalid));
    assert_eq!(session::read(text, &secrets), None);

    let (Ok(company), Ok(owner)) = (CompanyId::new(company), OwnerId::new(owner)) else { return };
    let seed = *Digest::of(data).as_bytes();
    let random: [u8; 16] = core::array::from_fn(|at| seed[at]);
    for maker in [&secrets, &SecretList::parse(&old).unwrap()] {
        let link = SignInLink::new(company.clone(), owner.clone(), NOW, random);
        let token = link.to_token(maker);
        let read = |token: &str, now| SignInLink::from_token(token, &secrets, now);
        assert_eq!(read(&token, NOW).as_ref(), Ok(&link));
        assert_eq!(read(&token, Millis(link.expires_at.0 - 1)).as_ref(), Ok(&link));
        assert_eq!(read(&token, link.expires_at), Err(LinkError::Expired));
        assert_eq!(SignInLink::from_token(&token, &SecretList::parse(&"33".repeat(32)).unwrap(), NOW), Err(LinkError::Invalid));
        for changed in changes(&token, text, &seed) {
            assert_eq!(read(&changed, NOW), Err(LinkError::Invalid), "{changed} for {token}");
        }

        let token = session::mint(&company, seed, maker);
        assert_eq!(session::read(&token, &secrets), Some((company.clone(), Digest::of(token.as_bytes()))));
        for changed in changes(&token, text, &seed) {
            assert_eq!(session::read(&changed, &secrets), None, "{changed} for {token}");
        }
    }
}

/// The token with one thing changed, at places and in ways that the input says.
pub(crate) fn changes(token: &str, text: &str, seed: &[u8; 32]) -> Vec<String> {
    let at = usize::from(u16::from_be_bytes([seed[0], seed[1]])) % token.len();
    let mut changed = vec![
        token.to_ascii_uppercase(),
        token[..at].to_owned(),
        token[at + 1..].to_owned(),
        format!("{token}{text}"),
        format!("{text}{token}"),
        format!("{}{text}{}", &token[..at], &token[at..]),
        format!("{token}.{token}"),
    ];
    let (body, mac) = token.rsplit_once('.').unwrap();
    changed.extend([format!("{body}.{}", mac.to_ascii_uppercase()), format!("{body}.{text}"), format!("{text}.{mac}")]);
    for (index, with) in text.chars().enumerate().take(64) {
        changed.extend(input::edited(token, at + index * 7, with));
    }
    changed.extend(['0', 'f', 'A', '.', ' '].into_iter().filter_map(|with| input::edited(token, at, with)));
    changed.retain(|changed| changed != token);
    changed
}
