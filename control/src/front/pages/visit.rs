//! One visit of a page: who looks at it, what they sent, and the calls of the API that the page makes in their name.

use keyward_shared::ids::CompanyId;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{Answer, Context, Headers, Outside, Request, api},
    ended,
    form::Form,
};
use crate::{
    page::{self, Problems, Reader},
    route,
};

/// Who looks at a page, and the way to the API.
pub(super) struct Visit<'a, O> {
    request: &'a Request,
    context: &'a Context<'a, O>,
    /// Whose page it is.
    pub(super) reader: Reader,
}

/// What the API answered to a call: not an outage, and not that nobody is signed in any more.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Its status.
    pub(super) status: u16,
    /// Its body; `null` where there is none.
    pub(super) body: Value,
    /// Its `ETag`; empty where there is none.
    pub(super) etag: String,
}

impl Told {
    /// What was asked for, where it was granted; else the page that says why not.
    pub(super) fn granted<T: for<'de> Deserialize<'de>>(self) -> Result<T, Answer> {
        match self.status {
            200..=299 => serde_json::from_value(self.body).map_err(|_| no_answer()),
            403 => Err(Answer::html(403, page::not_allowed(None))), // `pages::answer` puts it into its frame
            404 => Err(Answer::html(404, page::not_found())),
            _ => Err(no_answer()),
        }
    }

    /// What is wrong, where something is.
    pub(super) fn problems(&self) -> Problems {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fields: Vec<_> = errors.iter().filter_map(|error| Some((text(&error["field"])?, text(&error["detail"])?))).collect();
        let detail = text(&self.body["detail"]).or_else(|| text(&self.body["title"])).unwrap_or_else(|| "This was refused.".into());
        Problems { general: if fields.is_empty() { vec![detail] } else { Vec::new() }, fields }
    }
}

impl<'a, O: Outside> Visit<'a, O> {
    /// Finds out who is there; the page to show where nobody is, or where that cannot be found out.
    pub(super) async fn begin(request: &'a Request, context: &'a Context<'a, O>) -> Result<Self, Answer> {
        let headers = &request.headers;
        if headers.cookie.is_none() && headers.access_assertion.is_none() {
            return Err(ended::answer(request, context));
        }
        let mut visit = Self { request, context, reader: Reader::default() };
        visit.reader = visit.get("/v1/whoami", &[]).await?.granted()?;
        visit.reader.elsewhere = visit.elsewhere()?;
        Ok(visit)
    }

    /// The company in the address, where it is not the reader's own. One that is unclear is nowhere: to take it for the reader's own
    /// would show, and change, what is not meant.
    fn elsewhere(&self) -> Result<Option<String>, Answer> {
        let missing = || Answer::html(404, page::not_found());
        let Some(company) = self.request.parameter("company").map_err(|_| missing())? else { return Ok(None) };
        if CompanyId::new(&company).is_err() {
            return Err(missing());
        }
        Ok(Some(company).filter(|company| *company != self.reader.company))
    }

    /// The company that is looked at, where the page's address names another one than the reader's: calls go there.
    pub(super) fn company(&self) -> Option<&str> {
        self.reader.elsewhere.as_deref()
    }

    /// The present.
    pub(super) fn now(&self) -> keyward_shared::time::Millis {
        self.context.now
    }

    /// The deployment's settings.
    pub(super) fn settings(&self) -> &crate::settings::ControlSettings {
        self.context.settings
    }

    /// Whether Cloudflare Access stands in front and has let the reader in.
    pub(super) fn is_behind_access(&self) -> bool {
        self.context.settings.access.is_some() && self.request.headers.access_assertion.is_some()
    }

    /// Whether something is to be changed.
    pub(super) fn is_post(&self) -> bool {
        !self.request.is_safe()
    }

    /// The form that was sent.
    pub(super) fn form(&self) -> Result<Form, Answer> {
        Form::read(self.request)
    }

    /// A parameter of the page's address; `None` where it is not there, empty, or there twice.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.request.parameter(name).ok().flatten().filter(|value| !value.is_empty())
    }

    /// The id that a page is about: the path's last segment, or, for an id that has no place there, that of the query.
    pub(super) fn id(&self, segment: &str) -> String {
        let inside = if segment == "-" { self.parameter("id") } else { None };
        inside.unwrap_or_else(|| segment.to_owned())
    }

    /// How many days a key of the company that is looked at may live, where that is limited. Where it cannot be found out, the API
    /// still sees to it.
    pub(super) async fn longest_life(&self) -> Option<u64> {
        let Some(company) = self.company() else { return self.reader.max_key_lifetime_days };
        let told = self.get(&format!("/v1/companies/{}", page::encoded(company)), &[]).await.ok()?;
        told.body["max_key_lifetime_days"].as_u64()
    }

    /// A text that no other form has, as its idempotency key: sent twice, it has one effect.
    pub(super) fn form_id(&self) -> &str {
        &self.request.id
    }

    /// `GET` of the API. `query`: names and values, not yet encoded.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Told, Answer> {
        self.call("GET", path, query, None, None).await
    }

    /// [`Visit::call_if`] without a condition.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Told, Answer> {
        self.call_if(None, method, path, query, body, idempotency_key).await
    }

    /// A call of the API in the reader's name, in the company that is looked at. Its answer says whether it was granted; an outage,
    /// or that the session has ended, becomes a page. `version`: the `ETag` of what is to be replaced.
    pub(super) async fn call_if(
        &self,
        version: Option<&str>,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Told, Answer> {
        let found = route::find(method, path).map_err(|_| Answer::html(404, page::not_found()))?;
        let mut request = self.request.clone();
        request.method = method.into();
        request.target.path = path.into();
        let elsewhere = self.company().filter(|_| found.endpoint.home() == route::Home::Shard && !found.endpoint.names_company());
        let elsewhere = elsewhere.filter(|_| query.iter().all(|(name, _)| *name != "company")).map(|company| ("company", company));
        request.target.query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).extend_pairs(elsewhere).finish();
        request.body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let sent = &self.request.headers;
        request.headers = Headers {
            cookie: sent.cookie.clone(),
            access_assertion: sent.access_assertion.clone(),
            origin: sent.origin.clone(),
            sec_fetch_site: sent.sec_fetch_site.clone(),
            content_type: body.map(|_| "application/json".into()),
            idempotency_key: idempotency_key.map(Into::into),
            if_match: version.map(Into::into),
            ..Headers::default()
        };
        let answer = api::answer(&request, &found, self.context).await;
        let etag = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("etag")).map(|(_, tag)| tag.clone());
        let etag = etag.unwrap_or_default();
        match answer.status {
            401 => Err(ended::answer(self.request, self.context).without_session()),
            500.. => Err(no_answer()),
            status if answer.body.is_empty() => Ok(Told { status, body: Value::Null, etag }),
            status => serde_json::from_slice(&answer.body).map(|body| Told { status, body, etag }).map_err(|_| no_answer()),
        }
    }
}

/// The page for an outage: nothing was found out, and no session ends.
pub(in super::super) fn no_answer() -> Answer {
    Answer::html(503, page::unavailable()).with("Retry-After", "1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_said_by_field_or_for_the_whole() {
        let told = |body: Value| Told { status: 422, body, etag: String::new() }.problems();
        let fields = told(json!({"detail": "see errors", "errors": [{"field": "name", "detail": "is required"}]}));
        assert_eq!(fields, Problems { general: vec![], fields: vec![("name".into(), "is required".into())] });
        assert_eq!(told(json!({"title": "Conflict", "detail": "it is revoked"})).general, ["it is revoked"]);
        assert_eq!(told(json!({"title": "Conflict"})).general, ["Conflict"]);
        assert_eq!(told(Value::Null).general, ["This was refused."]);
    }

    #[test]
    fn what_is_not_granted_is_a_page_of_that_status() {
        let granted = |status| Told { status, body: json!(1), etag: String::new() }.granted::<u8>();
        assert_eq!(granted(201).unwrap(), 1);
        for (status, page) in [(403, 403), (404, 404), (409, 503), (422, 503)] {
            assert_eq!(granted(status).unwrap_err().status, page);
        }
        assert_eq!(
            Told { status: 200, body: json!("x"), etag: String::new() }.granted::<u8>().unwrap_err().status,
            503,
            "an answer that is not understood"
        );
    }
}
