//! A reply on its way, in the task that awaits it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::response::Parts;
use http_body::Body;
use pin_project_lite::pin_project;
use server::{AsyncReply, Response};

use super::waiting::COLLECTED_BYTES_MAX;
use crate::http::{
    BoxError, Collected, Frames, Pauses, Reply, fill_whole, is_streamed, refuse, source,
};

pin_project! {
    /// What a handler returns, and then the body of that: collected if it is small, else streamed by the
    /// task, which the body wakes.
    ///
    /// It is written by hand, since an `async` block would hold the handler's future twice.
    pub(super) struct Answering<F, B> {
        #[pin]
        state: State<F, B>,
        is_head: bool,
    }
}

pin_project! {
    #[project = Now]
    enum State<F, B> {
        Handled {
            #[pin]
            handled: F,
        },
        Collected {
            parts: Parts,
            #[pin]
            body: B,
            whole: Collected,
        },
        Streamed {
            reply: Option<Reply>,
        },
        Refused {
            status: u16,
            why: String,
        },
    }
}

impl<F, B> Answering<F, B> {
    pub(super) fn new(handled: F, is_head: bool) -> Answering<F, B> {
        Answering {
            state: State::Handled { handled },
            is_head,
        }
    }

    /// The reply to what is no request of `http`.
    pub(super) fn refused(status: u16) -> Answering<F, B> {
        Answering {
            state: State::Refused {
                status,
                why: "it is no request of http".to_owned(),
            },
            is_head: false,
        }
    }
}

impl<F, B> AsyncReply for Answering<F, B>
where
    F: Future<Output = Result<http::Response<B>, BoxError>> + Send,
    B: Body<Error: Into<BoxError>> + Send + 'static,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Now::Handled { handled } => match ready!(handled.poll(cx)) {
                    Err(error) => failed(&error),
                    Ok(response) => {
                        let (parts, body) = response.into_parts();
                        if is_streamed(&body) {
                            State::Streamed {
                                reply: Some(streamed(parts, body, cx)),
                            }
                        } else {
                            State::Collected {
                                parts,
                                body,
                                whole: Collected::default(),
                            }
                        }
                    }
                },
                Now::Collected { body, whole, .. } => {
                    match ready!(whole.poll_rest(body, COLLECTED_BYTES_MAX, cx)) {
                        Err(error) => failed(&error),
                        Ok(()) => return Poll::Ready(()),
                    }
                }
                Now::Streamed { .. } | Now::Refused { .. } => return Poll::Ready(()),
            };
            state.set(next);
        }
    }

    fn fill(self: Pin<&mut Self>, response: &mut Response<'_>) {
        let this = self.project();
        match this.state.project() {
            Now::Collected { parts, whole, .. } => {
                fill_whole(parts, whole, *this.is_head, response);
            }
            Now::Streamed { reply } => {
                if let Some(reply) = reply.take() {
                    reply.fill(*this.is_head, response);
                }
            }
            Now::Refused { status, why } => refuse(*status, why, response),
            Now::Handled { .. } => unreachable!("it is filled in when it is ready"),
        }
    }
}

#[cold]
fn failed<F, B>(error: &BoxError) -> State<F, B> {
    State::Refused {
        status: 500,
        why: error.to_string(),
    }
}

/// The waker is that of the connection's task, which stays the same.
fn streamed<B>(parts: Parts, body: B, cx: &Context<'_>) -> Reply
where
    B: Body<Error: Into<BoxError>> + Send + 'static,
{
    let frames = Frames::new(body);
    let bytes = frames.body.size_hint().exact();
    let waker = cx.waker().clone();
    let next = move |frames: &mut Frames<B>| frames.poll_next(&mut Context::from_waker(&waker));
    let source = source(frames, &parts, Pauses::UNTIL_WOKEN, next);
    Reply::streamed(parts, bytes, source)
}
