//! Environment variables override the file.

use super::*;
use crate::policy::Access;
use crate::session::StoreSettings;

fn set<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    Environment::from(variables)
}

#[test]
fn a_variable_overrides_the_file() {
    let environment = set([
        ("HUGGATE_PUBLIC_URL", "https://other.example.com"),
        ("HUGGATE_PROVIDER__CLIENT_ID", "42"),
        ("HUGGATE_PROVIDER__SCOPE", "openid profile read-memberships jobs"),
        ("HUGGATE_SESSION__STORE", "memory"),
        ("HUGGATE_IDENTITY__ACCESS_TOKEN", "true"),
        ("HUGGATE_IDENTITY__HEADERS", "{ X-Who = \"sub\" }"),
        ("HUGGATE_ACCESS__ALLOW", "[{ org = \"other\" }]"),
        ("HUGGATE_ROUTE", "[{ path = \"/health\", public = true }]"),
        ("HUGGATE_LOG", "debug"),
        ("HUGGATE_LOG_FORMAT", "json"),
        ("HUGGATE_CONFIG", "elsewhere.toml"),
        ("PATH", "/bin"),
    ]);
    let gate = read(&with(""), &environment).unwrap_or_else(|problems| panic!("{problems}")).gate;
    assert_eq!(gate.public_url.as_str(), "https://other.example.com");
    assert_eq!(gate.provider.client_id, "42", "a plain text key takes the text as it is");
    assert_eq!(gate.provider.scope, "openid profile read-memberships jobs");
    assert_eq!(gate.session.store, StoreSettings::Memory);
    assert!(gate.headers.access_token);
    assert_eq!(gate.headers.claims.len(), 1);
    assert_eq!(gate.routes.len(), 1);
    assert_eq!(gate.access, Access::Rules(vec![crate::Rule::org("other")]));
}

#[test]
fn anyone_may_be_a_plain_word_or_toml() {
    for value in ["anyone", "\"anyone\""] {
        let gate = read(&with(""), &set([("HUGGATE_ACCESS__ALLOW", value)])).map(|parts| parts.gate.access);
        assert_eq!(gate.ok(), Some(Access::Anyone), "{value}");
    }
}

#[cfg(feature = "proxy")]
#[test]
fn the_environment_alone_can_be_enough() {
    let environment = set([
        ("HUGGATE_PUBLIC_URL", "https://app.example.com"),
        ("HUGGATE_PROVIDER__CLIENT_ID", "id"),
        ("HUGGATE_SESSION__SECRET", SECRET),
        ("HUGGATE_ACCESS__ALLOW", "anyone"),
        ("HUGGATE_LISTEN", "0.0.0.0:80"),
        ("HUGGATE_UPSTREAM", "http://127.0.0.1:7860"),
        ("HUGGATE_LIMITS__CONNECTIONS", "5"),
        ("HUGGATE_LIMITS__BODY_BYTES", "10MiB"),
    ]);
    let config =
        Config::parse("", "environment", &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.server.listen, [crate::server::ListenAddress::parse("0.0.0.0:80").unwrap()]);
    assert_eq!(config.server.connections, 5);
    assert_eq!(config.upstream.body_bytes, Some(10 << 20));
    assert_eq!(config.gate.provider.scope, "openid profile");
}

#[test]
fn a_problem_names_the_variable() {
    for (name, value, expected) in [
        (
            "HUGGATE_SESSION__IDLE_TIMEOUT",
            "12x",
            "HUGGATE_SESSION__IDLE_TIMEOUT: session.idle_timeout: \"12x\" is not a duration; write it like \"15m\", \"12h\" or \"7d\"",
        ),
        (
            "HUGGATE_ACCESS__ALLOW",
            "[{ rol = \"x\", org = \"acme\" }]",
            "HUGGATE_ACCESS__ALLOW: access.allow[0].rol: unknown key; did you mean `role`?",
        ),
        (
            "HUGGATE_PROVIDER__CLIENTID",
            "x",
            "HUGGATE_PROVIDER__CLIENTID: unknown variable; did you mean HUGGATE_PROVIDER__CLIENT_ID?",
        ),
        (
            "HUGGATE_PROVIDER_CLIENT_ID",
            "x",
            "HUGGATE_PROVIDER_CLIENT_ID: unknown variable; did you mean HUGGATE_PROVIDER__CLIENT_ID?",
        ),
        ("HUGGATE_QQQQQQ", "x", "HUGGATE_QQQQQQ: unknown variable"),
        (
            "HUGGATE_ROUTE__PATH",
            "/x",
            "HUGGATE_ROUTE__PATH: unknown variable; routes are set as a whole, in HUGGATE_ROUTE",
        ),
        (
            "HUGGATE_PROVIDER",
            "x",
            "HUGGATE_PROVIDER: is a table; set its keys one by one, as in HUGGATE_PROVIDER__ISSUER",
        ),
        ("HUGGATE_PREFIX", "", "HUGGATE_PREFIX: is empty; unset it, or set a value"),
        (
            "HUGGATE_ROUTE",
            "[{ path = \"x\" }]",
            "HUGGATE_ROUTE: route[0].path: \"x\" must start with a slash",
        ),
    ] {
        assert_eq!(problems(&with(""), &set([(name, value)])), expected);
    }
}

#[test]
fn a_variable_replaces_the_other_form_of_a_secret() {
    let text = with("[session]\nsecret_file = \"no/such/file\"\n");
    assert!(read(&text, &set([("HUGGATE_SESSION__SECRET", SECRET)])).is_ok());
    let both = set([("HUGGATE_SESSION__SECRET", SECRET), ("HUGGATE_SESSION__SECRET_FILE", "x")]);
    assert_eq!(
        problems(&text, &both),
        "HUGGATE_SESSION__SECRET_FILE: session.secret_file: is set in addition to `secret`; remove one of the two"
    );
}
