//! The content of a session cookie, and its encryption.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::Session;
use super::ticket::Ticket;
use crate::identity::{AppClaims, Tokens};
use crate::keys::{Keyring, Packed, Purpose, SecretString, deflate, inflate, random};

/// The format of an encrypted session; any other is treated as signed out.
const FORMAT: u8 = 4;
/// The maximum size of a decompressed session.
const MAX_PLAIN: usize = 256 * 1024;

/// The content of a session cookie.
pub(super) enum Sealed {
    /// The session.
    Whole(Box<Session>),
    /// The ticket of a session in a server-side store.
    Ticket(Ticket),
}

/// The same, as it is encrypted.
#[derive(Serialize, Deserialize)]
enum Written {
    Whole(Whole),
    Ticket(Ticket),
    /// A session, and the app's claims as JSON. Another variant and no other [`FORMAT`], so
    /// that sessions without claims are read and written as before. The claims are not
    /// compressed: a person may choose some of them, and could guess others by the length.
    WithClaims(Whole, String),
}

/// A session in as few bytes as possible: what fits one cookie passes every server with
/// default limits. The tokens are kept out of what is compressed: a person can choose
/// names beside them, and could guess them by the length of the cookie.
#[derive(Serialize, Deserialize)]
struct Whole {
    access: Packed,
    refresh: Option<Packed>,
    /// The session without its tokens.
    rest: Vec<u8>,
    deflated: bool,
}

/// Encrypts and decrypts the values of session cookies.
pub(super) struct SessionSealer {
    keyring: Arc<Keyring>,
    /// Part of the associated data, so that no other cookie's value can be decrypted as a
    /// session.
    cookie_name: String,
}

/// A decrypted cookie.
pub(super) struct Unsealed {
    pub(super) content: Sealed,
    /// Whether the first secret encrypted it; the others only decrypt (rotation).
    pub(super) by_first_secret: bool,
}

impl SessionSealer {
    pub(super) fn new(keyring: Arc<Keyring>, cookie_name: &str) -> Self {
        Self { keyring, cookie_name: cookie_name.to_owned() }
    }

    pub(super) fn seal_session(&self, session: &Session) -> String {
        let bare = Session { tokens: without_secrets(&session.tokens), ..session.clone() };
        let rest = to_bytes(&bare);
        let (rest, deflated) = match deflate(&rest) {
            Some(deflated) => (deflated, true),
            None => (rest, false),
        };
        let access = Packed::new(session.tokens.access.expose());
        let refresh = session.tokens.refresh.as_ref().map(|refresh| Packed::new(refresh.expose()));
        let whole = Whole { access, refresh, rest, deflated };
        self.seal(&match session.claims.to_json() {
            None => Written::Whole(whole),
            Some(claims) => Written::WithClaims(whole, claims),
        })
    }

    pub(super) fn seal_ticket(&self, ticket: &Ticket) -> String {
        self.seal(&Written::Ticket(ticket.clone()))
    }

    fn seal(&self, content: &Written) -> String {
        let plain =
            postcard::to_extend(content, vec![FORMAT]).expect("writing plain data to memory does not fail");
        self.keyring.seal(Purpose::Session, &self.cookie_name, random(), &plain)
    }

    /// `None` for a text that none of the secrets encrypted, or of another format.
    pub(super) fn unseal(&self, sealed: &[u8]) -> Option<Unsealed> {
        let unsealed = self.keyring.open(Purpose::Session, &self.cookie_name, sealed)?;
        let (&FORMAT, plain) = unsealed.plain.split_first()? else { return None };
        let content = match postcard::from_bytes(plain).ok()? {
            Written::Whole(whole) => Sealed::Whole(Box::new(whole.session()?)),
            Written::Ticket(ticket) => Sealed::Ticket(ticket),
            Written::WithClaims(whole, claims) => {
                let claims = AppClaims::parse(&claims)?;
                Sealed::Whole(Box::new(Session { claims, ..whole.session()? }))
            }
        };
        Some(Unsealed { content, by_first_secret: unsealed.current })
    }
}

impl Whole {
    fn session(&self) -> Option<Session> {
        let mut session: Session = if self.deflated {
            postcard::from_bytes(&inflate(&self.rest, MAX_PLAIN)?).ok()?
        } else {
            postcard::from_bytes(&self.rest).ok()?
        };
        session.tokens.access = SecretString::new(self.access.unpack()?);
        session.tokens.refresh = match &self.refresh {
            Some(refresh) => Some(SecretString::new(refresh.unpack()?)),
            None => None,
        };
        Some(session)
    }
}

fn without_secrets(tokens: &Tokens) -> Tokens {
    Tokens { access: SecretString::new(""), refresh: None, expires: tokens.expires }
}

fn to_bytes(session: &Session) -> Vec<u8> {
    postcard::to_allocvec(session).expect("writing plain data to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::identity::{ClaimsDraft, Person};
    use crate::keys::Secret;
    use crate::session::tests::session;

    /// A session as it was written before there were claims.
    #[derive(Serialize)]
    struct SessionBefore {
        id: crate::session::record::SessionId,
        person: Arc<Person>,
        began: UnixTime,
        seen: UnixTime,
        checked: UnixTime,
        tokens: Tokens,
    }

    #[derive(Serialize)]
    enum WrittenBefore {
        Whole(Whole),
    }

    fn sealer() -> SessionSealer {
        let secret = Secret::parse(&"01".repeat(32)).unwrap();
        SessionSealer::new(Arc::new(Keyring::new(&[secret])), "huggate")
    }

    fn opened(sealer: &SessionSealer, sealed: &str) -> Session {
        match sealer.unseal(sealed.as_bytes()).unwrap().content {
            Sealed::Whole(session) => *session,
            Sealed::Ticket(_) => panic!("a ticket"),
        }
    }

    #[test]
    fn a_cookie_from_before_there_were_claims_is_still_read() {
        let Session { id, person, began, seen, checked, tokens, claims: _ } = session();
        let access = Packed::new(tokens.access.expose());
        let tokens = without_secrets(&tokens);
        let before = SessionBefore { id, person, began, seen, checked, tokens };
        let rest = postcard::to_allocvec(&before).unwrap();
        let whole = Whole { access, refresh: None, rest, deflated: false };
        let plain = postcard::to_extend(&WrittenBefore::Whole(whole), vec![FORMAT]).unwrap();
        let sealer = sealer();
        let sealed = sealer.keyring.seal(Purpose::Session, "huggate", random(), &plain);
        let read = opened(&sealer, &sealed);
        assert_eq!((&*read.person.username, read.tokens.access.expose()), ("ada", "hf_oauth_x"));
        assert!(read.claims.is_empty());
    }

    #[test]
    fn claims_are_written_beside_the_session() {
        let mut claims = ClaimsDraft::default();
        claims.add("tier", "gold");
        let sealer = sealer();
        let sealed = sealer.seal_session(&Session { claims: claims.finish().unwrap(), ..session() });
        assert_eq!(opened(&sealer, &sealed).claims.text("tier"), Some("gold"));
    }
}
