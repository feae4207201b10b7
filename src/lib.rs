//! Sign in with Hugging Face, in front of any web app.

pub mod clock;
