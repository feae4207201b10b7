//! What becomes of a request.

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It passes, whoever sends it.
    Public,
    /// It passes, because of who sends it.
    Allow,
    /// 401, or the way to sign in.
    SignIn,
    /// 403.
    Refuse,
    /// 400: it can be understood in more than one way, or not at all.
    BadRequest,
    /// It is for the gate itself.
    Endpoint,
}

impl Outcome {
    /// The name that scripts and files of cases know it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Allow => "allow",
            Self::SignIn => "sign_in",
            Self::Refuse => "refuse",
            Self::BadRequest => "bad_request",
            Self::Endpoint => "endpoint",
        }
    }
}
