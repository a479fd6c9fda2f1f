//! `examples/cgi/colour` behind `serve --exec`, on every model: those that can wait run it, and the others say
//! that they cannot.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod harness;

use harness::{columns, run};

const COLOUR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cgi/colour");

#[test]
fn the_program_answers_on_every_model_that_can_wait() {
    let mut answered = 0;
    let columns = columns().unwrap();
    for column in columns
        .iter()
        .filter(|column| !column.needs_a_super_server())
    {
        let label = column.label();
        let flags = ["--exec", COLOUR];
        if !column.gateway {
            let exit = run(column.command(&["127.0.0.1:0"], &flags)).unwrap();
            assert_eq!(exit.code, Some(2), "{label}: {exit:?}");
            assert_eq!(exit.stderr.lines().count(), 1, "{label}: {exit:?}");
            continue;
        }
        let server = column.serve(&flags).unwrap();
        for (method, form, status, says) in [
            ("GET", "", 200, "Name a colour."),
            ("POST", "colour=navy", 200, "This is navy."),
            ("POST", "colour=<script>", 400, "a word of small letters"),
            ("POST", "colour=$(id)", 400, "a word of small letters"),
            ("POST", "navy", 400, "a word of small letters"),
            ("DELETE", "", 405, "Only GET and POST."),
        ] {
            let mut client = server.connect().unwrap();
            let length = form.len();
            let fields = format!("Host: t\r\nContent-Length: {length}\r\nConnection: close");
            client
                .send(format!("{method} / HTTP/1.1\r\n{fields}\r\n\r\n{form}"))
                .unwrap();
            let reply = client.reply().unwrap();
            let body = String::from_utf8_lossy(&reply.body);
            assert_eq!(reply.status, status, "{label}: {method} {form}: {body}");
            assert!(body.contains(says), "{label}: {method} {form}: {body}");
            assert!(!body.contains("<script>"), "{label}: {body}");
        }
        answered += 1;
    }
    assert!(answered > 5, "{answered} models can wait");
}
