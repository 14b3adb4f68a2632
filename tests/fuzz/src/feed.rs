//! The feed, against looking through its changes one by one.

use keyward_shared::{
    feed::{self, Change, Feed, Subject},
    seal,
    secret::SecretList,
    time::Millis,
};
use serde::Deserialize;

use crate::input;

/// A feed's fields as another reader finds them.
#[derive(Deserialize)]
struct Mirror {
    v: u32,
    group: u16,
    issued_at: u64,
    since: u64,
    changes: Vec<(String, u64)>,
}

/// The input as changes of few subjects with small revisions: `rev_of` is the highest revision of a subject, and the feed
/// comes back as it went. The input as a stored value: it does not open unless it was sealed. The input as a sealed body:
/// it has what `serde_json` finds in it, sorted, each subject once.
pub fn feed(data: &[u8]) {
    let secrets = SecretList::single([3; 32]);
    let changes: Vec<(u64, u64)> =
        data.chunks_exact(2).map(|pair| (u64::from(pair[0]).wrapping_mul(0x0101_0101_0101_0101), u64::from(pair[1]))).collect();
    let made = Feed::new(3, Millis(20), Millis(10), changes.iter().map(|&(subject, rev)| Change(subject_of(subject), rev)).collect());
    holds(&made, &changes.iter().map(|&(subject, rev)| (subject_of(subject), rev)).collect::<Vec<_>>());
    let sealed = made.seal(&secrets).unwrap();
    assert_eq!(Feed::open(&secrets, 3, &sealed).unwrap(), made);
    assert!(Feed::open(&secrets, 4, &sealed).is_err());

    let Some(text) = input::text(data) else { return };
    assert!(Feed::open(&SecretList::single([9; 32]), 3, text).is_err());
    let sealed = seal::seal(&secrets, &feed::name(3), text);
    let Ok(opened) = Feed::open(&secrets, 3, &sealed) else { return };
    let mirror: Mirror = serde_json::from_str(text).expect("what Keyward's reader reads serde_json reads");
    assert_eq!((mirror.v, mirror.group), (feed::VERSION, 3));
    assert_eq!((opened.issued_at.0, opened.since.0), (mirror.issued_at, mirror.since));
    let changes: Vec<(Subject, u64)> = mirror.changes.iter().map(|(subject, rev)| (subject.parse().unwrap(), *rev)).collect();
    holds(&opened, &changes);
    assert_eq!(Feed::open(&secrets, 3, &opened.seal(&secrets).unwrap()).unwrap(), opened);
}

fn subject_of(number: u64) -> Subject {
    format!("{number:016x}").parse().unwrap()
}

fn holds(feed: &Feed, changes: &[(Subject, u64)]) {
    assert!(feed.changes.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each once");
    let others = [0, 1, u64::MAX].map(|number| (subject_of(number), 0));
    for (subject, _) in changes.iter().chain(&others) {
        let highest = changes.iter().filter(|(known, _)| known == subject).map(|(_, rev)| *rev).max();
        assert_eq!(feed.rev_of(*subject), highest);
    }
    assert!(feed.changes.iter().all(|change| changes.contains(&(change.0, change.1))), "nothing is made up");
}
