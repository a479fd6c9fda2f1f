use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const SECOND: u64 = 1_000_000_000;

/// Four workers, which are processes or not, and have so many connections.
fn table(limits: Limits, (processes, holds): (bool, Holds)) -> &'static Addresses {
    Addresses::new(&limits, (processes, holds), 4)
        .unwrap()
        .unwrap()
}

const THREADS: (bool, Holds) = (false, Holds::Many);

fn capped(connections: u64, addresses: usize, workers: (bool, Holds)) -> &'static Addresses {
    let limits = Limits {
        connections_per_address_max: connections,
        addresses_max: addresses,
        ..Limits::default()
    };
    table(limits, workers)
}

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn counted(entered: Entered) -> Counted {
    match entered {
        Entered::Counted(counted) => counted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_made_unless_it_is_asked_for() {
    assert!(
        Addresses::new(&Limits::default(), THREADS, 4)
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let table = capped(2, 64, THREADS);
    let first = counted(table.enter(v4(1), 0, 1));
    assert!(!table.is_full(v4(1)));
    let _second = counted(table.enter(v4(1), 1, 1));
    assert!(table.is_full(v4(1)));
    assert!(matches!(table.enter(v4(1), 2, 1), Entered::Refused));
    let _other = counted(table.enter(v4(2), 2, 1));
    drop(first);
    assert!(!table.is_full(v4(1)));
    counted(table.enter(v4(1), 3, 1));
}

#[test]
fn a_client_of_ipv6_is_its_64() {
    let of = |text: &str| key(text.parse::<Ipv6Addr>().unwrap().into());
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_eq!(of("::ffff:10.0.0.1"), key(v4(1)));
    assert_ne!(of("::1"), key(v4(1)));
    assert_ne!(key(v4(1)), key(v4(2)));
}

#[test]
fn a_full_table_caps_nobody_new_and_keeps_those_it_knows() {
    let table = capped(1, 8, THREADS);
    let known: Vec<_> = (0..8).map(|n| counted(table.enter(v4(n), 0, 1))).collect();
    assert!(matches!(table.enter(v4(8), 0, 1), Entered::Untracked));
    assert!(matches!(table.enter(v4(8), 0, 1), Entered::Untracked));
    assert!(matches!(table.enter(v4(3), 0, 1), Entered::Refused));
    drop(known);
    counted(table.enter(v4(8), 0, 1));
}

#[test]
fn a_worker_process_that_is_killed_gives_back_what_it_had() {
    for holds in [Holds::Workers, Holds::Many] {
        let table = capped(1, 64, (true, holds));
        std::mem::forget(counted(table.enter(v4(1), 1, 1)));
        let _other = counted(table.enter(v4(2), 0, 1));
        assert!(table.is_full(v4(1)));
        table.forget(1);
        assert!(!table.is_full(v4(1)));
        assert!(table.is_full(v4(2)), "that of the other worker");
        table.forget(1);
        assert!(!table.is_full(v4(1)), "nothing is given back twice");
        drop(counted(table.enter(v4(1), 1, 1)));
        table.forget(1);
        assert!(!table.is_full(v4(1)));
    }
}

fn rated(rate: u64, addresses: usize) -> &'static Addresses {
    let limits = Limits {
        rate_per_address_max: rate,
        addresses_max: addresses,
        ..Limits::default()
    };
    table(limits, THREADS)
}

#[test]
fn a_bucket_holds_a_second_and_fills_at_its_rate() {
    let table = rated(10, 64);
    let _connection = counted(table.enter(v4(1), 0, SECOND));
    for _ in 0..10 {
        assert_eq!(table.take(v4(1), SECOND), Ok(()));
    }
    assert_eq!(table.take(v4(1), SECOND), Err(SECOND / 10));
    assert_eq!(table.take(v4(1), SECOND + SECOND / 20), Err(SECOND / 20));
    assert_eq!(table.take(v4(1), SECOND + SECOND / 10), Ok(()));
    assert!(table.take(v4(1), SECOND + SECOND / 10).is_err());
    // However long it was silent, it gets no more than a second's worth.
    for _ in 0..10 {
        assert_eq!(table.take(v4(1), 100 * SECOND), Ok(()));
    }
    assert!(table.take(v4(1), 100 * SECOND).is_err());
}

#[test]
fn who_comes_again_finds_the_bucket_as_it_was() {
    let table = rated(2, 8);
    let connection = counted(table.enter(v4(1), 0, SECOND));
    assert_eq!(table.take(v4(1), SECOND), Ok(()));
    assert_eq!(table.take(v4(1), SECOND), Ok(()));
    drop(connection);
    // Others take all slots but the one that remembers.
    let others: Vec<_> = (2..12).map(|n| table.enter(v4(n), 0, SECOND)).collect();
    let untracked = others
        .iter()
        .filter(|one| matches!(one, Entered::Untracked));
    assert_eq!(untracked.count(), 3);
    let _again = counted(table.enter(v4(1), 0, SECOND));
    assert!(table.take(v4(1), SECOND).is_err());
    // Who is not in the table has no rate.
    for _ in 0..10 {
        assert_eq!(table.take(v4(11), SECOND), Ok(()));
    }
}

#[test]
fn threads_that_come_at_once_share_one_count() {
    for _ in 0..200 {
        let table = capped(3, 8, THREADS);
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|worker| {
                    scope.spawn(move || {
                        let enter = |_| table.enter(v4(7), worker, 1);
                        (0..2).map(enter).collect::<Vec<_>>()
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<Entered>>| thread.join();
            threads
                .into_iter()
                .flat_map(|thread| join(thread).unwrap())
                .collect()
        });
        let counted = all.iter().filter(|one| matches!(one, Entered::Counted(_)));
        assert!((1..=3).contains(&counted.count()), "{all:?}");
        drop(all);
        assert!(!table.is_full(v4(7)));
        assert_eq!(connections(table.place(v4(7)).0, table.place(v4(7)).2), 0);
    }
}
