//! What shares a run's CPUs or its folder: a busy loop, another bench.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};

use report::data::{Trial, Validity};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use schema::{Code, Effect, Figure};

use crate::harness::{Folder, command, env, run, trials};

/// Takes all it can get of one CPU until its standard input ends.
pub fn spin(cpu: usize) -> ExitCode {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("an allowed CPU");
    rustix::thread::set_name(c"busy-loop").expect("a name");
    std::thread::spawn(|| {
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    println!("spinning");
    loop {
        std::hint::spin_loop();
    }
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn first_cpu() -> usize {
    let mask = sched_getaffinity(None).expect("the kernel tells");
    (0..CpuSet::MAX_CPU)
        .find(|&cpu| mask.is_set(cpu))
        .expect("a CPU")
}

pub fn a_busy_loop_on_the_servers_cpu_is_found(folder: &Folder) {
    let mut spinning = Command::new(std::env::current_exe().expect("itself"));
    spinning.args(["spin", &first_cpu().to_string()]);
    let spinning = spinning.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut spinning = Running(spinning.spawn().expect("it runs"));
    let mut said = String::new();
    let output = spinning.0.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut said).expect("a line");
    assert_eq!(said.trim(), "spinning");

    let args = "--size smoke --models single-reactor --scenarios latency,overload \
                --passes measure --out busy --seed 8";
    let output = run(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    let trials = trials(&folder.0.join("busy"));
    for slices in [true, false] {
        let found = |trial: &&Trial| {
            let here = trial.slice.is_some() == slices;
            here && trial.reasons.has(Code::ServerCpusShared)
        };
        let trial = trials.iter().find(found).unwrap_or_else(|| {
            panic!("nobody has seen the loop: {error}");
        });
        assert_eq!(trial.validity, Validity::Invalid, "{trial:?}");
        let worst = |figure| trial.reasons.worst(figure);
        assert_eq!(worst(Figure::ServerCpu), Some(Effect::Invalidates));
        assert_eq!(worst(Figure::Memory), None, "{trial:?}");
    }
    // The process that used most is named.
    if !trials
        .iter()
        .any(|t| t.reasons.text().contains("busy-loop: "))
    {
        println!("the loop's name: skipped, other processes used more of its CPU");
    }
}

pub fn a_folder_has_one_writer_and_two_benches_see_each_other(folder: &Folder) {
    let args = "--size smoke --models single-reactor --scenarios latency,cpu,churn,overload,poison \
                --passes measure --out first --seed 9";
    let mut first = command(folder, args);
    let mut first = Running(first.stderr(Stdio::piped()).spawn().expect("it runs"));
    let mut lines = BufReader::new(first.0.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.starts_with("block 1/1, latency"))));

    let output = run(folder, "--resume first");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("another bench is writing to first")
            && error.trim_end().lines().count() == 1,
        "{error}"
    );
    let args =
        "--size smoke --models single-reactor --scenarios latency --passes measure --out second";
    let output = run(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("Another bench runs on the same CPUs"),
        "{error}"
    );
    let remarks = env(&folder.0.join("second")).remarks.join(" ");
    assert!(remarks.contains("Another bench runs"), "{remarks}");

    let pid = Pid::from_raw(i32::try_from(first.0.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("it runs");
    assert_eq!(first.0.wait().expect("it ends").code(), Some(130));
    // What it has measured is whole, and the folder is free again.
    let kept = trials(&folder.0.join("first"));
    assert!(kept.iter().any(|trial| trial.slice.is_some()));
    let output = run(folder, "--resume first");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(env(&folder.0.join("first")).complete);
}
