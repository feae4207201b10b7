//! The body of a request to `backchannel_logout`.

/// The maximum size of a request's body.
pub(crate) const MAX_BODY: usize = 16 * 1024;

/// The body of a request.
#[derive(Debug)]
pub(crate) enum LogoutBody {
    Whole(Vec<u8>),
    /// More than [`MAX_BODY`].
    TooLarge,
    /// It did not arrive, or not in time.
    Missing,
}
