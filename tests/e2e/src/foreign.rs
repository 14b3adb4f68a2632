//! Origins in other languages, as `docs/identity.md` shows them: cut out of the page and run as they stand.

use std::{
    env, fs,
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use reqwest::Client;

use crate::{build, eventually};

/// Compiling takes a while the first time.
const STARTS_WITHIN: Duration = Duration::from_mins(3);

/// A language that the page has an origin in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// With jose.
    Node,
    /// With `PyJWT`.
    Python,
    /// With Microsoft's libraries.
    DotNet,
}

impl Language {
    /// Whether it can be run here. Node.js and Python must be there; .NET need not.
    pub fn is_here(self) -> bool {
        match self {
            Self::Node | Self::Python => true,
            Self::DotNet => {
                Command::new("dotnet").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
            }
        }
    }

    /// The page's code blocks that make the program: the marker of the block, the file that it becomes.
    fn blocks(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Node => &[("js", "origin.mjs")],
            Self::Python => &[("python", "origin.py")],
            Self::DotNet => &[("xml", "Origin.csproj"), ("csharp", "Program.cs")],
        }
    }

    fn command(self, folder: &Path) -> Command {
        match self {
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(folder.join("origin.mjs"));
                command
            }
            Self::Python => {
                let mut command = Command::new(python());
                command.arg(folder.join("origin.py"));
                command
            }
            Self::DotNet => {
                let mut command = Command::new("dotnet");
                command.args(["run", "--project"]).arg(folder);
                command
            }
        }
    }
}

/// An origin that checks identities; it ends when this is dropped.
#[derive(Debug)]
pub struct ForeignOrigin {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl ForeignOrigin {
    /// Starts the page's origin in `language` on `port`, with the key set at `key_set`, and waits until it answers.
    pub async fn start(language: Language, port: u16, key_set: &str) -> Self {
        // Node.js looks for packages in the folders above.
        let folder = build::output().join(format!("identity-{language:?}-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let page = fs::read_to_string(build::repository().join("docs/identity.md")).unwrap();
        for (marker, file) in language.blocks() {
            fs::write(folder.join(file), block(&page, marker)).unwrap();
        }
        let log = File::create(folder.join("log")).unwrap();
        let mut command = language.command(&folder);
        command.env("KEYWARD_JWKS", key_set).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let process = command.spawn().unwrap_or_else(|error| panic!("{language:?}: {error}"));
        let origin = Self { process, port, folder };
        let client = Client::new();
        eventually(STARTS_WITHIN, async || {
            client
                .get(origin.url())
                .send()
                .await
                .map_err(|error| format!("{error}\n{}", fs::read_to_string(origin.folder.join("log")).unwrap()))
        })
        .await;
        origin
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for ForeignOrigin {
    fn drop(&mut self) {
        // It leads its own process group, in which what it started runs too.
        let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.wait();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The one block of code of the page with this marker.
fn block<'p>(page: &'p str, marker: &str) -> &'p str {
    let begin = format!("\n```{marker}\n");
    let mut blocks = page.split(&begin).skip(1);
    let block = blocks.next().unwrap_or_else(|| panic!("the page has no block {marker}"));
    assert!(blocks.next().is_none(), "the page has several blocks {marker}");
    block.split("\n```\n").next().unwrap()
}

/// The Python with `PyJWT`: the task that runs all tests says where it is; otherwise it is asked for.
pub fn python() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let ask = || {
        let output = Command::new("cargo").args(["xtask", "python"]).current_dir(build::repository()).output().unwrap();
        assert!(output.status.success(), "`cargo xtask python` failed: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    FOUND.get_or_init(|| env::var_os("KEYWARD_PYTHON").map_or_else(ask, PathBuf::from)).clone()
}
