//! Signal-driven: sockets tell of their news, and nobody asks a selector.

use anyhow::{Context, ensure};

use crate::drive::{CONNECTIONS, DATAGRAMS, Driven, REQUESTS};
use crate::trace::Call;

/// The signal of datagrams, which does not queue (`signal(7)`).
const SIGVTALRM: i64 = 26;

/// Every connection is told to send a signal that queues; each request is received after one was
/// taken; nobody waits in a selector. (What cannot send signals, the waker of the drain, is looked at
/// when a wait has brought none.)
///
/// # Errors
/// Somebody learns of news in another way.
pub fn sockets_tell(driven: &Driven) -> anyhow::Result<()> {
    let trace = &driven.trace;
    let mut told = 0;
    let mut fd = None;
    let mut wishes = Vec::new();
    for call in trace.within(driven.ready, driven.served) {
        match call.name.as_str() {
            "accept4" if call.worked() => {
                fd = call.number().map(|number| number.to_string());
                wishes.clear();
            }
            "fcntl" if fd.as_deref() == Some(call.arg(0)) => wishes.push(call),
            "recvfrom" if call.args.contains("\"GET /") => {
                let wished = |what: &str, how: &str| {
                    let mut wishes = wishes.iter();
                    wishes
                        .any(|wish| wish.arg(1) == what && wish.args.contains(how) && wish.worked())
                };
                told += usize::from(wished("F_SETSIG", "") && wished("F_SETFL", "ASYNC"));
            }
            _ => {}
        }
    }
    ensure!(
        told == CONNECTIONS,
        "{told} of {CONNECTIONS} connections were to tell of news by a signal"
    );
    let taken = trace
        .within(driven.warm, driven.done)
        .filter(|call| call.name == "rt_sigtimedwait" && call.worked())
        .count();
    ensure!(
        taken >= REQUESTS,
        "{taken} signals taken for {REQUESTS} requests"
    );
    let all = || trace.within(driven.ready, driven.second);
    let selector = all().find(|call| {
        (call.name.starts_with("epoll") || call.is(&["select", "pselect6", "poll", "ppoll"]))
            && !call.is_check()
    });
    ensure!(selector.is_none(), "somebody asks a selector: {selector:?}");
    let looks = all().filter(|call| call.is_check()).count();
    let in_vain = all().filter(|call| call.name == "rt_sigtimedwait" && !call.worked());
    ensure!(
        looks <= in_vain.count(),
        "{looks} polls, and not each after a wait that brought nothing"
    );
    Ok(())
}

/// Each datagram is received after its signal was taken, and goes back.
///
/// # Errors
/// One was not.
pub fn datagrams_tell(driven: &Driven) -> anyhow::Result<()> {
    let calls: Vec<&Call> = driven.trace.within(driven.done, driven.second).collect();
    for number in 0..DATAGRAMS {
        let text = format!("\"datagram {number}\"");
        let find = |name: &str| {
            let mut calls = calls.iter();
            calls.position(|call| call.name == name && call.args.contains(&text))
        };
        let received = find("recvfrom").with_context(|| format!("nobody receives {text}"))?;
        let sent = find("sendto").with_context(|| format!("nobody echoes {text}"))?;
        let news = calls[..received]
            .iter()
            .rfind(|call| call.name == "rt_sigtimedwait");
        ensure!(
            news.is_some_and(|call| call.number() == Some(SIGVTALRM)) && sent == received + 1,
            "{text} is not received after its signal and sent back: {:?}",
            &calls[received.saturating_sub(2)..=sent.max(received)]
        );
    }
    Ok(())
}
