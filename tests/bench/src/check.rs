//! What a cell must show before it is measured: that it lets the right keys in, refuses wrong ones and requests without one, and, where it
//! forwards, that the origin gets the request with the identity of the key instead of the one that the client claims, and without the key. What does not do
//! the work is not compared.

use anyhow::{Context, Result, bail};

use crate::{
    cell::{FORGED, IDENTITY, Running, Work},
    load::{Answer, ask},
    origin::{Origin, SEEN},
};

/// Tries the cell. Uses up the last of its keys, so that a cold one stays cold for the others.
pub fn check(running: &Running, work: Work, origin: &Origin) -> Result<()> {
    let Running { address, asked, .. } = running;
    let get = |path: &str, key: Option<&str>| ask(*address, &asked.request(path, key));
    let right = asked.keys.last().map(String::as_str);
    let answer = get(&asked.path, right)?;
    expect(&answer, asked.status).context("with a right key")?;
    if work.verifies() {
        if right.is_none() || asked.wrong.is_empty() {
            bail!("a cell that verifies has keys, and some that are wrong");
        }
        let before = origin.count();
        for wrong in &asked.wrong {
            expect(&get(&asked.path, Some(wrong))?, asked.refusal).with_context(|| format!("with the wrong key {wrong}"))?;
        }
        expect(&get(&asked.path, None)?, asked.refusal).context("without a key")?;
        if origin.count() != before {
            bail!("what was refused reached the origin");
        }
    }
    if work.forwards() {
        let path = format!("{}{SEEN}", asked.path);
        let answer = get(&path, right)?;
        expect(&answer, asked.status)?;
        forwarded(&String::from_utf8_lossy(&answer.body), &path, right, work)
            .with_context(|| String::from_utf8_lossy(&answer.body).into_owned())?;
    }
    Ok(())
}

fn expect(answer: &Answer, status: u16) -> Result<()> {
    if answer.status == status {
        return Ok(());
    }
    bail!("{} instead of {status}: {}\n{}", answer.status, answer.head, String::from_utf8_lossy(&answer.body))
}

/// What the origin received.
fn forwarded(seen: &str, path: &str, key: Option<&str>, work: Work) -> Result<()> {
    if !seen.starts_with(&format!("GET {path} ")) {
        bail!("the origin was asked for another path than {path}");
    }
    if work == Work::Forward {
        return Ok(());
    }
    if key.is_some_and(|key| seen.contains(key)) {
        bail!("the origin got the key");
    }
    let named: Vec<&str> = values(seen, IDENTITY).collect();
    match named.as_slice() {
        [one] if !one.is_empty() && *one != FORGED => {}
        _ => bail!("the origin got {named:?} as {IDENTITY}"),
    }
    if values(seen, "accept").ne(["application/json"]) {
        bail!("a header that is nobody's business but the origin's was lost");
    }
    Ok(())
}

fn values<'a>(head: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN_WELL: &str = "GET /orders/seen HTTP/1.1\r\naccept: application/json\r\nX-Keyward-Owner: ann\r\n\r\n";

    #[test]
    fn a_gateway_that_lets_through_what_it_must_not_is_found_out() {
        let judged = |seen: &str, work| forwarded(seen, "/orders/seen", Some("kw_live_key"), work);
        assert!(judged(SEEN_WELL, Work::Gateway).is_ok());
        for (spoilt, complaint) in [
            (SEEN_WELL.replace("X-Keyward-Owner: ann", "X-Keyward-Owner: mallory"), "mallory"),
            (SEEN_WELL.replace("X-Keyward-Owner: ann", "x-keyward-owner: mallory\r\nX-Keyward-Owner: ann"), "mallory"),
            (SEEN_WELL.replace("X-Keyward-Owner: ann\r\n", ""), "[]"),
            (SEEN_WELL.replace("ann\r\n", "ann\r\nx-api-key: kw_live_key\r\n"), "got the key"),
            (SEEN_WELL.replace("accept: application/json\r\n", ""), "was lost"),
            (SEEN_WELL.replace("/orders/seen", "/orders"), "another path"),
        ] {
            assert!(judged(&spoilt, Work::Gateway).unwrap_err().to_string().contains(complaint), "{spoilt}");
        }
        assert!(judged("GET /orders/seen HTTP/1.1\r\n", Work::Forward).is_ok());
    }
}
