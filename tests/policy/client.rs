//! What the policy needs of `client`.

#[path = "../../src/client/host.rs"]
#[expect(dead_code, reason = "the policy needs one function of it")]
mod host;

pub(crate) use host::name_and_port;
