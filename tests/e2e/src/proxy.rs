//! nginx and Caddy, the real programs, with the configuration files of `docs/integrations` as they stand: only the addresses and the secret are put
//! in. Where the programs are not installed a test fails and says so.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use keyward_selfhost::{StateFolder, listen::free_port};
use tokio::time::sleep;

use crate::build;

/// The secret that proxies show the edge: what stands for it in the files.
pub const SECRET: &str = "the-secret-of-this-proxy";

const PATIENCE: Duration = Duration::from_secs(15);

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    url: String,
    log: PathBuf,
    /// Holds its files.
    _folder: StateFolder,
}

impl Proxy {
    /// nginx with `docs/integrations/nginx.conf`, asking the edge at `edge` (`http://host:port`) and passing on to `origin`.
    pub async fn nginx(edge: &str, origin: &str) -> Self {
        let port = free_port().unwrap();
        let mut server = documented("nginx.conf");
        for (placeholder, value) in
            [("listen 8080;", &*format!("listen 127.0.0.1:{port};")), ("127.0.0.1:8787", host(edge)), ("127.0.0.1:9000", host(origin))]
        {
            assert!(server.contains(placeholder), "nginx.conf has no {placeholder}");
            server = server.replace(placeholder, value);
        }
        Self::nginx_with(port, &server).await
    }

    /// nginx with the contents of an `http` block that listens on `port`.
    pub async fn nginx_with(port: u16, http: &str) -> Self {
        let folder = StateFolder::temporary().unwrap();
        let place = folder.path().display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {place}/{kind};\n")).concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr info;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{http}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program("KEYWARD_NGINX", "nginx"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        Self::start(command, folder, port).await
    }

    /// Caddy with `docs/integrations/Caddyfile`, asking the edge at `edge` (`http://host:port`) and passing on to `origin`.
    pub async fn caddy(edge: &str, origin: &str) -> Self {
        let folder = StateFolder::temporary().unwrap();
        let port = free_port().unwrap();
        let mut command = Command::new(program("KEYWARD_CADDY", "caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(build::repository().join("docs/integrations/Caddyfile"));
        command.env("KEYWARD_LISTEN", format!("http://:{port}"));
        command.env("KEYWARD_EDGE", host(edge)).env("KEYWARD_ORIGIN", host(origin)).env("KEYWARD_PROXY_SECRET", SECRET);
        command.env("CADDY_ADMIN", format!("unix/{}", folder.path().join("admin").display()));
        command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).env("HOME", folder.path());
        Self::start(command, folder, port).await
    }

    async fn start(mut command: Command, folder: StateFolder, port: u16) -> Self {
        let log = folder.path().join("proxy.log");
        let output = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{error}: {}", missing(&command)));
        let mut proxy = Self { child, url: format!("http://127.0.0.1:{port}"), log, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = proxy.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "it does not listen ({ended:?}): {}", proxy.log());
            sleep(Duration::from_millis(50)).await;
        }
        proxy
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of `docs/integrations`.
fn documented(name: &str) -> String {
    fs::read_to_string(build::repository().join("docs/integrations").join(name)).unwrap()
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// The program that the variable names; else the one on the search path, or where Debian puts what only administrators run.
fn program(variable: &str, name: &str) -> PathBuf {
    let of_administrators = Path::new("/usr/sbin").join(name);
    let given = env::var_os(variable).map(PathBuf::from);
    given.unwrap_or_else(|| if of_administrators.is_file() { of_administrators } else { name.into() })
}

fn missing(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    format!(
        "{program} cannot be run. `cargo xtask test` brings nginx and Caddy; KEYWARD_NGINX and KEYWARD_CADDY name them where they are elsewhere"
    )
}
