//! Why a person may not enter, as the person is told: what is needed, what they have
//! of it, and what they can do. It names no other account and no address.

use serde::Serialize;

use super::evaluate::ConditionResult;
use super::obstacle::Obstacle;
use super::remedy::Remedy;
use super::rule::{Condition, Match, Rule, is_id};
use super::verdict::{RuleEvaluation, Verdict};
use crate::identity::Person;

/// Why somebody was denied, and what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) username: String,
    /// What each rule asks for: the ways in, or the `deny` that is in the way.
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) kind: DenialKind,
    /// What may help, if it is about an organisation.
    pub(crate) remedy: Option<Remedy>,
    /// Whether they came with a token.
    pub(crate) by_token: bool,
}

/// What keeps somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenialKind {
    /// No `allow` matches.
    NotAllowed,
    /// A `deny` matches.
    Denied,
    /// A `deny` cannot be ruled out.
    PerhapsDenied,
}

/// What a rule asks for, and what is in the way of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Requirement {
    /// Whom the rule describes: "a member of acme".
    pub(crate) who: String,
    pub(crate) missing: Vec<Obstacle>,
}

impl Denial {
    /// Why `verdict` keeps `person` out; `None` if it does not, or if it is that nobody
    /// is signed in. `by_token`: the person came with a token.
    pub(crate) fn of(verdict: &Verdict<'_>, person: &Person, by_token: bool) -> Option<Self> {
        match verdict {
            Verdict::Denied(evaluation) => Some(Self::by_deny(evaluation, person, by_token)),
            Verdict::NotAllowed(allow) => Some(Self::by_allow(allow, person, by_token)),
            Verdict::Public | Verdict::Anyone | Verdict::Allowed | Verdict::Nobody => None,
        }
    }

    /// None of `allow` matches.
    fn by_allow(allow: &[Rule], person: &Person, by_token: bool) -> Self {
        let mut denial = Self::new(person, by_token, DenialKind::NotAllowed);
        for rule in allow {
            denial.add(rule, person, |_| true);
        }
        denial
    }

    /// A `deny` matches, or cannot be ruled out.
    fn by_deny(evaluation: &RuleEvaluation<'_>, person: &Person, by_token: bool) -> Self {
        let unknown = evaluation.matches == Match::Unknown;
        let kind = if unknown { DenialKind::PerhapsDenied } else { DenialKind::Denied };
        let mut denial = Self::new(person, by_token, kind);
        // A `deny` that matches cannot be helped. One that cannot be ruled out can, by
        // showing what is unknown.
        denial.add(evaluation.rule, person, |result| unknown && result.matches() == Match::Unknown);
        // Being shown as a member is no help against a rule that keeps members out.
        Self { remedy: None, ..denial }
    }

    fn new(person: &Person, by_token: bool, kind: DenialKind) -> Self {
        let username = person.username.to_string();
        Self { username, kind, requirements: Vec::new(), remedy: None, by_token }
    }

    fn add(&mut self, rule: &Rule, person: &Person, counts: impl Fn(&ConditionResult<'_>) -> bool) {
        let mut requirement = Requirement { who: format!("{rule:#}"), missing: Vec::new() };
        let results: Vec<_> =
            rule.conditions.iter().map(|condition| (condition, condition.evaluate(person))).collect();
        // Nothing makes one account another; then no other part of the rule helps.
        let names_another_account = results.iter().any(|(condition, result)| {
            matches!(condition, Condition::User(_)) && result.matches() != Match::Yes
        });
        if !names_another_account {
            for (_, result) in results.iter().filter(|(_, result)| counts(result)) {
                requirement.missing.extend(Obstacle::of(result, self.by_token));
                let remedy = Remedy::of(result);
                let better =
                    remedy.as_ref().map(|remedy| remedy.kind) > self.remedy.as_ref().map(|known| known.kind);
                if better {
                    self.remedy = remedy;
                }
            }
        }
        // Two lists of accounts read the same to somebody who is on neither.
        if !self.requirements.contains(&requirement) {
            self.requirements.push(requirement);
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

    /// All of it in sentences, one text for each requirement.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentence = |requirement: &Requirement| {
            let missing = requirement.missing_in_sentences();
            format!("{} {missing}", requirement.sentence(self.kind)).trim_end().to_owned()
        };
        self.requirements.iter().map(sentence).collect()
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
            DenialKind::Denied => format!("This place is closed to {}.", self.who),
            DenialKind::PerhapsDenied => {
                format!("This place is closed to {}, and whether that is you cannot be told.", self.who)
            }
        }
    }
}
