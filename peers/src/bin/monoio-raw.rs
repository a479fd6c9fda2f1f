//! monoio with httparse and one constant reply, without `Date`: how little a coroutine server can do
//! on io_uring, with a ring and a listener per worker.
//!
//! The rings are set up as fast programs do it: one thread submits, and the kernel does the rest of
//! the work when that thread waits (`io_uring_setup(2)`). It does not start on Linux before 6.1.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use io_uring::IoUring;
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio::{IoUringDriver, Runtime, RuntimeBuilder};
use peers::BACKLOG;
use peers::command::{Options, announce, options, report};
use peers::raw::{INPUT_BYTES, replies};

fn main() -> std::process::ExitCode {
    report(run(options()))
}

fn run(options: Options) -> io::Result<()> {
    let (started, starts) = mpsc::channel();
    let mut addr = options.listen;
    for _ in 0..options.workers {
        let started = started.clone();
        thread::spawn(move || {
            if let Err(error) = work(addr, &started) {
                let _ = started.send(Err(error)); // `run` has returned if nobody hears it.
            }
        });
        // The first worker resolves port 0 for the others.
        addr = starts.recv().map_err(io::Error::other)??;
    }
    announce(addr)?;
    // Workers that have started say no more.
    starts.recv().map_err(io::Error::other)?.map(drop)
}

/// Serves `addr` for ever. `started` hears where; the ring belongs to the thread that makes it.
fn work(addr: SocketAddr, started: &mpsc::Sender<io::Result<SocketAddr>>) -> io::Result<()> {
    ring()?.block_on(async {
        let backlog = ListenerOpts::new().backlog(BACKLOG.into());
        let listener = TcpListener::bind_with_config(addr, &backlog)?;
        let _ = started.send(Ok(listener.local_addr()?)); // `run` waits for it.
        serve(listener).await
    })
}

fn ring() -> io::Result<Runtime<IoUringDriver>> {
    let mut ring = IoUring::builder();
    ring.setup_single_issuer()
        .setup_coop_taskrun()
        .setup_defer_taskrun();
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(ring)
        .build()
}

async fn serve(listener: TcpListener) -> ! {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => {
                monoio::spawn(async move {
                    // A peer's error ends its connection.
                    let _ = answer(stream).await;
                });
            }
            Ok(_) => {}
            // Descriptors become free again. The thread may sleep meanwhile: a runtime with timers
            // would look at them in every turn.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut input = Vec::with_capacity(INPUT_BYTES);
    let mut output = Vec::new();
    loop {
        let filled = input.len();
        let (read, filling) = stream.read(input.slice_mut(filled..)).await;
        input = filling.into_inner();
        if read? == 0 {
            return Ok(()); // FIN, or a head without end.
        }
        let Some((taken, close)) = replies(&input, &mut output) else {
            return Ok(()); // Not HTTP.
        };
        let written;
        (written, output) = stream.write_all(output).await;
        written?;
        output.clear();
        if close {
            return Ok(());
        }
        input.drain(..taken);
    }
}
