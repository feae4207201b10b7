//! Claims that userinfo and whoami have in common, under different names. They are validated
//! and bounded here, so that the results are safe in headers and pages.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::json::{Document, Ignored, Member};
use crate::identity::{Email, Org, ResourceGroup, Role, Standing};

/// Maximum number of organisations that are read.
const MAX_ORGS: usize = 2_000;
/// Maximum number of resource groups that are read per organisation.
const MAX_GROUPS: usize = 500;
/// Maximum length of an identifier (id, username, slug, role), in bytes.
const MAX_IDENTIFIER: usize = 128;
/// Maximum length of a display name, in characters; longer names are truncated.
pub(super) const MAX_NAME: usize = 200;
/// RFC 5321, section 4.5.3.1.3, without the angle brackets.
const MAX_EMAIL: usize = 254;
/// Maximum length of an avatar's URL.
const MAX_PICTURE: usize = 512;

/// What userinfo and whoami call the members that name an organisation or a group.
pub(super) struct NamesOfMembers {
    pub(super) id: &'static str,
    pub(super) slug: &'static str,
}

/// The organisations of a document; `None` if the provider did not send a list.
///
/// An entry that cannot be read gives no membership, and may be any organisation: it is kept
/// as far as it is known, in a state that satisfies no `allow` and passes no `deny`.
pub(super) fn orgs(document: &Document, names: &NamesOfMembers, ignored: &mut Ignored) -> Option<Vec<Org>> {
    let list: Vec<Member<Document>> = document.optional("orgs", ignored)?;
    let complete = list.len() <= MAX_ORGS;
    if !complete {
        ignored.note("orgs[2000..]");
    }
    let mut orgs: Vec<Org> = Vec::new();
    let mut unreadable = !complete;
    for entry in list.into_iter().take(MAX_ORGS) {
        match entry {
            Member::Value(entry) => match org(&entry, names, ignored) {
                Some(org) => orgs.push(org),
                None => unreadable = true,
            },
            Member::Absent | Member::Malformed => {
                ignored.note("orgs[]");
                unreadable = true;
            }
        }
    }
    contradictions(&mut orgs, ignored);
    if unreadable {
        orgs.push(unknown_org("".into(), "".into()));
    }
    Some(orgs)
}

/// An organisation; `None` if it has neither an id nor a slug.
fn org(entry: &Document, names: &NamesOfMembers, ignored: &mut Ignored) -> Option<Org> {
    let mut name = |member: &'static str| {
        let name = entry.required(member).and_then(identifier);
        if name.is_none() {
            ignored.note("orgs[] (id or name)");
        }
        name
    };
    let (id, slug) = (name(names.id), name(names.slug));
    let (id, slug) = match (id, slug) {
        (Some(id), Some(slug)) => (id, slug),
        (None, None) => return None,
        // Rules may name it by the other one.
        (id, slug) => return Some(unknown_org(id.unwrap_or_default(), slug.unwrap_or_default())),
    };
    let standing = standing(entry, ignored);
    let groups_shown = is_granted(entry);
    Some(Org { id, slug, standing, groups_shown, resource_groups: resource_groups(entry, names, ignored) })
}

/// Whether the details of an organisation are shown, as they are once the person granted it.
/// The role alone is also shown by `read-memberships`.
fn is_granted(entry: &Document) -> bool {
    ["resourceGroups", "securityRestrictions", "pendingSSO", "missingMFA"]
        .iter()
        .any(|member| !matches!(entry.member::<Box<RawValue>>(member), Member::Absent))
}

/// An organisation whose membership is not known.
fn unknown_org(id: Box<str>, slug: Box<str>) -> Org {
    Org { id, slug, standing: Standing::NotGranted, groups_shown: false, resource_groups: Vec::new() }
}

/// The state of the membership. Any restriction counts, known or not, and so does one that
/// cannot be read.
fn standing(entry: &Document, ignored: &mut Ignored) -> Standing {
    let listed = restricts(
        entry.member::<Vec<Box<RawValue>>>("securityRestrictions"),
        |list| !list.is_empty(),
        "orgs[].securityRestrictions",
        ignored,
    );
    let sso = restricts(entry.member("pendingSSO"), |pending| pending, "orgs[].pendingSSO", ignored);
    let mfa = restricts(entry.member("missingMFA"), |missing| missing, "orgs[].missingMFA", ignored);
    if listed || sso || mfa {
        return Standing::Restricted;
    }
    // Present only if the user granted the app access to the organisation.
    match entry.member::<String>("roleInOrg") {
        Member::Absent => Standing::NotGranted,
        Member::Value(role) => match identifier(role) {
            Some(role) => Standing::Member(Role::parse(&role)),
            None => Standing::NotGranted,
        },
        Member::Malformed => {
            ignored.note("orgs[].roleInOrg");
            Standing::NotGranted
        }
    }
}

/// Whether a member says that the membership is restricted. One that cannot be read does.
fn restricts<T>(
    member: Member<T>,
    holds: impl FnOnce(T) -> bool,
    name: &'static str,
    ignored: &mut Ignored,
) -> bool {
    match member {
        Member::Absent => false,
        Member::Value(value) => holds(value),
        Member::Malformed => {
            ignored.note(name);
            true
        }
    }
}

/// The resource groups. One that cannot be read may be any group: it is kept without a name,
/// so that it satisfies no `allow` and passes no `deny`.
fn resource_groups(entry: &Document, names: &NamesOfMembers, ignored: &mut Ignored) -> Vec<ResourceGroup> {
    let list: Vec<Member<Document>> = match entry.member("resourceGroups") {
        Member::Absent => return Vec::new(),
        Member::Value(list) => list,
        Member::Malformed => vec![Member::Malformed],
    };
    let mut unreadable = list.len() > MAX_GROUPS;
    let mut groups = Vec::new();
    for group in list.into_iter().take(MAX_GROUPS) {
        let group = match group {
            Member::Value(group) => resource_group(&group, names),
            Member::Absent | Member::Malformed => None,
        };
        match group {
            Some(group) => groups.push(group),
            None => unreadable = true,
        }
    }
    if unreadable {
        ignored.note("orgs[].resourceGroups");
        groups.push(ResourceGroup { id: "".into(), name: "".into(), role: Role::Custom("".into()) });
    }
    groups
}

fn resource_group(group: &Document, names: &NamesOfMembers) -> Option<ResourceGroup> {
    Some(ResourceGroup {
        id: identifier(group.required(names.id)?)?,
        name: identifier(group.required("name")?)?,
        role: Role::parse(&identifier(group.required("role")?)?),
    })
}

/// Entries about one organisation that say different things leave the membership unknown.
fn contradictions(orgs: &mut Vec<Org>, ignored: &mut Ignored) {
    let key = |name: &str| name.to_ascii_lowercase();
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Org> = Vec::with_capacity(orgs.len());
    for org in orgs.drain(..) {
        let names = [("id", &org.id), ("slug", &org.slug)];
        let names = names.into_iter().filter(|(_, name)| !name.is_empty());
        let keys: Vec<String> = names.map(|(kind, name)| format!("{kind} {}", key(name))).collect();
        let earlier: Vec<usize> = keys.iter().filter_map(|key| first.get(key).copied()).collect();
        if earlier.iter().any(|index| kept.get(*index) == Some(&org)) {
            continue;
        }
        let contradicts = !earlier.is_empty();
        for index in earlier {
            if let Some(other) = kept.get_mut(index) {
                *other = unknown_org(std::mem::take(&mut other.id), std::mem::take(&mut other.slug));
            }
        }
        for key in keys {
            first.entry(key).or_insert(kept.len());
        }
        if contradicts {
            ignored.note("orgs[] (one organisation twice)");
        }
        kept.push(if contradicts { unknown_org(org.id, org.slug) } else { org });
    }
    *orgs = kept;
}

/// Validates an id, username, slug or role.
pub(super) fn identifier(text: String) -> Option<Box<str>> {
    let sound = !text.is_empty() && text.len() <= MAX_IDENTIFIER && !text.chars().any(char::is_control);
    sound.then(|| text.into())
}

/// Removes control characters from a display name and truncates it.
pub(super) fn display_name(text: &str) -> Option<Box<str>> {
    let name: String = text.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

/// Validates an e-mail address: exactly one `@`, and no characters that could split a header.
pub(super) fn email(address: String, verified: Option<bool>) -> Option<Email> {
    let (local, domain) = address.split_once('@')?;
    let sound = !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && address.len() <= MAX_EMAIL
        && !address.chars().any(|character| character.is_control() || character.is_whitespace());
    sound.then(|| Email { address: address.into(), verified: verified == Some(true) })
}

/// Validates the URL of an avatar, which apps embed in pages.
pub(super) fn picture(url: String) -> Option<Box<str>> {
    (url.starts_with("https://") && url.len() <= MAX_PICTURE).then(|| url.into())
}
