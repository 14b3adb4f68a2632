//! Bodies, state and caches: mostly what no single request shows.

use crate::case::{Case, Door, Level, Row, by_test, edge, row};

const VERIFIER: &str = "edge/src/verifier/tests.rs";
const STORED: &str = "edge/src/verifier/tests/stored.rs";
const OUTAGE: &str = "tests/e2e/tests/outage.rs";
const STREAMING: &str = "tests/e2e/tests/streaming.rs";
const STALE: &str = "tests/e2e/tests/stale.rs";
const HERE: &str = "tests/e2e/tests/bad_inputs/stored.rs";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = bodies();
    rows.extend(caches());
    rows.extend(stores());
    rows
}

fn bodies() -> Vec<Row> {
    let streamed = |name: &str, test: &'static str| by_test(name, STREAMING, test);
    vec![
        row(
            "never-ending upload (streamed, not buffered)",
            [streamed("an upload without end is neither awaited nor cut off", "an_upload_without_end_is_not_waited_for_and_not_cut_off")],
        ),
        row(
            "5 GB body",
            [streamed(
                "a large body takes little memory",
                "a_large_body_takes_little_memory_in_either_direction_even_where_its_receiver_is_slow",
            )],
        ),
        row(
            "client gone mid-body",
            [streamed(
                "half a request never arrives as a whole one",
                "a_client_that_goes_away_in_the_middle_is_gone_for_the_origin_too_and_its_request_is_never_whole",
            )],
        ),
        row(
            "origin gone mid-response",
            [streamed("half an answer is no whole one", "an_origin_that_goes_away_in_the_middle_leaves_a_broken_answer_not_a_whole_one")],
        ),
        row(
            "origin never answers (504)",
            [
                by_test(
                    "an origin that is silent times out",
                    "tests/e2e/tests/gateway.rs",
                    "an_origin_that_is_away_or_talks_nonsense_is_unreachable_and_one_that_is_silent_times_out",
                ),
                streamed("the time begins when the request is whole", "the_time_for_an_answer_begins_when_the_request_is_whole"),
            ],
        ),
        row(
            "WebSocket, then the key revoked (documented: open connections stay)",
            [streamed(
                "an open connection stays, a new one needs another key",
                "a_websocket_is_opened_with_a_key_and_stays_open_when_the_key_is_revoked",
            )],
        ),
    ]
}

fn conditional(name: &str, header: &str, value: &str) -> Case {
    edge(name).header(header, value).refused(401, "missing_credentials")
}

fn caches() -> Vec<Row> {
    vec![
        row(
            "`Range`/`If-None-Match` without a credential (never 304)",
            [
                conditional("a condition that always holds", "If-None-Match", "*"),
                conditional("a condition with a tag", "If-None-Match", "\"a\""),
                conditional("a condition with a date", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
                conditional("a range", "Range", "bytes=0-0"),
                edge("a condition with a made-up key").api_key("{made-up}").header("If-None-Match", "*").refused(401, "unknown_key"),
            ],
        ),
        row(
            "a cacheable 200 for key A asked by key B",
            [
                edge("the answer to one key").target("/orders/shared").api_key("{key}").passes_as("jane"),
                edge("is not the answer to another").target("/orders/shared").api_key("{other}").passes_as("john"),
                edge("nor to nobody").target("/orders/shared").refused(401, "missing_credentials"),
                edge("and back")
                    .target("/orders/shared")
                    .api_key("{key}")
                    .header("Cache-Control", "only-if-cached, max-stale")
                    .passes_as("jane"),
            ],
        ),
        row(
            "a cached 401/429/503",
            [
                edge("a refusal").target("/orders/refused").refused(401, "missing_credentials"),
                edge("is not remembered for who comes with a key").target("/orders/refused").api_key("{key}").passes(),
                by_test(
                    "a 503 may be stored by nobody, and is over when the outage is",
                    HERE,
                    "a_503_may_be_stored_by_nobody_and_ends_with_the_outage",
                ),
            ],
        ),
        row(
            "gzip bomb",
            [
                by_test("nothing is unpacked on the way", STREAMING, "a_compressed_body_is_passed_on_as_it_is"),
                edge("a compressed body is passed on as it is")
                    .only(&[Level::Runtime])
                    .method("POST")
                    .target("/public/upload")
                    .header("Content-Encoding", "gzip")
                    .body("\u{1f}not gzip at all")
                    .arrives("content-encoding", &["gzip"])
                    .passes_unknown(),
                edge("introspection unpacks nothing")
                    .only(&[Level::Runtime])
                    .at(Door::Introspect)
                    .method("POST")
                    .header("x-api-key", "{introspector}")
                    .header("content-type", "application/json")
                    .header("Content-Encoding", "gzip")
                    .body("\u{1f}not gzip at all")
                    .known_and_refused(400, "invalid_request"),
                edge("introspection reads 64 KB and no more")
                    .only(&[Level::Runtime])
                    .at(Door::Introspect)
                    .method("POST")
                    .header("x-api-key", "{introspector}")
                    .header("content-type", "application/json")
                    .body("{hundred-kilobytes}")
                    .known_and_refused(413, "too_large"),
            ],
        ),
    ]
}

fn stores() -> Vec<Row> {
    vec![
        row(
            "a KV record: corrupt, truncated, other schema version, wrong MAC, another key's record, an older `rev`, another shard's",
            [
                by_test(
                    "such a record is not believed by the verifier",
                    STORED,
                    "a_record_that_is_not_to_be_believed_lets_nobody_in_and_keeps_nobody_out",
                ),
                by_test(
                    "nor in the real runtime, where the object tells the truth",
                    HERE,
                    "what_somebody_put_into_the_store_is_not_believed",
                ),
                by_test("an older record does not come back", VERIFIER, "a_lagging_store_does_not_bring_back_an_older_record"),
                by_test("a record with other bytes is not believed", OUTAGE, "a_tampered_record_in_the_store_is_not_believed"),
            ],
        ),
        row(
            "a feed: corrupt, wrong MAC, from the future, older than the bound, `issued_at` going back, `since` in the future, emptied",
            [
                by_test(
                    "such a feed makes nothing fresher and nothing true again",
                    STORED,
                    "a_feed_that_is_not_to_be_believed_changes_nothing",
                ),
                by_test("an older feed is ignored", VERIFIER, "an_older_feed_is_ignored"),
                by_test("what push brings is believed as little", VERIFIER, "what_push_brings_is_believed_as_little_as_what_a_poll_brings"),
                by_test("in the real runtime such feeds stretch no bound", HERE, "what_somebody_put_into_the_store_is_not_believed"),
            ],
        ),
        row(
            "KV: 401, 429, 500, timeout, empty, slow",
            [
                by_test(
                    "with the store failing the objects are asked",
                    OUTAGE,
                    "with_the_store_failing_keys_are_verified_through_the_authority",
                ),
                by_test(
                    "a store that fails or is slow stretches no bound",
                    STALE,
                    "a_store_that_fails_is_slow_or_remembers_stretches_no_bound",
                ),
                by_test(
                    "an empty store is no absence",
                    VERIFIER,
                    "a_cold_key_asks_the_authority_and_is_never_called_unknown_for_an_outage",
                ),
            ],
        ),
        row(
            "objects: exception, timeout, overloaded",
            [
                by_test(
                    "without the objects a warm key works until the bound",
                    OUTAGE,
                    "without_the_control_plane_a_warm_key_works_until_the_bound_and_a_cold_one_is_unavailable_at_once",
                ),
                by_test(
                    "objects that do not answer are left alone for a moment",
                    VERIFIER,
                    "when_nothing_answers_a_held_record_serves_until_the_bound_and_not_longer",
                ),
            ],
        ),
        row(
            "no tag secret, a wrong one, two of them",
            [
                edge("a key whose tag the newer secret made").behind_a_proxy().api_key("{unknown}").known_and_refused(401, "unknown_key"),
                edge("a key whose tag the older secret made")
                    .behind_a_proxy()
                    .api_key("{unknown-of-the-older-secret}")
                    .known_and_refused(401, "unknown_key"),
                edge("a key whose tag a third one made").behind_a_proxy().api_key("{made-up}").refused(401, "unknown_key"),
                by_test("without a tag secret nothing starts", "edge/src/settings.rs", "a_bad_setting_is_named"),
            ],
        ),
    ]
}
