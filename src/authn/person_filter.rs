//! The filter for properties of a person.

use std::sync::Arc;

use crate::identity::Person;

/// Removes the properties of a person that neither rules nor headers need.
pub(crate) type PersonFilter = Arc<dyn Fn(&mut Person) + Send + Sync>;
