//! Request smuggling: one request on the wire is at most one request at the app.

use crate::world::{FRONTS, World, raw};

#[tokio::test]
async fn an_ambiguously_framed_request_reaches_the_app_at_most_once() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let public = huggate::Route::public("/public/**");
            gate.allow(huggate::Rule::org("acme")).route(public)
        })
        .await;
        let inner = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n";
        for head in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nContent-Length: 39\r\n",
            "Content-Length: 0, 39\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0x0\r\n",
            "Content-Length: -1\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "X: a\r\n Transfer-Encoding: chunked\r\n",
            "X-Forwarded-User : ada\r\n",
            "X: a\rX-Forwarded-User: ada\r\n",
            "X: a\0b\r\n",
            ": ada\r\n",
            "X Y: z\r\n",
        ] {
            let before = world.app.calls();
            let request = format!("POST /public/x HTTP/1.1\r\nHost: a\r\n{head}\r\n0\r\n\r\n{inner}");
            let answer = raw(&world.address, request.as_bytes()).await;
            let passed = world.app.calls() - before;
            assert!(passed <= 1, "{head:?} reached the app {passed} times");
            assert!(!answer.contains("\"/secret\""), "{head:?}: {answer}");
            assert!(passed == 0 || answer.matches("x-from-app").count() == 1, "{head:?}: {answer}");
            assert!(!answer.contains("x-forwarded-user"), "{head:?}: {answer}");
        }
    }
}
