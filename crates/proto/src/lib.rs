//! One connection's protocol state, without a socket, a clock or a thread.
