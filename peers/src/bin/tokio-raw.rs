//! tokio with httparse and one constant reply, without `Date`: how little a coroutine server can do.

use peers::raw::{INPUT_BYTES, replies};
use peers::runtime::accept;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> std::process::ExitCode {
    peers::runtime::current_thread(serve)
}

async fn serve(listener: TcpListener) {
    loop {
        let stream = accept(&listener).await;
        tokio::spawn(async move {
            // A peer's error ends its connection.
            let _ = answer(stream).await;
        });
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut input = vec![0; INPUT_BYTES];
    let mut output = Vec::new();
    let mut filled = 0;
    loop {
        let read = stream.read(&mut input[filled..]).await?;
        if read == 0 {
            return Ok(()); // FIN, or a head without end.
        }
        filled += read;
        let Some((taken, close)) = replies(&input[..filled], &mut output) else {
            return Ok(()); // Not HTTP.
        };
        stream.write_all(&output).await?;
        output.clear();
        if close {
            return Ok(());
        }
        input.copy_within(taken..filled, 0);
        filled -= taken;
    }
}
