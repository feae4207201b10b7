//! The pages and the server function over a socket, with a provider in this process.

use std::error::Error;

use huggate::testing::{self, Role, SignedIn};
use huggate_leptos::{app, configure};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, COOKIE};

/// Starts the app; returns its address, and who is signed in.
async fn start() -> Result<(String, SignedIn), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let gate = configure(testing::gate().public_url(&url)).build().await?;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
    let app = app(&gate);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((url, ada))
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_public_page_is_rendered_with_and_without_somebody() -> Result<(), Box<dyn Error>> {
    let (url, ada) = start().await?;
    let page = http().get(&url).send().await?.text().await?;
    assert!(page.contains("Sign in</a>"), "{page}");
    let page = http().get(&url).header(COOKIE, ada.cookies()).send().await?.text().await?;
    assert!(page.contains("Signed in as ") && page.contains("ada"), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_page_for_members_asks_a_server_function() -> Result<(), Box<dyn Error>> {
    let (url, ada) = start().await?;
    let page = http().get(format!("{url}/groups"));
    let refused = page.try_clone().ok_or("a stream")?.send().await?;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let page = page.header(COOKIE, ada.cookies()).send().await?.text().await?;
    assert!(page.contains("acme, acme:admin"), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_server_function_knows_who_asks() -> Result<(), Box<dyn Error>> {
    let (url, ada) = start().await?;
    let groups = || http().post(format!("{url}/api/groups")).header(ACCEPT, "application/json");
    assert_eq!(groups().send().await?.status(), StatusCode::UNAUTHORIZED);
    let groups = groups().header(COOKIE, ada.cookies()).send().await?;
    assert_eq!(groups.text().await?, r#"["acme","acme:admin"]"#);
    Ok(())
}
