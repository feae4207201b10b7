//! Who a configuration is read for.

/// Who asks: the program needs an upstream, the layer does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    Proxy,
    Layer,
}
