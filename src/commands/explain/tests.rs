use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;

use super::*;

const CONFIG: &str = r#"
public_url = "https://app.example.com"
upstream = "http://127.0.0.1:7860"
[provider]
client_id = "id"
[session]
secret = "8f3a1c5e7d9b0246813579acefbd0246f1e2d3c4b5a697887766554433221100"
[access]
allow = [{ org = "acme" }, { email_domain = "partner.example" }]
deny = [{ user = "65a000000000000000000009" }]
[[route]]
path = "/public/**"
public = true
[[route]]
path = "/admin/**"
allow = [{ org = "acme", role = "admin" }, { user = "ada" }]
[[route]]
host = "mlflow.example.com"
methods = ["GET", "POST"]
upstream = "http://127.0.0.1:5000"
preflight = true
"#;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// A folder with the configuration above, and further files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("config.toml", CONFIG);
        folder
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The output; paths of the folder's files are shortened to their names.
    fn explain(&self, line: &[&str]) -> Result<String, (u8, String)> {
        let line =
            Line::try_parse_from([&["explain"], line].concat()).map_err(|error| (2, error.to_string()))?;
        let config: PathBuf = self.0.path().join("config.toml");
        let folder = format!("{}/", self.0.path().display());
        run(&line.arguments, Some(&config), &Environment::default())
            .map(|text| text.replace(&folder, ""))
            .map_err(|failure| match failure {
                Failure::Configuration(text) => (2, text.replace(&folder, "")),
                Failure::Run(text) => (1, text.replace(&folder, "")),
            })
    }
}

#[test]
fn explanations_are_printed_as_text() {
    let folder = Folder::new();
    let explain = |line: &[&str]| folder.explain(line).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(
        explain(&["--user", "ben", "--org", "acme:read", "POST", "/admin/users?x=1"]),
        "\
POST https://app.example.com/admin/users
  who       ben, in acme (read)
  route     route[1] /admin/** (config.toml:14)
  decision  refused (403): access.deny[0] may match, and a deny that may match
            refuses access

  unknown   access.deny[0]: the account 65a000000000000000000009
              the rule contains an id, and the id of ben was not given

Say more with --id ID, --org NAME=ID:ROLE or --resource-group ORG/GROUP:ROLE.
"
    );
    let id = ["--id", "65a000000000000000000001"];
    assert_eq!(
        explain(&[&["--user", "ben", "--org", "acme:read", "/admin/users"], &id[..]].concat()),
        "\
GET https://app.example.com/admin/users
  who       ben, in acme (read)
  route     route[1] /admin/** (config.toml:14)
  decision  refused (403): no entry of route[1].allow lets them in

  no        access.deny[0]: the account 65a000000000000000000009
              ben is another account
  no        route[1].allow[0]: a member of acme with the role admin or above
              acme: a member, but the role is read and admin is needed
  no        route[1].allow[1]: the account ada
              ben is another account
"
    );
    assert_eq!(
        explain(&[&["--user", "gus", "--email", "gus@partner.example", "/"], &id[..]].concat()),
        "\
GET https://app.example.com/
  who       gus, gus@partner.example
  route     none: [access] decides
  decision  allowed: access.allow[1] lets them in

  no        access.deny[0]: the account 65a000000000000000000009
              gus is another account
  no        access.allow[0]: a member of acme
              acme: not a member
  yes       access.allow[1]: anybody with a verified e-mail address at
            partner.example
              the e-mail address is gus@partner.example
"
    );
}

#[test]
fn an_ambiguous_path_lists_its_readings() {
    let folder = Folder::new();
    let text = folder.explain(&["/public/..%2f%2e%2e/..;/admin"]).unwrap();
    assert!(text.contains("\n  readings  servers may interpret this path in "), "{text}");
    for end in ["            /public/..%2f%2e%2e/..;/admin, ", "\n            /admin\n"] {
        assert!(text.contains(end), "{text}");
    }
    assert!(text.contains("\n              -> route[0] /public/** (config.toml:11)\n"), "{text}");
    assert!(text.contains("\n              -> route[1] /admin/** (config.toml:14)\n"), "{text}");
    assert!(!text.contains("\n  route "), "no route is chosen: {text}");
    let decision =
        text.split("\n  decision  ").nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let why = "servers interpret the path in different ways, which lead to different decisions";
    assert_eq!(decision, format!("bad request (400): {why}"), "{text}");
    let alike = folder.explain(&["/public/./x"]).unwrap();
    assert!(alike.contains("\n  readings  ") && alike.contains("\n  decision  public: "), "{alike}");
}

#[test]
fn lines_fit_into_80_columns() {
    let folder = Folder::new();
    for line in [
        vec!["/admin/x"],
        vec!["--user", "ben", "--org", "acme", "--org", "65a000000000000000000001", "/admin/x"],
        vec!["https://other.example:8443/x"],
        vec!["https://mlflow.example.com:8443/x"],
        vec!["/oauth2/x"],
        vec!["--preflight", "POST", "https://mlflow.example.com/x"],
        vec!["/a/..;/..%2f%252e/../b\\..\\x;y/%00"],
    ] {
        for shown in folder.explain(&line).unwrap().lines().skip(1) {
            assert!(shown.chars().count() <= 80, "{} wide: {shown}", shown.chars().count());
        }
    }
}

#[test]
fn json_output_has_stable_fields() {
    let folder = Folder::new();
    let json = |line: &[&str]| -> Value {
        serde_json::from_str(&folder.explain(&[&["--json"], line].concat()).unwrap()).unwrap()
    };
    let id = "65a000000000000000000001";
    assert_eq!(
        json(&[
            "--user",
            "ben",
            "--id",
            id,
            "--org",
            "acme:read",
            "--resource-group",
            "acme/gpu-team:write",
            "--pro",
            "GET",
            "/admin?x=1"
        ]),
        serde_json::json!({
            "method": "GET",
            "host": "app.example.com",
            "host_is_known": true,
            "path": "/admin",
            "readings": [{"path": "/admin", "leads_to": "route[1]"}],
            "who": {
                "username": "ben", "id": id, "email": null, "pro": true,
                "orgs": [{
                    "name": "acme", "id": null, "standing": "member", "role": "read",
                    "resource_groups": [{"name": "gpu-team", "id": null, "role": "write"}],
                }],
            },
            "route": {"number": 1, "pattern": "/admin/**", "file": "config.toml", "line": 14},
            "decision": "refuse",
            "why": "no entry of route[1].allow lets them in",
            "rules": [
                {
                    "key": "access.deny[0]", "rule": "the account 65a000000000000000000009",
                    "holds": "no", "because": ["ben is another account"],
                },
                {
                    "key": "route[1].allow[0]", "rule": "a member of acme with the role admin or above",
                    "holds": "no", "because": ["acme: a member, but the role is read and admin is needed"],
                },
                {
                    "key": "route[1].allow[1]", "rule": "the account ada",
                    "holds": "no", "because": ["ben is another account"],
                },
            ],
        })
    );
    let nobody = json(&["https://b.example/x"]);
    assert_eq!((&nobody["who"], &nobody["route"]), (&Value::Null, &Value::Null));
    assert_eq!(nobody["host_is_known"], false);
    assert_eq!(nobody["readings"][0]["leads_to"], "access");
    // Unknown values are null.
    assert_eq!(
        json(&["--user", "ben", "--org", id, "/"])["who"]["orgs"],
        serde_json::json!([
            {"name": null, "id": id, "standing": "member", "role": null, "resource_groups": []}
        ])
    );
}

#[test]
fn invalid_arguments_are_usage_errors() {
    let folder = Folder::new();
    for (line, why) in [
        (vec![], "huggate explain: give a URL, as in: huggate explain GET /admin"),
        (vec!["get", "/x"], "huggate explain: \"get\" is not a method; write it in capitals, GET"),
        (vec!["G T", "/x"], "huggate explain: \"G T\" is not a method, as in: huggate explain GET /admin"),
        (
            vec!["GET", "x"],
            "huggate explain: \"x\" is neither a path, as in \"/admin\", nor an address, as in \"https://app.example.com/admin\"",
        ),
        (
            vec!["--user", "a b", "/x"],
            "huggate explain: --user: \"a b\" is not a username or an id, as in huggingface.co/ada",
        ),
        (
            vec!["--user", "ada", "--org", "acme:Write", "/x"],
            "huggate explain: --org: \"acme:Write\" has no role after the colon; did you mean \"write\"?",
        ),
        (
            vec!["--user", "ada", "--id", "1", "/x"],
            "huggate explain: --id: \"1\" is not an account's id, which is 24 hex digits",
        ),
        (
            vec!["--user", "ada", "--resource-group", "acme", "/x"],
            "huggate explain: --resource-group: \"acme\" is not a resource group, as in \"acme/gpu-team\" or \"acme/gpu-team:write\"",
        ),
        (
            vec!["--user", "ada", "--email", "ada", "/x"],
            "huggate explain: --email: \"ada\" is not an e-mail address; write it like \"ada@example.com\"",
        ),
    ] {
        assert_eq!(folder.explain(&line), Err((2, why.to_owned())));
    }
    for (line, option) in [
        (vec!["--org", "acme", "/x"], "--user"),
        (vec!["--user", "ada", "--cookie", "-", "/x"], "--cookie"),
        (vec!["--cases", "cases.toml", "/x"], "--cases"),
    ] {
        let (status, text) = folder.explain(&line).unwrap_err();
        assert!(status == 2 && text.contains(option), "{text}");
    }
    folder.write("config.toml", &CONFIG.replace("allow =", "alow ="));
    let (status, text) = folder.explain(&["/x"]).unwrap_err();
    assert!(
        status == 2 && text.contains("config.toml:9: access.alow: unknown key; did you mean `allow`?"),
        "{text}"
    );
}

#[test]
fn cookies_never_appear_in_messages() {
    let folder = Folder::new();
    let explain = |path: &str| folder.explain(&["--cookie", path, "/"]);
    let (status, text) = explain("huggate=AbCdEfGh").unwrap_err();
    assert_eq!(status, 1);
    assert!(
        !text.contains("AbCd") && text.contains("other users of this machine can read command lines"),
        "{text}"
    );
    let (_, text) = explain(&folder.write("empty", " \n")).unwrap_err();
    assert!(text.contains("the file is empty"), "{text}");
    for (cookie, nobody) in [
        ("theme=dark", "it contains no session cookie of this configuration"),
        ("__Host-huggate=AbCdEfGh", "the cookie cannot be opened: sealed with another secret"),
        ("AbCdEfGh", "the cookie cannot be opened: sealed with another secret"),
    ] {
        let path = folder.write("cookie", cookie);
        let text = explain(&path).unwrap();
        assert!(text.contains(&format!("\n  who       nobody: {nobody}")), "{text}");
        assert!(text.contains("decision  sign in") && !text.contains("AbCd"), "{text}");
        let document: Value =
            serde_json::from_str(&folder.explain(&["--json", "--cookie-file", &path, "/"]).unwrap()).unwrap();
        let state = if cookie == "theme=dark" { "no_cookie" } else { "does_not_open" };
        assert_eq!((&document["session"]["state"], &document["who"]), (&state.into(), &Value::Null));
    }
}

const CASES: &str = r#"
[people.ben]
id   = "65a000000000000000000001"
orgs = ["acme:read"]

[people.guest]
user  = "gus"
id    = "65a000000000000000000002"
email = "gus@partner.example"

[[case]]
url    = "/public/x"
expect = "public"

[[case]]
url    = "/"
who    = "guest"
expect = "allow"
route  = "access"

[[case]]
method = "POST"
url    = "/admin/users/with-a-name/that-is-rather-long"
who    = "ben"
expect = "refuse"
route  = 1

[[case]]
method    = "POST"
url       = "https://mlflow.example.com/api"
preflight = true
expect    = "public"
route     = "mlflow.example.com/**"

[[case]]
url    = "/public/..%2fadmin"
expect = "bad_request"

[[case]]
url    = "/oauth2/userinfo"
who    = { user = "dan" }
expect = "endpoint"
"#;

#[test]
fn passing_cases_are_printed_as_a_table() {
    let folder = Folder::new();
    let path = folder.write("cases.toml", CASES);
    assert_eq!(
        folder.explain(&["--cases", &path]).unwrap(),
        "\
ok    GET     /public/x                      nobody     public
ok    GET     /                              guest      allow
ok    POST    /admin/users/w…-is-rather-long ben        refuse
ok    (POST)  https://mlflow.example.com/api nobody     public
ok    GET     /public/..%2fadmin             nobody     bad_request
ok    GET     /oauth2/userinfo               dan        endpoint

6 cases, all as expected
"
    );
    let document: Value =
        serde_json::from_str(&folder.explain(&["--json", "--cases", &path]).unwrap()).unwrap();
    assert_eq!((&document["passed"], &document["failed"]), (&6.into(), &0.into()));
    let third = &document["cases"][2];
    assert_eq!(
        (&third["line"], &third["ok"], &third["expect"]),
        (&21.into(), &true.into(), &"refuse".into())
    );
    assert_eq!(third["explanation"]["route"]["number"], 1);
}

#[test]
fn errors_in_a_case_file_name_the_line() {
    let folder = Folder::new();
    for (text, expected) in [
        ("", "cases.toml: case: is missing; write one as [[case]]"),
        ("[case]\nurl = \"/\"", "cases.toml:1: case: must be a list of tables; write each as [[case]]"),
        (
            "[[case]]\nulr = \"/\"\nexpect = \"allow\"",
            "cases.toml:1: case[0].url: is missing; give the URL of the request, as in url = \"/admin\"\ncases.toml:2: case[0].ulr: unknown key; did you mean `url`?",
        ),
        (
            "[[case]]\nurl = \"/\"",
            "cases.toml:1: case[0].expect: is missing; give the expected decision, as in expect = \"allow\"",
        ),
        (
            "[[case]]\nurl = \"x\"\nexpect = \"allowed\"",
            "cases.toml:2: case[0].url: \"x\" is neither a path, as in \"/admin\", nor an address, as in \"https://app.example.com/admin\"\n\
             cases.toml:3: case[0].expect: \"allowed\" is not a decision; write one of allow, public, sign_in, refuse, bad_request, endpoint; did you mean \"allow\"?",
        ),
        (
            "[[case]]\nurl = \"/\"\nmethod = \"get\"\nexpect = \"allow\"",
            "cases.toml:3: case[0].method: \"get\" is not a method; write it in capitals, \"GET\"",
        ),
        (
            "[people.ada]\n[[case]]\nurl = \"/\"\nwho = \"adda\"\nexpect = \"allow\"",
            "cases.toml:4: case[0].who: \"adda\" is not defined in [people]; define it there, or write who = { user = \"adda\" }; did you mean \"ada\"?",
        ),
        (
            "[people.ada]\norg = \"acme\"\n[[case]]\nurl = \"/\"\nexpect = \"allow\"",
            "cases.toml:2: people.ada.org: unknown key; did you mean `orgs`?",
        ),
        (
            "[people.ada]\norgs = [\"acme:Read\"]\n[[case]]\nurl = \"/\"\nwho = \"ada\"\nexpect = \"allow\"",
            "cases.toml:2: people.ada.orgs[0]: \"acme:Read\" has no role after the colon; did you mean \"read\"?",
        ),
        (
            "[people.nobody]\n[[case]]\nurl = \"/\"\nexpect = \"allow\"",
            "cases.toml:1: people.nobody: means that nobody is signed in; use another name",
        ),
        (
            "[people.\"a guest\"]\n[[case]]\nurl = \"/\"\nexpect = \"allow\"",
            "cases.toml:1: people.a guest.user: is missing; give the username, since this name is not one",
        ),
        (
            "[[case]]\nurl = \"/\"\nwho = {}\nexpect = \"allow\"",
            "cases.toml:3: case[0].who.user: is missing; give the username, as in who = { user = \"ada\" }",
        ),
        (
            "[[case]]\nurl = \"/\"\nexpect = \"allow\"\nroute = 3",
            "cases.toml:4: case[0].route: 3 is not the index of a route; the last is route[2]",
        ),
        (
            "[[case]]\nurl = \"/\"\nexpect = \"allow\"\nroute = \"/admn/**\"",
            "cases.toml:4: case[0].route: \"/admn/**\" is not the pattern of a route; write an index, a pattern or \"access\"; did you mean \"/admin/**\"?",
        ),
        (
            "[[case]]\nurl = \"/",
            "cases.toml: not TOML at line 2, column 9: invalid basic string, expected `\"`\n  |\n2 | url = \"/\n  |         ^",
        ),
    ] {
        let path = folder.write("cases.toml", text);
        assert_eq!(folder.explain(&["--cases", &path]), Err((2, expected.to_owned())), "{text}");
    }
    assert_eq!(
        folder.explain(&["--cases", "no/such.toml"]),
        Err((2, "no/such.toml: does not exist".to_owned()))
    );
}
