//! A sign-in from any number of tabs, behind any front.
