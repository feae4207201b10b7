//! Finds rules that nobody can satisfy.

use super::rule::{Condition, Domain, Name, Rule, is_id};

impl Rule {
    /// Why nobody can satisfy the rule, whoever signs in; `None` if somebody may.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let conditions = self.conditions.iter().enumerate();
        self.conditions.iter().find_map(Condition::of_nobody).or_else(|| {
            conditions.into_iter().find_map(|(index, one)| {
                self.conditions.iter().skip(index + 1).find_map(|other| one.contradicts(other))
            })
        })
    }
}

impl Condition {
    /// A name or an address that nobody has.
    fn of_nobody(&self) -> Option<String> {
        let nobody = |what: &str| Some(format!("{what} is empty"));
        match self {
            Self::User(Name(name)) if name.is_empty() => nobody("the username"),
            Self::Org { org: Name(org), .. } if org.is_empty() => nobody("the organisation"),
            Self::Org { group: Some(Name(group)), .. } if group.is_empty() => nobody("the resource group"),
            Self::Email(address) if address.is_empty() => nobody("the e-mail address"),
            Self::EmailDomain(Domain { name, .. }) if name.is_empty() => nobody("the e-mail domain"),
            Self::User(_) | Self::Org { .. } | Self::Email(_) | Self::EmailDomain(_) | Self::Pro(_) => None,
        }
    }

    fn contradicts(&self, other: &Self) -> Option<String> {
        match (self, other) {
            // An id and a name may be the same account's.
            (Self::User(Name(one)), Self::User(Name(other)))
                if is_id(one) == is_id(other) && !one.eq_ignore_ascii_case(other) =>
            {
                Some(format!("nobody is both {one} and {other}"))
            }
            (Self::Email(one), Self::Email(other)) if !one.eq_ignore_ascii_case(other) => {
                Some(format!("nobody has both the e-mail addresses {one} and {other}"))
            }
            (Self::Pro(one), Self::Pro(other)) if one != other => {
                Some("nobody has a PRO account and has none".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_nobody_can_satisfy_is_recognised() {
        let id = |end: u8| format!("62f264b9f3c90f4b6514000{end}");
        for (rule, why) in [
            (Rule::user("ada").and(Rule::user("ben")), Some("nobody is both ada and ben")),
            (Rule::user("ada").and(Rule::user("Ada")), None),
            (Rule::user("ada").and(Rule::user(id(1))), None),
            (Rule::pro(true).and(Rule::org("acme")).and(Rule::pro(false)), Some("nobody has a PRO account")),
            (Rule::email("a@x.example").and(Rule::email("b@x.example")), Some("both the e-mail addresses")),
            (Rule::org(""), Some("the organisation is empty")),
            (Rule::org("acme").with_resource_group(""), Some("the resource group is empty")),
            (Rule::org("acme").and(Rule::org("globex")), None),
        ] {
            let found = rule.contradiction();
            assert_eq!(found.is_some(), why.is_some(), "{rule}: {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()), "{rule}");
        }
        assert!(Rule::user(id(1)).and(Rule::user(id(2))).contradiction().is_some());
    }
}
