//! Seals sessions for a server-side store, and opens them.
//!
//! A record is sealed under a key derived from the ticket's and the session secret, for one
//! key and one revision: copied to another key, or put beside another revision, it does not
//! open. What a list of sessions shows is sealed under the session secret alone.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::listing::{ListedSession, SessionKind};
use super::record::Session;
use super::settings::STORED_LONGER;
use super::store::{OwnerKey, Revision, SessionKey, SessionRecord, StoredSession};
use super::ticket::Ticket;
use crate::clock::UnixTime;
use crate::identity::{AppClaims, ProviderSession};
use crate::keys::{Keyring, SecretString, StoreSeal, random};

/// The format of a sealed record and of a summary. A version writes the format that the
/// version before reads, and reads the one that the version after writes: until then, what
/// is new goes into [`Extension`]s. Any other format opens as nothing.
const FORMAT: u8 = 1;
/// The maximum number of characters of a user agent.
const MAX_USER_AGENT: usize = 200;

/// What was added to records since the first version. A version keeps those that it does not
/// know when it writes the record.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Extension {
    pub(super) tag: u16,
    pub(super) content: Vec<u8>,
}

impl fmt::Debug for Extension {
    /// The content may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// The provider's ID token.
const ID_TOKEN: u16 = 2;
/// The provider's session id.
const PROVIDER_SID: u16 = 3;

impl Extension {
    /// What is kept of the session at the provider.
    pub(super) fn of_provider(session: &ProviderSession) -> Vec<Self> {
        let id_token = session.id_token.as_ref().map(|token| (ID_TOKEN, token.expose()));
        let sid = session.sid.as_deref().map(|sid| (PROVIDER_SID, sid));
        let kept = [id_token, sid].into_iter().flatten();
        kept.map(|(tag, text)| Self { tag, content: text.as_bytes().to_vec() }).collect()
    }

    /// Whether this is about the session at the provider.
    pub(super) fn is_of_provider(&self) -> bool {
        matches!(self.tag, ID_TOKEN | PROVIDER_SID)
    }

    /// The provider's ID token, if it is kept.
    pub(super) fn id_token_in(extensions: &[Self]) -> Option<SecretString> {
        Self::text(extensions, ID_TOKEN).map(SecretString::new)
    }

    fn sid_in(extensions: &[Self]) -> Option<String> {
        Self::text(extensions, PROVIDER_SID)
    }

    /// Whether a list of sessions needs it.
    fn is_listed(&self) -> bool {
        self.tag == PROVIDER_SID
    }

    fn text(extensions: &[Self], tag: u16) -> Option<String> {
        let found = extensions.iter().find(|extension| extension.tag == tag)?;
        String::from_utf8(found.content.clone()).ok()
    }
}

/// How a session began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Origin {
    client: Option<IpAddr>,
    user_agent: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
enum Kind {
    #[default]
    Browser,
}

impl Origin {
    pub(super) fn new(client: Option<IpAddr>, user_agent: &str) -> Self {
        let user_agent = user_agent.chars().take(MAX_USER_AGENT).collect();
        Self { client, user_agent, kind: Kind::Browser }
    }
}

/// What is sealed of a session.
#[derive(Serialize, Deserialize)]
struct Content {
    /// The session on its own, so that what a later version appends to it is skipped.
    session: Vec<u8>,
    /// The app's claims as JSON.
    claims: Option<String>,
    origin: Origin,
    extensions: Vec<Extension>,
}

/// What a list of sessions shows, besides what the record has in clear.
#[derive(Serialize)]
struct Summary<'a> {
    sub: &'a str,
    username: &'a str,
    created: UnixTime,
    origin: &'a Origin,
    extensions: &'a [&'a Extension],
}

/// A summary, as it is read.
#[derive(Deserialize)]
struct ReadSummary {
    sub: String,
    username: String,
    created: UnixTime,
    origin: Origin,
    extensions: Vec<Extension>,
}

/// What comes with a session in a record, and goes into the next one unchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct Enclosed {
    pub(super) origin: Origin,
    pub(super) extensions: Vec<Extension>,
}

/// An opened record.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) enclosed: Enclosed,
}

/// A record that is larger than a store accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordTooLarge;

/// Seals and opens records.
pub(super) struct Vault {
    keyring: Arc<Keyring>,
}

impl Vault {
    pub(super) fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    /// The record of `session` in this revision.
    pub(super) fn seal(
        &self,
        ticket: &Ticket,
        revision: Revision,
        (session, enclosed): (&Session, &Enclosed),
        expires: UnixTime,
    ) -> Result<SessionRecord, RecordTooLarge> {
        let key = ticket.id.key();
        let content = Content {
            session: to_bytes(session),
            claims: session.claims.to_json(),
            origin: enclosed.origin.clone(),
            extensions: enclosed.extensions.clone(),
        };
        let place = place(key, revision);
        let seal = StoreSeal { share: ticket.share(), ..record_seal(&place) };
        let sealed = self.keyring.seal_for_store(seal, random(), &versioned(&content));
        let person = &session.person;
        let listed: Vec<_> = enclosed.extensions.iter().filter(|extension| extension.is_listed()).collect();
        let summary = Summary {
            sub: &person.sub,
            username: &person.username,
            created: session.began,
            origin: &enclosed.origin,
            extensions: &listed,
        };
        let summary =
            self.keyring.seal_for_store(summary_seal(key.as_bytes()), random(), &versioned(&summary));
        if sealed.len() > SessionRecord::MAX_SEALED || summary.len() > SessionRecord::MAX_SUMMARY {
            return Err(RecordTooLarge);
        }
        let owner = self.keyring.account_tags(&person.sub).first().copied().unwrap_or_default();
        Ok(SessionRecord::new(
            OwnerKey::from_bytes(owner),
            Bytes::from(sealed),
            Bytes::from(summary),
            session.seen,
            expires,
        ))
    }

    /// The session of a record; `None` for one that was not sealed for this ticket, key and
    /// revision.
    pub(super) fn open(&self, ticket: &Ticket, stored: &StoredSession) -> Option<Opened> {
        let place = place(ticket.id.key(), stored.revision);
        let seal = StoreSeal { share: ticket.share(), ..record_seal(&place) };
        let plain = self.keyring.open_from_store(seal, &stored.record.sealed)?;
        let (&FORMAT, plain) = plain.split_first()? else { return None };
        let (content, _): (Content, _) = postcard::take_from_bytes(plain).ok()?;
        let (session, _): (Session, _) = postcard::take_from_bytes(&content.session).ok()?;
        if session.id != ticket.id {
            return None;
        }
        let claims = match &content.claims {
            Some(claims) => AppClaims::parse(claims)?,
            None => AppClaims::default(),
        };
        let session = Session { claims, seen: session.seen.max(stored.record.last_used), ..session };
        let enclosed = Enclosed { origin: content.origin, extensions: content.extensions };
        Some(Opened { session, enclosed })
    }
}

impl Vault {
    /// What a list shows of a session; `None` for what is no session, or was sealed under a
    /// secret that is not configured.
    pub(super) fn summary(&self, key: SessionKey, stored: &StoredSession) -> Option<ListedSession> {
        let StoredSession { record, .. } = stored;
        let plain = self.keyring.open_from_store(summary_seal(key.as_bytes()), &record.summary)?;
        let (&FORMAT, plain) = plain.split_first()? else { return None };
        let (read, _): (ReadSummary, _) = postcard::take_from_bytes(plain).ok()?;
        let ReadSummary { sub, username, created, origin, extensions } = read;
        Some(ListedSession {
            id: key,
            sub,
            username,
            created,
            last_used: record.last_used,
            expires: record.expires.saturating_sub(STORED_LONGER),
            client: origin.client,
            user_agent: origin.user_agent,
            kind: match origin.kind {
                Kind::Browser => SessionKind::Browser,
            },
            provider_sid: Extension::sid_in(&extensions),
        })
    }

    /// Under which keys the sessions of an account are listed: one for each secret.
    pub(super) fn owners(&self, sub: &str) -> Vec<OwnerKey> {
        self.keyring.account_tags(sub).into_iter().map(OwnerKey::from_bytes).collect()
    }
}

fn record_seal(place: &[u8]) -> StoreSeal<'_> {
    StoreSeal { purpose: "session record v1", share: &[], place }
}

fn summary_seal(place: &[u8]) -> StoreSeal<'_> {
    StoreSeal { purpose: "session summary v1", share: &[], place }
}

/// Where a record is: under which key, in which revision.
fn place(key: SessionKey, revision: Revision) -> [u8; 24] {
    let mut place = [0; 24];
    let (first, second) = place.split_at_mut(16);
    first.copy_from_slice(key.as_bytes());
    second.copy_from_slice(&revision.number().to_be_bytes());
    place
}

fn versioned(content: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(content, vec![FORMAT]).expect("writing plain data to memory does not fail")
}

fn to_bytes(session: &Session) -> Vec<u8> {
    postcard::to_allocvec(session).expect("writing plain data to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;
    use crate::session::record::SessionId;
    use crate::session::tests::session;

    fn vault(secrets: &[u8]) -> Vault {
        let secrets: Vec<_> =
            secrets.iter().map(|byte| Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()).collect();
        Vault::new(Arc::new(Keyring::new(&secrets)))
    }

    fn stored(vault: &Vault, ticket: &Ticket, revision: Revision) -> StoredSession {
        let session = Session { id: ticket.id, ..session() };
        let enclosed = Enclosed::default();
        StoredSession::new(revision, vault.seal(ticket, revision, (&session, &enclosed), 9).unwrap())
    }

    #[test]
    fn a_record_opens_for_its_ticket_key_and_revision_alone() {
        let vault = vault(&[1]);
        let ticket = Ticket::new(SessionId::from([1; 16]));
        let good = stored(&vault, &ticket, Revision::FIRST);
        assert_eq!(&*vault.open(&ticket, &good).unwrap().session.person.username, "ada");
        // The same id with another key, another id with the same record, another revision.
        assert!(vault.open(&Ticket::new(ticket.id), &good).is_none());
        assert!(vault.open(&Ticket::new(SessionId::from([2; 16])), &good).is_none());
        let mixed = StoredSession::new(Revision::FIRST.next(), good.record.clone());
        assert!(vault.open(&ticket, &mixed).is_none());
        // Damaged or truncated.
        for index in 0..good.record.sealed.len() {
            let mut bytes = good.record.sealed.to_vec();
            bytes[index] ^= 1;
            let mut record = good.record.clone();
            record.sealed = bytes.into();
            assert!(vault.open(&ticket, &StoredSession::new(good.revision, record.clone())).is_none());
            record.sealed = good.record.sealed.slice(..index);
            assert!(vault.open(&ticket, &StoredSession::new(good.revision, record)).is_none());
        }
        // The summary is no record.
        let mut record = good.record.clone();
        record.sealed = record.summary.clone();
        assert!(vault.open(&ticket, &StoredSession::new(good.revision, record)).is_none());
    }

    #[test]
    fn every_configured_secret_opens_a_record_and_the_first_one_seals() {
        let ticket = Ticket::new(SessionId::from([1; 16]));
        let (old, both, new) = (vault(&[1]), vault(&[2, 1]), vault(&[2]));
        let before = stored(&old, &ticket, Revision::FIRST);
        assert!(both.open(&ticket, &before).is_some() && new.open(&ticket, &before).is_none());
        let after = stored(&both, &ticket, Revision::FIRST);
        assert!(new.open(&ticket, &after).is_some() && old.open(&ticket, &after).is_none());
        assert_ne!(before.record.owner, after.record.owner);
    }

    #[test]
    fn what_a_later_version_appends_is_skipped_and_its_extensions_are_kept() {
        let vault = vault(&[1]);
        let ticket = Ticket::new(SessionId::from([1; 16]));
        let session = Session { id: ticket.id, ..session() };
        let extensions = vec![Extension { tag: 7, content: vec![1, 2, 3] }];
        let content = Content {
            claims: None,
            session: [to_bytes(&session), vec![9; 5]].concat(),
            origin: Origin::default(),
            extensions,
        };
        let place = place(ticket.id.key(), Revision::FIRST);
        let seal = StoreSeal { share: ticket.share(), ..record_seal(&place) };
        let plain = [versioned(&content), vec![9; 5]].concat();
        let mut record = stored(&vault, &ticket, Revision::FIRST).record;
        record.sealed = vault.keyring.seal_for_store(seal, random(), &plain).into();
        let opened = vault.open(&ticket, &StoredSession::new(Revision::FIRST, record)).unwrap();
        assert_eq!(
            (opened.enclosed.extensions[0].tag, &opened.enclosed.extensions[0].content[..]),
            (7, &[1, 2, 3][..])
        );
        let again = vault.seal(&ticket, Revision::FIRST, (&opened.session, &opened.enclosed), 9).unwrap();
        let again = vault.open(&ticket, &StoredSession::new(Revision::FIRST, again)).unwrap();
        assert_eq!(again.enclosed.extensions.len(), 1);
    }
}
