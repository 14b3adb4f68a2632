//! The layer: requests with a good token go on with their [`Identity`] among the extensions; all others are answered 401, or 503 while nobody
//! can tell. The answer has no body; why it was given is a [`VerifyError`] among its extensions, for a log around this layer.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{KeySource, Verifier, VerifyError};

/// The header with the token.
pub const HEADER: HeaderName = HeaderName::from_static("x-keyward-identity");

/// Lets nothing in without an identity.
#[derive(Debug)]
pub struct IdentityLayer<S> {
    verifier: Arc<Verifier<S>>,
}

impl<S> IdentityLayer<S> {
    /// A layer that asks `verifier`; to share one between layers, give an `Arc`.
    pub fn new(verifier: impl Into<Arc<Verifier<S>>>) -> Self {
        Self { verifier: verifier.into() }
    }
}

impl<S> Clone for IdentityLayer<S> {
    fn clone(&self) -> Self {
        Self { verifier: Arc::clone(&self.verifier) }
    }
}

impl<S, I> Layer<I> for IdentityLayer<S> {
    type Service = IdentityService<S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        IdentityService { verifier: Arc::clone(&self.verifier), inner }
    }
}

/// The service that [`IdentityLayer`] puts around another.
#[derive(Debug)]
pub struct IdentityService<S, I> {
    verifier: Arc<Verifier<S>>,
    inner: I,
}

impl<S, I: Clone> Clone for IdentityService<S, I> {
    fn clone(&self) -> Self {
        Self { verifier: Arc::clone(&self.verifier), inner: self.inner.clone() }
    }
}

impl<S, I, B, R> Service<Request<B>> for IdentityService<S, I>
where
    S: KeySource,
    I: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let verifier = Arc::clone(&self.verifier);
        // The one that is ready is used, and a new one stays.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            // The headers of a request may be shared between threads, its body need not be.
            let token = the_token(request.headers()).map(ToOwned::to_owned);
            let identity = match token {
                Ok(token) => verifier.verify(&token).await,
                Err(error) => Err(error),
            };
            match identity {
                Ok(identity) => {
                    request.extensions_mut().insert(identity);
                    inner.call(request).await
                }
                Err(error) => Ok(refused(error)),
            }
        })
    }
}

/// The one token of a request.
fn the_token(headers: &HeaderMap) -> Result<&str, VerifyError> {
    let mut values = headers.get_all(HEADER).iter();
    let token = values.next().ok_or(VerifyError::Missing)?;
    if values.next().is_some() {
        return Err(VerifyError::Repeated);
    }
    token.to_str().map_err(|_| VerifyError::Malformed)
}

fn refused<R: Default>(error: VerifyError) -> Response<R> {
    let mut response = Response::new(R::default());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if error.is_unavailable() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    } else {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keyward-origin\", error=\"invalid_token\""));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response.extensions_mut().insert(error);
    response
}
