//! The example as it runs, on every model of one process.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

#[path = "../../every_model.rs"]
mod every_model;
#[path = "../../started.rs"]
mod started;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use every_model::Column;
use started::Started;

/// A client that reads the events.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    /// Listens to what was said after event `last`.
    fn new(chat: &Started, last: u64) -> Listener {
        let mut stream = TcpStream::connect(chat.addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            stream,
            "GET /events HTTP/1.0\r\nLast-Event-ID: {last}\r\n\r\n"
        )
        .unwrap();
        Listener {
            stream,
            heard: String::new(),
        }
    }

    fn hears(&mut self, event: &str, label: &str) {
        while !self.heard.contains(event) {
            let mut piece = [0; 1_024];
            let bytes = self.stream.read(&mut piece).unwrap();
            assert_ne!(bytes, 0, "{label}: {}", self.heard);
            self.heard += str::from_utf8(&piece[..bytes]).unwrap();
        }
    }

    /// Whether the reply ends here, without another event.
    fn ends(mut self) -> bool {
        self.stream.read_to_string(&mut self.heard).unwrap() == 0
    }
}

fn start(label: &str) -> Started {
    Started::new(env!("CARGO_BIN_EXE_chat"), &["--model", label])
}

#[test]
fn what_is_said_is_heard_until_the_drain() {
    for column in every_model::columns().filter(Column::is_one_process) {
        let label = column.label();
        let chat = start(&label);
        let said = chat.ask("POST /say", "hello");
        assert!(said.starts_with("HTTP/1.1 204 "), "{label}: {said}");
        let missing = chat.ask("GET /", "");
        assert!(missing.starts_with("HTTP/1.1 404 "), "{label}: {missing}");
        let mut listeners = vec![Listener::new(&chat, 0)];
        listeners[0].hears("id: 1\ndata: hello\n\n", &label);
        if column.is_concurrent() {
            // One who joins later is not told what was said before it had listened.
            listeners.push(Listener::new(&chat, 1));
            listeners[1].hears("\r\n\r\n", &label);
            chat.ask("POST /say", "to\nall");
            for listener in &mut listeners {
                listener.hears("id: 2\ndata: to\ndata: all\n\n", &label);
            }
            assert!(!listeners[1].heard.contains("hello"), "{label}");
        }
        chat.drain();
        for listener in listeners {
            assert!(listener.ends(), "{label}");
        }
    }
}

#[test]
fn models_of_several_processes_refuse_it() {
    for column in every_model::columns().filter(|column| !column.is_one_process()) {
        let label = column.label();
        let (code, stderr) = started::refused(env!("CARGO_BIN_EXE_chat"), &["--model", &label]);
        assert_eq!(code, Some(2), "{label}: {stderr}");
        assert!(stderr.contains("multi-reactor"), "{label}: {stderr}");
    }
}
