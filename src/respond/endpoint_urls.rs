//! The addresses of our endpoints, as answers name them.

use crate::client::PublicUrl;
use crate::policy::OwnPrefix;

/// The addresses of our endpoints.
#[derive(Debug, Clone)]
pub(crate) struct EndpointUrls {
    pub(crate) public_url: PublicUrl,
    pub(crate) prefix: OwnPrefix,
}

impl EndpointUrls {
    /// The path that begins a sign-in and returns to `return_to`. `org` is one more
    /// organisation to ask for.
    pub(crate) fn start(&self, return_to: &str, org: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("rd", return_to);
        if let Some(org) = org {
            query.append_pair("org", org);
        }
        format!("{}/start?{}", self.prefix.as_str(), query.finish())
    }

    /// The path that ends the session.
    pub(crate) fn sign_out(&self, return_to: &str) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", return_to).finish();
        format!("{}/sign_out?{query}", self.prefix.as_str())
    }

    /// The whole address of the sign-in page, for a program to show.
    pub(crate) fn sign_in(&self, return_to: &str) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", return_to).finish();
        self.absolute(&format!("{}/sign_in?{query}", self.prefix.as_str()))
    }

    /// A path of ours as a whole address.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str())
    }

    /// Whether a path is below our prefix.
    pub(crate) fn own(&self, path: &str) -> bool {
        self.prefix.rest_of(path).is_some()
    }
}
