//! The URLs of the gate's endpoints.

use crate::client::PublicUrl;
use crate::policy::OwnPrefix;

/// The maximum length of a link to our endpoints. Servers in front accept 8 kB for a
/// request line.
const MAX_LINK: usize = 7_000;

/// The URLs of the gate's endpoints.
#[derive(Debug, Clone)]
pub(crate) struct EndpointUrls {
    pub(crate) public_url: PublicUrl,
    pub(crate) prefix: OwnPrefix,
}

impl EndpointUrls {
    /// The path that starts a sign-in and returns to `return_to`. `org` is an additional
    /// organisation to request. An address that is too long for the parameter leads to
    /// itself, where the sign-in begins as well.
    pub(crate) fn start(&self, return_to: &str, org: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("rd", return_to);
        if let Some(org) = org {
            query.append_pair("org", org);
        }
        let url = format!("{}/start?{}", self.prefix.as_str(), query.finish());
        if url.len() > MAX_LINK && org.is_none() { return_to.to_owned() } else { url }
    }

    /// The path that ends the session.
    pub(crate) fn sign_out(&self, return_to: &str) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", return_to).finish();
        format!("{}/sign_out?{query}", self.prefix.as_str())
    }

    /// The path that ends all sessions of the person.
    pub(crate) fn sign_out_everywhere(&self) -> String {
        format!("{}/sign_out?everywhere=true", self.prefix.as_str())
    }

    /// The path of the person's own sessions.
    pub(crate) fn sessions(&self) -> String {
        format!("{}/sessions", self.prefix.as_str())
    }

    /// The path that ends the session `id` of the person.
    pub(crate) fn end_session(&self, id: &str) -> String {
        format!("{}?end={id}", self.sessions())
    }

    /// The absolute URL of the sign-in page, for programs to show.
    pub(crate) fn sign_in(&self, return_to: &str) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", return_to).finish();
        let url = format!("{}/sign_in?{query}", self.prefix.as_str());
        // The page itself begins a sign-in, too.
        let long = url.len() > MAX_LINK;
        if long && !return_to.starts_with('/') {
            return return_to.to_owned();
        }
        self.absolute(if long { return_to } else { &url })
    }

    /// The absolute URL of a path.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str())
    }

    /// Whether a path is below the gate's prefix.
    pub(crate) fn own(&self, path: &str) -> bool {
        self.prefix.rest_of(path).is_some()
    }
}
