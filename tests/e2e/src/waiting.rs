//! Waiting for something to become true, or to stay true.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use tokio::time::sleep;

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until the answer is `Ok`, and gives it; panics with the last `Err` after `limit`.
#[track_caller]
pub fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(limit: Duration, mut ask: impl FnMut() -> F) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        loop {
            match ask().await {
                Ok(found) => return found,
                Err(error) if Instant::now() > deadline => panic!("{caller}: not within {limit:?}: {error:?}"),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

/// Asks again and again until `end`; panics at the first `Err`.
#[track_caller]
pub fn holds_until<E: Debug, F: Future<Output = Result<(), E>>>(end: Instant, mut ask: impl FnMut() -> F) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        while Instant::now() < end {
            if let Err(error) = ask().await {
                panic!("{caller}: does not hold: {error:?}");
            }
            sleep(PAUSE).await;
        }
    }
}
