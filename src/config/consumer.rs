//! The consumer of a configuration.

/// The proxy needs an upstream, the layer does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    /// The proxy, which is about to serve: certificates and keys are loaded to check them.
    #[cfg(feature = "proxy")]
    Serving,
    /// The proxy's settings alone, as for `explain`.
    Proxy,
    Layer,
}
