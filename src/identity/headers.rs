//! Identity headers: which ones are removed, and which ones are written.
//!
//! The gate removes every name that [`IdentityHeaderNames`] covers, then the hop-by-hop
//! headers, and then adds the headers of [`HeaderSettings::render`]. The order matters:
//! otherwise a client's `Connection: x-forwarded-user` would remove the gate's own
//! header.

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::user::User;
use crate::setters::setters;

/// All names of identity headers, folded. The list does not depend on the configuration:
/// a client must not be able to send a header that is merely disabled.
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
/// Every name with one of these prefixes, folded, is an identity header too.
const FAMILIES: &[&[u8]] = &[b"xauthrequest", b"xhuggate"];
/// How many bytes of a folded name are compared.
const LONGEST: usize = 128;

/// The default of [`HeaderSettings::groups_bytes`]. Common app servers refuse requests with
/// more than 8 or 16 KiB of headers.
const GROUPS_BYTES: usize = 3 * 1024;
/// The person's Hugging Face token.
pub(crate) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-access-token");
/// The header names of forward auth, as in oauth2-proxy.
pub(crate) const AUTH_REQUEST: [(HeaderName, Claim); 4] = [
    (HeaderName::from_static("x-auth-request-user"), Claim::Sub),
    (HeaderName::from_static("x-auth-request-preferred-username"), Claim::PreferredUsername),
    (HeaderName::from_static("x-auth-request-email"), Claim::Email),
    (HeaderName::from_static("x-auth-request-groups"), Claim::Groups),
];

/// Names that other proxies use. They are written only if configured.
pub(crate) const REMOTE: [HeaderName; 4] = [
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("remote-name"),
    HeaderName::from_static("remote-email"),
    HeaderName::from_static("remote-groups"),
];

/// A property of the signed-in person that a header can contain.
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

/// Which headers identify the person to the app.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeaderSettings {
    /// Headers and their claims.
    pub claims: Vec<(HeaderName, Claim)>,
    /// Whether `X-Forwarded-Access-Token` is sent with the person's Hugging Face token.
    pub access_token: bool,
    /// The maximum length of the list of groups, in bytes: as a header, and in the assertion.
    pub groups_bytes: usize,
}

impl HeaderSettings {
    setters!(access_token: bool, groups_bytes: usize; claims: into Vec<(HeaderName, Claim)>);
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
            groups_bytes: GROUPS_BYTES,
        }
    }
}

impl HeaderSettings {
    pub(crate) fn wants(&self, claim: Claim) -> bool {
        self.claims.iter().any(|(_, wanted)| *wanted == claim)
    }

    /// The headers for `user`, rendered once for each cached session.
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

/// The forward-auth headers for `user`.
pub(crate) fn auth_request(user: &User) -> Vec<(HeaderName, HeaderValue)> {
    rendered(&AUTH_REQUEST, user)
}

fn rendered(claims: &[(HeaderName, Claim)], user: &User) -> Vec<(HeaderName, HeaderValue)> {
    claims.iter().filter_map(|(name, claim)| Some((name.clone(), field_value(&claim.of(user)?)?))).collect()
}

/// The characters that an ext-value leaves unencoded: `attr-char` of RFC 8187, section
/// 3.2.1.
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

/// A text as a field value: unchanged if it is plain ASCII, otherwise an ext-value (RFC
/// 8187, section 3.2). So no value can contain a line break or lose surrounding white
/// space, and no plain text can be mistaken for an encoded one.
fn field_value(text: &str) -> Option<HeaderValue> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim().len() == text.len()
        && !text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("UTF-8''"));
    if plain {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::try_from(format!("UTF-8''{}", utf8_percent_encode(text, EXT_VALUE))).ok()
}

/// Recognises identity headers in any spelling.
#[derive(Debug, Clone)]
pub(crate) struct IdentityHeaderNames {
    /// Folded names.
    names: Vec<Box<[u8]>>,
    /// Bit n: some name or prefix starts with the letter n. This check alone excludes
    /// most headers.
    initials: u32,
}

impl IdentityHeaderNames {
    /// The built-in names, and the `configured` ones.
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

    /// Whether `name` is an identity header in any spelling that app servers fold
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

/// One bit per letter; digits share one.
fn initial(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' => 1 << (byte - b'a'),
        b'A'..=b'Z' => 1 << (byte - b'A'),
        _ => 1 << 31,
    }
}

/// The letters and digits of a name in lower case, up to the length of `buffer`. Names
/// that are equal up to that length are treated as equal: removing one header too many is
/// safe, and one too few is not.
pub(crate) fn fold<'a>(name: &str, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut length = 0;
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    for (byte, letter) in buffer.iter_mut().zip(letters) {
        *byte = letter.to_ascii_lowercase();
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
    fn a_value_cannot_contain_a_line_break_or_imitate_an_encoded_one() {
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
    fn only_a_verified_address_is_sent() {
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
