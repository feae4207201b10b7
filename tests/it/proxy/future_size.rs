//! The size of a request's future.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use huggate::server::{Running, Server};
use huggate::upstream::{Upstream, UpstreamUrl};
use tokio::net::TcpListener;

use super::{echo_app, public_gate};
use crate::world::{self, raw};

#[tokio::test]
async fn rare_paths_are_boxed_out_of_the_request_future() {
    // A future is as large as its largest state, and it is moved. With connecting and
    // TLS inline it once took 100 kB, and requests cost twice as much.
    let (app, _) = echo_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let running = Running::default();
    let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let upstream = Upstream::new(&to_app, &running).unwrap();
    let proxy = huggate::proxy::Proxy::new(public_gate("http://x").await, upstream);
    let size = Arc::new(AtomicUsize::new(0));
    let measured = Arc::clone(&size);
    let service = move |request, context| {
        let (proxy, measured) = (proxy.clone(), Arc::clone(&measured));
        async move {
            let answer = proxy.handle(request, context);
            measured.store(size_of_val(&answer), Ordering::SeqCst);
            answer.await
        }
    };
    let server = Server::new(world::server(), running.clone()).unwrap();
    tokio::spawn(server.run(world::listeners(listener), service));
    let answer = raw(&address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let size = size.load(Ordering::SeqCst);
    assert!((1..3 * 1024).contains(&size), "a request's future takes {size} bytes");
}
