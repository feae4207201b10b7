//! The consumer of a configuration.

/// The proxy needs an upstream, the layer does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    Proxy,
    Layer,
}
