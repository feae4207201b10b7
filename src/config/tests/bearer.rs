//! `[bearer]`, and `bearer` of routes.

use super::problems::problem;
use super::*;
use crate::authn::BearerSettings;
use crate::policy::BearerUse;

#[test]
fn problems_of_bearer_settings_are_reported() {
    for (changes, expected) in [
        ("[bearer]\n", ""),
        ("[bearer]\nhub_tokens = true", ""),
        ("[bearer]\nhub_tokens = false\nclients = []\napp_tokens = false", ""),
        ("[bearer]\nhub_tokens = true\nclients = [\"id\"]\napp_tokens = true", ""),
        (
            "[bearer]\nhub_tokens = \"yes\"",
            "bearer.hub_tokens: \"yes\" is not a boolean; write true or false, without quotation marks",
        ),
        ("[bearer]\nclients = [\"id\"]", "bearer.clients: has no effect without hub_tokens = true"),
        (
            "[bearer]\nhub_tokens = false\napp_tokens = true",
            "bearer.app_tokens: has no effect without hub_tokens = true",
        ),
        (
            "[bearer]\nhub_tokens = true\nclients = \"id\"",
            "bearer.clients: \"id\" is not a list; write it in brackets, like [\"…\"]",
        ),
        (
            "[bearer]\nhub_tokens = true\nclients = [\"id\", \"a b\"]",
            "bearer.clients[1]: \"a b\" is not a client id; it has no spaces",
        ),
        (
            "[bearer]\nhub_tokens = true\nclients = [\"\"]",
            "bearer.clients[0]: \"\" is empty; the app's page at https://huggingface.co/settings/applications shows it",
        ),
        ("[bearer]\nhub_token = true", "bearer.hub_token: unknown key; did you mean `hub_tokens`?"),
        ("bearer = true", "bearer: must be a table; write it as [bearer]"),
        ("[[route]]\npath = \"/x\"\nbearer = \"also\"", ""),
        ("[[route]]\npath = \"/x\"\nbearer = \"off\"\nforward_authorization = true", ""),
        ("[bearer]\nhub_tokens = true\n[[route]]\npath = \"/x\"\nbearer = \"only\"", ""),
        (
            "[[route]]\npath = \"/x\"\nbearer = \"only\"",
            "route[0].bearer: \"only\" would let nobody in, because tokens are disabled; write hub_tokens = true under [bearer]",
        ),
        (
            "[bearer]\nhub_tokens = false\n[[route]]\npath = \"/x\"\nbearer = \"only\"",
            "route[0].bearer: \"only\" would let nobody in, because tokens are disabled; write hub_tokens = true under [bearer]",
        ),
        (
            "[[route]]\npath = \"/x\"\nbearer = \"Only\"",
            "route[0].bearer: \"Only\" is not a valid value; write \"also\", \"only\" or \"off\"",
        ),
        (
            "[[route]]\npath = \"/x\"\nforward_authorization = 1",
            "route[0].forward_authorization: 1 is not a boolean; write true or false, without quotation marks",
        ),
        (
            "forward_authorization = true",
            "forward_authorization: unknown key; did you mean `route[].forward_authorization`?",
        ),
    ] {
        assert_eq!(problem(changes), expected, "{changes}");
    }
}

#[test]
fn tokens_are_disabled_by_default() {
    let bearer = |changes: &str, environment: &Environment| {
        let read = read(&with(changes), environment);
        read.unwrap_or_else(|problems| panic!("{problems}")).gate.bearer
    };
    let none = Environment::default();
    assert_eq!(bearer("", &none), None);
    assert_eq!(bearer("[bearer]\nhub_tokens = false", &none), None);
    assert_eq!(bearer("[bearer]\nhub_tokens = true", &none), Some(BearerSettings::default()));
    let listed = BearerSettings { clients: vec!["a".to_owned(), "b".to_owned()], app_tokens: true };
    assert_eq!(
        bearer("[bearer]\nhub_tokens = true\nclients = [\"a\", \"b\"]\napp_tokens = true", &none),
        Some(listed.clone())
    );
    let variables = Environment::from([
        ("HUGGATE_BEARER__HUB_TOKENS", "true"),
        ("HUGGATE_BEARER__CLIENTS", "[\"a\", \"b\"]"),
        ("HUGGATE_BEARER__APP_TOKENS", "true"),
    ]);
    assert_eq!(bearer("", &variables), Some(listed));

    let routes = "[bearer]\nhub_tokens = true\n[[route]]\npath = \"/a\"\n[[route]]\npath = \"/b\"\nbearer = \"only\"\n\
                  [[route]]\npath = \"/c\"\nbearer = \"off\"\nforward_authorization = true";
    let routes = read(&with(routes), &none).unwrap_or_else(|problems| panic!("{problems}")).gate.routes;
    let said: Vec<_> = routes.iter().map(|route| (route.bearer, route.forward_authorization)).collect();
    assert_eq!(said, [(BearerUse::Also, false), (BearerUse::Only, false), (BearerUse::Off, true)]);
}
