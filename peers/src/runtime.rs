//! Listeners and tokio runtimes of both flavours.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::BACKLOG;
use crate::command::{Options, announce, options, report};

/// One runtime of `--workers` threads that steal work from each other, and one listener.
pub fn multi_thread<F>(serve: fn(TcpListener) -> F) -> ExitCode
where
    F: Future<Output = ()> + Send + 'static,
{
    report(run_multi(options(), serve))
}

fn run_multi<F>(options: Options, serve: fn(TcpListener) -> F) -> std::io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut builder = Builder::new_multi_thread();
    let workers = usize::from(options.workers);
    let runtime = builder.worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(options.listen)?;
        announce(listener.local_addr()?)?;
        // In a task, so that the main thread only waits.
        tokio::spawn(serve(listener))
            .await
            .map_err(std::io::Error::other)
    })
}

/// `--workers` threads with a runtime each, and a listener each (SO_REUSEPORT) where they are several.
pub fn current_thread<F>(serve: fn(TcpListener) -> F) -> ExitCode
where
    F: Future<Output = ()> + 'static,
{
    report(run_current(options(), serve))
}

fn run_current<F>(options: Options, serve: fn(TcpListener) -> F) -> std::io::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    let first = runtime()?;
    let listener = first.block_on(async { listen(options.listen) })?;
    let addr = listener.local_addr()?;
    for _ in 1..options.workers {
        let runtime = runtime()?;
        let listener = runtime.block_on(async { listen(addr) })?;
        std::thread::spawn(move || runtime.block_on(serve(listener)));
    }
    announce(addr)?;
    first.block_on(serve(listener));
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG.into())
}

/// The next connection, without Nagle's delay. Accept errors pass: descriptors become free again.
pub async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => return stream,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
