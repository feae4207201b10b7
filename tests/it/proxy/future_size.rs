//! How much room a request takes while it is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use huggate::server::{Running, Server};
use huggate::upstream::{Upstream, UpstreamUrl};
use tokio::net::TcpListener;

use super::{public_gate, telling};
use crate::world::{self, raw};

#[tokio::test]
async fn what_is_seldom_done_takes_no_room_in_every_request() {
    // A future is as large as the most that it may have to hold, and is moved about.
    // Dialling and TLS in it once made it 100 kB, and a request twice as expensive.
    let (app, _) = telling().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let running = Running::default();
    let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let upstream = Upstream::new(&to_app, running.tasks.clone(), running.stop.clone()).unwrap();
    let proxy = huggate::proxy::Proxy::new(public_gate("http://x").await, upstream);
    let size = Arc::new(AtomicUsize::new(0));
    let measured = Arc::clone(&size);
    let service = move |request| {
        let (proxy, measured) = (proxy.clone(), Arc::clone(&measured));
        async move {
            let answer = proxy.handle(request);
            measured.store(size_of_val(&answer), Ordering::SeqCst);
            answer.await
        }
    };
    let server = Server::new(world::server(), running.clone()).unwrap();
    tokio::spawn(server.run(world::listeners(listener), service));
    let answer = raw(&address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let size = size.load(Ordering::SeqCst);
    assert!((1..12 * 1024).contains(&size), "a request's future takes {size} bytes");
}
