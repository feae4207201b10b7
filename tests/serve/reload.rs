//! Configuration, secrets and certificates are reloaded while requests are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::header::COOKIE;
use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::world::{Serve, app, config, http, hub, sign_in, with_timeout};

const TAKEN: &str = "the configuration was reloaded";
const NOT_TAKEN: &str = "reloading failed";

fn public(path: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\npublic = true\n")
}

#[tokio::test]
async fn a_signal_or_a_changed_file_replaces_the_rules_and_drops_no_request() {
    let app = app().await;
    let text = |rest: &str| config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", rest);
    let mut serve = Serve::start(&text(&public("/a"))).await;
    assert_eq!((serve.status("/a").await, serve.status("/b").await), (200, 401));

    // Clients that send requests all the time, on reused connections.
    let (stop, failed, asked) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, failed, asked) = (Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&asked));
            let url = format!("http://{}/a", serve.address);
            tokio::spawn(async move {
                let http = http();
                while !stop.load(Ordering::SeqCst) {
                    let fine = http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200);
                    failed.fetch_add(usize::from(!fine), Ordering::SeqCst);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    // First by signal, then by the file's change alone.
    serve.write(&text(&format!("{}{}", public("/a"), public("/b"))));
    serve.signal(Signal::HUP);
    serve.wait_for_log(TAKEN).await;
    assert_eq!(serve.status("/b").await, 200);
    serve.write(&text(&format!("{}{}", public("/a"), public("/c"))));
    serve.wait_for_log(TAKEN).await;
    assert_eq!((serve.status("/b").await, serve.status("/c").await), (401, 200));

    for (bad, said) in [
        ("public_url = ", "not TOML"),
        ("[[route]]\npath = \"/d\"\npublik = true\n", "did you mean"),
        ("[tls]\ncert_file = \"missing\"\nkey_file = \"missing\"\n", "missing"),
    ] {
        serve.write(&text(&format!("{}{bad}", public("/d"))));
        serve.wait_for_log(said).await;
        serve.wait_for_log(NOT_TAKEN).await;
        assert_eq!((serve.status("/c").await, serve.status("/d").await), (200, 401), "{bad}");
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        with_timeout(client).await.unwrap();
    }
    assert!(asked.load(Ordering::SeqCst) > 20);
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {asked:?} requests");
}

#[tokio::test]
async fn reloads_keep_sessions_and_signed_out_ones_stay_signed_out() {
    let (app, hub) = (app().await, hub().await);
    // The public URL contains the port, so it has to be known beforehand.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, crate::world::SECRET).unwrap();
    let text = |rest: &str| {
        config(&app, hub.issuer(), &url, rest).replace("127.0.0.1:0", &format!("127.0.0.1:{port}")).replace(
            &format!("session.secret = \"{}\"", crate::world::SECRET),
            &format!("session.secret_file = {secret:?}"),
        )
    };
    let mut serve = Serve::start(&text("")).await;
    let (gone, stays) = (sign_in(&url).await, sign_in(&url).await);
    let status = async |path: &str, cookies: &str| {
        let answer = http().get(format!("{url}{path}")).header(COOKIE, cookies).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!((status("/", &gone).await, status("/", &stays).await), (200, 200));
    status("/oauth2/sign_out", &gone).await;
    assert_eq!(status("/", &gone).await, 401);
    // Streams that are open at a reload are reauthorized with the new rules.
    let mut stream = http().get(format!("{url}/stream")).header(COOKIE, &stays).send().await.unwrap();
    assert!(with_timeout(stream.chunk()).await.unwrap().is_some());

    // New sessions are sealed with the new secret; the old one still opens sessions.
    let other = "6f".repeat(32);
    std::fs::write(&secret, format!("{other}\n{}\n", crate::world::SECRET)).unwrap();
    serve.wait_for_log(TAKEN).await;
    assert_eq!((status("/", &gone).await, status("/", &stays).await), (401, 200));
    let open = tokio::time::timeout(std::time::Duration::from_millis(300), stream.chunk()).await;
    assert!(open.is_err(), "the stream is still allowed, and was closed: {open:?}");

    serve.write(&text("").replace("{ org = \"acme\" }", "{ org = \"another\" }"));
    serve.wait_for_log(TAKEN).await;
    assert_eq!(status("/", &stays).await, 403);
    assert!(!matches!(with_timeout(stream.chunk()).await, Ok(Some(_))), "the stream was not closed");
}

#[tokio::test]
async fn streams_of_a_public_route_are_closed_when_it_is_no_longer_public() {
    let app = app().await;
    let text = |rest: &str| config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", rest);
    let closed = "[[route]]\npath = \"/**\"\nallow = [{ user = \"ada\" }]\n";
    let mut serve = Serve::start(&text(&public("/**"))).await;
    let mut stream = http().get(format!("http://{}/stream", serve.address)).send().await.unwrap();
    assert!(with_timeout(stream.chunk()).await.unwrap().is_some());
    // An unrelated change does not affect it.
    serve.write(&text(&format!("timeouts.idle = \"70s\"\n{}", public("/**"))));
    serve.wait_for_log(TAKEN).await;
    let open = tokio::time::timeout(std::time::Duration::from_millis(300), stream.chunk()).await;
    assert!(open.is_err(), "{open:?}");
    serve.write(&text(closed));
    serve.wait_for_log(TAKEN).await;
    assert!(!matches!(with_timeout(stream.chunk()).await, Ok(Some(_))), "the stream was not closed");
}

#[tokio::test]
async fn listen_addresses_are_added_and_removed() {
    let app = app().await;
    let text = |listen: &str| {
        let text = config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", &public("/a"));
        text.replace("listen = \"127.0.0.1:0\"", &format!("listen = {listen}"))
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let unix = format!("unix:{}", socket.display());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let mut serve = Serve::start(&text(&format!("[{port:?}]"))).await;
    assert_eq!(serve.status("/a").await, 200);
    serve.write(&text(&format!("[{port:?}, {unix:?}]")));
    serve.wait_for_log(TAKEN).await;
    assert!(tokio::net::UnixStream::connect(&socket).await.is_ok());
    assert_eq!(serve.status("/a").await, 200);
    // An address that cannot be bound changes nothing.
    serve.write(&text(&format!("[{port:?}, \"unix:{}/no/folder\"]", folder.path().display())));
    serve.wait_for_log("the folder does not exist").await;
    serve.wait_for_log(NOT_TAKEN).await;
    assert!(tokio::net::UnixStream::connect(&socket).await.is_ok());
    serve.write(&text(&format!("[{port:?}]")));
    serve.wait_for_log(TAKEN).await;
    with_timeout(async {
        while socket.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(serve.status("/a").await, 200);
}
