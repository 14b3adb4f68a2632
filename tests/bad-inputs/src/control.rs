//! The control plane: what is sent to `/v1`, on its own or at the same time.

use crate::case::{Case, ControlCase, Row, by_test, control, row};

const INPUTS: &str = "tests/e2e/tests/inputs.rs";
const RACES: &str = "tests/e2e/tests/races.rs";
const CHANGES: &str = "control/tests/shard_changes.rs";
const KEYS: &str = "control/tests/shard_keys.rs";
const CEILINGS: &str = "control/src/shard/ceilings_tests.rs";
const OIDC: &str = "control/src/oidc/tests.rs";
const TOKENS: &str = "tests/e2e/tests/oidc.rs";
const FRONT: &str = "control/src/front/tests.rs";
const LEAKS: &str = "control/src/front/tests/leaks.rs";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = values();
    rows.extend(lists());
    rows.extend(at_once());
    rows.extend(rights());
    rows.extend(others());
    rows
}

/// A creation with this body.
fn new(name: &str, body: impl Into<String>) -> ControlCase {
    control(name, "POST", "/v1/keys").body(body)
}

/// A creation with this name.
fn named(name: &str, text: &str) -> ControlCase {
    new(name, format!("{{\"name\":{text}}}"))
}

/// A creation with this further member.
fn with(name: &str, member: &str, value: &str) -> ControlCase {
    new(name, format!("{{\"name\":\"A\",\"owner\":\"jane\",\"{member}\":{value}}}"))
}

fn values() -> Vec<Row> {
    let malformed = |name: &str, body: String| -> Case { new(name, body).refused(400, "invalid_request") };
    let many: Vec<_> = (0..1_000).map(|n| format!("\"orders.p{n}\"")).collect();
    vec![
        row(
            "duplicate keys in JSON, `__proto__`, depth 10,000, numbers past 2^53, NaN, lone surrogates, 2 MiB",
            [
                malformed("a member twice", r#"{"name":"A","name":"B"}"#.into()),
                malformed("a member twice, once escaped", r#"{"name":"A","\u006eame":"B"}"#.into()),
                malformed("a member twice, deep inside", r#"{"name":"A","metadata":{"a":{"b":1,"b":2}}}"#.into()),
                malformed("__proto__ as a member", r#"{"name":"A","__proto__":{"manages_keys":true}}"#.into()),
                malformed("ten thousand arrays", format!("{{\"name\":\"A\",\"metadata\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))),
                malformed(
                    "ten thousand objects",
                    format!("{{\"name\":\"A\",\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
                ),
                malformed("a number past 2^53", r#"{"name":"A","metadata":{"n":9007199254740993}}"#.into()),
                malformed("a number past every double", r#"{"name":"A","metadata":{"n":1e999}}"#.into()),
                malformed("NaN", r#"{"name":"A","metadata":{"n":NaN}}"#.into()),
                malformed("Infinity", r#"{"name":"A","metadata":{"n":-Infinity}}"#.into()),
                malformed("a lone surrogate", r#"{"name":"\ud800"}"#.into()),
                malformed("a lone surrogate in metadata", r#"{"name":"A","metadata":{"\udfff":1}}"#.into()),
                new("two mebibytes", format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20))).refused(413, "too_large"),
                by_test("and more that no two JSON readers agree on", INPUTS, "what_no_json_reader_agrees_on_is_refused"),
            ],
        ),
        row(
            "names: empty, blank, 101 characters, control characters, RTL override, HTML, SQL, a formula (`=cmd`)",
            [
                named("an empty name", "\"\"").field("name"),
                named("a blank name", "\" \\t\\u2003\"").field("name"),
                named("a name of 101 characters", &format!("\"{}\"", "ä".repeat(101))).field("name"),
                named("a control character in a name", "\"a\\u0007b\"").field("name"),
                named("a NUL in a name", "\"a\\u0000b\"").field("name"),
                named("a right-to-left override in a name", "\"invoice\\u202etxt.exe\"").field("name"),
                named("HTML as a name", "\"<script>alert(1)</script>\"").taken(201),
                named("SQL as a name", "\"'; DROP TABLE keys; --\"").taken(201),
                named("a formula as a name", "\"=cmd|' /C calc'!A0\"").taken(201),
                by_test("and it stays the text that it is", INPUTS, "what_only_looks_dangerous_is_text_like_any_other"),
                by_test("on the page, too", "tests/e2e/tests/page.rs", "a_name_is_shown_as_text_whatever_it_says"),
            ],
        ),
        row(
            "`expires_at`: past, year 9999, 10000, leap second, local time, number, null",
            [
                with("an expiry in the past", "expires_at", "\"2001-01-01T00:00:00Z\"").field("expires_at"),
                with("the last second of the year 9999", "expires_at", "\"9999-12-31T23:59:59Z\"").taken(201),
                with("the year 10000", "expires_at", "\"10000-01-01T00:00:00Z\"").field("expires_at"),
                with("a leap second", "expires_at", "\"2028-12-31T23:59:60Z\"").field("expires_at"),
                with("a local time", "expires_at", "\"2028-12-31T23:59:59\"").field("expires_at"),
                with("a number as expiry", "expires_at", "1900000000").field("expires_at"),
                with("no expiry", "expires_at", "null").taken(201),
            ],
        ),
        row(
            "permissions the owner lacks, with spaces, empty, 1,000 of them",
            [
                with("a permission that the owner lacks", "permissions", "[\"orders.write\"]").field("permissions"),
                with("a star over what the owner has", "permissions", "[\"orders.*\"]").field("permissions"),
                with("a permission with a space", "permissions", "[\"orders read\"]").field("permissions[0]"),
                with("an empty permission", "permissions", "[\"\"]").field("permissions[0]"),
                with("a thousand permissions", "permissions", &format!("[{}]", many.join(","))).field("permissions"),
                with("no permission at all", "permissions", "[]").taken(201),
            ],
        ),
        row(
            "networks: `0.0.0.0/0`, `10.0.0.1/33`, IPv4-mapped IPv6",
            [
                with("every address", "allowed_ips", "[\"0.0.0.0/0\"]").taken(201),
                with("a mask of 33 bits", "allowed_ips", "[\"10.0.0.1/33\"]").field("allowed_ips[0]"),
                with("an IPv4 address in IPv6", "allowed_ips", "[\"::ffff:10.1.2.3\"]").taken(201),
                with("octal numbers", "allowed_ips", "[\"010.0.0.1\"]").field("allowed_ips[0]"),
                by_test("networks have one spelling each", "shared/src/network.rs", "networks_have_one_spelling_each"),
            ],
        ),
    ]
}

fn lists() -> Vec<Row> {
    let list = |name: &str, query: &str| control(name, "GET", format!("/v1/keys?{query}")).refused(400, "invalid_request");
    vec![
        row(
            "a cursor of another list, tampered",
            [
                list("a cursor that is none", "cursor=abc"),
                control("an empty cursor is the first page", "GET", "/v1/keys?cursor=").taken(200),
                control("a cursor of keys for the trail", "GET", "/v1/audit?cursor={cursor}").refused(400, "invalid_request"),
                list("a cursor for another order", "limit=1&sort=name&cursor={cursor}"),
                list("a cursor with another filter", "limit=1&status=revoked&cursor={cursor}"),
                list("a cursor with another ending", "limit=1&cursor={cursor}0"),
                control("the cursor itself", "GET", "/v1/keys?limit=1&cursor={cursor}").taken(200),
                control("a cursor of another viewer", "GET", "/v1/keys?limit=1&cursor={cursor}")
                    .key("{manager}")
                    .refused(400, "invalid_request"),
                by_test(
                    "a cursor belongs to its order, its filters and its viewer",
                    "control/tests/shard_sort.rs",
                    "a_cursor_belongs_to_its_order_its_filters_and_its_viewer",
                ),
            ],
        ),
        row(
            "`limit` 0, −1, 1e9",
            [
                list("a limit of zero", "limit=0"),
                list("a limit below zero", "limit=-1"),
                list("a limit of a thousand million", "limit=1e9"),
                list("a limit of a thousand million in digits", "limit=1000000000"),
                list("no limit at all", "limit="),
            ],
        ),
        row(
            "ids of another company",
            [
                control("another company's key", "GET", "/v1/keys/{foreign-id}").key("{manager}").refused(404, "not_found"),
                control("revoking another company's key", "POST", "/v1/keys/{foreign-id}/revoke")
                    .key("{manager}")
                    .body("{}")
                    .refused(404, "not_found"),
                control("deleting another company's key", "DELETE", "/v1/keys/{foreign-id}").key("{manager}").refused(404, "not_found"),
                control("another company by its name", "GET", "/v1/keys?company=globex").key("{manager}").refused(404, "not_found"),
                by_test("a company sees nothing of another", "tests/e2e/tests/rights.rs", "a_key_of_one_company_sees_nothing_of_another"),
                by_test("and changes nothing of it", "control/tests/shard_directory.rs", "nothing_of_another_company_is_seen_or_changed"),
            ],
        ),
    ]
}

fn at_once() -> Vec<Row> {
    vec![
        row(
            "idempotency key reused with another body, in flight twice, 1 KB long",
            [
                new("an idempotency key's first use", r#"{"name":"First"}"#).header("Idempotency-Key", "one-of-the-table").taken(201),
                new("the same again", r#"{"name":"First"}"#).header("Idempotency-Key", "one-of-the-table").taken(201),
                new("the same with another body", r#"{"name":"Second"}"#)
                    .header("Idempotency-Key", "one-of-the-table")
                    .refused(422, "idempotency_mismatch"),
                new("an idempotency key of a kilobyte", r#"{"name":"A"}"#)
                    .header("Idempotency-Key", "x".repeat(1_024))
                    .refused(400, "invalid_request"),
                new("an empty idempotency key", r#"{"name":"A"}"#).header("Idempotency-Key", "").refused(400, "invalid_request"),
                by_test(
                    "in flight twice it has one effect",
                    "tests/e2e/tests/control.rs",
                    "the_same_creation_sent_fifty_times_at_once_makes_one_key",
                ),
            ],
        ),
        row(
            "the same create 50 times at once",
            [by_test(
                "fifty at once make one key",
                "tests/e2e/tests/control.rs",
                "the_same_creation_sent_fifty_times_at_once_makes_one_key",
            )],
        ),
        row(
            "revoke while rotating",
            [
                by_test(
                    "whichever comes first counts",
                    "control/tests/shard_rotate.rs",
                    "of_a_rotation_and_a_revocation_whichever_comes_first_counts",
                ),
                by_test("in the real runtime, too", RACES, "a_key_that_is_rotated_revoked_and_deleted_at_once_has_one_fate"),
            ],
        ),
        row(
            "delete while publishing",
            [
                by_test("a change during a put keeps the mark", CHANGES, "a_change_during_a_put_keeps_the_mark_and_waits_a_second"),
                by_test("a deleted key's name is removed twice", CHANGES, "a_deleted_keys_name_is_removed_twice"),
            ],
        ),
        row(
            "owner deactivated while its key is made",
            [by_test("the key lets nobody in", RACES, "a_key_that_is_made_while_its_owner_is_deactivated_lets_nobody_in")],
        ),
    ]
}

fn rights() -> Vec<Row> {
    let manages = |name: &str, method: &'static str, target: &str| control(name, method, target).key("{manager}");
    vec![
        row(
            "a manager key widening itself, its children, another owner's key",
            [
                manages("a manager widens itself", "PATCH", "/v1/keys/{manager-id}")
                    .body(r#"{"permissions":["billing.read"]}"#)
                    .field("permissions"),
                manages("a manager makes a manager", "POST", "/v1/keys")
                    .body(r#"{"name":"A","manages_keys":true}"#)
                    .refused(403, "forbidden"),
                manages("a manager makes a key that may more", "POST", "/v1/keys")
                    .body(r#"{"name":"A","permissions":["billing.read"]}"#)
                    .field("permissions"),
                manages("a manager changes another owner's key", "PATCH", "/v1/keys/{other-id}")
                    .body(r#"{"name":"Mine"}"#)
                    .refused(404, "not_found"),
                by_test("what a key makes stays within the key", CEILINGS, "what_a_key_makes_stays_within_the_key"),
                by_test("widening stays within the caller", CEILINGS, "narrowing_is_free_and_widening_stays_within_the_caller"),
            ],
        ),
        row(
            "a company administrator with `*` calling the operator's endpoints",
            [
                control("an administrator lists companies", "GET", "/v1/companies").key("{administrator}").refused(403, "forbidden"),
                control("an administrator makes a company", "PUT", "/v1/companies/evil")
                    .key("{administrator}")
                    .body(r#"{"name":"Evil","active":true}"#)
                    .refused(403, "forbidden"),
                control("an administrator sets the policy", "PUT", "/v1/policy")
                    .key("{administrator}")
                    .body(r#"{"rules":[]}"#)
                    .refused(403, "forbidden"),
                control("an administrator reads the policy", "GET", "/v1/policy").key("{administrator}").refused(403, "forbidden"),
                control("an administrator imports keys", "POST", "/v1/keys/import")
                    .key("{administrator}")
                    .body(r#"{"keys":[]}"#)
                    .refused(403, "forbidden"),
                control("an administrator republishes", "POST", "/v1/maintenance/republish")
                    .key("{administrator}")
                    .body("{}")
                    .refused(403, "forbidden"),
                control("an administrator signs somebody in", "POST", "/v1/sign-in-links")
                    .key("{administrator}")
                    .body(r#"{"owner":"boss"}"#)
                    .refused(403, "forbidden"),
                by_test(
                    "only the operator calls the operator's endpoints",
                    "tests/e2e/tests/rights.rs",
                    "only_the_operator_calls_the_operators_endpoints",
                ),
            ],
        ),
        row(
            "a digest used before, deleted, of another shard",
            [
                with("a digest that is in use", "digest", "\"{digest}\"").refused(409, "conflict"),
                with("a digest of another shard is of no use to who takes it", "digest", "\"{foreign-digest}\"").taken(201),
                by_test("a deleted key's digest never comes back", KEYS, "a_deleted_key_is_gone_and_its_digest_never_comes_back"),
                by_test(
                    "a digest of another shard is claimed there",
                    "control/tests/shard_import.rs",
                    "a_digest_that_is_in_use_or_once_was_is_named_by_its_place_and_not_by_whose_it_is",
                ),
            ],
        ),
        row(
            "an idempotency key of another actor or company",
            [
                new("another actor's idempotency key is another one", r#"{"name":"Theirs"}"#)
                    .key("{manager}")
                    .header("Idempotency-Key", "one-of-the-table")
                    .taken(201),
                by_test("a replay is authorized again", CHANGES, "a_replay_is_authorized_again"),
                by_test("one effect per company, actor, method and path", CHANGES, "one_effect_per_idempotency_key"),
            ],
        ),
    ]
}

fn others() -> Vec<Row> {
    vec![
        row(
            "OIDC tokens: `alg` none, HS256 with the public key, expired, not yet valid, other audience, other issuer, unknown `kid`, no `sub`, signed by a rotated-out key",
            [
                by_test("no signature", OIDC, "a_token_without_a_signature_is_refused_however_it_says_so"),
                by_test("HS256 with the public key", OIDC, "the_key_decides_the_algorithm_and_not_the_token"),
                by_test("expired, not yet valid, for others, of others", OIDC, "a_token_is_for_us_and_of_now"),
                by_test("an unknown kid", OIDC, "the_key_is_the_one_that_is_named_and_without_a_name_the_only_one"),
                by_test("no sub", OIDC, "whom_a_token_speaks_of_has_a_well_formed_id"),
                by_test(
                    "in the real runtime, with keys that come and go",
                    TOKENS,
                    "keys_of_the_provider_come_and_go_and_while_it_is_down_nobody_is_called_unauthorized",
                ),
                control("a token where no issuer is set", "GET", "/v1/whoami")
                    .key("")
                    .header("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
                    .refused(401, "unauthenticated"),
            ],
        ),
        row(
            "session cookie: none, tampered, expired, cross-site post (refused)",
            [
                control("no cookie", "GET", "/v1/keys").key("").refused(401, "unauthenticated"),
                control("a made-up cookie", "GET", "/v1/keys")
                    .key("")
                    .header("Cookie", "__Host-keyward=demo.00000000000000000000000000000000.0000")
                    .refused(401, "unauthenticated"),
                control("a key as a cookie", "GET", "/v1/keys")
                    .key("")
                    .header("Cookie", "__Host-keyward={operator}")
                    .refused(401, "unauthenticated"),
                by_test(
                    "a session ends after eight hours",
                    "control/tests/shard_directory.rs",
                    "a_session_ends_after_eight_hours_or_by_signing_out",
                ),
                by_test(
                    "a session's token has one spelling",
                    "control/src/session.rs",
                    "a_token_tells_its_company_and_a_made_up_one_nothing",
                ),
                by_test(
                    "a post from another site changes nothing",
                    "tests/e2e/tests/page.rs",
                    "a_cross_site_request_with_the_cookie_changes_nothing",
                ),
                by_test(
                    "with a session only a page of this origin changes anything",
                    FRONT,
                    "with_a_session_only_a_page_of_this_origin_changes_anything",
                ),
            ],
        ),
        row(
            "GitHub alert: no signature, wrong signature, unknown key id, replay",
            [
                by_test("an alert that GitHub has not signed", LEAKS, "an_alert_that_github_has_not_signed_asks_no_object"),
                by_test("an unknown key id", LEAKS, "a_new_key_of_github_is_looked_for_once_and_an_outage_is_called_one"),
                by_test(
                    "a replay changes nothing more",
                    "tests/e2e/tests/leaks.rs",
                    "an_alert_that_github_signed_kills_the_key_and_one_that_it_did_not_does_nothing",
                ),
                control("an alert without a signature", "POST", "/v1/leaks/github").key("").body("[]").refused(401, "unauthenticated"),
            ],
        ),
    ]
}
