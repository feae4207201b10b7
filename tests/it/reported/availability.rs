//! Malformed fields, made-up tokens, rotated keys.
