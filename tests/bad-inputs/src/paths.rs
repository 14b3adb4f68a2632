//! Paths and methods: the string that the policy matched is the one that is forwarded, or nothing is.

use crate::case::{Case, Door, Level, Row, edge, row};

const AMBIGUOUS: &str = "ambiguous_path";
const MISSING: &str = "missing_credentials";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = two_readings();
    rows.extend(one_reading());
    rows.extend(headers());
    rows.extend(methods());
    rows
}

/// A GET of `target` as it is written on the socket.
fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n{headers}\r\n")
}

/// A target with two readings, written on the socket as it is, with a key that may nearly everything.
fn ambiguous(target: &str) -> Case {
    edge(format!("{target} has two readings")).target(target).api_key("{key}").not_by_library().refused(400, AMBIGUOUS)
}

fn each<const N: usize>(targets: [&str; N]) -> Vec<Case> {
    targets.into_iter().map(ambiguous).collect()
}

fn two_readings() -> Vec<Row> {
    vec![
        row(
            "`/admin/../public` ◦",
            each(["/admin/../public", "/public/../admin", "/./public", "/public/.", "/public/..", "/.../../x", "/.", "/..", "/..."]),
        ),
        row("`%2e%2e/`", each(["/%2e%2e/public", "/public/%2E%2E/admin", "/public/%2e/x", "/public/.%2e/admin"])),
        row("`%252e`", each(["/%252e%252e/admin", "/a%25b", "/a%252Fb"])),
        row("`%2F` and `%5C` inside a segment", each(["/public%2F..%2Fadmin", "/a%2fb", "/a%5Cb", "/a%5c..%5cb"])),
        row("`//admin`", each(["//admin", "/public//x", "/public//"])),
        row("`\\`", each(["/public\\..\\admin", "/a\\b"])),
        row("`;param`", each(["/admin;x=1", "/public/..;/admin", "/public/x;/y"])),
        row(
            "overlong UTF-8, invalid percent sequences",
            each(["/%C0%AE%C0%AE/admin", "/%C0%AF", "/%E0%80%AF", "/%FF", "/a%", "/a%2", "/a%zz", "/%u002e", "/a%00b"]),
        ),
    ]
}

fn one_reading() -> Vec<Row> {
    vec![
        row(
            "trailing dot or slash",
            [
                ambiguous("/admin."),
                ambiguous("/orders/1."),
                edge("a slash at the end changes neither rule nor path").target("/orders/1/").api_key("{key}").raw().passes(),
                edge("a slash at the end does not lead past a rule")
                    .target("/admin/")
                    .api_key("{key}")
                    .raw()
                    .known_and_refused(403, "permission_denied"),
            ],
        ),
        row(
            "case",
            [
                edge("a path in capitals is another path, and arrives as it is").target("/ORDERS/1").api_key("{key}").raw().passes(),
                edge("capitals open no route that is open in small letters").target("/PUBLIC/page").refused(401, MISSING),
                ambiguous("/%61dmin"),
                ambiguous("/%41dmin"),
            ],
        ),
        row(
            "absolute-form target ◦",
            [
                edge("an absolute-form target is no path")
                    .only(&[Level::Pure])
                    .target("http://elsewhere.example/public/page")
                    .api_key("{key}")
                    .refused(400, AMBIGUOUS),
                edge("an absolute-form target is read for its path, which is matched and forwarded")
                    .wire(get("http://elsewhere.example/orders/1", "x-api-key: {key}\r\n"))
                    .taken_for("/orders/1")
                    .arrives("x-forwarded-host", &["edge.example"])
                    .passes(),
                edge("an absolute-form target opens nothing").wire(get("http://elsewhere.example/orders/1", "")).refused(401, MISSING),
                edge("an absolute-form target with two readings")
                    .wire(get("http://elsewhere.example/public/../admin", "x-api-key: {key}\r\n"))
                    .refused(400, AMBIGUOUS),
                edge("an absolute-form target whose host is one of ours in another place")
                    .wire(get("http://edge.example/public/page/..//admin", "x-api-key: {key}\r\n"))
                    .refused(400, AMBIGUOUS),
                edge("an authority-form target has the path /")
                    .wire(get("edge.example:80", "x-api-key: {key}\r\n"))
                    .taken_for("/")
                    .passes(),
                edge("a target without a slash has the path /").wire(get("public", "")).refused(401, MISSING),
                edge("an asterisk-form target is no path")
                    .wire("OPTIONS * HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\nx-api-key: {key}\r\n\r\n")
                    .refused(400, AMBIGUOUS),
                edge("a fragment is no path").wire(get("/orders/1#/../admin", "x-api-key: {key}\r\n")).taken_for("/orders/1").passes(),
            ],
        ),
        hosts(),
        row(
            "16 KB URL",
            [
                edge("a path of 16 KB is matched and arrives whole").target("/orders/{sixteen-kilobytes}").api_key("{key}").raw().passes(),
                edge("a path of 16 KB leads past no rule")
                    .target("/admin/{sixteen-kilobytes}")
                    .api_key("{key}")
                    .known_and_refused(403, "permission_denied"),
                edge("a query of 16 KB arrives whole").target("/orders/1?{sixteen-kilobytes}").api_key("{key}").passes(),
            ],
        ),
        row(
            "1,000 query parameters",
            [
                edge("a thousand parameters arrive as they are").target("/orders/1?{thousand-parameters}").api_key("{key}").raw().passes(),
                edge("what is ambiguous in a path is nothing in a query")
                    .target("/orders/1?a=../..&b=%2F..%2F//;")
                    .api_key("{key}")
                    .raw()
                    .passes(),
            ],
        ),
    ]
}

fn hosts() -> Row {
    let strange = |name: &str, host: &str, target: &str| {
        edge(name).header("Host", host).target(target).only(&[Level::Raw]).refused(400, "invalid_request")
    };
    row(
        "Host that is not ours",
        [
            edge("another host changes neither rule nor origin")
                .header("Host", "elsewhere.example")
                .api_key("{key}")
                .raw()
                .arrives("x-forwarded-host", &["elsewhere.example"])
                .passes(),
            edge("another host opens nothing").header("Host", "localhost").raw().refused(401, MISSING),
            strange("a host with a path, which is not the path that was asked for", "edge.example/public", "/page"),
            strange("a host with a query, behind which the path would be part of it", "edge.example?x", "/public/page"),
            strange("a host with a fragment", "edge.example#", "/public/page"),
            strange("a host with a backslash, which some read as a slash", "edge.example\\admin", "/public/page"),
            strange("a host with user-info", "a@edge.example", "/public/page"),
            edge("a host with a path and a key")
                .header("Host", "edge.example/orders")
                .api_key("{key}")
                .target("/1")
                .only(&[Level::Raw])
                .refused(400, "invalid_request"),
            edge("two hosts")
                .header("Host", "a.example")
                .header("Host", "b.example")
                .target("/public/page")
                .only(&[Level::Raw])
                .refused(400, "invalid_request"),
            edge("no host").wire("GET /page HTTP/1.1\r\nConnection: close\r\n\r\n").unheard(400),
        ],
    )
}

fn headers() -> Vec<Row> {
    let denied = |name: &str| edge(name).method("POST").api_key("{key}");
    vec![
        row(
            "`X-HTTP-Method-Override`, `_method` (no effect on matching)",
            [
                denied("a method override does not make a POST a GET")
                    .header("X-HTTP-Method-Override", "GET")
                    .known_and_refused(403, "permission_denied"),
                denied("nor does it by another name")
                    .header("X-Method-Override", "GET")
                    .header("X-HTTP-Method", "GET")
                    .known_and_refused(403, "permission_denied"),
                denied("nor does _method in the query").target("/orders/1?_method=GET").known_and_refused(403, "permission_denied"),
                denied("nor does _method in the body")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("_method=GET")
                    .known_and_refused(403, "permission_denied"),
                edge("the origin sees no method override")
                    .api_key("{key}")
                    .header("X-HTTP-Method-Override", "DELETE")
                    .header("X-HTTP-Method", "DELETE")
                    .header("X-Method-Override", "DELETE")
                    .header("X_HTTP_Method_Override", "DELETE")
                    .absent("x-http-method-override")
                    .absent("x-http-method")
                    .absent("x-method-override")
                    .absent("x_http_method_override")
                    .raw()
                    .passes(),
            ],
        ),
        row(
            "`X-Original-URL`, `X-Rewrite-URL` at the gateway (no effect)",
            [
                edge("an original URL opens nothing")
                    .target("/orders/1")
                    .header("X-Original-URL", "/public/page")
                    .header("X-Rewrite-URL", "/public/page")
                    .refused(401, MISSING),
                edge("the origin sees no other URL")
                    .api_key("{key}")
                    .header("X-Original-URL", "/admin")
                    .header("X-Rewrite-URL", "/admin")
                    .header("x_original_url", "/admin")
                    .absent("x-original-url")
                    .absent("x-rewrite-url")
                    .absent("x_original_url")
                    .raw()
                    .passes(),
            ],
        ),
    ]
}

fn methods() -> Vec<Row> {
    let preflight = |name: &str, announced: &str| {
        edge(name).method("OPTIONS").header("Origin", "https://app.example").header("Access-Control-Request-Method", announced)
    };
    vec![
        row(
            "HEAD against a GET rule",
            [
                edge("HEAD follows GET").method("HEAD").api_key("{key}").passes(),
                edge("HEAD asks for what GET asks for").method("HEAD").api_key("{withdrawn}").known_and_refused(403, "permission_denied"),
                edge("HEAD needs a credential where GET does").method("HEAD").refused(401, MISSING),
                edge("introspection takes no HEAD")
                    .at(Door::Introspect)
                    .method("HEAD")
                    .only(&[Level::Runtime])
                    .refused(405, "method_not_allowed"),
            ],
        ),
        row(
            "OPTIONS preflight",
            [
                preflight("a preflight goes to the origin without a credential", "GET").raw().passes_unknown(),
                preflight("a preflight of an open route does too", "GET").target("/public/page").passes_unknown(),
                preflight("a preflight with a made-up key is refused like any request", "GET")
                    .api_key("{made-up}")
                    .refused(401, "unknown_key"),
                preflight("a preflight is held to the path's rules", "GET")
                    .target("/public/%2e%2e/admin")
                    .not_by_library()
                    .refused(400, AMBIGUOUS),
                preflight("a preflight that a proxy asks about is let in", "GET")
                    .at(Door::ForwardAuth("original"))
                    .header("X-Original-Method", "OPTIONS")
                    .header("X-Original-URI", "/orders/1")
                    .passes_unknown(),
            ],
        ),
        row(
            "OPTIONS without `Origin`",
            [
                edge("OPTIONS without an origin is no preflight")
                    .method("OPTIONS")
                    .header("Access-Control-Request-Method", "GET")
                    .raw()
                    .refused(401, MISSING),
                edge("OPTIONS with an origin that announces nothing is none either")
                    .method("OPTIONS")
                    .header("Origin", "https://app.example")
                    .refused(401, MISSING),
                edge("another method that looks like a preflight is none")
                    .method("POST")
                    .header("Origin", "https://app.example")
                    .header("Access-Control-Request-Method", "GET")
                    .refused(401, MISSING),
            ],
        ),
        row(
            "TRACE, CONNECT, unknown methods",
            [
                edge("TRACE without a credential").method("TRACE").refused(401, MISSING),
                edge("TRACE asks for what any method asks for")
                    .method("TRACE")
                    .api_key("{key}")
                    .known_and_refused(403, "permission_denied"),
                edge("TRACE, which would show the identity, is not forwarded")
                    .only(&[Level::Runtime, Level::Raw])
                    .method("TRACE")
                    .target("/elsewhere")
                    .api_key("{key}")
                    .known_and_refused(405, "method_not_allowed"),
                edge("CONNECT is no request for an edge")
                    .wire("CONNECT edge.example:443 HTTP/1.1\r\nHost: edge.example:443\r\nx-api-key: {key}\r\n\r\n")
                    .unheard(500),
                edge("an unknown method without a credential").only(&[Level::Pure]).method("BREW").refused(401, MISSING),
                edge("an unknown method asks for what any method asks for")
                    .only(&[Level::Pure])
                    .method("BREW")
                    .api_key("{key}")
                    .known_and_refused(403, "permission_denied"),
                edge("an unknown method, over the socket").method("BREW").api_key("{key}").only(&[Level::Raw]).unheard(501),
                edge("a method in small letters is another method")
                    .only(&[Level::Pure])
                    .method("get")
                    .api_key("{key}")
                    .known_and_refused(403, "permission_denied"),
                edge("a method in small letters, over the socket").method("get").api_key("{key}").only(&[Level::Raw]).unheard(501),
            ],
        ),
    ]
}
