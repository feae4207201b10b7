//! The policy without the rest of the crate: it compiles with nothing but the persons
//! that it decides about and one function that takes a host apart, and its own tests
//! pass. What it must not know (sessions, providers, headers, async) is not here.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]
#![expect(unnameable_types, reason = "this binary exports nothing")]

mod client;
mod identity;
#[path = "../../src/policy/mod.rs"]
#[expect(dead_code, unused_imports, unreachable_pub, reason = "what the rest of the crate uses")]
mod policy;

use std::sync::Arc;

use http::Method;
use identity::{FilterId, Needs, Org, Person, Role, Shown, Standing};
use policy::{Access, OwnAddress, OwnPrefix, Policy, Route, RouteQuery, RouteTable, Rule, Verdict};

fn policy(access: Access, deny: Vec<Rule>, routes: Vec<Route>) -> Policy {
    let prefix = OwnPrefix::parse("/oauth2").unwrap();
    let own = OwnAddress { prefix, authority: "app.example".to_owned() };
    let needs = Arc::new(Needs::new(FilterId([0; 8]), Shown::ALL));
    Policy { access, deny, routes: RouteTable::new(routes), own, needs }
}

fn member(role: &str) -> Person {
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
            standing: Standing::Member(Role::parse(role)),
            resource_groups: Vec::new(),
            groups_shown: true,
        }],
        orgs_known: true,
        orgs_cut: false,
        shown: Shown::ALL,
        dropped: None,
    }
}

/// The verdict on a person at a path.
fn verdict<'a>(policy: &'a Policy, path: &str, person: Option<&Person>) -> Verdict<'a> {
    let query = RouteQuery { host: "app.example", by_name: false, method: &Method::GET, preflight: None };
    let route = policy.place(path, query).unwrap();
    policy.decide(route, &[], person)
}

#[test]
fn a_request_is_placed_and_decided_without_the_rest_of_the_crate() {
    let admins = Route::path("/admin/**").allow(vec![Rule::org("acme").with_role(Role::Admin)]);
    let health = Route::public("/health");
    let policy =
        policy(Access::Rules(vec![Rule::org("acme")]), vec![Rule::user("mallory")], vec![admins, health]);
    let (admin, reader) = (member("admin"), member("read"));
    let mallory = Person { username: "mallory".into(), ..member("admin") };
    assert!(verdict(&policy, "/health", None).admits());
    assert!(matches!(verdict(&policy, "/", None), Verdict::Nobody));
    assert!(verdict(&policy, "/", Some(&reader)).admits());
    assert!(verdict(&policy, "/admin/x", Some(&admin)).admits());
    assert!(matches!(verdict(&policy, "/admin/x", Some(&reader)), Verdict::NotAllowed(_)));
    assert!(matches!(verdict(&policy, "/admin/x", Some(&mallory)), Verdict::Denied(_)));
}

#[test]
fn a_path_that_servers_read_differently_is_placed_nowhere() {
    let route = Route::path("/admin/**").allow(vec![Rule::user("ada")]);
    let open = Route::public("/**");
    let policy = policy(Access::Rules(Vec::new()), Vec::new(), vec![route, open]);
    for path in ["/x/../admin", "/x/%2e%2e/admin", "//admin", "/%61dmin;x", "/oauth2/../admin"] {
        let query = RouteQuery { host: "app.example", by_name: false, method: &Method::GET, preflight: None };
        assert!(policy.place(path, query).is_err(), "{path}");
    }
}
