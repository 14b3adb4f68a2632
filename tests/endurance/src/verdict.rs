//! What is checked when the load is over and everything runs again, and what is told.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use keyward_e2e::{
    World,
    probe::{self, Outcome, now_ms},
    stored,
};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    EDGES, Plan,
    clients::NAMED,
    crashes::Memory,
    ledger::{End, Key, Ledger, State, refusal},
};

/// So many keys of each kind are used once more at each edge, the last ones first.
const TRIED: usize = 1_000;
/// So many records of each company are compared with the objects, the last ones first.
const COMPARED: usize = 150;
/// How much the memory of the steady edge may grow between its second and its last fifth: records of keys that it learned meanwhile, up to the
/// size of its cache.
const GROWTH_KIB: u64 = 32 * 1024;

/// What a run did, and what was not in order.
#[derive(Debug)]
pub struct Report {
    /// For how long the load lasted.
    pub took: Duration,
    /// How often a process was killed.
    pub kills: u32,
    /// What was done how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// What is told about memory.
    pub memory: Vec<String>,
    /// What was checked afterwards.
    pub checked: Vec<String>,
    /// What was not in order.
    pub findings: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        writeln!(f, "{seconds:.0} s of load, {} kills", self.kills)?;
        for (what, count) in &self.counts {
            let rate = f64::from(u32::try_from(*count).unwrap_or(u32::MAX)) / seconds;
            writeln!(f, "  {count:>9}  {what} ({rate:.1}/s)")?;
        }
        for line in self.memory.iter().chain(&self.checked) {
            writeln!(f, "  {line}")?;
        }
        for finding in &self.findings {
            writeln!(f, "FINDING: {finding}")?;
        }
        write!(f, "{} findings", self.findings.len())
    }
}

/// Checks everything that was acknowledged.
pub(crate) async fn reach(
    world: &World,
    plan: &Plan,
    companies: &[&str],
    ledger: &Arc<Ledger>,
    memory: Memory,
    kills: u32,
    took: Duration,
) -> Report {
    let (keys, mut findings, unlisted, counts) = ledger.close();
    let mut checked = Vec::new();
    let last = keys.iter().filter_map(|key| if let State::Ended(_, at) = key.state { Some(at) } else { None }).max().unwrap_or(0);
    sleep(Duration::from_millis(last.saturating_sub(now_ms()) + 500)).await;

    findings.extend(existence(world, companies, &keys, &mut checked).await);
    findings.extend(use_again(world, &keys, &mut checked).await);
    findings.extend(trails(world, companies, &counts, &mut checked).await);
    findings.extend(store(world, plan, companies, &keys, &mut checked).await);
    let (lines, grown) = memory_of(&memory);
    findings.extend(grown.filter(|_| plan.warm_up > 0));
    if unlisted > 0 {
        findings.push(format!("and {unlisted} more"));
    }
    if counts.get("keys created").is_none_or(|count| *count == 0) {
        findings.push("nothing was done".into());
    }
    Report { took, kills, counts, memory: lines, checked, findings }
}

/// Every acknowledged creation is one key, in the state that was acknowledged last, and there is no other.
async fn existence(world: &World, companies: &[&str], keys: &[Key], checked: &mut Vec<String>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut listed = BTreeMap::<String, (String, String)>::new();
    for company in companies {
        let mut cursor = String::new();
        loop {
            let page = world.operator("GET", &format!("/v1/keys?company={company}&limit=200{cursor}"), Value::Null).await.json();
            for key in page["keys"].as_array().into_iter().flatten() {
                let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
                if let Some((other, _)) = listed.insert(text("name"), (text("id"), text("status"))) {
                    findings.push(format!("{} was created twice: {other} and {}", text("name"), text("id")));
                }
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    let total = listed.len();
    for key in keys {
        let found = listed.remove(&key.name);
        let right = match (&found, key.state) {
            (Some((id, status)), State::Live) => *id == key.id && status == "active",
            (Some((id, status)), State::Ended(End::Revoked, _)) => *id == key.id && status == "revoked",
            (None, State::Ended(End::Deleted, _)) => true,
            _ => false,
        };
        if !right {
            findings.push(format!("{} is {:?}, the control plane says {found:?}", key.id, key.state));
        }
    }
    let ours = listed.iter().filter(|(name, _)| name.starts_with(NAMED));
    findings.extend(ours.map(|(name, key)| format!("{name} exists without having been acknowledged: {key:?}")));
    checked.push(format!("{} acknowledged keys compared with the control plane's {total}", keys.len()));
    findings
}

/// Living keys are let in by every edge, ended ones are refused for the right reason.
async fn use_again(world: &World, keys: &[Key], checked: &mut Vec<String>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut tried = [0_usize; 2];
    for key in keys.iter().rev() {
        let Some(text) = &key.text else { continue };
        let (kind, expected) = match key.state {
            State::Live => (0, Outcome::LetIn),
            State::Ended(end, _) => (1, Outcome::Refused(401, refusal(end).into())),
            State::Ending(_) => continue,
        };
        if tried[kind] >= TRIED {
            continue;
        }
        tried[kind] += 1;
        for (edge, url) in world.system.edge_urls().iter().enumerate() {
            let mut seen = probe::ask(&world.http, url, text).await;
            for _ in 0..20 {
                if seen.outcome != Outcome::Unavailable {
                    break;
                }
                sleep(Duration::from_millis(200)).await;
                seen = probe::ask(&world.http, url, text).await;
            }
            if seen.outcome != expected {
                findings.push(format!("afterwards, edge {edge}: {} is {:?}, yet {seen:?}", key.id, key.state));
            }
        }
    }
    checked.push(format!("{} living and {} ended keys used once more at each of {EDGES} edges", tried[0], tried[1]));
    findings
}

/// The trails are whole, and hold at least an entry for each change that was acknowledged.
async fn trails(world: &World, companies: &[&str], counts: &BTreeMap<&'static str, u64>, checked: &mut Vec<String>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut entries = 0;
    for company in companies {
        let trail = world.operator("GET", &format!("/v1/audit/verify?company={company}"), Value::Null).await.json();
        if trail["valid"] != true {
            findings.push(format!("the trail of {company} is broken: {trail}"));
        }
        entries += trail["entries"].as_u64().unwrap_or(0);
    }
    let changes: u64 = ["keys created", "keys rotated", "keys revoked", "keys deleted"].iter().filter_map(|what| counts.get(what)).sum();
    if entries < changes {
        findings.push(format!("{changes} changes were acknowledged, the trails have {entries} entries"));
    }
    checked.push(format!("{entries} entries of the trails verified, for {changes} changes"));
    findings
}

/// When nothing changes any more, the store says what the objects say.
async fn store(world: &World, plan: &Plan, companies: &[&str], keys: &[Key], checked: &mut Vec<String>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut compared = 0;
    for (number, company) in companies.iter().enumerate() {
        let of_company = keys.iter().rev().filter(|key| key.company == number);
        let some: BTreeMap<String, String> =
            of_company.filter_map(|key| Some((key.id.clone(), key.text.clone()?))).take(COMPARED).collect();
        compared += some.len();
        let deadline = Instant::now() + 2 * plan.bound + Duration::from_secs(30);
        while let Err(differs) = stored::differs_from_objects(world, company, &some).await {
            if Instant::now() > deadline {
                findings.push(format!("the store differs from the objects: {differs}"));
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
    checked.push(format!("{compared} records in the store compared with the objects"));
    findings
}

/// What memory did, and whether the edge that was never killed grew.
fn memory_of(memory: &Memory) -> (Vec<String>, Option<String>) {
    let samples = &memory.steady_edge;
    let fifth = |number: usize| median(samples.get(samples.len() * number / 5..samples.len() * (number + 1) / 5).unwrap_or_default());
    let (second, last) = (fifth(1), fifth(4));
    let mut lines = vec![format!("the steady edge's memory: {} MiB in its second fifth, {} MiB in its last", mib(second), mib(last))];
    let mut by_life = String::new();
    for life in memory.control.iter().filter(|life| life.len() >= 10) {
        let (begin, end) = (median(&life[life.len() / 5..life.len() * 2 / 5]), median(&life[life.len() * 4 / 5..]));
        let _ = write!(by_life, " {}→{}", mib(begin), mib(end)); // a String takes everything
    }
    lines.push(format!("the control process' memory in each life, second to last fifth, in MiB:{by_life}"));
    let grown = (last > second + GROWTH_KIB).then(|| format!("the steady edge's memory grew from {} to {} MiB", mib(second), mib(last)));
    (lines, grown)
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn mib(kib: u64) -> u64 {
    kib / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_grows_is_found_and_one_that_fills_its_cache_is_not() {
        let samples = |last: u64| [vec![50 * 1024; 40], vec![last * 1024; 10]].concat();
        let memory = |last| Memory { steady_edge: samples(last), control: vec![vec![100 * 1024; 20]] };
        assert!(memory_of(&memory(83)).1.is_some_and(|found| found.contains("from 50 to 83 MiB")));
        let (lines, grown) = memory_of(&memory(81));
        assert_eq!(grown, None);
        assert!(lines.iter().any(|line| line.ends_with("100→100")), "{lines:?}");
    }
}
