//! What the policy needs of `identity`: the persons that it decides about.

#[path = "../../src/identity/completeness.rs"]
#[expect(dead_code, unreachable_pub, reason = "public in the library, and more than the policy needs")]
mod completeness;
#[path = "../../src/identity/org.rs"]
#[expect(unreachable_pub, reason = "public in the library")]
mod org;
#[path = "../../src/identity/person.rs"]
#[expect(dead_code, unreachable_pub, reason = "public in the library, and more than the policy needs")]
mod person;
#[path = "../../src/identity/role.rs"]
#[expect(dead_code, reason = "public in the library, and more than the policy needs")]
mod role;

pub(crate) use completeness::{FilterId, Missing, Needs, Shown};
pub(crate) use org::{Org, ResourceGroup, Standing};
pub(crate) use person::{Email, Person};
pub(crate) use role::Role;
