#![allow(clippy::unwrap_used)] // a test that cannot be set up has failed
use keyward_shared::{
    feed::{Change, KEPT, MAX_CHANGES, Subject},
    ids::{CompanyId, OwnerId},
    shard::Shard,
    time::Millis,
    timing::Timing,
};

use super::{Feed, FeedError};
use crate::sql::{Sql, native::NativeSql};

const NOW: Millis = Millis(1_800_000_000_000);

fn feed(sql: &NativeSql) -> Feed<&NativeSql> {
    Feed::open(sql, Timing::default(), 0, NOW).unwrap()
}

fn subject(name: &str) -> Subject {
    let company = CompanyId::new("demo").unwrap();
    Subject::owner(Shard::of(&company), &company, &OwnerId::new(name).unwrap())
}

fn after(ms: u64) -> Millis {
    NOW.plus(Millis(ms))
}

#[test]
fn the_tables_have_their_golden_form() {
    let sql = NativeSql::in_memory().unwrap();
    feed(&sql);
    let rows = sql.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name", &[]).unwrap();
    let schema: Vec<_> = rows.iter().map(|row| row[0].text()).collect();
    assert_eq!(schema.join(";\n") + ";\n", include_str!("../../golden/feed-schema.sql"));
}

#[test]
fn a_feed_that_starts_empty_is_complete_only_from_now_on_by_any_clock() {
    let sql = NativeSql::in_memory().unwrap();
    let document = feed(&sql).issue(NOW).unwrap();
    assert_eq!((document.since, document.changes.len()), (after(5_000), 0));
}

#[test]
fn stamps_strictly_increase_even_when_the_clock_stands_still_or_goes_back() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let first = feed.issue(NOW).unwrap().issued_at;
    let second = feed.announce(NOW, &[Change(subject("a"), 1)]).unwrap().announced_at;
    let third = feed.issue(NOW.minus(Millis(9_000))).unwrap().issued_at;
    assert!(first < second && second < third, "{first:?} {second:?} {third:?}");
    let again = Feed::open(&sql, Timing::default(), 0, NOW).unwrap();
    assert!(again.issue(NOW).unwrap().issued_at > third, "a new instance goes on where the last one was");
}

#[test]
fn of_a_subject_the_highest_revision_and_the_newest_stamp_are_kept() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &[Change(subject("a"), 7)]).unwrap();
    feed.announce(after(KEPT.0 - 10), &[Change(subject("a"), 5)]).unwrap();
    let document = feed.issue(after(KEPT.0 + 10)).unwrap();
    assert_eq!(document.changes, vec![Change(subject("a"), 7)], "the late announcement keeps it listed");
}

#[test]
fn what_is_older_than_seven_days_is_dropped_and_since_rises_above_it() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let old = feed.announce(after(10_000), &[Change(subject("a"), 1)]).unwrap().announced_at;
    feed.announce(after(20_000), &[Change(subject("b"), 2)]).unwrap();
    let document = feed.issue(after(KEPT.0 + 15_000)).unwrap();
    assert_eq!(document.changes, vec![Change(subject("b"), 2)]);
    assert_eq!(document.since, old.plus(Millis(1)));
}

#[test]
fn above_the_limit_the_oldest_are_dropped_and_since_rises() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let first = feed.announce(after(10_000), &[Change(subject("first"), 1)]).unwrap().announced_at;
    let many: Vec<_> = (0..MAX_CHANGES).map(|n| Change(subject(&n.to_string()), 2)).collect();
    feed.announce(after(20_000), &many).unwrap();
    let document = feed.issue(after(30_000)).unwrap();
    assert_eq!((document.changes.len(), document.since), (MAX_CHANGES, first.plus(Millis(1))));
    assert_eq!(document.rev_of(subject("first")), None);
}

#[test]
fn without_changes_or_questions_nothing_is_published() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    assert_eq!(feed.due(NOW), Ok(None));
    assert_eq!(feed.begin_publication(NOW), Ok(None));
}

#[test]
fn a_change_is_published_at_once_but_at_most_once_per_second() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &[Change(subject("a"), 1)]).unwrap();
    let document = feed.begin_publication(NOW).unwrap().unwrap();
    feed.announce(after(10), &[Change(subject("b"), 2)]).unwrap();
    feed.published(document.issued_at).unwrap();
    assert_eq!(feed.due(after(10)), Ok(Some(after(1_000))), "what came meanwhile is not yet published");
    assert_eq!(feed.begin_publication(after(999)), Ok(None));
    let document = feed.begin_publication(after(1_000)).unwrap().unwrap();
    assert_eq!(document.changes.len(), 2);
    feed.published(document.issued_at).unwrap();
    assert_eq!(feed.due(after(1_000)), Ok(None));
}

#[test]
fn while_somebody_asks_it_is_published_every_heartbeat() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.asked(NOW).unwrap();
    let document = feed.begin_publication(NOW).unwrap().unwrap();
    feed.published(document.issued_at).unwrap();
    assert_eq!(feed.due(after(1)), Ok(Some(after(15_000))));
    assert_eq!(feed.due(after(600_000)), Ok(None), "nobody has asked for ten minutes");
}

#[test]
fn a_failed_publication_is_tried_again_after_a_growing_pause() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &[Change(subject("a"), 1)]).unwrap();
    let mut at = NOW;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        feed.begin_publication(at).unwrap().unwrap();
        let due = feed.due(at).unwrap().unwrap();
        pauses.push(due.minus(at).0);
        at = due;
    }
    assert_eq!(pauses, [2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
}

#[test]
fn a_clock_set_back_does_not_silence_the_feed() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(after(3_600_000), &[Change(subject("a"), 1)]).unwrap();
    feed.begin_publication(after(3_600_000)).unwrap();
    assert_eq!(feed.due(NOW), Ok(Some(after(2_000))));
}

#[test]
fn another_groups_object_is_refused() {
    let sql = NativeSql::in_memory().unwrap();
    assert_eq!(Feed::stored_group(&&sql), Ok(None));
    feed(&sql);
    assert_eq!(Feed::open(&sql, Timing::default(), 1, NOW).err(), Some(FeedError::Group(0)));
    assert_eq!(Feed::stored_group(&&sql), Ok(Some(0)));
}

#[test]
fn an_announcement_is_taken_whole_or_not_at_all() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    sql.execute("CREATE TRIGGER fail BEFORE INSERT ON change WHEN NEW.rev = 2 BEGIN SELECT RAISE(ABORT, 'no'); END", &[]).unwrap();
    assert!(feed.announce(NOW, &[Change(subject("a"), 1), Change(subject("b"), 2)]).is_err());
    assert!(feed.issue(NOW).unwrap().changes.is_empty());
}
