//! The outcome of a request.

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Allowed for everybody, signed in or not.
    Public,
    /// Allowed for this person.
    Allow,
    /// 401, or a redirect to sign in.
    SignIn,
    /// 403: this person may not enter.
    Refuse,
    /// 400: the request is ambiguous or malformed.
    BadRequest,
    /// The request is for one of the gate's own endpoints.
    Endpoint,
}

impl Outcome {
    /// The name in case files and in the JSON output.
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
