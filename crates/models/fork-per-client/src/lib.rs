//! A child process for every client.
