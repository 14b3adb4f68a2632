//! A real browser, driven over `WebDriver` (W3C) through Debian's `chromedriver`: as much of the protocol as the tests need.
//! How pages look on which screen, and whether everybody can use them, is [`look`]'s and [`access`]'s business.

pub mod access;
pub mod look;

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use keyward_selfhost::listen::free_port;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{build, eventually, http};

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
];
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const PATIENCE: Duration = Duration::from_secs(10);

/// A browser with one window; it ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    http: Client,
}

impl Browser {
    /// Starts driver and browser.
    pub async fn start() -> Self {
        let port = free_port().unwrap();
        let program = env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".into());
        let driver =
            Command::new(&program).arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
        let driver = driver.unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut browser = Self { driver, port, session: String::new(), http: http::client() };
        let status = format!("http://127.0.0.1:{port}/status");
        eventually(PATIENCE, async || browser.http.get(&status).send().await).await;
        let options = json!({"args": FLAGS});
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let session = browser
            .ask(Method::POST, "", &json!({"capabilities": {"alwaysMatch": wanted}}))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.must("/url", json!({"url": url})).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.must("/refresh", json!({})).await;
    }

    /// The address of the page.
    pub async fn address(&self) -> String {
        self.run("return location.href").await.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script and gives what it returns; promises are awaited.
    pub async fn run(&self, script: &str) -> Value {
        self.must("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// The document as it is now, with what was typed into fields.
    pub async fn source(&self) -> String {
        let script = "return document.documentElement.outerHTML + [...document.querySelectorAll('input,textarea')].map(field => field.value).join('\\n')";
        self.run(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks what an `XPath` finds, as soon as it is there and visible.
    pub async fn click(&self, xpath: &str) {
        eventually(PATIENCE, async || self.element_command(xpath, "click", json!({})).await).await;
    }

    /// Clicks the visible button with this caption inside of what `scope` finds (an `XPath`; empty: anywhere).
    pub async fn press(&self, scope: &str, caption: &str) {
        eventually(PATIENCE, async || {
            let buttons = self.find(&format!("{scope}//button[normalize-space()='{caption}']")).await;
            let mut last = format!("no visible button {caption}");
            for button in &buttons {
                match self.ask(Method::POST, &format!("/element/{button}/click"), &json!({})).await {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
        .await;
    }

    /// Types into the field that an `XPath` finds.
    pub async fn fill(&self, xpath: &str, text: &str) {
        eventually(PATIENCE, async || self.element_command(xpath, "value", json!({"text": text})).await).await;
    }

    /// The text of what an `XPath` finds, as soon as it is there and has one.
    pub async fn text(&self, xpath: &str) -> String {
        eventually(PATIENCE, async || {
            let element = self.find(xpath).await.pop().ok_or_else(|| format!("no {xpath}"))?;
            let script = "const e = arguments[0]; return (e.value ?? e.textContent).trim()";
            let body = json!({"script": script, "args": [{ELEMENT: element}]});
            let text = self.ask(Method::POST, "/execute/sync", &body).await?;
            text.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| format!("no text in {xpath}"))
        })
        .await
    }

    /// How many elements an `XPath` finds.
    pub async fn count(&self, xpath: &str) -> usize {
        self.find(xpath).await.len()
    }

    /// What the browser wrote to its console since the last call.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.must("/se/log", json!({"type": "browser"})).await;
        entries.as_array().into_iter().flatten().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Lets pages use the clipboard without asking.
    pub async fn allow_clipboard(&self) {
        self.devtools("Browser.grantPermissions", json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})).await;
    }

    /// A command of the browser's development tools, with what it answers.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.must("/goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// The value of a cookie of the page's.
    pub async fn cookie(&self, name: &str) -> Option<Value> {
        self.ask(Method::GET, &format!("/cookie/{name}"), &Value::Null).await.ok()
    }

    /// Looks at the tab with this number, as soon as there is one; the first one is 0.
    pub async fn look_at_tab(&self, number: usize) {
        eventually(PATIENCE, async || {
            let handles = self.ask(Method::GET, "/window/handles", &Value::Null).await?;
            let handle = handles.get(number).cloned().ok_or_else(|| format!("no tab {number}"))?;
            self.ask(Method::POST, "/window", &json!({"handle": handle})).await
        })
        .await;
    }

    /// Closes the tab that is looked at; another one has to be looked at then.
    pub async fn close_tab(&self) {
        self.ask(Method::DELETE, "/window", &Value::Null).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Saves a picture of the page to `target/keyward/screenshots`.
    pub async fn screenshot(&self, name: &str) {
        self.picture(&build::output().join("screenshots").join(format!("{name}.png"))).await;
    }

    /// Saves a picture of what the window shows.
    pub async fn picture(&self, file: &Path) {
        let data = self.devtools("Page.captureScreenshot", json!({"format": "png"})).await["data"].as_str().unwrap_or_default().to_owned();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, base64(&data)).unwrap();
    }

    async fn find(&self, xpath: &str) -> Vec<String> {
        let found = self.ask(Method::POST, "/elements", &json!({"using": "xpath", "value": xpath})).await.unwrap_or_default();
        found.as_array().into_iter().flatten().filter_map(|element| Some(element[ELEMENT].as_str()?.to_owned())).collect()
    }

    async fn element_command(&self, xpath: &str, command: &str, body: Value) -> Result<Value, String> {
        let element = self.find(xpath).await.pop().ok_or_else(|| format!("no {xpath}"))?;
        self.ask(Method::POST, &format!("/element/{element}/{command}"), &body).await
    }

    async fn must(&self, command: &str, body: Value) -> Value {
        self.ask(Method::POST, command, &body).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn ask(&self, method: Method, command: &str, body: &Value) -> Result<Value, String> {
        let session = if self.session.is_empty() { String::new() } else { format!("/{}", self.session) };
        let request = self.http.request(method, format!("http://127.0.0.1:{}/session{session}{command}", self.port));
        let answer = http::send(if body.is_null() { request } else { request.json(body) }).await;
        let mut value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value.take()) } else { Err(format!("{}: {}", value["error"], value["message"])) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser when the session ends; killed alone it would leave it behind.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = write!(stream, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", self.session);
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Decodes base64 that a browser wrote.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.bytes().filter_map(digit).collect();
    digits
        .chunks(4)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0, |bits, digit| (bits << 6) | digit) << (6 * (4 - chunk.len()));
            bits.to_be_bytes()[1..].iter().copied().take(chunk.len().saturating_sub(1)).collect::<Vec<_>>()
        })
        .collect()
}
