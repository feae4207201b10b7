//! Logout tokens that were used. Each counts once (OpenID Connect Back-Channel Logout 1.0,
//! section 2.6).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::UnixTime;
use crate::keys::sha256;

/// The maximum number of tokens. Each has a signature of the provider and counts for minutes.
const CAPACITY: usize = 10_000;

/// The ids of tokens that have not expired yet.
#[derive(Debug, Default)]
pub(crate) struct UsedTokens {
    /// A hash of the id, and until when the token counts.
    until: Mutex<HashMap<[u8; 32], UnixTime>>,
}

impl UsedTokens {
    /// Notes a token that counts until `expires`; `false` if it was used before.
    pub(super) fn take(&self, jti: &str, expires: UnixTime, now: UnixTime) -> bool {
        let mut until = self.lock();
        if until.len() >= CAPACITY {
            until.retain(|_, expires| *expires > now);
        }
        // A token that is used twice signs out twice, which does no harm.
        if until.len() >= CAPACITY
            && let Some(first) = until.iter().min_by_key(|(_, expires)| **expires).map(|(id, _)| *id)
        {
            until.remove(&first);
        }
        let id = sha256(jti.as_bytes());
        if until.get(&id).is_some_and(|expires| *expires > now) {
            return false;
        }
        until.insert(id, expires);
        true
    }

    /// Forgets a token whose logout failed, so that the provider can send it again.
    pub(super) fn give_back(&self, jti: &str) {
        self.lock().remove(&sha256(jti.as_bytes()));
    }

    /// A panic while the lock was held leaves a whole table.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], UnixTime>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_once_until_it_is_given_back_and_the_table_is_bounded() {
        let used = UsedTokens::default();
        assert!(used.take("a", 200, 100) && !used.take("a", 200, 100));
        used.give_back("a");
        assert!(used.take("a", 200, 100));
        for number in 0..2 * CAPACITY {
            assert!(used.take(&number.to_string(), 300, 100));
        }
        assert_eq!(used.lock().len(), CAPACITY);
        assert!(used.take("b", 500, 400));
        assert_eq!(used.lock().len(), 1);
    }
}
