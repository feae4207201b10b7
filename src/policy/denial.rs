//! Explains to a person why access is denied: what is required, what is missing, and what
//! they can do. It names no other account and no address.

use serde::Serialize;

use super::evaluate::ConditionResult;
use super::obstacle::Obstacle;
use super::remedy::Remedy;
use super::rule::{Condition, Match, Rule, is_id};
use super::verdict::{RuleEvaluation, Verdict};
use crate::identity::{Missing, Person, Shown};

/// Why a person was denied, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) username: String,
    /// The requirements of each rule: all `allow` rules, or the `deny` rule that matched.
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) kind: DenialKind,
    /// A remedy, if the obstacle is an organisation membership.
    pub(crate) remedy: Option<Remedy>,
    /// Whether the request was authenticated by a token.
    pub(crate) by_token: bool,
    /// Whether another sign-in shows what is missing: this one asked for less than a
    /// sign-in asks for now.
    pub(crate) sign_in_again: bool,
}

/// How the person came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credential {
    /// With a token, and not with a session.
    pub(crate) is_token: bool,
    /// What a sign-in would ask for.
    pub(crate) asks: Shown,
    /// What a session does not hold.
    pub(crate) missing: Missing,
}

/// Why access is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenialKind {
    /// No `allow` matches.
    NotAllowed,
    /// A `deny` matches.
    Denied,
    /// A `deny` evaluates to [`Match::Unknown`].
    PerhapsDenied,
}

/// The requirement of a rule, and the conditions that are not satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Requirement {
    /// The people whom the rule describes: "a member of acme".
    pub(crate) who: String,
    pub(crate) missing: Vec<Obstacle>,
}

impl Denial {
    /// The denial for `person`; `None` if `verdict` admits the request, if nobody is
    /// signed in, or if it is not decided yet.
    pub(crate) fn of(verdict: &Verdict<'_>, person: &Person, credential: Credential) -> Option<Self> {
        match verdict {
            Verdict::Denied(evaluation) => Some(Self::by_deny(evaluation, person, credential)),
            Verdict::NotAllowed(allow) => Some(Self::by_allow(allow, person, credential)),
            Verdict::Public | Verdict::Anyone | Verdict::Allowed | Verdict::Nobody | Verdict::NotHeld(_) => {
                None
            }
        }
    }

    /// None of `allow` matches.
    fn by_allow(allow: &[Rule], person: &Person, credential: Credential) -> Self {
        let mut denial = Self::new(person, credential.is_token, DenialKind::NotAllowed);
        for rule in allow {
            denial.add(rule, person, credential, |_| true);
        }
        denial
    }

    /// A `deny` matches, or evaluates to [`Match::Unknown`].
    fn by_deny(evaluation: &RuleEvaluation<'_>, person: &Person, credential: Credential) -> Self {
        let unknown = evaluation.matches == Match::Unknown;
        let kind = if unknown { DenialKind::PerhapsDenied } else { DenialKind::Denied };
        let mut denial = Self::new(person, credential.is_token, kind);
        // Nothing helps against a `deny` that matches. If the result is unknown,
        // supplying the missing information may help.
        denial
            .add(evaluation.rule, person, credential, |result| unknown && result.matches() == Match::Unknown);
        // Proving a membership does not help against a rule that excludes members.
        Self { remedy: None, ..denial }
    }

    fn new(person: &Person, by_token: bool, kind: DenialKind) -> Self {
        let username = person.shown().to_owned();
        Self { username, kind, requirements: Vec::new(), remedy: None, by_token, sign_in_again: false }
    }

    fn add(
        &mut self,
        rule: &Rule,
        person: &Person,
        credential: Credential,
        relevant: impl Fn(&ConditionResult<'_>) -> bool,
    ) {
        let mut requirement = Requirement { who: format!("{rule:#}"), missing: Vec::new() };
        let results: Vec<_> = rule
            .conditions
            .iter()
            .map(|condition| (condition, condition.evaluate(person, credential.missing)))
            .collect();
        // An account cannot become another one, so satisfying the other conditions does
        // not help.
        let names_another_account = results.iter().any(|(condition, result)| {
            matches!(condition, Condition::User(_))
                && result.matches() != Match::Yes
                && !result.would_be_shown(person.shown, credential.asks)
        });
        if !names_another_account {
            for (_, result) in results.iter().filter(|(_, result)| relevant(result)) {
                if !credential.is_token && result.would_be_shown(person.shown, credential.asks) {
                    self.sign_in_again = true;
                    requirement.missing.push(Obstacle::not_asked(result));
                    continue;
                }
                requirement.missing.extend(Obstacle::of(result, self.by_token));
                let remedy = Remedy::of(result);
                let better = remedy.as_ref().map(|remedy| remedy.kind)
                    > self.remedy.as_ref().map(|remedy| remedy.kind);
                if better {
                    self.remedy = remedy;
                }
            }
        }
        // The text leaves out account names, so two lists of accounts can produce the
        // same text.
        if !self.requirements.contains(&requirement) {
            self.requirements.push(requirement);
        }
    }

    /// Replaces organisation ids in the texts by organisation names.
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
        for requirement in &mut self.requirements {
            rename(&mut requirement.who);
            for obstacle in &mut requirement.missing {
                rename(&mut obstacle.sentence);
                obstacle.organisation.iter_mut().for_each(rename);
            }
        }
        if let Some(remedy) = &mut self.remedy {
            rename(&mut remedy.organisation);
        }
        self
    }

    /// The denial as sentences, one text per requirement.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentence = |requirement: &Requirement| {
            let missing = requirement.missing_in_sentences();
            format!("{} {missing}", requirement.sentence(self.kind)).trim_end().to_owned()
        };
        self.requirements.iter().map(sentence).collect()
    }
}

impl Requirement {
    /// The obstacles as sentences; empty if there are none.
    pub(crate) fn missing_in_sentences(&self) -> String {
        let sentences: Vec<&str> = self.missing.iter().map(|obstacle| obstacle.sentence.as_str()).collect();
        sentences.join(" ")
    }

    /// States who may enter, or who may not.
    pub(crate) fn sentence(&self, kind: DenialKind) -> String {
        match kind {
            DenialKind::NotAllowed => format!("It is open to {}.", self.who),
            DenialKind::Denied => format!("It is closed to {}.", self.who),
            DenialKind::PerhapsDenied => {
                format!("It is closed to {}, and it is not known whether that includes you.", self.who)
            }
        }
    }
}
