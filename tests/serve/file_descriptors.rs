//! File descriptors: their limit, and sockets that systemd passes.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use tokio::net::TcpStream;
use tokio::process::Command;

use crate::world::{Serve, app, config};

const PUBLIC: &str = "[[route]]\npath = \"/**\"\npublic = true\n";

/// Runs `huggate serve` from a shell that first runs `before`.
fn from_shell(before: &str, config: &std::path::Path) -> Command {
    let mut command = Command::new("sh");
    let huggate = env!("CARGO_BIN_EXE_huggate");
    command.arg("-c").arg(format!("{before} exec \"$0\" serve --config \"$1\"")).arg(huggate).arg(config);
    command
}

#[tokio::test]
async fn sockets_from_systemd_replace_listen() {
    let app = app().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", PUBLIC)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // A client that connects before the service starts is served once it runs.
    let early = tokio::spawn(reqwest::get(format!("http://{address}/early")));
    let shell = "exec 3<&0; export LISTEN_PID=$$ LISTEN_FDS=1;";
    let serve = Serve::start_as(&mut from_shell(shell, &path), Some(OwnedFd::from(listener)), &path).await;
    assert_eq!(serve.address, address);
    assert_eq!(serve.status("/").await, 200);
    assert_eq!(early.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn silent_connections_cannot_exhaust_the_descriptors() {
    let app = app().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", PUBLIC)).unwrap();
    let mut command = from_shell("ulimit -n 128;", &path);
    let serve = Serve::start_as(&mut command, None, &path).await;
    assert_eq!(serve.status("/").await, 200);
    // More silent clients than there are descriptors.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&serve.address).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(serve.status("/").await, 200);
    }
    drop(silent);
    assert_eq!(serve.status("/").await, 200);
}
