//! Why somebody may not enter, as they themselves are told: what is needed, what
//! they have of it, and what they can do. It names no account and no address.

use serde::Serialize;

use super::evaluate::{ConditionResult, Membership};
use super::rule::{Condition, Match, Rule, is_id};
use super::verdict::RuleEvaluation;
use crate::identity::{Org, Person, Role};
use crate::provider::TokenKind;

/// A refusal that says what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) username: String,
    /// What each rule asks for: the ways in, or the `deny` that is in the way.
    pub(crate) demands: Vec<Requirement>,
    pub(crate) kind: DenialKind,
    /// What may help, if it is about an organisation.
    pub(crate) remedy: Option<Remedy>,
    /// The kind of token they came with; `None` is a session.
    pub(crate) token: Option<TokenKind>,
}

/// By what somebody is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenialKind {
    /// No `allow` lets them in.
    NotAllowed,
    /// A `deny` means them.
    Denial,
    /// A `deny` may mean them.
    PerhapsDenied,
}

/// What a rule asks for, and what is in the way of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Requirement {
    /// Who is meant: "a member of acme".
    pub(crate) who: String,
    pub(crate) missing: Vec<Obstacle>,
}

/// Something that is in the way. The fields are what programs are told; they are in
/// the README's care.
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
    /// The same in a sentence or two.
    #[serde(skip)]
    pub(crate) sentence: String,
}

/// A way to be seen as the member that somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// The organisation's name, or what the rule calls it.
    pub(crate) organisation: String,
    /// Its id, if that is known.
    pub(crate) id: Option<String>,
    pub(crate) kind: RemedyKind,
}

/// What keeps the membership from counting; the more certain, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RemedyKind {
    /// They may be a member, and the app was not shown it.
    NotListed,
    /// They are kept out until they have signed in there, or shown a second factor.
    Restricted,
    /// They are a member, and did not grant the app to see more than that.
    NotGranted,
}

impl Denial {
    /// None of `allow` lets them in.
    pub(crate) fn for_want_of(allow: &[Rule], person: &Person, token: Option<TokenKind>) -> Self {
        let mut denied = Self::of(person, token, DenialKind::NotAllowed);
        for rule in allow {
            denied.add(rule, person, |_| true);
        }
        denied
    }

    /// A `deny` is in the way.
    pub(crate) fn by(clause: &RuleEvaluation<'_>, person: &Person, token: Option<TokenKind>) -> Self {
        let unknown = clause.holds == Match::Unknown;
        let kind = if unknown { DenialKind::PerhapsDenied } else { DenialKind::Denial };
        let mut denied = Self::of(person, token, kind);
        // Where it holds, nothing helps; where it cannot be ruled out, what would
        // tell may.
        denied.add(clause.rule, person, |finding| unknown && finding.holds() == Match::Unknown);
        // To be seen as a member is no help against a rule that keeps members out.
        Self { remedy: None, ..denied }
    }

    fn of(person: &Person, token: Option<TokenKind>, kind: DenialKind) -> Self {
        let username = person.username.to_string();
        Self { username, kind, demands: Vec::new(), remedy: None, token }
    }

    fn add(&mut self, rule: &Rule, person: &Person, counts: impl Fn(&ConditionResult<'_>) -> bool) {
        let mut demand = Requirement { who: format!("{rule:#}"), missing: Vec::new() };
        let found: Vec<_> =
            rule.conditions.iter().map(|condition| (condition, condition.weigh(person))).collect();
        // Nobody becomes another account; then nothing else about the rule helps.
        let is_somebody_elses = found.iter().any(|(condition, finding)| {
            matches!(condition, Condition::User(_)) && finding.holds() != Match::Yes
        });
        if !is_somebody_elses {
            for (_, finding) in found.iter().filter(|(_, finding)| counts(finding)) {
                demand.missing.extend(Obstacle::of(finding, self.token.is_some()));
                let remedy = Remedy::of(finding);
                let better =
                    remedy.as_ref().map(|remedy| remedy.kind) > self.remedy.as_ref().map(|known| known.kind);
                if better {
                    self.remedy = remedy;
                }
            }
        }
        // Two lists of accounts are one to whoever is on neither.
        if !self.demands.contains(&demand) {
            self.demands.push(demand);
        }
    }

    /// Calls organisations by their names where a rule has their ids.
    pub(crate) fn renamed(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        let rename = |text: &mut String| {
            let ids: Vec<String> = text
                .split(|c: char| !c.is_ascii_hexdigit())
                .filter(|word| is_id(word))
                .map(str::to_owned)
                .collect();
            for id in ids {
                if let Some(name) = name(&id) {
                    *text = text.replace(&id, &name);
                }
            }
        };
        for demand in &mut self.demands {
            rename(&mut demand.who);
            for obstacle in &mut demand.missing {
                rename(&mut obstacle.sentence);
                obstacle.organisation.iter_mut().for_each(rename);
            }
        }
        if let Some(remedy) = &mut self.remedy {
            rename(&mut remedy.organisation);
        }
        self
    }

    /// All of it in sentences, one text for each demand.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentence = |demand: &Requirement| {
            let missing = demand.missing_in_sentences();
            format!("{} {missing}", demand.sentence(self.kind)).trim_end().to_owned()
        };
        self.demands.iter().map(sentence).collect()
    }
}

impl Requirement {
    /// What is in the way; empty, if there is nothing to say.
    pub(crate) fn missing_in_sentences(&self) -> String {
        let sentences: Vec<&str> = self.missing.iter().map(|obstacle| obstacle.sentence.as_str()).collect();
        sentences.join(" ")
    }

    /// Who may enter, or who may not.
    pub(crate) fn sentence(&self, kind: DenialKind) -> String {
        match kind {
            DenialKind::NotAllowed => format!("It is open to {}.", self.who),
            DenialKind::Denial => format!("This place is closed to {}.", self.who),
            DenialKind::PerhapsDenied => {
                format!("This place is closed to {}, and whether that is you cannot be told.", self.who)
            }
        }
    }
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

    /// What is in the way, if something is; to whoever came with a token it is
    /// their token's place that matters.
    fn of(finding: &ConditionResult<'_>, token: bool) -> Option<Self> {
        Some(match finding {
            ConditionResult::ThisAccount(_)
            | ConditionResult::OtherAccount(_)
            | ConditionResult::Match(_)
            | ConditionResult::ThisEmail(_)
            | ConditionResult::Pro(_) => return None,
            ConditionResult::AmbiguousOriginal { wanted, found, .. } => Self::new(
                "unclear_name",
                format!(
                    "The rule here says {wanted}, and at Hugging Face it is {found}: \
                     the people who run this app need to correct it."
                ),
            ),
            ConditionResult::OrgsNotTold => Self::new(
                "organisations_not_told",
                "Hugging Face did not tell this app which organisations you are in.",
            ),
            ConditionResult::NotAMember(org) => {
                Self::new("not_a_member", format!("You are not in {org}, as far as this app can see."))
                    .in_org(org)
            }
            ConditionResult::NotGranted(org) => {
                let sentence = match token {
                    true => format!("This token does not show your role in {}.", org.shown()),
                    false => format!(
                        "You are in {}, but this app has not been shown your role there.",
                        org.shown()
                    ),
                };
                Self::new("not_granted", sentence).in_org(org.shown())
            }
            ConditionResult::Restricted(org) => {
                Self::new("restricted", restricted(org, token)).in_org(org.shown())
            }
            ConditionResult::NoAccess(org) => {
                let sentence = format!(
                    "Your role in {} is no_access, which opens only what a resource group of yours opens.",
                    org.shown()
                );
                let obstacle = Self::new("no_access", sentence).in_org(org.shown());
                Self { role: Some(Role::NoAccess.to_string()), ..obstacle }
            }
            ConditionResult::RoleTooLow(place, needed) => Self::role(place, *needed),
            ConditionResult::RoleNotSaid(place, needed) => Self::role(place, Some(needed)),
            ConditionResult::NotInGroup(org, group) => {
                let sentence = format!("You are in {}, but not in its resource group {group}.", org.shown());
                let obstacle = Self::new("not_in_group", sentence).in_org(org.shown());
                Self { resource_group: Some((*group).to_owned()), ..obstacle }
            }
            ConditionResult::NoEmail => {
                Self::new("email_not_shared", "Your Hugging Face account shows this app no e-mail address.")
            }
            ConditionResult::EmailNotVerified(_) => Self::new(
                "email_not_verified",
                "Your e-mail address at Hugging Face is not verified. Verify it in the settings of your \
                 account there, then sign in again.",
            ),
            ConditionResult::OtherEmail(_) => {
                Self::new("other_email", "The e-mail address of your Hugging Face account is another one.")
            }
            ConditionResult::NotPro(false) => {
                Self::new("pro_needed", "Your account has no PRO subscription.")
            }
            ConditionResult::NotPro(true) => {
                Self::new("pro_excluded", "Your account has a PRO subscription.")
            }
            ConditionResult::ProNotTold => {
                Self::new("not_an_account", "An app has no subscription of its own.")
            }
        })
    }

    /// A role that does not do: the one held, and the one needed.
    fn role(place: &Membership<'_>, needed: Option<&Role>) -> Self {
        let (held, org) = (place.role, place.org.shown());
        let place_name = match place.group {
            Some(group) => format!("{} of {org}", group.shown()),
            None => org.to_owned(),
        };
        let (reason, sentence) = match (held, needed) {
            (Role::Custom(_), Some(needed)) => (
                "custom_role",
                format!(
                    "Your role in {place_name} is {held}, one of its own, which is neither above nor below \
                     others; {needed} is needed."
                ),
            ),
            (_, Some(Role::Custom(needed))) => {
                ("other_role", format!("Your role in {place_name} is {held}, and {needed} is needed."))
            }
            (_, Some(needed)) => (
                "role_too_low",
                format!("Your role in {place_name} is {held}, and at least {needed} is needed."),
            ),
            (_, None) => ("no_access", format!("Your role in {place_name} is {held}, which opens nothing.")),
        };
        let obstacle = Self::new(reason, format!("{sentence} An admin of {org} can change it.")).in_org(org);
        Self {
            resource_group: place.group.map(|group| group.shown().to_owned()),
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
            "{org} restricts this token or its owner's membership at the moment: its single sign-on, a second factor, \
             its policy on tokens, or another of its security rules is not met. Open {org} on Hugging Face and \
             complete what it asks for."
        );
    }
    format!(
        "{org} restricts your membership at the moment: its single sign-on, a second factor, or another of its \
         security rules is not met."
    )
}

impl Remedy {
    fn of(finding: &ConditionResult<'_>) -> Option<Self> {
        let listed = |org: &Org, kind| {
            Some(Self { organisation: org.slug.to_string(), id: Some(org.id.to_string()), kind })
        };
        match finding {
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
