//! The states one by one, and then every state that any order of events can lead to.

use std::collections::{HashSet, VecDeque};

use super::*;

const PAUSE: Duration = Duration::from_millis(5);

fn at(listeners: usize, own: Range<usize>, locks: bool) -> Accepting {
    let accepting = Accepting::at(listeners, own, 1, Backoff::new(PAUSE.as_millis() as u64));
    match locks {
        true => accepting.under_lock(),
        false => accepting,
    }
}

fn state(accepting: &Accepting) -> &'static str {
    match (accepting.stage, accepting.obstacle) {
        (Stage::Serving, None) => "open",
        (Stage::Serving, Some(Obstacle::Full)) => "full",
        (Stage::Serving, Some(Obstacle::Paused)) => "paused",
        (Stage::Serving, Some(Obstacle::Locked)) => "locked",
        (Stage::Emptying, None) => "emptying",
        (Stage::Emptying, Some(Obstacle::Full)) => "emptying, full",
        (Stage::Emptying, Some(Obstacle::Paused)) => "emptying, paused",
        (Stage::Emptying, Some(Obstacle::Locked)) => "emptying, locked",
        (Stage::Done, _) => "done",
    }
}

const EVENTS: [&str; 11] = [
    "ready",
    "full",
    "room",
    "freed",
    "short",
    "pause over",
    "lock lost",
    "lock ours",
    "unwatched",
    "drain",
    "cut",
];

/// What `event` makes of `accepting`, whose one listener is empty: what the loop is told to do.
fn on(accepting: &mut Accepting, event: &str) -> String {
    let was_full = accepting.obstacle == Some(Obstacle::Full);
    match event {
        "ready" | "short" => accepting.ready(0),
        "freed" => drop(accepting.freed()),
        "pause over" => accepting.pause_over(),
        "lock lost" | "lock ours" => accepting.lock_tried(event == "lock ours"),
        "unwatched" => accepting.unwatched(0),
        "drain" => accepting.drain(),
        _ => {}
    }
    let has_room = matches!(event, "room" | "freed") || !(was_full || event == "full");
    let phase = match (event, accepting.stage) {
        ("cut", _) => Phase::Cutting,
        (_, Stage::Serving) => Phase::Serving,
        _ => Phase::Draining,
    };
    let mut told = Vec::new();
    loop {
        told.push(match accepting.next(has_room, phase) {
            Next::Watch(_) => "watch",
            Next::Unwatch(_) => "unwatch",
            Next::Accept(index) => {
                let accepted = match event {
                    "short" => Accepted::Pause(PAUSE),
                    _ => Accepted::Empty,
                };
                assert!(accepting.accepted(index, accepted).is_none());
                "accept"
            }
            Next::Pause(_) => "pause",
            Next::ShutDown => "shut down",
            Next::Nothing => return told.join(", "),
        });
    }
}

/// A loop that was told `events`, and does at once what it is told.
fn after(locks: bool, events: &[&str]) -> Accepting {
    let mut accepting = at(1, 0..1, locks);
    on(&mut accepting, "start");
    for event in events {
        let told = on(&mut accepting, event);
        if told.ends_with("unwatch") {
            on(&mut accepting, "unwatched");
        }
    }
    accepting
}

/// Every state and every event. What is not listed changes nothing and asks for nothing.
#[test]
fn the_table_of_transitions() {
    let table = [
        ("open", "ready", "accept", "open"),
        ("open", "full", "unwatch", "full"),
        ("open", "short", "accept, pause, unwatch", "paused"),
        ("open", "lock lost", "unwatch", "locked"),
        ("open", "unwatched", "watch", "open"),
        ("open", "drain", "unwatch", "emptying"),
        ("full", "room", "watch", "open"),
        ("full", "freed", "watch", "open"),
        ("full", "drain", "", "emptying, full"),
        ("paused", "freed", "watch", "open"),
        ("paused", "pause over", "watch", "open"),
        ("paused", "drain", "", "emptying, paused"),
        ("locked", "full", "", "full"),
        ("locked", "lock ours", "watch", "open"),
        ("locked", "drain", "accept, shut down", "done"),
        ("emptying", "full", "", "emptying, full"),
        ("emptying", "unwatched", "accept, shut down", "done"),
        ("emptying, full", "room", "accept, shut down", "done"),
        ("emptying, full", "freed", "accept, shut down", "done"),
        ("emptying, full", "cut", "shut down", "done"),
        ("emptying, paused", "freed", "accept, shut down", "done"),
        (
            "emptying, paused",
            "pause over",
            "accept, shut down",
            "done",
        ),
        ("emptying, paused", "cut", "shut down", "done"),
    ];
    let mut emptying = after(false, &[]);
    on(&mut emptying, "drain"); // It has not said that it watches no more.
    let states = [
        after(false, &[]),
        after(false, &["full"]),
        after(false, &["short"]),
        after(true, &[]),
        emptying,
        after(false, &["full", "drain"]),
        after(false, &["short", "drain"]),
        after(false, &["drain"]),
    ];
    for before in states {
        let from = state(&before);
        for event in EVENTS {
            let mut accepting = before.clone();
            let told = on(&mut accepting, event);
            let row = table.iter().find(|row| (row.0, row.1) == (from, event));
            let expected = row.map_or(("", from), |row| (row.2, row.3));
            assert_eq!((&*told, state(&accepting)), expected, "{from}, {event}");
        }
    }
}

#[test]
fn who_needs_the_lock_tries_for_it_after_every_obstacle() {
    for obstacle in ["full", "short"] {
        let mut accepting = after(true, &["lock ours", obstacle]);
        assert!(!accepting.wants_lock(), "{obstacle}");
        assert_eq!(on(&mut accepting, "freed"), "");
        assert!(state(&accepting) == "locked" && accepting.wants_lock());
    }
}

#[test]
fn what_is_renewed_is_watched_anew() {
    let mut accepting = after(false, &[]);
    accepting.renew(0);
    assert_eq!(on(&mut accepting, ""), "unwatch");
    assert_eq!(on(&mut accepting, "unwatched"), "watch");
    assert_eq!(on(&mut accepting, ""), "");
}

/// How the loop learns that a connection waits at a listener that it watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reports {
    /// It learns so as long as one waits.
    States,
    /// It learns so once when one comes, or is there when the watch begins.
    Changes,
    /// It learns so once, and then it does not watch the listener any more.
    Once,
    /// An operation accepts connections by itself. It ends some time after it was cancelled.
    Completions,
}

impl Reports {
    /// How many connections may wait at a listener: more than one turn takes, if there are turns.
    fn waiting_max(self) -> u8 {
        match self {
            Reports::Completions => 1,
            _ => 2,
        }
    }
}

const LISTENERS: usize = 2;
const CONNECTIONS_MAX: u8 = 1;

/// A loop and its environment.
#[derive(Debug, Clone)]
struct World {
    reports: Reports,
    accepting: Accepting,
    watched: [bool; LISTENERS],
    /// An operation was told to end and has not.
    ending: [bool; LISTENERS],
    /// A change was not reported yet.
    changed: [bool; LISTENERS],
    backlog: [u8; LISTENERS],
    connections: u8,
    /// Descriptors and memory have run out.
    short: bool,
    pausing: bool,
    phase: Phase,
    shut_down: bool,
}

/// What can happen, `usize` being a listener.
#[derive(Debug, Clone, Copy)]
enum Event {
    Comes(usize),
    Report(usize),
    /// A report of a wait that ended before the listener was left alone.
    LateReport(usize),
    OperationEnds(usize),
    Renew(usize),
    TurnBegins,
    ConnectionEnds,
    PauseEnds,
    LockIs {
        ours: bool,
    },
    Short(bool),
    DrainBegins,
    LastPhase,
}

impl World {
    fn new(reports: Reports, locks: bool, own: Range<usize>) -> World {
        let mut world = World {
            reports,
            accepting: at(LISTENERS, own, locks),
            watched: [false; LISTENERS],
            ending: [false; LISTENERS],
            changed: [false; LISTENERS],
            backlog: [0; LISTENERS],
            connections: 0,
            short: false,
            pausing: false,
            phase: Phase::Serving,
            shut_down: false,
        };
        world.act();
        world
    }

    /// Does what the loop is told to do.
    fn act(&mut self) {
        for _ in 0..100 {
            let has_room = self.connections < CONNECTIONS_MAX;
            match self.accepting.next(has_room, self.phase) {
                Next::Watch(index) if self.short => self.accepting.cannot_watch(index),
                Next::Watch(index) => {
                    assert!(!std::mem::replace(&mut self.watched[index], true));
                    self.changed[index] = self.backlog[index] > 0;
                }
                Next::Unwatch(index) if self.reports == Reports::Completions => {
                    assert!(self.watched[index] && !self.ending[index]);
                    self.ending[index] = true;
                }
                Next::Unwatch(index) => {
                    assert!(std::mem::take(&mut self.watched[index]));
                    self.accepting.unwatched(index);
                }
                Next::Accept(index) => {
                    assert!(has_room, "nothing is accepted to be dropped");
                    self.accept(index);
                }
                Next::Pause(_) => self.pausing = true,
                Next::ShutDown => {
                    assert!(self.watched == [false; LISTENERS]);
                    let refused = self.phase < Phase::Cutting && self.backlog != [0; LISTENERS];
                    assert!(!refused, "what waits is accepted first");
                    assert!(!std::mem::replace(&mut self.shut_down, true));
                }
                Next::Nothing => return,
            }
        }
        panic!("it never says that there is nothing to do");
    }

    fn accept(&mut self, index: usize) {
        let accepted = match self.backlog[index] {
            _ if self.short => Accepted::Pause(PAUSE),
            0 => Accepted::Empty,
            _ => {
                self.backlog[index] -= 1;
                self.connections += 1;
                return; // A socket is the loop's affair.
            }
        };
        assert!(self.accepting.accepted(index, accepted).is_none());
    }

    /// Has `event` happen, if it can.
    fn on(&mut self, event: Event) {
        match event {
            Event::Comes(index)
                if self.backlog[index] < self.reports.waiting_max() && !self.shut_down =>
            {
                self.backlog[index] += 1;
                self.changed[index] = self.watched[index];
            }
            Event::Report(index) if self.is_reported(index) => match self.reports {
                Reports::States => self.accepting.ready(index),
                Reports::Changes => {
                    self.changed[index] = false;
                    self.accepting.ready(index);
                }
                Reports::Once => {
                    self.watched[index] = false;
                    self.accepting.unwatched(index);
                    self.accepting.ready(index);
                }
                Reports::Completions => self.accept(index),
            },
            Event::LateReport(index) if self.reports != Reports::Completions => {
                self.accepting.ready(index);
            }
            Event::OperationEnds(index) if std::mem::take(&mut self.ending[index]) => {
                self.watched[index] = false;
                self.accepting.unwatched(index);
            }
            Event::Renew(index) => self.accepting.renew(index),
            Event::TurnBegins if self.reports == Reports::Changes => self.accepting.next_turn(),
            Event::ConnectionEnds if self.connections > 0 => {
                self.connections -= 1;
                self.accepting.freed();
            }
            Event::PauseEnds if std::mem::take(&mut self.pausing) => self.accepting.pause_over(),
            Event::LockIs { ours } if self.accepting.locks => self.accepting.lock_tried(ours),
            Event::Short(short) => self.short = short,
            Event::DrainBegins if self.phase == Phase::Serving => {
                self.phase = Phase::Draining;
                self.accepting.drain();
            }
            Event::LastPhase if self.phase == Phase::Draining => self.phase = Phase::Cutting,
            _ => return,
        }
        self.act();
        self.assert_not_deaf();
    }

    fn is_reported(&self, index: usize) -> bool {
        let has_news = match self.reports {
            Reports::Changes => self.changed[index],
            _ => self.backlog[index] > 0,
        };
        // One more may complete than there is room for: it waits in the loop.
        let has_room = self.reports != Reports::Completions || self.connections <= CONNECTIONS_MAX;
        self.watched[index] && has_news && has_room
    }

    /// Either it watches all its listeners, or an event will come after which it does.
    fn assert_not_deaf(&self) {
        let own = self.accepting.own.clone();
        let will_hear = match self.accepting.obstacle {
            _ if self.accepting.is_done() => self.shut_down,
            Some(Obstacle::Full) => self.connections >= CONNECTIONS_MAX,
            Some(Obstacle::Paused) => self.pausing,
            Some(Obstacle::Locked) => self.accepting.wants_lock(),
            None if self.phase > Phase::Serving => self.ending != [false; LISTENERS],
            None => own.into_iter().all(|index| self.watched[index]),
        };
        assert!(will_hear, "deaf: {self:#?}");
    }

    /// Has everything happen that happens sooner or later: there are descriptors again, pauses
    /// pass, connections end, the lock is free, and connections that wait are reported.
    fn settle(&mut self) {
        self.on(Event::Short(false));
        for _ in 0..20 {
            self.on(Event::PauseEnds);
            self.on(Event::LockIs { ours: true });
            for index in 0..LISTENERS {
                self.on(Event::OperationEnds(index));
                self.on(Event::Report(index));
                self.on(Event::TurnBegins);
                self.on(Event::ConnectionEnds);
                self.on(Event::ConnectionEnds);
            }
        }
    }
}

/// Visits every state that any order of events leads to. In none of them is the server deaf: sooner
/// or later every connection that waits is accepted, and a drain ends.
fn explore(reports: Reports, locks: bool, own: Range<usize>) {
    let mut events = vec![
        Event::TurnBegins,
        Event::ConnectionEnds,
        Event::PauseEnds,
        Event::LockIs { ours: true },
        Event::LockIs { ours: false },
        Event::Short(true),
        Event::Short(false),
        Event::DrainBegins,
        Event::LastPhase,
    ];
    for index in 0..LISTENERS {
        events.extend([
            Event::Comes(index),
            Event::Report(index),
            Event::LateReport(index),
            Event::OperationEnds(index),
            Event::Renew(index),
        ]);
    }
    let first = World::new(reports, locks, own.clone());
    let mut known = HashSet::from([format!("{first:?}")]);
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        let mut settled = world.clone();
        settled.settle();
        let waits = own.clone().any(|index| settled.backlog[index] > 0);
        assert!(settled.shut_down || !waits, "left waiting: {world:#?}");
        assert!(settled.shut_down || settled.phase == Phase::Serving);
        settled.on(Event::DrainBegins);
        settled.settle();
        assert!(settled.shut_down, "drained for ever: {world:#?}");
        for &event in &events {
            let mut next = world.clone();
            next.on(event);
            if known.insert(format!("{next:?}")) {
                queue.push_back(next);
            }
        }
    }
    assert!(known.len() > 100, "{} states", known.len());
}

#[test]
fn with_states_it_is_never_deaf() {
    explore(Reports::States, false, 0..LISTENERS);
}

#[test]
fn with_changes_it_is_never_deaf() {
    explore(Reports::Changes, false, 0..LISTENERS);
}

#[test]
fn with_reports_that_end_the_watch_it_is_never_deaf() {
    explore(Reports::Once, false, 0..LISTENERS);
}

#[test]
fn with_completions_it_is_never_deaf() {
    explore(Reports::Completions, false, 0..LISTENERS);
}

#[test]
fn under_a_lock_it_is_never_deaf() {
    explore(Reports::States, true, 0..LISTENERS);
}

/// In a drain it empties the other's as settled.
#[test]
fn with_a_listener_of_its_own_it_is_never_deaf() {
    explore(Reports::States, false, 1..2);
}
