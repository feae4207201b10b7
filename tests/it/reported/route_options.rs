//! Route options: `cors`, `assertion`, and the bound of `groups`.

mod assertion;
mod cors;
