//! Who may enter: everybody with an account, or a list of rules.

use super::rule::Rule;

/// Who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every Hugging Face account. This is never the default; it has to be configured.
    Anyone,
    /// People who match at least one of these rules. With an empty list, nobody.
    Rules(Vec<Rule>),
}

impl Access {
    /// The rules; empty if every account may enter.
    pub(crate) fn rules(&self) -> &[Rule] {
        match self {
            Self::Anyone => &[],
            Self::Rules(rules) => rules,
        }
    }
}
