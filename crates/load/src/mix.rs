//! A mix of requests, drawn by weight from the seed.

use std::io::Write;
use std::sync::Arc;

use schema::random::SplitMix64;

use crate::kind::{Kind, split};
use crate::plan::Plan;
use crate::random;
use crate::script::Script;

/// Makes the random numbers of a mix differ from those of the arrivals.
const STREAM: u64 = 0x6D69_785F_6F66_5F72;

/// What was drawn for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Draw {
    /// Index into the plan's kinds.
    pub(crate) kind: u16,
    /// The number in its path.
    pub(crate) number: u32,
    /// It has a connection of its own, where only some requests do.
    pub(crate) once: bool,
}

/// Draws the requests of one thread, and gives their bytes.
#[derive(Debug)]
pub(crate) struct Mix {
    random: SplitMix64,
    weights: u32,
    kinds: Vec<Compiled>,
    /// The same kinds on connections of their own, and the share of them, where only some requests are.
    once: Vec<Compiled>,
    churn: f64,
    /// Requests from a file, instead of the kinds.
    player: Option<Player>,
}

/// The position of a thread in the requests of a file.
#[derive(Debug)]
struct Player {
    script: Arc<Script>,
    /// In a replay: the next arrival of this thread, and the number of threads.
    next: usize,
    threads: usize,
}

/// A kind whose bytes are ready except for the number.
#[derive(Debug)]
struct Compiled {
    /// Sum of the weights up to this one.
    until: u32,
    before: Vec<u8>,
    number: Option<(u32, Vec<u8>)>,
}

impl Mix {
    /// The mix of a thread; `None` when all requests of the plan are equal.
    pub(crate) fn new(plan: &Plan, thread: usize) -> Option<Self> {
        if let Some(script) = &plan.script {
            return Some(Self {
                random: random::of_thread(plan.seed ^ STREAM, thread),
                weights: 0,
                kinds: Vec::new(),
                once: Vec::new(),
                churn: 0.0,
                player: Some(Player {
                    script: Arc::clone(script),
                    next: thread,
                    threads: plan.threads,
                }),
            });
        }
        let compiled = |close| Compiled::all(plan, close);
        let is_mixed = plan.is_mixed();
        if plan.requests.is_empty() && !is_mixed {
            return None;
        }
        Some(Self {
            random: random::of_thread(plan.seed ^ STREAM, thread),
            weights: plan.requests.iter().map(|kind| kind.weight).sum(),
            kinds: compiled(plan.new_connection),
            once: if is_mixed { compiled(true) } else { Vec::new() },
            churn: plan.churn,
            player: None,
        })
    }

    /// The kind and the number of the next request.
    pub(crate) fn draw(&mut self) -> Draw {
        if let Some(player) = &mut self.player {
            return player.draw(&mut self.random);
        }
        let once = !self.once.is_empty() && self.random.uniform() < self.churn;
        let kind = match self.weights {
            0 => 0,
            weights => {
                let at = self.random.below(weights);
                self.kinds.partition_point(|kind| kind.until <= at)
            }
        };
        let number = self.kinds[kind]
            .number
            .as_ref()
            .map_or(0, |&(bound, _)| self.random.below(bound));
        Draw {
            kind: kind as u16,
            number,
            once,
        }
    }

    /// Appends the bytes of a drawn request, and returns how many there are.
    pub(crate) fn append(&self, draw: Draw, bytes: &mut Vec<u8>) -> usize {
        let start = bytes.len();
        if let Some(player) = &self.player {
            bytes.extend_from_slice(&player.script.bytes[draw.number as usize]);
            return bytes.len() - start;
        }
        let kinds = match draw.once && !self.once.is_empty() {
            true => &self.once,
            false => &self.kinds,
        };
        let kind = &kinds[draw.kind as usize];
        bytes.extend_from_slice(&kind.before);
        if let Some((_, after)) = &kind.number {
            write!(bytes, "{}", draw.number).expect("a vector takes all bytes");
            bytes.extend_from_slice(after);
        }
        bytes.len() - start
    }
}

impl Compiled {
    /// Every kind of a plan, or its only request, on connections that stay or that `close`.
    fn all(plan: &Plan, close: bool) -> Vec<Self> {
        if plan.requests.is_empty() {
            let before = plan.request_for(&plan.method, plan.target.path(), close);
            return vec![Self {
                until: 0,
                before,
                number: None,
            }];
        }
        let mut weights = 0;
        let compile = |kind: &Kind| {
            weights += kind.weight;
            let parts = split(&kind.path).ok().flatten();
            let (path, number) = match parts {
                // The number stands between the two parts of the request's bytes.
                Some((before, bound, after)) => (before, Some((bound, after))),
                None => (kind.path.as_str(), None),
            };
            let line = format!("{} {path}", kind.method).into_bytes();
            let rest = |after: &str| {
                let mut bytes = after.as_bytes().to_vec();
                bytes.extend(plan.after_path(&kind.method, close));
                bytes
            };
            Self {
                until: weights,
                before: match number {
                    Some(_) => line,
                    None => [line, rest("")].concat(),
                },
                number: number.map(|(bound, after)| (bound, rest(after))),
            }
        };
        plan.requests.iter().map(compile).collect()
    }
}

impl Player {
    /// The next request of a replay, or one of all.
    fn draw(&mut self, random: &mut SplitMix64) -> Draw {
        let order = &self.script.order;
        let at = if self.script.is_replay() {
            // As the schedule counts them.
            let at = self.next.min(order.len() - 1);
            self.next += self.threads;
            at
        } else {
            random.below(order.len() as u32) as usize
        };
        let number = order[at];
        let kind = self.script.kinds_of[number as usize];
        Draw {
            kind,
            number,
            once: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(requests: &[&str]) -> Plan {
        let mut plan = Plan::new("http://127.0.0.1:1/".parse().unwrap());
        plan.requests = requests.iter().map(|text| text.parse().unwrap()).collect();
        plan.body_bytes = 3;
        plan.check().unwrap();
        plan
    }

    #[test]
    fn draws_keep_the_weights_and_numbers_their_bound() {
        let plan = plan(&["9:GET:/kv/{n:7}?x=1", "1:PUT:/kv/fixed"]);
        let mut mix = Mix::new(&plan, 0).unwrap();
        let (mut gets, mut numbers) = (0, [0; 7]);
        for _ in 0..70_000 {
            let draw = mix.draw();
            if draw.kind == 0 {
                gets += 1;
                numbers[draw.number as usize] += 1;
            }
        }
        assert!((62_300..63_700).contains(&gets), "{gets}");
        assert!(
            numbers.iter().all(|n| (8_500..9_500).contains(n)),
            "{numbers:?}"
        );
    }

    fn draw(kind: u16, number: u32) -> Draw {
        Draw {
            kind,
            number,
            once: false,
        }
    }

    #[test]
    fn so_many_draws_have_a_connection_of_their_own_and_say_so() {
        for requests in [&[][..], &["3:GET:/a/{n:7}", "1:PUT:/b"]] {
            let mut plan = plan(requests);
            plan.churn = 0.25;
            let mut mix = Mix::new(&plan, 0).unwrap();
            let mut once = 0;
            for _ in 0..20_000 {
                let draw = mix.draw();
                once += u32::from(draw.once);
                let mut bytes = Vec::new();
                mix.append(draw, &mut bytes);
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(text.contains("\r\nConnection: close\r\n"), draw.once);
            }
            assert!((4_700..5_300).contains(&once), "{once}");
        }
    }

    #[test]
    fn a_drawn_request_has_its_number_and_its_body() {
        let plan = plan(&["1:GET:/kv/{n:7}/x", "1:PUT:/kv/fixed"]);
        let mix = Mix::new(&plan, 0).unwrap();
        let mut bytes = Vec::new();
        let n = mix.append(draw(0, 6), &mut bytes);
        assert_eq!(bytes, b"GET /kv/6/x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
        assert_eq!(n, bytes.len());
        bytes.clear();
        mix.append(draw(1, 0), &mut bytes);
        assert_eq!(
            bytes,
            b"PUT /kv/fixed HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 3\r\n\r\nabc"
        );
    }
}
