//! The JSON form of an explanation. Its fields are documented and stable.

use huggate::explain::{Destination, Explanation, Who};
use huggate::identity::Standing;
use huggate::policy::Match;
use huggate::session::Inspected;
use huggate::{Org, User};
use serde_json::{Value, json};

use super::loaded_gate::LoadedGate;
use super::text_report::time;

/// The whole explanation.
pub(super) fn whole(
    loaded: &LoadedGate,
    explanation: &Explanation,
    who: Who<'_>,
    inspected: Option<&Inspected>,
) -> String {
    let mut document = of(loaded, explanation, who);
    if let (Some(fields), Some(inspected)) = (document.as_object_mut(), inspected) {
        fields.insert("session".to_owned(), session(inspected));
    }
    printed(&document)
}

/// Formats a document for output.
pub(super) fn printed(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The explanation without the session.
pub(super) fn of(loaded: &LoadedGate, explanation: &Explanation, who: Who<'_>) -> Value {
    let user = match who {
        Who::TestSubject(visitor) => Some(visitor.user()),
        Who::Session(session) => Some(session.user.clone()),
        _ => None,
    };
    let readings = explanation.readings.iter().map(|reading| {
        let leads_to = match reading.leads {
            Destination::Route(index) => format!("route[{index}]"),
            Destination::Everywhere => "access".to_owned(),
            _ => "endpoint".to_owned(),
        };
        json!({"path": reading.path, "leads_to": leads_to})
    });
    let rules = explanation.entries.iter().map(|entry| {
        let holds = match entry.matches {
            Match::Yes => "yes",
            Match::No => "no",
            Match::NotHeld => "not_held",
            _ => "unknown",
        };
        json!({"key": entry.key, "rule": entry.rule, "holds": holds, "because": entry.because})
    });
    json!({
        "method": explanation.method.as_str(),
        "host": explanation.host,
        "host_is_known": explanation.host_is_known,
        "path": explanation.path,
        "readings": readings.collect::<Vec<_>>(),
        "who": user.filter(|_| explanation.who.is_some()).as_ref().map(person),
        "route": explanation.route.map(|index| route(loaded, index)),
        "decision": explanation.outcome.as_str(),
        "why": explanation.why,
        "rules": rules.collect::<Vec<_>>(),
    })
}

/// Unknown values are null.
fn person(user: &User) -> Value {
    json!({
        "username": non_empty(user.username()).filter(|name| *name != user.id()),
        "id": non_empty(user.id()),
        "email": user.email(),
        "pro": user.is_pro(),
        "orgs": user.orgs().iter().map(org).collect::<Vec<_>>(),
    })
}

fn org(org: &Org) -> Value {
    let (standing, role) = match &org.standing {
        Standing::Member(role) => ("member", non_empty(role.as_str())),
        Standing::NotGranted => ("not_granted", None),
        _ => ("restricted", None),
    };
    let groups = org.resource_groups.iter().map(
        |group| json!({"name": non_empty(&group.name), "id": non_empty(&group.id), "role": non_empty(group.role.as_str())}),
    );
    json!({
        "name": non_empty(&org.slug),
        "id": non_empty(&org.id),
        "standing": standing,
        "role": role,
        "resource_groups": groups.collect::<Vec<_>>(),
    })
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn route(loaded: &LoadedGate, index: usize) -> Value {
    let origin = loaded.routes_from.get(index);
    json!({
        "number": index,
        "pattern": loaded.gate.routes().get(index).map(huggate::Route::pattern),
        "file": origin.map(|origin| &origin.source),
        "line": origin.and_then(|origin| origin.line),
    })
}

fn session(inspected: &Inspected) -> Value {
    let Inspected::Session(session) = inspected else {
        let state = match inspected {
            Inspected::NoCookie => "no_cookie",
            Inspected::OtherStore => "other_store",
            Inspected::NotInStore => "not_in_store",
            Inspected::StoreUnavailable => "store_unavailable",
            _ => "does_not_open",
        };
        return json!({"state": state});
    };
    json!({
        "state": if session.in_force { "in_force" } else { "over" },
        "username": session.user.username(),
        "began": time(session.began),
        "last_used": time(session.seen),
        "idle_ends": time(session.idle_ends),
        "ends": time(session.ends),
        "checked": time(session.checked),
        "check_is_due": session.check_is_due,
    })
}
