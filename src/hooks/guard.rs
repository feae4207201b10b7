//! Runs a hook so that neither its panic nor its hanging reaches the gate.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument;

use super::hook::{Hook, HookError};

/// A hook gave no answer. The log has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HookFailed;

/// The answer of `hook`, which runs in a task of its own: its panic ends that task alone,
/// and a client that disconnects does not end it.
///
/// # Errors
/// [`HookFailed`] if it fails, panics, or takes longer than `limit`; logged with `name`.
pub(crate) async fn guarded<I, O>(
    name: &'static str,
    limit: Duration,
    hook: &Hook<I, O>,
    input: I,
) -> Result<O, HookFailed>
where
    I: Send + 'static,
    O: Send + 'static,
{
    let hook = Arc::clone(hook);
    // Bounded twice: in the task, in case that nobody waits for it any more, and here, in case
    // that it does not yield.
    let task = async move { timeout(limit, hook(input)).await };
    let mut task = tokio::spawn(task.in_current_span());
    match timeout(limit, &mut task).await {
        Ok(Ok(Ok(Ok(answer)))) => Ok(answer),
        Ok(Ok(Ok(Err(error)))) => Err(failed(name, &error)),
        Ok(Ok(Err(_))) | Err(_) => {
            task.abort();
            tracing::error!(hook = name, ?limit, "a hook took too long: hook_timeout bounds it");
            Err(HookFailed)
        }
        Ok(Err(error)) => {
            let message = error.try_into_panic().ok();
            let message = message.as_deref().map(panic_message).unwrap_or_default();
            tracing::error!(hook = name, message, "a hook panicked");
            Err(HookFailed)
        }
    }
}

fn failed(name: &'static str, error: &HookError) -> HookFailed {
    tracing::error!(hook = name, %error, "a hook failed");
    HookFailed
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default()
}
