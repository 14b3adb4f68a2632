//! The protocol that a `kvNamespace` binding of workerd speaks. Names are percent-encoded in the path; limits and refusals are the platform's.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderMap, Method, Request, Response, StatusCode, header::HeaderValue},
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Entry, Operation,
    store::{StoreError, now_s},
    views::View,
};

const METADATA: &str = "cf-kv-metadata";
const EXPIRATION: &str = "cf-expiration";
const MAX_NAME: usize = 512;
const MAX_VALUE: usize = 25 * 1024 * 1024;
const MAX_METADATA: usize = 1024;
const MAX_LIST: usize = 1000;
const MAX_BULK: usize = 100;
const MIN_TTL_S: i64 = 60;

/// What a request asks for.
#[derive(Debug)]
enum Asked {
    Get(String),
    BulkGet(Bulk),
    Put(String, Entry),
    Delete(String),
    List { prefix: String, after: Option<String>, limit: usize },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bulk {
    keys: Vec<String>,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    with_metadata: bool,
}

/// Why a request is refused: status and reason.
type Refusal = (StatusCode, String);

/// Answers one request of a binding.
pub(super) async fn answer(State(view): State<Arc<View>>, request: Request<Body>) -> Response<Body> {
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err((status, reason)) => return plain(status, reason),
    };
    let (operation, names) = describe(&asked);
    let (delay, failure) = view.faults.meet(operation, &names);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if let Some(status) = failure {
        return plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "a fault was injected");
    }
    let done = tokio::task::spawn_blocking(move || perform(&view, asked)).await;
    match done {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn read(request: Request<Body>) -> Result<Asked, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/');
    let query: BTreeMap<String, String> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    match (parts.method, path) {
        (Method::GET, "") => list(&query),
        (Method::POST, "bulk/get") => bulk(&contents(body).await?),
        (Method::GET, _) => Ok(Asked::Get(name(path)?)),
        (Method::PUT, _) => {
            let (expiration, metadata) = (expiration(&query)?, metadata(&parts.headers)?);
            Ok(Asked::Put(name(path)?, Entry { value: contents(body).await?.into(), metadata, expiration }))
        }
        (Method::DELETE, _) => Ok(Asked::Delete(name(path)?)),
        _ => Err((StatusCode::METHOD_NOT_ALLOWED, "unknown operation".into())),
    }
}

fn describe(asked: &Asked) -> (Operation, Vec<&str>) {
    match asked {
        Asked::Get(name) => (Operation::Get, vec![name]),
        Asked::BulkGet(bulk) => (Operation::BulkGet, bulk.keys.iter().map(String::as_str).collect()),
        Asked::Put(name, _) => (Operation::Put, vec![name]),
        Asked::Delete(name) => (Operation::Delete, vec![name]),
        Asked::List { prefix, .. } => (Operation::List, vec![prefix]),
    }
}

fn perform(view: &View, asked: Asked) -> Result<Response<Body>, StoreError> {
    Ok(match asked {
        Asked::Get(name) => view.read(Operation::Get, &name)?.map_or_else(|| plain(StatusCode::NOT_FOUND, "Not Found"), value),
        Asked::Put(name, entry) => {
            view.hub.put_all(&[(name.as_str(), &entry)])?;
            plain(StatusCode::OK, "")
        }
        Asked::Delete(name) => {
            view.hub.delete(&name)?;
            plain(StatusCode::OK, "")
        }
        Asked::List { prefix, after, limit } => {
            let mut entries = view.list(&prefix, after.as_deref(), limit + 1)?;
            let complete = entries.len() <= limit;
            entries.truncate(limit);
            let cursor = entries.last().filter(|_| !complete).map(|(name, _)| hex::encode(name));
            let keys: Vec<Value> = entries.into_iter().map(|(name, entry)| listed(&name, entry)).collect();
            json_answer(&match cursor {
                None => json!({"keys": keys, "list_complete": true, "cacheStatus": null}),
                Some(cursor) => json!({"keys": keys, "list_complete": false, "cursor": cursor, "cacheStatus": null}),
            })
        }
        Asked::BulkGet(bulk) => {
            let mut values = serde_json::Map::new();
            for name in bulk.keys {
                let found = view.read(Operation::BulkGet, &name)?;
                let Ok(value) = bulk_value(found, bulk.r#type.as_deref(), bulk.with_metadata) else {
                    return Ok(plain(StatusCode::BAD_REQUEST, "At least one of the requested keys corresponds to a non-json value"));
                };
                values.insert(name, value);
            }
            json_answer(&Value::Object(values))
        }
    })
}

fn value(entry: Entry) -> Response<Body> {
    let mut response = Response::new(Body::from(entry.value));
    if let Some(metadata) = entry.metadata.and_then(|metadata| HeaderValue::from_str(&metadata).ok()) {
        response.headers_mut().insert(METADATA, metadata);
    }
    if let Some(at) = entry.expiration {
        response.headers_mut().insert(EXPIRATION, HeaderValue::from(at));
    }
    response
}

/// The runtime expects the metadata of a list as a text that holds JSON.
fn listed(name: &str, entry: Entry) -> Value {
    let mut fields = json!({"name": name});
    if let Some(at) = entry.expiration {
        fields["expiration"] = json!(at);
    }
    if let Some(metadata) = entry.metadata {
        fields["metadata"] = json!(metadata);
    }
    fields
}

fn bulk_value(found: Option<Entry>, kind: Option<&str>, with_metadata: bool) -> Result<Value, serde_json::Error> {
    let Some(entry) = found else { return Ok(Value::Null) };
    let text = String::from_utf8_lossy(&entry.value);
    let value = if kind == Some("json") { serde_json::from_str(&text)? } else { Value::String(text.into_owned()) };
    if !with_metadata {
        return Ok(value);
    }
    let metadata = entry.metadata.and_then(|metadata| serde_json::from_str(&metadata).ok()).unwrap_or(Value::Null);
    Ok(json!({"value": value, "metadata": metadata}))
}

fn name(path: &str) -> Result<String, Refusal> {
    let name = percent_decode_str(path).decode_utf8().map_err(|_| (StatusCode::BAD_REQUEST, "the name is not UTF-8".to_owned()))?;
    match name.as_ref() {
        "" | "." | ".." => Err((StatusCode::BAD_REQUEST, "Illegal key name".into())),
        long if long.len() > MAX_NAME => Err((StatusCode::URI_TOO_LONG, format!("a name has at most {MAX_NAME} bytes"))),
        _ => Ok(name.into_owned()),
    }
}

async fn contents(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, MAX_VALUE).await.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))
}

fn expiration(query: &BTreeMap<String, String>) -> Result<Option<u64>, Refusal> {
    let refusal = |reason: &str| (StatusCode::BAD_REQUEST, reason.to_owned());
    let number = |name: &str| query.get(name).map(|text| text.parse::<i64>().map_err(|_| refusal("an expiration is a whole number")));
    let at = match (number("expiration_ttl").transpose()?, number("expiration").transpose()?) {
        (Some(ttl), _) => now_s().saturating_add(ttl),
        (None, Some(at)) => at,
        (None, None) => return Ok(None),
    };
    if at < now_s() + MIN_TTL_S {
        return Err(refusal("an expiration is at least 60 seconds away"));
    }
    Ok(u64::try_from(at).ok())
}

fn metadata(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(header) = headers.get(METADATA) else { return Ok(None) };
    if header.len() > MAX_METADATA {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("metadata has at most {MAX_METADATA} bytes")));
    }
    let text = String::from_utf8_lossy(header.as_bytes()).into_owned();
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err((StatusCode::BAD_REQUEST, "metadata is not JSON".into())),
    }
}

fn list(query: &BTreeMap<String, String>) -> Result<Asked, Refusal> {
    let refusal = |reason: &str| (StatusCode::BAD_REQUEST, reason.to_owned());
    let limit = match query.get("key_count_limit").map(|text| text.parse()) {
        None => MAX_LIST,
        Some(Ok(limit @ 1..=MAX_LIST)) => limit,
        Some(_) => return Err(refusal("key_count_limit is a number from 1 to 1000")),
    };
    let after = match query.get("cursor").filter(|cursor| !cursor.is_empty()) {
        None => None,
        Some(cursor) => {
            let name = hex::decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(name.ok_or_else(|| refusal("the cursor is not one of ours"))?)
        }
    };
    Ok(Asked::List { prefix: query.get("prefix").cloned().unwrap_or_default(), after, limit })
}

fn bulk(body: &[u8]) -> Result<Asked, Refusal> {
    let bulk: Bulk = serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    if bulk.keys.is_empty() || bulk.keys.len() > MAX_BULK {
        return Err((StatusCode::BAD_REQUEST, format!("a bulk read asks for 1 to {MAX_BULK} keys")));
    }
    Ok(Asked::BulkGet(bulk))
}

fn json_answer(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}
