//! The type of a hook.

use std::pin::Pin;
use std::sync::Arc;

/// Any error of a hook; `?` makes it from others. It is logged, and shown to nobody.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A hook, whatever the types of its closure and its future are.
pub(crate) type Hook<I, O> = Arc<dyn Fn(I) -> BoxFuture<Result<O, HookError>> + Send + Sync>;

pub(super) fn boxed<I, O, Fut>(hook: impl Fn(I) -> Fut + Send + Sync + 'static) -> Hook<I, O>
where
    Fut: Future<Output = Result<O, HookError>> + Send + 'static,
{
    Arc::new(move |input| Box::pin(hook(input)))
}
