//! How often one client may do something that needs no credential: a token bucket per address, in the isolate's memory.
//! Other isolates have buckets of their own. What is done is the caller's business.

use core::{cell::RefCell, net::IpAddr, num::NonZeroUsize};

use keyward_shared::time::Millis;
use lru::LruCache;

/// How many times at once, after a while without any.
const BURST: u64 = 30;
/// How often one more time is given.
const INTERVAL: Millis = Millis(2_000);
/// The most clients that are remembered; beyond that the one that was away longest is forgotten.
const CLIENTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// What a client is told: so many times within so many seconds (the field `RateLimit-Policy` of
/// `draft-ietf-httpapi-ratelimit-headers`). At most a full bucket and what flows into it in that time.
pub(super) const POLICY: &str = "\"leak-reports\";q=60;w=60";

/// The buckets. A client that is not remembered has a full one.
#[derive(Debug)]
pub struct Buckets(RefCell<LruCache<Client, Millis>>);

/// Whose bucket it is. IPv6 networks of 64 bits are given to single households, so each is one client; all whose address is
/// not known are one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    Unknown,
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Default for Buckets {
    fn default() -> Self {
        Self(RefCell::new(LruCache::new(CLIENTS)))
    }
}

impl Buckets {
    /// Takes one from the client's bucket; where it is empty, in how many seconds it no longer is.
    pub(super) fn take(&self, address: Option<IpAddr>, now: Millis) -> Result<(), u64> {
        let mut buckets = self.0.borrow_mut();
        // A bucket is known by when it is full again.
        let full_at = buckets.get_or_insert_mut(Client::of(address), || now);
        let capacity = Millis(BURST * INTERVAL.0);
        // A clock that was set back must not make the wait longer than from an empty bucket.
        *full_at = (*full_at).clamp(now, now.plus(capacity));
        let taken = full_at.plus(INTERVAL);
        if taken > now.plus(capacity) {
            return Err(taken.minus(now.plus(capacity)).0.div_ceil(1_000));
        }
        *full_at = taken;
        Ok(())
    }
}

impl Client {
    fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address.octets()),
            Some(IpAddr::V6(address)) => Self::V6(address.octets().first_chunk().copied().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_may_do_it_thirty_times_at_once_and_then_every_two_seconds() {
        let buckets = Buckets::default();
        let take = |after: u64| buckets.take(Some(address("192.0.2.1")), NOW.plus(Millis(after)));
        for _ in 0..BURST {
            assert_eq!(take(0), Ok(()));
        }
        assert_eq!(take(0), Err(2));
        assert_eq!(take(0), Err(2), "being refused costs nothing");
        assert_eq!(take(1_001), Err(1));
        assert_eq!(take(2_000), Ok(()));
        assert_eq!(take(2_000), Err(2));
        for _ in 0..BURST {
            assert_eq!(take(2_000 + 60_000), Ok(()));
        }
        assert_eq!(take(2_000 + 60_000), Err(2), "it holds no more than that");
    }

    #[test]
    fn no_minute_sees_more_than_the_policy_says() {
        let buckets = Buckets::default();
        for start in [0, 59_000, 121_000, 500_500] {
            let taken = (0..60_000).step_by(250).filter(|at| buckets.take(None, NOW.plus(Millis(start + at))).is_ok()).count();
            assert!((30..=60).contains(&taken), "{taken} from {start}");
        }
    }

    #[test]
    fn clients_are_told_apart_by_address_or_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(Client::of(Some(address(one))) == Client::of(Some(address(other))), same, "{one} {other}");
        }
        assert_ne!(Client::of(None), Client::of(Some(address("0.0.0.0"))));
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out_for_longer() {
        let buckets = Buckets::default();
        while buckets.take(None, NOW).is_ok() {}
        let earlier = NOW.minus(Millis(3_600_000));
        assert_eq!(buckets.take(None, earlier), Err(2));
        assert_eq!(buckets.take(None, earlier.plus(Millis(2_000))), Ok(()));
    }

    #[test]
    fn so_many_clients_are_remembered_and_no_more() {
        let buckets = Buckets::default();
        let of = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..20_000 {
            assert_eq!(buckets.take(of(number), NOW), Ok(()));
        }
        assert_eq!(buckets.0.borrow().len(), CLIENTS.get());
        for _ in 1..BURST {
            assert_eq!(buckets.take(of(19_999), NOW), Ok(()));
        }
        assert_eq!(buckets.take(of(19_999), NOW), Err(2));
    }
}
