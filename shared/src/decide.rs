//! The decision: may a request with this key pass now? Pure and total; what the edge's cache, the
//! simulator and "explain" all call.

use core::net::IpAddr;

use crate::{
    permission::Permission,
    problem::Code,
    record::{KeyState, Record},
    time::Millis,
};

/// Why a request with a known key does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key was revoked.
    Revoked,
    /// The key's time is over.
    Expired,
    /// The owner, or the owner's company, may not act.
    OwnerInactive,
    /// The caller's address is not in the key's networks.
    AddressNotAllowed,
    /// The owner, or this key, lacks what the route asks.
    PermissionDenied,
}

impl Refusal {
    /// The code that the caller is told.
    pub const fn code(self) -> Code {
        match self {
            Self::Revoked => Code::KeyRevoked,
            Self::Expired => Code::KeyExpired,
            Self::OwnerInactive => Code::OwnerInactive,
            Self::AddressNotAllowed => Code::IpNotAllowed,
            Self::PermissionDenied => Code::PermissionDenied,
        }
    }

    /// Whether the request authenticated all the same, so that it counts as a use of the key (403, not 401).
    pub const fn authenticated(self) -> bool {
        match self {
            Self::Revoked | Self::Expired | Self::OwnerInactive => false,
            Self::AddressNotAllowed | Self::PermissionDenied => true,
        }
    }
}

/// Decides about `record` at `now`: first whether the key authenticates, then whether it may do this.
/// `address` is the client's, where it is known; a key with networks passes from no unknown address.
pub fn decide(record: &Record, now: Millis, address: Option<IpAddr>, required: Option<&Permission>) -> Result<(), Refusal> {
    authenticate(record, now)?;
    let inside = |ip: IpAddr| record.networks.iter().any(|network| network.contains(ip));
    if !record.networks.is_empty() && !address.is_some_and(inside) {
        return Err(Refusal::AddressNotAllowed);
    }
    permit(record, required)
}

/// Whether the owner's permissions cover what is asked for.
pub fn permit(record: &Record, required: Option<&Permission>) -> Result<(), Refusal> {
    match required {
        Some(permission) if !record.permissions.allows(permission) => Err(Refusal::PermissionDenied),
        _ => Ok(()),
    }
}

/// Whether the key stands for its owner at `now` at all.
pub fn authenticate(record: &Record, now: Millis) -> Result<(), Refusal> {
    match record.state {
        KeyState::Revoked => Err(Refusal::Revoked),
        KeyState::Active if record.expires_at.is_some_and(|at| now >= at) => Err(Refusal::Expired),
        KeyState::Active if !(record.owner_active && record.company_active) => Err(Refusal::OwnerInactive),
        KeyState::Active => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{CompanyId, KeyId, OwnerId},
        permission::PermissionSet,
        record::{Metadata, VERSION},
    };

    fn record() -> Record {
        Record {
            v: VERSION,
            key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
            company: CompanyId::new("demo").unwrap(),
            owner: OwnerId::new("ann").unwrap(),
            shard: "MDeu".parse().unwrap(),
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: Some(Millis(1_000)),
            created_at: Millis(0),
            permissions: PermissionSet::parse(["orders.read"]).unwrap(),
            networks: vec![],
            rate_limit: None,
            metadata: Metadata::default(),
            rev: 1,
            as_of: Millis(0),
        }
    }

    #[test]
    fn a_key_expires_to_the_millisecond() {
        assert_eq!(decide(&record(), Millis(999), None, None), Ok(()));
        assert_eq!(decide(&record(), Millis(1_000), None, None), Err(Refusal::Expired));
        assert_eq!(decide(&Record { expires_at: None, ..record() }, Millis(u64::MAX), None, None), Ok(()));
    }

    #[test]
    fn revoked_comes_before_expired_and_both_before_what_the_key_may_do() {
        let orders = Permission::new("orders.write").unwrap();
        let revoked = Record { state: KeyState::Revoked, owner_active: false, ..record() };
        assert_eq!(decide(&revoked, Millis(5_000), None, Some(&orders)), Err(Refusal::Revoked));
        let inactive = Record { owner_active: false, ..record() };
        assert_eq!(decide(&inactive, Millis(5_000), None, Some(&orders)), Err(Refusal::Expired));
        assert_eq!(decide(&inactive, Millis(5), None, Some(&orders)), Err(Refusal::OwnerInactive));
        let closed = Record { company_active: false, ..record() };
        assert_eq!(decide(&closed, Millis(5), None, None), Err(Refusal::OwnerInactive));
        assert_eq!(decide(&record(), Millis(5), None, Some(&orders)), Err(Refusal::PermissionDenied));
        assert_eq!(decide(&record(), Millis(5), None, Permission::new("orders.read").ok().as_ref()), Ok(()));
    }

    #[test]
    fn a_key_with_networks_passes_only_from_inside_them() {
        let office = Record { networks: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()], ..record() };
        for (address, passes) in [
            (Some("10.1.2.3"), true),
            (Some("::ffff:10.1.2.3"), true),
            (Some("2001:db8::1"), true),
            (Some("11.0.0.1"), false),
            (None, false),
        ] {
            let address = address.map(|a| a.parse().unwrap());
            assert_eq!(decide(&office, Millis(5), address, None).is_ok(), passes, "{address:?}");
        }
    }

    #[test]
    fn only_a_403_counts_as_a_use() {
        for refusal in [Refusal::Revoked, Refusal::Expired, Refusal::OwnerInactive, Refusal::AddressNotAllowed, Refusal::PermissionDenied] {
            assert_eq!(refusal.authenticated(), refusal.code().status() == 403);
        }
    }
}
