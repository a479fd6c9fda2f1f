//! A timer that is a descriptor (`timerfd_create(2)`), exact to what the kernel's clock can do.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::Errno;
use crate::net::timespec;

/// One moment of the monotonic clock, at which the descriptor becomes readable.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// One that is not set.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM: descriptors or memory have run out.
    pub fn new() -> Result<Timer, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        timerfd_create(TimerfdClockId::Monotonic, flags).map(Timer)
    }

    /// Sets it to the moment after `from_now`, in the place of any other. One that has fired and was not
    /// [taken](Timer::take) has not fired then.
    pub fn set(&self, from_now: Duration) {
        // A value of 0 would stop it.
        let value = timespec(Some(from_now.max(Duration::from_nanos(1))));
        let interval = timespec(Some(Duration::ZERO));
        if let Some((it_value, it_interval)) = value.zip(interval) {
            let spec = Itimerspec {
                it_interval,
                it_value,
            };
            // It fails only for values that no Duration makes.
            let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec);
        }
    }

    /// Whether its moment has come since it was set, and this was not asked then.
    pub fn take(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn it_fires_once_and_not_before() {
        let timer = Timer::new().expect("a descriptor");
        assert!(!timer.take(), "it is not set");
        let begun = Instant::now();
        let wait = Duration::from_micros(300);
        timer.set(wait);
        while !timer.take() {}
        assert!(begun.elapsed() >= wait);
        assert!(!timer.take(), "it has fired");
    }

    #[test]
    fn what_is_over_fires_at_once_and_a_new_moment_takes_its_place() {
        let timer = Timer::new().expect("a descriptor");
        timer.set(Duration::ZERO);
        while !timer.take() {}
        timer.set(Duration::ZERO);
        timer.set(Duration::from_secs(3_600));
        assert!(!timer.take());
    }
}
