//! The watchdog of a service manager (`systemd.service(5)`, `WatchdogSec`): the helper says at half the
//! interval that the server is well. It does not while every worker is stuck, so that the manager starts the
//! server anew.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::view::View;
use crate::notify;

/// When the service manager is told next.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// Half the time within which it wants to hear. `None`: it does not.
    every: Option<Duration>,
    /// After how long a call of the service counts as stuck: `--stuck-ms`, or else the whole interval.
    stuck: Duration,
    next: Instant,
}

/// A time that bounds no wait.
const LONG: Duration = Duration::from_secs(3_600);

impl Heartbeat {
    pub(super) fn new(view: &View) -> Heartbeat {
        let interval = view.watchdog;
        Heartbeat {
            every: interval.map(|interval| interval / 2),
            stuck: match view.limits.stuck_ms {
                0 => interval.unwrap_or_default(),
                ms => Duration::from_millis(ms),
            },
            next: Instant::now(),
        }
    }

    /// Tells the service manager if it is time and the server is well. Returns how long it is until the next
    /// time.
    pub(super) fn beat(&mut self, view: &View) -> Duration {
        let Some(every) = self.every else {
            return LONG;
        };
        let now = Instant::now();
        if now >= self.next {
            self.next = now + every;
            // A successor speaks for itself.
            let is_replaced = view.board.handed_over.load(Ordering::SeqCst);
            if !is_replaced && view.longer_than(self.stuck) < view.workers {
                notify::send(format_args!("WATCHDOG=1"));
            }
        }
        self.next.saturating_duration_since(now)
    }
}
