//! SIGTERM: what is under way is finished, and the status is 0.

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::world::{Serve, app, config, http, patiently};

#[tokio::test]
async fn what_is_under_way_is_finished_and_the_status_is_0() {
    let app = app().await;
    let route = "[[route]]\npath = \"/**\"\npublic = true\n";
    for signal in [Signal::TERM, Signal::INT] {
        let mut serve = Serve::start(&config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", route)).await;
        let url = format!("http://{}", serve.address);
        let slow = tokio::spawn(http().get(format!("{url}/slow")).send());
        // On the way to the app, once another request on another connection is back.
        assert_eq!(serve.status("/").await, 200);
        serve.signal(signal);
        serve.logged("shutting down").await;
        patiently(async {
            while TcpStream::connect(&serve.address).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(http().get(format!("{app}/go")).send().await.unwrap().status(), 200);
        let answer = patiently(slow).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "fine");
        assert_eq!(serve.ended().await, Some(0));
    }
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_is_cut_and_the_status_is_0() {
    let app = app().await;
    let rest = "timeouts.drain = \"200ms\"\n[[route]]\npath = \"/**\"\npublic = true\n";
    let mut serve = Serve::start(&config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", rest)).await;
    let mut stream = http().get(format!("http://{}/stream", serve.address)).send().await.unwrap();
    assert!(patiently(stream.chunk()).await.unwrap().is_some());
    serve.signal(Signal::TERM);
    serve.logged("did not finish within timeouts.drain").await;
    assert_eq!(serve.ended().await, Some(0));
    assert!(patiently(stream.chunk()).await.is_err(), "a cut stream looks complete");
}
