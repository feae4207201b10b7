//! TokenIntrospector to the provider about tokens, and what was answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::bearer::{IntrospectionConfig, TokenError, VerifiedToken};
use super::token_policy::{ClaimedType, TokenPolicy};
use crate::clock::{Clock, UnixTime};
use crate::identity::{RenderedIdentity, User};
use crate::keys::{Fingerprint, Fingerprints, Keyring, SecretString};
use crate::provider::{Provider, TokenOwner, Whoami, WhoamiError};

/// How long the provider's yes counts, in seconds, from when it was asked. So long
/// does a token live on that was revoked.
const YES: u64 = 60;
/// How long its no counts.
const NO: u64 = 10;
/// How long no answer at all counts, so that a client that tries again and again
/// does not become a question each time.
const SILENCE: u64 = 1;
/// The longest pause that the provider can ask for.
const LONGEST_PAUSE: u64 = 300;
/// How many tokens that count are remembered. One takes about 4 kB.
const KNOWN: usize = 8_192;
/// How many that do not are: apart, so that a flood of them drives no other out.
const REFUSED: usize = 8_192;
/// How many questions may be under way. A flood of made-up tokens would otherwise
/// use up what the provider allows us, and then nobody new could come in at all.
const AT_ONCE: usize = 32;

const WRONG: &str = "Hugging Face does not know this token. It is wrong, was revoked, or has expired.";
const ORGANISATION: &str = "This token belongs to an organisation and not to a person. Send a user access token (huggingface.co/settings/tokens).";
const KIND: &str =
    "Tokens of this kind are not accepted here. Send a user access token (huggingface.co/settings/tokens).";
const CROWD: &str = "Too many unknown tokens are being checked at the moment. Try again.";
const PAUSE: &str = "Hugging Face limits how many tokens can be checked, and the limit is reached. Tokens that were checked within the last minute still work.";
const SILENT: &str = "Hugging Face cannot be asked about this token at the moment. Try again.";

type Answer = Result<Arc<VerifiedToken>, TokenError>;

/// A question that is under way: its answer, once it is there.
type InFlight = watch::Receiver<Option<Answer>>;

/// Asks, one question at a time for each token, and remembers.
pub(crate) struct TokenIntrospector {
    accepted: TokenPolicy,
    provider: Arc<Provider>,
    fingerprints: Fingerprints,
    manner: IntrospectionConfig,
    known: Cache<Fingerprint, Arc<VerifiedToken>>,
    refused: Cache<Fingerprint, Refused>,
    under_way: Mutex<HashMap<Fingerprint, InFlight>>,
    places: Arc<Semaphore>,
    /// No question until then: the provider asked for a pause.
    paused_until: AtomicU64,
    clock: Clock,
}

/// A token that lets nobody in, until then.
#[derive(Debug, Clone)]
struct Refused {
    why: TokenError,
    until: UnixTime,
}

/// One question. Whoever waits for it may go away; it is asked all the same.
struct Introspection {
    about: Fingerprint,
    token: SecretString,
    claimed: ClaimedType,
    /// When it was asked.
    at: UnixTime,
    answer: watch::Sender<Option<Answer>>,
    _place: OwnedSemaphorePermit,
}

/// Takes a question off the list when it has ended, however it did.
struct InFlightGuard<'a> {
    questions: &'a TokenIntrospector,
    about: Fingerprint,
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.questions.lock().remove(&self.about);
    }
}

impl TokenIntrospector {
    pub(crate) fn new(
        accepted: TokenPolicy,
        provider: Arc<Provider>,
        keyring: &Keyring,
        manner: IntrospectionConfig,
        clock: Clock,
    ) -> Self {
        Self {
            accepted,
            provider,
            fingerprints: Fingerprints::new(keyring),
            manner,
            known: Cache::new(KNOWN),
            refused: Cache::new(REFUSED),
            under_way: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            paused_until: AtomicU64::new(0),
            clock,
        }
    }

    /// Whom `token` belongs to.
    pub(crate) async fn answer(self: &Arc<Self>, token: &str) -> Answer {
        let about = self.fingerprints.of(token);
        let now = self.clock.now();
        if let Some(answer) = self.remembered(&about, now) {
            return answer;
        }
        let claimed = self.accepted.read(token, now).map_err(TokenError::Invalid)?;
        let mut question = self.join(about, token, claimed)?;
        match question.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Err(silent())),
            // It ended without an answer: a bug, and no reason to let anybody in.
            Err(_) => Err(silent()),
        }
    }

    /// What was answered not long ago.
    fn remembered(&self, about: &Fingerprint, now: UnixTime) -> Option<Answer> {
        if let Some(known) = self.known.get(about).filter(|known| counts(known.until, now, YES)) {
            return Some(Ok(known));
        }
        let refused = self.refused.get(about).filter(|refused| counts(refused.until, now, LONGEST_PAUSE))?;
        Some(Err(refused.why))
    }

    /// The question about a token that is under way, or a new one.
    fn join(
        self: &Arc<Self>,
        about: Fingerprint,
        token: &str,
        claimed: ClaimedType,
    ) -> Result<InFlight, TokenError> {
        let mut under_way = self.lock();
        if let Some(question) = under_way.get(&about) {
            return Ok(question.clone());
        }
        // One may have ended since this request looked; it is taken off the list
        // after its answer was written down.
        let at = self.clock.now();
        if let Some(answer) = self.remembered(&about, at) {
            return Ok(watch::channel(Some(answer)).1);
        }
        let until = self.paused_until.load(Ordering::Relaxed);
        if counts(until, at, LONGEST_PAUSE) {
            return Err(TokenError::Unchecked { retry_after: until - at, why: PAUSE });
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(TokenError::Unchecked { retry_after: SILENCE, why: CROWD });
        };
        let (answer, question) = watch::channel(None);
        under_way.insert(about, question.clone());
        drop(under_way);
        let token = SecretString::new(token);
        let asked = Introspection { about, token, claimed, at, answer, _place: place };
        tokio::spawn(Arc::clone(self).ask(asked));
        Ok(question)
    }

    async fn ask(self: Arc<Self>, question: Introspection) {
        let about = question.about;
        let _end = InFlightGuard { questions: &self, about };
        let Whoami { owner, retry_after: pause } = self.provider.whoami(&question.token).await;
        let now = self.clock.now();
        if let Some(pause) = pause {
            tracing::warn!(
                seconds = pause,
                "the provider wants no further questions about tokens for a while"
            );
            self.paused_until.fetch_max(now + pause, Ordering::Relaxed);
        }
        let answer = match owner {
            Ok(owner) if self.accepted.agree(question.claimed, owner.kind) => {
                let known = Arc::new(self.known(&question, owner));
                self.refused.remove(&about);
                self.known.insert(about, Arc::clone(&known));
                Ok(known)
            }
            Ok(_) => self.refuse(about, TokenError::Invalid(KIND), question.at + NO),
            Err(error) if error.is_final() => {
                let why = match error {
                    WhoamiError::Organisation => ORGANISATION,
                    WhoamiError::Kind => KIND,
                    WhoamiError::Unknown | WhoamiError::Fetch(_) | WhoamiError::Unusable(_) => WRONG,
                };
                self.refuse(about, TokenError::Invalid(why), question.at + NO)
            }
            Err(error) => {
                tracing::warn!(%error, "a token could not be checked");
                match pause {
                    Some(retry_after) => Err(TokenError::Unchecked { retry_after, why: PAUSE }),
                    None => self.refuse(about, silent(), now + SILENCE),
                }
            }
        };
        question.answer.send_replace(Some(answer));
    }

    /// What is remembered of a token that counts.
    fn known(&self, question: &Introspection, TokenOwner { mut person, kind }: TokenOwner) -> VerifiedToken {
        let method = kind.auth_method();
        (self.manner.retain)(&mut person);
        let user = User::new(person, method);
        let headers = self.manner.headers.render(&user, "");
        let sid = question.about.sid();
        tracing::debug!(
            target: "huggate::audit", event = "token_checked", user = user.username(), auth_method = method.as_str(), %sid,
            "a token counts",
        );
        let until = question.at + YES;
        let until = match question.claimed {
            ClaimedType::OAuth { expires: Some(expires) } => until.min(expires),
            ClaimedType::OAuth { expires: None } | ClaimedType::Access | ClaimedType::App => until,
        };
        VerifiedToken {
            introduction: RenderedIdentity::new(user, sid, headers, self.manner.audiences),
            kind,
            until,
        }
    }

    /// Remembers that a token lets nobody in.
    fn refuse(&self, about: Fingerprint, why: TokenError, until: UnixTime) -> Answer {
        self.known.remove(&about);
        self.refused.insert(about, Refused { why: why.clone(), until });
        Err(why)
    }

    /// A panic while the lock was held leaves the map whole: every change is one
    /// call of the map's own.
    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, InFlight>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that lasts `longest` at most still does. One from further in
/// the future was set before somebody turned the clock back.
fn counts(until: UnixTime, now: UnixTime, longest: u64) -> bool {
    now < until && until - now <= longest
}

fn silent() -> TokenError {
    TokenError::Unchecked { retry_after: SILENCE, why: SILENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_before_the_clock_was_turned_back_does_not_count() {
        for (until, now, expected) in
            [(160, 100, true), (160, 159, true), (160, 160, false), (160, 99, false), (0, 100, false)]
        {
            assert_eq!(counts(until, now, YES), expected, "{until} {now}");
        }
    }
}
