//! What the program can do, one file or folder for each command.

#[cfg_attr(not(test), expect(dead_code, reason = "the demo command comes on top of it"))]
mod demo_app;
