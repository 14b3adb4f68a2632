//! Everything that takes something away from a key that is in use: what is done, what the edges must answer from then on, and until when.
//! A further change is a further variant, and whoever goes through [`Change::ALL`] tries it.

use serde_json::{Value, json};

use crate::{
    World, eventually,
    probe::now_ms,
    world::{BOUND, NewKey},
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The key is revoked.
    Revoked,
    /// The owner loses the permission that the route asks for.
    PermissionWithdrawn,
    /// The owner may not act any more.
    OwnerDeactivated,
    /// The owner is deleted, and with that the owner's keys are revoked.
    OwnerDeleted,
    /// Nobody of the company may act any more.
    CompanyDeactivated,
    /// The key is deleted.
    KeyDeleted,
    /// The key's expiry is brought forward to the next second.
    ExpiryShortened,
    /// The key gets a successor and is revoked with that.
    Rotated,
    /// The key gets a successor and expires a second later.
    RotatedWithOverlap,
}

/// The path that asks for [`PERMISSION`].
const GUARDED: &str = "/guarded/report";
const PERMISSION: &str = "reports.read";

impl Change {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Revoked,
        Self::PermissionWithdrawn,
        Self::OwnerDeactivated,
        Self::OwnerDeleted,
        Self::CompanyDeactivated,
        Self::KeyDeleted,
        Self::ExpiryShortened,
        Self::Rotated,
        Self::RotatedWithOverlap,
    ];

    /// Status and code with which the key is refused then.
    pub fn refusal(self) -> (u16, &'static str) {
        match self {
            Self::Revoked | Self::OwnerDeleted | Self::Rotated => (401, "key_revoked"),
            Self::PermissionWithdrawn => (403, "permission_denied"),
            Self::OwnerDeactivated | Self::CompanyDeactivated => (401, "owner_inactive"),
            Self::KeyDeleted => (401, "unknown_key"),
            Self::ExpiryShortened | Self::RotatedWithOverlap => (401, "key_expired"),
        }
    }

    /// What is asked for with the key.
    pub fn path(self) -> &'static str {
        if self == Self::PermissionWithdrawn { GUARDED } else { "/" }
    }
}

/// A key that is in use, and what will be done to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What will be done.
    pub change: Change,
    /// The key's company.
    pub company: String,
    /// The key's owner.
    pub owner: String,
    /// The key.
    pub key: NewKey,
}

/// A change that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// When it was asked for.
    pub sent_ms: u64,
    /// When the acknowledgement was there.
    pub acknowledged_ms: u64,
    /// The key that takes the old one's place, where there is one.
    pub successor: Option<NewKey>,
}

/// Makes the edges ask for a permission on the path that [`Change::PermissionWithdrawn`] is tried on.
pub async fn guard(world: &World) {
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/guarded/**", "permission": PERMISSION}]})).await;
}

impl Case {
    /// Makes a key for `change`, with an owner (and, where it is the company that changes, a company) of its own.
    pub async fn prepare(world: &World, change: Change, number: usize) -> Self {
        let name = format!("{change:?}-{number}").to_lowercase();
        let company = if change == Change::CompanyDeactivated { name.clone() } else { "acme".to_owned() };
        world.company(&company).await;
        world.owner(&company, &name, &[PERMISSION], true).await;
        let key = world.key(&company, &name, json!({})).await;
        Self { change, company, owner: name, key }
    }

    /// Performs the change.
    pub async fn apply(&self, world: &World) -> Acknowledged {
        let (company, owner, id) = (&self.company, &self.owner, &self.key.id);
        let key_path = format!("/v1/keys/{id}?company={company}");
        let owner_path = format!("/v1/owners/{owner}?company={company}");
        let mut successor = None;
        let sent_ms = now_ms();
        match self.change {
            Change::Revoked => {
                world.revoke(company, id).await;
            }
            Change::Rotated => successor = Some(world.rotate(company, id, json!({"overlap_s": 0})).await),
            Change::RotatedWithOverlap => successor = Some(world.rotate(company, id, json!({"overlap_s": 1})).await),
            Change::PermissionWithdrawn => world.owner(company, owner, &["orders.read"], true).await,
            Change::OwnerDeactivated => world.owner(company, owner, &[PERMISSION], false).await,
            Change::OwnerDeleted => {
                world.operator("DELETE", &owner_path, Value::Null).await;
            }
            Change::CompanyDeactivated => {
                world.operator("PUT", &format!("/v1/companies/{company}"), json!({"name": company, "active": false})).await;
            }
            Change::KeyDeleted => {
                world.operator("DELETE", &key_path, Value::Null).await;
            }
            Change::ExpiryShortened => {
                let soon = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 2).unwrap();
                world.operator("PATCH", &key_path, json!({"expires_at": soon.to_string()})).await;
            }
        }
        Acknowledged { sent_ms, acknowledged_ms: now_ms(), successor }
    }

    /// By when the change is in effect everywhere, in milliseconds of Unix time: the bound after it was announced, which was not after it was
    /// acknowledged, and no later than `effective_by` of `GET /v1/keys/{id}`. A deleted key can no longer be asked about.
    pub async fn effective_ms(&self, world: &World, done: &Acknowledged, bound_ms: u64) -> u64 {
        let latest = done.acknowledged_ms + bound_ms;
        if self.change == Change::KeyDeleted {
            return latest;
        }
        let path = format!("/v1/keys/{}?company={}", self.key.id, self.company);
        let told = eventually(BOUND, async || {
            let key = world.operator("GET", &path, Value::Null).await.json();
            let time = |name: &str| key["propagation"][name].as_str()?.parse::<jiff::Timestamp>().ok();
            time("announced_at").zip(time("effective_by")).ok_or_else(|| key.clone())
        })
        .await;
        let [announced_ms, effective_ms] = [told.0, told.1].map(|time| u64::try_from(time.as_millisecond()).unwrap());
        assert!(announced_ms + 999 >= done.sent_ms, "{:?} was announced before it was asked for", self.change);
        assert!((bound_ms..=bound_ms + 1_000).contains(&(effective_ms - announced_ms)), "{told:?}");
        latest.min(effective_ms)
    }
}
