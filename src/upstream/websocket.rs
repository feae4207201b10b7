//! Tunnels a WebSocket between client and app.
//!
//! Payloads are not inspected. Only the ends of frames are followed, so that a close
//! frame can be inserted between two of them.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

use super::stall_detector::StallDetector;
use super::websocket_frames::{FrameReader, close_frame};
use crate::client::ExtendedConnect;
use crate::gate::Grant;

/// A tunnel starts with small buffers; one that fills a buffer gets a larger one.
const SMALL_BUFFER: usize = 1024;
const LARGE_BUFFER: usize = 16 * 1024;
/// How long both sides have to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The events that close a tunnel, and the guards that it holds while it is open.
pub(super) struct TunnelOptions {
    pub(super) grant: Grant,
    pub(super) stop: CancellationToken,
    pub(super) idle_timeout: Duration,
    pub(super) _extended_connect: Option<ExtendedConnect>,
}

/// A status code (RFC 6455, section 7.4.1) and a reason.
type CloseReason = (u16, &'static str);

const SESSION_ENDED: CloseReason = (1008, "the session has ended");
const GOING_AWAY: CloseReason = (1001, "the server is going away");

/// Asks both directions to send a close frame.
#[derive(Default)]
struct CloseSignal {
    reason: OnceLock<CloseReason>,
    requested: CancellationToken,
}

/// One direction of a tunnel.
struct Direction<'a> {
    from: ReadHalf<TokioIo<Upgraded>>,
    to: &'a mut WriteHalf<TokioIo<Upgraded>>,
    /// Frames to the app are masked (RFC 6455, section 5.3).
    masks: bool,
    close: &'a CloseSignal,
    stall_detector: &'a StallDetector,
    frames: FrameReader,
    buffer: Vec<u8>,
}

/// Forwards bytes until one side closes, the grant ends, or the process stops. What is
/// forwarded is use of the grant's session, a ping or a pong as any frame.
/// In the last two cases both sides get a close frame after the frame that is being
/// forwarded.
pub(super) async fn tunnel(from_client: OnUpgrade, to_app: OnUpgrade, options: TunnelOptions) {
    let both = async { tokio::try_join!(from_client, to_app) };
    let (client, app) = match both.await {
        Ok(streams) => streams,
        Err(error) => {
            tracing::debug!(%error, "a WebSocket could not be tunnelled: the upgrade failed");
            return;
        }
    };
    let (from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (from_app, mut to_app) = tokio::io::split(TokioIo::new(app));
    let (close, stall_detector) = (Arc::new(CloseSignal::default()), StallDetector::new(options.grant));
    let both_ended = {
        let up = Direction::new(from_client, &mut to_app, true, &close, &stall_detector);
        let down = Direction::new(from_app, &mut to_client, false, &close, &stall_detector);
        let mut forwarded = pin!(async { tokio::join!(up.run(), down.run()) });
        let reason = tokio::select! {
            _ = &mut forwarded => None,
            () = stall_detector.grant().permission_ended() => Some(SESSION_ENDED),
            () = options.stop.cancelled() => Some(GOING_AWAY),
            () = stall_detector.stalled(options.idle_timeout) => {
                tracing::info!("closed a WebSocket that was idle for timeouts.stream");
                return;
            }
        };
        match reason {
            None => true,
            Some(reason) => {
                tracing::info!(code = reason.0, "closing a WebSocket: {}", reason.1);
                let _ = close.reason.set(reason);
                close.requested.cancel();
                tokio::time::timeout(CLOSE_TIMEOUT, forwarded).await.is_ok()
            }
        }
    };
    if both_ended {
        // Either side may have closed its connection already.
        let shutdown = async { tokio::join!(to_client.shutdown(), to_app.shutdown()) };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, shutdown).await;
    }
}

impl<'a> Direction<'a> {
    fn new(
        from: ReadHalf<TokioIo<Upgraded>>,
        to: &'a mut WriteHalf<TokioIo<Upgraded>>,
        masks: bool,
        close: &'a CloseSignal,
        stall_detector: &'a StallDetector,
    ) -> Self {
        let buffer = vec![0; SMALL_BUFFER];
        Self { from, to, masks, close, stall_detector, frames: FrameReader::default(), buffer }
    }

    async fn run(mut self) {
        if let Err(error) = self.forward_and_close().await {
            tracing::debug!(%error, "a WebSocket connection failed");
            // So that the other side learns of it.
            let _ = self.to.shutdown().await;
        }
    }

    async fn forward_and_close(&mut self) -> std::io::Result<()> {
        let ended = self.forward().await?;
        if ended || self.frames.is_closed() { Ok(()) } else { self.finish_with_close_frame().await }
    }

    /// Forwards all bytes; `true` at the end of the stream, `false` once a close frame
    /// is requested.
    async fn forward(&mut self) -> std::io::Result<bool> {
        loop {
            let read = tokio::select! {
                biased;
                () = self.close.requested.cancelled() => return Ok(false),
                read = self.from.read(&mut self.buffer) => read?,
            };
            let bytes = self.buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                self.to.shutdown().await?;
                return Ok(true);
            }
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = rest.get(self.frames.take(rest)..).unwrap_or_default();
            }
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
            self.stall_detector.record_progress();
            if read == self.buffer.len() && read < LARGE_BUFFER {
                self.buffer = vec![0; LARGE_BUFFER];
            }
        }
    }

    /// Forwards the rest of the current frame, sends a close frame, and reads on until
    /// the other side's close frame.
    async fn finish_with_close_frame(&mut self) -> std::io::Result<()> {
        let mut sent = false;
        let mut frames_after_close = FrameReader::default();
        let mut unread = 0..0;
        loop {
            if !sent && self.frames.at_boundary() {
                let (code, reason) = self.close.reason.get().copied().unwrap_or(GOING_AWAY);
                self.to.write_all(&close_frame(code, reason, self.masks.then(random_mask))).await?;
                self.to.flush().await?;
                sent = true;
            }
            if unread.is_empty() {
                unread = 0..self.from.read(&mut self.buffer).await?;
            }
            let bytes = self.buffer.get(unread.clone()).filter(|bytes| !bytes.is_empty());
            let Some(bytes) = bytes else { return Ok(()) };
            if sent {
                // Nothing is forwarded after the close frame.
                unread.start += frames_after_close.take(bytes);
                if frames_after_close.is_closed() {
                    return Ok(());
                }
            } else {
                let taken = self.frames.take(bytes);
                self.to.write_all(bytes.get(..taken).unwrap_or_default()).await?;
                self.to.flush().await?;
                unread.start += taken;
                if self.frames.is_closed() {
                    return Ok(());
                }
            }
        }
    }
}

/// A mask that the app cannot predict (RFC 6455, section 5.3).
fn random_mask() -> [u8; 4] {
    let mut mask = [0; 4];
    // A close frame with a mask of zeros is still valid.
    let _ = aws_lc_rs::rand::fill(&mut mask);
    mask
}
