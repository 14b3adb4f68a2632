//! Requests that come back: an edge whose origin leads to itself, to another edge of the same deployment, or in a circle through other deployments
//! says so at once, and nothing goes round and round.

use keyward_e2e::{World, eventually, http, origin::Origin, world::BOUND};
use keyward_selfhost::listen::free_port;
use serde_json::json;

/// Lets everybody in everywhere.
async fn open(world: &World) {
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/**", "anonymous": true}]})).await;
}

#[tokio::test]
async fn an_edge_that_is_its_own_origin_says_so() {
    let port = free_port().unwrap();
    let world = World::with(|options| {
        options.edge_port = Some(port);
        options.origin = Some(format!("http://127.0.0.1:{port}"));
        options.edges = 2;
    })
    .await;
    // The second edge leads to the first one, and that to itself; without its credential the request would be a stranger's there.
    for edge in world.system.edge_urls() {
        for path in ["/", "/orders?x=1"] {
            let request = world.http.get(format!("{edge}{path}")).header("x-api-key", &world.operator);
            assert_eq!(http::send(request).await.verdict(), (508, "loop_detected".into()));
        }
    }
    open(&world).await;
    eventually(2 * BOUND, async || {
        let request = world.http.post(format!("{}/anybody", world.system.edge_url())).body("a body");
        let verdict = http::send(request).await.verdict();
        if verdict == (508, "loop_detected".into()) { Ok(()) } else { Err(verdict) }
    })
    .await;
    world.get("/.keyward/health").await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn a_circle_of_deployments_ends_where_it_began_and_a_chain_is_no_circle() {
    let mut origin = Origin::start().await;
    let (first_port, second_port) = (free_port().unwrap(), free_port().unwrap());
    let at = |port: u16| format!("http://127.0.0.1:{port}");
    let deployment = async |port: u16, origin: String| {
        let world = World::with(|options| (options.edge_port, options.origin) = (Some(port), Some(origin))).await;
        open(&world).await;
        world
    };
    let second = deployment(second_port, at(first_port)).await;
    let first = deployment(first_port, at(second_port)).await;
    assert_eq!(first.get("/").await.verdict(), (508, "loop_detected".into()));
    assert_eq!(second.get("/").await.verdict(), (508, "loop_detected".into()));
    first.system.stop().await;

    let first = deployment(first_port, origin.url().to_owned()).await;
    let asked = tokio::spawn(http::send(second.http.get(second.system.edge_url()).header("cdn-loop", "another; v=1")));
    let request = origin.next().await;
    let passed: Vec<_> = request.header("cdn-loop")[0].split(", ").collect();
    assert!(matches!(passed[..], ["another; v=1", a, b] if a != b && a.starts_with("keyward-") && b.starts_with("keyward-")), "{passed:?}");
    request.answer("200 OK", "", "there").await;
    asked.await.unwrap().expect(200);
    first.system.stop().await;
    second.system.stop().await;
}

#[tokio::test]
async fn what_a_client_writes_into_the_header_can_only_have_its_own_request_refused() {
    let world = World::start().await;
    let call = async |lines: &[(&str, &str)]| {
        let request = world.http.get(world.system.edge_url()).header("x-api-key", &world.operator);
        http::send(lines.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    call(&[]).await.expect(200);
    let own = world.system.origin().unwrap().last().unwrap().header("cdn-loop")[0].clone();
    for (written, forwarded) in [
        ("", own.clone()),
        ("keyward", format!("keyward, {own}")),
        (",;\"", format!(",;\", {own}")),
        (&format!("not-{own}, {own}x"), format!("not-{own}, {own}x, {own}")),
    ] {
        call(&[("cdn-loop", written), ("connection", "cdn-loop")]).await.expect(200);
        assert_eq!(world.system.origin().unwrap().last().unwrap().header("cdn-loop"), [forwarded], "{written}");
    }
    for written in [own.clone(), format!("a; b=c,{own}"), format!("{own} ; loops=1, d")] {
        let answer = call(&[("cdn-loop", &written)]).await;
        assert_eq!(answer.verdict(), (508, "loop_detected".into()), "{answer:?}");
        assert!(!answer.text.contains(&world.operator));
    }
    call(&[("cdn-loop", "a"), ("cdn-loop", &own)]).await.expect(508);
    world.system.stop().await;
}
