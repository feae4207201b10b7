//! Sign in with Hugging Face, in front of any web app.

pub mod clock;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the gate and its endpoints come on top of these")
)]
mod pages;
