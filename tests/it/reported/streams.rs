//! Use, idleness and the end of a session, where a stream or a transfer lasts.
