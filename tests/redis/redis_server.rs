//! Servers of Redis for tests: one, with TLS, with a replica and sentinels, a cluster. They
//! listen on free ports of the loopback, keep nothing, and end with their values.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// How long a server may take to start, and a set of them to find each other.
const STARTED: Duration = Duration::from_secs(60);

/// Calls `check` until it holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, check: impl Fn() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < STARTED, "{what}: not within {STARTED:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder in memory, if there is one: sentinels and cluster nodes wait for the disk
/// whenever they learn something, and sentinels that waited for two seconds do nothing for
/// the next thirty.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Ports that are free now, each another one.
fn free_ports(count: usize) -> Vec<u16> {
    let bound: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    bound.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// One server. It is killed when this value is dropped.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
    /// What redis-cli needs to reach it.
    cli: Vec<String>,
    dir: TempDir,
}

impl RedisServer {
    /// A server without users.
    pub(crate) fn single() -> Self {
        Self::with(&[])
    }

    /// A server with these options, such as `--maxmemory`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let port = free_port();
        let port_option = port.to_string();
        let mut all = vec!["--port", &port_option];
        all.extend(options);
        Self::start(port, &all, Vec::new(), scratch())
    }

    fn start(port: u16, options: &[&str], cli: Vec<String>, dir: TempDir) -> Self {
        let mut arguments: Vec<String> = Vec::new();
        for argument in [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--repl-diskless-sync-delay",
            "0",
            "--logfile",
            "log",
            "--dir",
        ] {
            arguments.push(argument.to_owned());
        }
        arguments.push(dir.path().display().to_string());
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        let child = spawn(&arguments);
        let server = Self { child, port, arguments, cli, dir };
        server.wait();
        server
    }

    fn wait(&self) {
        wait_until("redis-server answers", || {
            let answer = self.cli(&["PING"]);
            answer.contains("PONG") || answer.contains("NOAUTH")
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What redis-cli prints for a command.
    pub(crate) fn cli(&self, command: &[&str]) -> String {
        run_cli(self.port, &self.cli, command)
    }

    /// The number of a field of `INFO`.
    pub(crate) fn info(&self, section: &str, field: &str) -> Option<u64> {
        let text = self.cli(&["INFO", section]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|value| value.parse().ok())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success(), "kill {name} {pid}");
    }

    /// Stops it from running, as a host that hangs does.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Kills it, which closes its connections.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port. It has what it keeps in files, which is nothing but
    /// the place in a cluster.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.arguments);
        self.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A test that failed shows what the server said.
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(15);
            eprintln!("redis-server on {}:\n{}", self.port, lines[from..].join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed by scripts/setup")
}

/// Runs redis-cli.
fn run_cli(port: u16, options: &[String], command: &[&str]) -> String {
    let mut cli = Command::new("redis-cli");
    cli.args(["-p", &port.to_string()]).args(options).args(command).stdin(Stdio::null());
    let output = cli.output().expect("redis-cli is installed by scripts/setup");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An authority, and what it issued, in PEM.
pub(crate) struct Certificates {
    dir: TempDir,
    pub(crate) ca: String,
    /// Of the client.
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    pub(crate) fn issue() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for its own issuer if their names are the same.
        ca.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        let (server, server_key) = issue("127.0.0.1");
        let (certificate, key) = issue("client");
        let issued = Self { dir: scratch(), ca: ca_pem, certificate, key };
        for (name, text) in [("ca.pem", &issued.ca), ("server.pem", &server), ("server-key.pem", &server_key)]
        {
            fs::write(issued.dir.path().join(name), text).unwrap();
        }
        issued
    }

    /// Options with the files, for redis-server or redis-cli.
    fn options(&self, names: [&str; 3]) -> Vec<String> {
        let files = ["ca.pem", "server.pem", "server-key.pem"];
        let path = |file| self.dir.path().join(file).display().to_string();
        names.iter().zip(files).flat_map(|(name, file)| [(*name).to_owned(), path(file)]).collect()
    }

    /// A server with TLS alone, which wants a certificate of the client.
    pub(crate) fn server(&self) -> RedisServer {
        self.server_at(free_port(), &[])
    }

    fn server_at(&self, port: u16, options: &[&str]) -> RedisServer {
        let port_option = port.to_string();
        let files = self.options(["--tls-ca-cert-file", "--tls-cert-file", "--tls-key-file"]);
        let mut all = vec!["--port", "0", "--tls-port", &port_option];
        all.extend(files.iter().map(String::as_str));
        all.extend(options);
        RedisServer::start(port, &all, self.cli(), scratch())
    }

    fn cli(&self) -> Vec<String> {
        let mut options = vec!["--tls".to_owned()];
        options.extend(self.options(["--cacert", "--cert", "--key"]));
        options
    }
}

/// A master, a replica, and three sentinels that watch them as `mymaster`.
pub(crate) struct SentinelSet {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) sentinels: Vec<RedisServer>,
}

impl SentinelSet {
    pub(crate) fn start() -> Self {
        let master = RedisServer::single();
        let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        let servers = vec![master, replica];
        wait_until("the replica is in sync", || {
            servers[1].cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(servers[0].port)).collect();
        let set = Self { servers, sentinels };
        wait_until("the sentinels know each other and the replica", || set.is_ready());
        set
    }

    /// Whether a failover can begin.
    pub(crate) fn is_ready(&self) -> bool {
        self.sentinels.iter().all(|sentinel| {
            let is_tilted = sentinel.info("sentinel", "sentinel_tilt") != Some(0);
            let state = sentinel.cli(&["SENTINEL", "MASTER", "mymaster"]);
            let value = |name: &str| {
                let mut lines = state.lines().skip_while(move |line| *line != name);
                lines.nth(1).map(str::to_owned)
            };
            !is_tilted
                && value("num-other-sentinels").as_deref() == Some("2")
                && value("num-slaves").as_deref() == Some("1")
                && value("flags").as_deref() == Some("master")
        }) && self.sentinels.iter().all(|sentinel| {
            let replicas = sentinel.cli(&["SENTINEL", "REPLICAS", "mymaster"]);
            replicas.lines().any(|line| line == "ok") && !replicas.contains("s_down")
        })
    }

    /// The place of the master in `servers`, as the first sentinel sees it.
    pub(crate) fn master(&self) -> usize {
        let answer = self.sentinels[0].cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]);
        let port: u16 = answer.lines().nth(1).and_then(|port| port.parse().ok()).unwrap();
        self.servers.iter().position(|server| server.port == port).unwrap()
    }

    pub(crate) fn nodes(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::address).collect()
    }
}

fn sentinel(master: u16) -> RedisServer {
    let dir = scratch();
    let port = free_port();
    let path = dir.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {dir}\nlogfile log\n\
         sentinel monitor mymaster 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds mymaster 1000\n\
         sentinel failover-timeout mymaster 6000\n",
        dir = dir.path().display(),
    );
    fs::write(&path, text).unwrap();
    let arguments = vec![path.display().to_string(), "--sentinel".to_owned()];
    let server = RedisServer { child: spawn(&arguments), port, arguments, cli: Vec::new(), dir };
    server.wait();
    server
}

/// Masters that share the slots of a cluster, and then their replicas.
pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Three masters.
    pub(crate) fn start() -> Self {
        Self::with_replicas(0)
    }

    /// Three masters, with so many replicas each.
    pub(crate) fn with_replicas(replicas: usize) -> Self {
        Self::with(replicas, None)
    }

    /// Three masters that listen with TLS alone.
    pub(crate) fn with_tls(certificates: &Certificates) -> Self {
        Self::with(0, Some(certificates))
    }

    fn with(replicas: usize, tls: Option<&Certificates>) -> Self {
        let ports = free_ports(3 * (1 + replicas) * 2);
        let node = |ports: &[u16]| {
            let (port, bus) = (ports[0].to_string(), ports[1].to_string());
            let mut options = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            options.extend(["--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf"]);
            match tls {
                Some(tls) => {
                    options.extend(["--tls-cluster", "yes"]);
                    tls.server_at(ports[0], &options)
                }
                None => {
                    options.extend(["--port", &port]);
                    RedisServer::start(ports[0], &options, Vec::new(), scratch())
                }
            }
        };
        let nodes: Vec<_> = ports.chunks(2).map(node).collect();
        let addresses: Vec<String> = nodes.iter().map(RedisServer::address).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        let replicas = replicas.to_string();
        create.extend(["--cluster-replicas", &replicas, "--cluster-yes"]);
        let said = nodes[0].cli(&create);
        assert!(said.contains("All 16384 slots covered"), "{said}");
        let cluster = Self { nodes };
        wait_until("the cluster is up", || cluster.is_up());
        wait_until("the replicas are in sync", || {
            cluster.nodes.iter().all(|node| {
                let state = node.cli(&["INFO", "replication"]);
                state.contains("role:master") || state.contains("master_link_status:up")
            })
        });
        cluster
    }

    /// The node that is the replica of this one now.
    pub(crate) fn replica_of(&self, master: usize) -> usize {
        let id = self.nodes[master].cli(&["CLUSTER", "MYID"]).trim().to_owned();
        let replica = || {
            let replicas = self.nodes[master].cli(&["CLUSTER", "REPLICAS", &id]);
            let is_named = |node: &RedisServer| replicas.contains(&format!("{}@", node.address()));
            self.nodes.iter().position(is_named)
        };
        // The nodes tell each other who replicates whom.
        wait_until("the master knows its replica", || replica().is_some());
        replica().unwrap()
    }

    fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    }

    /// Moves slots from one node to another.
    pub(crate) fn reshard(&self, from: usize, to: usize, slots: usize) {
        let id = |node: usize| self.nodes[node].cli(&["CLUSTER", "MYID"]).trim().to_owned();
        let said = self.nodes[from].cli(&[
            "--cluster",
            "reshard",
            &self.nodes[from].address(),
            "--cluster-from",
            &id(from),
            "--cluster-to",
            &id(to),
            "--cluster-slots",
            &slots.to_string(),
            "--cluster-yes",
            "--cluster-pipeline",
            "5",
        ]);
        assert!(!said.contains("ERR") && said.contains("Moving slot"), "{said}");
    }
}
