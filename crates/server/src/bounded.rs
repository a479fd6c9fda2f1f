//! What is decided of a request before the service is called, where flags ask for it: whether its address
//! asks too often, whether it has waited for longer than its client does, and whether enough are in
//! flight.
//!
//! This is a service around the service, made only if one of these flags is set: without them a request
//! meets nothing of it. What is refused is answered at once, on a connection that stays open.
//!
//! A request that is late by the client's own word is answered with 503 and not with 504: the latter says
//! that a server behind this one was too slow, and so that work may have been done. Here none was, and
//! a client that retries does no harm.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use os::signal::monotonic_ns;
use proto::{AsyncReply, AsyncService, Pending, Protocol, Request, Response, Service};

use crate::addresses::Addresses;
use crate::{Board, Listeners, ServeArgs, Variant};

/// The bounds.
pub(crate) struct Bounds {
    /// If requests have a rate by address.
    rates: Option<&'static Addresses>,
    /// Requests in flight; 0: no bound.
    in_flight_max: u64,
    /// Name of the field in which clients say how long they wait, ms.
    deadline_field: Option<String>,
    board: &'static Board,
    /// By worker, its requests in flight, for the process that finds it killed; empty without a
    /// bound.
    in_flight: &'static [AtomicU64],
}

/// The longest deadline that is believed, ms: a day.
const DEADLINE_MS_MAX: u64 = 86_400_000;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its address has no token, for so many ns.
    Rate(u64),
    Late,
    InFlight,
}

/// A request is in flight until this is dropped.
#[derive(Debug)]
struct InFlight {
    board: &'static Board,
    own: &'static AtomicU64,
}

/// Its own number goes first: of a process that is killed in between too many count, and never too few.
impl Drop for InFlight {
    fn drop(&mut self) {
        self.own.fetch_sub(1, Ordering::SeqCst);
        let now = &self.board.refused.now_in_flight;
        now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Refuses flags that could do nothing here.
pub(crate) fn check(args: &ServeArgs, variant: &Variant) -> Result<(), String> {
    let limits = &args.limits;
    let per_address = limits.connections_per_address_max;
    let asked = [
        ("--connections-per-address-max", per_address > 0),
        ("--rate-per-address-max", limits.rate_per_address_max > 0),
        ("--in-flight-max", limits.in_flight_max > 0),
        ("--deadline-header", args.deadline_header.is_some()),
    ];
    let flags: Vec<_> = asked.iter().filter(|(_, is_asked)| *is_asked).collect();
    if let [(flag, _), ..] = flags[..]
        && variant.needs.listeners == Listeners::None
    {
        return Err(format!(
            "{}: a process for each connection knows of no other, so there is no {flag}",
            variant.name
        ));
    }
    let of_http = flags.iter().find(|(flag, _)| *flag != asked[0].0);
    match of_http {
        Some((flag, _)) if args.protocol != Protocol::Http => Err(format!(
            "{flag} is for HTTP: the line protocol has no status"
        )),
        _ => Ok(()),
    }
}

impl Bounds {
    /// Those that the flags ask for, and room for a number of each of so many workers.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(
        args: &ServeArgs,
        addresses: Option<&'static Addresses>,
        board: &'static Board,
        workers: usize,
    ) -> Result<Bounds, os::Errno> {
        Ok(Bounds {
            rates: addresses.filter(|_| args.limits.rate_per_address_max > 0),
            in_flight_max: args.limits.in_flight_max,
            deadline_field: args.deadline_header.clone(),
            board,
            in_flight: match args.limits.in_flight_max {
                0 => &[],
                _ => os::shared::words(workers)?,
            },
        })
    }

    /// By worker, its requests in flight; empty without a bound.
    pub(crate) fn in_flight(&self) -> &'static [AtomicU64] {
        self.in_flight
    }

    fn is_any(&self) -> bool {
        self.rates.is_some() || self.in_flight_max > 0 || self.deadline_field.is_some()
    }

    /// Whether a request is served.
    fn admit(&self, request: &Request<'_>) -> Result<Option<InFlight>, Why> {
        let refused = &self.board.refused;
        if let (Some(rates), Some(peer)) = (self.rates, request.peer().ip())
            && let Err(missing_ns) = rates.take(peer, monotonic_ns())
        {
            refused.rate.fetch_add(1, Ordering::Relaxed);
            return Err(Why::Rate(missing_ns));
        }
        if let Some(field) = &self.deadline_field
            && let Some(value) = request.field(field)
        {
            match deadline(value) {
                None => drop(refused.nonsense.fetch_add(1, Ordering::Relaxed)),
                Some(time) if Instant::now() >= request.arrived() + time => {
                    refused.late.fetch_add(1, Ordering::Relaxed);
                    return Err(Why::Late);
                }
                Some(_) => {}
            }
        }
        if self.in_flight_max == 0 {
            return Ok(None);
        }
        if refused.now_in_flight.fetch_add(1, Ordering::SeqCst) >= self.in_flight_max {
            refused.now_in_flight.fetch_sub(1, Ordering::SeqCst);
            refused.in_flight.fetch_add(1, Ordering::Relaxed);
            return Err(Why::InFlight);
        }
        let own = &self.in_flight[request.place.worker as usize];
        own.fetch_add(1, Ordering::SeqCst);
        Ok(Some(InFlight {
            board: self.board,
            own,
        }))
    }
}

/// How long a client waits: a number of ms, from 1 to a day. `None`: the value is no such thing.
fn deadline(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let ms = digits.parse().ok().filter(|_| is_number)?;
    (1..=DEADLINE_MS_MAX)
        .contains(&ms)
        .then(|| Duration::from_millis(ms))
}

impl Why {
    fn answer(self, response: &mut Response<'_>) {
        let (status, seconds, why) = match self {
            Why::Rate(ns) => (
                429,
                ns.div_ceil(1_000_000_000).max(1),
                "too many requests from this address\n",
            ),
            Why::Late => (503, 1, "the deadline of this request has passed\n"),
            Why::InFlight => (503, 1, "too many requests in flight\n"),
        };
        response
            .status(status)
            .field("Retry-After", &seconds.to_string())
            .content_type("text/plain")
            .body(why.as_bytes());
    }
}

/// A service within bounds.
struct Bounded {
    service: &'static dyn Service,
    bounds: &'static Bounds,
}

/// The service as it is to be called.
pub(crate) fn within(service: &'static dyn Service, bounds: Bounds) -> &'static dyn Service {
    if !bounds.is_any() {
        return service;
    }
    let bounds = Box::leak(Box::new(bounds));
    Box::leak(Box::new(Bounded { service, bounds }))
}

#[deny(clippy::missing_trait_methods)] // What it does not pass on is lost.
impl Service for Bounded {
    proto::pass_on!(service: nature, has_slow_requests, memory, lifecycle, intake, awaits, receives);

    fn call(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match self.bounds.admit(request) {
            Ok(in_flight) => {
                self.service.call(request, response);
                if let Some(in_flight) = in_flight
                    && response.is_delayed()
                {
                    response.hold(Box::new(in_flight));
                }
            }
            Err(why) => why.answer(response),
        }
    }

    fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
        let service = self.service.asynchronous()?;
        Some(Arc::new(BoundedAsync {
            service,
            bounds: self.bounds,
        }))
    }
}

/// The same for workers that can await.
struct BoundedAsync {
    service: Arc<dyn AsyncService>,
    bounds: &'static Bounds,
}

impl AsyncService for BoundedAsync {
    fn call(&self, request: &Request<'_>) -> Pending {
        match self.bounds.admit(request) {
            Ok(None) => self.service.call(request),
            Ok(Some(in_flight)) => Box::pin(Flying {
                pending: self.service.call(request),
                in_flight: Some(in_flight),
            }),
            Err(why) => Box::pin(why),
        }
    }
}

/// A reply that is awaited, and in flight until it is there.
struct Flying {
    pending: Pending,
    in_flight: Option<InFlight>,
}

impl AsyncReply for Flying {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.pending.as_mut().poll(cx));
        self.in_flight = None;
        Poll::Ready(())
    }

    fn fill(mut self: Pin<&mut Self>, response: &mut Response<'_>) {
        self.pending.as_mut().fill(response);
    }
}

impl AsyncReply for Why {
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn fill(self: Pin<&mut Self>, response: &mut Response<'_>) {
        self.answer(response);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::SystemTime;

    use proto::{Fill, Limits, Place, Scratch, Session, Turn, pending};

    use super::*;

    /// Answers after an await.
    struct Awaits;

    impl Service for Awaits {
        fn call(&self, _: &Request<'_>, _: &mut Response<'_>) {
            unreachable!("it is awaited")
        }

        fn asynchronous(&self) -> Option<Arc<dyn AsyncService>> {
            Some(Arc::new(Awaits))
        }
    }

    impl AsyncService for Awaits {
        fn call(&self, _: &Request<'_>) -> Pending {
            let fill: Fill = Box::new(|response| {
                response.status(204);
            });
            pending(async move { fill })
        }
    }

    /// Begins to answer a request with `service`.
    fn begin(service: &dyn AsyncService) -> Pending {
        let mut scratch = Scratch::new(SystemTime::now);
        let mut turn = Turn {
            now: Instant::now(),
            limits: &Limits::default(),
            service: &Awaits,
            scratch: &mut scratch,
            place: &Place::default(),
            draining: &AtomicU64::new(0),
        };
        let mut session = Session::staged(Protocol::Http, &turn);
        session.receive(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", &mut turn);
        let begun = session.request(&turn, |request| service.call(request));
        begun.expect("a request of HTTP")
    }

    #[test]
    fn what_is_awaited_is_in_flight_until_it_is_there() {
        let (board, _) = os::shared::with_header::<Board, ()>(0).unwrap();
        let bounds = Bounds {
            rates: None,
            in_flight_max: 1,
            deadline_field: None,
            board,
            in_flight: os::shared::words(1).unwrap(),
        };
        let own = &bounds.in_flight[0];
        let service = within(&Awaits, bounds).asynchronous().unwrap();
        let in_flight = || {
            let all = board.refused.now_in_flight.load(Ordering::SeqCst);
            assert_eq!(all, own.load(Ordering::SeqCst));
            all
        };
        let mut first = begin(&*service);
        let mut second = begin(&*service);
        assert_eq!(in_flight(), 1);
        assert_eq!(board.refused.in_flight.load(Ordering::SeqCst), 1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_ready(), "a refusal");
        assert_eq!(in_flight(), 1);
        assert!(first.as_mut().poll(&mut context).is_ready());
        assert_eq!(in_flight(), 0);
        // It is dropped without being awaited.
        drop(begin(&*service));
        assert_eq!(in_flight(), 0);
        std::mem::forget(begin(&*service));
        assert_eq!(in_flight(), 1);
        board.refused.forget(own);
        assert_eq!(in_flight(), 0);
    }

    #[test]
    fn deadlines_are_whole_numbers_of_milliseconds() {
        let ms = |value: &str| deadline(value.as_bytes()).map(|time| time.as_millis());
        assert_eq!(ms("1"), Some(1));
        assert_eq!(ms("86400000"), Some(86_400_000));
        for nonsense in [
            "",
            "0",
            "-1",
            "+1",
            "1.5",
            "1s",
            " 1",
            "1e3",
            "86400001",
            "99999999999999999999",
            "ä",
        ] {
            assert_eq!(ms(nonsense), None, "{nonsense:?}");
        }
    }
}
