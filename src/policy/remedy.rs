//! Suggests what may help a person who was refused because of an organisation.

use super::evaluate::ConditionResult;
use super::rule::is_id;
use crate::identity::Org;

/// What the person can do so that a membership is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// The organisation's name, or the name or id that the rule uses.
    pub(crate) organisation: String,
    /// Its id, if known.
    pub(crate) id: Option<String>,
    pub(crate) kind: RemedyKind,
}

/// Why the membership is not recognised; more certain kinds are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RemedyKind {
    /// The organisation is not listed. The person may be a member who did not grant it to
    /// the app.
    NotListed,
    /// The organisation first requires its single sign-on, a second factor or similar.
    Restricted,
    /// The person is a member and did not grant the organisation to the app.
    NotGranted,
}

impl Remedy {
    pub(super) fn of(result: &ConditionResult<'_>) -> Option<Self> {
        let listed = |org: &Org, kind| {
            Some(Self { organisation: org.slug.to_string(), id: Some(org.id.to_string()), kind })
        };
        match result {
            ConditionResult::NotGranted(org) | ConditionResult::GroupsNotShown(org, _) => {
                listed(org, RemedyKind::NotGranted)
            }
            ConditionResult::Restricted(org) => listed(org, RemedyKind::Restricted),
            ConditionResult::NotAMember(org) | ConditionResult::NotShown(org) => Some(Self {
                organisation: (*org).to_owned(),
                id: is_id(org).then(|| (*org).to_owned()),
                kind: RemedyKind::NotListed,
            }),
            _ => None,
        }
    }
}
