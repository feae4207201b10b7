//! What is kept of a person.

use std::sync::Arc;

use crate::identity::Person;

/// Drops from a person what neither rules nor headers need.
pub(crate) type PersonFilter = Arc<dyn Fn(&mut Person) + Send + Sync>;
