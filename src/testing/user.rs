//! An account at the provider of a test.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::gate::FOREIGN_GATE;
use super::provider::TestProvider;
use super::refused::Refused;
use super::sign_in::SignIn;
use super::signed_in::SignedIn;
use crate::gate::Gate;
use crate::hub::{Membership, ResourceGroup, User};
use crate::identity::Role;

/// An account as a test describes it: it has what is said of it and nothing else, no
/// organisation, no e-mail address, no PRO.
///
/// Nothing happens at a provider before [`TestUser::apply`], [`TestUser::sign_in`] or
/// [`TestUser::access_token`]. Each makes the account what this describes.
#[derive(Clone)]
#[must_use = "an account exists once it is applied to a gate's provider or signs in"]
pub struct TestUser {
    account: User,
    /// Slugs of organisations that are not granted to the app.
    withheld: BTreeSet<String>,
}

/// Describes an account.
///
/// ```
/// use huggate::testing::{self, Role};
/// use huggate::{Gate, Rule};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = testing::gate().allow(Rule::org("acme")).build().await?;
/// let ada = testing::user("ada")
///     .name("Ada Lovelace")
///     .email("ada@example.org")
///     .org("acme", Role::Write)
///     .resource_group("acme", "gpu-team", Role::Admin)
///     .pro()
///     .sign_in(&gate)
///     .await?;
/// assert_eq!(ada.username(), "ada");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the username is not 1 to 96 letters, digits, `-`, `_` or `.`.
#[track_caller]
pub fn user(username: &str) -> TestUser {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    assert!(
        (1..=96).contains(&username.len()) && username.bytes().all(is_plain),
        "{username:?} is no username: expected 1 to 96 letters, digits, `-`, `_` or `.`",
    );
    TestUser { account: User::new(username), withheld: BTreeSet::new() }
}

impl TestUser {
    /// The username.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.account.username
    }

    /// The id, for code that compares it. Without it, the id follows from the username.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.account.id = id.into();
        self
    }

    /// The display name; the username if not said.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.account.name = name.into();
        self
    }

    /// An e-mail address, verified unless [`TestUser::email_verified`] says otherwise. The gate
    /// learns of it if it asks for the scope `email`, as it does where a rule needs it.
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.account.email = Some(address.into());
        self
    }

    /// Whether the e-mail address is verified. Only then it counts.
    pub fn email_verified(mut self, verified: bool) -> Self {
        self.account.email_verified = verified;
        self
    }

    /// A PRO subscription.
    pub fn pro(mut self) -> Self {
        self.account.pro = true;
        self
    }

    /// A member of an organisation, which the person grants to the app when they sign in.
    #[expect(clippy::needless_pass_by_value, reason = "a role is written where it is passed")]
    pub fn org(mut self, slug: &str, role: Role) -> Self {
        self.edit_org(slug, |membership| membership.role = role.to_string());
        self
    }

    /// A member of a resource group, in an organisation where the person has no other access
    /// unless [`TestUser::org`] says so.
    #[expect(clippy::needless_pass_by_value, reason = "a role is written where it is passed")]
    pub fn resource_group(mut self, org: &str, name: &str, role: Role) -> Self {
        let group = ResourceGroup::new(org, name, role.as_str());
        self.edit_org(org, |membership| {
            membership.resource_groups.retain(|known| known.name != name);
            membership.resource_groups.push(group);
        });
        self
    }

    /// Lets a membership not count for now: `mfa`, `sso`, `ip`, `token-policy` or
    /// `token-revoked`.
    pub fn restricted(mut self, org: &str, restriction: &str) -> Self {
        self.edit_org(org, |membership| membership.security_restrictions.push(restriction.to_owned()));
        self
    }

    /// Leaves an organisation unticked on the consent page, so that the app does not learn the
    /// role in it.
    pub fn not_granted(mut self, org: &str) -> Self {
        self.withheld.insert(org.to_owned());
        self
    }

    /// Changes whatever else an account has.
    ///
    /// ```
    /// # use huggate::testing;
    /// let ada = testing::user("ada").account(|account| account.token_role = "fineGrained".to_owned());
    /// ```
    pub fn account(mut self, change: impl FnOnce(&mut User)) -> Self {
        change(&mut self.account);
        self
    }

    /// Makes the account at the provider what this describes, without a sign-in: what changes
    /// while somebody is signed in. The gate asks again in the background once its last answer
    /// is older than `revalidate` (15 minutes), and a request waits for the new answer once
    /// `revalidate_grace` (an hour) is over as well.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use huggate::testing::{self, Role};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gate = testing::gate().allow_anyone().build().await?;
    /// let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
    /// // She leaves acme.
    /// testing::user("ada").apply(&gate);
    /// testing::advance(&gate, Duration::from_secs(76 * 60));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the gate was not made by this module.
    #[track_caller]
    pub fn apply(&self, gate: &Gate) {
        self.apply_at(TestProvider::of(gate).expect(FOREIGN_GATE));
    }

    /// Signs the person in as a browser does: the gate's start endpoint, the consent page of
    /// the provider, the callback. Whether rules let them in is decided by their requests.
    ///
    /// # Errors
    /// [`Refused`] has the status and the text of the page where it ended.
    ///
    /// # Panics
    /// If the gate was not made by this module.
    pub async fn sign_in(&self, gate: &Gate) -> Result<SignedIn, Refused> {
        self.sign_in_through(gate, |request: Request<String>| gate.endpoints().call(request)).await
    }

    /// The same, with the requests to the gate's endpoints sent to your service. It fails where
    /// the layer stands so that they are not reached, as with axum's `route_layer`.
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), huggate::gate::BuildError> {
    /// # async fn hello() {}
    /// # use axum::{Router, body::Body, routing::get};
    /// # use http::Request;
    /// # use huggate::testing;
    /// # use tower::ServiceExt;
    /// let gate = testing::gate().allow_anyone().build().await?;
    /// let app = Router::<()>::new().route("/", get(hello)).route_layer(gate.layer());
    /// let send = |request: Request<Body>| app.clone().oneshot(request);
    /// let refused = testing::user("ada").sign_in_through(&gate, send).await.unwrap_err();
    /// assert_eq!(refused.status(), 404);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "axum"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As for [`TestUser::sign_in`]; an error of the service is status 500.
    ///
    /// # Panics
    /// If the gate was not made by this module.
    pub async fn sign_in_through<ReqB, ResB, E, Fut>(
        &self,
        gate: &Gate,
        send: impl FnMut(Request<ReqB>) -> Fut,
    ) -> Result<SignedIn, Refused>
    where
        ReqB: Default,
        ResB: Body<Data = Bytes>,
        E: fmt::Display,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        let provider = TestProvider::of(gate).expect(FOREIGN_GATE);
        self.apply_at(provider);
        let username = self.username();
        let jar = SignIn { gate, provider, username }.run(send).await?;
        Ok(SignedIn::new(username, jar))
    }

    /// The person's access token (`hf_…`), for `Authorization: Bearer`. The gate takes it if it
    /// was built with [`GateBuilder::bearer`](crate::GateBuilder::bearer).
    ///
    /// ```
    /// use http::Request;
    /// use huggate::authn::BearerSettings;
    /// use huggate::testing;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let gate = testing::gate().allow_anyone().bearer(BearerSettings::default()).build().await?;
    /// let token = testing::user("ada").access_token(&gate);
    /// let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the gate was not made by this module.
    #[must_use]
    #[track_caller]
    pub fn access_token(&self, gate: &Gate) -> String {
        self.apply(gate);
        self.account.token.clone()
    }

    fn apply_at(&self, provider: &TestProvider) {
        provider.hub.add_user(self.account.clone());
        let orgs = self.account.orgs.iter().map(|org| org.slug.as_str());
        let granted: Vec<&str> = orgs.filter(|slug| !self.withheld.contains(*slug)).collect();
        provider.hub.consent(self.username(), &provider.client.id, &granted);
    }

    /// Edits the membership of an organisation; a new one is without access.
    fn edit_org(&mut self, slug: &str, edit: impl FnOnce(&mut Membership)) {
        let orgs = &mut self.account.orgs;
        if let Some(known) = orgs.iter_mut().find(|org| org.slug == slug) {
            return edit(known);
        }
        let mut membership = Membership::new(slug, Role::NoAccess.as_str());
        edit(&mut membership);
        orgs.push(membership);
    }
}

impl fmt::Debug for TestUser {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestUser").field("username", &self.account.username).finish_non_exhaustive()
    }
}
