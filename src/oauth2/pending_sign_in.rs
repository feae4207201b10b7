//! Pending sign-ins: one encrypted cookie per attempt.
//!
//! The `state` that is sent through the provider is useless without the cookie in the
//! browser that started the sign-in, and each cookie can be used only once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use super::return_to::ReturnTo;
use crate::clock::UnixTime;
use crate::keys::{Keyring, Purpose, equal, random, sha256};
use crate::session::{Cookies, find_cookie};

/// How long a sign-in may take, in seconds.
pub(crate) const LIFETIME: u64 = 10 * 60;
/// The maximum number of pending sign-ins per browser; the oldest is removed first.
const MAX_PENDING: usize = 5;
/// The maximum number of a request's cookies that are examined for pending sign-ins.
const MAX_LOOKED_AT: usize = 32;
/// The maximum number of used states that are remembered.
const MAX_USED: usize = 65_536;

/// The data that is needed when the browser returns.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingSignIn {
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// RFC 7636, section 4.1
    pub(crate) code_verifier: String,
    pub(crate) redirect_uri: String,
    pub(crate) return_to: String,
    began: UnixTime,
}

/// Creates pending sign-ins and finds them again.
pub(crate) struct PendingSignIns {
    keyring: Arc<Keyring>,
    cookies: Cookies,
    used: Arc<Mutex<HashMap<[u8; 32], UnixTime>>>,
}

impl PendingSignIn {
    /// RFC 7636, section 4.2: S256.
    pub(crate) fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.code_verifier.as_bytes()))
    }
}

impl PendingSignIns {
    pub(crate) fn new(keyring: Arc<Keyring>, cookies: Cookies) -> Self {
        Self { keyring, cookies, used: Arc::default() }
    }

    /// Shares the used states of `before` across a reload.
    pub(crate) fn with_state_of(self, before: &Self) -> Self {
        Self { used: Arc::clone(&before.used), ..self }
    }

    /// Starts a sign-in. Returns it with the cookie lines that store it: its own cookie,
    /// and the removal of cookies that are expired, surplus or cannot be decrypted.
    pub(crate) fn begin(
        &self,
        return_to: &ReturnTo,
        redirect_uri: &str,
        request: &HeaderMap,
        now: UnixTime,
    ) -> (PendingSignIn, Vec<HeaderValue>) {
        let attempt = URL_SAFE_NO_PAD.encode(random::<9>());
        let pending = PendingSignIn {
            state: format!("{attempt}.{}", URL_SAFE_NO_PAD.encode(random::<24>())),
            nonce: URL_SAFE_NO_PAD.encode(random::<24>()),
            code_verifier: URL_SAFE_NO_PAD.encode(random::<32>()),
            redirect_uri: redirect_uri.to_owned(),
            return_to: return_to.as_str().to_owned(),
            began: now,
        };
        let name = self.cookies.pending_name(&attempt);
        let plain = postcard::to_allocvec(&pending).expect("writing plain data to memory does not fail");
        let sealed = self.keyring.seal(Purpose::Pending, &name, random(), &plain);
        let mut lines: Vec<_> = self.cookies.set(&name, Some(&sealed), LIFETIME).into_iter().collect();
        lines.extend(self.surplus(request, now));
        (pending, lines)
    }

    /// Removes all but the newest four of the pending sign-ins in `request`.
    fn surplus(&self, request: &HeaderMap, now: UnixTime) -> Vec<HeaderValue> {
        let mut pending: Vec<(&str, UnixTime)> = self
            .cookies
            .pending(request)
            .take(MAX_LOOKED_AT)
            .map(|(name, sealed)| (name, self.unseal(name, sealed, now).map_or(0, |pending| pending.began)))
            .collect();
        pending.sort_by_key(|(_, began)| std::cmp::Reverse(*began));
        let fresh = pending.iter().filter(|(_, began)| *began > 0).count().min(MAX_PENDING - 1);
        pending.iter().skip(fresh).filter_map(|(name, _)| self.cookies.set(name, None, 0)).collect()
    }

    /// The pending sign-in of `state`, if this browser started it, it has not expired and
    /// it was not used before. Marks it as used.
    pub(crate) fn take(&self, state: &str, request: &HeaderMap, now: UnixTime) -> Taken {
        let Some((name, pending)) = self.find(state, request, now) else { return Taken::Unknown };
        let removal = self.cookies.set(&name, None, 0);
        if !self.use_up(&pending.state, now) {
            return Taken::UsedBefore { return_to: pending.return_to, removal };
        }
        Taken::Yes { pending, removal }
    }

    fn find(&self, state: &str, request: &HeaderMap, now: UnixTime) -> Option<(String, PendingSignIn)> {
        let (attempt, _) = state.split_once('.')?;
        // The attempt id becomes part of a cookie's name.
        let valid = attempt.len() == 12
            && attempt.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !valid {
            return None;
        }
        let name = self.cookies.pending_name(attempt);
        let sealed = find_cookie(request, &name)?;
        let pending = self.unseal(&name, sealed, now)?;
        equal(pending.state.as_bytes(), state.as_bytes()).then_some((name, pending))
    }

    fn unseal(&self, name: &str, sealed: &str, now: UnixTime) -> Option<PendingSignIn> {
        let unsealed = self.keyring.open(Purpose::Pending, name, sealed)?;
        let pending: PendingSignIn = postcard::from_bytes(&unsealed.plain).ok()?;
        (now.saturating_sub(pending.began) <= LIFETIME).then_some(pending)
    }

    /// Marks a state as used; returns `false` if it already was.
    fn use_up(&self, state: &str, now: UnixTime) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MAX_USED {
            used.retain(|_, until| *until >= now);
        }
        if used.len() >= MAX_USED {
            // More sign-ins within ten minutes than the limit: the oldest are the most
            // likely to have expired already.
            let mut times: Vec<UnixTime> = used.values().copied().collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(now);
            used.retain(|_, until| *until > middle);
        }
        used.insert(sha256(state.as_bytes()), now + LIFETIME).is_none()
    }
}

impl std::fmt::Debug for PendingSignIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingSignIns(..)")
    }
}

/// The result of looking up a `state`.
pub(crate) enum Taken {
    /// It belongs to this browser, and is now marked as used.
    Yes { pending: PendingSignIn, removal: Option<HeaderValue> },
    /// It belongs to this browser, and was used before.
    UsedBefore { return_to: String, removal: Option<HeaderValue> },
    /// Not started in this browser, expired, or invalid.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;
    use crate::session::SameSitePolicy;
    use http::header::COOKIE;

    const NOW: UnixTime = 1_790_000_000;

    fn pendings() -> PendingSignIns {
        let keyring = Keyring::new(&[Secret::parse(&"ab".repeat(32)).unwrap()]);
        PendingSignIns::new(Arc::new(keyring), Cookies::new("huggate", false, SameSitePolicy::Lax))
    }

    fn pair(line: &HeaderValue) -> String {
        line.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn request(pairs: &[String]) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())])
    }

    fn begin(
        pendings: &PendingSignIns,
        request: &HeaderMap,
        now: UnixTime,
    ) -> (PendingSignIn, Vec<HeaderValue>) {
        pendings.begin(&ReturnTo::root(), "https://a.example/oauth2/callback", request, now)
    }

    #[test]
    fn a_state_is_accepted_once_in_time_and_from_the_browser_that_started() {
        let pendings = pendings();
        let (pending, lines) = begin(&pendings, &HeaderMap::new(), NOW);
        let mine = request(&[pair(&lines[0])]);
        let is_accepted = |state: &str, request: &HeaderMap, now| {
            !matches!(pendings.take(state, request, now), Taken::Unknown)
        };
        assert!(!is_accepted(&pending.state, &HeaderMap::new(), NOW), "another browser");
        assert!(!is_accepted(&format!("{}x", pending.state), &mine, NOW), "a similar state");
        assert!(!is_accepted(&pending.state, &mine, NOW + LIFETIME + 1), "too late");
        assert!(matches!(pendings.take(&pending.state, &mine, NOW), Taken::Yes { .. }));
        assert!(matches!(pendings.take(&pending.state, &mine, NOW), Taken::UsedBefore { .. }));
    }

    #[test]
    fn at_most_five_sign_ins_are_pending_and_the_oldest_is_removed() {
        let pendings = pendings();
        let mut jar: Vec<String> = vec!["huggate-pending-garbage=x".to_owned()];
        let mut states = Vec::new();
        for n in 0..8 {
            let (pending, lines) = begin(&pendings, &request(&jar), NOW + n);
            states.push(pending.state);
            jar.push(pair(&lines[0]));
            for removal in &lines[1..] {
                let name = pair(removal);
                jar.retain(|kept| !kept.starts_with(&name));
            }
            assert!(jar.len() <= MAX_PENDING, "{jar:?}");
        }
        let jar = request(&jar);
        for (n, state) in states.iter().enumerate() {
            let kept = matches!(pendings.take(state, &jar, NOW + 8), Taken::Yes { .. });
            assert_eq!(kept, n >= 3, "attempt {n}");
        }
    }

    #[test]
    fn the_number_of_used_states_is_bounded() {
        let pendings = pendings();
        for n in 0..MAX_USED + 10 {
            assert!(pendings.use_up(&n.to_string(), NOW + n as u64 / 1000));
        }
        assert!(pendings.used.lock().unwrap().len() <= MAX_USED);
    }
}
