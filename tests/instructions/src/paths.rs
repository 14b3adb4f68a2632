//! The paths whose instructions are counted, and the walk over them.
//!
//! Each path makes ready what it needs, calls [`counted`] once with the part that is counted, and says whether that did what the path's name
//! says, so that nothing becomes fast by failing. Values pass through `black_box`, or the compiler would do the work before the program runs.

mod feed;
mod key;
mod policy;
mod record;
mod request;

use std::hint::black_box;

use anyhow::{Context, Result, ensure};

use crate::{comparison::Growth, fixtures::Layout};

/// How often each path is walked. The fewest instructions are kept: a policy's map hashes with random numbers of its process, so a lookup now and
/// then meets another entry first, and takes some instructions more. Everything else takes the same number each time.
pub(crate) const ROUNDS: usize = 5;

/// One path.
pub(crate) struct Path {
    /// What it does; the name of its line in the file.
    pub(crate) name: &'static str,
    /// Walks it once; whether it did that.
    pub(crate) walk: fn() -> Result<bool>,
}

/// All paths, in the order of the file.
pub(crate) const ALL: [Path; 34] = [
    Path { name: "find the credential in x-api-key", walk: key::find_in_x_api_key },
    Path { name: "find the credential in Authorization", walk: key::find_in_authorization },
    Path { name: "parse a key", walk: key::parse },
    Path { name: "refuse a mistyped key", walk: key::refuse_mistyped },
    Path { name: "digest a key", walk: key::digest },
    Path { name: "check a key's tag", walk: key::check_tag },
    Path { name: "check the MAC of a record", walk: record::check_mac },
    Path { name: "refuse a record with a wrong MAC", walk: record::refuse_wrong_mac },
    Path { name: "open a record", walk: record::open },
    Path { name: "open a record with 100 permissions", walk: record::open_with_100_permissions },
    Path { name: "take in a record", walk: record::take_in },
    Path { name: "decide on a record", walk: record::decide },
    Path { name: "decide on a record with networks", walk: record::decide_with_networks },
    Path { name: "decide on a record with 100 permissions", walk: record::decide_with_100_permissions },
    Path { name: "verify a warm key", walk: request::verify_warm },
    Path { name: "verify a warm key after a new feed", walk: request::verify_after_feed },
    Path { name: "verify a warm imported key", walk: request::verify_imported },
    Path { name: "refuse a made-up key", walk: request::refuse_made_up },
    Path { name: "say what a cold key needs", walk: request::say_need_of_cold },
    Path { name: "let a warm request pass, 1 rule", walk: || request::pass(Layout::Apart, 1) },
    Path { name: "let a warm request pass, 100 rules", walk: || request::pass(Layout::Apart, 100) },
    Path { name: "let a warm request pass, 5000 rules", walk: || request::pass(Layout::Apart, 5_000) },
    Path { name: "let a warm request pass, 100 rules under /v1", walk: || request::pass(Layout::Together, 100) },
    Path { name: "check the path of a request", walk: || Ok(policy::check_path()) },
    Path { name: "match the last of 1 rule", walk: || policy::match_last(1) },
    Path { name: "match the last of 100 rules", walk: || policy::match_last(100) },
    Path { name: "match the last of 5000 rules", walk: || policy::match_last(5_000) },
    Path { name: "match none of 5000 rules", walk: || policy::match_none(5_000) },
    Path { name: "match the last of 100 rules under /v1", walk: || policy::match_last_together(100) },
    Path { name: "match the last of 5000 rules under /v1", walk: || policy::match_last_together(5_000) },
    Path { name: "check the MAC of a feed of 1000 changes", walk: feed::check_mac },
    Path { name: "take in a feed without changes", walk: || feed::take_in(0) },
    Path { name: "take in a feed of 1000 changes", walk: || feed::take_in(1_000) },
    Path { name: "look for a change among 20000", walk: feed::look_up },
];

/// What must not grow, whatever compiler it is: what a request costs with many rules, against what it costs with one.
pub(crate) const GROWTH: [Growth; 4] = [
    Growth { from: "match the last of 1 rule", to: "match the last of 5000 rules", percent: 20 },
    Growth { from: "match the last of 100 rules under /v1", to: "match the last of 5000 rules under /v1", percent: 20 },
    Growth { from: "let a warm request pass, 1 rule", to: "let a warm request pass, 100 rules under /v1", percent: 20 },
    Growth { from: "let a warm request pass, 1 rule", to: "let a warm request pass, 5000 rules", percent: 20 },
];

/// Walks all paths, each [`ROUNDS`] times. Callgrind counts what happens within [`counted`], and dumps its count whenever that ends.
pub(crate) fn walk() -> Result<()> {
    for path in &ALL {
        for _ in 0..ROUNDS {
            let did = (path.walk)().with_context(|| format!("cannot {}", path.name))?;
            ensure!(did, "did not {}", path.name);
        }
    }
    Ok(())
}

/// What is counted. Callgrind knows it by its name, so there must be one such function in the program, and it must remain one.
#[inline(never)]
pub(crate) fn counted(work: &mut dyn FnMut() -> bool) -> bool {
    black_box(work()) // and not the last thing that is called: it must come back here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_does_what_its_name_says() {
        walk().unwrap();
    }

    #[test]
    fn every_path_has_a_name_of_its_own_and_what_must_not_grow_is_counted() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|path| path.name).collect();
        assert_eq!(names.len(), ALL.len());
        for growth in &GROWTH {
            assert!(names.contains(growth.from) && names.contains(growth.to));
        }
    }
}
