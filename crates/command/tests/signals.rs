//! What only signal-driven I/O has to show: a queue that overflows, and signals that coalesce.

#![allow(clippy::unwrap_used)] // A test that cannot go on ends.

mod harness;

use std::net::UdpSocket;

use harness::process::{self, Signal};
use harness::{Column, PATIENCE, Server, columns, eventually, ms};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

fn column(label: &str) -> Column {
    let mut all = columns().unwrap().into_iter();
    all.find(|column| column.label() == label).unwrap()
}

/// Does something while the server cannot notice.
fn behind_its_back(server: &Server, act: impl FnOnce()) {
    server.signal(Signal::STOP);
    let stopped = || {
        process::family(server.pid())
            .iter()
            .all(|one| one.state == 'T')
    };
    eventually("it stands still", PATIENCE, stopped).unwrap();
    act();
    server.signal(Signal::CONT);
}

/// With room for eight signals, the news of two hundred connections do not fit: SIGIO says so, and
/// the loop has to look at every one.
#[test]
fn an_overflow_loses_nobody() {
    let mut server = column("signal-driven").serve(&[]).unwrap();
    let pid = Pid::from_raw(server.pid() as i32);
    let few = Rlimit {
        current: Some(8),
        maximum: Some(8),
    };
    prlimit(pid, Resource::Sigpending, few).unwrap();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect().unwrap()).collect();
    for client in &mut clients {
        client.get("/").unwrap().expect(200).unwrap();
    }
    behind_its_back(&server, || {
        for client in &mut clients {
            client.ask("/json").unwrap();
        }
    });
    for client in &mut clients {
        client.reply().unwrap().expect(200).unwrap();
    }
    // New ones are not lost either.
    let mut more = Vec::new();
    behind_its_back(&server, || {
        for _ in 0..50 {
            let mut client = server.connect().unwrap();
            client.ask("/").unwrap();
            more.push(client);
        }
    });
    for client in &mut more {
        client.reply().unwrap().expect(200).unwrap();
    }
    drop((clients, more));
    server.drain(PATIENCE).unwrap();
}

/// UNP section 25.3: datagrams that come while the signal is pending add none, and what one signal's
/// turn has read, the next one's does not find.
#[test]
fn datagrams_share_a_signal() {
    let mut server = column("signal-driven:udp").serve(&[]).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(&server.addrs[0]).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 100];
    // What comes before its loop runs is answered without a signal.
    server
        .connect()
        .unwrap()
        .get("/")
        .unwrap()
        .expect(200)
        .unwrap();
    client.send(b"alone").unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 5);
    behind_its_back(&server, || {
        for _ in 0..7 {
            client.send(b"one of seven").unwrap();
        }
    });
    for _ in 0..7 {
        assert_eq!(client.recv(&mut buffer).unwrap(), 12);
        assert_eq!(&buffer[..12], b"one of seven");
    }
    // HTTP goes on beside it.
    server
        .connect()
        .unwrap()
        .get("/")
        .unwrap()
        .expect(200)
        .unwrap();
    server.signal(Signal::HUP);
    server
        .connect()
        .unwrap()
        .get("/")
        .unwrap()
        .expect(200)
        .unwrap();
    let exit = server.drain(ms(8_000)).unwrap();
    let told: Vec<_> = exit
        .stderr
        .lines()
        .filter(|line| line.contains("datagrams per signal:"))
        .collect();
    assert_eq!(told.len(), 2, "at SIGHUP and at the end: {}", exit.stderr);
    // It may have been stopped in the turn of the first, before it saw that nothing more was there.
    assert!(
        told[1].contains("7: 1") || told[1].contains("8: 1"),
        "seven datagrams are one signal: {}",
        told[1]
    );
}
