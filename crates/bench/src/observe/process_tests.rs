use super::*;

fn shell(script: &str) -> (Process, Interrupt) {
    let cpus = CpuList::allowed().expect("the kernel tells");
    let process = Process::spawn(Path::new("/bin/sh"), &["-c", script], &cpus).expect("sh starts");
    (process, Interrupt::watch().expect("handlers"))
}

/// For what must come, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);
/// For what does not come.
const SHORT: Duration = Duration::from_millis(100);

#[test]
fn the_first_line_is_read_and_other_ends_are_told_apart() {
    let (mut p, i) = shell("echo listening on 127.0.0.1:9; exec sleep 60");
    assert_eq!(
        p.first_line("listening on ", LONG, &i).expect("a line"),
        "127.0.0.1:9"
    );
    let kind = |script, within| {
        let (mut p, i) = shell(script);
        p.first_line("listening on ", within, &i)
            .expect_err("no such line")
            .kind()
    };
    assert_eq!(kind("exit 1", LONG), io::ErrorKind::UnexpectedEof);
    assert_eq!(
        kind("echo hello; exec sleep 60", LONG),
        io::ErrorKind::InvalidData
    );
    assert_eq!(kind("exec sleep 60", SHORT), io::ErrorKind::TimedOut);
}

#[test]
fn an_end_is_told_with_code_usage_and_last_words() {
    let (mut p, i) = shell("echo one >&2; echo two >&2; exit 3");
    assert!(p.wait(LONG, &i).expect("poll"));
    let exit = p.exit().expect("reaped");
    assert_eq!(exit.status.code(), Some(3));
    assert!(exit.switches > 0);
    assert_eq!(p.error_line().as_deref(), Some("two"));
    assert_eq!(p.wait_until_gone(), Vec::<u32>::new());
}

#[test]
fn nothing_survives_a_kill_not_even_orphans() {
    // The subshell ends at once and leaves its child to init, in the group of the root.
    let (mut p, i) = shell("trap '' TERM; (sleep 60 &) ; echo ready; while :; do sleep 1; done");
    p.first_line("ready", LONG, &i).expect("a line");
    assert!(tree::members(p.pid()).len() >= 2);
    p.terminate().expect("alive");
    assert!(!p.wait(SHORT, &i).expect("poll"));
    p.kill();
    assert_eq!(p.wait_until_gone(), Vec::<u32>::new());
}
