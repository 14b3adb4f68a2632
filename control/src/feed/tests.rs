#![allow(clippy::unwrap_used)] // a test that cannot be set up has failed
use keyward_shared::{
    feed::{Change, KEPT, MAX_CHANGES, Subject},
    ids::{CompanyId, OwnerId},
    shard::Shard,
    time::Millis,
    timing::Timing,
};

use super::{Feed, FeedError};
use crate::{
    call::{Announced, Announcement},
    sql::{Sql, native::NativeSql},
};

const NOW: Millis = Millis(1_800_000_000_000);

fn feed(sql: &NativeSql) -> Feed<&NativeSql> {
    Feed::open(sql, Timing::default(), 0, NOW).unwrap()
}

fn subject(name: &str) -> Subject {
    let company = CompanyId::new("demo").unwrap();
    Subject::owner(Shard::of(&company), &company, &OwnerId::new(name).unwrap())
}

fn told(changes: Vec<Change>) -> Announcement {
    Announcement { changes, seen: None, restored: false }
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
    let second = feed.announce(NOW, &told(vec![Change(subject("a"), 1)])).unwrap().stamp;
    let third = feed.issue(NOW.minus(Millis(9_000))).unwrap().issued_at;
    assert!(first < second && second < third, "{first:?} {second:?} {third:?}");
    let again = Feed::open(&sql, Timing::default(), 0, NOW).unwrap();
    assert!(again.issue(NOW).unwrap().issued_at > third, "a new instance goes on where the last one was");
}

#[test]
fn of_a_subject_the_highest_revision_and_the_newest_stamp_are_kept() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &told(vec![Change(subject("a"), 7)])).unwrap();
    feed.announce(after(KEPT.0 - 10), &told(vec![Change(subject("a"), 5)])).unwrap();
    let document = feed.issue(after(KEPT.0 + 10)).unwrap();
    assert_eq!(document.changes, vec![Change(subject("a"), 7)], "the late announcement keeps it listed");
}

#[test]
fn what_is_older_than_seven_days_is_dropped_and_since_rises_above_it() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let old = feed.announce(after(10_000), &told(vec![Change(subject("a"), 1)])).unwrap().announced_at;
    feed.announce(after(20_000), &told(vec![Change(subject("b"), 2)])).unwrap();
    let document = feed.issue(after(KEPT.0 + 15_000)).unwrap();
    assert_eq!(document.changes, vec![Change(subject("b"), 2)]);
    assert_eq!(document.since, old.plus(Millis(1)));
}

#[test]
fn above_the_limit_the_oldest_are_dropped_and_since_rises() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let first = feed.announce(after(10_000), &told(vec![Change(subject("first"), 1)])).unwrap().announced_at;
    let many: Vec<_> = (0..MAX_CHANGES).map(|n| Change(subject(&n.to_string()), 2)).collect();
    feed.announce(after(20_000), &told(many)).unwrap();
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
    assert_eq!(feed.due(Millis(1)), Ok(None), "nor where the clock does not go: nobody has ever asked");
}

#[test]
fn a_change_is_published_at_once_but_at_most_once_per_second() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &told(vec![Change(subject("a"), 1)])).unwrap();
    let document = feed.begin_publication(NOW).unwrap().unwrap();
    feed.announce(after(10), &told(vec![Change(subject("b"), 2)])).unwrap();
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
fn an_edge_is_told_at_once_exactly_what_its_feed_does_not_list() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    assert_eq!(feed.is_news_to(Millis(0)), Ok(true), "whoever has no feed gets one");
    let before = feed.issue(NOW).unwrap().issued_at;
    assert_eq!(feed.is_news_to(before), Ok(false));
    // The clock stands still: only the stamps tell before from after.
    let announced_at = feed.announce(NOW, &told(vec![Change(subject("a"), 1)])).unwrap().stamp;
    assert_eq!((feed.is_news_to(before), feed.is_news_to(announced_at.minus(Millis(1)))), (Ok(true), Ok(true)));
    let listing = feed.issue(NOW).unwrap();
    assert_eq!((feed.is_news_to(listing.issued_at), listing.changes.len()), (Ok(false), 1));
    feed.announce(NOW, &told(vec![Change(subject("b"), 2)])).unwrap();
    assert_eq!(feed.is_news_to(listing.issued_at), Ok(true));
    // Publishing for the store tells nobody who waits.
    feed.begin_publication(after(2_000)).unwrap().unwrap();
    assert_eq!(feed.is_news_to(listing.issued_at), Ok(true));
}

#[test]
fn edges_that_wait_keep_the_feed_published_without_being_written_down_each_time() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let asked_at = || sql.execute("SELECT asked_at FROM feed", &[]).unwrap()[0][0].number();
    let mut noted = Vec::new();
    for second in 0..130 {
        let is_noted = feed.awaited(after(second * 1_000)).unwrap();
        noted.push(asked_at() - NOW.0);
        assert_eq!(is_noted, second % 60 == 0, "{second}");
    }
    noted.dedup();
    assert_eq!(noted, [0, 60_000, 120_000]);
    assert!(feed.due(after(719_000)).unwrap().is_some());
}

#[test]
fn a_failed_publication_is_tried_again_after_a_growing_pause() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(NOW, &told(vec![Change(subject("a"), 1)])).unwrap();
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
    feed.announce(after(3_600_000), &told(vec![Change(subject("a"), 1)])).unwrap();
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
    assert!(feed.announce(NOW, &told(vec![Change(subject("a"), 1), Change(subject("b"), 2)])).is_err());
    assert!(feed.issue(NOW).unwrap().changes.is_empty());
}

#[test]
fn what_a_feed_that_just_began_is_told_counts_as_announced_once_it_is_complete_by_any_clock() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let change = |name| told(vec![Change(subject(name), 1)]);
    for (at, announced_at, stamp) in [(0, 10_000, 0), (4_000, 10_000, 4_000), (9_999, 10_000, 9_999), (10_000, 10_000, 10_000)] {
        let announced = feed.announce(after(at), &change("a")).unwrap();
        assert_eq!(announced, Announced { announced_at: after(announced_at), stamp: after(stamp) }, "after {at} ms");
    }
    let document = feed.issue(after(10_000)).unwrap();
    assert_eq!((document.issued_at, document.since), (after(10_001), after(5_000)), "the feed goes on with its own stamps");
    let announced = feed.announce(after(20_000), &Announcement { seen: Some(after(10_000)), ..change("b") }).unwrap();
    assert_eq!(announced, Announced { announced_at: after(20_000), stamp: after(20_000) }, "its own stamp is no sign of a loss");
}

#[test]
fn a_restored_feed_is_complete_only_from_then_on_and_is_published_at_once() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    feed.announce(after(20_000), &told(vec![Change(subject("a"), 1)])).unwrap();
    let document = feed.begin_publication(after(20_000)).unwrap().unwrap();
    feed.published(document.issued_at).unwrap();
    assert_eq!(feed.due(after(30_000)), Ok(None));
    feed.restored(after(30_000)).unwrap();
    assert_eq!(feed.due(after(30_000)), Ok(Some(after(21_000))));
    let document = feed.issue(after(30_000)).unwrap();
    assert_eq!((document.since, document.rev_of(subject("a"))), (after(35_000), Some(1)), "what it knows it goes on telling");
    let announced = feed.announce(after(30_000), &told(vec![Change(subject("b"), 2)])).unwrap();
    assert_eq!(announced.announced_at, after(40_000));
}

#[test]
fn an_announcement_can_say_that_the_feed_was_restored() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let announced = feed.announce(after(30_000), &Announcement { restored: true, ..told(vec![Change(subject("a"), 1)]) }).unwrap();
    let document = feed.issue(after(30_000)).unwrap();
    assert_eq!((document.since, document.rev_of(subject("a"))), (after(35_000), Some(1)));
    assert_eq!(announced, Announced { announced_at: after(40_000), stamp: after(30_001) });
}

#[test]
fn a_feed_learns_that_it_was_restored_from_whoever_was_given_a_higher_stamp() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let change = |name, seen| Announcement { seen: Some(seen), ..told(vec![Change(subject(name), 1)]) };
    let stamp = feed.announce(after(20_000), &told(vec![Change(subject("a"), 1)])).unwrap().stamp;
    feed.announce(after(30_000), &change("b", stamp)).unwrap();
    assert_eq!(feed.issue(after(30_000)).unwrap().since, after(5_000), "nothing was lost");

    // Its last stamp is now that of the issue; another object was told a higher one, by a clock that was faster.
    let seen = after(33_000);
    let announced = feed.announce(after(31_000), &change("c", seen)).unwrap();
    assert!(announced.stamp > seen && announced.announced_at >= announced.stamp.plus(Millis(8_000)), "{announced:?}");
    let document = feed.issue(after(31_000)).unwrap();
    assert!(document.since >= seen.plus(Millis(5_000)) && document.issued_at > announced.stamp, "{document:?}");
    let since = document.since;
    feed.announce(after(40_000), &change("d", seen)).unwrap();
    assert_eq!(feed.issue(after(40_000)).unwrap().since, since, "it is told once");
}

#[test]
fn a_stamp_from_beyond_a_day_ahead_is_refused_and_changes_nothing() {
    let sql = NativeSql::in_memory().unwrap();
    let feed = feed(&sql);
    let day = Millis::from_secs(86_400);
    let change = |seen| Announcement { seen: Some(seen), ..told(vec![Change(subject("a"), 1)]) };
    let absurd = after(20_000).plus(day).plus(Millis(1));
    assert_eq!(feed.announce(after(20_000), &change(absurd)).err(), Some(FeedError::Ahead(absurd)));
    let document = feed.issue(after(20_000)).unwrap();
    assert_eq!((document.issued_at, document.since, document.changes.len()), (after(20_000), after(5_000), 0));
    let announced = feed.announce(after(20_000), &change(after(20_000).plus(day))).unwrap();
    assert_eq!(announced.stamp, after(20_002).plus(day));
}
