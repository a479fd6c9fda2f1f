//! A bounded buffer in shared memory from one worker to the writer of the access log.
//!
//! One worker puts records in, one thread of the helper takes them out, and neither waits for the
//! other: where there is no room, the record is dropped and counted. A record is visible once `head`
//! has passed it, so a worker that dies in the middle of one leaves nothing half-written, and the
//! worker that replaces it goes on where `head` stands.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::board::add;

/// Where a ring is written and read. Positions only grow.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// How many words were put in. Written by the worker.
    head: AtomicU64,
    /// Records for which there was no room. Written by the worker.
    pub(crate) dropped: AtomicU64,
    /// How many words were taken out. Written by the helper.
    tail: AtomicU64,
}

/// One end of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    ends: &'static Ends,
    words: &'static [AtomicU64],
}

/// A ring has room for one of the longest records at least.
pub(crate) const WORDS_MIN: usize = 1 + HEAD_WORDS + 4 + (METHOD + TARGET + REFERER + AGENT) / 8;

/// Words before the strings of a record.
const HEAD_WORDS: usize = 7;

// What is longer is cut off there.
const METHOD: usize = 32;
const TARGET: usize = 4096;
const REFERER: usize = 1024;
const AGENT: usize = 512;

/// The longest of each string, bytes.
pub(crate) const TEXT_BYTES_MAX: [usize; 4] = [METHOD, TARGET, REFERER, AGENT];

/// A line of the access log, before it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// When it was answered, monotonic ns.
    pub(crate) at_ns: u64,
    pub(crate) took_ns: u64,
    pub(crate) body_bytes: u64,
    pub(crate) status: u16,
    /// Minor version of HTTP; `None`: the request was not understood.
    pub(crate) minor_version: Option<u8>,
    pub(crate) peer: Option<IpAddr>,
    /// Method, target, `Referer` and `User-Agent`; empty if there is none.
    pub(crate) texts: [&'a [u8]; 4],
    /// Which of the texts were cut off, a bit for each.
    pub(crate) cut: u8,
}

impl Ring {
    pub(crate) fn new(ends: &'static Ends, words: &'static [AtomicU64]) -> Ring {
        Ring { ends, words }
    }

    /// Puts a record in, or counts that it was dropped. True if the ring is more than half full.
    pub(crate) fn put(&self, record: &Record<'_>) -> bool {
        let mut cut = 0_u8;
        let mut texts = record.texts;
        for (index, (text, max)) in texts.iter_mut().zip(TEXT_BYTES_MAX).enumerate() {
            if text.len() > max {
                *text = &text[..max];
                cut |= 1 << index;
            }
        }
        let size = 1
            + HEAD_WORDS
            + texts
                .iter()
                .map(|text| text.len().div_ceil(8))
                .sum::<usize>();
        let head = self.ends.head.load(Ordering::Relaxed);
        // Acquire: what the reader has read, it has read before these words are written again.
        let used = head.wrapping_sub(self.ends.tail.load(Ordering::Acquire)) as usize;
        if used + size > self.words.len() {
            add(&self.ends.dropped, 1);
            return true;
        }
        let mut at = head;
        let mut put = |word: u64| {
            self.word(at).store(word, Ordering::Relaxed);
            at += 1;
        };
        let lengths = texts.map(|text| text.len() as u64);
        let address = record.peer.map(|peer| match peer {
            IpAddr::V4(peer) => u128::from(peer.to_ipv6_mapped()),
            IpAddr::V6(peer) => u128::from(peer),
        });
        let version = record.minor_version.map_or(u8::MAX, |minor| minor);
        put(size as u64);
        put(record.at_ns);
        put(record.took_ns);
        put(record.body_bytes);
        put(u64::from(record.status)
            | u64::from(version) << 16
            | u64::from(cut) << 24
            | u64::from(address.is_some()) << 32);
        put((address.unwrap_or(0) >> 64) as u64);
        put(address.unwrap_or(0) as u64);
        put(lengths[0] | lengths[1] << 16 | lengths[2] << 32 | lengths[3] << 48);
        for text in texts {
            let (whole, rest) = text.as_chunks::<8>();
            whole.iter().for_each(|word| put(u64::from_le_bytes(*word)));
            if !rest.is_empty() {
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                put(u64::from_le_bytes(last));
            }
        }
        self.ends.head.store(at, Ordering::Release);
        (used + size) * 2 > self.words.len()
    }

    /// Takes all records out, and calls `each` with every one. `buffer` is for their texts.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>, mut each: impl FnMut(&Record<'_>)) {
        let head = self.ends.head.load(Ordering::Acquire);
        let mut tail = self.ends.tail.load(Ordering::Relaxed);
        while tail != head {
            let word = |index: usize| self.word(tail + index as u64).load(Ordering::Relaxed);
            let size = word(0);
            // A worker that overwrites its ring can do what it likes; the helper goes on.
            if size < 1 + HEAD_WORDS as u64 || size > head.wrapping_sub(tail) {
                add(&self.ends.tail, head.wrapping_sub(tail));
                return;
            }
            buffer.clear();
            (1 + HEAD_WORDS..size as usize)
                .for_each(|index| buffer.extend_from_slice(&word(index).to_le_bytes()));
            let (flags, lengths) = (word(4), word(7));
            let address = u128::from(word(5)) << 64 | u128::from(word(6));
            let mut rest = &buffer[..];
            let texts = [0, 16, 32, 48].map(|shift| {
                let bytes = (lengths >> shift) as usize & 0xffff;
                let (text, after) = rest.split_at(bytes.next_multiple_of(8).min(rest.len()));
                rest = after;
                &text[..bytes.min(text.len())]
            });
            each(&Record {
                at_ns: word(1),
                took_ns: word(2),
                body_bytes: word(3),
                status: flags as u16,
                minor_version: Some((flags >> 16) as u8).filter(|minor| *minor != u8::MAX),
                peer: (flags >> 32 & 1 != 0).then(|| Ipv6Addr::from(address).to_canonical()),
                texts,
                cut: (flags >> 24) as u8,
            });
            tail += size;
            self.ends.tail.store(tail, Ordering::Release);
        }
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        &self.words[at as usize % self.words.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(words: usize) -> Ring {
        let ends: &'static Ends = Box::leak(Box::default());
        Ring::new(ends, os::shared::words(words).unwrap())
    }

    fn record(texts: [&[u8]; 4]) -> Record<'_> {
        Record {
            at_ns: 1,
            took_ns: 2,
            body_bytes: 3,
            status: 404,
            minor_version: Some(1),
            peer: Some("192.0.2.7".parse().unwrap()),
            texts,
            cut: 0,
        }
    }

    #[test]
    fn what_goes_in_comes_out_in_order_wherever_the_ring_ends() {
        let ring = ring(WORDS_MIN);
        let mut buffer = Vec::new();
        for round in 0..500 {
            let target = vec![b'a' + (round % 26) as u8; round % 700];
            let put = [
                record([b"GET", &target, b"", b"an agent"]),
                Record {
                    minor_version: None,
                    peer: None,
                    ..record([b"", b"", b"r", b""])
                },
            ];
            for record in &put {
                ring.put(record);
            }
            let mut taken = 0;
            ring.take(&mut buffer, |record| {
                assert_eq!(*record, put[taken]);
                taken += 1;
            });
            assert_eq!(taken, 2);
        }
        assert_eq!(ring.ends.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_is_too_long_is_cut() {
        let ring = ring(WORDS_MIN);
        let long = vec![b'x'; 60_000];
        assert!(ring.put(&record([&long, &long, &long, &long])));
        assert!(ring.put(&record([b"GET", b"/", b"", b""])));
        assert_eq!(ring.ends.dropped.load(Ordering::Relaxed), 1);
        let mut seen = Vec::new();
        ring.take(&mut Vec::new(), |record| {
            seen.push((record.texts.map(<[u8]>::len), record.cut));
        });
        assert_eq!(seen, [(TEXT_BYTES_MAX, 0b1111)]);
    }

    #[test]
    fn one_puts_in_while_another_takes_out_and_none_is_lost_unseen() {
        let ring = ring(WORDS_MIN);
        let seen = std::sync::atomic::AtomicU64::new(0);
        const PUT: u64 = 20_000;
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for at_ns in 1..=PUT {
                    let text = at_ns.to_string();
                    let texts = [b"GET", text.as_bytes(), b"", b""];
                    ring.put(&Record {
                        at_ns,
                        ..record(texts)
                    });
                }
            });
            let (mut last, mut buffer) = (0, Vec::new());
            loop {
                let is_last_look = writer.is_finished();
                ring.take(&mut buffer, |record| {
                    assert!(record.at_ns > last);
                    last = record.at_ns;
                    assert_eq!(record.texts[1], last.to_string().as_bytes());
                    seen.fetch_add(1, Ordering::Relaxed);
                });
                if is_last_look {
                    break;
                }
            }
        });
        let dropped = ring.ends.dropped.load(Ordering::Relaxed);
        assert_eq!(seen.load(Ordering::Relaxed) + dropped, PUT);
    }
}
