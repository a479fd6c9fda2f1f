//! Overloads that are told, and what is refused in them, by clocks that the tests set.

use os::net;

use super::*;

const MS: u64 = 1_000_000;

/// One request per ms from `from_ms` on, each delayed by so much. Which of them were late.
fn observe(queue: &QueueDelay, from_ms: u64, delays_ms: &[u64]) -> Vec<bool> {
    let limits = Limits::default();
    let observed = delays_ms.iter().zip(from_ms..);
    observed
        .map(|(delay, at)| queue.observe(Duration::from_millis(*delay), at * MS, &limits))
        .collect()
}

fn is_overloaded(queue: &QueueDelay, at_ms: u64) -> bool {
    queue.is_overloaded(at_ms * MS, &Limits::default())
}

fn refuses(queue: &QueueDelay, waited_ms: u64) -> bool {
    let waited = Waited::exactly(Duration::from_millis(waited_ms));
    queue.refuses(waited, &Limits::default())
}

/// So many requests, of which one had waited for too long.
fn refuse_one_of(number: u64, queue: &QueueDelay) {
    for n in 0..number {
        assert_eq!(refuses(queue, 20 * u64::from(n == 0)), n == 0);
    }
}

/// An overload that has lasted for an interval, in which one of so many requests was refused.
fn refusing_one_of(number: u64) -> QueueDelay {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    for n in 0..200 {
        let is_old = n % number == 0;
        assert_eq!(refuses(&queue, 20 * u64::from(is_old)), is_old);
    }
    observe(&queue, 1_101, &[20; 101]);
    queue
}

#[test]
fn at_first_half_of_the_target_is_the_limit_unless_requests_are_long() {
    let queue = QueueDelay::default();
    assert!(!refuses(&queue, 2) && refuses(&queue, 3));
    (0..100).for_each(|_| queue.took(Duration::from_millis(2)));
    assert!(!refuses(&queue, 3) && refuses(&queue, 5));
    (0..100).for_each(|_| queue.took(Duration::from_millis(200)));
    assert!(!refuses(&queue, 5) && refuses(&queue, 6));
}

#[test]
fn the_limit_is_the_target_less_the_share_that_was_refused() {
    let queue = refusing_one_of(5);
    assert!(!refuses(&queue, 3) && refuses(&queue, 5));
    let queue = refusing_one_of(2);
    assert!(!refuses(&queue, 2) && refuses(&queue, 3));
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    (0..200).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n % 10 > 0)), n % 10 > 0));
    observe(&queue, 1_101, &[20; 101]);
    assert!(!refuses(&queue, 0) && refuses(&queue, 1));
}

#[test]
fn more_that_were_refused_than_asked_leave_the_shortest_limit() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    refuses(&queue, 0);
    while queue.enter() {}
    (0..9).for_each(|_| assert!(!queue.enter()));
    observe(&queue, 1_101, &[20; 101]);
    assert!(is_overloaded(&queue, 1_202));
    assert!(!refuses(&queue, 0) && refuses(&queue, 1));
}

#[test]
fn what_the_kernel_counts_in_ticks_may_be_younger() {
    let tick = net::input_age_step();
    assert!(tick > Duration::ZERO && tick <= Duration::from_millis(10));
    let in_ticks =
        |queue: &QueueDelay, waited| queue.refuses(Waited::in_ticks(waited), &Limits::default());
    let limit = Duration::from_millis(4);
    let queue = refusing_one_of(5);
    assert!(!in_ticks(&queue, limit + tick * 3 / 4));
    assert!(in_ticks(&queue, limit + tick));
    assert!(refuses(&queue, 5), "what is known exactly is not");
}

#[test]
fn a_short_queue_is_left_alone() {
    let queue = QueueDelay::default();
    assert!(!observe(&queue, 1_000, &[5; 1_000]).contains(&true));
    assert!(!is_overloaded(&queue, 2_000));
}

#[test]
fn a_burst_shorter_than_an_interval_is_served_whole() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[0; 50]);
    observe(&queue, 1_050, &[80; 40]);
    observe(&queue, 1_090, &[0; 200]);
    assert!(!is_overloaded(&queue, 1_290));
}

#[test]
fn a_burst_that_is_looked_at_whole_does_not_outweigh_the_rest() {
    let (queue, limits) = (QueueDelay::default(), Limits::default());
    let late = |at_ms: u64, delay_ms| {
        queue.observe(Duration::from_millis(delay_ms), at_ms * MS, &limits);
    };
    (0..64).for_each(|n| late(1_000 + n / 4, 8));
    (1..20).for_each(|n| late(1_015 + 13 * n, 0));
    assert!(!is_overloaded(&queue, 1_120));
    assert!(!is_overloaded(&queue, 1_250));
}

#[test]
fn one_late_request_of_a_server_that_begins_is_no_overload() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[12]);
    observe(&queue, 1_150, &[0]);
    assert!(!is_overloaded(&queue, 1_150));
}

#[test]
fn a_standing_queue_is_an_overload() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    assert!(is_overloaded(&queue, 1_101));
    assert!(!is_overloaded(&queue, 1_500), "nothing was seen since");
}

#[test]
fn an_overload_ends_after_an_interval_without_refusals() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 150]);
    // Of eight requests one has to be refused, and then one of eighty.
    (0..80).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n % 8 == 0)), n % 8 == 0));
    observe(&queue, 1_150, &[0; 100]);
    assert!(is_overloaded(&queue, 1_250), "many were refused");
    (0..80).for_each(|n| assert_eq!(refuses(&queue, 20 * u64::from(n == 0)), n == 0));
    observe(&queue, 1_250, &[0; 150]);
    assert!(!is_overloaded(&queue, 1_400));
}

#[test]
fn where_all_are_refused_and_wait_all_the_same_they_are_served() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    assert!(is_overloaded(&queue, 1_101));
    (0..50).for_each(|_| assert!(refuses(&queue, 20)));
    observe(&queue, 1_101, &[20; 101]);
    assert!(!is_overloaded(&queue, 1_202));
    observe(&queue, 1_202, &[20; 101]);
    assert!(is_overloaded(&queue, 1_303), "they still wait");
}

#[test]
fn one_favoured_worker_of_four_hides_nothing() {
    let queue = QueueDelay::default();
    let delays: Vec<_> = (0..101).map(|n| if n % 4 == 3 { 0 } else { 20 }).collect();
    observe(&queue, 1_000, &delays);
    assert!(is_overloaded(&queue, 1_101));
}

#[test]
fn what_is_received_at_once_hides_none_that_wait_while_they_are_served() {
    let (queue, limits) = (QueueDelay::default(), Limits::default());
    for step in 0..10 {
        let now_ns = (1_000 + 13 * step) * MS;
        for _ in 0..6 {
            queue.observe(Duration::ZERO, now_ns, &limits);
        }
        queue.observe_followed(Duration::from_millis(20), now_ns, &limits);
    }
    assert!(is_overloaded(&queue, 1_117));
}

#[test]
fn a_worker_slower_than_the_interval_is_overloaded_too() {
    let queue = QueueDelay::default();
    for at in [1_000, 2_000, 3_000] {
        observe(&queue, at, &[1_500]);
    }
    assert!(is_overloaded(&queue, 3_000));
}

#[test]
fn what_was_seen_long_ago_is_forgotten() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 20]);
    observe(&queue, 9_000, &[20]);
    assert!(!is_overloaded(&queue, 9_000));
}

#[test]
fn so_many_enter_as_the_window_has_room_for() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    let mut entered = 0;
    while queue.enter() {
        entered += 1;
    }
    assert!((1..=window::AT_FIRST).contains(&entered), "{entered}");
    assert!(!queue.enter());
    queue.window.leave();
    assert!(queue.enter());
}

/// The window after forty of its steps more, in each of which a request in time was followed to its end.
fn window_after(queue: &QueueDelay, from_ms: u64, meanwhile: impl Fn()) -> u32 {
    for step in 0..40 {
        meanwhile();
        let now_ns = (from_ms + 13 * step) * MS;
        queue.observe_followed(Duration::ZERO, now_ns, &Limits::default());
    }
    queue.window.size()
}

#[test]
fn the_window_grows_while_requests_are_in_time_and_keeps_room_for_every_cpu() {
    let queue = QueueDelay::default();
    queue.has_cpus(2);
    observe(&queue, 1_000, &[20; 101]);
    let few_are_old = || refuse_one_of(8, &queue);
    let grown = window_after(&queue, 1_101, few_are_old);
    assert!(grown > 64, "{grown}");
    for step in 0..40 {
        observe(&queue, 1_700 + 13 * step, &[20]);
    }
    assert_eq!(queue.window.size(), 4);
}

#[test]
fn the_window_shrinks_when_many_are_old_though_those_that_begin_are_young() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    let many_are_old = || refuse_one_of(4, &queue);
    assert_eq!(window_after(&queue, 1_101, many_are_old), 1);
}

#[test]
fn where_workers_are_blocked_a_queue_makes_the_window_no_smaller() {
    let queue = QueueDelay::default();
    observe(&queue, 1_000, &[20; 101]);
    let time = Duration::from_millis(10);
    (0..20).for_each(|_| queue.waited_for_cpu(time / 100, time));
    let many_are_old = || refuse_one_of(4, &queue);
    let grown = window_after(&queue, 1_101, many_are_old);
    assert!(grown > 64, "{grown}");
}

#[test]
fn a_call_is_refused_when_it_is_late_or_enough_are_served() {
    let (queue, limits) = (QueueDelay::default(), Limits::default());
    let begin = |waited_ms| {
        let waited = Waited::exactly(Duration::from_millis(waited_ms));
        queue.begin(Some(waited), 1_101 * MS, &limits)
    };
    assert!(begin(20).is_some(), "all is well");
    observe(&queue, 1_000, &[20; 101]);
    assert!(begin(20).is_none(), "late");
    let calls: Vec<_> = std::iter::from_fn(|| begin(0)).collect();
    assert!((1..=window::AT_FIRST as usize).contains(&calls.len()));
    for call in calls {
        assert!(call.is_tracked());
        queue.end(call, &limits);
    }
    assert!(begin(0).is_some(), "there is room again");
}

#[test]
fn one_that_leaves_late_takes_no_room_of_others() {
    let queue = QueueDelay::default();
    queue.window.leave();
    assert_eq!(queue.window.serving(), 0);
}

#[test]
fn while_all_wait_on_average_a_part_of_those_in_time_is_refused_too() {
    let target = Duration::from_millis(5);
    let served_of = |window: &Window| (0..64).filter(|_| window.enter()).count();
    let wait = |window: &Window, delays_ms: &[u64]| {
        for &delay_ms in delays_ms {
            window.saw(Waited::exactly(Duration::from_millis(delay_ms)), target);
        }
        window.adjust(false, target);
    };
    let window = Window::default();
    window.has_cpus(64);
    window.open();
    assert_eq!(served_of(&window), 64);
    window.open();
    // Half of them are young, and the others old.
    wait(&window, &[0, 12]);
    assert_eq!(served_of(&window), 56);
    (0..40).for_each(|_| wait(&window, &[0, 12]));
    window.leave_all();
    assert_eq!(served_of(&window), 8, "an eighth is served all the same");
    (0..20).for_each(|_| wait(&window, &[0, 9]));
    window.leave_all();
    assert_eq!(served_of(&window), 64, "below the target on average");
    // Threads that block do not wait for a CPU: fewer that are served would help none.
    (0..40).for_each(|_| window.waited_for_cpu(Duration::ZERO, Duration::from_millis(9)));
    (0..9).for_each(|_| wait(&window, &[0, 12]));
    window.leave_all();
    assert_eq!(served_of(&window), 64);
}
