//! The page on which the code of a device is typed.

use axum::http::StatusCode;
use axum::response::Response;

use super::layout::{escape, page};

/// Where a person types the code a device shows; `wrong` is what did not fit.
pub(crate) fn device(wrong: Option<&str>) -> Response {
    let complaint = wrong.map_or(String::new(), |typed| {
        format!("<p class=\"warning\" role=\"alert\">No device shows the code {}.</p>", escape(typed))
    });
    let body = format!(
        "<h1>Connect a device</h1>{complaint}<form method=\"get\" action=\"/oauth/device\" id=\"device\">\
         <p><label for=\"user_code\">The code it shows</label>\
         <input id=\"user_code\" name=\"user_code\" placeholder=\"XXXX-XXXX\" autocomplete=\"off\" \
         autocapitalize=\"characters\" maxlength=\"20\" required></p>\
         <p class=\"buttons\"><button class=\"main\" id=\"continue\">Continue</button></p></form>"
    );
    page(if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, "Connect a device", &body)
}
