//! Smuggling and spoofing: requests inside requests, and headers that only the edge or a proxy may set.

use crate::case::{Case, Door, EdgeCase, Level, Row, by_test, edge, row};

const GATEWAY: &str = "tests/e2e/tests/gateway.rs";
const ORIGINAL: Door = Door::ForwardAuth("original");
const FORWARDED: Door = Door::ForwardAuth("forwarded");

pub(super) fn rows() -> Vec<Row> {
    let mut rows = identities();
    rows.extend(framing());
    rows.extend(addresses());
    rows.push(gateway());
    rows.push(families());
    rows.push(collecting());
    rows.extend(last());
    rows
}

fn identities() -> Vec<Row> {
    let forged = |name: &str, header: &str| edge(name).only(&[Level::Runtime, Level::Raw]).api_key("{key}").header(header, "mallory");
    vec![
        row("the identity headers sent by a client, in any case, with `_`, repeated, folded", [
            forged("a forged owner", "X-Keyward-Owner").arrives("x-keyward-owner", &["jane"]).passes(),
            forged("a forged owner in capitals", "X-KEYWARD-OWNER").arrives("x-keyward-owner", &["jane"]).passes(),
            forged("a forged owner with underscores", "X_Keyward_Owner").absent("x_keyward_owner").passes(),
            forged("a forged owner with one underscore", "x-keyward_owner").absent("x-keyward_owner").passes(),
            forged("a forged company, twice", "X-Keyward-Company").header("x-keyward-company", "evil").arrives("x-keyward-company", &["demo"]).passes(),
            forged("a forged token", "X-Keyward-Identity").passes(),
            forged("a header of ours that there is not", "X-Keyward-Admin").absent("x-keyward-admin").passes(),
            forged("permissions and metadata", "X-Keyward-Permissions").header("X-Keyward-Metadata", "mallory").passes(),
            edge("a forged owner on an open route").only(&[Level::Runtime, Level::Raw]).target("/public/page").header("X-Keyward-Owner", "mallory").absent("x-keyward-owner").passes_unknown(),
            edge("a forged owner beside the application's own Bearer").only(&[Level::Runtime, Level::Raw]).target("/app/x").authorization("Bearer session").header("X-Keyward-Owner", "mallory").absent("x-keyward-owner").passes_unknown(),
            edge("a folded owner").wire("GET /orders/1 HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\nx-api-key: {key}\r\nX-Keyward-Owner:\r\n mallory\r\n\r\n").unheard(400),
            edge("an owner with a space before the colon").wire("GET /orders/1 HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\nx-api-key: {key}\r\nX-Keyward-Owner : mallory\r\n\r\n").unheard(400),
        ]),
        row("an identity header named in `Connection:`", [
            edge("a client cannot have the owner removed").only(&[Level::Raw]).api_key("{key}").header("Connection", "close, X-Keyward-Owner, X-Keyward-Key").arrives("x-keyward-owner", &["jane"]).passes(),
            edge("nor the address").only(&[Level::Raw]).api_key("{key}").header("Connection", "close, X-Forwarded-For, X-Request-Id").arrives("x-forwarded-for", &["127.0.0.1"]).passes(),
        ]),
        row("`Connection: x-foo` with `X-Foo`", [
            edge("what Connection names stays here").only(&[Level::Raw]).api_key("{key}").header("Connection", "close, X-Foo").header("X-Foo", "hop").header("X-Bar", "end").absent("x-foo").arrives("x-bar", &["end"]).passes(),
            edge("hop-by-hop headers stay here").only(&[Level::Raw]).api_key("{key}").header("Keep-Alive", "timeout=5").header("TE", "trailers").header("Proxy-Authorization", "Basic {basic}").absent("keep-alive").absent("te").absent("proxy-authorization").passes(),
            edge("the credential cannot be kept by naming it").only(&[Level::Raw]).header("Connection", "close, x-api-key").api_key("{key}").passes(),
        ]),
    ]
}

/// A POST to an open route with this framing, whose bytes go on with a request for a route that is not open.
fn framed(name: &str, framing: &str, body: &str) -> EdgeCase {
    let hidden = "GET /orders/smuggled HTTP/1.1\r\nHost: edge.example\r\n\r\n";
    let framing = framing.replace("{all}", &(body.len() + hidden.len()).to_string());
    edge(name).wire(format!("POST /public/a HTTP/1.1\r\nHost: edge.example\r\n{framing}\r\n\r\n{body}{hidden}"))
}

fn framing() -> Vec<Row> {
    let end = "0\r\n\r\n";
    let keyed = "x-api-key: {key}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked";
    let refused = |case: EdgeCase| case.refused(400, "invalid_request");
    vec![
        // Of both framings the runtime takes the chunks and then ends the connection (RFC 9112 §6.3): what was hidden is never read.
        row("`Content-Length` with `Transfer-Encoding` ◦", [
            framed("both framings, the length shorter", "Content-Length: 4\r\nTransfer-Encoding: chunked", end).passes_unknown(),
            framed("both framings, the length longer", "Transfer-Encoding: chunked\r\nContent-Length: {all}", end).passes_unknown(),
            framed("both framings with a key, which the hidden request does not have", keyed, end).passes(),
            refused(framed("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", end)),
            refused(framed("a coding that is not undone here", "Transfer-Encoding: gzip, chunked", end)),
            framed("a coding that looks like chunked", "Content-Length: 5\r\nTransfer-Encoding: xchunked", end).unheard(400),
            framed("a coding with a control character before it", "Transfer-Encoding: \u{b}chunked", end).unheard(400),
            framed("a coding whose name ends in a space", "Content-Length: 5\r\nTransfer-Encoding : chunked", end).unheard(400),
            framed("a chunk whose size is no number", "Transfer-Encoding: chunked", "zz\r\n").stopped(),
            by_test("a hidden request is not smuggled", GATEWAY, "a_request_that_two_servers_would_end_at_different_places_is_refused_or_sent_on_with_one_end"),
        ]),
        row("two `Content-Length` ◦", [
            framed("two lengths", "Content-Length: 0\r\nContent-Length: {all}", "").unheard(400),
            framed("the same length twice is one length", "Content-Length: {all}\r\nContent-Length: {all}", "").passes_unknown(),
            framed("two lengths in one header", "Content-Length: 0, {all}", "").unheard(400),
            framed("a length with a sign", "Content-Length: +0", "").unheard(400),
            framed("a length below zero", "Content-Length: -1", "").unheard(400),
            framed("a length in hexadecimal", "Content-Length: 0x0", "").unheard(400),
        ]),
        row("`Expect: 100-continue` ◦", [
            edge("an expectation is met here and does not reach the origin").only(&[Level::Raw]).method("POST").target("/elsewhere").api_key("{key}").header("Expect", "100-continue").body("a=b").absent("expect").passes(),
            edge("an expectation without a credential").only(&[Level::Raw]).method("POST").header("Expect", "100-continue").body("a=b").refused(401, "missing_credentials"),
            edge("an expectation on an open route, with the body").only(&[Level::Raw]).method("POST").target("/public/page").header("Expect", "100-continue").body("a=b").passes_unknown(),
        ]),
        row("trailers carrying a credential ◦", [
            by_test("trailers become nobody's headers", GATEWAY, "trailers_are_nobodys_headers"),
edge("a key in a trailer is none").wire("POST /orders/1 HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: x-api-key\r\n\r\n1\r\na\r\n0\r\nx-api-key: {key}\r\n\r\n").refused(401, "missing_credentials"),
        ]),
    ]
}

fn addresses() -> Vec<Row> {
    let inside = "203.0.113.7";
    let claimed = |name: &str, header: &str| edge(name).only(&[Level::Runtime, Level::Raw]).api_key("{elsewhere}").header(header, inside);
    let refused = |case: EdgeCase| case.known_and_refused(403, "ip_not_allowed");
    vec![
        row(
            "`X-Forwarded-For` against the network list (only the platform's client address counts)",
            [
                refused(edge("a key from outside its networks").only(&[Level::Runtime, Level::Raw]).api_key("{elsewhere}")),
                refused(claimed("a claimed X-Forwarded-For", "X-Forwarded-For")),
                refused(claimed("a claimed X-Real-IP", "X-Real-IP")),
                refused(claimed("a claimed True-Client-IP", "True-Client-IP")),
                refused(
                    edge("a claimed Forwarded").only(&[Level::Runtime]).api_key("{elsewhere}").header("Forwarded", format!("for={inside}")),
                ),
                refused(
                    claimed("the proxy's secret counts nothing where the socket's address counts", "X-Real-IP")
                        .header("X-Keyward-Proxy", "{proxy-secret}"),
                ),
                refused(claimed("a proxy without the secret counts nothing", "X-Forwarded-For").behind_a_proxy()),
                refused(
                    claimed("a proxy with a wrong secret counts nothing", "X-Forwarded-For")
                        .header("X-Keyward-Proxy", "a secret that nobody knows at all")
                        .behind_a_proxy(),
                ),
                refused(
                    claimed("a proxy's secret that is sent twice is another secret", "X-Real-IP")
                        .header("X-Keyward-Proxy", "{proxy-secret}")
                        .header("X-Keyward-Proxy", "{proxy-secret}")
                        .behind_a_proxy(),
                ),
                claimed("what the proxy says counts", "X-Real-IP").header("X-Keyward-Proxy", "{proxy-secret}").behind_a_proxy().passes(),
                edge("of several addresses the proxy's own counts, which is the last one")
                    .only(&[Level::Runtime])
                    .api_key("{elsewhere}")
                    .header("X-Forwarded-For", "10.0.0.1, 203.0.113.9")
                    .header("X-Keyward-Proxy", "{proxy-secret}")
                    .behind_a_proxy()
                    .passes(),
                refused(
                    edge("and not the first one, which is the client's")
                        .only(&[Level::Runtime])
                        .api_key("{elsewhere}")
                        .header("X-Forwarded-For", "203.0.113.9, 10.0.0.1")
                        .header("X-Keyward-Proxy", "{proxy-secret}")
                        .behind_a_proxy(),
                ),
                refused(
                    edge("two X-Real-IP are none")
                        .only(&[Level::Runtime])
                        .api_key("{elsewhere}")
                        .header("X-Real-IP", inside)
                        .header("X-Real-IP", inside)
                        .header("X-Keyward-Proxy", "{proxy-secret}")
                        .behind_a_proxy(),
                ),
                edge("the origin sees the socket's address and not what the client claims")
                    .only(&[Level::Runtime])
                    .api_key("{key}")
                    .header("X-Forwarded-For", inside)
                    .header("X-Real-IP", inside)
                    .header("X_Forwarded_For", inside)
                    .header("Forwarded", "for=203.0.113.7")
                    .arrives("x-forwarded-for", &["127.0.0.1"])
                    .absent("x-real-ip")
                    .absent("x_forwarded_for")
                    .absent("forwarded")
                    .passes(),
            ],
        ),
        row(
            "`CF-Connecting-IP` sent by a client on plain workerd",
            [
                refused(claimed("a claimed CF-Connecting-IP", "CF-Connecting-IP")),
                refused(claimed("a claimed CF-Connecting-IP behind a proxy", "CF-Connecting-IP").behind_a_proxy()),
                refused(claimed("the same of IPv6", "CF-Connecting-IPv6")),
                edge("the origin does not see it")
                    .only(&[Level::Runtime])
                    .api_key("{key}")
                    .header("CF-Connecting-IP", inside)
                    .absent("cf-connecting-ip")
                    .passes(),
            ],
        ),
    ]
}

/// A question of nginx, with a key.
fn asks(name: &str) -> EdgeCase {
    edge(name).at(ORIGINAL).api_key("{key}")
}

/// A question of nginx about a route, with a key.
fn route(name: &str, method: &str, uri: &str) -> EdgeCase {
    asks(name).header("X-Original-Method", method).header("X-Original-URI", uri)
}

fn gateway() -> Row {
    row(
        "forward-auth headers sent to the gateway path",
        [
            edge("a claimed route opens nothing")
                .header("X-Original-URI", "/public/page")
                .header("X-Original-Method", "GET")
                .header("X-Forwarded-Uri", "/public/page")
                .header("X-Forwarded-Method", "GET")
                .refused(401, "missing_credentials"),
            edge("a claimed route lends no permission")
                .target("/admin/x")
                .api_key("{key}")
                .header("X-Original-URI", "/orders/1")
                .header("X-Forwarded-Uri", "/orders/1")
                .known_and_refused(403, "permission_denied"),
        ],
    )
}

fn families() -> Row {
    let bad = |case: EdgeCase| -> Case { case.refused(400, "invalid_request") };
    row(
        "both families of forward-auth headers, repeated, missing",
        [
            route("the family that is configured decides", "GET", "/admin/x")
                .header("X-Forwarded-Method", "GET")
                .header("X-Forwarded-Uri", "/orders/1")
                .known_and_refused(403, "permission_denied"),
            edge("the family that is not configured is not there")
                .at(FORWARDED)
                .api_key("{key}")
                .header("X-Forwarded-Method", "GET")
                .header("X-Forwarded-Uri", "/orders/1")
                .refused(404, "not_found"),
            edge("the other way round, too")
                .at(ORIGINAL)
                .behind_a_proxy()
                .api_key("{key}")
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", "/orders/1")
                .refused(404, "not_found"),
            edge("behind a proxy of the other family its headers decide")
                .at(FORWARDED)
                .behind_a_proxy()
                .api_key("{key}")
                .header("X-Forwarded-Method", "GET")
                .header("X-Forwarded-Uri", "/admin/x")
                .header("X-Original-URI", "/orders/1")
                .known_and_refused(403, "permission_denied"),
            edge("a family that nobody knows").at(Door::ForwardAuth("envoy")).api_key("{key}").refused(404, "not_found"),
            edge("a family with something after it").at(Door::ForwardAuth("original/x")).api_key("{key}").refused(404, "not_found"),
            bad(asks("no route at all")),
            bad(asks("a method without a URI").header("X-Original-Method", "GET")),
            bad(asks("a URI without a method").header("X-Original-URI", "/orders/1")),
            bad(route("an empty method", "", "/orders/1")),
            bad(route("an empty URI", "GET", "")),
            bad(route("two URIs", "GET", "/orders/1").header("X-Original-URI", "/admin/x")),
            bad(route("the same URI twice", "GET", "/orders/1").header("X-Original-URI", "/orders/1")),
            bad(route("two methods", "GET", "/orders/1").header("X-Original-Method", "GET")),
            route("a comma in a URI makes no two of it", "GET", "/orders/1,/admin/x").untold(),
            route("a URI with two readings", "GET", "/public/../admin").refused(400, "ambiguous_path"),
            route("a URI that is a whole address", "GET", "http://elsewhere.example/orders/1").refused(400, "ambiguous_path"),
            route("a URI that is encoded once more", "GET", "/%2e%2e/admin").refused(400, "ambiguous_path"),
            route("a route that the key may not use", "POST", "/orders/1").known_and_refused(403, "permission_denied"),
            route("the request's own method says nothing", "GET", "/orders/1?a=1,2").method("POST").untold(),
            edge("a question without a credential")
                .at(ORIGINAL)
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", "/orders/1")
                .refused(401, "missing_credentials"),
            edge("a question about an open route")
                .at(ORIGINAL)
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", "/public/page")
                .passes_unknown(),
        ],
    )
}

fn collecting() -> Row {
    row(
        "a client calling forward-auth itself to collect an identity",
        [
            route("a client that asks itself is told nothing", "GET", "/orders/1").raw().untold(),
            route("a client with a made-up proxy secret neither", "GET", "/orders/1")
                .header("X-Keyward-Proxy", "a secret that nobody knows at all")
                .untold(),
            route("a client with an empty one neither", "GET", "/orders/1").header("X-Keyward-Proxy", "").untold(),
            route("the proxy is told", "GET", "/orders/1").header("X-Keyward-Proxy", "{proxy-secret}").passes(),
            edge("a client lends itself no address")
                .at(ORIGINAL)
                .api_key("{elsewhere}")
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", "/orders/1")
                .header("X-Real-IP", "203.0.113.7")
                .known_and_refused(403, "ip_not_allowed"),
            edge("the proxy does")
                .at(ORIGINAL)
                .api_key("{elsewhere}")
                .header("X-Original-Method", "GET")
                .header("X-Original-URI", "/orders/1")
                .header("X-Real-IP", "203.0.113.7")
                .header("X-Keyward-Proxy", "{proxy-secret}")
                .passes(),
        ],
    )
}

fn last() -> Vec<Row> {
    vec![row(
        "the edge's own address as origin (loop)",
        [
            by_test("an edge that is its own origin says so", "tests/e2e/tests/loops.rs", "an_edge_that_is_its_own_origin_says_so"),
            by_test(
                "a circle of several ends where it began",
                "tests/e2e/tests/loops.rs",
                "a_circle_of_deployments_ends_where_it_began_and_a_chain_is_no_circle",
            ),
        ],
    )]
}
