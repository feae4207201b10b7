//! The cost of the gate alone, without sockets. `cargo bench --bench decide`
//!
//! - `public`: an anonymous request for a public route, the lower bound.
//! - `signed in`: the session is cached, as for all but the first request.
//! - `with a token`: an API client whose token was checked less than a minute ago.
//! - `opened anew`: the cookie is decrypted and parsed, and the headers are rendered.
//!   Without the assertion, which takes about 30 µs to sign, once in four minutes per
//!   session.
//! - `the layer`: the same as `signed in`, through the Tower layer, and the service behind
//!   it alone. The difference is printed at the end; it should be at most 2 µs.
//! - `clone`: a `Gate` and a `User`, each one atomic increment.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use huggate::authn::BearerSettings;
use huggate::clock::Clock;
use huggate::explain::TestSubject;
use huggate::hub::{Client, Hub, Settings};
use huggate::identity::AssertionSettings;
use huggate::{Gate, GateBuilder, Route, Rule};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let hub = runtime.block_on(hub())?;
    let gate = runtime.block_on(builder(&hub).build())?;
    let cookie = runtime.block_on(sign_in(&gate))?;
    let off = || AssertionSettings::default().enabled(false);
    let unsigned = runtime.block_on(builder(&hub).assertion(off()).build())?;
    let forgetful = runtime
        .block_on(builder(&hub).assertion(off()).session(|session| session.cached_sessions = 0).build())?;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("gate");
    let public = || request("/public/x", None);
    let signed_in = || request("/x", Some(&cookie));
    let token = format!("Bearer {}", hub.token_of("ada").ok_or("nobody is called ada")?);
    let with_token = || {
        let mut request = request("/x", None);
        request.headers_mut().insert("authorization", token.parse().unwrap_or(HeaderValue::from_static("")));
        request
    };
    // Checks the token. The result is cached for a minute, which is enough here.
    runtime.block_on(gate.handle(with_token(), app))?;
    let _runtime = runtime.enter();
    let batch = BatchSize::SmallInput;
    group.bench_function("public", |b| b.iter_batched(public, |request| handle(&gate, request), batch));
    group.bench_function("signed in", |b| b.iter_batched(signed_in, |request| handle(&gate, request), batch));
    group.bench_function("with a token", |b| {
        b.iter_batched(with_token, |request| handle(&gate, request), batch)
    });
    group.bench_function("signed in, no assertion", |b| {
        b.iter_batched(signed_in, |request| handle(&unsigned, request), batch);
    });
    group.bench_function("opened anew, no assertion", |b| {
        b.iter_batched(signed_in, |request| handle(&forgetful, request), batch);
    });
    let alone = service_fn(app);
    let behind = gate.layer().layer(alone);
    group.bench_function("the service alone", |b| b.iter_batched(signed_in, |r| call(&alone, r), batch));
    group.bench_function("the layer, signed in", |b| b.iter_batched(signed_in, |r| call(&behind, r), batch));
    let user = TestSubject::named("ada")?.user();
    group.bench_function("clone a gate", |b| b.iter(|| gate.clone()));
    group.bench_function("clone a user", |b| b.iter(|| user.clone()));
    group.finish();
    print_difference(&signed_in, |r| call(&alone, r), |r| call(&behind, r));
    criterion.final_summary();
    Ok(())
}

async fn hub() -> Result<Hub, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let hub = Hub::start(listener, Settings::default()).await?;
    hub.register(Client::confidential(
        "bench",
        "secret",
        "Benchmark",
        &["http://127.0.0.1:1/oauth2/callback"],
    ));
    hub.consent("ada", "bench", &["acme", "example-labs"]);
    Ok(hub)
}

fn builder(hub: &Hub) -> GateBuilder {
    Gate::builder()
        .public_url("http://127.0.0.1:1")
        .issuer(hub.issuer())
        .client("bench", "secret")
        .secret(SECRET)
        .scope("openid profile email read-memberships")
        .allow(Rule::org("acme"))
        .bearer(BearerSettings::default())
        .clock(Clock::system())
        .route(Route::public("/public/**"))
}

/// Signs in, and returns the session cookie.
async fn sign_in(gate: &Gate) -> Result<String, Failure> {
    let (mut parts, body) = request("/x", None).into_parts();
    parts.headers.insert("sec-fetch-mode", "navigate".parse()?);
    let begun = gate.handle(Request::from_parts(parts, body), app).await?;
    let authorize = begun.headers().get("location").ok_or("not redirected")?.to_str()?.to_owned();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let consented = http.get(authorize).header("cookie", "hub_user=ada").send().await?;
    let callback = consented.headers().get("location").ok_or("the stand-in asks for consent")?.to_str()?;
    let callback = callback.strip_prefix("http://127.0.0.1:1").ok_or("the callback is elsewhere")?;
    let done = gate.handle(request(callback, Some(&cookies(&begun))), app).await?;
    let session = cookies(&done);
    session
        .split("; ")
        // The first one is the session; its name may have a port.
        .find(|pair| pair.starts_with("huggate"))
        .map(str::to_owned)
        .ok_or("no session".into())
}

fn cookies<B>(response: &Response<B>) -> String {
    let lines = response.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

/// A request with the headers that a browser sends.
fn request(target: &str, cookie: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .uri(target)
        .header("host", "127.0.0.1:1")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0",
        )
        .header("accept", "*/*")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("accept-language", "en-GB,en;q=0.9")
        .header("referer", "http://127.0.0.1:1/")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-dest", "empty");
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("theme=dark; {cookie}; _ga=GA1.1.1234567890.1234567890"));
    }
    request.body(Full::default()).unwrap_or_default()
}

async fn app(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    black_box(&request);
    Ok(Response::default())
}

/// Prints what the layer adds to a service: the best of many short rounds of each, which other
/// processes disturb least.
#[expect(clippy::print_stdout, reason = "a benchmark prints its result")]
fn print_difference(
    request: &impl Fn() -> Request<Full<Bytes>>,
    alone: impl Fn(Request<Full<Bytes>>) -> u16,
    behind: impl Fn(Request<Full<Bytes>>) -> u16,
) {
    const ROUND: u32 = 200;
    let round = |handle: &dyn Fn(Request<Full<Bytes>>) -> u16| {
        let requests: Vec<_> = (0..ROUND).map(|_| request()).collect();
        let begun = Instant::now();
        for request in requests {
            black_box(handle(request));
        }
        begun.elapsed() / ROUND
    };
    let (mut least_alone, mut least_behind) = (Duration::MAX, Duration::MAX);
    for _ in 0..500 {
        least_alone = least_alone.min(round(&alone));
        least_behind = least_behind.min(round(&behind));
    }
    let added = least_behind.saturating_sub(least_alone);
    println!("the layer adds {added:?} to a signed-in request ({least_alone:?} without it)");
}

fn call<S, B>(service: &S, request: Request<Full<Bytes>>) -> u16
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
{
    match service.clone().call(request).now_or_never() {
        Some(Ok(response)) => response.status().as_u16(),
        Some(Err(never)) => match never {},
        None => 0,
    }
}

/// The gate never waits here, so a single poll completes it.
fn handle(gate: &Gate, request: Request<Full<Bytes>>) -> u16 {
    match gate.handle(request, app).now_or_never() {
        Some(Ok(response)) => response.status().as_u16(),
        Some(Err(never)) => match never {},
        None => 0,
    }
}
