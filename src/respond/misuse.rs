//! 500: the layer is applied in a way that cannot work. The message is for the developer.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answer;

/// Two different gates are layered around one service.
pub(crate) fn two_gates() -> Response<Bytes> {
    answer::text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "huggate: two different gates are layered around this service; use one Gate::layer\n",
    )
}
