//! Malformed fields, made-up tokens, rotated keys.

mod made_up_tokens;
mod malformed;
mod revalidation;
mod rotated_keys;
