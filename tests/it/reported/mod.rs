//! What users of comparable software reported, and what attacks on this one found: each
//! case with its sisters (the other protocol version, store, direction, spelling).

// Rules bind at once, also for what an old session does not hold.
mod rules;

// Use, idleness and the end of a session, where a stream or a transfer lasts.
mod streams;

// A sign-in from any number of tabs, behind any front.
mod sign_in;

// The connection to the app.
mod upstream;

// The connection of the client.
mod server;

// Malformed fields, made-up tokens, rotated keys.
mod availability;

// Route options that these cases need.
mod route_options;

// Commands and the stand-in.
mod commands;
