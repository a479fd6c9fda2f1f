//! Where it is shown: a terminal, which is left as it was found, or a pipe, which gets plain lines.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};

use super::view::{Line, Room, Style};

/// The output of `top`.
#[derive(Debug)]
pub struct Screen {
    /// Readable once a signal has told this program to end.
    signals: UnixStream,
    /// There is a terminal, and this is how it was.
    live: Option<Live>,
    frames: u64,
}

#[derive(Debug)]
struct Live {
    /// The modes of standard input, if that is a terminal, too.
    modes: Option<Termios>,
    colours: bool,
    unicode: bool,
    /// What the last frame has shown, for a note beneath it.
    note: String,
}

/// What has ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The time is over.
    ByTime,
    /// A signal, or the key q.
    ByUser,
}

/// Another screen, without a cursor and without wrapping long lines; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

impl Screen {
    /// Opens the terminal, if it is to be `live`.
    ///
    /// # Errors
    /// Signals cannot be handled, or nothing can be written.
    pub fn open(live: bool) -> io::Result<Screen> {
        let (signals, writer) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM, SIGQUIT] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        let mut screen = Screen {
            signals,
            live: None,
            frames: 0,
        };
        if live {
            screen.live = Some(Live {
                modes: quiet_keys(),
                colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
                unicode: is_unicode(),
                note: String::new(),
            });
            let mut out = io::stdout();
            out.write_all(ENTER.as_bytes()).and_then(|()| out.flush())?;
        }
        Ok(screen)
    }

    /// How much there is to write to. It may change at any time.
    pub fn room(&self) -> Room {
        let Some(live) = &self.live else {
            return Room::PLAIN;
        };
        let size = tcgetwinsize(io::stdout());
        // A terminal that does not know its size says 0.
        let of = |size: u16, usual| if size == 0 { usual } else { usize::from(size) };
        let (columns, lines) =
            size.map_or((80, 24), |size| (of(size.ws_col, 80), of(size.ws_row, 24)));
        Room {
            columns,
            lines,
            unicode: live.unicode,
        }
    }

    /// Shows a frame. False: the reader of the output has gone.
    pub fn show(&mut self, lines: &[Line]) -> bool {
        let room = self.room();
        let text = match &mut self.live {
            Some(live) => {
                live.note.clear();
                frame(lines, room, live.colours)
            }
            None => plain(lines, self.frames > 0),
        };
        self.frames += 1;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .is_ok()
    }

    /// Says something beside the last frame.
    pub fn note(&mut self, words: &str) {
        let room = self.room();
        match &mut self.live {
            Some(live) => {
                live.note = words.to_owned();
                let words: String = words.chars().take(room.columns).collect();
                let mut out = io::stdout();
                let _ = write!(out, "\x1b[{};1H\x1b[2K\x1b[7m{words}\x1b[0m", room.lines);
                let _ = out.flush();
            }
            None => {
                let _ = writeln!(io::stderr(), "{words}");
            }
        }
    }

    /// Waits until `time`, or until the user wants it to end.
    pub fn wait_until(&self, time: Instant) -> Woken {
        let reads_keys = self.live.as_ref().is_some_and(|live| live.modes.is_some());
        let mut has_input = reads_keys;
        loop {
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::ByTime;
            }
            let input = io::stdin();
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            if has_input {
                fds.push(PollFd::new(&input, PollFlags::IN));
            }
            let timeout = Timespec::try_from(left).ok();
            if poll(&mut fds, timeout.as_ref()).is_err() {
                continue; // EINTR: the handler has written.
            }
            if !fds[0].revents().is_empty() {
                return Woken::ByUser;
            }
            if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) {
                let mut keys = [0; 64];
                match rustix::io::read(input.as_fd(), &mut keys) {
                    Ok(0) | Err(_) => has_input = false, // The terminal has gone.
                    Ok(count) if keys[..count].contains(&b'q') => return Woken::ByUser,
                    Ok(_) => {}
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let Some(live) = &self.live else {
            return;
        };
        if let Some(modes) = &live.modes {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
        let mut out = io::stdout();
        let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    }
}

/// Has keys come one by one, and not shown. `None`: there is no terminal to read from.
fn quiet_keys() -> Option<Termios> {
    let input = io::stdin();
    if !input.is_terminal() {
        return None;
    }
    let before = tcgetattr(&input).ok()?;
    let mut modes = before.clone();
    modes
        .local_modes
        .remove(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Now, &modes).ok()?;
    Some(before)
}

/// Whether the terminal shows more than ASCII, by the variables that say so (`locale(7)`).
fn is_unicode() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL")
        .or_else(|| set("LC_CTYPE"))
        .or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// The whole screen anew: each line cut at its end, the rest of it and the lines below emptied.
fn frame(lines: &[Line], room: Room, colours: bool) -> String {
    let mut text = String::from("\x1b[H");
    let shown = lines.len().min(room.lines);
    for (index, line) in lines[..shown].iter().enumerate() {
        let mut left = room.columns;
        for (style, part) in &line.0 {
            let cut: String = part.chars().take(left).collect();
            left -= cut.chars().count();
            if !colours || *style == Style::Plain {
                text.push_str(&cut);
            } else {
                text.push_str(code(*style));
                text.push_str(&cut);
                text.push_str("\x1b[0m");
            }
        }
        text.push_str("\x1b[K");
        if index + 1 < shown {
            text.push_str("\r\n");
        }
    }
    text.push_str("\x1b[J");
    text
}

fn code(style: Style) -> &'static str {
    match style {
        Style::Plain => "",
        Style::Strong => "\x1b[1m",
        Style::Dim => "\x1b[2m",
        Style::Good => "\x1b[32m",
        Style::Bad => "\x1b[1;31m",
    }
}

/// The same for a pipe: no codes, no spaces at the ends of lines, an empty line between two frames.
fn plain(lines: &[Line], is_later: bool) -> String {
    let mut text = String::from(if is_later { "\n" } else { "" });
    for line in lines {
        let whole: String = line.0.iter().map(|(_, part)| part.as_str()).collect();
        text.push_str(whole.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stays_within_the_terminal() {
        let line = Line::default()
            .part(Style::Strong, "▁▂▃▄")
            .part(Style::Plain, "abcdef");
        let room = Room {
            columns: 6,
            lines: 2,
            unicode: true,
        };
        let lines = [line.clone(), line.clone(), line];
        let text = frame(&lines, room, true);
        let one = "\x1b[1m▁▂▃▄\x1b[0mab\x1b[K";
        assert_eq!(text, format!("\x1b[H{one}\r\n{one}\x1b[J"));
        assert_eq!(frame(&lines[..1], room, false), "\x1b[H▁▂▃▄ab\x1b[K\x1b[J");
    }

    #[test]
    fn a_pipe_gets_no_codes() {
        let line = Line::default()
            .part(Style::Bad, "a")
            .part(Style::Dim, " b  ");
        assert_eq!(plain(std::slice::from_ref(&line), false), "a b\n");
        assert_eq!(plain(&[line], true), "\na b\n");
    }
}
