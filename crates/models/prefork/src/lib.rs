//! Children forked in advance, all blocked in accept.
