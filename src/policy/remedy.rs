//! What may help somebody who was refused for an organisation.

use super::evaluate::ConditionResult;
use super::rule::is_id;
use crate::identity::Org;

/// A way to make a membership count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// The organisation's name, or what the rule calls it.
    pub(crate) organisation: String,
    /// Its id, if that is known.
    pub(crate) id: Option<String>,
    pub(crate) kind: RemedyKind,
}

/// What keeps the membership from counting; more certain kinds are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RemedyKind {
    /// They may be a member, and the organisation was not granted to the app.
    NotListed,
    /// The organisation requires its single sign-on, a second factor or the like first.
    Restricted,
    /// They are a member and did not grant the organisation to the app.
    NotGranted,
}

impl Remedy {
    pub(super) fn of(result: &ConditionResult<'_>) -> Option<Self> {
        let listed = |org: &Org, kind| {
            Some(Self { organisation: org.slug.to_string(), id: Some(org.id.to_string()), kind })
        };
        match result {
            ConditionResult::NotGranted(org) => listed(org, RemedyKind::NotGranted),
            ConditionResult::Restricted(org) => listed(org, RemedyKind::Restricted),
            ConditionResult::NotAMember(org) => Some(Self {
                organisation: (*org).to_owned(),
                id: is_id(org).then(|| (*org).to_owned()),
                kind: RemedyKind::NotListed,
            }),
            _ => None,
        }
    }
}
