//! Documents of other sites that the front needs again and again: public keys of an identity provider or of a leak
//! scanner. One cache per isolate. What is in a document is its reader's business.

use core::cell::RefCell;
use std::{collections::BTreeMap, rc::Rc};

use keyward_shared::time::Millis;
use thiserror::Error;

use super::Outside;

/// For how long a document is used without asking again, where its site says nothing, and the least and the most
/// where it does.
const FRESH: Millis = Millis::from_secs(600);
const LEAST_FRESH: Millis = Millis::from_secs(60);
const MOST_FRESH: Millis = Millis::from_secs(86_400);
/// For how long an old document is used while its site cannot be reached.
const STALE: Millis = Millis::from_secs(86_400);
/// How long a site that did not answer is left alone, and how long one that was asked because something was missing.
const PAUSE_AFTER_FAILURE: Millis = Millis::from_secs(10);
const PAUSE_AFTER_LOOKING: Millis = Millis::from_secs(60);

/// Why nothing recent is known of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotFetched {
    /// The site cannot be reached, or cannot answer now.
    #[error("a document that is needed cannot be fetched")]
    Unreachable,
    /// The site answers, with this status, that there is no such document to be had.
    #[error("a document that is needed is answered with {0}")]
    Refused(u16),
}

impl NotFetched {
    /// What an answer that is not 200 means. Redirects are not followed; what asks to come later passes by itself.
    const fn of(status: u16) -> Self {
        match status {
            408 | 425 | 429 => Self::Unreachable,
            300..=499 => Self::Refused(status),
            _ => Self::Unreachable,
        }
    }
}

/// What is known of the documents that were asked for. Their addresses come from the settings, so they are few.
#[derive(Debug, Default)]
pub struct Documents(RefCell<BTreeMap<String, Known>>);

#[derive(Clone, Debug, Default)]
struct Known {
    body: Option<Rc<str>>,
    fetched_at: Millis,
    fresh_until: Millis,
    failed: Option<(Millis, NotFetched)>,
}

impl Documents {
    /// The document at `url`, at most a day old.
    pub async fn get<O: Outside>(&self, outside: &O, now: Millis, url: &str) -> Result<Rc<str>, NotFetched> {
        let known = self.known(url);
        match known.body {
            Some(body) if now < known.fresh_until => Ok(body),
            _ => self.fetch(outside, now, url).await,
        }
    }

    /// The document at `url` as it is now, because what was looked for is not in the one that is known: fetched once a
    /// minute at most, so that made-up names cost the site nothing. Where it cannot be fetched now, nobody knows whether what
    /// is looked for is there: then the one that is known is no answer.
    pub async fn again<O: Outside>(&self, outside: &O, now: Millis, url: &str) -> Result<Rc<str>, NotFetched> {
        let known = self.known(url);
        match known.body {
            Some(body) if now < known.fetched_at.plus(PAUSE_AFTER_LOOKING) => Ok(body),
            _ => {
                let body = self.fetch(outside, now, url).await?;
                self.known(url).failed.map_or(Ok(body), |(_, why)| Err(why))
            }
        }
    }

    async fn fetch<O: Outside>(&self, outside: &O, now: Millis, url: &str) -> Result<Rc<str>, NotFetched> {
        let known = self.known(url);
        let usable = |why| known.body.clone().filter(|_| now < known.fetched_at.plus(STALE)).ok_or(why);
        if let Some((_, why)) = known.failed.filter(|(at, _)| now < at.plus(PAUSE_AFTER_FAILURE)) {
            return usable(why);
        }
        let fetched = match outside.get(url).await {
            Some(fetched) if fetched.status == 200 => fetched,
            other => {
                let why = other.map_or(NotFetched::Unreachable, |fetched| NotFetched::of(fetched.status));
                self.0.borrow_mut().entry(url.to_owned()).or_default().failed = Some((now, why));
                return usable(why);
            }
        };
        let body: Rc<str> = fetched.body.into();
        let fresh = fetched.max_age_s.map_or(FRESH, Millis::from_secs).clamp(LEAST_FRESH, MOST_FRESH);
        let known = Known { body: Some(Rc::clone(&body)), fetched_at: now, fresh_until: now.plus(fresh), failed: None };
        self.0.borrow_mut().insert(url.to_owned(), known);
        Ok(body)
    }

    fn known(&self, url: &str) -> Known {
        self.0.borrow().get(url).cloned().unwrap_or_default()
    }
}

/// `max-age` of a `Cache-Control` (RFC 9111 §5.2.2.1), in seconds; 0 where nothing may be kept.
pub fn max_age_s(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    directives.find_map(|directive| match directive.split_once('=') {
        None => matches!(directive.as_str(), "no-store" | "no-cache").then_some(0),
        Some((name, value)) if name.trim() == "max-age" => value.trim().trim_matches('"').parse().ok(),
        Some(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use core::{
        cell::Cell,
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::{NotFetched::Unreachable, *};
    use crate::front::{Fetched, Object, Said};

    const URL: &str = "https://issuer.example/keys";

    /// A site whose document counts how often it was asked for.
    #[derive(Default)]
    struct Site {
        asked: Cell<u32>,
        down: Cell<bool>,
        gone: Cell<u16>,
        max_age_s: Cell<Option<u64>>,
    }

    impl Outside for Site {
        async fn post(&self, _: Object, _: &'static str, _: String) -> Option<Said> {
            None
        }

        async fn send_form(&self, _: &str, _: Option<&str>, _: String) -> Option<Fetched> {
            None
        }

        fn random(&self) -> Option<[u8; 32]> {
            None
        }

        fn log(&self, _: &serde_json::Value) {}

        async fn get(&self, url: &str) -> Option<Fetched> {
            assert_eq!(url, URL);
            self.asked.set(self.asked.get() + 1);
            let status = if self.down.get() { 500 } else { self.gone.get().max(200) };
            Some(Fetched { status, body: self.asked.get().to_string(), max_age_s: self.max_age_s.get() })
        }
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the site answers at once"),
        }
    }

    #[test]
    fn a_document_is_fetched_once_while_it_is_fresh() {
        let (site, documents) = (Site::default(), Documents::default());
        let get = |seconds: u64| at_once(documents.get(&site, Millis::from_secs(1_000_000 + seconds), URL)).map(|body| body.to_string());
        for (seconds, expected) in [(0, "1"), (599, "1"), (600, "2")] {
            assert_eq!(get(seconds).as_deref(), Ok(expected), "{seconds}");
        }
        site.max_age_s.set(Some(1));
        for (seconds, expected) in [(1_200, "3"), (1_259, "3"), (1_260, "4")] {
            assert_eq!(get(seconds).as_deref(), Ok(expected), "a minute at least: {seconds}");
        }
        site.max_age_s.set(Some(u64::MAX));
        for (seconds, expected) in [(1_400, "5"), (1_400 + 86_399, "5"), (1_400 + 86_400, "6")] {
            assert_eq!(get(seconds).as_deref(), Ok(expected), "a day at most: {seconds}");
        }
    }

    #[test]
    fn while_the_site_is_down_the_last_document_is_used_for_a_day_and_the_site_left_alone() {
        let (site, documents) = (Site::default(), Documents::default());
        let get = |seconds: u64| at_once(documents.get(&site, Millis::from_secs(1_000_000 + seconds), URL)).map(|body| body.to_string());
        site.down.set(true);
        assert_eq!(get(0), Err(Unreachable));
        assert_eq!((get(9), site.asked.get()), (Err(Unreachable), 1));
        site.down.set(false);
        assert_eq!(get(10).as_deref(), Ok("2"));
        site.down.set(true);
        assert_eq!(get(700).as_deref(), Ok("2"));
        assert_eq!((get(709).as_deref(), site.asked.get()), (Ok("2"), 3));
        assert_eq!(get(10 + 86_399).as_deref(), Ok("2"));
        assert_eq!(get(10 + 86_400 + 10), Err(Unreachable));
    }

    #[test]
    fn a_document_that_is_not_there_is_told_from_a_site_that_is_down() {
        for (status, expected) in [
            (404, NotFetched::Refused(404)),
            (403, NotFetched::Refused(403)),
            (302, NotFetched::Refused(302)),
            (429, Unreachable),
            (408, Unreachable),
            (500, Unreachable),
            (503, Unreachable),
            (204, Unreachable),
        ] {
            let (site, documents) = (Site::default(), Documents::default());
            site.gone.set(status);
            let get = |seconds: u64| at_once(documents.get(&site, Millis::from_secs(1_000_000 + seconds), URL));
            assert_eq!((get(0), get(5), site.asked.get()), (Err(expected), Err(expected), 1), "{status}");
            site.gone.set(200);
            assert!(get(10).is_ok());
        }
    }

    #[test]
    fn the_age_that_a_site_allows_is_read() {
        for (value, expected) in [
            ("public, max-age=300", Some(300)),
            ("Max-Age = \"7\"", Some(7)),
            ("no-store", Some(0)),
            ("no-cache, max-age=9", Some(0)),
            ("public", None),
            ("max-age=x", None),
            ("", None),
        ] {
            assert_eq!(max_age_s(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_missing_is_looked_for_once_a_minute() {
        let (site, documents) = (Site::default(), Documents::default());
        let again =
            |seconds: u64| at_once(documents.again(&site, Millis::from_secs(1_000_000 + seconds), URL)).map(|body| body.to_string());
        for (seconds, expected) in [(0, "1"), (59, "1"), (60, "2"), (61, "2")] {
            assert_eq!(again(seconds).as_deref(), Ok(expected), "{seconds}");
        }
        site.down.set(true);
        assert_eq!(again(119).as_deref(), Ok("2"));
        for seconds in [120, 125, 130] {
            assert_eq!(again(seconds), Err(Unreachable), "what is known is no answer: {seconds}");
        }
        assert_eq!(site.asked.get(), 4, "a site that is down is left alone for ten seconds");
        site.down.set(false);
        assert_eq!(again(140).as_deref(), Ok("5"));
    }
}
