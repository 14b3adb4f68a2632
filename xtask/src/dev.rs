//! `cargo xtask dev`: everything on this machine, with one command. Sets up, builds, starts, says what to do with it, and ends all of it on
//! Ctrl-C or SIGTERM. How the parts are started is `keyward-selfhost`'s business.

use std::{
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use keyward_selfhost::{
    Installation, Options, StateFolder, System,
    listen::{ListenError, check_free},
    system::end_leftovers,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::{build, command::progress, paths, tools};

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The edge's port; 0 takes a free one
    #[arg(long, default_value_t = 8787)]
    edge_port: u16,
    /// The control plane's port; 0 takes a free one
    #[arg(long, default_value_t = 8788)]
    control_port: u16,
    /// The API behind the edge; without it, a demo origin answers with what it received
    #[arg(long, value_name = "URL", value_parser = origin_url)]
    origin: Option<String>,
    /// The folder that keeps the state
    #[arg(long, value_name = "DIR", default_value = ".keyward")]
    state: PathBuf,
    /// Print one line of JSON instead of a text for people
    #[arg(long)]
    json: bool,
    /// The revocation bound in seconds, at least 5; freshness and all other times follow it in proportion
    #[arg(long, value_name = "SECONDS", value_parser = bound)]
    bound: Option<f64>,
    /// Sets any setting of both Workers; can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// Runs until a signal, or until a part ends by itself.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the asynchronous runtime")?;
    runtime.block_on(check_first(arguments))?;
    set_up()?;
    runtime.block_on(serve(arguments, begun))
}

/// What can be known to be in the way is said before anything is built.
async fn check_first(arguments: &Arguments) -> Result<()> {
    let folder = StateFolder::open(&arguments.state)?;
    end_leftovers(&folder).await;
    for (port, flag) in [(arguments.edge_port, "--edge-port"), (arguments.control_port, "--control-port")] {
        check_free(port).map_err(|error| match error {
            ListenError::Taken(_) => anyhow!("{error} (choose another one with {flag})"),
            other => anyhow!(other),
        })?;
    }
    Ok(())
}

/// Packages are fetched while the Workers are compiled.
fn set_up() -> Result<()> {
    tools::npm_packages_to_install()?;
    let packages = thread::spawn(tools::npm_packages);
    build::run()?;
    packages.join().map_err(|_| anyhow!("the installation of npm packages panicked"))?
}

async fn serve(arguments: &Arguments, begun: Instant) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut options = Options::new(Installation::in_repository(&paths::root()));
    options.state_dir = Some(arguments.state.clone());
    options.edge_port = Some(arguments.edge_port);
    options.control_port = Some(arguments.control_port);
    options.origin.clone_from(&arguments.origin);
    options.bound_s = arguments.bound;
    options.settings.clone_from(&arguments.settings);
    progress("starting");
    let mut system = tokio::select! {
        started = System::start(options) => started?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };

    tell(arguments.json, &system)?;
    if system.bootstrap_key().is_some() {
        system.bootstrap_key_was_shown()?;
    }
    progress(format!("ready after {:.1} s", begun.elapsed().as_secs_f64()));

    let died = tokio::select! {
        died = system.died() => Some(died),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminated.recv() => None,
        _ = hung_up.recv() => None,
    };
    progress("stopping");
    system.stop().await;
    died.map_or(Ok(()), |died| Err(died.into()))
}

fn tell(as_json: bool, system: &System) -> Result<()> {
    let sign_in = system.sign_in_link()?;
    let text = if as_json {
        let line = json!({
            "edge": system.edge_url(),
            "control": system.control_url(),
            "origin": system.origin_url(),
            "sign_in": sign_in,
            "bootstrap_key": system.bootstrap_key(),
            "tag_secret_hex": system.tag_secret_hex(),
        });
        format!("{line}\n")
    } else {
        describe(system, &sign_in)
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot print")
}

fn describe(system: &System, sign_in: &str) -> String {
    let (edge, control, origin) = (system.edge_url(), system.control_url(), system.origin_url());
    let (shown, key) = match system.bootstrap_key() {
        Some(key) => {
            (format!("\n  operator's key  {key}\n                  shown only now: keep it, or make others on the admin page\n"), key)
        }
        None => (String::new(), "<your key>"),
    };
    let state = system.folder().path().display();
    format!(
        "\nKeyward is running.\n
  edge            {edge}  verifies keys and forwards to the origin
  control plane   {control}  API and admin page
  origin          {origin}
  sign in         {sign_in}
                  works once, within 10 minutes
{shown}
Try it:
  curl -H 'x-api-key: {key}' {edge}/hello

State and logs are in {state}. Ctrl-C ends everything.\n\n"
    )
}

fn bound(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (5.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 5 to 86400".into()),
    }
}

fn origin_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.into())
    } else {
        Err("must begin with http:// or https://".into())
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    let valid = !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    if valid { Ok((name.into(), value.into())) } else { Err("NAME consists of A-Z, 0-9 and _".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_may_hold_any_value_but_needs_a_name() {
        assert_eq!(setting("FORWARD_AUTH=a=b"), Ok(("FORWARD_AUTH".into(), "a=b".into())));
        assert_eq!(setting("X="), Ok(("X".into(), String::new())));
        for bad in ["", "X", "=x", "x=y", "A B=c"] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bound_is_at_least_five_seconds() {
        assert_eq!(bound("5"), Ok(5.0));
        for bad in ["4.9", "0", "-1", "NaN", "inf", "90000", "x"] {
            assert!(bound(bad).is_err(), "{bad}");
        }
    }
}
