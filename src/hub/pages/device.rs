//! The page for entering a device's user code.

use axum::http::StatusCode;
use axum::response::Response;

use super::layout::{escape, page};

/// The form for a user code; `wrong` is the code that was not found.
pub(crate) fn device(wrong: Option<&str>) -> Response {
    let complaint = wrong.map_or(String::new(), |typed| {
        format!("<p class=\"warning\" role=\"alert\">There is no device with the code {}. Check the code on your device.</p>", escape(typed))
    });
    let body = format!(
        "<h1>Connect a device</h1>{complaint}<form method=\"get\" action=\"/oauth/device\" id=\"device\">\
         <p><label for=\"user_code\">Code shown on the device</label>\
         <input id=\"user_code\" name=\"user_code\" placeholder=\"XXXX-XXXX\" autocomplete=\"off\" \
         autocapitalize=\"characters\" maxlength=\"20\" required></p>\
         <p class=\"buttons\"><button class=\"main\" id=\"continue\">Continue</button></p></form>"
    );
    page(if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, "Connect a device", &body)
}
