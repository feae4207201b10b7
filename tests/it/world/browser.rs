//! A browser: cookies, Fetch Metadata, redirects.

use std::collections::HashMap;

use url::Url;

use super::wire::{Answer, Ask, send};
use super::{CLIENT, World};

/// The maximum number of consecutive redirects.
const MAX_REDIRECTS: usize = 20;
/// RFC 6265bis, section 5.6: a longer cookie is not stored.
const MAX_COOKIE: usize = 4096;

/// A browser with its own cookies.
pub(crate) struct Browser<'w> {
    world: &'w World,
    /// Cookies by origin: name and value, in the order they came.
    jars: HashMap<String, Vec<(String, String)>>,
    /// Cookies with this name prefix are dropped, as by a user who blocks cookies or by a
    /// proxy that loses them.
    pub(crate) refused: Option<String>,
    /// The URL of the last page.
    pub(crate) url: Url,
    /// Every URL that was opened before the last page.
    pub(crate) trail: Vec<Url>,
}

impl<'w> Browser<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let url = Url::parse(&world.public_url).unwrap();
        Self { world, jars: HashMap::new(), refused: None, url, trail: Vec::new() }
    }

    /// Opens a page in a tab and follows its redirects to the end.
    pub(crate) async fn open(&mut self, address: &str) -> Answer {
        self.open_as(Ask::navigation(address)).await
    }

    /// Like `open`, with another request; redirects are followed with GET.
    pub(crate) async fn open_as(&mut self, ask: Ask) -> Answer {
        self.trail.clear();
        let mut url = self.absolute(ask.target());
        let mut answer = self.ask_at(&url, ask).await;
        let mut site = "none";
        for _ in 0..MAX_REDIRECTS {
            let Some(next) = answer.goes_on_to() else { return answer };
            let next = url.join(&next).unwrap();
            if next.origin() != url.origin() {
                // A navigation that another site redirected stays cross-site.
                site = "cross-site";
            }
            url = next;
            answer = self.ask_at(&url, Ask::navigation(url.as_str()).set("sec-fetch-site", site)).await;
        }
        panic!("round and round: {:?}", self.trail);
    }

    /// One request with this browser's cookies; redirects are not followed.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Answer {
        let url = self.absolute(ask.target());
        self.ask_at(&url, ask).await
    }

    /// Opens a page without following redirects.
    pub(crate) async fn step(&mut self, address: &str) -> Answer {
        self.ask(Ask::navigation(address)).await
    }

    /// `fetch()` from a page of the app.
    pub(crate) async fn fetch(&mut self, address: &str) -> Answer {
        self.ask(Ask::fetch(address)).await
    }

    /// Completes a sign-in: from the app's first page to the hub and back. `user` has
    /// already consented and granted the organisation acme.
    pub(crate) async fn sign_in(&mut self, user: &str) -> Answer {
        self.sign_in_showing(user, &["acme"]).await
    }

    /// Like `sign_in`, with these organisations granted.
    pub(crate) async fn sign_in_showing(&mut self, user: &str, orgs: &[&str]) -> Answer {
        self.be_at_hub(user, orgs);
        self.open("/").await
    }

    /// Signs in at the hub, with existing consent.
    pub(crate) fn be_at_hub(&mut self, user: &str, orgs: &[&str]) {
        self.world.hub.consent(user, CLIENT, orgs);
        let hub = self.world.hub.issuer().to_owned();
        self.jars.insert(hub, vec![("hub_user".to_owned(), user.to_owned())]);
    }

    /// The URL of a callback with a fresh code for this browser: the sign-in except for
    /// its last step.
    pub(crate) async fn callback_url(&mut self, user: &str) -> String {
        self.be_at_hub(user, &["acme"]);
        let start = self.step("/").await.expect(302);
        let back = self.step(start.location()).await.expect(303);
        back.location().to_owned()
    }

    /// The cookies stored for the app.
    pub(crate) fn cookies(&self) -> &[(String, String)] {
        self.jars.get(&self.world.public_url).map_or(&[], Vec::as_slice)
    }

    /// The cookies as sent.
    pub(crate) fn cookie_line(&self) -> String {
        let pairs: Vec<String> =
            self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// The value of a cookie stored for the app.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        let origin = self.world.public_url.clone();
        self.keep(&origin, name, Some(value));
    }

    pub(crate) fn forget_cookie(&mut self, name: &str) {
        let origin = self.world.public_url.clone();
        self.keep(&origin, name, None);
    }

    pub(crate) fn session_name(&self) -> &'static str {
        if self.world.public_url.starts_with("https") { "__Host-huggate" } else { "huggate" }
    }

    /// The encrypted text of the session cookie, if any.
    pub(crate) fn session(&self) -> Option<String> {
        self.cookie(self.session_name()).map(str::to_owned)
    }

    pub(crate) fn has_session(&self) -> bool {
        self.session().is_some()
    }

    /// The names of the cookies of pending sign-ins.
    pub(crate) fn pending(&self) -> Vec<&str> {
        let names = self.cookies().iter().map(|(name, _)| name.as_str());
        names.filter(|name| name.contains("huggate-pending-")).collect()
    }

    /// The same cookies for another process of the same app.
    pub(crate) fn at<'o>(&self, other: &'o World) -> Browser<'o> {
        let mut moved = Browser::new(other);
        moved.jars = self.jars.clone();
        moved
    }

    fn absolute(&self, address: &str) -> Url {
        Url::parse(&self.world.public_url).unwrap().join(address).unwrap()
    }

    async fn ask_at(&mut self, url: &Url, mut ask: Ask) -> Answer {
        let origin = url.origin().ascii_serialization();
        self.trail.push(url.clone());
        self.url = url.clone();
        let host = origin.split_once("://").unwrap().1.to_owned();
        if let Some(jar) = self.jars.get(&origin).filter(|jar| !jar.is_empty()) {
            let line: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            ask = ask.with("cookie", &line.join("; "));
        }
        let hub = self.world.hub.issuer();
        // A target is sent unchanged; the URL parser would normalize it.
        let target = if ask.target().starts_with('/') {
            ask.target().to_owned()
        } else {
            url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
        };
        let ask = ask.retarget(&target).or_host(&host);
        let answer = if origin == hub {
            send(hub.strip_prefix("http://").unwrap(), ask).await
        } else {
            self.world.send(ask).await
        };
        for line in answer.cookies() {
            self.take(&origin, line);
        }
        answer
    }

    /// RFC 6265bis, section 5.7, as far as the gate's cookies need it.
    fn take(&mut self, origin: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let find = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let secure = find("secure").is_some();
        let may_be_secure = origin.starts_with("https") || origin.starts_with("http://127.0.0.1");
        let host_prefix_holds = !name.starts_with("__Host-")
            || (secure
                && origin.starts_with("https")
                && find("path") == Some("/")
                && find("domain").is_none());
        let too_long = name.len() + value.len() > MAX_COOKIE;
        let refused = self.refused.as_ref().is_some_and(|start| name.starts_with(start.as_str()));
        if (secure && !may_be_secure) || !host_prefix_holds || too_long || refused {
            return;
        }
        assert_eq!(find("path"), Some("/"), "{line}");
        let over = find("max-age").is_some_and(|age| age.parse::<i64>().unwrap() <= 0);
        self.keep(origin, name, (!over).then_some(value));
    }

    fn keep(&mut self, origin: &str, name: &str, value: Option<&str>) {
        let jar = self.jars.entry(origin.to_owned()).or_default();
        let place = jar.iter().position(|(known, _)| known == name);
        match (place, value) {
            (Some(index), Some(value)) => value.clone_into(&mut jar[index].1),
            (Some(index), None) => drop(jar.remove(index)),
            (None, Some(value)) => jar.push((name.to_owned(), value.to_owned())),
            (None, None) => {}
        }
    }
}
