//! 500: the layer is applied in a way that cannot work. The message is for the developer.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answer;

/// A requirement cannot be decided; `line` says why, without what the rule names.
pub(crate) fn requirement(line: &'static str) -> Response<Bytes> {
    answer::text(StatusCode::INTERNAL_SERVER_ERROR, line)
}

/// Two different gates are layered around one service.
pub(crate) fn two_gates() -> Response<Bytes> {
    answer::text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "huggate: two different gates are layered around this service; use one Gate::layer\n",
    )
}
