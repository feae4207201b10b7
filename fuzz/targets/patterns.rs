#![no_main]

//! Whatever somebody writes as the path of a route: it is refused, or the route is
//! for the paths it says.

use huggate::PathPattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(pattern) = PathPattern::parse(text) else { return };
    // What is printed is what would be read again, but for the escapes.
    let printed = pattern.to_string();
    assert!(printed.starts_with('/'), "{text:?} is {printed:?}");
    if let Ok(again) = PathPattern::parse(&printed) {
        assert_eq!(again.to_string(), printed, "{text:?}");
    }
});
