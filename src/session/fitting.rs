//! Makes a session fit the cookies that browsers, and servers in front, accept.

use std::fmt;
use std::sync::Arc;

use super::cookie::{MAX_SEALED, MAX_SEALED_ALONE};
use super::record::Session;
use super::sealing::SessionSealer;
use crate::identity::{FilterId, NamedOrgs, Needs, Org, Shown};

/// The organisations that must stay in a session, and the rules that name them.
#[derive(Clone)]
pub(crate) struct KeptOrgs {
    pub(crate) named: NamedOrgs,
    pub(crate) filter: FilterId,
}

/// The organisations that must stay by now: rules may be added while the gate is in use.
pub(crate) struct KeptOrgsSource {
    needs: Arc<Needs>,
    now: Box<dyn Fn() -> KeptOrgs + Send + Sync>,
}

impl KeptOrgsSource {
    /// `now` returns them for the rules with the filter of `needs`.
    pub(crate) fn new(needs: Arc<Needs>, now: impl Fn() -> KeptOrgs + Send + Sync + 'static) -> Self {
        Self { needs, now: Box::new(now) }
    }

    /// Nothing may be left out.
    pub(super) fn all() -> Self {
        let needs = Needs::new(KeptOrgs::all().filter, Shown::ALL);
        Self::new(Arc::new(needs), KeptOrgs::all)
    }

    /// Identifies the names in the rules. It costs a load.
    pub(super) fn filter(&self) -> FilterId {
        self.needs.filter()
    }

    /// The organisations, for one session that is sealed.
    pub(super) fn now(&self) -> KeptOrgs {
        (self.now)()
    }
}

impl KeptOrgs {
    /// Nothing may be left out.
    pub(super) fn all() -> Self {
        Self { named: Arc::new(|_| true), filter: FilterId([0; 8]) }
    }

    fn have(&self, org: &Org) -> bool {
        (self.named)(org)
    }
}

impl fmt::Debug for KeptOrgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptOrgs").field("filter", &self.filter).finish_non_exhaustive()
    }
}

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
    kept: &KeptOrgs,
) -> Result<String, TooLarge> {
    let sealed = sealer.seal_session(session);
    if sealed.len() <= MAX_SEALED_ALONE {
        return Ok(sealed);
    }
    if let Some(sealed) = with_fewer_orgs(sealer, session, kept, MAX_SEALED_ALONE) {
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
    if let Some(sealed) = with_fewer_orgs(sealer, session, kept, MAX_SEALED) {
        return Ok(sealed);
    }
    let mut smaller = session.clone();
    smaller.tokens.refresh = None;
    with_fewer_orgs(sealer, &smaller, kept, MAX_SEALED).ok_or(TooLarge)
}

/// The session with as many of its organisations as fit, sealed. `None` if those that must
/// stay do not fit.
fn with_fewer_orgs(
    sealer: &SessionSealer,
    session: &Session,
    kept: &KeptOrgs,
    limit: usize,
) -> Option<String> {
    let others = session.person.orgs.iter().filter(|org| !kept.have(org)).count();
    let with = |number: usize| {
        let mut session = session.clone();
        let mut left = number;
        let person = Arc::make_mut(&mut session.person);
        person.orgs.retain(|org| {
            let stays = kept.have(org) || left > 0;
            left -= usize::from(stays && !kept.have(org));
            stays
        });
        if number < others {
            person.note_cut(kept.filter);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Missing;
    use crate::session::tests::session;

    #[test]
    fn what_is_left_out_is_asked_for_when_other_rules_name_it() {
        let (these, others) = (FilterId([1; 8]), FilterId([2; 8]));
        let mut ada = Arc::unwrap_or_clone(session().person);
        ada.note_cut(these);
        assert!(ada.orgs_cut);
        assert!(ada.missing_for(these).is_nothing());
        assert_eq!(ada.missing_for(others), Missing { orgs: true, groups: false });
        // Left out under one set of rules, and more of it under another: neither has all.
        ada.note_cut(others);
        assert!(!ada.missing_for(these).is_nothing() && !ada.missing_for(others).is_nothing());
    }
}
