//! `POST /v1/companies/{company}/import`: a body of any size on its way to the object, in parts of whole lines, while it
//! comes in. What the lines mean is the object's to check; here only their hash is computed, because no part has them all.

use core::future::Future;
use std::collections::VecDeque;

use keyward_shared::problem::Code;
use sha2::{Digest as _, Sha256};

use super::{
    Answer, Context, Object, Outside, Request,
    addressed::{Addressed, Home, addressed},
    portions::MEDIA_TYPE,
    unavailable,
};
use crate::{
    call::{Credential, IMPORT, ImportAnswer, ImportPart, ImportStep},
    route::Found,
};

/// The most lines of a part, and after how many bytes no further line is added.
const MOST_LINES: usize = 500;
const MOST_BYTES: usize = 512 << 10;
/// The longest line.
const MAX_LINE: usize = 3 << 20;
/// How often a part is sent whose answer does not come.
const TRIES: usize = 3;
/// How often a part is sent while an earlier import is being removed: enough for ten million rows of each table.
const MOST_WAITS: usize = 10_000;

/// A body as it comes in.
pub trait Source {
    /// The next bytes; `None`: that was all.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, SenderGone>>;
}

/// Whoever sent the body does not send the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the body does not come")]
pub struct SenderGone;

/// Answers an import.
pub(super) async fn answer<O: Outside>(request: &Request, found: &Found, source: &mut impl Source, context: &Context<'_, O>) -> Answer {
    match import(request, found, source, context).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn import<O: Outside>(
    request: &Request,
    found: &Found,
    source: &mut impl Source,
    context: &Context<'_, O>,
) -> Result<Answer, Answer> {
    let media_type = request.headers.content_type.as_deref().and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(request.refuse(Code::UnsupportedMediaType, "send the backup as Content-Type: application/x-ndjson"));
    }
    let Addressed { object, call, home } = addressed(request, found, "", context).await?;
    let part = ImportPart { call, id: request.id.clone(), step: ImportStep::Abandon { because: None } };
    let mut sender = Sender { object, part, home, number: 0, request, objects: context.outside };
    let mut lines = Lines::default();
    loop {
        let Ok(bytes) = source.next().await else {
            drop(sender.send(ImportStep::Abandon { because: None }).await); // nobody waits for the answer
            return Err(unavailable(request));
        };
        let ends = bytes.is_none();
        if let Err(detail) = lines.add(&bytes.unwrap_or_default(), ends) {
            let because = Some(format!("line {}: {detail}", lines.read + 1));
            let refused = sender.send(ImportStep::Abandon { because }).await?;
            return refused.ok_or_else(|| unavailable(request));
        }
        if ends {
            // The object answers the last part.
            return sender.send_lines(lines.all(), Some(lines.hash())).await?.ok_or_else(|| unavailable(request));
        }
        while let Some(text) = lines.part() {
            if let Some(answer) = sender.send_lines(text, None).await? {
                return Ok(answer);
            }
        }
    }
}

/// The way of one import to its object.
struct Sender<'a, O> {
    object: Object,
    part: ImportPart,
    home: Option<Home>,
    number: u64,
    request: &'a Request,
    objects: &'a O,
}

impl<O: Outside> Sender<'_, O> {
    /// Sends a part; the answer to the whole import, where that is given already.
    async fn send_lines(&mut self, text: String, seal: Option<String>) -> Result<Option<Answer>, Answer> {
        if self.number > 0
            && let Some(home) = &self.home
        {
            match home.caller(self.objects).await {
                Ok(caller) => self.part.call.credential = Credential::Vouched(caller),
                Err(refused) => {
                    drop(self.send(ImportStep::Abandon { because: None }).await); // the refusal is the answer
                    return Err(refused.unwrap_or_else(|| unavailable(self.request)));
                }
            }
        }
        let answer = self.send(ImportStep::Lines { number: self.number, text, seal }).await;
        self.number += 1;
        answer
    }

    async fn send(&mut self, step: ImportStep) -> Result<Option<Answer>, Answer> {
        self.part.step = step;
        let body = serde_json::to_string(&self.part).map_err(|_| unavailable(self.request))?;
        for _ in 0..MOST_WAITS {
            match self.post(&body).await.ok_or_else(|| unavailable(self.request))? {
                ImportAnswer::Further => return Ok(None),
                ImportAnswer::Again => {}
                ImportAnswer::Answer(answer) => return Ok(Some(Answer::api(answer))),
            }
        }
        Err(unavailable(self.request))
    }

    /// A part that comes twice is taken once.
    async fn post(&self, body: &str) -> Option<ImportAnswer> {
        for _ in 0..TRIES {
            if let Some(said) = self.objects.post(self.object, IMPORT, body.to_owned()).await.filter(|said| said.status == 200) {
                return serde_json::from_str(&said.body).ok();
            }
        }
        None
    }
}

/// Lines that were read and not yet sent.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
    whole: VecDeque<String>,
    /// How many bytes are whole.
    bytes: usize,
    /// How many lines were read.
    read: u64,
    /// Of all lines that were given out, but the last one of the file.
    hash: Sha256,
}

impl Lines {
    /// Adds what came in; `ends`: the last line need not end with a line break.
    fn add(&mut self, bytes: &[u8], ends: bool) -> Result<(), &'static str> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(&rest[..at]);
            self.finish_line()?;
            rest = &rest[at + 1..];
        }
        self.unfinished.extend_from_slice(rest);
        if self.unfinished.len() > MAX_LINE {
            return Err("is longer than any line of a backup");
        }
        if ends && !self.unfinished.is_empty() { self.finish_line() } else { Ok(()) }
    }

    fn finish_line(&mut self) -> Result<(), &'static str> {
        if self.unfinished.len() > MAX_LINE {
            return Err("is longer than any line of a backup");
        }
        let mut line = String::from_utf8(core::mem::take(&mut self.unfinished)).map_err(|_| "is not UTF-8")?;
        line.push('\n');
        self.bytes += line.len();
        self.whole.push_back(line);
        self.read += 1;
        Ok(())
    }

    /// The next part, where there is one; a line is left, because the last one of the file is treated apart.
    fn part(&mut self) -> Option<String> {
        if self.whole.len() <= MOST_LINES && self.bytes <= MOST_BYTES {
            return None;
        }
        let text = self.take(self.whole.len() - 1);
        (!text.is_empty()).then_some(text)
    }

    /// All that is left, which is not in the hash but for what stands before the last line.
    fn all(&mut self) -> String {
        let last = self.whole.pop_back().unwrap_or_default();
        let mut text = String::new();
        while !self.whole.is_empty() {
            text += &self.take(self.whole.len());
        }
        text + &last
    }

    /// At most `most` lines.
    fn take(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..most.min(MOST_LINES) {
            let Some(line) = self.whole.pop_front_if(|line| text.is_empty() || text.len() + line.len() <= MOST_BYTES) else { break };
            self.hash.update(line.as_bytes());
            text.push_str(&line);
        }
        self.bytes -= text.len();
        text
    }

    fn hash(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}
