//! The cost of authentication: `huggate serve` with a session cookie and with an API
//! client's token, compared to the same binary with only public routes, interleaved in
//! one run; 1,000 routes compared to one; and forward auth. `cargo bench --bench proxy`
//!
//! Prints CPU time per request (user and system, of the proxy's process alone), the
//! 99th percentile of the latency under that load, and the median of the ratios of
//! neighbouring rounds. Only the ratios can be compared between machines.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use huggate::hub::{Client, Hub, Settings};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_millis(1500);
/// The proxy that answers forward auth.
const ASKED: &str = "asked";
/// Clock ticks of `/proc/PID/stat` per second, the same on every Linux.
const TICKS: f64 = 100.0;

/// A proxy's process; killed on drop.
struct Proxy {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that the benchmark runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(compare(if quick { 1 } else { ROUNDS }, if quick { ROUND / 10 } else { ROUND }))
}

async fn compare(rounds: usize, round: Duration) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let upstream = upstream().await?;
    let hub = Hub::start(TcpListener::bind("127.0.0.1:0").await?, Settings::default()).await?;
    let everybody = "[[route]]\npath = \"/**\"\npublic = true\n";
    let public = start(folder.path(), &hub, upstream, "public", "allow = \"anyone\"", everybody).await?;
    let members = "allow = [{ org = \"acme\" }]";
    let closed =
        start(folder.path(), &hub, upstream, "members", members, "[bearer]\nhub_tokens = true\n").await?;
    let asked = start(folder.path(), &hub, upstream, ASKED, members, "").await?;
    let one = start(folder.path(), &hub, upstream, "one", members, &routes(1)).await?;
    let thousand = start(folder.path(), &hub, upstream, "thousand", members, &routes(1_000)).await?;
    let cookie = sign_in(closed.addr).await?;
    let token = hub.token_of("ada").ok_or("nobody is called ada")?;
    let here = sign_in(asked.addr).await?;
    let host = asked.addr.to_string();
    let rows = [
        Row::new("everything public", &public, "/1k"),
        Row::new("signed in", &closed, "/1k").with("cookie", &cookie).against(0),
        Row::new("with a token", &closed, "/1k").with("authorization", &format!("Bearer {token}")).against(1),
        Row::new("signed in, 1 route", &one, "/part/1k").with("cookie", &sign_in(one.addr).await?),
        Row::new("signed in, 1,000", &thousand, "/part/1k")
            .with("cookie", &sign_in(thousand.addr).await?)
            .against(3),
        Row::new("asked by nginx", &asked, "/oauth2/auth")
            .with("cookie", &here)
            .with("x-original-method", "GET")
            .with("x-original-uri", "/1k")
            .with("x-forwarded-host", &host)
            .with("x-forwarded-proto", "https")
            .with("x-forwarded-for", "203.0.113.9")
            .against(1),
        Row::new("asked by Traefik", &asked, "/oauth2/auth/forward")
            .with("cookie", &here)
            .with("x-forwarded-method", "GET")
            .with("x-forwarded-uri", "/1k")
            .with("x-forwarded-host", &host)
            .with("x-forwarded-proto", "https")
            .with("x-forwarded-for", "203.0.113.9")
            .against(1),
        Row::new("asked by Envoy", &asked, "/oauth2/auth/envoy/1k")
            .with("cookie", &here)
            .with("x-forwarded-for", "203.0.113.9")
            .against(1),
    ];

    let mut costs: Vec<Vec<Cost>> = rows.iter().map(|_| Vec::new()).collect();
    for number in 0..=rounds {
        // Each round starts with another row.
        for index in (0..rows.len()).map(|index| (index + number) % rows.len()) {
            if let (Some(row), Some(costs)) = (rows.get(index), costs.get_mut(index)) {
                let cost = measure(row, round).await?;
                // The first round warms up.
                if number > 0 {
                    costs.push(cost);
                }
            }
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<20} {:>12} {:>16} {:>10}", "", "requests/s", "CPU µs/request", "p99 ms")?;
    for (row, costs) in rows.iter().zip(&costs) {
        let rate = median(costs.iter().map(|cost| cost.rate).collect());
        let cpu = median(costs.iter().map(|cost| cost.cpu).collect());
        let slowest = median(costs.iter().map(|cost| cost.slowest).collect());
        writeln!(out, "{:<20} {rate:>12.0} {cpu:>16.1} {slowest:>10.1}", row.name)?;
    }
    writeln!(out)?;
    for (row, with) in rows.iter().zip(&costs) {
        let Some((before, without)) =
            row.against.and_then(|index| Some((rows.get(index)?, costs.get(index)?)))
        else {
            continue;
        };
        let mut ratios: Vec<f64> =
            without.iter().zip(with).map(|(without, with)| with.cpu / without.cpu).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            ratios.get(ratios.len() * quarter / 4).or(ratios.last()).copied().unwrap_or_default()
        };
        writeln!(
            out,
            "CPU, {} / {}: {:.3} [{:.3} to {:.3}], {} paired rounds of {round:?}, {CONNECTIONS} connections",
            row.name,
            before.name,
            at(2),
            at(1),
            at(3),
            ratios.len(),
        )?;
    }
    Ok(())
}

/// A table of `count` routes; `/part/**` is the last one.
fn routes(count: usize) -> String {
    let others = (1..count).map(|number| format!("part-{number}"));
    let paths = others.chain(["part".to_owned()]);
    paths.map(|path| format!("[[route]]\npath = \"/{path}/**\"\nallow = [{{ org = \"acme\" }}]\n")).collect()
}

/// One kind of request to one of the proxies.
#[derive(Clone)]
struct Row<'a> {
    name: &'static str,
    proxy: &'a Proxy,
    ask: Ask,
    /// The row it is compared to.
    against: Option<usize>,
}

/// A request without its host.
#[derive(Clone)]
struct Ask {
    target: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Row<'a> {
    fn new(name: &'static str, proxy: &'a Proxy, target: &'static str) -> Self {
        Self { name, proxy, ask: Ask { target, headers: Vec::new() }, against: None }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.ask.headers.push((name, value.to_owned()));
        self
    }

    fn against(self, row: usize) -> Self {
        Self { against: Some(row), ..self }
    }
}

/// What a round cost.
struct Cost {
    /// Requests per second.
    rate: f64,
    /// Microseconds of the proxy's CPU time per request.
    cpu: f64,
    /// The 99th percentile of the latency, in milliseconds.
    slowest: f64,
}

/// Sends requests of one kind for a while.
#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
async fn measure(row: &Row<'_>, round: Duration) -> Result<Cost, Failure> {
    let proxy = row.proxy;
    let before = cpu(proxy.child.id())?;
    let began = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(proxy.addr, row.ask.clone(), began + round));
    }
    let mut times: Vec<Duration> = Vec::new();
    while let Some(client) = clients.join_next().await {
        times.extend(client??);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let used = cpu(proxy.child.id())? - before;
    let requests = times.len() as f64;
    times.sort_unstable();
    let slowest = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Cost { rate: requests / elapsed, cpu: used * 1e6 / requests, slowest: slowest.as_secs_f64() * 1e3 })
}

/// One connection, one request after another; how long each took.
async fn client(addr: SocketAddr, ask: Ask, end: Instant) -> Result<Vec<Duration>, Failure> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut times = Vec::new();
    let mut now = Instant::now();
    while now < end {
        let mut request =
            Request::builder().uri(ask.target).header("host", addr.to_string()).header("accept", "*/*");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut response = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
        if !response.status().is_success() {
            return Err(format!("{addr} answered {}", response.status()).into());
        }
        while let Some(frame) = response.frame().await {
            frame?;
        }
        let then = std::mem::replace(&mut now, Instant::now());
        times.push(now - then);
    }
    Ok(times)
}

/// An app that answers everything with 1 KiB.
async fn upstream() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from_static(
                    &[b'x'; 1024],
                ))))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Ok(addr)
}

/// Starts `huggate serve`, and waits until it accepts connections.
async fn start(
    folder: &std::path::Path,
    hub: &Hub,
    upstream: SocketAddr,
    name: &'static str,
    allow: &str,
    routes: &str,
) -> Result<Proxy, Failure> {
    // Released again, so that the proxy can bind the port.
    let addr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let client = name;
    hub.register(Client::confidential(client, "secret", name, &[&format!("http://{addr}/oauth2/callback")]));
    hub.consent("ada", client, &["acme"]);
    let path = folder.join(format!("{client}.toml"));
    std::fs::write(
        &path,
        format!(
            "public_url = \"http://{addr}\"\nlisten = \"{addr}\"\nupstream = \"http://{upstream}\"\n\
             [provider]\nissuer = \"{}\"\nclient_id = \"{client}\"\nclient_secret = \"secret\"\n\
             scope = \"openid profile email read-memberships\"\n\
             [session]\nsecret = \"{SECRET}\"\n[access]\n{allow}\n{routes}",
            hub.issuer()
        ),
    )?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
    if name == ASKED {
        command.env("HUGGATE_TRUSTED_PROXIES", "[\"127.0.0.1\"]");
    }
    let child =
        command.args(["serve", "--log", "warn", "--config"]).arg(&path).stdin(Stdio::null()).spawn()?;
    let proxy = Proxy { child, addr };
    for _ in 0..200 {
        if TcpStream::connect(addr).await.is_ok() {
            return Ok(proxy);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("huggate serve did not start".into())
}

/// Signs in through the proxy, and returns the session cookie.
async fn sign_in(addr: SocketAddr) -> Result<String, Failure> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let location = |response: &reqwest::Response| -> Result<String, Failure> {
        let location =
            response.headers().get("location").ok_or(format!("not redirected: {}", response.status()))?;
        Ok(location.to_str()?.to_owned())
    };
    let cookies = |response: &reqwest::Response| {
        let lines = response.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
        lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
    };
    let begun = http.get(format!("http://{addr}/")).header("accept", "text/html").send().await?;
    let consented = http.get(location(&begun)?).header("cookie", "hub_user=ada").send().await?;
    let done = http.get(location(&consented)?).header("cookie", cookies(&begun)).send().await?;
    let session = cookies(&done);
    session
        .split("; ")
        // The first one is the session; its name may have a port.
        .find(|pair| pair.starts_with("huggate"))
        .map(str::to_owned)
        .ok_or("no session".into())
}

/// CPU seconds that a process has used, user and system (proc(5)).
fn cpu(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
