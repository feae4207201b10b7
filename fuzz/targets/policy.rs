#![no_main]

//! The policy alone, without the rest of the crate: a path that is placed on a public
//! route is public under each of its readings, and nothing panics.

#[path = "../../tests/policy/client.rs"]
mod client;
#[path = "../../tests/policy/identity.rs"]
#[allow(unused_imports)]
mod identity;
#[path = "../../src/policy/mod.rs"]
#[allow(dead_code, unused_imports)]
mod policy;

use std::sync::{Arc, LazyLock};

use http::Method;
use identity::{FilterId, Needs, Shown};
use libfuzzer_sys::{Corpus, fuzz_target};
use policy::{
    Access, OwnAddress, OwnPrefix, PathReadings, Policy, Route, RouteQuery, RouteTable, Rule, readings,
};

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let routes = vec![
        Route::path("/admin/**").allow(Rule::user("ada")),
        Route::public("/assets/**"),
        Route::public("/health"),
        Route::path("/assets/private").allow(Rule::org("acme")),
        Route::path("/**").allow(Rule::org("acme")),
    ];
    Policy {
        access: Access::Rules(Vec::new()),
        deny: vec![Rule::user("mallory")],
        routes: RouteTable::new(routes),
        own: OwnAddress {
            prefix: OwnPrefix::parse("/oauth2").unwrap(),
            authority: "app.example".to_owned(),
        },
        needs: Arc::new(Needs::new(FilterId([0; 8]), Shown::ALL)),
    }
});

fuzz_target!(|input: (&str, bool)| -> Corpus {
    let (path, lower_case) = input;
    if !path.starts_with('/') {
        return Corpus::Reject;
    }
    let method = if lower_case { Method::from_bytes(b"get").unwrap() } else { Method::GET };
    let query = RouteQuery { host: "app.example", by_name: false, method: &method, preflight: None };
    let Ok(route) = POLICY.place(path, query) else { return Corpus::Keep };
    if !POLICY.decide(route, &[], None).admits() {
        return Corpus::Keep;
    }
    let Ok(PathReadings::Several(several)) = readings(path) else { return Corpus::Keep };
    for reading in several {
        let found = POLICY.routes.find(query, &reading);
        assert!(POLICY.decide(found, &[], None).admits(), "{path:?} is public, and its reading {reading:?} is not");
    }
    Corpus::Keep
});
