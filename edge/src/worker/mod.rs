//! The Worker around the pure parts: what the JavaScript entry calls, and the one state of the isolate.
//!
//! The warm path crosses from JavaScript once, with integers: the entry writes method, path and credential
//! into the [`buffer`] and calls [`decide`] with their lengths. Everything else goes through [`respond`], which may await.

pub mod background;
mod io;
mod panic;
pub mod respond;

use std::{cell::RefCell, rc::Rc};

use js_sys::{Date, Reflect};
use keyward_shared::{
    ids::{CompanyId, KeyId},
    json::{self, Object},
    key::ParsedKey,
    messages,
    problem::Code,
    record,
    settings::SettingsError,
    shard::Shard,
    time::Millis,
};
use wasm_bindgen::prelude::*;

use crate::{
    credentials,
    gate::{self, Address, Facts, Outcome, Refused},
    settings::{ClientAddress, EdgeSettings, ForwardAuth},
    usage::Usage,
    verifier::{Attempt, Held, Lookup, Progress, Read, Verifier},
};

#[wasm_bindgen(module = "/src/worker/shape.mjs")]
extern "C" {
    fn declare(source: &str) -> Option<String>;
    #[wasm_bindgen(js_name = hasShape)]
    fn has_shape(text: &str) -> bool;
}

/// Bytes that the entry may write; longer requests take the slow path.
const BUFFER_LEN: usize = 16 * 1024;

/// What the isolate knows and counts.
struct State {
    /// Where the entry writes.
    buffer: Box<[u8]>,
    /// The key of the last decision that passed, for [`last_identity`].
    last: Option<Rc<Held>>,
    settings: EdgeSettings,
    verifier: Verifier,
    usage: Usage,
    /// Until when a background task is expected to report usage; another is begun only after that.
    report_expected_until: Millis,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Runs `work` on the isolate's state; `None` before [`configure`] succeeded.
fn with_state<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.with_borrow_mut(|state| state.as_mut().map(work))
}

fn now() -> Millis {
    Millis::from_js(Date::now())
}

/// Reads the settings. Gives what the entry needs as JSON, or `{"error": …}` naming a bad setting.
#[wasm_bindgen]
pub fn configure(env: &JsValue) -> String {
    let variable = |name: &str| Reflect::get(env, &name.into()).ok()?.as_string();
    let has_origin = Reflect::get(env, &"ORIGIN".into()).is_ok_and(|origin| origin.is_object());
    let declared = |settings: EdgeSettings| match declare(&settings.accept_imported) {
        None => Ok(settings),
        Some(problem) => Err(SettingsError { name: "ACCEPT_IMPORTED", problem }),
    };
    match EdgeSettings::read(&variable, has_origin).and_then(declared) {
        Ok(settings) => {
            let client_address = match settings.client_address {
                ClientAddress::Cloudflare => "cloudflare",
                ClientAddress::Peer => "peer",
                ClientAddress::Proxy => "proxy",
            };
            let forward_auth = match settings.forward_auth {
                Some(ForwardAuth::Original) => "original",
                Some(ForwardAuth::Forwarded) => "forwarded",
                None => "",
            };
            let config = Object::default()
                .raw("origin_url", &settings.origin_url.as_deref().map_or_else(|| "null".into(), json::string))
                .number("origin_timeout_ms", u64::from(settings.origin_timeout_s) * 1000)
                .text("loop_name", &settings.loop_name())
                .text("client_address", client_address)
                .text("forward_auth", forward_auth)
                .text("push", if settings.push { messages::PUSH } else { "" })
                .number("record_limit_ms", settings.read_budget.0.div_ceil(2))
                .number("record_cache_s", io::RECORD_CACHE_S.into())
                .number("poll_ms", settings.common.timing.poll.0)
                .number("feed_groups", settings.common.feed_groups.into())
                .end();
            let accepts: Option<fn(&str) -> bool> = if settings.accept_imported.is_empty() { None } else { Some(has_shape) };
            let verifier = Verifier::new(settings.common.clone()).accepting(accepts);
            let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
            STATE.set(Some(State { buffer, last: None, settings, verifier, usage: Usage::default(), report_expected_until: Millis(0) }));
            config
        }
        Err(error) => Object::default().text("error", &error.to_string()).end(),
    }
}

/// The instance's memory, for the entry's view of [`buffer`]. (`memory` itself is the name of the raw export.)
#[wasm_bindgen]
pub fn linear_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// Where the entry may write [`buffer_len`] bytes, once [`configure`] succeeded.
#[wasm_bindgen]
pub fn buffer() -> usize {
    with_state(|state| state.buffer.as_ptr() as usize).unwrap_or_default()
}

/// How many bytes the entry may write.
#[wasm_bindgen]
pub fn buffer_len() -> usize {
    BUFFER_LEN
}

/// The answers of [`decide`], in its lowest three bits. Bit 3: background work is due. From bit 4 on: the
/// number of the identity.
mod code {
    pub(super) const SLOW: u32 = 0;
    pub(super) const PASS: u32 = 1;
    pub(super) const NEED_ADDRESS: u32 = 2;
    pub(super) const ANONYMOUS: u32 = 3;
    pub(super) const BEARER: u32 = 4;
    /// Refused, and no read was needed: malformed or made up.
    pub(super) const FAILS: u32 = 5;
    /// No key of ours; only reads can tell whether it is an imported one.
    pub(super) const LOOKS_UP: u32 = 6;
    /// A key that is not known here: the name of its record in the store stands in the buffer, its length where the identity would be.
    pub(super) const READS: u32 = 7;
    pub(super) const BACKGROUND: u32 = 8;
    pub(super) const IDENTITY_SHIFT: u32 = 4;
}

/// Decides at once about the request in the buffer, where four texts of these lengths in bytes stand one after the other: method, path,
/// x-api-key and authorization. Behind them, up to `end`, the client's address, where `asked_address`; then `record` bytes, what the store has
/// under the name that the same request was answered with ([`code::READS`]). Refusals and whatever else needs a read are `SLOW`; those of a
/// credential that nobody gave out have numbers of their own, so that there can be a limit to them.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "numbers cross as they are, an object member by member")]
pub fn decide(
    method: usize,
    path: usize,
    x_api_key: usize,
    authorization: usize,
    end: usize,
    record: usize,
    asked_address: bool,
    now: f64,
) -> u32 {
    let now = Millis::from_js(now);
    let decide = |state: &mut State| {
        let lengths = Lengths { method, path, x_api_key, authorization, end };
        let Some(facts) = lengths.of(&state.buffer, asked_address) else { return code::SLOW };
        let mut attempt = Attempt::default();
        let mut outcome = gate::evaluate(&mut state.verifier, &facts, now, &mut attempt);
        if let (Progress::Need(read @ Read::Record(..)), 1..) = (&outcome, record) {
            let found = state.buffer.get(end..end + record).and_then(|bytes| core::str::from_utf8(bytes).ok());
            let Some(found) = found else { return code::SLOW };
            state.verifier.provide(*read, Lookup::Found(found.to_owned()), now, &mut attempt);
            outcome = gate::evaluate(&mut state.verifier, &facts, now, &mut attempt);
        }
        state.code_of(outcome, now)
    };
    with_state(decide).unwrap_or(code::SLOW)
}

/// Where in the buffer which text ends.
struct Lengths {
    method: usize,
    path: usize,
    x_api_key: usize,
    authorization: usize,
    end: usize,
}

impl Lengths {
    /// The facts in `buffer`; `None` where they do not lie in it like that.
    fn of<'b>(&self, buffer: &'b [u8], asked_address: bool) -> Option<Facts<'b>> {
        let text = core::str::from_utf8(buffer.get(..self.end)?).ok()?;
        let (method, rest) = text.split_at_checked(self.method)?;
        let (path, rest) = rest.split_at_checked(self.path)?;
        let (x_api_key, rest) = rest.split_at_checked(self.x_api_key)?;
        let (authorization, address) = rest.split_at_checked(self.authorization)?;
        let mut facts = gate::facts(method, path, Some(x_api_key), Some(authorization));
        if asked_address {
            facts.address = Address::Asked(address.parse().ok());
        }
        Some(facts)
    }
}

/// The identity of the last decision that passed, as `js/identity.mjs` reads it. One per line: owner, company, key id, the tier
/// that limits its requests, expiry in milliseconds or 0, permissions with spaces between, metadata. Call it right after [`decide`].
#[wasm_bindgen]
pub fn last_identity() -> String {
    with_state(|state| state.last.as_deref().map(|held| state.identity_lines(held))).flatten().unwrap_or_default()
}

impl State {
    /// What the entry is told of an outcome.
    fn code_of(&mut self, outcome: Progress<Outcome>, now: Millis) -> u32 {
        let answer = match outcome {
            Progress::Done(Outcome::Pass(held)) => {
                self.count(&held, now, true);
                let identity = held.identity;
                self.last = Some(held);
                code::PASS | (identity << code::IDENTITY_SHIFT)
            }
            Progress::Done(Outcome::PassAnonymous) => code::ANONYMOUS,
            Progress::Done(Outcome::PassBearer) => code::BEARER,
            Progress::Done(Outcome::NeedAddress) => return code::NEED_ADDRESS,
            Progress::Done(Outcome::Refuse(Refused { code: Code::MalformedKey | Code::UnknownKey, .. })) => return code::FAILS,
            Progress::Need(Read::ImportedRecord(digest) | Read::ImportedShard(digest)) if !self.verifier.holds_imported(&digest) => {
                return code::LOOKS_UP;
            }
            Progress::Need(Read::Record(shard, digest)) => {
                let name = record::name(shard, &digest);
                let Some(room) = self.buffer.get_mut(..name.len()) else { return code::SLOW };
                room.copy_from_slice(name.as_bytes());
                return code::READS | (u32::try_from(name.len()).unwrap_or(0) << code::IDENTITY_SHIFT);
            }
            Progress::Done(Outcome::Refuse(_)) | Progress::Need(_) => return code::SLOW,
        };
        if background::is_due(self, now) { answer | code::BACKGROUND } else { answer }
    }

    fn identity_lines(&self, held: &Held) -> String {
        let record = &held.record;
        let (tier, expires_at) = (self.settings.tier_of(record), record.expires_at.unwrap_or_default().0);
        let (permissions, metadata) = (record.permissions.to_scope(), record.metadata.as_str());
        format!("{}\n{}\n{}\n{tier}\n{expires_at}\n{permissions}\n{metadata}", record.owner, record.company, record.key_id)
    }

    /// Counts a use of a key. That of a key with a tier counts once it is known whether that is used up: [`count_use`].
    fn count(&mut self, held: &Held, now: Millis, allowed: bool) {
        if !allowed || self.settings.tier_of(&held.record).is_empty() {
            self.usage.count(&held.record, now, allowed);
        }
    }
}

/// Counts a use of a key that has a tier. Whether background work is due.
#[wasm_bindgen]
pub fn count_use(company: &str, key_id: &str, allowed: bool) -> bool {
    let (Ok(company), Ok(key_id)) = (CompanyId::new(company), KeyId::new(key_id)) else { return false };
    let counted = |state: &mut State| {
        state.usage.count_key(Shard::of(&company), &company, &key_id, now(), allowed);
        background::is_due(state, now())
    };
    with_state(counted).unwrap_or(false)
}

/// Place and path of the rule for a route, with a space between; empty where no rule matches.
#[wasm_bindgen]
pub fn matched_rule(method: &str, path: &str) -> String {
    let matched = with_state(|state| state.verifier.matched_rule(method, path)).flatten();
    matched.map(|(at, path)| format!("{at} {path}")).unwrap_or_default()
}

/// Whether a request's two headers (empty: not sent) carry one whole key, by its form and checksum; whose it is, is not said.
#[wasm_bindgen]
pub fn has_key(x_api_key: &str, authorization: &str) -> bool {
    match credentials::extract(Some(x_api_key), Some(authorization)) {
        credentials::Sent::One(text, _) => ParsedKey::parse(text.as_bytes()).is_ok(),
        credentials::Sent::Nothing | credentials::Sent::Ambiguous => false,
    }
}

/// Whether `secret` is one that a proxy may introduce itself with.
#[wasm_bindgen]
pub fn is_proxy(secret: &str) -> bool {
    with_state(|state| state.settings.proxy_secrets.contains(secret)).unwrap_or(false)
}
