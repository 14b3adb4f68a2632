//! A whole request: what the verifier says about its key, and what the gate says about all of it.

use std::{hint::black_box, mem};

use anyhow::Result;
use keyward_edge::{
    gate::{self, Outcome},
    verifier::{Attempt, Progress, Read, Verdict, Verifier},
};
use keyward_shared::{digest::Digest, problem::Code};

use super::counted;
use crate::fixtures::{self, Layout, NOW};

pub(super) fn verify_warm() -> Result<bool> {
    let (mut verifier, text) = (fixtures::knowing(&fixtures::record()?)?, fixtures::key(1)?.text);
    // The first request with a key also checks its tag.
    Ok(is_known(&mut verifier, &text) && counted(&mut || is_known(&mut verifier, &text)))
}

pub(super) fn verify_after_feed() -> Result<bool> {
    let (mut verifier, text) = (fixtures::knowing(&fixtures::record()?)?, fixtures::key(1)?.text);
    let warm = is_known(&mut verifier, &text);
    fixtures::provide(&mut verifier, Read::Feed(0), fixtures::sealed_feed(1_000)?);
    Ok(warm && counted(&mut || is_known(&mut verifier, &text)))
}

pub(super) fn verify_imported() -> Result<bool> {
    let text = "sk_live_51HxQzKJr8GmPq2vT9wYb3NdA7eLc4FsU";
    let mut verifier = fixtures::verifier()?.accepting(Some(|text| text.starts_with("sk_live_")));
    let digest = Digest::of(text.as_bytes());
    let record = fixtures::record()?.seal_imported(&fixtures::secrets()?, &digest)?;
    fixtures::provide(&mut verifier, Read::ImportedRecord(digest), record);
    Ok(counted(&mut || is_known(&mut verifier, text)))
}

fn is_known(verifier: &mut Verifier, text: &str) -> bool {
    let progress = verifier.verify(black_box(text.as_bytes()), NOW, &mut Attempt::default());
    matches!(progress, Progress::Done(Verdict::Known(_)))
}

pub(super) fn refuse_made_up() -> Result<bool> {
    let (mut verifier, text) = (fixtures::knowing(&fixtures::record()?)?, fixtures::made_up()?);
    Ok(counted(&mut || {
        let progress = verifier.verify(black_box(text.as_bytes()), NOW, &mut Attempt::default());
        matches!(progress, Progress::Done(Verdict::Refused(Code::UnknownKey)))
    }))
}

pub(super) fn say_need_of_cold() -> Result<bool> {
    let (mut verifier, text) = (fixtures::knowing(&fixtures::record()?)?, fixtures::key(2)?.text);
    Ok(counted(&mut || {
        let progress = verifier.verify(black_box(text.as_bytes()), NOW, &mut Attempt::default());
        matches!(progress, Progress::Need(Read::Record(..)))
    }))
}

/// A GET that the last of `rules` rules lets pass: credential, path, key, policy and decision together.
pub(super) fn pass(layout: Layout, rules: usize) -> Result<bool> {
    let (mut verifier, text) = (fixtures::knowing(&fixtures::record()?)?, fixtures::key(1)?.text);
    fixtures::provide(&mut verifier, Read::Feed(0), fixtures::sealed_feed(0)?);
    fixtures::provide(&mut verifier, Read::Policy, fixtures::sealed_policy(layout, rules)?);
    let path = fixtures::path_of_last(layout, rules);
    let mut pass = || {
        let facts = gate::facts("GET", black_box(&path), Some(&text), None);
        matches!(gate::evaluate(&mut verifier, &facts, NOW, &mut Attempt::default()), Progress::Done(Outcome::Pass(_)))
    };
    let passed = pass() && counted(&mut pass);
    mem::forget(verifier); // freed in the order of its policy's hashes, it would leave a heap that is never the same
    Ok(passed)
}
