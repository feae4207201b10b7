//! The ACL user that the documentation recommends.

use crate::redis_server::RedisServer;

/// The command of the documentation that makes a user.
pub(crate) fn documented_user(password: &str, prefix: &str) -> Vec<String> {
    let page = include_str!("../../docs/explanations/stores.md");
    let start = page.find("ACL SETUSER").unwrap();
    let text = &page[start..];
    let words = text[..text.find("```").unwrap()].split_whitespace();
    words.map(|word| word.replace("PASSWORD", password).replace("huggate:", prefix)).collect()
}

/// Makes the user at each server.
pub(crate) fn add_user(servers: &[RedisServer], user: &[String]) {
    let user: Vec<&str> = user.iter().map(String::as_str).collect();
    for server in servers {
        assert_eq!(server.cli(&user).trim(), "OK");
    }
}
