//! Which operation a completion belongs to: the `user_data` of io_uring.
//!
//! ```text
//!   bit 63   62 ... 32         31 ... 0
//!   send?    generation        slot of a connection
//!   0        listener          ACCEPT, LISTENER
//!   0        0                 CANCEL, WATCH
//! ```

/// A cancellation.
pub(super) const CANCEL: u64 = 0xffff_ffff;
/// A poll of a descriptor.
pub(super) const WATCH: u64 = 0xffff_fffe;
/// An accept; the number of the listener is in the high half.
const ACCEPT: u64 = 0xffff_fffd;
/// A poll of a listener, whose number is in the high half.
const LISTENER: u64 = 0xffff_fffc;
/// Slots have numbers below this.
const SLOTS_MAX: u64 = 0xffff_fff0;
/// With a connection's token: its send. Without: its receive.
const SEND: u64 = 1 << 63;

/// What a completion belongs to.
pub(super) enum Operation {
    Cancel,
    Watch,
    Accept { listener: u32 },
    Listener { listener: u32 },
    Send { token: u64 },
    Receive { token: u64 },
}

pub(super) fn operation(data: u64) -> Operation {
    match data & CANCEL {
        CANCEL => Operation::Cancel,
        WATCH => Operation::Watch,
        ACCEPT => Operation::Accept {
            listener: (data >> 32) as u32,
        },
        LISTENER => Operation::Listener {
            listener: (data >> 32) as u32,
        },
        _ => match sent(data) {
            Some(token) => Operation::Send { token },
            None => Operation::Receive { token: data },
        },
    }
}

/// The token of the connection if `data` is of a send.
pub(super) fn sent(data: u64) -> Option<u64> {
    (data & SEND != 0).then_some(data & !SEND)
}

pub(super) fn send(token: u64) -> u64 {
    token | SEND
}

pub(super) fn accept(listener: u32) -> u64 {
    u64::from(listener) << 32 | ACCEPT
}

pub(super) fn listener(listener: u32) -> u64 {
    u64::from(listener) << 32 | LISTENER
}

/// Index of the slot in a table.
pub(super) fn slot(token: u64) -> usize {
    token as u32 as usize
}

pub(super) fn check(token: u64) {
    assert!(
        token & SEND == 0 && token & CANCEL < SLOTS_MAX,
        "a token is 31 bits of generation and a slot"
    );
}
