//! Which rule a request goes by.

use std::{hint::black_box, mem};

use anyhow::Result;
use keyward_shared::{
    path,
    policy::{CompiledPolicy, Requirement},
};

use super::counted;
use crate::fixtures::{self, Layout};

pub(super) fn check_path() -> bool {
    let path = fixtures::path_of_last(Layout::Together, 5_000);
    counted(&mut || path::check(black_box(&path)).is_ok())
}

pub(super) fn match_last(rules: usize) -> Result<bool> {
    let path = fixtures::path_of_last(Layout::Apart, rules);
    requirement(Layout::Apart, rules, &path, |asked| matches!(asked, Requirement::Key { permission: Some(_), .. }))
}

pub(super) fn match_none(rules: usize) -> Result<bool> {
    requirement(Layout::Apart, rules, "/elsewhere/42", |asked| asked == Requirement::Denied)
}

pub(super) fn match_last_together(rules: usize) -> Result<bool> {
    let path = fixtures::path_of_last(Layout::Together, rules);
    requirement(Layout::Together, rules, &path, |asked| matches!(asked, Requirement::Key { permission: Some(_), .. }))
}

fn requirement(layout: Layout, rules: usize, path: &str, expected: fn(Requirement<'_>) -> bool) -> Result<bool> {
    let policy = CompiledPolicy::new(&fixtures::policy(layout, rules)?);
    let matched = counted(&mut || expected(policy.requirement("GET", black_box(path))));
    mem::forget(policy); // as in `request::pass`
    Ok(matched)
}
