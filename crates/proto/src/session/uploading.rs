//! Bodies that the service receives inside its call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::answer::{self, request};
use crate::head::Head;
use crate::intake::{Filled, Taking};
use crate::response::{self, Reply};
use crate::telling::{self, Outcome};
use crate::upload::{Begun, Ended, Failed, Framing, Upload};
use crate::{Method, Response, Turn};

use super::{Phase, Session};

impl Session {
    /// Wants the service to be called for the head in `parked`. What is unsent goes out before that.
    #[cold]
    pub(super) fn begin_upload(&mut self, begun: Begun, head_bytes: usize, turn: &Turn<'_>) {
        let taking = Taking {
            sink: None,
            bytes_max: begun.bytes_max,
            upload: Some(begun),
            framing: Framing::Length { left: 0 },
            head_bytes,
            since_deadline: 0,
            full: None,
        };
        self.phase = Phase::Compute {
            body_bytes: 0,
            since: turn.now,
            taken: Some(Box::new(taking)),
        };
    }

    /// Has the service answer a request whose body it receives, which may take long: the time is read again.
    #[cold]
    #[inline(never)]
    pub(super) fn serve_upload(
        &mut self,
        head: &Head<'_, '_>,
        begun: Begun,
        received: Instant,
        turn: &mut Turn<'_>,
    ) {
        let Some(transport) = turn.scratch.transport() else {
            // It was begun by a worker that lets services receive, and moved to one that does not.
            self.cut_short = true;
            return self.refuse(500, turn);
        };
        let raw = std::mem::take(&mut self.pending);
        let upload = Upload::new(
            begun,
            raw,
            (transport, self.peer_lookup.socket()),
            turn.limits,
        );
        let filled = Filled::receiving(upload.share());
        let observed = turn.scratch.observer.is_some();
        if observed {
            telling::begin(received, turn);
        }
        let start = turn.scratch.buffers.output.len();
        let request = request(head, b"", Some(&filled), self.origin(received), turn);
        let (service, draining, worker) = (turn.service, turn.draining, turn.place.worker);
        let called = catch_unwind(AssertUnwindSafe(|| {
            let mut response = Response::new(&mut turn.scratch.buffers);
            service.call(&request, &mut response);
            let ended = upload.end(worker);
            let now = transport.now();
            let is_draining = draining.load(Ordering::SeqCst) != 0;
            let reply = Reply {
                persistent: head.persistent && ended.is_complete && !is_draining,
                minor_version: head.minor_version,
                head: head.method == Method::Head,
            };
            let outcome = (response.status_code(), response.body_bytes());
            (response.finish(now, &reply), outcome, ended)
        }));
        turn.now = transport.now();
        turn.scratch.served += 1;
        let Ok((answer, (status, bytes), ended)) = called else {
            answer::failed(&request, observed, turn);
            upload.end(worker);
            self.cut_short = true;
            return self.settle(None, start, turn);
        };
        let has_body = answer::reply_has_body(head.method, status);
        let mut outcome = Outcome {
            status,
            body_bytes: if has_body { bytes } else { 0 },
            received,
            wait: answer.wait.unwrap_or_default(),
        };
        if let Some(Failed::Refused(status)) = ended.failed {
            outcome.status = status;
            outcome.body_bytes = crate::status::explanation(status).len() as u64;
        }
        if observed {
            telling::report(Some(&request), request.known_ip(), outcome, turn);
        }
        let Ended {
            is_complete,
            mut rest,
            failed,
        } = ended;
        self.cut_short = !is_complete;
        match failed {
            None if is_complete => {
                self.pending = rest;
                self.settle(Some(answer), start, turn);
            }
            None => {
                turn.return_buffer(&mut rest);
                self.settle(Some(answer), start, turn);
            }
            Some(failed) => {
                drop(answer);
                turn.return_buffer(&mut rest);
                turn.scratch.buffers.output.truncate(start);
                turn.scratch.buffers.held = None;
                self.give_up(failed, turn);
            }
        }
    }

    /// The body has not come whole: what the service has answered is not sent.
    fn give_up(&mut self, failed: Failed, turn: &mut Turn<'_>) {
        match failed {
            Failed::Refused(status) => {
                // It was served, and was counted so.
                turn.scratch.refused += 1;
                response::write_error(status, turn.now, &mut turn.scratch.buffers);
                self.finish(true, turn);
            }
            Failed::Lost => self.finish(false, turn),
        }
    }
}
