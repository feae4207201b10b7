//! Sessions as earlier versions stored them, with the tickets that browsers got: this version
//! opens them. A fixture is added when the format changes, and none is replaced: a session lasts
//! for `session.max_age`, and replicas of two versions share a store during an upgrade.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::session;
use crate::keys::{Keyring, Secret};
use crate::session::listing::SessionKind;
use crate::session::record::Session;
use crate::session::sealing::{Sealed, SessionSealer};
use crate::session::settings::STORED_LONGER;
use crate::session::store::{OwnerKey, Revision, SessionRecord, StoredSession};
use crate::session::vault::{Enclosed, Vault};

/// A session of `ada` under the secret of 32 bytes of 1 and the cookie `__Host-huggate`.
struct Fixture {
    ticket: &'static str,
    sealed: &'static str,
    summary: &'static str,
}

const OWNER: [u8; 16] = [174, 226, 38, 138, 245, 206, 224, 43, 207, 14, 11, 77, 74, 87, 140, 205];
const EXPIRES: u64 = 1_790_043_200;
/// The claims that the app's hook added.
const CLAIMS: &str = r#"{"tier":"gold"}"#;

/// 0.1.0, the first version with stores: the session alone.
const FIRST: Fixture = Fixture {
    ticket: "AXI32PNSLjH5mBen0kklAUNVrLP8Fn6xxIi7PX4MmdTSQNnlJp0596ikO8XEPvgGTAfNtOH9IcWKvvh8bYMHmDepZf2FOwBvDcfA2kM2ru5953Y",
    sealed: "AXI32PNg3KzoE9Bfz3FToeUFosi7DjTOxTQWgJ6WwMvTPDRubh8fG0Re95OE/NvQRTi3E8+cjZI/VszF4GS9SYBSgwI8JiEteFq7cr1qnVxP/ka3g6PlhP/JxASp4OyiodukVYQwF1L8p34QPJEkFmd2wajoqXGoR+req+DptXhZJ71ktHPZUsxOz07Xyx8n9Dki7WrvxyXSj/skXsPMVhpBJz59hICbVvX4GiiZgocKG9PrhCGwJViahOdNxTskZiaBZQ==",
    summary: "AXI32PNkQCjWbo73lxARgVtoQ+A/DfUNqei2XJoMGSfUGJfcZM/WNU4kAaQhn419wcK/ynWGzapPD74WY0DCrhy+LMMr7XJdT7M+wx5/xIZYe8Axeo/twg==",
};

/// The same with what a version after it adds: an extension of an unknown kind, and bytes after
/// the session, the record and the summary.
const WITH_ADDITIONS: Fixture = Fixture {
    ticket: "AXI32PNXHRmcWRYzZwNT0Y7G2M7-pHfQvp1j2DzRCZ8_gcS5g2aFS0Z4plsltuo9dvsFc7IUzBw_dr6zKD6CjaGhWvOcLEXlgrAwT7mKxwD18TU",
    sealed: "AXI32PNrZHVbNV/Fba51+Jhiu7dA6A4EGCAeI2K9Xp7bDhV69in0pIS07LHgod7NT/w67eH0umA9zG+v2V6KdES1bedJCMwKt6u3ukvZVItqMgBSnVnsFvJavhXlFO7uBWeX5gs4Ay5N8B2kwAEhcGlcxonwewtcapvc0+JH1dIQ8ZpN47M2efDstuPK5jqv++zmoFpw+Mmt9cjJgt+AHyhLQ8B4fgBDCAJq6q6+u+QjC9ftrJSQd3swh2WhIhbjxcRJzhadpUsWUPYdbkhHAbh7GTYSzQ==",
    summary: "AXI32PPYzaZaOx8gwdeSy3X8a6Oc+Kj2Fa+Ju2GMoOuRKvDsJWk/p49mj/3fjpw/5QhGFnqpBXrSygDeY/kzkSLntdL40HwooBIE2Cx+bIdj3hFkNEwArHZ83N6B2QxL+MkoxA==",
};

#[test]
fn records_of_earlier_versions_open_with_their_tickets() {
    let keyring = Arc::new(Keyring::new(&[Secret::parse(&"01".repeat(32)).unwrap()]));
    let (vault, sealer) = (Vault::new(Arc::clone(&keyring)), SessionSealer::new(keyring, "__Host-huggate"));
    let bytes = |text: &str| Bytes::from(STANDARD.decode(text).unwrap());
    for Fixture { ticket, sealed, summary } in [FIRST, WITH_ADDITIONS] {
        let unsealed = sealer.unseal(ticket.as_bytes()).unwrap();
        let Sealed::Ticket(ticket) = unsealed.content else { panic!("no ticket") };
        let expected = session();
        let owner = OwnerKey::from_bytes(OWNER);
        let record = SessionRecord::new(owner, bytes(sealed), bytes(summary), expected.seen, EXPIRES);
        let stored = StoredSession::new(Revision::FIRST, record);
        let opened = vault.open(&ticket, &stored).unwrap();
        let Session { person, began, seen, checked, tokens, claims, .. } = opened.session;
        assert_eq!(format!("{person:?}"), format!("{:?}", expected.person));
        assert_eq!((began, seen, checked), (expected.began, expected.seen, expected.checked));
        assert_eq!((tokens.access.expose(), tokens.expires), ("hf_oauth_x", expected.tokens.expires));
        assert_eq!(claims.to_json().as_deref(), Some(CLAIMS));
        let listed = vault.summary(ticket.id.key(), &stored).unwrap();
        assert_eq!((&*listed.sub, &*listed.username), (&*expected.person.sub, "ada"));
        assert_eq!((listed.created, listed.expires), (expected.began, EXPIRES - STORED_LONGER));
        assert_eq!(listed.client, Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!((&*listed.user_agent, listed.kind), ("Mozilla/5.0", SessionKind::Browser));
        // Its sessions are found among those of the account.
        assert_eq!(vault.owners(&listed.sub), [owner]);
    }
}

/// A replica of this version writes a session that one of the next version began.
#[test]
fn what_a_later_version_added_is_still_there_after_a_write() {
    let keyring = Arc::new(Keyring::new(&[Secret::parse(&"01".repeat(32)).unwrap()]));
    let (vault, sealer) = (Vault::new(Arc::clone(&keyring)), SessionSealer::new(keyring, "__Host-huggate"));
    let Sealed::Ticket(ticket) = sealer.unseal(WITH_ADDITIONS.ticket.as_bytes()).unwrap().content else {
        panic!("no ticket")
    };
    let record = |sealed: Bytes| {
        StoredSession::new(
            Revision::FIRST,
            SessionRecord::new(OwnerKey::from_bytes(OWNER), sealed, Bytes::new(), 0, EXPIRES),
        )
    };
    let sealed = Bytes::from(STANDARD.decode(WITH_ADDITIONS.sealed).unwrap());
    let opened = vault.open(&ticket, &record(sealed)).unwrap();
    let kept = |enclosed: &Enclosed| -> Vec<_> {
        enclosed.extensions.iter().map(|extension| (extension.tag, extension.content.clone())).collect()
    };
    assert_eq!(kept(&opened.enclosed), [(60_000, vec![1, 2, 3])]);
    let again = vault.seal(&ticket, Revision::FIRST, (&opened.session, &opened.enclosed), EXPIRES).unwrap();
    let again = vault.open(&ticket, &record(again.sealed)).unwrap();
    assert_eq!(kept(&again.enclosed), kept(&opened.enclosed));
}
