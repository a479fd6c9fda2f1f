//! What A and B may be, and how each is started.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schema::Code;

use crate::failure::{Because, Failure, Unmeasured};
use crate::observe::client::Client;
use crate::observe::cpus::CpuList;
use crate::observe::interrupt::Interrupt;
use crate::observe::process::Process;
use crate::plan::words::words;
use crate::run::contender::free_port;
use crate::run::server::{Launch, Server};

/// How long a command may take until it accepts a connection.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How often that is tried: there is no event to wait for.
const TRY_EVERY: Duration = Duration::from_millis(20);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// A server to compare, as it was given and as it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// `A` or `B`.
    pub name: &'static str,
    /// What is shown of it.
    pub command: String,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// It prints where it listens.
    Turnstile(Launch),
    /// It is told where to listen: words with `{addr}` or `{port}` in them.
    Command { program: PathBuf, args: Vec<String> },
}

impl Contender {
    /// Reads `text` as [`LiveArgs`](super::LiveArgs) describes it; `own` is this command.
    pub fn parse(name: &'static str, text: &str, own: &Path) -> Result<Self, Failure> {
        let bad = |why: &str| Failure::usage(format!("{name}, '{text}': {why}"));
        let words = words(text, true).ok_or_else(|| bad("a quote is not closed"))?;
        let [first, rest @ ..] = words.as_slice() else {
            return Err(bad("it is empty"));
        };
        let told = |word: &String| word.contains("{addr}") || word.contains("{port}");
        let how = if words.iter().any(told) {
            How::Command {
                program: first.into(),
                args: rest.to_vec(),
            }
        } else if first.starts_with('-') {
            let serve = std::iter::once("serve".to_owned());
            turnstile(own.to_owned(), serve.chain(words.iter().cloned()).collect())
        } else if first.contains('/') {
            if rest.is_empty() {
                return Err(bad(
                    "what shall it serve? Add its arguments: 'PATH serve --model M'",
                ));
            }
            turnstile(first.into(), rest.to_vec())
        } else if rest.is_empty() {
            let args = ["serve", "--model", first].map(str::to_owned);
            turnstile(own.to_owned(), args.to_vec())
        } else {
            return Err(bad(
                "neither a model, nor arguments of serve, nor a path, nor a command with {addr} or {port}",
            ));
        };
        Ok(Self {
            name,
            command: text.to_owned(),
            how,
        })
    }

    /// Starts it on `cpus` and waits until it listens.
    pub fn start(&self, cpus: &CpuList, interrupt: &Interrupt) -> Result<Server, Unmeasured> {
        match &self.how {
            How::Turnstile(launch) => Server::start(launch, cpus, interrupt),
            How::Command { program, args } => start_command(program, args, cpus, interrupt),
        }
    }
}

fn turnstile(program: PathBuf, args: Vec<String>) -> How {
    let launch = Launch {
        program,
        args,
        db: None,
    };
    How::Turnstile(launch.listening())
}

/// Starts a command that is told where to listen, and waits until it accepts a connection.
fn start_command(
    program: &Path,
    args: &[String],
    cpus: &CpuList,
    interrupt: &Interrupt,
) -> Result<Server, Unmeasured> {
    // The port is free for a moment before the command takes it: another process could take it first,
    // and the command then says so.
    let port = free_port().because(Code::NotStarted)?.to_string();
    let address = format!("127.0.0.1:{port}");
    let put = |arg: &String| arg.replace("{addr}", &address).replace("{port}", &port);
    let args: Vec<String> = args.iter().map(put).collect();
    let cannot = |why: &str| {
        let text = format!("the server {} {why}", program.display());
        Unmeasured::new(Code::NotStarted, text)
    };
    let mut process = Process::spawn(program, &args, cpus)
        .map_err(|error| cannot(&format!("cannot be run: {error}")))?;
    process.discard_output();
    let deadline = Instant::now() + START_WITHIN;
    loop {
        if Client::connect(&address, CONNECT_WITHIN).is_ok() {
            return Ok(Server::started(process, address));
        }
        let ended = process.wait(TRY_EVERY, interrupt);
        if ended.because(Code::NotStarted)? {
            let line = process.error_line().unwrap_or_default();
            return Err(cannot(&format!("ended at once: {line}")));
        }
        if Instant::now() > deadline {
            return Err(cannot("accepts no connection within 10 s"));
        }
    }
}

/// Asks for the path once: a server that does not know it is not worth measuring.
pub fn answers(address: &str, path: &str) -> Result<(), Unmeasured> {
    let ask = || -> anyhow::Result<()> {
        let reply = Client::connect(address, REPLY_WITHIN)?.ask("GET", path, b"")?;
        let status = reply.status;
        anyhow::ensure!(status == 200, "GET {path} is answered with {status}");
        Ok(())
    };
    ask().because(Code::NotVerified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let cases: [(&str, &[&str]); 5] = [
            ("a  b", &["a", "b"]),
            ("a 'b c' \"d 'e\"", &["a", "b c", "d 'e"]),
            (r#"a\ b "c\"d" 'e\'"#, &["a b", "c\"d", "e\\"]),
            ("-g\"x y\"z ''", &["-gx yz", ""]),
            ("  ", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(super::words(text, true).expect(text), words, "{text}");
        }
        for text in ["'a", "\"a", "a\\"] {
            assert_eq!(super::words(text, true), None, "{text}");
        }
    }

    fn how(text: &str) -> Result<How, String> {
        let parsed = Contender::parse("A", text, Path::new("/own"));
        parsed
            .map(|each| each.how)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_is_recognised() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let turnstile = |program: &str, args: &str| {
            How::Turnstile(Launch {
                program: program.into(),
                args: words(args),
                db: None,
            })
        };
        let cases = [
            (
                "prefork:flock",
                turnstile("/own", "serve --model prefork:flock --listen 127.0.0.1:0"),
            ),
            (
                "--model a --workers 4",
                turnstile("/own", "serve --model a --workers 4 --listen 127.0.0.1:0"),
            ),
            (
                "./b/turnstile serve --model a",
                turnstile("./b/turnstile", "serve --model a --listen 127.0.0.1:0"),
            ),
            (
                "nginx -p {port}",
                How::Command {
                    program: "nginx".into(),
                    args: words("-p {port}"),
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(how(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_started_is_refused_by_name() {
        for text in ["", "'a", "/path/turnstile", "nginx -c x"] {
            let error = how(text).expect_err(text);
            assert!(error.starts_with("A, '"), "{error}");
        }
    }
}
