//! One process, one client at a time.
