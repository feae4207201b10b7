mod earlier_records;

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};

use super::record::{Session, SessionId};
use super::sessions::{NewSession, Sessions};
use super::snapshot::SessionSnapshot;
use super::*;
use crate::clock::{Clock, UnixTime};
use crate::identity::{
    AppClaims, AuthMethod, ClaimsDraft, HeaderSettings, IdentityRenderer, Person, ProviderSession, Tokens,
    User,
};
use crate::identity::{Org, Role, Shown, Standing};
use crate::keys::SecretString;
use crate::keys::{Keyring, Secret};
use http::header::{COOKIE, SET_COOKIE};

const NOW: UnixTime = 1_790_000_000;

fn secret(byte: u8) -> Secret {
    Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()
}

fn sessions(settings: &SessionSettings, clock: &Clock) -> Sessions {
    let cookies = Cookies::new(&settings.cookie_name, true, settings.same_site);
    let keyring = Arc::new(Keyring::new(&settings.secrets));
    Sessions::new(
        settings,
        keyring,
        cookies,
        IdentityRenderer::new(HeaderSettings::default(), Arc::new(|_| false), 1),
        clock.clone(),
        None,
    )
    .unwrap()
}

fn ada() -> Person {
    Person {
        sub: "62f264b9f3c90f4b65140001".into(),
        username: "ada".into(),
        name: None,
        email: None,
        picture: None,
        pro: false,
        orgs: vec![Org {
            id: "65a000000000000000000001".into(),
            slug: "acme".into(),
            standing: Standing::Member(Role::Admin),
            resource_groups: Vec::new(),
            groups_shown: true,
        }],
        orgs_known: true,
        orgs_cut: false,
        shown: Shown::ALL,
        dropped: None,
    }
}

pub(super) fn tokens(access: &str) -> Tokens {
    Tokens { access: SecretString::new(access), refresh: None, expires: Some(NOW + 28_800) }
}

/// A session of Ada's.
pub(super) fn session() -> Session {
    let id = SessionId::from([0; 16]);
    let (tokens, claims) = (tokens("hf_oauth_x"), AppClaims::default());
    Session { id, person: ada().into(), began: NOW, seen: NOW, checked: NOW, tokens, claims }
}

/// The snapshot of a session, as far as these tests need it.
pub(super) fn snapshot(session: Session) -> SessionSnapshot {
    let user = User::new(session.person.clone(), AuthMethod::Session);
    let renderer = IdentityRenderer::new(HeaderSettings::default(), Arc::new(|_| false), 0);
    SessionSnapshot { identity: renderer.render(user, String::new(), ""), session, generation: 0 }
}

/// The next request of a browser that received `lines`.
fn request(lines: &[HeaderValue]) -> HeaderMap {
    let pairs: Vec<_> = lines.iter().map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
    HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())])
}

/// A sign-in that is begun after every session of these tests.
fn origin() -> SignInOrigin {
    SignInOrigin { browser: [0; 8], bindings: Vec::new(), began: u64::MAX, session: None }
}

fn new_session(person: Person, tokens: Tokens, claims: AppClaims) -> NewSession {
    NewSession { person, tokens, claims, provider_session: ProviderSession::default() }
}

async fn begin(sessions: &Sessions) -> HeaderMap {
    request(
        &sessions
            .begin(
                new_session(ada(), tokens("hf_oauth_x"), AppClaims::default()),
                &origin(),
                (&HeaderMap::new(), None),
            )
            .await
            .unwrap(),
    )
}

async fn is_open(sessions: &Sessions, request: &HeaderMap) -> bool {
    matches!(sessions.open(request).await, SessionLookup::Session(_))
}

fn each_store() -> [SessionSettings; 2] {
    [StoreSettings::Cookie, StoreSettings::Memory]
        .map(|store| SessionSettings { store, ..SessionSettings::new(secret(1)) })
}

#[tokio::test]
async fn a_session_is_valid_until_it_is_ended_and_its_old_cookie_is_refused_afterwards() {
    for settings in each_store() {
        let sessions = sessions(&settings, &Clock::manual(NOW));
        let request = begin(&sessions).await;
        let SessionLookup::Session(session) = sessions.open(&request).await else { panic!("no session") };
        assert_eq!(session.user().username(), "ada");
        let ended = sessions.end(&request).await.unwrap();
        let lines = ended.cookies;
        assert_eq!(ended.user.unwrap().username(), "ada");
        assert!(sessions.end(&request).await.unwrap().user.is_none(), "it had ended before");
        assert!(lines[0].to_str().unwrap().starts_with("__Host-huggate=; "));
        assert!(!is_open(&sessions, &request).await);
        session.shared().ended().await;
    }
}

#[tokio::test]
async fn a_session_ends_after_the_idle_timeout_and_at_its_maximum_age() {
    for settings in each_store() {
        let clock = Clock::manual(NOW);
        let sessions = sessions(&settings, &clock);
        let idle = begin(&sessions).await;
        clock.advance(settings.idle_timeout - Duration::from_secs(1));
        assert!(is_open(&sessions, &idle).await);
        clock.advance(settings.idle_timeout);
        assert!(!is_open(&sessions, &idle).await);

        // It is used and renewed continuously, and ends nevertheless.
        let mut used = begin(&sessions).await;
        let mut hours = 0;
        while let SessionLookup::Session(session) = sessions.open(&used).await {
            if let Some(lines) = sessions.renewal(&session, &used) {
                used = request(&lines);
            }
            clock.advance(Duration::from_secs(3600));
            hours += 1;
            assert!(hours <= 7 * 24, "it is older than its maximum age");
        }
        assert_eq!(hours, 7 * 24);
    }
}

#[tokio::test]
async fn a_session_cookie_is_renewed_only_if_necessary() {
    let clock = Clock::manual(NOW);
    let settings = SessionSettings::new(secret(1));
    let sessions = sessions(&settings, &clock);
    let request = begin(&sessions).await;
    let SessionLookup::Session(session) = sessions.open(&request).await else { panic!("no session") };
    assert!(sessions.renewal(&session, &request).is_none());
    clock.advance(settings.idle_timeout / 10 + Duration::from_secs(1));
    let SessionLookup::Session(session) = sessions.open(&request).await else { panic!("no session") };
    let first = sessions.renewal(&session, &request).unwrap();
    let second = sessions.renewal(&session, &request).unwrap();
    assert_eq!(first, second, "concurrent requests get the same cookie");
}

#[tokio::test]
async fn an_old_secret_still_decrypts_and_the_cookie_is_encrypted_with_the_new_one() {
    for settings in each_store() {
        let clock = Clock::manual(NOW);
        let request = begin(&sessions(&settings, &clock)).await;
        if settings.store == StoreSettings::Memory {
            continue;
        }
        let rotated = SessionSettings { secrets: vec![secret(2), secret(1)], ..settings };
        let sessions = sessions(&rotated, &clock);
        let SessionLookup::Session(session) = sessions.open(&request).await else { panic!("no session") };
        let lines = sessions.renewal(&session, &request).unwrap();
        let renewed = self::request(&lines);
        let only_new = SessionSettings { secrets: vec![secret(2)], ..rotated };
        let only_new = self::sessions(&only_new, &clock);
        assert!(is_open(&only_new, &renewed).await);
        assert!(!is_open(&only_new, &request).await);
    }
}

#[tokio::test]
async fn each_sign_in_has_a_new_id_and_ends_the_session_before() {
    for settings in each_store() {
        let sessions = sessions(&settings, &Clock::manual(NOW));
        let planted = begin(&sessions).await;
        let lines = sessions
            .begin(new_session(ada(), tokens("x"), AppClaims::default()), &origin(), (&planted, None))
            .await
            .unwrap();
        assert!(is_open(&sessions, &request(&lines)).await);
        assert!(!is_open(&sessions, &planted).await, "the previous session is still valid");
    }
}

#[tokio::test]
async fn an_invalid_cookie_is_ignored() {
    let sessions = sessions(&SessionSettings::new(secret(1)), &Clock::manual(NOW));
    let good = begin(&sessions).await;
    let sealed = good.get(COOKIE).unwrap().to_str().unwrap().to_owned();
    for line in [
        "__Host-huggate=".to_owned(),
        "__Host-huggate=x".to_owned(),
        sealed.replace("__Host-huggate", "huggate"),
        sealed[..sealed.len() - 2].to_owned(),
        format!("{sealed}A"),
        sealed.replace("__Host-huggate=", "__Host-huggate=2."),
        "__Host-huggate=eyJhbGciOiJFUzI1NiJ9.e30.c2ln".to_owned(),
    ] {
        let request = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&line).unwrap())]);
        assert!(!is_open(&sessions, &request).await, "{line}");
    }
    assert!(is_open(&sessions, &good).await);
}

#[tokio::test]
async fn debug_output_reveals_no_session_content() {
    let sessions = sessions(&SessionSettings::new(secret(1)), &Clock::manual(NOW));
    let lines = sessions
        .begin(
            new_session(ada(), tokens("hf_oauth_secret"), AppClaims::default()),
            &origin(),
            (&HeaderMap::new(), None),
        )
        .await
        .unwrap();
    let SessionLookup::Session(session) = sessions.open(&request(&lines)).await else { panic!("no session") };
    let response = http::Response::builder().header(SET_COOKIE, &lines[0]).body(()).unwrap();
    let printed = format!("{:?} {response:?}", session.snapshot.session);
    assert!(!printed.contains("hf_oauth_secret") && printed.contains("Sensitive"), "{printed}");
}

#[tokio::test]
async fn a_cookie_can_be_inspected_after_it_expired() {
    let clock = Clock::manual(NOW);
    let settings = SessionSettings::new(secret(1));
    let own = sessions(&settings, &clock);
    let ada = begin(&own).await;
    let report = async |sessions: &Sessions| match sessions.inspect(&ada).await {
        Inspected::Session(report) => report,
        other => panic!("{other:?}"),
    };
    let fresh = report(&own).await;
    assert_eq!(fresh.user.username(), "ada");
    assert_eq!((fresh.idle_ends, fresh.ends), (NOW + 12 * 3600, NOW + 7 * 24 * 3600));
    assert!(fresh.in_force && !fresh.check_is_due);
    clock.advance(Duration::from_secs(15 * 60));
    assert!(report(&own).await.check_is_due);
    clock.advance(Duration::from_secs(12 * 3600));
    assert!(!report(&own).await.in_force, "not used for too long");
    // Another secret, and another kind of store.
    let stranger = sessions(&SessionSettings::new(secret(2)), &clock);
    assert!(matches!(stranger.inspect(&ada).await, Inspected::DoesNotOpen));
    let memory = SessionSettings { store: StoreSettings::Memory, ..settings };
    let memory = sessions(&memory, &clock);
    assert!(matches!(memory.inspect(&ada).await, Inspected::OtherStore));
    assert!(matches!(memory.inspect(&HeaderMap::new()).await, Inspected::NoCookie));
    let ticket = begin(&memory).await;
    assert!(matches!(memory.inspect(&ticket).await, Inspected::Session(_)));
    memory.end(&ticket).await.unwrap();
    assert!(matches!(memory.inspect(&ticket).await, Inspected::NotInStore));
}

#[tokio::test]
async fn a_session_keeps_the_claims_of_the_app_when_it_is_renewed_and_confirmed() {
    for settings in each_store() {
        let clock = Clock::manual(NOW);
        let sessions = sessions(&settings, &clock);
        let mut claims = ClaimsDraft::default();
        claims.add("tier", "gold");
        let claims = claims.finish().unwrap();
        let lines = sessions
            .begin(new_session(ada(), tokens("x"), claims), &origin(), (&HeaderMap::new(), None))
            .await
            .unwrap();
        let mut cookies = request(&lines);
        for _ in 0..3 {
            let SessionLookup::Session(session) = sessions.open(&cookies).await else { panic!("no session") };
            assert_eq!(session.user().claims().text("tier"), Some("gold"));
            sessions.confirm(&session, ada()).await.unwrap();
            sessions.keep_tokens(&session, tokens("y")).await.unwrap();
            clock.advance(settings.idle_timeout / 2);
            let SessionLookup::Session(session) = sessions.open(&cookies).await else { panic!("no session") };
            assert_eq!(session.user().claims().text("tier"), Some("gold"));
            if let Some(lines) = sessions.renewal(&session, &cookies) {
                cookies = request(&lines);
            }
        }
    }
}
