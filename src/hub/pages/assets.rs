//! The style sheet and the avatars.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The style sheet.
const STYLE: &str = include_str!("style.css");

/// `GET /hub.css`.
pub(crate) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// `GET /avatars/…`: a generated avatar, coloured by the id.
pub(crate) async fn avatar(axum::extract::Path(name): axum::extract::Path<String>) -> Response {
    let hue = name.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><circle cx=\"20\" cy=\"20\" r=\"20\" \
         fill=\"hsl({hue} 60% 55%)\"/><circle cx=\"20\" cy=\"16\" r=\"7\" fill=\"#fff\"/>\
         <path d=\"M7 36a13 13 0 0 1 26 0\" fill=\"#fff\"/></svg>"
    );
    ([(CONTENT_TYPE, "image/svg+xml")], picture).into_response()
}
