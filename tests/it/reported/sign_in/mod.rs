//! A sign-in from any number of tabs, behind any front.

// Tabs, long addresses, other browsers.
mod tabs;

// What our cookies and heads take, of what servers in front accept.
mod budget;

// Two gates on one host.
mod ports;

// What a trusted proxy says of the scheme.
mod scheme;

// Clocks that differ.
mod clock;

use huggate::session::StoreSettings;
use huggate::{GateBuilder, Rule, TrustedProxies};

use crate::world::{Answer, Browser};

/// The limit of nginx for the head of an answer (`proxy_buffer_size`).
const HEAD: usize = 4_096;
/// What all our cookies may take in a request.
const COOKIES: usize = 8_000;

fn acme(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
}

fn in_memory(gate: GateBuilder) -> GateBuilder {
    acme(gate).session(|session| session.store = StoreSettings::Memory)
}

/// The cookie store and the memory store.
const STORES: [fn(GateBuilder) -> GateBuilder; 2] = [acme, in_memory];

fn local() -> TrustedProxies {
    TrustedProxies::parse(["127.0.0.0/8"]).unwrap()
}

/// Asserts that a server with default limits passes the answer and the next request.
#[track_caller]
fn fits(answer: &Answer, browser: &Browser<'_>) {
    assert!(answer.head_size() < HEAD, "a head of {} bytes: {answer:?}", answer.head_size());
    let cookies = browser.cookie_line().len() + "cookie: \r\n".len();
    assert!(cookies < COOKIES, "{cookies} bytes of cookies: {:?}", browser.cookies());
}

/// Text that cannot be compressed, from a small generator: the same at every run.
fn noise(length: usize, mut seed: u64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char::from(letters[usize::try_from(seed % 62).unwrap()])
    };
    (0..length).map(letter).collect()
}

/// The address of a dashboard: JSON in a query, `length` bytes in all.
fn explore(length: usize, seed: u64) -> String {
    let mut address = "/explore?form_data=%7B".to_owned();
    while address.len() < length {
        let word = noise(9, seed + address.len() as u64 + 1);
        address.push_str(&format!("%22{word}%22%3A{}%2C", address.len()));
    }
    address.truncate(length);
    // A cut escape would be another address.
    address.trim_end_matches(['%', '2', '3', 'A', 'C']).to_owned()
}
