//! A record: what the store gave, and what is decided by it.

use std::hint::black_box;

use anyhow::Result;
use keyward_edge::verifier::{Attempt, Lookup, Read};
use keyward_shared::{
    decide,
    permission::PermissionSet,
    record::{self, Record},
    seal::{self, SealError},
};

use super::counted;
use crate::fixtures::{self, NOW};

pub(super) fn check_mac() -> Result<bool> {
    let (secrets, name, value) = sealed()?;
    Ok(counted(&mut || seal::open(&secrets, &name, black_box(&value)).is_ok()))
}

pub(super) fn refuse_wrong_mac() -> Result<bool> {
    let (secrets, name, value) = sealed()?;
    let forged = value.replace("\"active\"", "\"Active\"");
    Ok(counted(&mut || seal::open(&secrets, &name, black_box(&forged)) == Err(SealError::Mac)))
}

/// A record as it is stored: what it is sealed with, its name, its value.
fn sealed() -> Result<(keyward_shared::secret::SecretList, String, String)> {
    let (secrets, digest) = (fixtures::secrets()?, fixtures::key(1)?.digest);
    let value = fixtures::record()?.seal(&secrets, &digest)?;
    Ok((secrets, record::name(fixtures::shard()?, &digest), value))
}

pub(super) fn open() -> Result<bool> {
    open_one(&fixtures::record()?)
}

pub(super) fn open_with_100_permissions() -> Result<bool> {
    open_one(&with_100_permissions()?)
}

fn open_one(record: &Record) -> Result<bool> {
    let (secrets, shard, digest) = (fixtures::secrets()?, fixtures::shard()?, fixtures::key(1)?.digest);
    let value = record.seal(&secrets, &digest)?;
    Ok(counted(&mut || Record::open(&secrets, shard, &digest, black_box(&value)).is_ok()))
}

pub(super) fn take_in() -> Result<bool> {
    let (mut verifier, digest) = (fixtures::verifier()?, fixtures::key(1)?.digest);
    let read = Read::Record(fixtures::shard()?, digest);
    let (mut attempt, mut value) = (Attempt::default(), Some(fixtures::record()?.seal(&fixtures::secrets()?, &digest)?));
    counted(&mut || {
        let Some(value) = black_box(value.take()) else { return false };
        verifier.provide(read, Lookup::Found(value), NOW, &mut attempt);
        true
    });
    Ok(verifier.holds(&digest))
}

pub(super) fn decide() -> Result<bool> {
    let (record, asked) = (fixtures::record()?, fixtures::permission("orders.write")?);
    Ok(counted(&mut || decide::decide(black_box(&record), NOW, None, Some(&asked)).is_ok()))
}

pub(super) fn decide_with_networks() -> Result<bool> {
    let networks = ["203.0.113.0/24", "2001:db8::/32", "10.0.0.0/8"].map(str::parse).into_iter().collect::<Result<_, _>>()?;
    let record = Record { networks, ..fixtures::record()? };
    let (address, asked) = ("10.1.2.3".parse()?, fixtures::permission("orders.write")?);
    Ok(counted(&mut || decide::decide(black_box(&record), NOW, Some(address), Some(&asked)).is_ok()))
}

pub(super) fn decide_with_100_permissions() -> Result<bool> {
    let (record, asked) = (with_100_permissions()?, fixtures::permission("orders.work99.read")?);
    Ok(counted(&mut || decide::decide(black_box(&record), NOW, None, Some(&asked)).is_ok()))
}

/// As many permissions as a set may have; the last in order is `orders.work99.read`.
fn with_100_permissions() -> Result<Record> {
    let names: Vec<String> = (0..100).map(|n| format!("orders.work{n:02}.read")).collect();
    Ok(Record { permissions: PermissionSet::parse(names.iter().map(String::as_str))?, ..fixtures::record()? })
}
