//! Answers that come from an object in parts and go out as one: the first part decides the status; each further one is
//! asked for when the client has taken the one before, so that nothing is held in memory. Where a part cannot be had the
//! answer is broken off, which every client notices: the last line is missing, and the transfer does not end as it should.
//!
//! An answer that is one document, but takes more than one turn, is put together before it goes out ([`whole`]).

use keyward_shared::problem::Code;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Answer, Context, Object, Outside, Request,
    addressed::{Addressed, Home},
    unavailable,
};
use crate::call::{AskPortion, Credential, PORTION, Portion};

/// The media type of lines of JSON.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";
/// How often a part is asked for: reading changes nothing, and objects move.
const TRIES: usize = 3;

/// What is still to come of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct More {
    object: Object,
    ask: AskPortion,
    home: Option<Home>,
    lines: Lines,
}

/// The answer cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is broken off: an object does not give the next part")]
pub struct BrokenOff;

/// The hash of all lines that went out.
#[derive(Clone, Default)]
struct Lines(Sha256);

impl Lines {
    /// Notes the lines of a part, and adds the last line where it is to be sealed.
    fn pass(&mut self, portion: &Portion) -> String {
        self.0.update(portion.answer.body.as_bytes());
        let mut text = portion.answer.body.clone();
        if let Some(members) = &portion.seal {
            let mut last = members.clone();
            last.insert("sha256".into(), self.hex().into());
            text.push_str(&Value::Object(last).to_string());
            text.push('\n');
        }
        text
    }

    fn hex(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }
}

impl core::fmt::Debug for Lines {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Lines({})", self.hex())
    }
}

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.hex() == other.hex()
    }
}

impl Eq for Lines {}

/// Begins the answer to a call that `object` answers in parts; it is called `name` where it is saved.
pub(super) async fn begin<O: Outside>(
    request: &Request,
    Addressed { object, call, home }: Addressed,
    name: &str,
    context: &Context<'_, O>,
) -> Result<Answer, Answer> {
    let ask = AskPortion { call, after: None };
    let portion = get(object, &ask, context.outside).await.ok_or_else(|| unavailable(request))?;
    if portion.answer.status != 200 {
        return Ok(Answer::api(portion.answer));
    }
    let mut lines = Lines::default();
    let text = lines.pass(&portion);
    let more = portion.next.map(|after| Box::new(More { object, ask: AskPortion { after: Some(after), ..ask }, home, lines }));
    Ok(Answer { more, ..Answer::lines(text) }.with("Content-Disposition", &format!("attachment; filename=\"{name}.ndjson\"")))
}

/// The answer to a call that `object` works on in several turns and answers in the last one.
pub(super) async fn whole<O: Outside>(
    request: &Request,
    Addressed { object, call, home }: Addressed,
    context: &Context<'_, O>,
) -> Result<Answer, Answer> {
    let mut ask = AskPortion { call, after: None };
    loop {
        let portion = get(object, &ask, context.outside).await.ok_or_else(|| unavailable(request))?;
        let Some(after) = portion.next else { return Ok(Answer::api(portion.answer)) };
        ask.after = Some(after);
        renew(&mut ask, home.as_ref(), context.outside).await.map_err(|refused| refused.unwrap_or_else(|| unavailable(request)))?;
    }
}

/// The next part of an answer, and what is still to come then. It is not empty, but maybe where it is the last one.
pub async fn next<O: Outside>(objects: &O, more: Box<More>) -> Result<(Vec<u8>, Option<Box<More>>), BrokenOff> {
    let More { object, mut ask, home, mut lines } = *more;
    loop {
        let renewed = renew(&mut ask, home.as_ref(), objects).await.is_ok();
        let portion = if renewed { get(object, &ask, objects).await } else { None };
        let Some(portion) = portion.as_ref().filter(|portion| portion.answer.status == 200) else {
            let status = portion.map_or(Code::Unavailable.status(), |portion| portion.answer.status);
            let id = &ask.call.request_id;
            objects.log(&json!({"level": "error", "event": "answer_broken_off", "status": status, "request_id": id}));
            return Err(BrokenOff);
        };
        let text = lines.pass(portion);
        let Some(after) = portion.next.clone() else { return Ok((text.into_bytes(), None)) };
        ask.after = Some(after);
        if !text.is_empty() {
            return Ok((text.into_bytes(), Some(Box::new(More { object, ask, home, lines }))));
        }
    }
}

/// Has a caller from another shard authenticated again; fails with the refusal, or `None` where nothing is said.
async fn renew<O: Outside>(ask: &mut AskPortion, home: Option<&Home>, objects: &O) -> Result<(), Option<Answer>> {
    let Some(home) = home else { return Ok(()) };
    for _ in 0..TRIES {
        match home.caller(objects).await {
            Ok(caller) => {
                ask.call.credential = Credential::Vouched(caller);
                return Ok(());
            }
            Err(Some(refused)) => return Err(Some(refused)),
            Err(None) => {}
        }
    }
    Err(None)
}

async fn get<O: Outside>(object: Object, ask: &AskPortion, objects: &O) -> Option<Portion> {
    let body = serde_json::to_string(ask).ok()?;
    for _ in 0..TRIES {
        if let Some(said) = objects.post(object, PORTION, body.clone()).await.filter(|said| said.status == 200)
            && let Ok(portion) = serde_json::from_str::<Portion>(&said.body)
            && portion.answer.status < 500
        {
            return Some(portion);
        }
    }
    None
}
