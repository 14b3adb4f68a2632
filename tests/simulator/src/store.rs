//! The replicated store, as bad as it can be: every value that was ever put under a name may come back, at every
//! location another one, after fresher ones, or as absence. What it never does is make up a value by itself; for that
//! there is [`Store::tamper`], which does what somebody with write access to it could do.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use keyward_shared::feed::Feed;

/// What a value is, for the checks; the edge sees only the text.
#[derive(Clone, Debug)]
pub enum Content {
    /// A feed that the Feed object issued.
    Feed(Rc<Feed>),
    /// A record or a policy that an object sealed.
    Sealed,
    /// Something that no object wrote under this name.
    Forged,
}

/// A value.
#[derive(Debug)]
pub struct Value {
    /// As it is stored.
    pub text: String,
    /// What it is.
    pub content: Content,
}

/// A value with the true time at which it arrived; `None`: removed.
#[derive(Clone, Debug)]
struct Version {
    at: u64,
    value: Option<Rc<Value>>,
}

/// How a location sees the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// As it is.
    #[default]
    Fresh,
    /// As it was so many milliseconds ago.
    Lag(u64),
    /// At each reading any value ever put, or none.
    Any,
    /// Not at all: every read fails.
    Failing,
    /// Everything is absent.
    Empty,
}

/// What a read gives.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A value.
    Value(Rc<Value>),
    /// The store says that there is none.
    Absent,
    /// An error.
    Failed,
}

/// What somebody with write access does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// Changes a character.
    Flip,
    /// Cuts it off.
    Truncate,
    /// Puts another name's value there.
    Swap,
    /// Puts an older value of the same name back.
    Old,
}

/// The most versions remembered of a name. Of more, every second of the older half is forgotten.
const MOST_VERSIONS: usize = 64;

#[derive(Default)]
struct Name {
    versions: Vec<Version>,
    /// Per location: what it keeps, and until when.
    cached: Vec<Option<(u64, Seen)>>,
    /// The last version is no object's doing.
    meddled: bool,
}

/// The store and the locations' views of it.
pub struct Store {
    names: BTreeMap<String, Name>,
    views: Vec<View>,
    caching: Vec<bool>,
    /// Names under which a put arrived so late that nobody puts the right value after it.
    late: BTreeSet<String>,
}

impl Store {
    /// An empty store that is seen from `locations` places.
    pub fn new(locations: usize) -> Self {
        Self { names: BTreeMap::new(), views: vec![View::Fresh; locations], caching: vec![false; locations], late: BTreeSet::new() }
    }

    /// How a location sees it from now on, and whether it keeps what it read, as `cacheTtl` allows.
    pub fn set_view(&mut self, location: usize, view: View, caching: bool) {
        if let Some(slot) = self.views.get_mut(location) {
            *slot = view;
        }
        if let Some(slot) = self.caching.get_mut(location) {
            *slot = caching;
        }
    }

    /// A put, or a removal, arrives.
    pub fn arrive(&mut self, now: u64, name: &str, value: Option<Rc<Value>>) {
        let entry = self.names.entry(name.into()).or_default();
        entry.meddled = false;
        let versions = &mut entry.versions;
        versions.push(Version { at: now, value });
        if versions.len() > MOST_VERSIONS {
            let mut index = 0;
            versions.retain(|_| {
                index += 1;
                index > MOST_VERSIONS / 2 || index % 2 == 0
            });
        }
    }

    /// Notes that a put under `name` arrived too late to be mended by the second put.
    pub fn note_late(&mut self, name: &str) {
        self.late.insert(name.into());
    }

    /// Whether what stands under `name` was put there by somebody else, or put back.
    pub fn was_tampered(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|name| name.meddled)
    }

    /// Whether such a put ever arrived under `name`.
    pub fn was_late(&self, name: &str) -> bool {
        self.late.contains(name)
    }

    /// What a location reads at `now`; `pick` chooses where there is a choice. What it read it may keep for `cache_ms`.
    pub fn read(&mut self, location: usize, name: &str, now: u64, cache_ms: u64, pick: &mut fastrand::Rng) -> Seen {
        let view = self.views.get(location).copied().unwrap_or_default();
        let caching = self.caching.get(location).copied().unwrap_or(false);
        let entry = self.names.entry(name.into()).or_default();
        entry.cached.resize_with(self.views.len(), || None);
        let kept = entry.cached.get(location).and_then(Option::as_ref).filter(|(until, _)| caching && now < *until);
        if let Some((_, seen)) = kept
            && view != View::Failing
        {
            return seen.clone();
        }
        let value = |version: Option<&Version>| version.and_then(|version| version.value.clone()).map_or(Seen::Absent, Seen::Value);
        let seen = match view {
            View::Failing => return Seen::Failed,
            View::Empty => Seen::Absent,
            View::Fresh => value(entry.versions.last()),
            View::Lag(ms) => value(entry.versions.iter().rev().find(|version| version.at + ms <= now)),
            View::Any if entry.versions.is_empty() || pick.u8(..10) == 0 => Seen::Absent,
            View::Any => value(entry.versions.get(pick.usize(..entry.versions.len()))),
        };
        if let Some(slot) = entry.cached.get_mut(location) {
            *slot = Some((now + cache_ms, seen.clone()));
        }
        seen
    }

    /// What stands under `name` at the place where it is written.
    pub fn current(&self, name: &str) -> Option<Rc<Value>> {
        self.names.get(name)?.versions.last()?.value.clone()
    }

    /// All names that hold a value.
    pub fn names(&self) -> Vec<String> {
        self.names.iter().filter(|(name, _)| self.current(name).is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// Puts everything back to what it was at `then`.
    pub fn roll_back(&mut self, now: u64, then: u64) {
        for name in self.names.values_mut() {
            let value = name.versions.iter().rev().find(|version| version.at <= then).and_then(|version| version.value.clone());
            name.versions.push(Version { at: now, value });
            name.meddled = true;
        }
    }

    /// Removes everything.
    pub fn empty(&mut self, now: u64) {
        for name in self.names.values_mut() {
            name.versions.push(Version { at: now, value: None });
            name.meddled = true;
        }
    }

    /// Does to one value in `every` what `how` says.
    pub fn tamper(&mut self, now: u64, how: Tampering, every: usize, pick: &mut fastrand::Rng) {
        let all: Vec<Rc<Value>> = self.names.values().filter_map(|name| name.versions.last()?.value.clone()).collect();
        for name in self.names.values_mut() {
            if pick.usize(..every.max(1)) != 0 {
                continue;
            }
            let Some(last) = name.versions.last().and_then(|version| version.value.clone()) else { continue };
            let forged = |text: String| Some(Rc::new(Value { text, content: Content::Forged }));
            let value = match how {
                Tampering::Flip => {
                    let at = pick.usize(..last.text.len().max(1));
                    let flip = |(index, c): (usize, char)| if index == at { if c == '1' { '2' } else { '1' } } else { c };
                    let text: String = last.text.chars().enumerate().map(flip).collect();
                    if text == last.text {
                        continue;
                    }
                    forged(text)
                }
                Tampering::Truncate => forged(last.text.chars().take(pick.usize(..last.text.len().max(1))).collect()),
                Tampering::Swap => match all.get(pick.usize(..all.len().max(1))) {
                    Some(other) if other.text != last.text => forged(other.text.clone()),
                    _ => continue,
                },
                Tampering::Old => name.versions.get(pick.usize(..name.versions.len())).and_then(|version| version.value.clone()),
            };
            name.versions.push(Version { at: now, value });
            name.meddled = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &mut Store, at: u64, text: &str) {
        store.arrive(at, "k:x", Some(Rc::new(Value { text: text.into(), content: Content::Sealed })));
    }

    fn read(store: &mut Store, now: u64) -> String {
        match store.read(0, "k:x", now, 1_000, &mut fastrand::Rng::with_seed(1)) {
            Seen::Value(value) => value.text.clone(),
            Seen::Absent => "absent".into(),
            Seen::Failed => "failed".into(),
        }
    }

    #[test]
    fn a_location_sees_the_store_as_its_view_says() {
        let mut store = Store::new(1);
        put(&mut store, 10, "a");
        put(&mut store, 20, "b");
        for (view, now, seen) in [
            (View::Fresh, 20, "b"),
            (View::Lag(5), 20, "a"),
            (View::Lag(15), 20, "absent"),
            (View::Lag(15), 36, "b"),
            (View::Empty, 36, "absent"),
            (View::Failing, 36, "failed"),
        ] {
            store.set_view(0, view, false);
            assert_eq!(read(&mut store, now), seen, "{view:?} at {now}");
        }
        store.roll_back(40, 15);
        store.set_view(0, View::Fresh, false);
        assert_eq!(read(&mut store, 40), "a");
    }

    #[test]
    fn a_location_that_keeps_what_it_read_does_not_see_a_change_until_then() {
        let mut store = Store::new(1);
        store.set_view(0, View::Fresh, true);
        assert_eq!(read(&mut store, 0), "absent");
        put(&mut store, 10, "a");
        assert_eq!((read(&mut store, 999), read(&mut store, 1_000)), ("absent".into(), "a".into()));
    }
}
