//! A feed: what the store or the Feed object gave, and a look into it.

use std::hint::black_box;

use anyhow::Result;
use keyward_edge::verifier::{Attempt, Lookup, Read};
use keyward_shared::{
    feed::{self, Subject},
    seal,
};

use super::counted;
use crate::fixtures::{self, NOW};

pub(super) fn check_mac() -> Result<bool> {
    let (secrets, name, value) = (fixtures::secrets()?, feed::name(0), fixtures::sealed_feed(1_000)?);
    Ok(counted(&mut || seal::open(&secrets, &name, black_box(&value)).is_ok()))
}

pub(super) fn take_in(changes: u64) -> Result<bool> {
    let (mut verifier, mut attempt) = (fixtures::verifier()?, Attempt::default());
    let mut value = Some(fixtures::sealed_feed(changes)?);
    counted(&mut || {
        let Some(value) = black_box(value.take()) else { return false };
        verifier.provide(Read::Feed(0), Lookup::Found(value), NOW, &mut attempt);
        true
    });
    Ok(verifier.feed_stamp(0) == Some(NOW))
}

pub(super) fn look_up() -> Result<bool> {
    let feed = fixtures::feed(20_000)?;
    let subject = Subject::policy();
    Ok(counted(&mut || feed.rev_of(black_box(subject)).is_none()))
}
