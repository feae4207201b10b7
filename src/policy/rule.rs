//! Access rules: a rule describes people by conditions.

use std::fmt;

use crate::identity::{Org, ResourceGroup, Role};

/// Describes people. All conditions of a rule must match (AND). Several rules in a list
/// are alternatives (OR).
///
/// ```
/// use huggate::{Role, Rule};
///
/// let maintainers = Rule::org("acme").with_role(Role::Admin).and(Rule::email_domain("acme.example"));
/// assert_eq!(
///     maintainers.to_string(),
///     "a member of acme with the role admin or above, with a verified e-mail address at acme.example",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) conditions: Vec<Condition>,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    User(Name),
    Org { org: Name, role: Option<Role>, group: Option<Name> },
    Email(String),
    EmailDomain(Domain),
    Pro(bool),
}

/// A name or a stable id. A text of 24 hex digits is always an id, so that nobody can
/// impersonate an account by choosing its id as a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

/// An e-mail domain; with a leading dot also its subdomains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) below: bool,
}

/// The result of comparing a name to the name or id in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameMatch {
    Same,
    Other,
    /// They differ only by case. They are almost certainly the same, but that is not
    /// certain enough to satisfy an `allow` or to pass a `deny`.
    ByCase,
    /// One is an id and the other a name. Only a test subject may lack one of the two.
    NotSaid,
}

/// Whether a rule matches a person. If information is missing, the result is neither yes
/// nor no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Match {
    /// The rule does not match.
    No,
    /// A session does not hold what the rule needs, since the rules of its sign-in did
    /// not name it. The provider is asked before the decision.
    NotHeld,
    /// The credential does not show it: an organisation was not granted, or an address is not
    /// verified. An `allow` is not satisfied then, and a `deny` refuses access.
    Unknown,
    /// The rule matches.
    Yes,
}

impl Rule {
    fn one(condition: Condition) -> Self {
        Self { conditions: vec![condition] }
    }

    /// The person with this username, or with this id (24 hex digits).
    #[must_use]
    pub fn user(name_or_id: impl Into<String>) -> Self {
        Self::one(Condition::User(Name(name_or_id.into())))
    }

    /// Members of the organisation with this slug, or with this id (24 hex digits), whose
    /// membership is not restricted.
    #[must_use]
    pub fn org(slug_or_id: impl Into<String>) -> Self {
        Self::one(Condition::Org { org: Name(slug_or_id.into()), role: None, group: None })
    }

    /// The person with this e-mail address, if it is verified.
    #[must_use]
    pub fn email(address: impl Into<String>) -> Self {
        Self::one(Condition::Email(address.into()))
    }

    /// People whose verified e-mail address is at `domain`. With a leading dot
    /// (`.example.com`), addresses at its subdomains match too.
    #[must_use]
    pub fn email_domain(domain: &str) -> Self {
        let name = domain.strip_prefix("*.").or_else(|| domain.strip_prefix('.'));
        Self::one(Condition::EmailDomain(Domain {
            below: name.is_some(),
            name: name.unwrap_or(domain).to_owned(),
        }))
    }

    /// People with (or without) a PRO account.
    #[must_use]
    pub fn pro(pro: bool) -> Self {
        Self::one(Condition::Pro(pro))
    }

    /// Requires at least `role` in the organisation of this rule; a custom role must
    /// match exactly. Without an organisation this has no effect.
    #[must_use]
    pub fn with_role(mut self, needed: Role) -> Self {
        if let Some((role, _)) = self.last_org() {
            *role = Some(needed);
        }
        self
    }

    /// Requires membership in this resource group (name or id) of the rule's
    /// organisation. The required role is then the role in the group. Without an
    /// organisation this has no effect.
    #[must_use]
    pub fn with_resource_group(mut self, name_or_id: impl Into<String>) -> Self {
        if let Some((_, group)) = self.last_org() {
            *group = Some(Name(name_or_id.into()));
        }
        self
    }

    /// Role and group of the last organisation of the rule.
    fn last_org(&mut self) -> Option<(&mut Option<Role>, &mut Option<Name>)> {
        self.conditions.iter_mut().rev().find_map(|condition| match condition {
            Condition::Org { role, group, .. } => Some((role, group)),
            Condition::User(_) | Condition::Email(_) | Condition::EmailDomain(_) | Condition::Pro(_) => None,
        })
    }

    /// Requires that both rules match.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Whether the rule depends on the membership in `org`.
    pub(crate) fn names(&self, org: &Org) -> bool {
        self.named(org).next().is_some()
    }

    /// Whether the rule depends on the membership in `group` of `org`.
    pub(crate) fn names_group(&self, org: &Org, group: &ResourceGroup) -> bool {
        self.named(org).any(|condition| match condition {
            Condition::Org { group: Some(name), .. } => name.may_be(&group.id, &group.name),
            Condition::Org { group: None, .. }
            | Condition::User(_)
            | Condition::Email(_)
            | Condition::EmailDomain(_)
            | Condition::Pro(_) => false,
        })
    }

    /// The organisations that the rule names, each with the resource group in it.
    pub(crate) fn named_orgs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.conditions.iter().filter_map(|condition| match condition {
            Condition::Org { org, group, .. } => {
                Some((org.0.as_str(), group.as_ref().map(|group| group.0.as_str())))
            }
            Condition::User(_) | Condition::Email(_) | Condition::EmailDomain(_) | Condition::Pro(_) => None,
        })
    }

    /// The conditions about `org`.
    fn named(&self, org: &Org) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().filter(|condition| match condition {
            Condition::Org { org: name, .. } => name.may_be(&org.id, &org.slug),
            Condition::User(_) | Condition::Email(_) | Condition::EmailDomain(_) | Condition::Pro(_) => false,
        })
    }

    /// Whether the rule needs a username. An id is part of every sign-in.
    pub(crate) fn needs_username(&self) -> bool {
        self.conditions
            .iter()
            .any(|condition| matches!(condition, Condition::User(Name(name)) if !is_id(name)))
    }

    /// Whether the rule needs an e-mail address.
    pub(crate) fn needs_email(&self) -> bool {
        self.conditions
            .iter()
            .any(|condition| matches!(condition, Condition::Email(_) | Condition::EmailDomain(_)))
    }

    /// Whether the rule needs memberships.
    pub(crate) fn needs_orgs(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Org { .. }))
    }
}

impl Name {
    /// Compares this name to an `id` and a `name`. The provider always sends both.
    pub(crate) fn compare(&self, id: &str, name: &str) -> NameMatch {
        let by_id = is_id(&self.0);
        let value = if by_id { id } else { name };
        let same_but_for_case = self.0.eq_ignore_ascii_case(value);
        if value.is_empty() {
            NameMatch::NotSaid
        } else if self.0 == value || (by_id && same_but_for_case) {
            NameMatch::Same
        } else if same_but_for_case {
            NameMatch::ByCase
        } else {
            NameMatch::Other
        }
    }

    fn may_be(&self, id: &str, name: &str) -> bool {
        self.compare(id, name) != NameMatch::Other
    }
}

/// Whether a text is a Hugging Face id: 24 hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl From<Rule> for Vec<Rule> {
    /// One rule, where a list of alternatives is taken.
    fn from(rule: Rule) -> Self {
        vec![rule]
    }
}

impl fmt::Display for Rule {
    /// Completes "open to …". The alternate form (`{rule:#}`) is shown to a person who
    /// was refused: it contains no account name and no address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            let is_noun = matches!(condition, Condition::User(_) | Condition::Org { .. });
            match index {
                0 if is_noun => {}
                0 => f.write_str("anybody ")?,
                _ => f.write_str(", ")?,
            }
            match condition {
                Condition::User(_) if f.alternate() => f.write_str("a listed account")?,
                Condition::User(Name(name)) => write!(f, "the account {name}")?,
                Condition::Org { org: Name(org), role, group } => {
                    match group {
                        Some(Name(group)) => write!(f, "a member of the resource group {group} in {org}")?,
                        None => write!(f, "a member of {org}")?,
                    }
                    match role {
                        Some(Role::Custom(name)) => write!(f, " with the role {name}")?,
                        Some(role) => write!(f, " with the role {role} or above")?,
                        None => {}
                    }
                }
                Condition::Email(_) if f.alternate() => {
                    f.write_str("with a listed, verified e-mail address")?
                }
                Condition::Email(address) => write!(f, "with the verified e-mail address {address}")?,
                Condition::EmailDomain(Domain { name, below }) => {
                    write!(f, "with a verified e-mail address at {name}")?;
                    if *below {
                        f.write_str(" or a domain below it")?;
                    }
                }
                Condition::Pro(true) => f.write_str("with a PRO account")?,
                Condition::Pro(false) => f.write_str("without a PRO account")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Email, Missing, Person, Shown, Standing};

    fn ada() -> Person {
        let org = |slug: &str, standing: Standing, groups: &[(&str, Role)]| Org {
            id: "65a000000000000000000001".into(),
            slug: slug.into(),
            standing,
            groups_shown: true,
            resource_groups: groups
                .iter()
                .map(|(name, role)| ResourceGroup {
                    id: "g".into(),
                    name: (*name).into(),
                    role: role.clone(),
                })
                .collect(),
        };
        Person {
            sub: "62f264b9f3c90f4b65140001".into(),
            username: "ada".into(),
            name: None,
            email: Some(Email { address: "ada@eng.example.com".into(), verified: true }),
            picture: None,
            pro: true,
            orgs: vec![
                org("acme", Standing::Member(Role::Write), &[("gpu", Role::Read)]),
                Org { id: "b".into(), ..org("bare", Standing::NotGranted, &[]) },
                Org { id: "c".into(), ..org("sso", Standing::Restricted, &[]) },
                Org {
                    id: "d".into(),
                    ..org("groups", Standing::Member(Role::NoAccess), &[("gpu", Role::Write)])
                },
                Org { id: "e".into(), ..org("custom", Standing::Member(Role::parse("ml-ops")), &[]) },
            ],
            orgs_known: true,
            orgs_cut: false,
            shown: Shown::ALL,
            dropped: None,
        }
    }

    #[test]
    fn each_condition_matches_only_the_people_it_describes() {
        use Match::{No, Unknown, Yes};
        for (rule, expected) in [
            (Rule::user("ada"), Yes),
            (Rule::user("Ada"), Unknown),
            (Rule::user("ben"), No),
            (Rule::user("62f264b9f3c90f4b65140001"), Yes),
            (Rule::user("62f264b9f3c90f4b65140002"), No),
            (Rule::org("acme"), Yes),
            (Rule::org("65a000000000000000000001"), Yes),
            (Rule::org("ACME"), Unknown),
            (Rule::org("other"), No),
            (Rule::org("bare"), Unknown),
            (Rule::org("sso"), Unknown),
            (Rule::org("groups"), No),
            (Rule::org("groups").with_resource_group("gpu"), Yes),
            (Rule::org("groups").with_resource_group("cpu"), No),
            (Rule::org("groups").with_resource_group("gpu").with_role(Role::Admin), No),
            (Rule::org("acme").with_role(Role::Write), Yes),
            (Rule::org("acme").with_role(Role::Admin), No),
            (Rule::org("acme").with_resource_group("gpu").with_role(Role::Write), No),
            (Rule::org("custom"), Yes),
            (Rule::org("custom").with_role(Role::Read), No),
            (Rule::org("custom").with_role(Role::parse("ml-ops")), Yes),
            (Rule::email("ADA@eng.example.com"), Yes),
            (Rule::email("ben@eng.example.com"), No),
            (Rule::email_domain("eng.example.com"), Yes),
            (Rule::email_domain("example.com"), No),
            (Rule::email_domain(".example.com"), Yes),
            (Rule::email_domain("*.example.com"), Yes),
            (Rule::email_domain(".ample.com"), No),
            (Rule::pro(true), Yes),
            (Rule::pro(false), No),
            (Rule::org("acme").and(Rule::user("ben")), No),
            (Rule::org("bare").and(Rule::user("ada")), Unknown),
        ] {
            assert_eq!(rule.matches(&ada(), Missing::NOTHING), expected, "{rule}");
        }
    }

    #[test]
    fn an_unverified_or_forged_address_never_matches() {
        for (address, verified) in [
            ("ada@example.com", false),
            ("attacker@evil.com@example.com", true),
            ("ada@evilexample.com", true),
        ] {
            let mut ada = ada();
            ada.email = Some(Email { address: address.into(), verified });
            for rule in [
                Rule::email_domain("example.com"),
                Rule::email_domain(".example.com"),
                Rule::email("ada@example.com"),
            ] {
                assert_ne!(rule.matches(&ada, Missing::NOTHING), Match::Yes, "{rule} for {address}");
            }
        }
    }

    #[test]
    fn the_alternate_form_names_no_account_and_no_address() {
        let rule = Rule::user("ada").and(Rule::email("ada@example.com")).and(Rule::org("acme"));
        assert_eq!(
            rule.to_string(),
            "the account ada, with the verified e-mail address ada@example.com, a member of acme"
        );
        assert_eq!(
            format!("{rule:#}"),
            "a listed account, with a listed, verified e-mail address, a member of acme"
        );
    }

    #[test]
    fn an_app_matches_only_by_its_id() {
        use Match::{No, Unknown, Yes};
        let app = Person::of_app("62f264b9f3c90f4b65140009".into(), "ada");
        for (rule, expected) in [
            (Rule::user("62f264b9f3c90f4b65140009"), Yes),
            (Rule::user("62f264b9f3c90f4b65140001"), No),
            (Rule::user("ada"), No),
            (Rule::user("app:ada"), No),
            (Rule::user("APP:ada"), No),
            (Rule::org("acme"), Unknown),
            (Rule::email("ada@eng.example.com"), Unknown),
            (Rule::pro(true), Unknown),
            (Rule::pro(false), Unknown),
        ] {
            assert_eq!(rule.matches(&app, Missing::NOTHING), expected, "{rule}");
        }
    }

    #[test]
    fn an_id_is_never_a_username() {
        let mut mallory = ada();
        mallory.sub = "000000000000000000000000".into();
        mallory.username = "62f264b9f3c90f4b65140001".into();
        assert_eq!(Rule::user("62f264b9f3c90f4b65140001").matches(&mallory, Missing::NOTHING), Match::No);
    }

    #[test]
    fn what_is_not_held_or_not_shown_is_neither_a_match_nor_a_mismatch() {
        use Match::{No, NotHeld, Unknown, Yes};
        let group = |org: &str, name: &str| Rule::org(org).with_resource_group(name);
        let lost = Missing { orgs: true, groups: true };
        let mut partly = ada();
        partly.shown.memberships = false;
        partly.orgs.iter_mut().for_each(|org| org.groups_shown = false);
        for (rule, held, not_held, not_shown) in [
            (Rule::org("acme"), Yes, Yes, Yes),
            (Rule::org("acme").with_role(Role::Admin), No, No, No),
            (Rule::org("other"), No, NotHeld, Unknown),
            (Rule::org("sso"), Unknown, Unknown, Unknown),
            (group("acme", "gpu"), Yes, Yes, Yes),
            (group("acme", "gpu").with_role(Role::Admin), No, No, No),
            (group("acme", "cpu"), No, NotHeld, Unknown),
            (group("other", "gpu"), No, NotHeld, Unknown),
            (Rule::user("ben").and(Rule::org("other")), No, No, No),
            (Rule::org("sso").and(Rule::org("other")), No, NotHeld, Unknown),
            (Rule::user("ada").and(Rule::org("other")), No, NotHeld, Unknown),
        ] {
            let results = [
                rule.matches(&ada(), Missing::NOTHING),
                rule.matches(&ada(), lost),
                rule.matches(&partly, Missing::NOTHING),
            ];
            assert_eq!(results, [held, not_held, not_shown], "{rule}");
        }
    }
}
