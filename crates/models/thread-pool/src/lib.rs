//! Threads created in advance, fed by a bounded queue.
