//! Rate-limit headers of the provider: `RateLimit` (draft-ietf-httpapi-ratelimit-headers) and
//! `Retry-After` (RFC 9110, section 10.2.3).

use http::header::{HeaderMap, RETRY_AFTER};
use http::{HeaderName, StatusCode};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The provider's windows are five minutes long. A longer pause would be a mistake, or come
/// from something in between.
const MAX: u64 = 300;
/// Pause after a 429 without a time.
const DEFAULT: u64 = 10;

/// The share of a quota that is little: a tenth.
const LITTLE: u64 = 10;

/// What a response says about further requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimit {
    /// Nothing that would limit them.
    Open,
    /// Less than a tenth of the quota is left, for this many seconds.
    Low { seconds: u64 },
    /// It was answered, and the next one would be refused for this many seconds.
    Exhausted { seconds: u64 },
    /// It was refused, and so would be the next one for this many seconds.
    Exceeded { retry_after: u64 },
}

impl RateLimit {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        // A 403 is about one request, whatever else it says.
        let pause = retry_after(status, headers).filter(|_| status != StatusCode::FORBIDDEN);
        match pause {
            Some(retry_after) if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Self::Exceeded { retry_after }
            }
            Some(seconds) => Self::Exhausted { seconds },
            None => low(headers).map_or(Self::Open, |seconds| Self::Low { seconds: seconds.clamp(1, MAX) }),
        }
    }
}

/// `t` of a quota of which little is left: `"api";r=40;t=120`, with `"api";q=500` in the policy.
fn low(headers: &HeaderMap) -> Option<u64> {
    let items = |name| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(','))
    };
    let quota = |item: &str| {
        let name = item.split(';').map(str::trim).find(|part| part.starts_with('"'))?;
        // The provider's policy has a second string before the name.
        let same = |policy: &&str| policy.split(';').any(|part| part.trim() == name);
        items(RATE_LIMIT_POLICY).find(same).and_then(|policy| parameter(policy, "q"))
    };
    let low = items(RATE_LIMIT).filter_map(|item| {
        let is_low = parameter(item, "r")?.saturating_mul(LITTLE) < quota(item)?;
        is_low.then(|| parameter(item, "t").unwrap_or(DEFAULT))
    });
    low.max()
}

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
    if parameter(item, "r")? == 0 { Some(parameter(item, "t").unwrap_or(DEFAULT)) } else { None }
}

fn parameter(item: &str, name: &str) -> Option<u64> {
    let mut parameters = item.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    parameters.find(|(key, _)| *key == name).and_then(|(_, value)| seconds(value))
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
    fn little_is_told_from_enough_by_the_policy() {
        let policy = "\"fixed window\";\"api\";q=500;w=300";
        for (status, limit, policy, expected) in [
            (200, "\"api\";r=50;t=120", policy, RateLimit::Open),
            (200, "\"api\";r=49;t=120", policy, RateLimit::Low { seconds: 120 }),
            (401, "\"api\";r=1;t=86400", policy, RateLimit::Low { seconds: 300 }),
            (200, "\"api\";r=0;t=120", policy, RateLimit::Exhausted { seconds: 120 }),
            (429, "\"api\";r=0;t=120", policy, RateLimit::Exceeded { retry_after: 120 }),
            (403, "\"api\";r=0;t=120", policy, RateLimit::Low { seconds: 120 }),
            (200, "\"api\";r=1;t=120", "\"api\";q=5", RateLimit::Open),
            (200, "\"api\";r=1;t=120", "\"pages\";q=500", RateLimit::Open),
            (200, "\"api\";r=1;t=120", "", RateLimit::Open),
            (200, "garbage;;r==,,\"", "q=;;", RateLimit::Open),
        ] {
            let value = |text| http::HeaderValue::from_static(text);
            let headers =
                HeaderMap::from_iter([(RATE_LIMIT, value(limit)), (RATE_LIMIT_POLICY, value(policy))]);
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(RateLimit::of(status, &headers), expected, "{status} {limit} {policy}");
        }
    }

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
