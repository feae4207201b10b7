//! The organisations and resource groups that rules name. All others are dropped
//! from the provider's answer, so that sessions stay small.
//!
//! [`Gate::require`](super::Gate::require) adds rules to a gate in use. Sessions that were
//! filtered without them are completed before a decision that needs it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use crate::identity::{FilterId, Needs, Org, ResourceGroup, Shown};
use crate::keys::sha256;
use crate::policy::Rule;

/// Rules, for the names in them.
pub(super) struct Names {
    rules: Vec<Rule>,
    /// Identifies the names, whatever else the rules say.
    pub(super) id: FilterId,
}

/// The names of one configuration, and of the rules that were added to it.
pub(super) struct NamesInForce {
    current: ArcSwap<Names>,
    pub(super) needs: Arc<Needs>,
}

/// The rules that were added, for this gate and those that replace it.
#[derive(Default)]
pub(super) struct AddedRules {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// Those of every configuration that is still in use.
    in_force: Vec<Weak<NamesInForce>>,
}

impl Names {
    fn new(rules: Vec<Rule>) -> Self {
        Self { id: filter_id(&rules), rules }
    }

    pub(super) fn have(&self, org: &Org) -> bool {
        self.rules.iter().any(|rule| rule.names(org))
    }

    pub(super) fn have_group(&self, org: &Org, group: &ResourceGroup) -> bool {
        self.rules.iter().any(|rule| rule.names_group(org, group))
    }
}

impl NamesInForce {
    pub(super) fn now(&self) -> Arc<Names> {
        self.current.load_full()
    }

    fn add(&self, rule: &Rule) {
        let mut rules = self.current.load().rules.clone();
        rules.push(rule.clone());
        let names = Names::new(rules);
        let id = names.id;
        // First what is kept, then what decisions ask for: in between, a decision asks the
        // provider once more.
        self.current.store(Arc::new(names));
        self.needs.grow(id, needed(rule));
    }
}

impl AddedRules {
    /// The names of `configured` rules and of those that were or will be added. `asks` is
    /// what the configured scopes show.
    pub(super) fn bind(&self, configured: Vec<Rule>, asks: Shown) -> Arc<NamesInForce> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let names = Names::new(configured);
        let needs = Arc::new(Needs::new(names.id, asks));
        let in_force = Arc::new(NamesInForce { current: ArcSwap::from_pointee(names), needs });
        for rule in &state.rules {
            in_force.add(rule);
        }
        state.in_force.retain(|names| names.strong_count() > 0);
        state.in_force.push(Arc::downgrade(&in_force));
        in_force
    }

    /// Adds a rule, unless an equal one was added before.
    pub(super) fn add(&self, rule: &Rule) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(true, Ordering::Relaxed);
        if state.rules.contains(rule) {
            return;
        }
        state.rules.push(rule.clone());
        for names in state.in_force.iter().filter_map(Weak::upgrade) {
            names.add(rule);
        }
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }
}

fn needed(rule: &Rule) -> Shown {
    let (email, memberships) = (rule.needs_email(), rule.needs_orgs());
    Shown { email, memberships, profile: rule.needs_username(), pro: true }
}

/// Identifies the organisations and resource groups that `rules` name, whatever else they
/// say. Replicas with the same rules agree on it, and so does a process after a restart.
fn filter_id(rules: &[Rule]) -> FilterId {
    let named: BTreeSet<_> = rules.iter().flat_map(Rule::named_orgs).collect();
    let mut text = Vec::new();
    for name in named.iter().flat_map(|(org, group)| [Some(*org), *group]) {
        // The length keeps two names apart from one that contains both.
        let name = name.map_or(&[][..], str::as_bytes);
        text.extend_from_slice(&name.len().to_be_bytes());
        text.extend_from_slice(name);
    }
    FilterId(sha256(&text).first_chunk().copied().unwrap_or_default())
}
