//! Verifies tokens with the edge's keys, and keeps those.
//!
//! A set serves for [`Settings::fresh`] without a question. After that one request fetches it anew while the others go on with the one that
//! is there, and if that fails it is kept for [`Settings::keep`]. A token of an unknown key is worth a fetch too, because keys are rotated, but never
//! more than one per [`Settings::retry`]: anybody can make up names of keys.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use p256::ecdsa::VerifyingKey;

use crate::{FetchError, Identity, KeySource, VerifyError, keys::KeySet, token::Unverified};

/// How soon keys are asked for again while there are none at all.
const RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// What a token must say, and how long keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The edge's `IDENTITY_ISSUER`.
    pub issuer: String,
    /// The edge's `IDENTITY_AUDIENCE`.
    pub audience: String,
    /// How far the clocks of edge and origin may differ; 5 s as shipped.
    pub leeway: Duration,
    /// For how long a key set is not asked for again; 5 min as shipped.
    pub fresh: Duration,
    /// How long it takes at least until it is asked for again after a failure, or for a key that it did not have; 10 s as shipped.
    pub retry: Duration,
    /// For how long the last set is used while none can be fetched; a day as shipped.
    pub keep: Duration,
}

impl Settings {
    /// As shipped.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            leeway: Duration::from_secs(5),
            fresh: Duration::from_mins(5),
            retry: Duration::from_secs(10),
            keep: Duration::from_hours(24),
        }
    }
}

/// Verifies tokens. One is enough for an application, however many requests it answers at once.
#[derive(Debug)]
pub struct Verifier<S> {
    settings: Settings,
    source: S,
    known: Mutex<Known>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

/// What is known of the keys.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The last set that was good, and when it was asked for.
    good: Option<(Arc<KeySet>, Instant)>,
    /// The last time that the set was asked for, and what came of it.
    tried: Option<(Instant, Result<(), FetchError>)>,
}

impl Known {
    fn key(&self, kid: &str) -> Option<VerifyingKey> {
        self.good.as_ref().and_then(|(keys, _)| keys.get(kid)).copied()
    }

    /// Whether the set may be used without a question.
    fn is_fresh(&self, settings: &Settings, now: Instant) -> bool {
        self.good.as_ref().is_some_and(|(_, at)| now.saturating_duration_since(*at) < settings.fresh)
    }

    fn is_kept(&self, settings: &Settings, now: Instant) -> bool {
        self.good.as_ref().is_some_and(|(_, at)| now.saturating_duration_since(*at) < settings.keep)
    }

    /// Whether it may be asked for again.
    fn may_ask(&self, settings: &Settings, now: Instant) -> bool {
        let pause = if self.good.is_some() { settings.retry } else { settings.retry.min(RETRY_WITHOUT_KEYS) };
        self.tried.as_ref().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= pause)
    }

    /// Why a key is not known: it is not among the edge's, or nobody could look.
    fn without(&self) -> VerifyError {
        match &self.tried {
            Some((_, Err(error))) => VerifyError::Unavailable(error.clone()),
            _ => VerifyError::UnknownKey,
        }
    }
}

impl<S: KeySource> Verifier<S> {
    /// A verifier that asks `source` for keys when the first token comes.
    pub fn new(settings: Settings, source: S) -> Self {
        Self { settings, source, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Who calls, by the value of `X-Keyward-Identity`.
    pub async fn verify(&self, token: &str) -> Result<Identity, VerifyError> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.verify_at(token, wall, Instant::now()).await
    }

    /// [`Verifier::verify`] at a time of one's choice, for tests: `wall` since 1970, which tokens are held against, and `steady`, by which keys age.
    #[doc(hidden)]
    pub async fn verify_at(&self, token: &str, wall: Duration, steady: Instant) -> Result<Identity, VerifyError> {
        let token = Unverified::read(token)?;
        let key = self.key(&token.kid, steady).await?;
        Ok(Identity { claims: token.verify(&key, &self.settings, wall)? })
    }

    async fn key(&self, kid: &str, now: Instant) -> Result<VerifyingKey, VerifyError> {
        let known = self.known().clone();
        let found = known.key(kid);
        match found {
            Some(key) if known.is_fresh(&self.settings, now) => return Ok(key),
            // Somebody else is asking already: what is there serves meanwhile.
            Some(key) if known.is_kept(&self.settings, now) => match self.fetching.try_lock() {
                Ok(guard) => self.fetch_if_due(now, guard).await,
                Err(_) => return Ok(key),
            },
            Some(_) | None => {
                let guard = self.fetching.lock().await;
                // Whoever was before may have brought it.
                if self.known().key(kid).is_none() || found.is_some() {
                    self.fetch_if_due(now, guard).await;
                }
            }
        }
        let known = self.known().clone();
        match known.key(kid) {
            Some(key) if known.is_kept(&self.settings, now) => Ok(key),
            Some(_) | None => Err(known.without()),
        }
    }

    /// Asks for the set, unless that was done a moment ago.
    async fn fetch_if_due(&self, now: Instant, _guard: tokio::sync::MutexGuard<'_, ()>) {
        if !self.known().may_ask(&self.settings, now) {
            return;
        }
        // It stays like that if the request that asks is given up on the way.
        self.known().tried = Some((now, Err(FetchError::new("the last attempt was broken off"))));
        let result = self.source.fetch().await.and_then(|text| KeySet::read(&text));
        let mut known = self.known();
        match result {
            Ok(keys) => *known = Known { good: Some((Arc::new(keys), now)), tried: Some((now, Ok(()))) },
            Err(error) => known.tried = Some((now, Err(error))),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
