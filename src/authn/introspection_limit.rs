//! Which tokens the provider is asked about: its rate limit is per address, and made-up tokens
//! must not use it up.
//!
//! A token that was valid before is known, and has places of its own. An unknown one waits for
//! one of the places of its client's address. Tokens that turn out to be wrong use up a budget
//! of that address; valid ones do not, so that many clients behind one address get in.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::error::TokenError;
use crate::client::subscriber;
use crate::clock::UnixTime;
use crate::keys::Fingerprint;

/// The maximum number of requests in flight about unknown tokens.
const UNKNOWN_PLACES: usize = 32;
/// Of these, for one address.
const ADDRESS_PLACES: usize = 8;
/// How many further requests of one address wait for a place.
const ADDRESS_QUEUE: usize = 32;
/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// The maximum number of requests in flight about known tokens.
const KNOWN_PLACES: usize = 64;
/// How many wrong tokens one address may send at once, and how soon it gets one back.
const BUDGET: u32 = 30;
const REFILL: Duration = Duration::from_secs(2);
/// How many known tokens are remembered. One takes about 100 bytes.
const KNOWN_CAPACITY: usize = 16_384;
/// How many addresses are remembered; past it the one not seen for the longest time is forgotten.
const ADDRESS_CAPACITY: usize = 4_096;
/// The longest pause that the provider can demand.
pub(super) const LONGEST_PAUSE: u64 = 300;
/// Seconds after which a client without a place may try again.
const RETRY: u64 = 1;
/// At most one warning in this many seconds.
const WARNING_INTERVAL: u64 = 10;

const BUSY: &str = "Too many unknown tokens are being checked at the moment. Try again.";
const WRONG_TOKENS: &str = "Too many wrong tokens came from this address. A token that was valid before still works; others are checked again in a moment.";
pub(super) const RATE_LIMITED: &str = "Hugging Face limits how many tokens can be checked, and the limit is reached. Tokens that were checked within the last minute still work.";

/// Whether a token was valid before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Known,
    Unknown,
}

/// What limits requests to the provider. A reload keeps it.
pub(super) struct IntrospectionLimit {
    known: Cache<Fingerprint, ()>,
    addresses: Cache<IpAddr, Arc<AddressShare>>,
    known_places: Arc<Semaphore>,
    unknown_places: Arc<Semaphore>,
    /// No requests before this time: the provider demanded a pause.
    known_paused_until: AtomicU64,
    unknown_paused_until: AtomicU64,
    warned: AtomicU64,
}

/// What one address may have.
struct AddressShare {
    places: Arc<Semaphore>,
    /// Requests in flight and in the queue.
    requests: AtomicUsize,
    /// When the budget is full again (the generic cell rate algorithm).
    full_at: Mutex<Instant>,
}

/// A request that may be sent once it has a place.
pub(super) struct Admission {
    standing: Standing,
    /// `None` for known tokens, and for clients without an address.
    share: Option<Arc<AddressShare>>,
    places: Arc<Semaphore>,
    /// The place, if it was free at once.
    place: Option<OwnedSemaphorePermit>,
    _request: Option<CountedRequest>,
}

/// Places that are held during a request.
pub(super) struct Places {
    _total: OwnedSemaphorePermit,
    _address: Option<OwnedSemaphorePermit>,
}

/// A request of an address, in flight or in the queue.
struct CountedRequest(Arc<AddressShare>);

impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for IntrospectionLimit {
    fn default() -> Self {
        Self {
            known: Cache::new(KNOWN_CAPACITY),
            addresses: Cache::new(ADDRESS_CAPACITY),
            known_places: Arc::new(Semaphore::new(KNOWN_PLACES)),
            unknown_places: Arc::new(Semaphore::new(UNKNOWN_PLACES)),
            known_paused_until: AtomicU64::new(0),
            unknown_paused_until: AtomicU64::new(0),
            warned: AtomicU64::new(0),
        }
    }
}

impl IntrospectionLimit {
    /// Whether the provider may be asked about a token that a client at `address` sent.
    ///
    /// # Errors
    /// Why not, and when the client may try again.
    pub(super) fn admit(
        &self,
        fingerprint: &Fingerprint,
        address: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<Admission, TokenError> {
        let known = self.known.get(fingerprint).is_some();
        let paused_until = if known { &self.known_paused_until } else { &self.unknown_paused_until };
        let until = paused_until.load(Ordering::Relaxed);
        // A time further in the future was set before the clock was turned back.
        if now < until && until - now <= LONGEST_PAUSE {
            return Err(TokenError::Unchecked { retry_after: until - now, why: RATE_LIMITED });
        }
        if known {
            let place = Arc::clone(&self.known_places).try_acquire_owned().map_err(|_| busy())?;
            let places = Arc::clone(&self.known_places);
            return Ok(Admission {
                standing: Standing::Known,
                share: None,
                places,
                place: Some(place),
                _request: None,
            });
        }
        let admission = self.admit_unknown(address);
        if let (Err(_), Some(address)) = (&admission, address) {
            self.warn(address, now);
        }
        admission
    }

    fn admit_unknown(&self, address: Option<IpAddr>) -> Result<Admission, TokenError> {
        let standing = Standing::Unknown;
        let places = Arc::clone(&self.unknown_places);
        let Some(address) = address else {
            // Nothing tells such clients apart: they share the places of all.
            let place = Arc::clone(&places).try_acquire_owned().map_err(|_| busy())?;
            return Ok(Admission { standing, share: None, places, place: Some(place), _request: None });
        };
        let Ok(share) = self
            .addresses
            .get_or_insert_with(&subscriber(address), || Ok::<_, std::convert::Infallible>(Arc::default()));
        if let Some(retry_after) = share.exhausted(Instant::now()) {
            return Err(TokenError::Unchecked { retry_after, why: WRONG_TOKENS });
        }
        let before = share.requests.fetch_add(1, Ordering::Relaxed);
        let request = CountedRequest(Arc::clone(&share));
        if before >= ADDRESS_PLACES + ADDRESS_QUEUE {
            return Err(busy());
        }
        Ok(Admission { standing, share: Some(share), places, place: None, _request: Some(request) })
    }

    /// Notes a valid token.
    pub(super) fn note_valid(&self, fingerprint: Fingerprint) {
        self.known.insert(fingerprint, ());
    }

    /// Notes that the provider rejected a token.
    pub(super) fn note_rejected(&self, fingerprint: &Fingerprint, admission: &Admission) {
        self.known.remove(fingerprint);
        if let Some(share) = &admission.share {
            share.charge(Instant::now());
        }
    }

    /// Notes that the provider demanded a pause in its answer about a token, or has only a
    /// `reserve` left. What it says about an unknown token holds for unknown ones alone: known
    /// ones are asked about until the provider refuses one of them.
    pub(super) fn note_pause(&self, admission: &Admission, until: UnixTime) {
        self.unknown_paused_until.fetch_max(until, Ordering::Relaxed);
        if admission.standing == Standing::Known {
            self.known_paused_until.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// Keeps what is left of the provider's limit for known tokens.
    pub(super) fn note_reserve(&self, until: UnixTime) {
        self.unknown_paused_until.fetch_max(until, Ordering::Relaxed);
    }

    fn warn(&self, address: IpAddr, now: UnixTime) {
        let last = self.warned.load(Ordering::Relaxed);
        let due = now >= last.saturating_add(WARNING_INTERVAL) || now < last;
        let exchange = || self.warned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if due && exchange().is_ok() {
            tracing::warn!(
                client = %subscriber(address),
                "a client sends more unknown tokens than are checked for one address; tokens that were valid before still work",
            );
        }
    }
}

impl Default for AddressShare {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(ADDRESS_PLACES)),
            requests: AtomicUsize::new(0),
            full_at: Mutex::new(Instant::now()),
        }
    }
}

impl AddressShare {
    /// Seconds until the address may send an unknown token again; `None` if it may now.
    fn exhausted(&self, now: Instant) -> Option<u64> {
        let full_at = *self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = full_at.saturating_duration_since(now);
        // One more wrong token has to fit.
        let over = missing.checked_sub(REFILL * (BUDGET - 1)).filter(|over| !over.is_zero())?;
        Some(over.as_secs() + u64::from(over.subsec_nanos() > 0))
    }

    fn charge(&self, now: Instant) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = (*full_at).max(now) + REFILL;
    }
}

impl Admission {
    /// The places that the request holds.
    ///
    /// # Errors
    /// None became free in time.
    pub(super) async fn places(&mut self) -> Result<Places, TokenError> {
        if let Some(total) = self.place.take() {
            return Ok(Places { _total: total, _address: None });
        }
        let acquired = timeout(PATIENCE, async {
            let address = match &self.share {
                Some(share) => Some(Arc::clone(&share.places).acquire_owned().await.ok()?),
                None => None,
            };
            Some(Places { _total: Arc::clone(&self.places).acquire_owned().await.ok()?, _address: address })
        });
        let places = acquired.await.ok().flatten().ok_or_else(busy)?;
        // Those before it in the queue may have used up the budget.
        match self.share.as_ref().and_then(|share| share.exhausted(Instant::now())) {
            Some(retry_after) => Err(TokenError::Unchecked { retry_after, why: WRONG_TOKENS }),
            None => Ok(places),
        }
    }
}

fn busy() -> TokenError {
    TokenError::Unchecked { retry_after: RETRY, why: BUSY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tokens_use_up_a_budget_that_refills() {
        let share = AddressShare::default();
        let start = *share.full_at.lock().unwrap();
        for _ in 0..BUDGET {
            assert_eq!(share.exhausted(start), None);
            share.charge(start);
        }
        assert_eq!(share.exhausted(start), Some(2));
        assert_eq!(share.exhausted(start + Duration::from_millis(1_500)), Some(1));
        assert_eq!(share.exhausted(start + REFILL), None);
        share.charge(start + REFILL);
        assert!(share.exhausted(start + REFILL).is_some());
        assert_eq!(share.exhausted(start + REFILL * 2), None);
        // Waiting longer does not give more than the whole budget.
        let later = start + REFILL * 1_000;
        for _ in 0..BUDGET {
            assert_eq!(share.exhausted(later), None);
            share.charge(later);
        }
        assert!(share.exhausted(later).is_some());
    }
}
