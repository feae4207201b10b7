//! A gate that is filled in, its provider and its clock.

use std::time::Duration;

use super::provider::TestProvider;
use crate::clock::Clock;
use crate::gate::{BuildError, Gate, GateBuilder, GateSettings};
use crate::hub::Hub;

/// Why a function of this module panics.
pub(super) const FOREIGN_GATE: &str =
    "this gate was not made by `huggate::testing`: its provider is not in this process";

/// Starts building a gate whose provider is in this process.
///
/// Public URL (`https://app.test`), client, issuer, secret and clock are filled in, and who may
/// enter is not: pass the builder to the function that sets your rules in production. It may also
/// set the public URL, the client and the secret; the provider registers the client with which
/// the gate is built.
///
/// ```
/// use huggate::{GateBuilder, Rule, testing};
///
/// fn rules(gate: GateBuilder) -> GateBuilder {
///     gate.allow(Rule::org("acme")).prefix("/auth")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), huggate::gate::BuildError> {
/// let gate = rules(testing::gate()).build().await?;
/// # Ok(())
/// # }
/// ```
///
/// The clock begins at the time of day, so that other parts of your app accept the assertion.
/// [`advance`] moves it.
#[must_use]
pub fn gate() -> GateBuilder {
    Gate::builder()
        .public_url("https://app.test")
        .issuer("https://huggingface.test")
        .client("the-app-under-test", "oauth_app_secret_of_the_app_under_test")
        .clock(clock())
        .provider_in_process(TestProvider::start)
}

/// The gate of finished settings, with a provider in this process and a clock as [`gate`] has
/// them: for an app that does not build its gate on a builder that it is given.
///
/// ```
/// use huggate::{Gate, GateBuilder, Rule, testing};
///
/// /// As in production; only `build` is left.
/// fn builder() -> GateBuilder {
///     Gate::builder()
///         .public_url("https://app.example.com")
///         .client("the client id", "the client secret")
///         .secret("5e".repeat(32))
///         .allow(Rule::user("ada"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = testing::from_settings(builder().settings()?)?;
/// let ada = testing::user("ada").sign_in(&gate).await?;
/// # Ok(())
/// # }
/// ```
///
/// `GateSettings::from_config`, with the feature `config`, reads the settings from the file that
/// `Gate::from_config` takes.
///
/// # Errors
/// Those of [`Gate::new`].
pub fn from_settings(mut settings: GateSettings) -> Result<Gate, BuildError> {
    let clock = clock();
    let provider = TestProvider::start(&settings, &clock);
    settings.provider.issuer = settings.provider.issuer.answered_by(provider);
    Gate::new(settings, clock)
}

/// The time of day, standing still.
fn clock() -> Clock {
    Clock::manual(Clock::system().now())
}

/// The provider of a gate: edit its accounts, count its requests, make it fail.
///
/// ```
/// use huggate::hub::{Endpoint, Fault};
/// use huggate::testing;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), huggate::gate::BuildError> {
/// let gate = testing::gate().allow_anyone().build().await?;
/// let provider = testing::provider(&gate);
/// provider.behave(|provider| provider.fail(Endpoint::Token, Fault::Status(503)));
/// let refused = testing::user("ada").sign_in(&gate).await.unwrap_err();
/// assert_eq!(refused.status(), 503);
/// assert_eq!(provider.calls(Endpoint::Token), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the gate was not made by [`gate`] or [`from_settings`].
#[must_use]
#[track_caller]
pub fn provider(gate: &Gate) -> Hub {
    TestProvider::of(gate).expect(FOREIGN_GATE).hub.clone()
}

/// Moves the clock of a gate and its provider. The next request finds sessions that are older by
/// that much, and tokens that expired meanwhile.
///
/// Timers do not move: see [Time](super#time).
///
/// # Panics
/// If the gate was not made by [`gate`] or [`from_settings`], or has the system's clock.
#[track_caller]
pub fn advance(gate: &Gate, by: Duration) {
    TestProvider::of(gate).expect(FOREIGN_GATE);
    let clock = &gate.inner.oauth2.clock;
    assert!(
        clock.is_manual(),
        "the gate has the system's clock, which nothing moves: leave `GateBuilder::clock` out, or pass \
         `Clock::manual`",
    );
    clock.advance(by);
}
