//! Waits for the head of a response.

use std::pin::{Pin, pin};
use std::time::Duration;

use super::stall_detector::StallDetector;
use crate::gate::{Grant, QUICK};

/// Why the wait is over without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoResponse {
    /// The time has passed; an upload may take any time, as long as it does not stall.
    Stalled,
    PermissionEnded,
}

/// The output of `sending` within `limit`, while `grant` holds. `upload` is the detector
/// of the request body, if there is one.
pub(super) async fn response<T>(
    mut sending: Pin<&mut impl Future<Output = T>>,
    upload: Option<&StallDetector>,
    limit: Duration,
    grant: &Grant,
) -> Result<T, NoResponse> {
    // A quick response needs no more than this timer.
    match tokio::time::timeout(limit.min(QUICK), sending.as_mut()).await {
        Ok(sent) => Ok(sent),
        Err(_) => {
            let limited = async {
                let stalled = async {
                    match upload {
                        None => tokio::time::sleep(limit.saturating_sub(QUICK)).await,
                        Some(upload) => upload.stalled(limit).await,
                    }
                };
                tokio::select! {
                    biased;
                    sent = sending => Ok(sent),
                    () = stalled => Err(NoResponse::Stalled),
                }
            };
            let answered = async { grant.unless_ended(pin!(limited)).await };
            Box::pin(answered).await.unwrap_or(Err(NoResponse::PermissionEnded))
        }
    }
}
