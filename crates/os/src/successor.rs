//! Starting the program again beside the running server, from a handler of a signal.
//!
//! A server with threads must not fork a process that goes on as a server: it would inherit locks that
//! nobody releases. What is forked here makes system calls only (`signal-safety(7)`), and either waits
//! for the successor or executes it. So it is the same for models of threads and of processes. Everything
//! that needs memory (arguments, environment) is prepared when the server starts.

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, waitpid};

use crate::process::{Ended, Pid};

unsafe extern "C" {
    fn _Fork() -> libc::pid_t;
}

/// The variable that names the descriptor on which a successor says that it is ready.
pub const READY_FD: &str = "TURNSTILE_READY_FD";
/// The variable that says how many restarts have led to a successor, itself included.
pub const RESTARTS: &str = "TURNSTILE_RESTARTS";
/// The first descriptor of the `LISTEN_FDS` protocol (`sd_listen_fds(3)`).
pub const FIRST: RawFd = 3;
/// What a successor writes when it is ready.
pub const READY: u8 = b'R';
const NOT_EXECUTED: u8 = b'E';
/// Digits of a process id, with zeros before them.
const DIGITS: usize = 10;

/// The program as it was started, ready to be executed again with descriptors to inherit.
#[derive(Debug)]
pub struct Program {
    path: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Where the id of the process that is executed belongs, in one of the strings of `envp`.
    pid: *mut u8,
    /// What is passed: its first becomes descriptor 3, and so on.
    passed: Vec<RawFd>,
    /// Room for the numbers of copies, one more than is passed.
    copies: Vec<AtomicI32>,
}

// SAFETY: the pointers are to memory that is leaked, and that only a process of one thread writes.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

fn leak(text: Vec<u8>) -> *mut libc::c_char {
    // Neither arguments nor variables hold NUL.
    CString::new(text).unwrap_or_default().into_raw()
}

/// Where the program is that this process was started as: where its name leads now, so that a file which
/// replaces it is found, and not the file that runs.
fn path_of_program() -> Option<PathBuf> {
    let running = std::env::current_exe().ok();
    let name = PathBuf::from(std::env::args_os().next()?);
    let is_it = |path: &Path| {
        let ids = |path: &Path| std::fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
        running
            .as_deref()
            .is_some_and(|running| ids(running) == ids(path))
    };
    let named = match name.components().count() {
        0 => None,
        1 if !name.as_os_str().as_bytes().contains(&b'/') => {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            let mut all = std::env::split_paths(&folders).map(|folder| folder.join(&name));
            all.find(|path| is_it(path))
        }
        _ => std::path::absolute(&name).ok(),
    };
    named.filter(|path| is_it(path)).or(running)
}

impl Program {
    /// This program with its arguments and environment, descriptors with a name each, and the number of
    /// restarts that will have led to it.
    ///
    /// # Errors
    /// It cannot be found out which file it is.
    pub fn new(passed: &[(RawFd, String)], restarts: u32) -> Result<Program, String> {
        let path = path_of_program().ok_or("its own file cannot be found")?;
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        let mut argv: Vec<*const libc::c_char> = std::env::args_os()
            .map(|arg| leak(arg.as_bytes().to_vec()).cast_const())
            .collect();
        argv.push(std::ptr::null());
        let ours = [
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            READY_FD,
            RESTARTS,
        ];
        let mut envp: Vec<*const libc::c_char> = std::env::vars_os()
            .filter(|(name, _)| ours.iter().all(|ours| name != ours))
            .map(|(name, value)| {
                leak([name.as_bytes(), b"=", value.as_bytes()].concat()).cast_const()
            })
            .collect();
        let names: Vec<_> = passed.iter().map(|(_, name)| name.as_str()).collect();
        let count = passed.len();
        for set in [
            format!("LISTEN_FDS={count}"),
            format!("LISTEN_FDNAMES={}", names.join(":")),
            format!("{READY_FD}={}", FIRST as usize + count),
            format!("{RESTARTS}={restarts}"),
        ] {
            envp.push(leak(set.into_bytes()));
        }
        let pid = leak(format!("LISTEN_PID={:0DIGITS$}", 0).into_bytes());
        envp.push(pid);
        envp.push(std::ptr::null());
        Ok(Program {
            path,
            argv,
            envp,
            // SAFETY: the string has this many bytes before its digits.
            pid: unsafe { pid.cast::<u8>().add("LISTEN_PID=".len()) },
            passed: passed.iter().map(|(fd, _)| *fd).collect(),
            copies: (0..=count).map(|_| AtomicI32::new(0)).collect(),
        })
    }

    /// Becomes the program. Returns only if that fails.
    fn execute(&self, ready: RawFd) -> Errno {
        // Copies above all places first, so that no place is taken that is still to be copied.
        let end = FIRST + self.passed.len() as RawFd + 1;
        for (copy, fd) in self
            .copies
            .iter()
            .zip(self.passed.iter().copied().chain([ready]))
        {
            // SAFETY: open for as long as this process lives, which executes the program or ends.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            match rustix::io::fcntl_dupfd_cloexec(fd, end) {
                Ok(number) => copy.store(number.into_raw_fd(), Ordering::Relaxed),
                Err(error) => return error,
            }
        }
        for (place, copy) in (FIRST..).zip(&self.copies) {
            // SAFETY: as above; what had the place is used no more. What is put there does not close at exec.
            let (copy, place) = unsafe {
                let copy = BorrowedFd::borrow_raw(copy.load(Ordering::Relaxed));
                (copy, OwnedFd::from_raw_fd(place))
            };
            if let Err(error) = rustix::io::dup2(copy, &mut ManuallyDrop::new(place)) {
                return error;
            }
        }
        let mut id = crate::process::id();
        for at in (0..DIGITS).rev() {
            // SAFETY: within the digits of a string of our own, which no other thread of this process
            // reads: it has none.
            unsafe { self.pid.add(at).write(b'0' + (id % 10) as u8) };
            id /= 10;
        }
        let _ = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK);
        // SAFETY: both lists end with NULL, and their strings are never freed.
        unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        crate::last_errno()
    }
}

/// How the start of a successor has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This process is ready.
    Ready(u32),
    /// It ended before.
    Ended(u32, Option<Ended>),
    /// It was not ready in time, and was killed.
    Late(u32),
    /// `cancelled` has said so, and it was sent SIGTERM.
    Cancelled,
    /// It could not be begun.
    Failed(Errno),
}

/// Forks a process that is no child of ours: nobody here has to reap it. True in it. Async-signal-safe.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub fn fork_aside() -> Result<bool, Errno> {
    // SAFETY: `_Fork` is async-signal-safe (POSIX.1-2024), and what it makes calls nothing else.
    match unsafe { _Fork() } {
        -1 => Err(crate::last_errno()),
        0 => {
            // SAFETY: as above.
            if unsafe { _Fork() } == 0 {
                return Ok(true);
            }
            crate::process::exit_now(0)
        }
        child => {
            crate::helper::wait_for(child as u32);
            Ok(false)
        }
    }
}

/// Starts the program and waits until it is ready. In a process from [`fork_aside`].
pub fn start(program: &Program, most: Duration, cancelled: impl Fn() -> bool) -> Outcome {
    default_signals();
    let Ok((reader, writer)) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) else {
        return Outcome::Failed(Errno::MFILE);
    };
    // SAFETY: this process has one thread, and its child executes the program or ends.
    let id = match unsafe { _Fork() } {
        -1 => return Outcome::Failed(crate::last_errno()),
        0 => {
            let error = program.execute(writer.as_raw_fd());
            let [a, b, c, d] = error.raw_os_error().to_ne_bytes();
            let _ = rustix::io::write(&writer, &[NOT_EXECUTED, a, b, c, d]);
            crate::process::exit_now(1)
        }
        child => child as u32,
    };
    drop(writer);
    let end = crate::signal::monotonic_ns() + most.as_nanos() as u64;
    let mut said = [0; 5];
    loop {
        let mut fds = [crate::net::PollFd::new(&reader, crate::net::PollFlags::IN)];
        let ready = crate::net::poll(&mut fds, Some(LOOK_EVERY));
        if matches!(ready, Ok(1..)) {
            return match rustix::io::read(&reader, &mut said) {
                Ok(1..) if said[0] == READY => Outcome::Ready(id),
                Ok(5) => {
                    let [_, number @ ..] = said;
                    Outcome::Failed(Errno::from_raw_os_error(i32::from_ne_bytes(number)))
                }
                _ => {
                    signal(id, Signal::KILL);
                    Outcome::Ended(id, reap(id))
                }
            };
        }
        if cancelled() {
            signal(id, Signal::TERM);
            return Outcome::Cancelled;
        }
        if crate::signal::monotonic_ns() > end {
            signal(id, Signal::KILL);
            reap(id);
            return Outcome::Late(id);
        }
    }
}

/// How often a wait for the successor looks whether it is cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn default_signals() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    for number in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR2,
        Signal::SIGXFSZ,
    ] {
        // SAFETY: the default action; async-signal-safe.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(id as i32) {
        crate::process::kill(pid, signal);
    }
}

fn reap(id: u32) -> Option<Ended> {
    let (_, status) = waitpid(Pid::from_raw(id as i32), WaitOptions::empty()).ok()??;
    match status.terminating_signal() {
        Some(signal) => Some(Ended::Killed(signal)),
        None => status.exit_status().map(Ended::Exited),
    }
}

/// Takes a descriptor that this process was started with, as the environment says.
///
/// # Errors
/// EBADF: it is not open.
pub fn take(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the environment gives it to this process, which takes it once; if it is not open, it is not closed.
    let taken = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) });
    rustix::io::fcntl_setfd(&*taken, rustix::io::FdFlags::CLOEXEC)?;
    Ok(ManuallyDrop::into_inner(taken))
}

/// Says that this successor is ready.
pub fn say_ready(ready: BorrowedFd<'_>) {
    let _ = rustix::io::write(ready, &[READY]);
}
