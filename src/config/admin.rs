//! `[admin]`: the listener for operators.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::reader::Table;
use super::secrets;
use crate::keys::{SecretString, equal};

/// Settings of the admin listener.
#[derive(Clone)]
#[non_exhaustive]
pub struct AdminSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token that requests need. Only a loopback address may do without one.
    token: Option<SecretString>,
}

impl AdminSettings {
    /// Whether a request with these credentials may do everything here. `None` is a request
    /// without a bearer token.
    #[must_use]
    pub fn accept(&self, bearer: Option<&str>) -> bool {
        match (&self.token, bearer) {
            (None, _) => true,
            (Some(token), Some(bearer)) => equal(token.expose().as_bytes(), bearer.as_bytes()),
            (Some(_), None) => false,
        }
    }

    /// The value of `Authorization` that the listener accepts, for a request of our own.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {}", token.expose()))
    }
}

impl fmt::Debug for AdminSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminSettings")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}

/// Reads the settings; `None` if there is to be no admin listener.
pub(super) fn read(root: &Table<'_>, folder: &Path, public: &[SocketAddr]) -> Option<AdminSettings> {
    let table = root.table("admin");
    let token = secrets::admin_token(&table, folder);
    let Some(field) = table.field("listen") else {
        if token.is_some() {
            table.missing("listen", "say where the admin listener listens, as in \"127.0.0.1:9180\"");
        }
        return None;
    };
    let listen: SocketAddr = field.parse(|text| {
        text.parse().map_err(|_| "is not an address and a port; write it like \"127.0.0.1:9180\"")
    })?;
    if public.contains(&listen) {
        field.invalid("is an address of `listen`; the admin listener needs one of its own");
    }
    let has_token = table.field("token").is_some() || table.field("token_file").is_some();
    if !listen.ip().is_loopback() && !has_token {
        field.invalid(
            "is no loopback address, so that others can reach it; listen on 127.0.0.1, or set admin.token_file",
        );
    }
    Some(AdminSettings { listen, token })
}
