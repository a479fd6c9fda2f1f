//! The readiness loop: selector, timer wheel, slots.
