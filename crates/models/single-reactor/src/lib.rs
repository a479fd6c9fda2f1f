//! One thread, one selector, everything.
