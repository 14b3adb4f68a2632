//! What a run consists of: a list of operations at given times, made from a seed, or read from a file where a failing
//! one was kept. Everything that the list leaves open (latencies, which old value a store gives) is drawn anew from the
//! seed and the moment, so leaving out one operation leaves the others nearly as they were: that is what shrinking needs.

use serde::{Deserialize, Serialize};

use crate::store::{Tampering, View};

/// How many locations there are, each with its own view of the store.
pub const EDGES: usize = 5;
/// How many isolates each location has.
pub const ISOLATES: usize = 3;
/// Companies: the operator's, one of the same shard, one of another.
pub const COMPANIES: usize = 3;
/// Owners in each company besides the administrator.
pub const OWNERS: usize = 3;

/// An object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// One of the two shards.
    Shard(usize),
    /// The feed of a group.
    Feed(usize),
    /// The registry.
    Registry,
}

/// What happens to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// It does not go off.
    Lost,
    /// It goes off twice.
    Twice,
    /// It goes off so many milliseconds late.
    Late(u64),
}

/// How writes to the store fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// Of a hundred, how many fail without an effect.
    pub fail: u8,
    /// Of a hundred, how many are reported as failed and take effect.
    pub persist: u8,
    /// Of a hundred, how many arrive late, at most so many milliseconds.
    pub late: (u8, u64),
}

#[expect(missing_docs, reason = "their names and the functions that carry them out say it")]
/// One operation. Indices are taken modulo what there is, so that every operation means something wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    // Mutations.
    Create {
        company: usize,
        owner: usize,
        restriction: u8,
        network: bool,
        expires_s: Option<u64>,
        blind: bool,
        manager: Option<usize>,
        retry: bool,
    },
    Patch {
        key: usize,
        restriction: Option<u8>,
        expires_s: Option<u64>,
        network: Option<bool>,
        rename: bool,
    },
    Revoke {
        key: usize,
        cascade: bool,
    },
    RevokeMany {
        company: usize,
        owner: Option<usize>,
        prefix: Option<u8>,
        unused_s: Option<u64>,
    },
    Leak {
        key: usize,
        keys: usize,
    },
    ImportKeys {
        company: usize,
        owner: usize,
        keys: usize,
    },
    Rotate {
        key: usize,
        overlap_s: Option<u64>,
        blind: bool,
    },
    Delete {
        key: usize,
    },
    PutOwner {
        company: usize,
        owner: usize,
        permissions: u8,
        active: bool,
    },
    /// Of each owner, where the call names them, the number of the set of permissions, and active or not.
    PutOwners {
        company: usize,
        owners: [Option<(u8, bool)>; OWNERS],
        deactivate_missing: bool,
    },
    DeleteOwner {
        company: usize,
        owner: usize,
    },
    PutCompany {
        company: usize,
        active: bool,
    },
    DeleteCompany {
        company: usize,
    },
    PutPolicy {
        rule: u8,
    },
    // Traffic.
    Request {
        edge: usize,
        isolate: usize,
        key: usize,
        path: u8,
    },
    Traffic {
        edge: usize,
        isolate: usize,
        key: usize,
        seconds: u16,
    },
    Unknown {
        edge: usize,
        isolate: usize,
    },
    // Faults.
    See {
        edge: usize,
        view: View,
        caching: bool,
    },
    Writes(Writes),
    CutOff {
        edge: usize,
        cut: bool,
    },
    Unannounced {
        cut: bool,
    },
    Overload {
        percent: u8,
    },
    Crash(Object),
    CrashInTurn(Object),
    StorageFails {
        object: Object,
        after: u8,
    },
    Clock {
        object: Object,
        offset_ms: i64,
    },
    EdgeClock {
        edge: usize,
        isolate: usize,
        offset_ms: i64,
    },
    Restart {
        edge: usize,
        isolate: usize,
    },
    Alarm {
        object: Object,
        what: Alarm,
    },
    Displace {
        shard: usize,
        seconds: u16,
    },
    DisplaceFeed {
        group: usize,
        seconds: u16,
    },
    RollBack {
        hours: u16,
    },
    Tamper {
        how: Tampering,
        every: usize,
    },
    EmptyStore,
    EmptyFeed {
        group: usize,
    },
    Backup(Object),
    Restore(Object),
    Heal,
    // Looks at the objects' own data, as the control plane shows it.
    Inspect {
        key: usize,
    },
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// What is drawn for everything that is left open.
    pub seed: u64,
    /// How many feeds the shards are split over: 1 or 2.
    pub feed_groups: u16,
    /// Whether isolates keep a request to the Feed object open.
    pub push: bool,
    /// The operations, each with its time in milliseconds since the beginning.
    pub ops: Vec<(u64, Op)>,
}

/// The furthest that a clock is off: as much as the edge allows for.
const SKEW_MS: i64 = 5_000;

impl Script {
    /// The run of a seed, of about `length` operations over several days.
    pub fn generate(seed: u64, length: usize) -> Self {
        let mut draw = fastrand::Rng::with_seed(seed);
        let (feed_groups, push) = (1 + u16::from(draw.u8(..4) == 0), draw.bool());
        let mut ops = Vec::with_capacity(length);
        let mut at = 0;
        for company in 0..COMPANIES {
            for owner in 0..OWNERS {
                ops.push((
                    at,
                    Op::Create {
                        company,
                        owner,
                        restriction: 0,
                        network: false,
                        expires_s: None,
                        blind: false,
                        manager: None,
                        retry: false,
                    },
                ));
                at += 50;
            }
        }
        ops.push((at, Op::PutPolicy { rule: 0 }));
        // Each run has a weather of its own: some are calm with much change, some are all faults.
        let (faults, changes) = (draw.u8(1..40), draw.u8(2..30));
        // Some outlast the feed's memory, seven days, by far: with nights, weekends and holidays in between.
        let longest = if draw.u8(..5) == 0 { 400 } else { 30 };
        while ops.len() < length {
            at += gap(&mut draw, longest);
            let roll = draw.u8(..100);
            let op = if roll < faults {
                fault(&mut draw)
            } else if roll < faults.saturating_add(changes) {
                mutation(&mut draw)
            } else {
                traffic(&mut draw)
            };
            ops.push((at, op.clone()));
            match op {
                Op::DeleteCompany { company } if draw.bool() => make_again(&mut draw, company, &mut at, &mut ops),
                // Keys that were made in one turn, and the end of their owner right after it.
                Op::ImportKeys { company, owner, .. } if draw.u8(..3) == 0 => ops.push((at, Op::DeleteOwner { company, owner })),
                _ => {}
            }
        }
        Self { seed, feed_groups, push, ops }
    }
}

/// A company that was just deleted is made again, as soon as that is possible: tried at once and a little later, with its
/// people and a key.
fn make_again(draw: &mut fastrand::Rng, company: usize, at: &mut u64, ops: &mut Vec<(u64, Op)>) {
    for longest in [100, 2_000, 20_000] {
        *at += draw.u64(..longest);
        ops.push((*at, Op::PutCompany { company, active: true }));
    }
    *at += draw.u64(..200);
    ops.push((*at, Op::PutOwners { company, owners: [Some((0, true)); OWNERS], deactivate_missing: false }));
    *at += draw.u64(..200);
    ops.push((
        *at,
        Op::Create {
            company,
            owner: draw.usize(..OWNERS),
            restriction: 0,
            network: false,
            expires_s: None,
            blind: false,
            manager: None,
            retry: false,
        },
    ));
}

/// Mostly moments, sometimes minutes, now and then up to so many hours.
fn gap(draw: &mut fastrand::Rng, longest_h: u64) -> u64 {
    match draw.u16(..1000) {
        0..=599 => draw.u64(..1_000),
        600..=899 => draw.u64(1_000..8_000),
        900..=979 => draw.u64(8_000..70_000),
        980..=996 => draw.u64(70_000..900_000),
        _ => draw.u64(3_600_000..longest_h * 3_600_000),
    }
}

fn object(draw: &mut fastrand::Rng) -> Object {
    match draw.u8(..5) {
        0 | 1 => Object::Shard(draw.usize(..2)),
        2 | 3 => Object::Feed(draw.usize(..2)),
        _ => Object::Registry,
    }
}

fn mutation(draw: &mut fastrand::Rng) -> Op {
    let (company, owner, key) = (draw.usize(..COMPANIES), draw.usize(..OWNERS), draw.usize(..1_000));
    match draw.u8(..100) {
        0..=24 => Op::Create {
            company,
            owner,
            restriction: draw.u8(..6),
            network: draw.u8(..6) == 0,
            expires_s: (draw.u8(..4) == 0).then(|| draw.u64(5..600)),
            blind: draw.u8(..4) == 0,
            manager: (draw.u8(..4) == 0).then(|| draw.usize(..1_000)),
            retry: draw.u8(..4) == 0,
        },
        25..=37 => Op::Patch {
            key,
            restriction: draw.bool().then(|| draw.u8(..6)),
            expires_s: (draw.u8(..3) == 0).then(|| draw.u64(5..600)),
            network: (draw.u8(..4) == 0).then(|| draw.bool()),
            rename: draw.bool(),
        },
        38 | 39 => {
            let by = draw.u8(..3);
            Op::RevokeMany {
                company,
                owner: (by == 0).then_some(owner),
                prefix: (by == 1 || draw.u8(..4) == 0).then(|| draw.u8(..)),
                unused_s: (by == 2 || draw.u8(..4) == 0).then(|| draw.u64(10..7_200)),
            }
        }
        40..=47 => {
            let overlap_s = if draw.bool() { None } else { Some(*draw.choice(&[0, 2, 30, 120]).unwrap_or(&0)) };
            Op::Rotate { key, overlap_s, blind: draw.u8(..4) == 0 }
        }
        48..=55 => Op::Revoke { key, cascade: draw.u8(..4) == 0 },
        56 | 57 => Op::Leak { key, keys: draw.usize(1..4) },
        58..=62 => Op::Delete { key },
        63 | 64 => Op::ImportKeys { company, owner, keys: draw.usize(1..9) },
        65..=80 => Op::PutOwner { company, owner, permissions: draw.u8(..6), active: draw.u8(..4) != 0 },
        81..=84 => {
            let mut owners = [None; OWNERS];
            for _ in 0..draw.u8(1..4) {
                owners[draw.usize(..OWNERS)] = Some((draw.u8(..6), draw.u8(..4) != 0));
            }
            Op::PutOwners { company, owners, deactivate_missing: draw.u8(..8) == 0 }
        }
        85..=87 => Op::DeleteOwner { company, owner },
        88..=93 => Op::PutCompany { company, active: draw.u8(..3) != 0 },
        94 => Op::DeleteCompany { company },
        _ => Op::PutPolicy { rule: draw.u8(..6) },
    }
}

fn traffic(draw: &mut fastrand::Rng) -> Op {
    let (edge, isolate, key) = (draw.usize(..EDGES), draw.usize(..ISOLATES), draw.usize(..1_000));
    match draw.u8(..20) {
        0 => Op::Traffic { edge, isolate, key, seconds: draw.u16(5..40) },
        1 => Op::Unknown { edge, isolate },
        2 => Op::Inspect { key },
        _ => Op::Request { edge, isolate, key, path: draw.u8(..4) },
    }
}

fn fault(draw: &mut fastrand::Rng) -> Op {
    let (edge, isolate) = (draw.usize(..EDGES), draw.usize(..ISOLATES));
    let any = object(draw);
    match draw.u8(..100) {
        0..=19 => {
            let view = match draw.u8(..8) {
                0 | 1 => View::Fresh,
                2 => View::Lag(draw.u64(500..400_000)),
                3 => View::Lag(draw.u64(400_000..48 * 3_600_000)),
                4 | 5 => View::Any,
                6 => View::Failing,
                _ => View::Empty,
            };
            Op::See { edge, view, caching: draw.bool() }
        }
        20..=27 => Op::Writes(Writes { fail: draw.u8(..50), persist: draw.u8(..30), late: (draw.u8(..20), draw.u64(1_000..7_200_000)) }),
        28..=37 => Op::CutOff { edge, cut: draw.u8(..3) != 0 },
        38..=40 => Op::Unannounced { cut: draw.bool() },
        41..=43 => Op::Overload { percent: draw.u8(..70) },
        44..=50 => Op::Crash(any),
        51..=56 => Op::CrashInTurn(any),
        57..=59 => Op::StorageFails { object: any, after: draw.u8(..20) },
        60..=65 => Op::Clock { object: any, offset_ms: draw.i64(-SKEW_MS..=SKEW_MS) },
        66..=68 => Op::EdgeClock { edge, isolate, offset_ms: draw.i64(-SKEW_MS..=SKEW_MS) },
        69..=72 => Op::Restart { edge, isolate },
        73..=77 => {
            let what = match draw.u8(..3) {
                0 => Alarm::Lost,
                1 => Alarm::Twice,
                _ => Alarm::Late(draw.u64(1_000..300_000)),
            };
            Op::Alarm { object: any, what }
        }
        78..=81 => Op::Displace { shard: draw.usize(..2), seconds: draw.u16(5..600) },
        82 => Op::DisplaceFeed { group: draw.usize(..2), seconds: draw.u16(5..600) },
        83 => Op::RollBack { hours: 25 },
        84 | 85 => {
            let how = [Tampering::Flip, Tampering::Truncate, Tampering::Swap, Tampering::Old];
            Op::Tamper { how: *draw.choice(&how).unwrap_or(&Tampering::Flip), every: draw.usize(1..4) }
        }
        86 => Op::EmptyStore,
        87 => Op::EmptyFeed { group: draw.usize(..2) },
        88 => Op::Backup(any),
        89 => Op::Restore(any),
        _ => Op::Heal,
    }
}
