//! Trials, order, validity, accounting and statistics.
