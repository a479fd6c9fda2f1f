//! Threads take turns at one handle set.
