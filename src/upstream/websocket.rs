//! WebSockets: bytes both ways, of which no more is looked at than where each frame
//! ends.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::stall_detector::StallDetector;
use super::websocket_frames::{self, Frames};
use crate::client::ExtendedConnect;
use crate::gate::Grant;

/// A socket on which little happens needs little memory,
const LITTLE: usize = 1024;
/// and one that fills this much gets this.
const MUCH: usize = 16 * 1024;
/// How long the sides have to answer a close.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a tunnel lives on, and what it ends with.
pub(super) struct TunnelOptions {
    pub(super) grant: Grant,
    pub(super) stop: CancellationToken,
    /// How long nothing may move.
    pub(super) idle: Duration,
    pub(super) _held: Option<ExtendedConnect>,
}

/// A close of ours: its code (RFC 6455, section 7.4.1), and why.
type Close = (u16, &'static str);

const ENDED: Close = (1008, "the session has ended");
const STOPPED: Close = (1001, "the server is going away");

/// Asks both directions to come to an end.
#[derive(Default)]
struct CloseSignal {
    close: OnceLock<Close>,
    begun: CancellationToken,
}

/// Carries bytes between client and app until either is done, the session that
/// the tunnel was allowed by ends, or the process does. In the latter cases both
/// sides are told, at the end of the frame that is under way.
pub(super) async fn run(from_client: OnUpgrade, to_app: OnUpgrade, terms: TunnelOptions) {
    let both = async { tokio::try_join!(from_client, to_app) };
    let (client, app) = match both.await {
        Ok(streams) => streams,
        Err(error) => {
            tracing::debug!(%error, "a tunnel was not set up");
            return;
        }
    };
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_app, mut to_app) = tokio::io::split(TokioIo::new(app));
    let (ending, stall_detector) = (Arc::new(CloseSignal::default()), StallDetector::new());
    let done = {
        let up = carry(&mut from_client, &mut to_app, true, &ending, &stall_detector);
        let down = carry(&mut from_app, &mut to_client, false, &ending, &stall_detector);
        let mut carried = pin!(async { tokio::join!(up, down) });
        let close = tokio::select! {
            _ = &mut carried => None,
            () = terms.grant.ended() => Some(ENDED),
            () = terms.stop.cancelled() => Some(STOPPED),
            () = stall_detector.stalled(terms.idle) => {
                tracing::info!("a tunnel in which nothing moved for timeouts.stream was cut");
                return;
            }
        };
        match close {
            None => true,
            Some(close) => {
                tracing::info!(code = close.0, "a tunnel is closed: {}", close.1);
                let _ = ending.close.set(close);
                ending.begun.cancel();
                tokio::time::timeout(GOODBYE, carried).await.is_ok()
            }
        }
    };
    if done {
        // Each may have closed already.
        let _ =
            tokio::time::timeout(GOODBYE, async { tokio::join!(to_client.shutdown(), to_app.shutdown()) })
                .await;
    }
}

/// One direction, to its end.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    to_app: bool,
    ending: &CloseSignal,
    stall_detector: &StallDetector,
) {
    if let Err(error) = pass(from, to, to_app, ending, stall_detector).await {
        tracing::debug!(%error, "a tunnel broke");
        // The other side is to notice.
        let _ = to.shutdown().await;
    }
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    to_app: bool,
    ending: &CloseSignal,
    stall_detector: &StallDetector,
) -> std::io::Result<()> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; LITTLE];
    // Until the end is asked for, everything passes; then the rest of a frame does.
    loop {
        let read = tokio::select! {
            biased;
            () = ending.begun.cancelled() => break,
            read = from.read(&mut buffer) => read?,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = rest.get(frames.take(rest)..).unwrap_or_default();
        }
        to.write_all(bytes).await?;
        to.flush().await?;
        stall_detector.note();
        if read == buffer.len() && read < MUCH {
            buffer = vec![0; MUCH];
        }
    }
    if frames.is_closed() {
        return Ok(());
    }
    let mut said = false;
    let mut answer = Frames::default();
    let mut left = 0..0;
    loop {
        if !said && frames.at_boundary() {
            let (code, why) = ending.close.get().copied().unwrap_or(STOPPED);
            to.write_all(&websocket_frames::close(code, why, if to_app { Some(mask()) } else { None }))
                .await?;
            to.flush().await?;
            said = true;
        }
        if left.is_empty() {
            left = 0..from.read(&mut buffer).await?;
        }
        let Some(bytes) = buffer.get(left.clone()).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        if said {
            // Nothing more goes on; what comes is looked at for the answer.
            left.start += answer.take(bytes);
            if answer.is_closed() {
                return Ok(());
            }
        } else {
            let taken = frames.take(bytes);
            to.write_all(bytes.get(..taken).unwrap_or_default()).await?;
            to.flush().await?;
            left.start += taken;
            if frames.is_closed() {
                return Ok(());
            }
        }
    }
}

/// What a client must mask its frames with (RFC 6455, section 5.3): nothing that
/// the app could foresee.
fn mask() -> [u8; 4] {
    let mut mask = [0; 4];
    // Without randomness the frame is still one that every server takes.
    let _ = aws_lc_rs::rand::fill(&mut mask);
    mask
}
