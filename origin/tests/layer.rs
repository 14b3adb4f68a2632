//! The layer around a service: who gets in, and what the others are answered.

use crate::signer::{Source, settings, token, wall};
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    routing::get,
};
use http::{HeaderValue, Request, Response};
use keyward_origin::{HEADER, Identity, IdentityLayer, Verifier, VerifyError};
use tower::ServiceExt as _;

fn app(source: Source) -> Router {
    let greet = async |Extension(identity): Extension<Identity>| identity.owner().to_owned();
    Router::new().route("/", get(greet)).layer(IdentityLayer::new(Verifier::new(settings(), source)))
}

async fn ask(app: &Router, tokens: &[&[u8]]) -> Response<Body> {
    let mut request = Request::builder().uri("/");
    for token in tokens {
        request = request.header(HEADER, HeaderValue::from_bytes(token).unwrap());
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_request_with_a_good_token_arrives_with_its_identity() {
    let app = app(Source::of(&["a"]));
    for _ in 0..2 {
        let answer = ask(&app, &[token("a", wall()).as_bytes()]).await;
        assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (200, "ann"));
    }
}

#[tokio::test]
async fn any_other_request_is_answered_401_and_does_not_arrive() {
    let app = app(Source::of(&["a"]));
    let good = token("a", wall());
    for (tokens, error) in [
        (vec![], VerifyError::Missing),
        (vec![good.as_bytes(), good.as_bytes()], VerifyError::Repeated),
        (vec![good.as_bytes(), b"x".as_slice()], VerifyError::Repeated),
        (vec![b"".as_slice()], VerifyError::Malformed),
        (vec![b"\xff\xfe".as_slice()], VerifyError::Malformed),
        (vec![token("b", wall()).as_bytes()], VerifyError::UnknownKey),
    ] {
        let answer = ask(&app, &tokens).await;
        assert_eq!(answer.status(), 401, "{error:?}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.extensions().get(), Some(&error));
        assert_eq!(text(answer).await, "");
    }
}

#[tokio::test]
async fn while_the_keys_cannot_be_had_the_answer_is_503() {
    let source = Source::of(&["a"]);
    source.fails();
    let app = app(source);
    let answer = ask(&app, &[token("a", wall()).as_bytes()]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &HeaderValue::from_static("5")));
    assert!(answer.headers().get("www-authenticate").is_none());
    assert_eq!(ask(&app, &[b"forged"]).await.status(), 401, "for that no key is needed");
}
