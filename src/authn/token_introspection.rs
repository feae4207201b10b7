//! Token introspection: requests the owner of a token from the provider and caches the
//! answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::error::TokenError;
use super::introspection_limit::{Admission, IntrospectionLimit, LONGEST_PAUSE, RATE_LIMITED};
use super::person_filter::PersonFilter;
use super::token_caller::VerifiedToken;
use super::token_policy::{ClaimedType, TokenPolicy};
use crate::causes::Causes;
use crate::clock::{Clock, UnixTime};
use crate::identity::{IdentityRenderer, User};
use crate::keys::{Fingerprint, Fingerprints, Keyring, SecretString};
use crate::masked::masked;
use crate::provider::{Provider, RateLimit, TokenOwner, Whoami, WhoamiError};

/// How long a valid token is cached, in seconds from the start of the request. A revoked
/// token is accepted for at most this long.
const VALID_FOR: u64 = 60;
/// How long an invalid token is cached.
const INVALID_FOR: u64 = 10;
/// How long a failed request to the provider is cached, so that a client that retries at
/// once does not cause another request each time.
const FAILED_FOR: u64 = 1;
/// The maximum number of cached valid tokens. One takes about 4 kB.
const VALID_CAPACITY: usize = 8_192;
/// The maximum number of cached invalid tokens. They have a cache of their own, so a
/// flood of invalid tokens evicts no valid one.
const INVALID_CAPACITY: usize = 8_192;

const WRONG: &str = "Hugging Face does not know this token. It is wrong, was revoked, or has expired.";
const ORGANISATION: &str = "This token belongs to an organisation and not to a person. Send a user access token (huggingface.co/settings/tokens).";
const KIND: &str =
    "Tokens of this kind are not accepted here. Send a user access token (huggingface.co/settings/tokens).";
const NO_ANSWER: &str = "Hugging Face cannot check this token at the moment. Try again.";

type Verification = Result<Arc<VerifiedToken>, TokenError>;

/// The result of an introspection in flight.
type InFlight = watch::Receiver<Option<Verification>>;

/// Introspects tokens, with at most one request per token at a time, and caches the
/// answers.
pub(super) struct TokenIntrospector {
    policy: TokenPolicy,
    provider: Arc<Provider>,
    fingerprints: Fingerprints,
    renderer: IdentityRenderer,
    retain: PersonFilter,
    valid: Cache<Fingerprint, Arc<VerifiedToken>>,
    invalid: Cache<Fingerprint, CachedError>,
    in_flight: Mutex<HashMap<Fingerprint, InFlight>>,
    limit: Arc<IntrospectionLimit>,
    clock: Clock,
}

/// An error that is cached until a time.
#[derive(Debug, Clone)]
struct CachedError {
    error: TokenError,
    until: UnixTime,
}

/// One request to the provider. It continues if the client that caused it disconnects.
struct Introspection {
    fingerprint: Fingerprint,
    token: SecretString,
    claimed: ClaimedType,
    /// When the request was made; it is sent at that time or later.
    at: UnixTime,
    result: watch::Sender<Option<Verification>>,
    admission: Admission,
}

/// Removes an introspection from the table when it ends, also after a panic.
struct InFlightGuard<'a> {
    introspector: &'a TokenIntrospector,
    fingerprint: Fingerprint,
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.introspector.lock().remove(&self.fingerprint);
    }
}

impl TokenIntrospector {
    pub(super) fn new(
        policy: TokenPolicy,
        provider: Arc<Provider>,
        keyring: &Keyring,
        renderer: IdentityRenderer,
        retain: PersonFilter,
        limit: Arc<IntrospectionLimit>,
        clock: Clock,
    ) -> Self {
        Self {
            policy,
            provider,
            fingerprints: Fingerprints::new(keyring),
            renderer,
            retain,
            valid: Cache::new(VALID_CAPACITY),
            invalid: Cache::new(INVALID_CAPACITY),
            in_flight: Mutex::default(),
            limit,
            clock,
        }
    }

    /// What limits the requests, for the introspector of other settings.
    pub(super) fn limit(&self) -> &Arc<IntrospectionLimit> {
        &self.limit
    }

    /// The cached result, or an error for a token that is invalid by its form. `None`:
    /// the provider has to be contacted.
    pub(super) fn cached(&self, token: &str) -> Option<Verification> {
        let now = self.clock.now();
        if let Some(cached) = self.cached_answer(&self.fingerprints.of(token), now) {
            return Some(cached);
        }
        self.policy.claimed_type(token, now).err().map(|why| Err(TokenError::Invalid(why)))
    }

    /// The owner of `token`, which a client at `address` sent: from the cache, or from the
    /// provider.
    pub(super) async fn verify(self: &Arc<Self>, token: &str, address: Option<IpAddr>) -> Verification {
        let fingerprint = self.fingerprints.of(token);
        let now = self.clock.now();
        if let Some(cached) = self.cached_answer(&fingerprint, now) {
            return cached;
        }
        let claimed = self.policy.claimed_type(token, now).map_err(TokenError::Invalid)?;
        let mut in_flight = self.join(fingerprint, token, claimed, address)?;
        match in_flight.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Err(no_answer())),
            // The task ended without a result, which is a bug. Access is refused.
            Err(_) => Err(no_answer()),
        }
    }

    fn cached_answer(&self, fingerprint: &Fingerprint, now: UnixTime) -> Option<Verification> {
        let valid = self.valid.get(fingerprint);
        // Rules that were added since may need what the answer was filtered of.
        let holds = |verified: &Arc<VerifiedToken>| {
            is_current(verified.until, now, VALID_FOR)
                && self.retain.suffices(verified.identity.user().person())
        };
        if let Some(verified) = valid.filter(holds) {
            return Some(Ok(verified));
        }
        let invalid = self.invalid.get(fingerprint);
        let cached = invalid.filter(|cached| is_current(cached.until, now, LONGEST_PAUSE))?;
        Some(Err(cached.error))
    }

    /// Joins the introspection in flight for a token, or starts one.
    fn join(
        self: &Arc<Self>,
        fingerprint: Fingerprint,
        token: &str,
        claimed: ClaimedType,
        address: Option<IpAddr>,
    ) -> Result<InFlight, TokenError> {
        let mut in_flight = self.lock();
        if let Some(running) = in_flight.get(&fingerprint) {
            return Ok(running.clone());
        }
        // One may have completed since the first lookup: the cache is filled before the
        // entry is removed from the table.
        let at = self.clock.now();
        if let Some(cached) = self.cached_answer(&fingerprint, at) {
            return Ok(watch::channel(Some(cached)).1);
        }
        let admission = self.limit.admit(&fingerprint, address, at)?;
        let (result, receiver) = watch::channel(None);
        in_flight.insert(fingerprint, receiver.clone());
        drop(in_flight);
        let token = SecretString::new(token);
        let introspection = Introspection { fingerprint, token, claimed, at, result, admission };
        tokio::spawn(Arc::clone(self).introspect(introspection));
        Ok(receiver)
    }

    async fn introspect(self: Arc<Self>, mut introspection: Introspection) {
        let fingerprint = introspection.fingerprint;
        let _guard = InFlightGuard { introspector: &self, fingerprint };
        let result = match introspection.admission.places().await {
            Ok(_places) => {
                let answer = self.provider.whoami(&introspection.token).await;
                self.conclude(&introspection, answer)
            }
            Err(busy) => Err(busy),
        };
        introspection.result.send_replace(Some(result));
    }

    /// Caches the provider's answer.
    fn conclude(&self, introspection: &Introspection, answer: Whoami) -> Verification {
        let Introspection { fingerprint, admission, .. } = introspection;
        let Whoami { owner, rate_limit } = answer;
        let now = self.clock.now();
        self.observe(rate_limit, admission, now);
        match owner {
            Ok(owner) if self.policy.agrees(introspection.claimed, owner.kind) => {
                let verified = Arc::new(self.verified(introspection, owner));
                self.limit.note_valid(*fingerprint);
                self.invalid.remove(fingerprint);
                self.valid.insert(*fingerprint, Arc::clone(&verified));
                Ok(verified)
            }
            Ok(_) => self.reject(introspection, KIND),
            Err(error) if error.is_final() => self.reject(
                introspection,
                match error {
                    WhoamiError::Organisation => ORGANISATION,
                    WhoamiError::Kind => KIND,
                    WhoamiError::Unknown | WhoamiError::Fetch(_) | WhoamiError::Unusable(_) => WRONG,
                },
            ),
            Err(error) => {
                tracing::warn!(cause = error.cause(), error = %Causes(&error), "a token could not be introspected");
                match rate_limit {
                    RateLimit::Exceeded { retry_after } => {
                        Err(TokenError::Unchecked { retry_after, why: RATE_LIMITED })
                    }
                    RateLimit::Exhausted { .. } | RateLimit::Low { .. } | RateLimit::Open => {
                        self.cache_error(*fingerprint, no_answer(), now + FAILED_FOR)
                    }
                }
            }
        }
    }

    /// Follows what the provider says about its rate limit.
    fn observe(&self, rate_limit: RateLimit, admission: &Admission, now: UnixTime) {
        match rate_limit {
            RateLimit::Open => {}
            RateLimit::Low { seconds } => {
                tracing::warn!(
                    seconds,
                    "little is left of the provider's rate limit; until it is renewed, only tokens that were valid before are introspected"
                );
                self.limit.note_reserve(now + seconds);
            }
            RateLimit::Exceeded { retry_after: seconds } | RateLimit::Exhausted { seconds } => {
                tracing::warn!(
                    seconds,
                    "the provider's rate limit is reached; no token is introspected until the pause is over"
                );
                self.limit.note_pause(admission, now + seconds);
            }
        }
    }

    /// The cache entry of a valid token.
    fn verified(&self, introspection: &Introspection, owner: TokenOwner) -> VerifiedToken {
        let TokenOwner { mut person, kind } = owner;
        let method = kind.auth_method();
        if let ClaimedType::OAuth { memberships, .. } = introspection.claimed {
            // The provider confirmed the token, and so what it says of itself.
            person.shown.memberships |= memberships;
        }
        self.retain.apply(&mut person);
        let user = User::new(person, method);
        let sid = introspection.fingerprint.sid();
        tracing::debug!(
            target: "huggate::audit", event = "token_checked", username = &*masked(user.username()), sub = user.id(), auth_method = method.as_str(), %sid,
            "a token is valid",
        );
        let until = introspection.at + VALID_FOR;
        let until = match introspection.claimed {
            ClaimedType::OAuth { expires: Some(expires), .. } => until.min(expires),
            ClaimedType::OAuth { expires: None, .. } | ClaimedType::Access | ClaimedType::App => until,
        };
        VerifiedToken { identity: self.renderer.render(user, sid, ""), kind, until }
    }

    /// Caches that a token is invalid.
    fn reject(&self, introspection: &Introspection, why: &'static str) -> Verification {
        self.limit.note_rejected(&introspection.fingerprint, &introspection.admission);
        let until = introspection.at + INVALID_FOR;
        self.cache_error(introspection.fingerprint, TokenError::Invalid(why), until)
    }

    fn cache_error(&self, fingerprint: Fingerprint, error: TokenError, until: UnixTime) -> Verification {
        self.valid.remove(&fingerprint);
        self.invalid.insert(fingerprint, CachedError { error: error.clone(), until });
        Err(error)
    }

    /// A panic while the lock was held leaves the map consistent: every change is a
    /// single call of the map.
    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an entry with a lifetime of at most `longest` is still valid. A time further
/// in the future was set before the clock was turned back.
fn is_current(until: UnixTime, now: UnixTime, longest: u64) -> bool {
    now < until && until - now <= longest
}

fn no_answer() -> TokenError {
    TokenError::Unchecked { retry_after: FAILED_FOR, why: NO_ANSWER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_from_before_the_clock_was_turned_back_are_ignored() {
        for (until, now, expected) in
            [(160, 100, true), (160, 159, true), (160, 160, false), (160, 99, false), (0, 100, false)]
        {
            assert_eq!(is_current(until, now, VALID_FOR), expected, "{until} {now}");
        }
    }
}
