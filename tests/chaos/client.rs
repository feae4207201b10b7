//! Requests as browsers send them, and what matters of the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, COOKIE, DATE, HOST, HeaderMap, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};

/// How long an answer may take: more than every time limit of the gate and of nginx together.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    /// Whether it removes a cookie.
    pub(crate) removes_cookie: bool,
    pub(crate) body: String,
    location: String,
    cookies: BTreeMap<String, String>,
}

/// A client of the gate whose public address is `host`.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) host: String,
}

impl Client {
    pub(crate) fn new(host: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { http: http.build().unwrap(), host: host.to_owned() }
    }

    fn request(&self, address: &str, path: &str, cookie: &str) -> reqwest::RequestBuilder {
        let request = self.http.get(format!("http://{address}{path}"));
        request.header(HOST, &self.host).header(COOKIE, cookie)
    }

    /// Asks nginx or a replica, as a program does: without a session it gets a 401.
    pub(crate) async fn get(&self, address: &str, path: &str, cookie: &str) -> Result<Answer, String> {
        answer(self.request(address, path, cookie)).await
    }

    /// Signs out, as the form of a page does.
    pub(crate) async fn sign_out(&self, address: &str, cookie: &str) -> Result<(), String> {
        let form = self.http.post(format!("http://{address}/oauth2/sign_out"));
        let form = form.header(HOST, &self.host).header(ORIGIN, format!("http://{}", self.host));
        let answer = answer(form.header(COOKIE, cookie).header(ACCEPT, "text/html")).await?;
        if answer.status < 400 && answer.removes_cookie {
            return Ok(());
        }
        Err(format!("a sign-out: {}", answer.describe()))
    }

    /// How many seconds of the day the clock of a replica shows.
    pub(crate) async fn clock(&self, address: &str) -> i64 {
        let answer = self.request(address, "/oauth2/healthz", "").send().await.unwrap();
        let date = answer.headers()[DATE].to_str().unwrap().to_owned();
        let time = date.split(' ').nth(4).unwrap();
        time.split(':').fold(0, |total, part| total * 60 + part.parse::<i64>().unwrap())
    }

    /// Opens an event stream, and waits for its first event.
    pub(crate) async fn stream(&self, address: &str, cookie: &str) -> reqwest::Response {
        let mut stream = self.request(address, "/stream", cookie).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        assert!(stream.chunk().await.unwrap().is_some());
        stream
    }

    /// Signs a person in, each step at `address`; returns the cookies.
    ///
    /// # Errors
    /// The step, and its answer.
    pub(crate) async fn sign_in(&self, address: &str, user: &str) -> Result<String, String> {
        let page = self.request(address, "/", "").header(ACCEPT, "text/html");
        let begun = answer(page).await?.redirected("the beginning")?;
        let consent = self.http.get(&begun.location).header(COOKIE, format!("hub_user={user}"));
        let consented = answer(consent).await?.redirected("the consent")?;
        let Some(callback) = consented.location.strip_prefix(&format!("http://{}", self.host)) else {
            return Err(format!("returned to {}", consented.location));
        };
        let callback = self.request(address, callback, &joined(&begun.cookies)).header(ACCEPT, "text/html");
        let done = answer(callback).await?.redirected("the callback")?;
        Ok(joined(&done.cookies))
    }
}

impl Answer {
    fn redirected(self, step: &str) -> Result<Self, String> {
        if self.status == 302 || self.status == 303 {
            return Ok(self);
        }
        Err(format!("{step} of a sign-in: {}", self.describe()))
    }

    pub(crate) fn describe(&self) -> String {
        let start: String = self.body.chars().take(300).collect();
        format!("{} (removes a cookie: {}) {start:?}", self.status, self.removes_cookie)
    }

    /// What it says may be tried again.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == 503 && self.retry_after && !self.removes_cookie
    }
}

fn joined(cookies: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let answer = request.timeout(TIMEOUT).send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    let mut cookies = BTreeMap::new();
    let mut removes_cookie = false;
    for line in headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap();
        if value.is_empty() || attributes.contains("Max-Age=0") {
            removes_cookie = true;
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
    let text = |name, headers: &HeaderMap| -> String {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (location, retry_after) = (text(LOCATION, &headers), headers.contains_key(RETRY_AFTER));
    Ok(Answer { status, retry_after, removes_cookie, body, location, cookies })
}
