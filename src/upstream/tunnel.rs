//! WebSockets: bytes both ways, nothing parsed.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::gate::Grant;

/// Carries bytes between client and app until either is done, the session that
/// the tunnel was allowed by ends, or the process does.
pub(super) async fn run(from_client: OnUpgrade, to_app: OnUpgrade, grant: Grant, stop: CancellationToken) {
    let both = async { tokio::try_join!(from_client, to_app) };
    let (client, app) = match both.await {
        Ok(streams) => streams,
        Err(error) => {
            tracing::debug!(%error, "a tunnel was not set up");
            return;
        }
    };
    let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
    tokio::select! {
        result = tokio::io::copy_bidirectional(&mut client, &mut app) => {
            if let Err(error) = result {
                tracing::debug!(%error, "a tunnel broke");
            }
        }
        () = grant.ended() => tracing::info!("a tunnel was closed, because its session ended"),
        () = stop.cancelled() => {}
    }
}
