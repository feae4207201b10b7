//! The illustration on each page: a face over a gate, whose expression fits the page.

/// The expression.
#[derive(Debug, Clone, Copy)]
pub(super) enum Illustration {
    /// For sign-in pages.
    Happy,
    /// For pages after signing out.
    Asleep,
    /// For refusals.
    Sorry,
    /// For errors.
    Puzzled,
}

/// The SVG around `$features`. It is decoration: the heading has the information.
macro_rules! drawing {
    ($features:literal) => {
        concat!(
            r##"<svg class="face" viewBox="0 0 72 72" aria-hidden="true" fill="none" stroke-linecap="round" stroke-linejoin="round">"##,
            r##"<circle cx="36" cy="34" r="27" fill="#ffd23f" stroke="#d99400" stroke-width="2.5"/>"##,
            r##"<g stroke="#4a2c00" stroke-width="3.4">"##,
            $features,
            r##"</g><g fill="#ffb21a" stroke="#d99400" stroke-width="2.5">"##,
            r##"<path d="M4 62c-1-6 1-13 5-14s4 4 4 6c2-3 6-4 8-1 3-1 6 2 4 6-1 6-6 9-11 9s-9-2-10-6z"/>"##,
            r##"<path d="M68 62c1-6-1-13-5-14s-4 4-4 6c-2-3-6-4-8-1-3-1-6 2-4 6 1 6 6 9 11 9s9-2 10-6z"/>"##,
            "</g></svg>\n"
        )
    };
}

impl Illustration {
    /// The inline SVG.
    pub(super) fn svg(self) -> &'static str {
        match self {
            Self::Happy => drawing!(
                r##"<path d="M22 29q4-6 8 0M42 29q4-6 8 0"/><path d="M25 39q11 15 22 0z" fill="#4a2c00"/>"##
            ),
            Self::Asleep => drawing!(r##"<path d="M22 29q4 5 8 0M42 29q4 5 8 0M30 42q6 4 12 0"/>"##),
            Self::Sorry => drawing!(
                r##"<path d="M26 29v2M46 29v2M28 44q8-6 16 0"/><path d="M20 23l7-3M52 23l-7-3" stroke-width="2.6"/>"##
            ),
            Self::Puzzled => drawing!(
                r##"<path d="M26 30v2M46 30v2M28 43q4-4 8 0t8 0"/><path d="M41 22q5-4 10 0" stroke-width="2.6"/>"##
            ),
        }
    }
}

/// The face alone, for buttons.
pub(super) const BUTTON: &str = r##"<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="#4a2c00" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"><circle cx="12" cy="12" r="10.5" fill="#ffd23f" stroke="#d99400" stroke-width="1"/><path d="M6.8 10q1.5-2.4 3 0M14.2 10q1.5-2.4 3 0"/><path d="M7.8 13.6q4.2 6 8.4 0z" fill="#4a2c00"/></svg>"##;

/// The face alone, as favicon. Without one, browsers request `/favicon.ico` from the app, which
/// starts a sign-in.
pub(super) const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%234a2c00' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E%3Ccircle cx='12' cy='12' r='10.5' fill='%23ffd23f' stroke='%23d99400'/%3E%3Cpath d='M6.8 10q1.5-2.4 3 0M14.2 10q1.5-2.4 3 0'/%3E%3Cpath d='M7.8 13.6q4.2 6 8.4 0z' fill='%234a2c00'/%3E%3C/svg%3E";
