//! Malformed fields, made-up tokens, rotated keys.

mod malformed;
mod revalidation;
