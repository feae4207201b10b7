//! SIGTERM and SIGINT: requests in flight are completed, and the exit status is 0.

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::world::{Serve, app, config, http, with_timeout};

#[tokio::test]
async fn requests_in_flight_are_completed_and_the_status_is_0() {
    let app = app().await;
    let route = "[[route]]\npath = \"/**\"\npublic = true\n";
    for signal in [Signal::TERM, Signal::INT] {
        let mut serve = Serve::start(&config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", route)).await;
        let url = format!("http://{}", serve.address);
        let slow = tokio::spawn(http().get(format!("{url}/slow")).send());
        // Once a later request has its response, this one is at the app.
        assert_eq!(serve.status("/").await, 200);
        serve.signal(signal);
        serve.wait_for_log("shutting down").await;
        with_timeout(async {
            while TcpStream::connect(&serve.address).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(http().get(format!("{app}/go")).send().await.unwrap().status(), 200);
        let answer = with_timeout(slow).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "fine");
        assert_eq!(serve.ended().await, Some(0));
    }
}

#[tokio::test]
async fn requests_past_the_drain_timeout_are_aborted_and_the_status_is_0() {
    let app = app().await;
    let rest = "timeouts.drain = \"200ms\"\n[[route]]\npath = \"/**\"\npublic = true\n";
    let mut serve = Serve::start(&config(&app, "http://127.0.0.1:1", "http://127.0.0.1:9", rest)).await;
    let mut stream = http().get(format!("http://{}/stream", serve.address)).send().await.unwrap();
    assert!(with_timeout(stream.chunk()).await.unwrap().is_some());
    serve.signal(Signal::TERM);
    serve.wait_for_log("did not finish within timeouts.drain").await;
    assert_eq!(serve.ended().await, Some(0));
    assert!(with_timeout(stream.chunk()).await.is_err(), "an aborted stream looks complete");
}
