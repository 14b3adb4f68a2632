//! Credentials: what is none, what is two, what is no key, and what is known of one.

use crate::case::{Case, Door, Level, Row, by_test, edge, row};

const MISSING: &str = "missing_credentials";
const AMBIGUOUS: &str = "ambiguous_credentials";
const MALFORMED: &str = "malformed_key";
const UNKNOWN: &str = "unknown_key";

const REFUSALS: &str = "tests/e2e/tests/refusals.rs";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = none();
    rows.extend(several());
    rows.extend(no_keys());
    rows.extend(strange_bytes());
    rows.extend(known_keys());
    rows
}

/// `x-api-key` with this value, which is no key.
fn no_key(name: &str, value: impl AsRef<[u8]>) -> Case {
    edge(name).api_key(value).refused(401, MALFORMED)
}

/// The same as a Bearer on a route that leaves other Bearers to the origin.
fn to_origin(name: &str, authorization: &str) -> Case {
    edge(name).target("/app/x").authorization(authorization).refused(401, MALFORMED)
}

fn none() -> Vec<Row> {
    vec![
        row(
            "none",
            [
                edge("a request without a credential is asked for one").raw().refused(401, MISSING),
                edge("a header with a similar name is no credential")
                    .header("x-api-key-2", "{key}")
                    .header("api-key", "{key}")
                    .refused(401, MISSING),
                edge("without a credential a route that asks for none is open").target("/public/page").passes_unknown(),
                edge("without a credential nobody introspects")
                    .at(Door::Introspect)
                    .method("POST")
                    .header("x-api-key", "")
                    .body("token={key}")
                    .refused(401, MISSING),
            ],
        ),
        row(
            "empty value",
            [
                edge("an empty x-api-key is none").api_key("").raw().refused(401, MISSING),
                edge("an empty Authorization is none").authorization("").refused(401, MISSING),
                edge("an empty x-api-key beside a Bearer leaves the Bearer").api_key("").authorization("Bearer {key}").passes(),
            ],
        ),
        row(
            "`Bearer` alone",
            [
                edge("a scheme without a token is none").authorization("Bearer").raw().refused(401, MISSING),
                edge("a scheme and a space are none").authorization("Bearer ").refused(401, MISSING),
                edge("a scheme that runs into the token is another scheme").authorization("Bearer{key}").refused(401, MISSING),
            ],
        ),
        row(
            "`bearer`/`BEARER` (accepted)",
            [
                edge("the scheme may be in small letters").authorization("bearer {key}").passes(),
                edge("the scheme may be in capitals").authorization("BEARER {key}").raw().passes(),
                edge("the scheme may be mixed").authorization("bEaReR {key}").passes(),
                edge("the header's name may be in capitals").header("X-API-KEY", "{key}").passes(),
            ],
        ),
        row(
            "two spaces",
            [
                edge("two spaces after the scheme").authorization("Bearer  {key}").raw().refused(401, MALFORMED),
                to_origin("a key after two spaces is not given to an origin that takes other Bearers", "Bearer  {key}"),
            ],
        ),
        row(
            "a tab between scheme and key",
            [
                edge("a tab after the scheme").authorization("Bearer\t{key}").raw().refused(401, MALFORMED),
                edge("a space and a tab after the scheme").authorization("Bearer \t{key}").refused(401, MALFORMED),
            ],
        ),
        row(
            "leading/trailing white space (trimmed by HTTP itself; inside: refused)",
            [
                edge("spaces and tabs around a key are HTTP's").api_key(" \t{key} \t ").raw().passes(),
                edge("spaces around a Bearer are HTTP's").authorization("  Bearer {key}  ").passes(),
                no_key("a space inside a key", "{halves}"),
                edge("a space inside a Bearer").authorization("Bearer {halves}").refused(401, MALFORMED),
                edge("something after the key").authorization("Bearer {key} x").refused(401, MALFORMED),
            ],
        ),
        row(
            "NBSP, U+2003",
            [
                no_key("a no-break space before the key", "\u{a0}{key}"),
                no_key("an em space after the key", "{key}\u{2003}"),
                edge("a no-break space after the scheme").authorization("Bearer\u{a0}{key}").refused(401, MALFORMED),
                edge("a no-break space of Latin-1 after the key").api_key(b"{key}\xa0").refused(401, MALFORMED),
            ],
        ),
        row(
            "`Basic`, `Token`, `ApiKey` schemes (= none)",
            ["Basic", "Token", "ApiKey", "Digest", "Negotiate"]
                .map(|scheme| edge(format!("{scheme} is no credential")).authorization(format!("{scheme} {{key}}")).refused(401, MISSING)),
        ),
    ]
}

fn several() -> Vec<Row> {
    vec![
        row(
            "repeated `Authorization`, same key ◦",
            [
                edge("Authorization twice with the same key")
                    .authorization("Bearer {key}")
                    .authorization("Bearer {key}")
                    .raw()
                    .refused(400, AMBIGUOUS),
                edge("x-api-key twice with the same key").api_key("{key}").api_key("{key}").raw().refused(400, AMBIGUOUS),
                edge("x-api-key twice in different letters")
                    .header("x-api-key", "{key}")
                    .header("X-Api-Key", "{key}")
                    .raw()
                    .refused(400, AMBIGUOUS),
            ],
        ),
        row(
            "repeated with other keys ◦",
            [
                edge("Authorization twice with two keys")
                    .authorization("Bearer {key}")
                    .authorization("Bearer {other}")
                    .raw()
                    .refused(400, AMBIGUOUS),
                edge("x-api-key twice with two keys").api_key("{key}").api_key("{other}").raw().refused(400, AMBIGUOUS),
                edge("a key and an empty header").api_key("{key}").api_key("").raw().refused(400, AMBIGUOUS),
                edge("Basic and Bearer").authorization("Basic {basic}").authorization("Bearer {key}").raw().refused(400, AMBIGUOUS),
            ],
        ),
        row(
            "`Bearer a, Bearer b` in one header",
            [
                edge("two Bearers in one header").authorization("Bearer {key}, Bearer {other}").raw().refused(400, AMBIGUOUS),
                edge("the same Bearer twice in one header").authorization("Bearer {key}, Bearer {key}").refused(400, AMBIGUOUS),
                edge("two keys in one x-api-key").api_key("{key},{key}").refused(400, AMBIGUOUS),
                edge("a comma at the end").api_key("{key},").refused(400, AMBIGUOUS),
            ],
        ),
        row(
            "both headers, same key (accepted)",
            [edge("both headers with the same key").api_key("{key}").authorization("Bearer {key}").raw().passes()],
        ),
        row(
            "both, different (400)",
            [
                edge("both headers with two keys").api_key("{key}").authorization("Bearer {other}").raw().refused(400, AMBIGUOUS),
                edge("a key and a token of somebody else's")
                    .api_key("{key}")
                    .authorization("Bearer eyJhbGciOiJub25lIn0.e30.")
                    .refused(400, AMBIGUOUS),
                edge("a key and another scheme are one credential").api_key("{key}").authorization("Basic {basic}").passes(),
            ],
        ),
        row(
            "key in query, cookie, body, URL user-info (= none)",
            [
                edge("a key in the query").target("/orders/1?x-api-key={key}&api_key={key}&access_token={key}").refused(401, MISSING),
                edge("a key in a cookie").header("Cookie", "x-api-key={key}; __Host-keyward={key}").refused(401, MISSING),
                edge("a key in the body").method("POST").body("access_token={key}").refused(401, MISSING),
                edge("a key as a URL's user name").authorization("Basic {basic}").refused(401, MISSING),
            ],
        ),
    ]
}

fn no_keys() -> Vec<Row> {
    vec![
        row(
            "quoted key",
            [
                no_key("a key in quotes", "\"{key}\""),
                edge("a Bearer in quotes").authorization("Bearer \"{key}\"").refused(401, MALFORMED),
                to_origin("a key in quotes is not given to an origin that takes other Bearers", "Bearer \"{key}\""),
            ],
        ),
        row(
            "`secret-token:` in front",
            [
                no_key("a key as a secret-token URI", "secret-token:{key}"),
                to_origin("a secret-token URI is not given to an origin that takes other Bearers", "Bearer secret-token:{key}"),
            ],
        ),
        row("percent-encoded", [no_key("a key that is percent-encoded", "{percent-encoded}")]),
        row("case flipped", [no_key("a key whose end is in the other case", "{case-flipped}"), no_key("a key in capitals", "{upper}")]),
        row(
            "one short, one long",
            [
                no_key("a key without its last character", "{short}"),
                no_key("a key with one character more", "{long}"),
                to_origin("a key without its last character is not given to an origin that takes other Bearers", "Bearer {short}"),
                to_origin("a key with one character more is not given to an origin that takes other Bearers", "Bearer {long}"),
            ],
        ),
        row(
            "100 KB (refused before hashing)",
            [
                edge("100 KB instead of a key").api_key("{hundred-kilobytes}").raw().refused(401, MALFORMED),
                edge("60 KB that begin with a key").authorization("Bearer {sixty-kilobytes}").refused(401, MALFORMED),
                by_test("the length is looked at first", "shared/src/key_tests.rs", "the_length_is_checked_before_anything_else"),
            ],
        ),
        row(
            "wrong checksum",
            [
                no_key("a key with another checksum", "{wrong-sum}"),
                no_key("a key with a letter that was copied wrongly", "{one-letter-off}"),
            ],
        ),
        row(
            "right checksum, wrong tag (401 without a store read)",
            [
                edge("a made-up key with a right checksum").api_key("{made-up}").raw().refused(401, UNKNOWN),
                edge("a made-up key as a Bearer").authorization("Bearer {made-up}").refused(401, UNKNOWN),
                edge("the secret of one key with the tag of another").api_key("{another-companys-body}").refused(401, UNKNOWN),
                edge("a made-up key on an open route").target("/public/page").api_key("{made-up}").refused(401, UNKNOWN),
            ],
        ),
        row(
            "right everything, unknown (authority, then 401)",
            [edge("a key that was never made, with a right tag").api_key("{unknown}").known_and_refused(401, UNKNOWN)],
        ),
        row("a key of another deployment's prefix", [edge("a key of another prefix").api_key("{foreign}").refused(401, UNKNOWN)]),
        row(
            "homoglyphs, full-width digits",
            [
                no_key("a Cyrillic letter that looks like one of the key's", "{homoglyph}"),
                no_key("a key with full-width digits", "{full-width}"),
            ],
        ),
        row(
            "`.`/`..`/`/`",
            [".", "..", "/", "../..", "null", "undefined", "*", "%00", "{}"]
                .map(|text| edge(format!("{text} instead of a key")).api_key(text).refused(401, MALFORMED)),
        ),
    ]
}

fn strange_bytes() -> Vec<Row> {
    // What the runtime hands on of such bytes is its business; with each reading of them it is no key.
    let raw = |name: &str, value: &[u8]| edge(name).api_key(value).not_by_library();
    vec![
        row(
            "invalid UTF-8, Latin-1 ◦",
            [
                raw("invalid UTF-8 at the end of a key", b"{key}\xff\xfe").refused(401, MALFORMED),
                raw("invalid UTF-8 before a key", b"\xc3{key}").refused(401, MALFORMED),
                raw("a letter of Latin-1 after a key", b"{key}\xe9").refused(401, MALFORMED),
                edge("invalid UTF-8 in a Bearer").authorization(b"Bearer {key}\xff").not_by_library().refused(401, MALFORMED),
                edge("a byte that is no ASCII before the scheme").authorization(b"\xa0Bearer {key}").not_by_library().refused(401, MISSING),
            ],
        ),
        row(
            "NUL ◦",
            [
                raw("a NUL after a key", b"{key}\0").only(&[Level::Pure]).refused(401, MALFORMED),
                raw("a NUL after a key, over the socket", b"{key}\0").only(&[Level::Raw]).unheard(400),
                raw("a NUL before a key, over the socket", b"\0{key}").only(&[Level::Raw]).unheard(400),
            ],
        ),
        row(
            "CR/LF, obs-fold ◦",
            [
                raw("a line feed and another header's value in a key", b"{key}\nx").only(&[Level::Pure]).refused(401, MALFORMED),
                raw("a carriage return in a key", b"{key}\rx").only(&[Level::Pure]).refused(401, MALFORMED),
                raw("a carriage return in a key, over the socket", b"{key}\rx").only(&[Level::Raw]).unheard(400),
                raw("a key that is folded in the middle", b"kw_live\r\n _{key}").only(&[Level::Raw]).unheard(400),
                raw("something folded after a whole key", b"{key}\r\n x").only(&[Level::Raw]).unheard(400),
                edge("an address folded after a whole Bearer, as the next line that the verifier is told")
                    .authorization(b"Bearer {elsewhere}\r\n\t203.0.113.7")
                    .only(&[Level::Raw])
                    .unheard(400),
            ],
        ),
    ]
}

fn known_keys() -> Vec<Row> {
    let with = |name: &str, key: &str| edge(name).api_key(format!("{{{key}}}"));
    vec![
        row(
            "expired to the second",
            [
                with("an expired key", "expired").known_and_refused(401, "key_expired"),
                by_test(
                    "a key lives until the second of its expiry",
                    "tests/e2e/tests/rights.rs",
                    "a_key_is_refused_from_the_second_of_its_expiry",
                ),
                by_test("and not a millisecond longer", "shared/src/decide.rs", "a_key_expires_to_the_millisecond"),
            ],
        ),
        row(
            "revoked",
            [
                with("a revoked key", "revoked").known_and_refused(401, "key_revoked"),
                with("a revoked key on an open route", "revoked").target("/public/page").known_and_refused(401, "key_revoked"),
                edge("a revoked key where the origin takes Bearers")
                    .target("/app/x")
                    .authorization("Bearer {revoked}")
                    .known_and_refused(401, "key_revoked"),
            ],
        ),
        row(
            "in rotation overlap",
            [
                with("a key that has a successor and still lives", "overlapping").passes(),
                with("a key whose overlap is over", "overlapped").known_and_refused(401, "key_expired"),
                by_test(
                    "the old key lives as long as it was given",
                    "tests/e2e/tests/rotation.rs",
                    "with_an_overlap_the_old_key_works_for_its_length_and_then_has_expired",
                ),
            ],
        ),
        row("owner inactive", [with("a key of an owner who is not active", "owner-inactive").known_and_refused(401, "owner_inactive")]),
        row(
            "company inactive",
            [with("a key of a company that is not active", "company-inactive").known_and_refused(401, "owner_inactive")],
        ),
        row(
            "permission withdrawn a moment ago",
            [
                with("a key whose owner lost the permission", "withdrawn").known_and_refused(403, "permission_denied"),
                by_test(
                    "a withdrawn permission is missed within the bound",
                    "tests/e2e/tests/rights.rs",
                    "a_route_asks_for_a_permission_and_a_withdrawn_one_is_missed_within_the_bound",
                ),
            ],
        ),
        row(
            "a thousand different made-up keys (0 store reads)",
            [
                by_test("a thousand made-up keys cost nothing in the runtime", REFUSALS, "a_thousand_made_up_keys_cost_no_store_read"),
                by_test(
                    "a thousand made-up keys cost nothing in the verifier",
                    "tests/bad-inputs/tests/pure.rs",
                    "a_thousand_made_up_keys_cost_no_read",
                ),
            ],
        ),
        row(
            "a thousand requests with one deleted key (few authority calls)",
            [
                by_test(
                    "a deleted key is asked about seldom in the runtime",
                    REFUSALS,
                    "a_thousand_requests_with_a_deleted_key_ask_the_store_seldom",
                ),
                by_test(
                    "a deleted key is asked about once in the verifier",
                    "edge/src/verifier/tests.rs",
                    "absence_is_confirmed_by_the_authority_and_remembered_for_freshness",
                ),
            ],
        ),
    ]
}
