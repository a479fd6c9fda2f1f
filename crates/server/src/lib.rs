//! Server, Model, Connection: what every concurrency model shares.
