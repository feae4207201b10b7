//! Replicas of huggate and nginx as processes, which end with their values.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

/// How long a process may take to start or to end.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `check` holds.
pub(crate) async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A process, killed on drop.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `huggate serve`.
pub(crate) struct Replica {
    process: Option<Process>,
    pub(crate) address: String,
    /// What it is started with: the program, or what starts it.
    pub(crate) program: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, String)>,
    folder: TempDir,
}

/// The program that Cargo built.
pub(crate) fn huggate() -> Vec<OsString> {
    vec![env!("CARGO_BIN_EXE_huggate").into()]
}

impl Replica {
    /// Starts one that listens at `address`, as the configuration says.
    pub(crate) async fn start(address: String, config: &str, program: Vec<OsString>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut replica = Self { process: None, address, program, environment: Vec::new(), folder };
        replica.run().await;
        replica
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its log.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Starts it again, and waits until it accepts connections.
    pub(crate) async fn run(&mut self) {
        let [program, arguments @ ..] = &self.program[..] else { unreachable!("there is a program") };
        let mut command = Command::new(program);
        command.args(arguments).args(["serve", "--config"]).arg(self.config());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&mut command, &self.log()));
        until("huggate accepts connections", || {
            let status = self.process.as_mut().unwrap().0.try_wait().unwrap();
            assert!(status.is_none(), "{status:?}: {}", self.said());
            TcpStream::connect(&self.address).is_ok()
        })
        .await;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().0.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM; requests in flight are completed.
    pub(crate) async fn stop(&mut self) {
        let process = self.process.as_mut().unwrap();
        let pid = Pid::from_raw(i32::try_from(process.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let mut code = None;
        until("huggate ends", || {
            code = process.0.try_wait().unwrap();
            code.is_some()
        })
        .await;
        assert_eq!(code.unwrap().code(), Some(0));
        self.process = None;
    }

    /// Ends it as a deploy does, and starts it.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }
}

/// Debian's nginx with the configuration of the guide.
pub(crate) struct Nginx {
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    pub(crate) async fn start(address: &str, replicas: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        fs::write(folder.path().join("app.conf"), configured(address, replicas)).unwrap();
        // A minimal /etc/nginx/nginx.conf that works without root.
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};\n"))
            .concat();
        let main = format!(
            "worker_processes 1;\npid {place}/nginx.pid;\nerror_log stderr warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n{temporary}access_log off;\ninclude {place}/app.conf;\n}}\n"
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, main).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&path);
        command.args(["-g", "daemon off; master_process off;"]);
        let log = folder.path().join("log");
        let mut process = Process::start(&mut command, &log);
        until("nginx accepts connections", || {
            let status = process.0.try_wait().unwrap();
            assert!(status.is_none(), "{}", fs::read_to_string(&log).unwrap());
            TcpStream::connect(address).is_ok()
        })
        .await;
        Self { _process: process, _folder: folder }
    }
}

/// The configuration of the guide with these addresses, and without TLS.
fn configured(address: &str, replicas: &[String]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/replicas/app.conf");
    let mut text = fs::read_to_string(path).unwrap();
    let servers: String = replicas.iter().map(|one| format!("    server {one} max_fails=0;\n")).collect();
    let three = [1, 2, 3].map(|number| format!("    server 127.0.0.1:418{number} max_fails=0;\n")).concat();
    for (from, to) in [
        (&*three, &*servers),
        (
            "server {\n    listen 80;\n    server_name app.example.com;\n    return 301 https://$host$request_uri;\n}\n",
            "",
        ),
        ("listen 443 ssl http2;", &format!("listen {address};")),
        ("    ssl_certificate     /etc/ssl/app.example.com/fullchain.pem;\n", ""),
        ("    ssl_certificate_key /etc/ssl/app.example.com/privkey.pem;\n", ""),
    ] {
        assert!(text.contains(from), "deploy/replicas/app.conf has no {from:?}");
        text = text.replace(from, to);
    }
    text
}
