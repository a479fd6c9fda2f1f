//! The Linux under everything: fork, shared pages, signals, selectors, affinity.
