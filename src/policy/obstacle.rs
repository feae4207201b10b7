//! A condition that is not satisfied, as a sentence for people and as a stable code for
//! programs.

use serde::Serialize;

use super::evaluate::{ConditionResult, Membership};
use super::rule::NameMatch;
use crate::identity::{Org, Role};

/// A condition that is not satisfied. Programs receive these fields as JSON; they are
/// listed in the documentation of refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Obstacle {
    pub(crate) reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organisation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) needed_role: Option<String>,
    /// The same, as one or two sentences.
    #[serde(skip)]
    pub(crate) sentence: String,
}

impl Obstacle {
    fn new(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            organisation: None,
            resource_group: None,
            role: None,
            needed_role: None,
            sentence: sentence.into(),
        }
    }

    fn in_org(self, org: &str) -> Self {
        Self { organisation: Some(org.to_owned()), ..self }
    }

    /// The obstacle, if the condition is not satisfied. With `by_token` the sentence
    /// describes what the token shows.
    pub(super) fn of(result: &ConditionResult<'_>, by_token: bool) -> Option<Self> {
        Some(match result {
            ConditionResult::ThisAccount(_)
            | ConditionResult::OtherAccount(_)
            | ConditionResult::Member(_)
            | ConditionResult::ThisEmail(_)
            // The provider is asked before anybody is refused for it.
            | ConditionResult::NotHeld(_)
            | ConditionResult::Pro(_) => return None,
            ConditionResult::AmbiguousName { wanted, how: NameMatch::NotSaid, .. } => Self::new(
                "unreadable",
                format!(
                    "Hugging Face sent this app an answer about you that it cannot read in part, so it is not \
                     known whether {wanted} is among your accounts, organisations and groups."
                ),
            ),
            ConditionResult::AmbiguousName { wanted, found, .. } => Self::unclear_name(wanted, found),
            ConditionResult::UsernameNotShown(_) => Self::new(
                "username_not_shown",
                "Hugging Face did not share your username with this app.",
            ),
            ConditionResult::OrgsNotTold => Self::new(
                "organisations_not_told",
                "Hugging Face did not share with this app which organisations you are in.",
            ),
            ConditionResult::NotAMember(org) => {
                Self::new("not_a_member", format!("You are not in {org}, as far as this app can see."))
                    .in_org(org)
            }
            ConditionResult::NotShown(org) => Self::not_shown(org, by_token),
            ConditionResult::GroupsNotShown(org, group) => Self::groups_not_shown(org, group, by_token),
            ConditionResult::NotGranted(org) => Self::not_granted(org, by_token),
            ConditionResult::Restricted(org) => {
                Self::new("restricted", restricted(org, by_token)).in_org(org.shown())
            }
            ConditionResult::NoAccess(org) => Self::no_access(org),
            ConditionResult::RoleTooLow(membership, needed) => Self::role(membership, *needed),
            ConditionResult::RoleNotSaid(membership, needed) => Self::role(membership, Some(needed)),
            ConditionResult::NotInGroup(org, group) => Self::not_in_group(org, group),
            ConditionResult::NoEmail
            | ConditionResult::EmailNotVerified(_)
            | ConditionResult::OtherEmail(_) => Self::email(result),
            ConditionResult::NotPro(false) => {
                Self::new("pro_needed", "Your account has no PRO subscription.")
            }
            ConditionResult::NotPro(true) => {
                Self::new("pro_excluded", "Your account has a PRO subscription.")
            }
            ConditionResult::ProNotTold => Self::new(
                "pro_not_told",
                "Hugging Face did not tell this app whether your account has a PRO subscription.",
            ),
            ConditionResult::NotAnAccount => {
                Self::new("not_an_account", "An app has no subscription of its own.")
            }
        })
    }

    fn email(result: &ConditionResult<'_>) -> Self {
        match result {
            ConditionResult::NoEmail => Self::new(
                "email_not_shared",
                "Your Hugging Face account does not share an e-mail address with this app.",
            ),
            ConditionResult::EmailNotVerified(_) => Self::new(
                "email_not_verified",
                "Your e-mail address at Hugging Face is not verified. Verify it in the settings of your \
                 account there, then sign in again.",
            ),
            _ => Self::new("other_email", "Your Hugging Face account has a different e-mail address."),
        }
    }

    /// The sign-in did not ask for what the rule needs, and another one would.
    pub(super) fn not_asked(result: &ConditionResult<'_>) -> Self {
        let (what, org) = match result {
            ConditionResult::NoEmail => ("your e-mail address", None),
            ConditionResult::UsernameNotShown(_) => ("your username", None),
            ConditionResult::NotShown(org) => ("your organisations", Some(*org)),
            ConditionResult::NotGranted(org) => ("your organisations", Some(org.shown())),
            _ => ("your organisations", None),
        };
        let sentence = format!(
            "This app needs to know {what}, and did not ask for that when you signed in. Sign in again."
        );
        let obstacle = Self::new("sign_in_again", sentence);
        match org {
            Some(org) => obstacle.in_org(org),
            None => obstacle,
        }
    }

    fn unclear_name(wanted: &str, found: &str) -> Self {
        let sentence = format!(
            "A rule of this app says {wanted}, but the name on Hugging Face is {found}. \
             The people who run this app need to correct the rule."
        );
        Self::new("unclear_name", sentence)
    }

    fn not_shown(org: &str, by_token: bool) -> Self {
        let what = if by_token { "This token" } else { "Your sign-in" };
        let sentence = format!(
            "{what} does not show all organisations of its owner, so it is not known whether {org} is one of them."
        );
        Self::new("not_shown", sentence).in_org(org)
    }

    fn groups_not_shown(org: &Org, group: &str, by_token: bool) -> Self {
        let org = org.shown();
        let sentence = if by_token {
            format!("This token does not show your resource groups in {org}.")
        } else {
            format!("You are in {org}, but you have not shared your resource groups there with this app.")
        };
        Self { resource_group: Some(group.to_owned()), ..Self::new("groups_not_shown", sentence).in_org(org) }
    }

    fn not_granted(org: &Org, by_token: bool) -> Self {
        let org = org.shown();
        let sentence = if by_token {
            format!("This token does not show your role in {org}.")
        } else {
            format!("You are in {org}, but you have not shared your role there with this app.")
        };
        Self::new("not_granted", sentence).in_org(org)
    }

    fn no_access(org: &Org) -> Self {
        let org = org.shown();
        let sentence =
            format!("Your role in {org} is no_access, which gives access only through your resource groups.");
        Self { role: Some(Role::NoAccess.to_string()), ..Self::new("no_access", sentence).in_org(org) }
    }

    fn not_in_group(org: &Org, group: &str) -> Self {
        let org = org.shown();
        let sentence = format!("You are in {org}, but not in its resource group {group}.");
        Self { resource_group: Some(group.to_owned()), ..Self::new("not_in_group", sentence).in_org(org) }
    }

    /// The role is too low: states the current role and the needed one.
    fn role(membership: &Membership<'_>, needed: Option<&Role>) -> Self {
        let (held, org) = (membership.role, membership.org.shown());
        let scope = match membership.group {
            Some(group) => format!("{} of {org}", group.shown()),
            None => org.to_owned(),
        };
        let (reason, sentence) = match (held, needed) {
            (Role::Custom(_), Some(needed)) => (
                "custom_role",
                format!(
                    "Your role in {scope} is the custom role {held}, which is not ranked above or below \
                     others; {needed} is needed."
                ),
            ),
            (_, Some(Role::Custom(needed))) => {
                ("other_role", format!("Your role in {scope} is {held}, and {needed} is needed."))
            }
            (_, Some(needed)) => {
                ("role_too_low", format!("Your role in {scope} is {held}, and at least {needed} is needed."))
            }
            (_, None) => ("no_access", format!("Your role in {scope} is {held}, which gives no access.")),
        };
        let obstacle = Self::new(reason, format!("{sentence} An admin of {org} can change it.")).in_org(org);
        Self {
            resource_group: membership.group.map(|group| group.shown().to_owned()),
            role: Some(held.to_string()),
            needed_role: needed.map(Role::to_string),
            ..obstacle
        }
    }
}

fn restricted(org: &Org, token: bool) -> String {
    let org = org.shown();
    if token {
        return format!(
            "{org} currently restricts this token or its owner's membership: its single sign-on, a second factor, \
             its token policy or another of its security rules is not satisfied. Open {org} on Hugging Face and \
             complete the steps that it requires."
        );
    }
    format!(
        "{org} currently restricts your membership: its single sign-on, a second factor or another of its \
         security rules is not satisfied."
    )
}
