//! Rate-limit headers of the provider: `RateLimit` (draft-ietf-httpapi-ratelimit-headers) and
//! `Retry-After` (RFC 9110, section 10.2.3).

use http::header::{HeaderMap, RETRY_AFTER};
use http::{HeaderName, StatusCode};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The provider's windows are five minutes long. A longer pause would be a mistake, or come
/// from something in between.
const MAX: u64 = 300;
/// Pause after a 429 without a time.
const DEFAULT: u64 = 10;

/// Seconds to wait before the next request. A response that exhausts the quota starts a pause
/// as well, because the next request would be rejected. `Retry-After` counts with each error
/// that may be temporary.
pub(super) fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(RATE_LIMIT).iter().filter_map(|line| line.to_str().ok());
    let exhausted = lines.flat_map(|line| line.split(',')).filter_map(exhausted).max();
    let after = headers.get(RETRY_AFTER).and_then(|after| seconds(after.to_str().ok()?));
    let pause = match status {
        StatusCode::TOO_MANY_REQUESTS => exhausted.max(after).unwrap_or(DEFAULT),
        StatusCode::FORBIDDEN => exhausted.max(after)?,
        status if status.is_server_error() => exhausted.max(after)?,
        _ => exhausted?,
    };
    Some(pause.clamp(1, MAX))
}

/// `t` of an exhausted quota: `"api";r=0;t=120`.
fn exhausted(item: &str) -> Option<u64> {
    let parameter = |name: &str| {
        let mut parameters = item.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
        parameters.find(|(key, _)| *key == name).and_then(|(_, value)| seconds(value))
    };
    if parameter("r")? == 0 { Some(parameter("t").unwrap_or(DEFAULT)) } else { None }
}

/// Parses a number; one that overflows becomes `u64::MAX`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_follows_the_headers_within_bounds() {
        for (status, pairs, expected) in [
            (429, vec![("ratelimit", "\"api\";r=0;t=120")], Some(120)),
            (429, vec![("ratelimit", "\"api\";r=0;t=86400")], Some(300)),
            (429, vec![("ratelimit", "\"api\"; r=0; t=7, \"pages\";r=5;t=99")], Some(7)),
            (429, vec![("ratelimit", "\"api\";r=0;t=7"), ("ratelimit", "\"pages\";r=0;t=9")], Some(9)),
            (429, vec![("ratelimit", "\"api\";r=0")], Some(10)),
            (429, vec![("retry-after", "30")], Some(30)),
            (429, vec![("retry-after", "30"), ("ratelimit", "\"api\";r=0;t=7")], Some(30)),
            (429, vec![("retry-after", "0")], Some(1)),
            (429, vec![("retry-after", "99999999999999999999999")], Some(300)),
            (429, vec![("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], Some(10)),
            (429, vec![("retry-after", "-5")], Some(10)),
            (429, vec![("ratelimit", "garbage;;r==,,\"")], Some(10)),
            (429, vec![], Some(10)),
            (200, vec![("ratelimit", "\"api\";r=0;t=120")], Some(120)),
            (200, vec![("ratelimit", "\"api\";r=1;t=120")], None),
            (200, vec![("retry-after", "30")], None),
            (503, vec![], None),
            (503, vec![("retry-after", "120")], Some(120)),
            (502, vec![("retry-after", "garbage")], None),
            (403, vec![("retry-after", "60")], Some(60)),
            (401, vec![("retry-after", "60")], None),
        ] {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            let headers = headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            assert_eq!(
                retry_after(StatusCode::from_u16(status).unwrap(), &headers),
                expected,
                "{status} {pairs:?}"
            );
        }
    }
}
