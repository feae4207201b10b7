//! Identity in headers: strip and write, side by side.
//!
//! The gate drops every name that [`IdentityHeaderNames`] covers, then removes hop-by-hop
//! headers, and then writes what [`HeaderSettings::render`] made. In another order a
//! client's `Connection: x-forwarded-user` would erase our header.

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::user::User;

/// Every name that carries identity, folded. The list does not depend on what is
/// switched on: a header that we do not write today must not come from a client.
const NAMES: &[&[u8]] = &[
    b"xforwardeduser",
    b"xforwardedemail",
    b"xforwardedpreferredusername",
    b"xforwardedgroups",
    b"xforwardedaccesstoken",
    b"remoteuser",
    b"remotename",
    b"remoteemail",
    b"remotegroups",
];
/// Every name that starts so, folded, carries identity too.
const FAMILIES: &[&[u8]] = &[b"xauthrequest", b"xhuggate"];
/// How much of a folded name is compared.
const LONGEST: usize = 128;

/// Carries the person's Hugging Face token.
pub(crate) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");
/// How forward auth names them, as oauth2-proxy does.
pub(crate) const AUTH_REQUEST: [(HeaderName, Claim); 4] = [
    (HeaderName::from_static("x-auth-request-user"), Claim::Sub),
    (HeaderName::from_static("x-auth-request-preferred-username"), Claim::PreferredUsername),
    (HeaderName::from_static("x-auth-request-email"), Claim::Email),
    (HeaderName::from_static("x-auth-request-groups"), Claim::Groups),
];

/// Names that others give it, which we write only where they are configured.
pub(crate) const REMOTE: [HeaderName; 4] = [
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("remote-name"),
    HeaderName::from_static("remote-email"),
    HeaderName::from_static("remote-groups"),
];

/// A fact about the signed-in person that a header can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The stable id.
    Sub,
    /// The username.
    PreferredUsername,
    /// The display name.
    Name,
    /// The e-mail address, if verified.
    Email,
    /// Address of the profile picture.
    Picture,
    /// `acme,acme:admin,…`
    Groups,
}

impl Claim {
    /// Every claim, in the order of the reference.
    pub const ALL: [Self; 6] =
        [Self::Sub, Self::PreferredUsername, Self::Name, Self::Email, Self::Picture, Self::Groups];

    /// The name in the configuration and in the assertion.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sub => "sub",
            Self::PreferredUsername => "preferred_username",
            Self::Name => "name",
            Self::Email => "email",
            Self::Picture => "picture",
            Self::Groups => "groups",
        }
    }

    fn of(self, user: &User) -> Option<String> {
        match self {
            Self::Sub => Some(user.id().to_owned()),
            Self::PreferredUsername => Some(user.username().to_owned()),
            Self::Name => user.name().map(str::to_owned),
            Self::Email => user.email().map(str::to_owned),
            Self::Picture => user.picture().map(str::to_owned),
            Self::Groups => (!user.groups().is_empty()).then(|| user.groups().join(",")),
        }
    }
}

/// Which headers tell the app who is asking.
#[derive(Debug, Clone)]
pub struct HeaderSettings {
    /// Header and the claim it carries.
    pub claims: Vec<(HeaderName, Claim)>,
    /// Whether `X-Forwarded-Access-Token` carries the person's Hugging Face token.
    pub access_token: bool,
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self {
            claims: vec![
                (HeaderName::from_static("x-forwarded-user"), Claim::Sub),
                (HeaderName::from_static("x-forwarded-preferred-username"), Claim::PreferredUsername),
                (HeaderName::from_static("x-forwarded-email"), Claim::Email),
                (HeaderName::from_static("x-forwarded-groups"), Claim::Groups),
            ],
            access_token: false,
        }
    }
}

impl HeaderSettings {
    pub(crate) fn wants(&self, claim: Claim) -> bool {
        self.claims.iter().any(|(_, wanted)| *wanted == claim)
    }

    /// The headers for `user`, made once for each opened session.
    pub(crate) fn render(&self, user: &User, access_token: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut rendered = rendered(&self.claims, user);
        if self.access_token
            && let Ok(mut value) = HeaderValue::from_str(access_token)
        {
            value.set_sensitive(true);
            rendered.push((ACCESS_TOKEN, value));
        }
        rendered
    }
}

/// How forward auth names `user`.
pub(crate) fn auth_request(user: &User) -> Vec<(HeaderName, HeaderValue)> {
    rendered(&AUTH_REQUEST, user)
}

fn rendered(claims: &[(HeaderName, Claim)], user: &User) -> Vec<(HeaderName, HeaderValue)> {
    claims.iter().filter_map(|(name, claim)| Some((name.clone(), field_value(&claim.of(user)?)?))).collect()
}

/// What an ext-value leaves as it is: `attr-char` of RFC 8187, section 3.2.1.
const EXT_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A text as a field value: as it is where it is plain ASCII, otherwise as an
/// ext-value (RFC 8187, section 3.2). So nothing splits a line, nothing is
/// trimmed on the way, and no plain name can pose as an encoded one.
fn field_value(text: &str) -> Option<HeaderValue> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim().len() == text.len()
        && !text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("UTF-8''"));
    if plain {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::try_from(format!("UTF-8''{}", utf8_percent_encode(text, EXT_VALUE))).ok()
}

/// Finds identity headers in whatever spelling they come.
#[derive(Debug, Clone)]
pub(crate) struct IdentityHeaderNames {
    /// Folded names.
    names: Vec<Box<[u8]>>,
    /// Bit n: some name or family starts with the letter n. Most headers of a
    /// request are passed over by this alone.
    initials: u32,
}

impl IdentityHeaderNames {
    /// The names that always count, and the `configured` ones.
    pub(crate) fn new<'a>(configured: impl Iterator<Item = &'a HeaderName>) -> Self {
        let mut names: Vec<Box<[u8]>> = NAMES.iter().map(|name| Box::from(*name)).collect();
        let mut buffer = [0; LONGEST];
        for name in configured {
            names.push(Box::from(fold(name.as_str(), &mut buffer)));
        }
        let starts = names.iter().map(|name| &**name).chain(FAMILIES.iter().copied());
        let initials = starts.filter_map(|name| name.first()).fold(0, |bits, first| bits | initial(*first));
        Self { names, initials }
    }

    /// Whether `name` is one of ours, in any spelling that an app server folds
    /// together: case, `-`, `_`, `.`.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let Some(first) = name.bytes().find(u8::is_ascii_alphanumeric) else { return false };
        if self.initials & initial(first) == 0 {
            return false;
        }
        let mut buffer = [0; LONGEST];
        let folded = fold(name, &mut buffer);
        FAMILIES.iter().any(|family| folded.starts_with(family))
            || self.names.iter().any(|known| **known == *folded)
    }
}

/// A bit for a letter; digits share one.
fn initial(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' => 1 << (byte - b'a'),
        b'A'..=b'Z' => 1 << (byte - b'A'),
        _ => 1 << 31,
    }
}

/// Letters and digits of a name, in lower case, as many as `buffer` takes: two
/// names that are alike so far count as one, since to strip one header too many
/// is safe and one too few is not.
pub(crate) fn fold<'a>(name: &str, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut length = 0;
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    for (place, letter) in buffer.iter_mut().zip(letters) {
        *place = letter.to_ascii_lowercase();
        length += 1;
    }
    buffer.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::user::tests::person;
    use crate::identity::{AuthMethod, Email};
    use http::HeaderMap;

    #[test]
    fn every_spelling_of_an_identity_header_is_stripped_and_others_stay() {
        let own = HeaderName::from_static("x-who");
        let spellings = IdentityHeaderNames::new([&own].into_iter());
        let mut headers = HeaderMap::new();
        for name in [
            "x-forwarded-user",
            "x_forwarded_user",
            "x.forwarded.user",
            "x-forwarded_email",
            "xforwardedgroups",
            "x-auth-request-anything",
            "x_auth_request_user",
            "x-huggate-assertion",
            "x-huggate-new",
            "remote-user",
            "remote_groups",
            "-x-forwarded-user",
            "x-forwarded-access-token",
            "x_who",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("mallory"));
        }
        for name in ["x-forwarded-for", "accept", "cookie", "remote-users", "x-whom", "user-agent"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("kept"));
        }
        let spoofed: Vec<HeaderName> =
            headers.keys().filter(|name| spellings.covers(name.as_str())).cloned().collect();
        for name in spoofed {
            headers.remove(name);
        }
        assert!(headers.values().all(|value| value == "kept"), "{headers:?}");
        assert_eq!(headers.len(), 6);
    }

    #[test]
    fn a_value_cannot_split_a_line_or_pose_as_another() {
        for (text, value) in [
            ("Ada", "Ada"),
            ("Ada Example", "Ada Example"),
            ("Jörg", "UTF-8''J%C3%B6rg"),
            ("a\r\nX-Forwarded-User: root", "UTF-8''a%0D%0AX-Forwarded-User%3A%20root"),
            (" padded ", "UTF-8''%20padded%20"),
            ("utf-8''J%C3%B6rg", "UTF-8''utf-8%27%27J%25C3%25B6rg"),
            ("nul\0", "UTF-8''nul%00"),
        ] {
            assert_eq!(field_value(text).unwrap(), value, "{text:?}");
        }
    }

    #[test]
    fn only_a_verified_address_is_told() {
        let settings = HeaderSettings::default();
        for (verified, count) in [(true, 4), (false, 3)] {
            let mut ada = person(&[("acme", "admin")]);
            ada.email = Some(Email { address: "ada@example.org".into(), verified });
            let headers = settings.render(&User::new(ada, AuthMethod::Session), "hf_oauth_x");
            assert_eq!(headers.len(), count);
            assert!(headers.iter().all(|(_, value)| value != "hf_oauth_x"), "the token is off by default");
        }
    }
}
