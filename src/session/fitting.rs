//! Makes a session fit the cookies that browsers, and servers in front, accept.

use std::sync::Arc;

use super::cookie::{MAX_SEALED, MAX_SEALED_ALONE};
use super::record::Session;
use super::sealing::SessionSealer;
use crate::identity::Org;

/// Whether an organisation must stay in a session: a rule names it.
pub(crate) type OrgFilter = Arc<dyn Fn(&Org) -> bool + Send + Sync>;

/// A session does not fit cookies, even without what can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Seals `session` for cookies. To fit one cookie, it leaves out organisations that no
/// rule names, and marks the list as cut. A session that cannot be that small keeps to the
/// limit of all chunks, if need be without the refresh token: the person signs in again
/// when the access token expires.
pub(super) fn seal_to_fit(
    sealer: &SessionSealer,
    session: &Session,
    must_stay: &OrgFilter,
) -> Result<String, TooLarge> {
    let sealed = sealer.seal_session(session);
    if sealed.len() <= MAX_SEALED_ALONE {
        return Ok(sealed);
    }
    if let Some(sealed) = with_fewer_orgs(sealer, session, must_stay, MAX_SEALED_ALONE) {
        return Ok(sealed);
    }
    tracing::warn!(
        bytes = sealed.len(),
        "a session needs two cookies, which servers in front of huggate may refuse: its tokens are long, \
         or the rules name many organisations of this person; a server-side store keeps the cookie short",
    );
    if sealed.len() <= MAX_SEALED {
        return Ok(sealed);
    }
    if let Some(sealed) = with_fewer_orgs(sealer, session, must_stay, MAX_SEALED) {
        return Ok(sealed);
    }
    let mut smaller = session.clone();
    smaller.tokens.refresh = None;
    with_fewer_orgs(sealer, &smaller, must_stay, MAX_SEALED).ok_or(TooLarge)
}

/// The session with as many of its organisations as fit, sealed. `None` if those that must
/// stay do not fit.
fn with_fewer_orgs(
    sealer: &SessionSealer,
    session: &Session,
    must_stay: &OrgFilter,
    limit: usize,
) -> Option<String> {
    let others = session.person.orgs.iter().filter(|org| !must_stay(org)).count();
    let with = |kept: usize| {
        let mut session = session.clone();
        let mut left = kept;
        let person = Arc::make_mut(&mut session.person);
        person.orgs.retain(|org| {
            let stays = must_stay(org) || left > 0;
            left -= usize::from(stays && !must_stay(org));
            stays
        });
        person.orgs_cut |= kept < others;
        Some(sealer.seal_session(&session)).filter(|sealed| sealed.len() <= limit)
    };
    let mut best = with(0)?;
    // The largest number that fits, by halving: `low` fits, `high` does not.
    let (mut low, mut high) = (0, others + 1);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        match with(middle) {
            Some(sealed) => (best, low) = (sealed, middle),
            None => high = middle,
        }
    }
    Some(best)
}
