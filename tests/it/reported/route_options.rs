//! Route options: `cors`, `assertion`, and the bound of `groups`.
