//! Every kind of problem, with its message.

use super::*;

/// The only problem of a valid file with `changes`, without its place.
pub(super) fn problem(changes: &str) -> String {
    let found = problems(&with(changes), &Environment::default());
    found.split_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned())
}

#[test]
fn problems_of_top_level_keys_are_reported() {
    for (changes, expected) in [
        ("", ""),
        ("public_url = \"app.example.com\"", "public_url: \"app.example.com\" is not an http or https URL"),
        (
            "public_url = \"https://app.example.com/path\"",
            "public_url: \"https://app.example.com/path\" must be scheme, host and port alone, as in https://app.example.com",
        ),
        ("public_url = 5", "public_url: 5 is not a string; write it in quotation marks"),
        (
            "prefix = \"/oauth2/\"",
            "prefix: \"/oauth2/\" is not a plain path; write it like \"/oauth2\", with letters, digits, - and _",
        ),
        ("prefx = \"/x\"", "prefx: unknown key; did you mean `prefix`?"),
        ("client_id = \"x\"", "client_id: unknown key; did you mean `provider.client_id`?"),
        ("nonsense = 1", "nonsense: unknown key"),
        (
            "trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.1\", \"ten\"]",
            "trusted_proxies[2]: \"ten\" is not a network; write it like \"10.0.0.0/8\", or \"unix\"",
        ),
        (
            "trusted_proxies = \"10.0.0.0/8\"",
            "trusted_proxies: \"10.0.0.0/8\" is not a list; write it in brackets, like [\"…\"]",
        ),
        (
            "return_hosts = [\"a.example\", \"https://b.example\"]",
            "return_hosts[1]: \"https://b.example\" must be a host name, as in \"app.example.com\" or \"*.example.com\"",
        ),
        ("tls = true", "tls: must be a table; write it as [tls]"),
    ] {
        assert_eq!(problem(changes), expected, "{changes}");
    }
}

#[test]
fn problems_of_the_provider_are_reported() {
    let provider = |rest: &str| problem(&format!("[provider]\n{rest}\n"));
    for (rest, expected) in [
        (
            "",
            "provider.client_id: is missing; register an app at https://huggingface.co/settings/applications/new",
        ),
        (
            "client_id = \"\"",
            "provider.client_id: \"\" is empty; the app's page at https://huggingface.co/settings/applications shows it",
        ),
        ("client_id = \"a b\"", "provider.client_id: \"a b\" is not a client id; it has no spaces"),
        (
            "client_id = \"id\"\nissuer = \"http://example.com\"",
            "provider.issuer: \"http://example.com\" must be https; with http, anybody on the network could impersonate the provider",
        ),
        ("client_id = \"id\"\nclient_secret = \"\"", "provider.client_secret: is empty"),
        (
            "client_id = \"id\"\nclient_secret = 5",
            "provider.client_secret: must be a string in quotation marks",
        ),
        (
            "client_id = \"id\"\nclient_secret = [\"x\"]",
            "provider.client_secret: must be a string in quotation marks: an app has one secret",
        ),
        (
            "client_id = \"id\"\nclient_secret_file = \"Cargo.toml\"",
            "provider.client_secret_file: must be a file of one line: an app has one secret",
        ),
        (
            "client_id = \"id\"\nclient_secret = \"x\"\nclient_secret_file = \"x\"",
            "provider.client_secret_file: is set in addition to `client_secret`; remove one of the two",
        ),
        (
            "client_id = \"id\"\nclient_secret_file = \"no/such/file\"",
            "provider.client_secret_file: \"no/such/file\" does not exist",
        ),
        (
            "client_id = \"id\"\nscope = \"profile\"",
            "provider.scope: \"profile\" lacks openid, which is required",
        ),
        (
            "client_id = \"id\"\nscope = \"openid profile\"",
            "provider.scope: \"openid profile\" lacks read-memberships, which the rules about organisations need",
        ),
        (
            "client_id = \"id\"\nscope = \"openid, \\\"profile\"",
            "provider.scope: \"openid, \\\"profile\" is not a list of scopes; write it like \"openid profile email\", with spaces between",
        ),
        (
            "client_id = \"id\"\norgs = [\"acme\"]",
            "provider.orgs[0]: \"acme\" is not an organisation's id, which is 24 hex digits; https://huggingface.co/api/whoami-v2 returns it for a member's token (`orgs[].id`)",
        ),
        (
            "client_id = \"id\"\nclient_secrets = \"x\"",
            "provider.client_secrets: unknown key; did you mean `client_secret`?",
        ),
        (
            "client_id = \"id\"\nprefix = \"/x\"",
            "provider.prefix: unknown key; `prefix` belongs at the top of the file, before the first [table]",
        ),
    ] {
        assert_eq!(provider(rest), expected, "{rest}");
    }
}

#[test]
fn problems_of_sessions_are_reported() {
    let session = |rest: &str| problem(&format!("[session]\nsecret = \"{SECRET}\"\n{rest}\n"));
    for (rest, expected) in [
        (
            "idle_timeout = \"12x\"",
            "session.idle_timeout: \"12x\" is not a duration; write it like \"15m\", \"12h\" or \"7d\"",
        ),
        (
            "idle_timeout = 12",
            "session.idle_timeout: 12 is not a duration; write it like \"15m\", \"12h\" or \"7d\"",
        ),
        ("idle_timeout = \"0s\"", "session.idle_timeout: \"0s\" is too short; it must be at least 1s"),
        ("max_age = \"1000years\"", "session.max_age: \"1000years\" is too long; it must be at most 3650d"),
        ("idle_timeout = \"8d\"", "session.idle_timeout: \"8d\" is longer than max_age, which is 7days"),
        ("max_age = \"1h\"", ""),
        (
            "cookie_name = \"a b\"",
            "session.cookie_name: \"a b\" is not a cookie name; use letters, digits, - and _",
        ),
        (
            "cookie_name = \"__host-x\"",
            "session.cookie_name: \"__host-x\" must not have this prefix; huggate adds __Host- itself if public_url is https",
        ),
        ("same_site = \"Lax\"", "session.same_site: \"Lax\" is not a policy; write \"lax\" or \"none\""),
        (
            "same_site = \"strict\"",
            "session.same_site: \"strict\" would break every sign-in, which ends with a cross-site navigation; write \"lax\"",
        ),
        (
            "store = \"disk\"",
            "session.store: \"disk\" is not a store; write \"cookie\", \"memory\", \"file:sessions.redb\" or \"redis://127.0.0.1:6379\"",
        ),
        ("idle_timout = \"1h\"", "session.idle_timout: unknown key; did you mean `idle_timeout`?"),
    ] {
        assert_eq!(session(rest), expected, "{rest}");
    }
    assert_eq!(
        problem(&format!(
            "public_url = \"http://localhost:4180\"\n[session]\nsecret = \"{SECRET}\"\nsame_site = \"none\"\n"
        )),
        "session.same_site: \"none\" needs an https public_url: browsers accept such cookies over https only"
    );
}

#[test]
fn problems_of_identity_are_reported() {
    for (identity, expected) in [
        (
            "assertion = \"no\"",
            "identity.assertion: \"no\" is not a boolean; write true or false, without quotation marks",
        ),
        ("assertion_header = [\"X-A\", \"X-B\"]", ""),
        (
            "assertion_header = \"a b\"",
            "identity.assertion_header: \"a b\" is not a header name; use letters, digits and -",
        ),
        (
            "headers = { Authorization = \"sub\" }",
            "identity.headers.Authorization: Authorization has another meaning; use a name like X-Forwarded-User",
        ),
        (
            "headers = { X_Forwarded_For = \"sub\" }",
            "identity.headers.X_Forwarded_For: X_Forwarded_For has another meaning; use a name like X-Forwarded-User",
        ),
        (
            "headers = { X-Who = \"username\" }",
            "identity.headers.X-Who: \"username\" is not a claim; the claims are sub, preferred_username, name, email, picture, groups",
        ),
        (
            "headers = { X-Who = \"sub\", x_who = \"name\" }",
            "identity.headers.x_who: x_who is the same header as x-who to an app; use another name",
        ),
        (
            "headers = { x_huggate_assertion = \"sub\" }",
            "identity.headers.x_huggate_assertion: x_huggate_assertion is the same header as x-huggate-assertion to an app; use another name",
        ),
        (
            "assertion_header = \"X-Forwarded-User\"",
            "identity.assertion_header: X-Forwarded-User is the same header as x-forwarded-user to an app; use another name",
        ),
        (
            "assertion_header = \"X-Who\"\nheaders = { X-Who = \"sub\" }",
            "identity.assertion_header: X-Who is the same header as x-who to an app; use another name",
        ),
    ] {
        assert_eq!(problem(&format!("[identity]\n{identity}\n")), expected, "{identity}");
    }
}

#[cfg(feature = "proxy")]
#[test]
fn problems_of_the_proxy_are_reported() {
    for (changes, expected) in [
        ("listen = [\"127.0.0.1:1\", \"[::1]:1\"]\nupstream = \"http://127.0.0.1:7860\"", ""),
        (
            "listen = \"localhost:4180\"",
            "listen: \"localhost:4180\" is not an address and a port; write it like \"127.0.0.1:4180\", \"[::]:4180\" or \"unix:/run/huggate.sock\"",
        ),
        ("listen = []", "listen: an empty list names no address; write it like \"127.0.0.1:4180\""),
        ("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]", "listen[1]: \"127.0.0.1:1\" is listed already"),
        (
            "upstream = \"127.0.0.1:7860\"",
            "upstream: \"127.0.0.1:7860\" is not an http, https or h2c URL, as in http://127.0.0.1:7860, or a socket, as in unix:/run/app.sock",
        ),
        (
            "upstream = \"http://127.0.0.1:7860/app\"",
            "upstream: \"http://127.0.0.1:7860/app\" must be scheme, host and port alone: requests keep the path they came with",
        ),
        (
            "upstream = \"http://localhost:4180\"",
            "upstream: \"http://localhost:4180\" is an address that huggate listens on; let the app listen elsewhere, or change `listen`",
        ),
        (
            "[[route]]\npath = \"/x\"\nupstream = \"http://127.0.0.1:4180\"",
            "route[0].upstream: \"http://127.0.0.1:4180\" is an address that huggate listens on; let the app listen elsewhere, or change `listen`",
        ),
        (
            "[tls]\ncert_file = \"cert.pem\"",
            "tls.key_file: is missing; TLS needs a certificate chain and its key",
        ),
        ("[timeouts]\nheader = \"0s\"", "timeouts.header: \"0s\" is too short; it must be at least 1ms"),
        (
            "[timeouts]\nidle = \"fast\"",
            "timeouts.idle: \"fast\" is not a duration; write it like \"15m\", \"12h\" or \"7d\"",
        ),
        (
            "[limits]\nheader_bytes = \"1KiB\"",
            "limits.header_bytes: \"1KiB\" is out of range; it must be from 8KiB to 1MiB",
        ),
        (
            "[limits]\nbody_bytes = \"lots\"",
            "limits.body_bytes: \"lots\" is not a size; write it like \"64KiB\" or \"10MiB\"",
        ),
        (
            "[limits]\nbody_bytes = 0",
            "limits.body_bytes: 0 would reject every body; write \"none\" for no limit",
        ),
        ("[limits]\nconnections = 0", "limits.connections: 0 is too few; it must be at least 1"),
        ("[limits]\nheaders = 20000", "limits.headers: 20000 is out of range; it must be from 1 to 10000"),
        ("threads = 0", "threads: 0 is out of range; it must be from 1 to 1024"),
        ("listen_mode = \"rw\"", "listen_mode: \"rw\" is not a file mode; write it in octal, like \"660\""),
        (
            "proxy_protocol = true",
            "proxy_protocol: true needs the load balancer's address in `trusted_proxies`",
        ),
        (
            "[[tls.certificates]]\ncert_file = \"a\"\nkey_file = \"b\"",
            "tls.certificates: a list is for additional certificates; set the first one with tls.cert_file and tls.key_file",
        ),
        ("[limits]\nconnections = -1", "limits.connections: -1 is not a whole number; write it like 10000"),
        ("[upstream_tls]\nca_file = \"\"", "upstream_tls.ca_file: \"\" is not a path"),
        (
            "[upstream_tls]\ncert_file = \"huggate.pem\"",
            "upstream_tls.key_file: is missing; a certificate needs its key",
        ),
        (
            "[upstream_tls]\nkey_file = \"huggate.pem\"",
            "upstream_tls.cert_file: is missing; a key needs its certificate",
        ),
        (
            "[upstream_tls]\nserver_name = \"a b\"",
            "upstream_tls.server_name: \"a b\" is not a server name; write it like \"app.internal\"",
        ),
        (
            "[limits]\nupstream_connections = 0",
            "limits.upstream_connections: 0 would let no request through; it must be at least 1",
        ),
        ("[timeouts]\nstream = \"0s\"", "timeouts.stream: \"0s\" is too short; it must be at least 1ms"),
        (
            "upstream = []",
            "upstream: an empty list names no address; write it like \"http://127.0.0.1:7860\"",
        ),
        ("upstream = [\"http://a\", \"http://a:80\"]", "upstream[1]: \"http://a:80\" is listed already"),
        (
            "upstream = [\"http://a\", \"a\"]",
            "upstream[1]: \"a\" is not an http, https or h2c URL, as in http://127.0.0.1:7860, or a socket, as in unix:/run/app.sock",
        ),
        (
            "upstream = \"unix:run/app.sock\"",
            "upstream: \"unix:run/app.sock\" is not a socket's whole path; begin it with a slash, as in unix:/run/app.sock",
        ),
        (
            "upstream = [\"h2c://127.0.0.1:4180\"]",
            "upstream[0]: \"h2c://127.0.0.1:4180\" is an address that huggate listens on; let the app listen elsewhere, or change `listen`",
        ),
        (
            "health = \"health\"\nupstream = \"http://127.0.0.1:7860\"",
            "health: \"health\" is not a path; write it like \"/health\"",
        ),
        (
            "[[route]]\npath = \"/x\"\nupstream = [\"h2c://a\", \"unix:b\"]",
            "route[0].upstream[1]: \"unix:b\" is not a socket's whole path; begin it with a slash, as in unix:/run/app.sock",
        ),
        (
            "[[route]]\npath = \"/x\"\nhealth = \"/up\"",
            "route[0].health: \"/up\" needs an upstream in the same route; add one, or remove this",
        ),
        ("health = \"/up\"\nupstream = [\"h2c://a\", \"https://b\", \"unix:/c\"]", ""),
    ] {
        let changes = if changes.contains("upstream = ") || changes.starts_with('[') {
            changes.to_owned()
        } else {
            format!("{changes}\nupstream = \"http://127.0.0.1:7860\"")
        };
        assert_eq!(problem(&changes), expected, "{changes}");
    }
}

#[cfg(feature = "proxy")]
#[test]
fn the_proxy_needs_an_upstream_and_the_layer_does_not() {
    let text = with("");
    assert!(read(&text, &Environment::default()).is_ok());
    assert_eq!(
        Config::parse(&text, "config.toml", &Environment::default()).unwrap_err().to_string(),
        "config.toml: upstream: is missing; say where the app listens, as in upstream = \"http://127.0.0.1:7860\""
    );
}

#[test]
fn all_problems_are_reported_in_the_order_of_their_lines() {
    let text = r#"
[session]
idle_timeout = "12x"
nonsense = true

[[route]]
path = "/a"

[[route]]
path = "a"

[provider]
client_id = ""

[access]
allow = [
  { org = "acme" },
  { email = "ada" },
]
"#;
    let found = problems(text, &Environment::from([("HUGGATE_PREFIX", "x")]));
    let expected = [
        "config.toml:2: session.secret: is missing; generate one with `huggate secret`",
        "config.toml:3: session.idle_timeout: \"12x\" is not a duration; write it like \"15m\", \"12h\" or \"7d\"",
        "config.toml:4: session.nonsense: unknown key",
        "config.toml:10: route[1].path: \"a\" must start with a slash",
        "config.toml:13: provider.client_id: \"\" is empty; the app's page at https://huggingface.co/settings/applications shows it",
        "config.toml:18: access.allow[1].email: \"ada\" is not an e-mail address; write it like \"ada@example.com\"",
        "config.toml: public_url: is missing; set the URL that people open, as in \"https://app.example.com\"",
        "HUGGATE_PREFIX: prefix: \"x\" is not a plain path; write it like \"/oauth2\", with letters, digits, - and _",
    ];
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_syntax_error_shows_its_line_and_a_caret() {
    assert_eq!(
        problems("public_url = \"https://a.example\"\nlisten = [1 2]\n", &Environment::default()),
        "config.toml: not TOML at line 2, column 11: string values must be quoted, expected literal string\n  |\n2 | listen = [1 2]\n  |           ^"
    );
}

#[test]
fn a_missing_file_is_named() {
    let load = |path| Config::load(path, &Environment::default()).unwrap_err().to_string();
    assert_eq!(load(Some(std::path::Path::new("no/such.toml"))), "no/such.toml: does not exist");
}
