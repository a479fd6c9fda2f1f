//! A load generator that never hides a late answer.
