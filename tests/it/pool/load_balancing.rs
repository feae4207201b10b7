//! Load balancing, ejection and health checks over several addresses of one app.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use huggate::upstream::HealthPath;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::{Http2App, get, proxy_for, reply};
use crate::proxy::{ScriptedApp, read_head, read_until, with_timeout};
use crate::world::raw;

/// An app that answers with its name until it is killed.
struct Named {
    address: SocketAddr,
    name: &'static str,
    asked: Arc<AtomicUsize>,
    /// Whether its health endpoint reports success.
    well: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Named {
    async fn start(name: &'static str) -> Self {
        let mut app = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            name,
            asked: Arc::default(),
            well: Arc::new(AtomicBool::new(true)),
            tasks: JoinSet::new(),
        };
        app.serve();
        app
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Listens, also again at the same address after it was killed.
    fn serve(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1024).unwrap();
        self.address = listener.local_addr().unwrap();
        let (name, asked, well) = (self.name, Arc::clone(&self.asked), Arc::clone(&self.well));
        self.tasks.spawn(accept(listener, name, asked, well));
    }

    /// Breaks all connections at once.
    async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, name: &'static str, asked: Arc<AtomicUsize>, well: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let (asked, well) = (Arc::clone(&asked), Arc::clone(&well));
        connections.spawn(async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                let health = head.starts_with("GET /health ");
                if !health {
                    asked.fetch_add(1, Ordering::SeqCst);
                }
                let status = if health && !well.load(Ordering::SeqCst) { "503 No" } else { "200 OK" };
                let length = name.len();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{name}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Sends requests one after the other, and counts the answers by app.
async fn ask(address: &str, times: usize) -> HashMap<String, usize> {
    let mut answers = HashMap::new();
    for _ in 0..times {
        let answer = raw(address, &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        *answers.entry(answer.rsplit("\r\n").next().unwrap().to_owned()).or_default() += 1;
    }
    answers
}

#[tokio::test]
async fn idle_endpoints_take_turns_and_busy_ones_get_less() {
    let (one, other) = (Named::start("one").await, Named::start("other").await);
    let first_proxy = proxy_for(&[one.url(), other.url()], |_| {}).await;
    assert_eq!(ask(&first_proxy.address, 10).await, [("one".to_owned(), 5), ("other".to_owned(), 5)].into());
    // An endpoint with a request in flight gets no more.
    let (slow, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}"), other.url()], |_| {}).await;
    let _first = proxy.open(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut second = proxy.open(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = slow.request().await;
    read_until(&mut second, "other").await;
    assert_eq!(ask(&proxy.address, 10).await, [("other".to_owned(), 10)].into());
    // The request is in flight until its response is complete.
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsl").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ask(&proxy.address, 10).await, [("other".to_owned(), 10)].into());
}

#[tokio::test]
async fn a_refused_connection_fails_over_and_the_endpoint_comes_back() {
    let (mut one, other) = (Named::start("one").await, Named::start("other").await);
    let proxy = proxy_for(&[one.url(), other.url()], |_| {}).await;
    one.kill().await;
    // Also a POST, because nothing was sent.
    for _ in 0..4 {
        let post = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        assert!(raw(&proxy.address, post).await.ends_with("other"));
    }
    one.serve();
    // It is ejected for a second, and then probed by one request.
    let back = with_timeout(async {
        while one.asked() == 0 {
            ask(&proxy.address, 1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    back.await;
    assert_eq!(ask(&proxy.address, 10).await["one"], 5);
}

#[tokio::test]
async fn restarting_one_of_two_endpoints_under_load_fails_no_request() {
    let (mut one, other) = (Named::start("one").await, Named::start("other").await);
    let proxy = proxy_for(&[one.url(), other.url()], |_| {}).await;
    let (done, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (address, stop) = (proxy.address.clone(), Arc::clone(&stop));
        let (done, failed) = (Arc::clone(&done), Arc::clone(&failed));
        load.spawn(async move {
            let mut client = TcpStream::connect(&address).await.unwrap();
            while !stop.load(Ordering::SeqCst) {
                client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                let head = read_head(&mut client).await;
                let length: usize = head
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
                let mut body = vec![0; length];
                tokio::io::AsyncReadExt::read_exact(&mut client, &mut body).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
                if !head.starts_with("HTTP/1.1 200") {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    let more = async |requests: usize| {
        let goal = done.load(Ordering::SeqCst) + requests;
        with_timeout(async {
            while done.load(Ordering::SeqCst) < goal {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    for _ in 0..3 {
        more(300).await;
        one.kill().await;
        more(300).await;
        one.serve();
        let before = one.asked();
        with_timeout(async {
            while one.asked() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    stop.store(true, Ordering::SeqCst);
    while load.join_next().await.transpose().unwrap().is_some() {}
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_does_not_fail_over() {
    let (app, address) = ScriptedApp::start().await;
    let (second, other) = ScriptedApp::start().await;
    for (method, status) in [("POST", "502"), ("PATCH", "502"), ("DELETE", "200")] {
        let proxy = proxy_for(&[format!("http://{address}"), format!("http://{other}")], |_| {}).await;
        let request = format!("{method} / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let mut client = proxy.open(request.as_bytes()).await;
        let (upstream, request) = app.request().await;
        assert!(request.starts_with(method), "{request}");
        drop(upstream);
        if status == "200" {
            let (mut upstream, _) = second.request().await;
            upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
        assert!(read_head(&mut client).await.starts_with(&format!("HTTP/1.1 {status}")), "{method}");
        let again = tokio::time::timeout(Duration::from_millis(200), second.request()).await;
        assert!(again.is_err(), "{method} was sent again");
    }
}

#[tokio::test]
async fn when_all_endpoints_are_ejected_all_are_tried() {
    let (mut one, mut other) = (Named::start("one").await, Named::start("other").await);
    let proxy = proxy_for(&[one.url(), other.url()], |_| {}).await;
    one.kill().await;
    other.kill().await;
    assert!(raw(&proxy.address, &get("/")).await.starts_with("HTTP/1.1 502"));
    // Long before either ejection ends.
    other.serve();
    let began = Instant::now();
    assert_eq!(ask(&proxy.address, 1).await["other"], 1);
    assert!(began.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn an_unhealthy_endpoint_gets_no_requests_until_it_is_healthy() {
    let (one, other) = (Named::start("one").await, Named::start("other").await);
    one.well.store(false, Ordering::SeqCst);
    let proxy = proxy_for(&[one.url(), other.url()], |upstream| {
        upstream.default.health = Some(HealthPath::parse("/health").unwrap());
    })
    .await;
    // One failed check is not enough; the second comes after five seconds.
    assert_eq!(ask(&proxy.address, 10).await["one"], 5);
    let settled = async |expected: usize| {
        with_timeout(async {
            while ask(&proxy.address, 10).await.get("one").copied().unwrap_or(0) != expected {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    };
    settled(0).await;
    one.well.store(true, Ordering::SeqCst);
    settled(5).await;
}

#[tokio::test]
async fn http2_and_unix_socket_endpoints_are_balanced_too() {
    let app = Http2App::start(|_| async { reply("h2") }, |_| {}).await;
    let other = Named::start("h1").await;
    let proxy = proxy_for(&[app.url(), other.url(), "unix:/nowhere/at/all".to_owned()], |_| {}).await;
    let answers = ask(&proxy.address, 20).await;
    assert!(answers["h2"] >= 8 && answers["h1"] >= 8, "{answers:?}");
}
