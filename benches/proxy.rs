//! What knowing who asks costs: `huggate serve` with a session cookie, and with an
//! API client's token, against the same binary with everything public, interleaved
//! in one run. `cargo bench --bench proxy`
//!
//! Printed are CPU per request (user and system, of the proxy's process alone)
//! and the median of the ratios of neighbouring rounds. Machines are noisy:
//! only the ratios mean something elsewhere.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// Clock ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// A proxy's process; ends with this value.
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
    // `cargo test --benches` only wants to know that it runs.
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
    let cookie = sign_in(closed.addr).await?;
    let token = hub.token_of("ada").ok_or("nobody is called ada")?;
    let rows = [
        Row { name: "everything public", proxy: &public, credential: None },
        Row { name: "signed in", proxy: &closed, credential: Some(("cookie", cookie)) },
        Row {
            name: "with a token",
            proxy: &closed,
            credential: Some(("authorization", format!("Bearer {token}"))),
        },
    ];

    let mut costs: Vec<Vec<Cost>> = rows.iter().map(|_| Vec::new()).collect();
    for number in 0..=rounds {
        // Whoever goes first in a round goes last in the next.
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
    writeln!(out, "\n{:<20} {:>12} {:>16}", "", "requests/s", "CPU µs/request")?;
    for (row, costs) in rows.iter().zip(&costs) {
        let rate = median(costs.iter().map(|cost| cost.rate).collect());
        let cpu = median(costs.iter().map(|cost| cost.cpu).collect());
        writeln!(out, "{:<20} {rate:>12.0} {cpu:>16.1}", row.name)?;
    }
    writeln!(out)?;
    // Each against the one before it.
    for (pair, costs) in rows.windows(2).zip(costs.windows(2)) {
        let ([before, row], [without, with]) = (pair, costs) else { continue };
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

/// A way to ask one of the proxies.
struct Row<'a> {
    name: &'static str,
    proxy: &'a Proxy,
    /// A header that says who asks.
    credential: Option<(&'static str, String)>,
}

/// What a round cost.
struct Cost {
    /// Requests a second.
    rate: f64,
    /// Microseconds of the proxy's CPU for each.
    cpu: f64,
}

/// Asks in one way for a while.
#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
async fn measure(row: &Row<'_>, round: Duration) -> Result<Cost, Failure> {
    let proxy = row.proxy;
    let done = Arc::new(AtomicU64::new(0));
    let before = cpu(proxy.child.id())?;
    let began = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(proxy.addr, row.credential.clone(), began + round, Arc::clone(&done)));
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let requests = done.load(Ordering::Relaxed) as f64;
    let rate = requests / began.elapsed().as_secs_f64();
    Ok(Cost { rate, cpu: (cpu(proxy.child.id())? - before) * 1e6 / requests })
}

/// One connection, one request after another.
async fn client(
    addr: SocketAddr,
    credential: Option<(&'static str, String)>,
    end: Instant,
    done: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    while Instant::now() < end {
        let mut request =
            Request::builder().uri("/1k").header("host", addr.to_string()).header("accept", "*/*");
        if let Some((name, value)) = &credential {
            request = request.header(*name, value);
        }
        let mut response = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
        if response.status() != 200 {
            return Err(format!("{addr} answered {}", response.status()).into());
        }
        while let Some(frame) = response.frame().await {
            frame?;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
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

/// `huggate serve`, once it answers.
async fn start(
    folder: &std::path::Path,
    hub: &Hub,
    upstream: SocketAddr,
    name: &'static str,
    allow: &str,
    routes: &str,
) -> Result<Proxy, Failure> {
    // Bound and let go: the port is free for the proxy a moment later.
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
    let child = Command::new(env!("CARGO_BIN_EXE_huggate"))
        .args(["serve", "--log", "warn", "--config"])
        .arg(&path)
        .stdin(Stdio::null())
        .spawn()?;
    let proxy = Proxy { child, addr };
    for _ in 0..200 {
        if TcpStream::connect(addr).await.is_ok() {
            return Ok(proxy);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("huggate serve did not start".into())
}

/// Goes the whole way through the proxy; returns the session's cookie.
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
        .find(|pair| pair.starts_with("huggate="))
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
