#![no_main]

//! For any text as the path of a route: it is rejected, or the route matches exactly the
//! paths that it describes.

use huggate::PathPattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(pattern) = PathPattern::parse(text) else { return };
    // The displayed form parses to the same pattern, except for escapes.
    let printed = pattern.to_string();
    assert!(printed.starts_with('/'), "{text:?} is {printed:?}");
    if let Ok(again) = PathPattern::parse(&printed) {
        assert_eq!(again.to_string(), printed, "{text:?}");
    }
});
