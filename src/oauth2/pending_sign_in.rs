//! Sign-ins under way.
//!
//! What is needed when the browser returns is sealed in `state`, so that any number of
//! tabs costs the browser one short cookie. The cookie is a secret of this browser: a
//! `state` counts only beside the cookie it was made for, and PKCE verifier and nonce are
//! made of both. A browser gets the cookie with its first sign-in; further ones use it
//! again. Tabs that begin at the same moment, before the browser has one, get one each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use super::held_addresses::HeldAddresses;
use super::return_to::{MAX_ADDRESS, ReturnTo};
use crate::clock::UnixTime;
use crate::keys::{Keyring, Purpose, deflate, equal, inflate, random, sha256};
use crate::session::{BrowserTag, Cookies, SessionId, SignInOrigin, find_cookie};

/// How long a sign-in may take, in seconds.
pub(crate) const LIFETIME: u64 = 10 * 60;
/// The maximum number of used states that are remembered.
const MAX_USED: usize = 65_536;
/// The maximum length of a `state`. Providers and servers on the way limit URLs to 4 kB
/// or more.
pub(super) const MAX_STATE: usize = 2_400;
/// The number of a browser's cookies of this kind beyond which the oldest are removed:
/// only tabs that begin at the same moment get more than one.
const MAX_BINDINGS: usize = 32;
/// The maximum number of them that one answer removes.
const MAX_REMOVED: usize = 2;
/// The maximum number of a request's cookies that are examined.
const MAX_LOOKED_AT: usize = 256;
/// The length of a binding's id, in characters.
const ID: usize = 4;

/// What a sign-in begins with.
pub(crate) struct Beginning<'a> {
    pub(crate) return_to: &'a ReturnTo,
    pub(crate) redirect_uri: &'a str,
    /// The session that the browser has already.
    pub(crate) session: Option<SessionId>,
    pub(crate) client: Option<IpAddr>,
    /// The maximum length of `state`.
    pub(crate) room: usize,
}

/// A sign-in under way.
pub(crate) struct PendingSignIn {
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// RFC 7636, section 4.1
    pub(crate) code_verifier: String,
    pub(crate) redirect_uri: String,
    /// `None` if the address was too long to be kept.
    pub(crate) return_to: Option<String>,
    pub(crate) origin: SignInOrigin,
}

/// The content of a `state`.
#[derive(Serialize, Deserialize)]
struct Attempt {
    began: UnixTime,
    seed: [u8; 16],
    /// A hash of the browser's secret.
    binding: [u8; 16],
    session: Option<[u8; 8]>,
    redirect_uri: String,
    address: Address,
}

/// Where the return address is. It is compressed by itself: nothing secret is beside it,
/// whose repetition a length could reveal.
#[derive(Serialize, Deserialize)]
enum Address {
    Text(String),
    Deflated(Vec<u8>),
    /// In this process.
    Held,
    /// Longer than anything that is kept.
    Lost,
}

/// Creates pending sign-ins and finds them again.
pub(crate) struct PendingSignIns {
    keyring: Arc<Keyring>,
    cookies: Cookies,
    used: Arc<Mutex<HashMap<[u8; 32], UnixTime>>>,
    held: Arc<Mutex<HeldAddresses>>,
}

/// A browser's cookie: a name and a secret.
struct Binding<'a> {
    id: &'a str,
    secret: &'a str,
}

impl PendingSignIn {
    /// RFC 7636, section 4.2: S256.
    pub(crate) fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.code_verifier.as_bytes()))
    }
}

impl PendingSignIns {
    pub(crate) fn new(keyring: Arc<Keyring>, cookies: Cookies) -> Self {
        Self { keyring, cookies, used: Arc::default(), held: Arc::default() }
    }

    /// Shares the used states and the held addresses of `before` across a reload.
    pub(crate) fn with_state_of(self, before: &Self) -> Self {
        Self { used: Arc::clone(&before.used), held: Arc::clone(&before.held), ..self }
    }

    /// Starts a sign-in. Returns it with the cookie lines that bind it to the browser.
    pub(crate) fn begin(
        &self,
        beginning: &Beginning<'_>,
        request: &HeaderMap,
        now: UnixTime,
    ) -> (PendingSignIn, Vec<HeaderValue>) {
        let present: Vec<Binding<'_>> = self.bindings(request).collect();
        let new = (URL_SAFE_NO_PAD.encode(random::<3>()), URL_SAFE_NO_PAD.encode(random::<16>()));
        let (id, secret) =
            present.last().map_or((new.0.as_str(), new.1.as_str()), |last| (last.id, last.secret));
        let mut attempt = Attempt {
            began: now,
            seed: random(),
            binding: hash(secret),
            session: beginning.session.map(SessionId::tail),
            redirect_uri: beginning.redirect_uri.to_owned(),
            address: address(beginning.return_to),
        };
        let mut state = self.seal(id, &attempt);
        if state.len() > beginning.room.min(MAX_STATE) {
            let address = beginning.return_to.as_str();
            self.held().hold(attempt.seed, beginning.client, address, (now, now + LIFETIME));
            attempt.address = Address::Held;
            state = self.seal(id, &attempt);
        }
        let mut lines: Vec<HeaderValue> =
            self.cookies.set(&self.cookies.pending_name(id), Some(secret), LIFETIME).into_iter().collect();
        let surplus = present.len().saturating_sub(MAX_BINDINGS).min(MAX_REMOVED);
        lines.extend(present.iter().take(surplus).filter_map(|binding| self.removal(binding.id)));
        (self.pending(attempt, secret, state), lines)
    }

    /// The pending sign-in of `state`, if this browser started it, it has not expired and
    /// it was not used before. Marks it as used.
    pub(crate) fn take(&self, state: &str, request: &HeaderMap, now: UnixTime) -> Taken {
        let Some((id, attempt)) = self.open(state) else { return Taken::Unknown };
        let secret = find_cookie(request, &self.cookies.pending_name(id));
        let bound = secret.filter(|secret| equal(&hash(secret), &attempt.binding));
        let expired = now.saturating_sub(attempt.began) > LIFETIME;
        let binding = attempt.binding;
        let mut pending = self.pending(attempt, bound.unwrap_or_default(), state.to_owned());
        if expired || bound.is_none() {
            let elsewhere = Unfinished { bound: bound.is_some(), ..pending.into() };
            return match expired {
                true => Taken::Expired(elsewhere),
                false if !request.contains_key(COOKIE) && !self.was_seen(binding) => Taken::NoCookies,
                false => Taken::Elsewhere(elsewhere),
            };
        }
        if !self.use_up(sha256(state.as_bytes()), now) {
            return Taken::UsedBefore(pending.into());
        }
        self.use_up(sha256(&binding), now);
        pending.origin.bindings = self.bindings(request).map(|binding| tag(hash(binding.secret))).collect();
        Taken::Yes { removal: self.removal(id), pending }
    }

    /// The binding cookies of a request, oldest first.
    fn bindings<'a>(&'a self, request: &'a HeaderMap) -> impl Iterator<Item = Binding<'a>> {
        let is_sound = |(id, secret): &(&str, &str)| is_id(id) && secret.len() == 22 && is_base64url(secret);
        let found = self.cookies.pending(request).take(MAX_LOOKED_AT).filter(is_sound);
        found.map(|(id, secret)| Binding { id, secret })
    }

    fn removal(&self, id: &str) -> Option<HeaderValue> {
        self.cookies.set(&self.cookies.pending_name(id), None, 0)
    }

    /// The id of the binding is in front, to find the cookie by.
    fn seal(&self, id: &str, attempt: &Attempt) -> String {
        let plain = postcard::to_allocvec(attempt).expect("writing plain data to memory does not fail");
        let name = self.cookies.pending_name(id);
        format!("{id}.{}", self.keyring.seal(Purpose::Pending, &name, random(), &plain))
    }

    fn open<'a>(&self, state: &'a str) -> Option<(&'a str, Attempt)> {
        // The id becomes part of a cookie's name.
        let (id, sealed) = state.split_once('.').filter(|(id, _)| is_id(id) && state.len() <= MAX_STATE)?;
        let unsealed = self.keyring.open(Purpose::Pending, &self.cookies.pending_name(id), sealed)?;
        Some((id, postcard::from_bytes(&unsealed.plain).ok()?))
    }

    fn pending(&self, attempt: Attempt, secret: &str, state: String) -> PendingSignIn {
        let return_to = match attempt.address {
            Address::Text(text) => Some(text),
            Address::Deflated(bytes) => {
                inflate(&bytes, 3 * MAX_ADDRESS).and_then(|bytes| String::from_utf8(bytes).ok())
            }
            Address::Held => self.held().find(attempt.seed).map(str::to_owned),
            Address::Lost => None,
        };
        let derived = |purpose: &str| {
            let input = [purpose.as_bytes(), &attempt.seed, secret.as_bytes()].concat();
            URL_SAFE_NO_PAD.encode(sha256(&input))
        };
        PendingSignIn {
            state,
            nonce: derived("nonce"),
            code_verifier: derived("verifier"),
            redirect_uri: attempt.redirect_uri,
            return_to,
            origin: SignInOrigin {
                browser: tag(attempt.binding),
                bindings: Vec::new(),
                began: attempt.began,
                session: attempt.session,
            },
        }
    }

    /// A panic while the lock was held leaves an address out at worst.
    fn held(&self) -> MutexGuard<'_, HeldAddresses> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a sign-in came back with this binding: the browser keeps cookies, and lost
    /// this one because that sign-in was finished.
    fn was_seen(&self, binding: [u8; 16]) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.contains_key(&sha256(&binding))
    }

    /// Marks the hash of a state, or of a binding, as used; returns `false` if it already
    /// was.
    fn use_up(&self, hash: [u8; 32], now: UnixTime) -> bool {
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
        used.insert(hash, now + LIFETIME).is_none()
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
    UsedBefore(Unfinished),
    /// It is older than [`LIFETIME`].
    Expired(Unfinished),
    /// The request has other cookies than the one it was made for: another browser, or
    /// one that signed in with it and has a session now.
    Elsewhere(Unfinished),
    /// The request has no cookie at all.
    NoCookies,
    /// Not made here.
    Unknown,
}

/// A sign-in that cannot be finished. Its address is for the browser with this binding
/// alone.
pub(crate) struct Unfinished {
    pub(crate) browser: BrowserTag,
    /// Whether the request has the binding.
    pub(crate) bound: bool,
    pub(crate) return_to: Option<String>,
}

impl From<PendingSignIn> for Unfinished {
    fn from(pending: PendingSignIn) -> Self {
        Self { browser: pending.origin.browser, bound: true, return_to: pending.return_to }
    }
}

fn address(return_to: &ReturnTo) -> Address {
    if return_to.is_lost() {
        return Address::Lost;
    }
    match deflate(return_to.as_str().as_bytes()) {
        Some(deflated) => Address::Deflated(deflated),
        None => Address::Text(return_to.as_str().to_owned()),
    }
}

/// A hash of a browser's secret.
fn hash(secret: &str) -> [u8; 16] {
    let mut hash = [0; 16];
    let whole = sha256(&[b"binding ".as_slice(), secret.as_bytes()].concat());
    hash.copy_from_slice(whole.get(..16).unwrap_or_default());
    hash
}

fn tag(hash: [u8; 16]) -> BrowserTag {
    let mut tag = BrowserTag::default();
    tag.copy_from_slice(hash.get(..8).unwrap_or_default());
    tag
}

fn is_id(id: &str) -> bool {
    id.len() == ID && is_base64url(id)
}

fn is_base64url(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PublicUrl;
    use crate::keys::Secret;
    use crate::oauth2::ReturnHosts;
    use crate::session::SameSitePolicy;

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

    fn begin_at(
        pendings: &PendingSignIns,
        address: &str,
        request: &HeaderMap,
    ) -> (PendingSignIn, Vec<HeaderValue>) {
        let own = PublicUrl::parse("https://a.example").unwrap();
        let return_to = ReturnTo::parse(address, &own, "/oauth2", &ReturnHosts::default());
        let beginning = Beginning {
            return_to: &return_to,
            redirect_uri: "https://a.example/oauth2/callback",
            session: None,
            client: None,
            room: MAX_STATE,
        };
        pendings.begin(&beginning, request, NOW)
    }

    /// Random text, which cannot be compressed.
    fn noise(length: usize) -> String {
        let bytes: Vec<u8> = (0..length).flat_map(|_| random::<1>()).collect();
        URL_SAFE_NO_PAD.encode(bytes).chars().take(length).collect()
    }

    #[test]
    fn a_state_is_accepted_once_in_time_and_from_the_browser_that_started() {
        let pendings = pendings();
        let (pending, lines) = begin_at(&pendings, "/", &HeaderMap::new());
        let mine = request(&[pair(&lines[0])]);
        let (_, other) = begin_at(&pendings, "/", &HeaderMap::new());
        let take = |state: &str, request: &HeaderMap, now| pendings.take(state, request, now);
        assert!(matches!(take(&pending.state, &HeaderMap::new(), NOW), Taken::NoCookies));
        assert!(matches!(take(&pending.state, &request(&[pair(&other[0])]), NOW), Taken::Elsewhere(_)));
        // The other browser's secret under the name of this one's.
        let swapped = pair(&lines[0]).split_once('=').unwrap().0.to_owned()
            + "="
            + pair(&other[0]).split_once('=').unwrap().1;
        assert!(matches!(take(&pending.state, &request(&[swapped]), NOW), Taken::Elsewhere(_)));
        assert!(matches!(take(&format!("{}x", pending.state), &mine, NOW), Taken::Unknown));
        assert!(matches!(take(&pending.state, &mine, NOW + LIFETIME + 1), Taken::Expired(_)));
        let Taken::Yes { pending: taken, .. } = take(&pending.state, &mine, NOW) else { panic!() };
        assert_eq!((&taken.nonce, &taken.code_verifier), (&pending.nonce, &pending.code_verifier));
        assert!(matches!(take(&pending.state, &mine, NOW), Taken::UsedBefore(_)));
    }

    #[test]
    fn verifier_and_nonce_differ_between_sign_ins_of_one_browser() {
        let pendings = pendings();
        let (one, lines) = begin_at(&pendings, "/", &HeaderMap::new());
        let (two, again) = begin_at(&pendings, "/", &request(&[pair(&lines[0])]));
        assert_eq!(pair(&lines[0]), pair(&again[0]), "the binding is used again");
        assert!(one.nonce != two.nonce && one.code_verifier != two.code_verifier);
        assert!(one.nonce != one.code_verifier && one.code_verifier.len() == 43);
    }

    #[test]
    fn a_long_address_is_in_the_state_or_held() {
        let pendings = pendings();
        for address in [
            "/".to_owned(),
            format!("/x?{}", "%7B%22column%22%3A%22value%22%7D%2C".repeat(230)),
            format!("/x?{}", noise(8 * 1024)),
        ] {
            let (pending, lines) = begin_at(&pendings, &address, &HeaderMap::new());
            assert!(pending.state.len() <= MAX_STATE);
            let Taken::Yes { pending, .. } = pendings.take(&pending.state, &request(&[pair(&lines[0])]), NOW)
            else {
                panic!("{} bytes", address.len())
            };
            assert_eq!(pending.return_to.as_deref(), Some(address.as_str()));
        }
        assert_eq!(pendings.held().find([0; 16]), None);
    }

    #[test]
    fn what_began_at_the_same_moment_is_bounded() {
        let pendings = pendings();
        let mut jar: Vec<String> =
            (0..100).map(|_| pair(&begin_at(&pendings, "/", &HeaderMap::new()).1[0])).collect();
        for _ in 0..40 {
            let (_, lines) = begin_at(&pendings, "/", &request(&jar));
            assert!(lines.len() <= 1 + MAX_REMOVED);
            for removal in &lines[1..] {
                let name = pair(removal);
                jar.retain(|kept| !kept.starts_with(&name));
            }
        }
        assert_eq!(jar.len(), MAX_BINDINGS);
    }

    #[test]
    fn the_number_of_used_states_is_bounded() {
        let pendings = pendings();
        for n in 0..MAX_USED + 10 {
            assert!(pendings.use_up(sha256(n.to_string().as_bytes()), NOW + n as u64 / 1000));
        }
        assert!(pendings.used.lock().unwrap().len() <= MAX_USED);
    }
}
