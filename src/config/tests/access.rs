//! Problems of rules and routes.

use super::problems::problem;
use super::*;

#[test]
fn problems_of_rules_are_reported() {
    let how = r#"write a list, like [{ org = "acme" }], or "anyone""#;
    for (allow, expected) in [
        (r#""anyone""#, String::new()),
        (r#""acme""#, format!(r#"access.allow: "acme" is not a list of rules; {how}"#)),
        (
            "[]",
            "access.allow: an empty list lets nobody in; say who may enter, like [{ org = \"acme\" }], or \"anyone\""
                .to_owned(),
        ),
        (
            r#"[{}]"#,
            "access.allow[0]: an empty rule matches nobody; write it like { user = \"ada\" }".to_owned(),
        ),
        (r#"["anyone"]"#, "access.allow[0]: \"anyone\" cannot be in a list; write allow = \"anyone\"".to_owned()),
        (
            r#"["ada"]"#,
            "access.allow[0]: \"ada\" is not a rule; write it like { user = \"ada\" } or { org = \"acme\", role = \"admin\" }"
                .to_owned(),
        ),
        (
            r#"[{ user = "ada" }, { role = "admin" }]"#,
            "access.allow[1].role: needs an `org` in the same rule".to_owned(),
        ),
        (
            r#"[{ user = "ada", resource_group = "gpu" }]"#,
            "access.allow[0].resource_group: needs an `org` in the same rule".to_owned(),
        ),
        (
            r#"[{ org = "acme", role = "no_access" }]"#,
            "access.allow[0].role: \"no_access\" does not give access; name another role, or leave it out"
                .to_owned(),
        ),
        (
            r#"[{ org = "acme", role = "Admin" }]"#,
            "access.allow[0].role: \"Admin\" is not a role; did you mean \"admin\"?".to_owned(),
        ),
        (r#"[{ org = "acme", role = "ml-ops" }]"#, String::new()),
        (
            r#"[{ org = "https://huggingface.co/acme" }]"#,
            "access.allow[0].org: \"https://huggingface.co/acme\" is not an organisation's slug or id; the slug is the name in huggingface.co/acme"
                .to_owned(),
        ),
        (
            r#"[{ user = "ada@example.com" }]"#,
            "access.allow[0].user: \"ada@example.com\" is not a username or an id; use `email` for an e-mail address"
                .to_owned(),
        ),
        (
            r#"[{ email = "ada@b@c" }]"#,
            "access.allow[0].email: \"ada@b@c\" is not an e-mail address; write it like \"ada@example.com\"".to_owned(),
        ),
        (
            r#"[{ email_domain = "@example.com" }]"#,
            "access.allow[0].email_domain: \"@example.com\" is not a domain; remove the @ and the part before it"
                .to_owned(),
        ),
        (
            r#"[{ email_domain = "example..com" }]"#,
            "access.allow[0].email_domain: \"example..com\" is not a domain; write it like \"example.com\", or \".example.com\" to include its subdomains"
                .to_owned(),
        ),
        (
            r#"[{ pro = "yes" }]"#,
            "access.allow[0].pro: \"yes\" is not a boolean; write true or false, without quotation marks".to_owned(),
        ),
        (
            r#"[{ rol = "x", org = "acme" }]"#,
            "access.allow[0].rol: unknown key; did you mean `role`?".to_owned(),
        ),
    ] {
        assert_eq!(problem(&format!("[access]\nallow = {allow}\n")), expected, "{allow}");
    }
    assert_eq!(
        problem("[access]\n"),
        "access.allow: is missing; say who may enter, as in allow = [{ org = \"acme\" }], or allow = \"anyone\""
    );
    assert_eq!(
        problem("[access]\nallow = \"anyone\"\ndeny = \"mallory\"\n"),
        "access.deny: \"mallory\" is not a list; write it in brackets, like [\"…\"]"
    );
}

#[test]
fn problems_of_routes_are_reported() {
    for (routes, expected) in [
        ("path = \"/health\"\npublic = true", ""),
        ("path = \"/x\"\nallow = \"anyone\"", ""),
        (
            "public = true",
            "route[0]: matches every request; set path, host or methods (path = \"/**\" for all paths)",
        ),
        (
            "path = \"/x\"\npublic = true\nallow = \"anyone\"",
            "route[0].public: contradicts `allow`; remove one of the two",
        ),
        ("path = \"/x\"\npreflight = true\npublic = true", ""),
        ("path = \"/x\"\ncors = [\"https://app.example.com\", \"http://localhost:3000\"]", ""),
        (
            "path = \"/x\"\ncors = [\"*\"]",
            "route[0].cors[0]: \"*\" would let the pages of every site read what huggate says to the person; list the origins",
        ),
        (
            "path = \"/x\"\ncors = [\"https://app.example.com/page\"]",
            "route[0].cors[0]: \"https://app.example.com/page\" is not an origin; write it like \"https://app.example.com\", without a path",
        ),
        (
            "path = \"/x\"\ncors = \"https://app.example.com\"",
            "route[0].cors: \"https://app.example.com\" is not a list; write it in brackets, like [\"…\"]",
        ),
        ("path = \"/x\"\nassertion = \"header\"", ""),
        (
            "path = \"/x\"\nassertion = false",
            "route[0].assertion: false is not a string; write it in quotation marks",
        ),
        (
            "path = \"/x\"\nassertion = \"off\"",
            "route[0].assertion: \"off\" is not a valid value; write \"both\", \"header\", \"cookie\" or \"none\"",
        ),
        (
            "path = \"/x\"\npreflight = \"yes\"",
            "route[0].preflight: \"yes\" is not a boolean; write true or false, without quotation marks",
        ),
        ("path = \"x\"", "route[0].path: \"x\" must start with a slash"),
        (
            "path = \"/x*\"",
            "route[0].path: \"/x*\" `*` can only stand in a final `/**`, which matches a folder and everything below it",
        ),
        (
            "path = \"/oauth2/callback\"",
            "route[0].path: \"/oauth2/callback\" can never match: huggate's own endpoints are under /oauth2",
        ),
        (
            "host = \"https://a.example\"",
            "route[0].host: \"https://a.example\" is not a host; write it like \"app.example.com\" or \"app.example.com:8443\"",
        ),
        (
            "methods = [\"get\"]",
            "route[0].methods[0]: \"get\" is not a method; write it in capitals, \"GET\"",
        ),
        ("methods = []", "route[0].methods: an empty list matches nothing; leave it out for all methods"),
        (
            "path = \"/x\"\nallow = []",
            "route[0].allow: an empty list lets nobody in; say who may enter, like [{ org = \"acme\" }], or \"anyone\"",
        ),
        ("pth = \"/x\"\nhost = \"a\"", "route[0].pth: unknown key; did you mean `path`?"),
        (
            "path = \"/a/**\"\n[[route]]\npath = \"/a/b\"",
            "route[1]: can never match: route[0] (line 3) matches all its requests first",
        ),
        (
            "path = \"/a\"\n[[route]]\npath = \"/a\"\nmethods = [\"GET\"]",
            "route[1]: can never match: route[0] (line 3) matches all its requests first",
        ),
        ("path = \"/a/**\"\nmethods = [\"GET\"]\n[[route]]\npath = \"/a/b\"", ""),
        ("path = \"/a/**\"\nhost = \"a.example\"\n[[route]]\npath = \"/a\"", ""),
        ("path = \"/a/**\"\n[[route]]\npath = \"/ab\"", ""),
        (
            "path = \"/x\"\nmethods = [\"GET\"]\n[[route]]\npath = \"/x\"\nmethods = [\"HEAD\"]",
            "route[1]: can never match: route[0] (line 3) matches all its requests first",
        ),
        (
            "methods = [\"GET\"]\n[[route]]\npath = \"/a/**\"\nmethods = [\"POST\"]\n\
             [[route]]\npath = \"/a/b\"\nhost = \"a.example\"\nmethods = [\"POST\", \"HEAD\"]",
            "route[2]: can never match: route[0] (line 3) and route[1] (line 5) together match all its requests first",
        ),
        (
            "host = \"a.example\"\nmethods = [\"GET\"]\n[[route]]\nmethods = [\"PUT\"]\n\
             [[route]]\nmethods = [\"POST\"]\n[[route]]\nhost = \"a.example\"\nmethods = [\"POST\", \"PUT\", \"GET\"]",
            "route[3]: can never match: route[0] (line 3), route[1] (line 6) and route[2] (line 8) together match all its requests first",
        ),
        // A route for HEAD only does not match GET.
        ("path = \"/x\"\nmethods = [\"HEAD\"]\n[[route]]\npath = \"/x\"\nmethods = [\"GET\"]", ""),
        // Lists cannot contain all methods.
        ("path = \"/x\"\nmethods = [\"GET\", \"POST\"]\n[[route]]\npath = \"/x\"", ""),
        // A preflight route still matches no more requests than its methods.
        (
            "path = \"/x\"\nmethods = [\"POST\"]\n[[route]]\npath = \"/x\"\nmethods = [\"POST\"]\npreflight = true",
            "route[1]: can never match: route[0] (line 3) matches all its requests first",
        ),
        // A preflight route does not match other OPTIONS requests.
        (
            "path = \"/x\"\nmethods = [\"POST\"]\npreflight = true\n[[route]]\npath = \"/x\"\nmethods = [\"OPTIONS\"]",
            "",
        ),
    ] {
        assert_eq!(problem(&format!("[[route]]\n{routes}\n")), expected, "{routes}");
    }
    assert_eq!(problem("route = 5"), "route: must be a list of tables; write each as [[route]]");
}

#[test]
fn the_host_of_a_route_is_normalised() {
    for (host, spelling) in [
        ("A.Example", "a.example"),
        ("a.example:443", "a.example"),
        ("a.example:80", "a.example"),
        ("a.example.:8443", "a.example:8443"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[::1]:4180", "[::1]:4180"),
    ] {
        let text = with(&format!("[[route]]\nhost = {host:?}\n"));
        let gate = read(&text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}")).gate;
        assert_eq!(gate.routes[0].host.as_deref(), Some(spelling), "{host}");
    }
}

/// The host warnings of a valid file with these routes.
fn warnings(routes: &str) -> Vec<String> {
    let text = with(&format!("upstream = \"http://127.0.0.1:7860\"\n{routes}\n"));
    let read = super::super::read(&text, "config.toml", &Environment::default(), Consumer::Proxy);
    let parts = read.unwrap_or_else(|problems| panic!("{problems}"));
    parts.warnings.iter().map(|warning| format!("{}: {}", warning.key, warning.message)).collect()
}

#[test]
fn bypassable_hosts_are_warned_about() {
    let admins = "allow = [{ org = \"acme\", role = \"admin\" }]";
    let host = |name: &str, rest: &str| format!("[[route]]\nhost = \"{name}\"\n{rest}\n");
    let path = |path: &str, rest: &str| format!("[[route]]\npath = \"{path}\"\n{rest}\n");
    let own = "upstream = \"http://127.0.0.1:5000\"";
    let same = "upstream = \"http://127.0.0.1:7860/\"";
    for (routes, through) in [
        (host("a.example", admins), Some("[access]")),
        (host("a.example", &format!("{admins}\n{same}")), Some("[access]")),
        (host("a.example", "deny = [{ user = \"ben\" }]"), Some("[access]")),
        (host("a.example", admins) + &path("/x", "public = true"), Some("route[1] (line 7)")),
        (host("a.example", admins) + &host("b.example", ""), Some("route[1] (line 7)")),
        // The other way round: a route's own app is reachable with two hosts.
        (host("a.example", &format!("{admins}\n{own}")) + &host("b.example", own), Some("route[1] (line 8)")),
        // No other host leads to the same app.
        (host("a.example", &format!("{admins}\n{own}")), None),
        (host("a.example", admins) + &path("/**", own), None),
        // Other hosts admit no more people.
        (host("a.example", "public = true"), None),
        (host("a.example", ""), None),
        (host("a.example", "allow = \"anyone\""), None),
        (host("a.example", "allow = [{ org = \"acme\" }, { user = \"ada\" }]"), None),
        (host("a.example", admins) + &path("/**", admins), None),
        // The other route is shadowed, or about other paths.
        (
            host("a.example", &format!("path = \"/a/**\"\n{admins}"))
                + &path("/a/**", admins)
                + &path("/b/**", "public = true"),
            None,
        ),
        (
            host("a.example", "path = \"/assets/**\"\npublic = true")
                + &host("a.example", admins)
                + &path("/assets/**", "public = true")
                + &path("/**", admins),
            None,
        ),
    ] {
        let expected = through.map(|through| {
            format!(
                "route[0].host: \"a.example\" does not protect the app: with another Host header, requests reach it through {through}, \
                 which has other rules; give the route an upstream of its own, or check the host in the app"
            )
        });
        assert_eq!(warnings(&routes).first(), expected.as_ref(), "{routes}");
    }
}
