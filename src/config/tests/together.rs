//! Problems of different stages in one run: syntax, keys, values, variables, and files.

use super::*;

fn lines(text: &str, environment: &Environment) -> Vec<String> {
    problems(text, environment).lines().map(str::to_owned).collect()
}

/// The beginnings of the lines that begin a problem.
fn begins(found: &[String], beginnings: &[&str]) {
    let own: Vec<&String> =
        found.iter().filter(|line| line.starts_with("config.toml") || line.starts_with("HUGGATE_")).collect();
    assert_eq!(own.len(), beginnings.len(), "{found:#?}");
    for (line, beginning) in own.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{beginning:?} does not begin {line:?}\n{found:#?}");
    }
}

#[test]
fn a_syntax_error_hides_no_other_problem() {
    let text = r#"
public_url = "https://app.example.com"
listen = [1 2]
prefx = "/x"

[provider]
client_id = "id
scope = 5

[sesion]
secret = "8f3a1c5e7d9b0246813579acefbd0246f1e2d3c4b5a697887766554433221100"
idle_timeout = "12x"

[access]
allow = [{ org = "acme" }]
"#;
    begins(
        &lines(text, &Environment::from([("HUGGATE_TIMEOUTS__IDEL", "1s")])),
        &[
            "config.toml: not TOML at line 3, column 11: ",
            "config.toml: not TOML at line 7, column 16: ",
            "config.toml:4: prefx: unknown key; did you mean `prefix`?",
            "config.toml:8: provider.scope: 5 is not a string",
            "config.toml:10: sesion: unknown key; did you mean `session`?",
            "config.toml:12: session.idle_timeout: \"12x\" is not a duration",
            "HUGGATE_TIMEOUTS__IDEL: unknown variable; did you mean HUGGATE_TIMEOUTS__IDLE?",
        ],
    );
}

#[test]
fn a_syntax_error_is_told_once_and_what_it_swallows_is_not_called_missing() {
    for (text, line) in [
        ("public_url = \"https://app.example.com\nupstream = \"http://127.0.0.1:7860\"\n", 1),
        (
            "trusted_proxies = [\"10.0.0.0/8\",\npublic_url = \"https://a.example\"\n[provider]\nclient_id = \"x\"\n",
            2,
        ),
        ("public_url = \"\"\"https://a.example\n[provider]\nclient_id = \"x\"\n", 4),
        ("[provider\nclient_id = \"x\"\nclient_secret = \"y\"\n[session]\nidle_timeout = \"1h\"\n", 1),
        ("prefix = \"/a\"\nprefix = \"/b\"\n", 2),
        ("prefix\n", 1),
        ("[access]\nallow = [{ org = \"acme\" ]\ndeny = []\n", 2),
        ("return_hosts = { a = 1, b = }\n", 1),
    ] {
        let found = lines(text, &Environment::default());
        begins(&found, &[&format!("config.toml: not TOML at line {line}, ")]);
    }
}

/// What the parser takes for a key or a value near an error may be a part of a secret.
#[test]
fn no_syntax_error_prints_a_part_of_a_secret() {
    let secret = "8f3a1c5e7d9b0246813579acefbd0246";
    for text in [
        format!("[session]\nsecret = {secret}\n"),
        format!("[session]\nsecret = \"{secret}\n"),
        format!("[session]\nsecret = \"\"\"\n{secret}\n"),
        format!("[session]\nsecret = \"\"\"\n{secret}\" = 1\n"),
        format!("[session]\nsecret = \n{secret}\n"),
        format!("[session]\nsecret = \n{secret} = \"{secret}\"x\n"),
        format!("[session]\nsecret = [\"x\",\n{secret} = 1\n"),
        format!("[session]\nsecret = [\n\"{secret}\"\n\"{secret}\"\n]\n"),
        format!("[session]\nsecret = \"a\"{secret}\"\n"),
        format!("[provider]\nclient_secret = \"a\", x = \"{secret}\"\n"),
        format!("public_url = \"\"\"https://a\n[session]\nsecret = \"{secret}\"\n"),
        format!("public_url = \"https://a, secret = \"{secret}\"\n"),
        format!("provider = {{ client_secret = \"{secret}, client_id = \"x\" }}\n"),
        format!("provider = {{ client_id = \"x\"\nclient_secret = \"{secret}\" }}\nlisten = ]\n"),
    ] {
        let found = problems(&text, &Environment::default());
        assert!(!found.contains(secret) && !found.contains(&secret[..8]), "{text}\n{found}");
    }
}

#[test]
fn a_misspelt_table_is_read_as_what_was_meant() {
    let text = with("[sesion]\nsecret = \"short\"\nidel_timeout = \"1h\"\n");
    let text = text.replace(&format!("[session]\nsecret = \"{SECRET}\"\n"), "");
    let found = lines(&text, &Environment::default());
    begins(
        &found,
        &[
            "config.toml:3: sesion: unknown key; did you mean `session`?",
            "config.toml:4: session.secret: ",
            "config.toml:5: session.idel_timeout: unknown key; did you mean `idle_timeout`?",
        ],
    );
    let found = lines(&with("[[routes]]\npath = \"/x\"\npublik = true\n"), &Environment::default());
    begins(
        &found,
        &[
            "config.toml:3: routes: unknown key; did you mean `route`?",
            "config.toml:5: route[0].publik: unknown key; did you mean `public`?",
        ],
    );
}

#[test]
fn misspelt_variables_are_told_what_they_could_mean() {
    for (name, near) in [
        ("HUGGATE_PROVIDER__CLIENTID", "HUGGATE_PROVIDER__CLIENT_ID"),
        ("HUGGATE_CLIENT_ID", "HUGGATE_PROVIDER__CLIENT_ID"),
        ("HUGGATE_PROVIDER__CLIENT_SECRET_FIEL", "HUGGATE_PROVIDER__CLIENT_SECRET_FILE"),
        ("HUGGATE_SESION__SECRET", "HUGGATE_SESSION__SECRET"),
        ("HUGGATE_TLS_CERT_FILE", "HUGGATE_TLS__CERT_FILE"),
        ("HUGGATE_LOGFORMAT", "HUGGATE_LOG_FORMAT"),
        ("HUGGATE_LOG_LEVEL", "HUGGATE_LOG"),
        ("HUGGATE_CONFIG_FILE", "HUGGATE_CONFIG"),
    ] {
        let found = problems(&with(""), &Environment::from([(name, "x")]));
        assert_eq!(found, format!("{name}: unknown variable; did you mean {near}?"));
    }
}

#[cfg(feature = "proxy")]
mod files {
    use std::path::Path;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::super::super::{Config, Environment};
    use super::{SECRET, begins};

    fn written(folder: &Path, name: &str) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}-key.pem")), signing_key.serialize_pem()).unwrap();
    }

    /// The problems of a configuration that is about to be served.
    fn found(folder: &Path, rest: &str, environment: &Environment) -> Vec<String> {
        let text = format!(
            "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:7860\"\n\
             session.secret = \"{SECRET}\"\naccess.allow = [{{ org = \"acme\" }}]\n\
             provider.client_id = \"id\"\n{rest}"
        );
        let path = folder.join("config.toml");
        std::fs::write(&path, text).unwrap();
        let inside = format!("{}/", folder.display());
        match Config::load_to_serve(Some(&path), environment) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.to_string().replace(&inside, "").lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn a_missing_certificate_is_told_with_its_line_and_with_all_other_problems() {
        let folder = tempfile::tempdir().unwrap();
        let rest = "prefx = \"/x\"\n[tls]\ncert_file = \"nowhere.pem\"\nkey_file = \"no-key.pem\"\n\
                    [[tls.certificates]]\ncert_file = \"other.pem\"\n\
                    [upstream_tls]\nca_file = \"no-ca.pem\"\n[limits]\nconections = 5\n";
        let variables = Environment::from([("HUGGATE_UPSTREAM_TLS__CERT_FILE", "no-client.pem")]);
        begins(
            &found(folder.path(), rest, &variables),
            &[
                "config.toml:6: prefx: unknown key; did you mean `prefix`?",
                "config.toml:8: tls.cert_file: \"nowhere.pem\" does not exist; it must be a PEM file with the certificate chain",
                "config.toml:9: tls.key_file: \"no-key.pem\" does not exist; it must be a PEM file with the private key",
                "config.toml:10: tls.certificates[0].key_file: is missing; TLS needs",
                "config.toml:11: tls.certificates[0].cert_file: \"other.pem\" does not exist",
                "config.toml:12: upstream_tls.key_file: is missing; a certificate needs its key",
                "config.toml:13: upstream_tls.ca_file: \"no-ca.pem\" does not exist; it must be a PEM file",
                "config.toml:15: limits.conections: unknown key; did you mean `connections`?",
                "HUGGATE_UPSTREAM_TLS__CERT_FILE: upstream_tls.cert_file: \"no-client.pem\" does not exist",
            ],
        );
    }

    #[test]
    fn files_that_do_not_fit_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "one");
        written(folder.path(), "two");
        std::fs::write(folder.path().join("text.pem"), "hello\n").unwrap();
        std::fs::create_dir(folder.path().join("folder.pem")).unwrap();
        let pair = |cert: &str, key: &str| format!("[tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n");
        let none = Environment::default();
        assert_eq!(found(folder.path(), &pair("one.pem", "one-key.pem"), &none), Vec::<String>::new());
        let key = "config.toml:8: tls.key_file: ";
        let cert = "config.toml:7: tls.cert_file: ";
        for (rest, expected) in [
            (
                pair("one.pem", "two-key.pem"),
                vec![format!("{key}\"two-key.pem\" does not belong to the certificate;")],
            ),
            (
                pair("text.pem", "one-key.pem"),
                vec![format!("{cert}\"text.pem\" contains no certificate in PEM;")],
            ),
            (pair("one.pem", "text.pem"), vec![format!("{key}\"text.pem\" contains no private key in PEM;")]),
            (
                pair("one-key.pem", "one.pem"),
                vec![
                    format!("{cert}\"one-key.pem\" contains no certificate in PEM;"),
                    format!("{key}\"one.pem\" contains no private key in PEM;"),
                ],
            ),
            (
                pair("folder.pem", "one-key.pem"),
                vec![format!("{cert}\"folder.pem\" cannot be read: is a directory;")],
            ),
        ] {
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            begins(&found(folder.path(), &rest, &none), &expected);
            // The client certificate for the app, alike.
            let rest = rest.replace("[tls]", "[upstream_tls]");
            let expected: Vec<String> =
                expected.iter().map(|text| text.replace(" tls.", " upstream_tls.")).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            begins(&found(folder.path(), &rest, &none), &expected);
        }
    }

    #[test]
    fn a_syntax_error_and_a_missing_certificate_are_told_together() {
        let folder = tempfile::tempdir().unwrap();
        let rest = "threads = \n[tls]\ncert_file = \"nowhere.pem\"\nkey_file = \"nowhere.pem\"\n";
        begins(
            &found(folder.path(), rest, &Environment::default()),
            &[
                "config.toml: not TOML at line 6, column 11: ",
                "config.toml:8: tls.cert_file: \"nowhere.pem\" does not exist",
                "config.toml:9: tls.key_file: \"nowhere.pem\" does not exist",
            ],
        );
    }

    #[test]
    fn explaining_needs_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let rest = "[tls]\ncert_file = \"nowhere.pem\"\nkey_file = \"nowhere.pem\"\n";
        assert!(!found(folder.path(), rest, &Environment::default()).is_empty());
        assert!(Config::load(Some(&folder.path().join("config.toml")), &Environment::default()).is_ok());
    }
}
