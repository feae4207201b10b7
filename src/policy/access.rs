//! Who may enter: everybody with an account, or a list of rules.

use super::rule::Rule;

/// Who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every Hugging Face account. Nothing defaults to it; it has to be configured.
    Anyone,
    /// People whom one of these rules matches; nobody, if there is none.
    Rules(Vec<Rule>),
}

impl Access {
    /// Its rules; none where every account may enter.
    pub(crate) fn rules(&self) -> &[Rule] {
        match self {
            Self::Anyone => &[],
            Self::Rules(rules) => rules,
        }
    }
}
