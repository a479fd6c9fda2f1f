//! Which rows show what of a fault: the table of `docs/reliability.md`. A row that is named nowhere here
//! stands in its last part, so that the page holds them all.

/// Faults of one kind.
pub struct Part {
    pub title: &'static str,
    pub faults: &'static [Fault],
}

/// What is done to the server, and the rows that do it.
pub struct Fault {
    pub title: &'static str,
    pub rows: &'static [&'static str],
}

const fn fault(title: &'static str, rows: &'static [&'static str]) -> Fault {
    Fault { title, rows }
}

pub const PARTS: &[Part] = &[
    Part {
        title: "Twenty behaviours of advisories and trackers, 2025 and 2026",
        faults: &[
            fault(
                "1. Upgrade with a body and a request behind it (nghttpx CVE-2026-58055, Pingora CVE-2026-2833)",
                &["Upgrade with a body, and a request behind it"],
            ),
            fault(
                "2. `chunked, xchunked`, also on folded lines (netty CVE-2026-89044)",
                &["transfer codings that are nearly chunked"],
            ),
            fault(
                "3. `chunked` in quotes, beside FF or VT (tiny_http CVE-2026-66752)",
                &[
                    "transfer codings that are nearly chunked",
                    "smuggling shapes are 400",
                ],
            ),
            fault(
                "4. chunk sizes from 2^63 on, 17 digits, cut at every byte (nginx 1625)",
                &["chunk sizes from 2^63 on, cut at every byte"],
            ),
            fault(
                "5. bare LF, CR or NUL in chunk extensions, spilled data (Go CVE-2025-22871, fasthttp 1899)",
                &[
                    "chunk extensions with bare LF, CR or NUL",
                    "bad chunks are 400",
                ],
            ),
            fault(
                "6. a body cut inside its last chunk (gunicorn 3685)",
                &["a body that ends inside its last chunk"],
            ),
            fault(
                "7. GET with a body that comes late and looks like a request",
                &["GET with a body that comes late"],
            ),
            fault(
                "8. Expect on what is answered early, and beside what is not known",
                &["Expect on what is answered early", "100-continue"],
            ),
            fault("9. targets of other methods", &["targets of other methods"]),
            fault(
                "10. Host or Content-Type twice; trailers that name framing fields (gunicorn 3548)",
                &[
                    "fields that may come once, twice",
                    "trailers that name framing fields",
                ],
            ),
            fault(
                "11. answers to clients that have gone, on descriptors used again (gunicorn 3626)",
                &["late answers go to no other client"],
            ),
            fault(
                "12. 64 patterned echoes while buffers are exhausted (liburing 1538, 1447, 778)",
                &["echoes while buffers are exhausted"],
            ),
            fault(
                "13. 1,000 resets before accept (tiny_http 283)",
                &["a thousand resets before accept"],
            ),
            fault(
                "14. many closes by the server, then SIGTERM (gunicorn 3661)",
                &["many closes by the server, then SIGTERM"],
            ),
            fault(
                "15. restarts under churn, with a listener per worker too (Envoy 15818, 17259)",
                &["restart: nothing is lost under load"],
            ),
            fault(
                "16. keep-alive at half a request per second through a drain (Envoy 14350)",
                &[
                    "drain: a request every two seconds",
                    "drain: one last request",
                ],
            ),
            fault(
                "17. a successor that dies, or never gets ready (gunicorn 3394)",
                &[
                    "restart: a successor that dies",
                    "restart: a successor that dies with the listeners",
                    "restart: a successor that never gets ready",
                ],
            ),
            fault(
                "18. a Unix socket through a restart (gunicorn 476)",
                &["restart: a unix socket"],
            ),
            fault(
                "19. reloads in a row: descriptors and threads stay (gunicorn 3648)",
                &["restart: nothing is lost under load"],
            ),
            fault(
                "20. SIGTERM with a drain delay; process 1 with strangers' orphans (gunicorn 3220, Puma 3255)",
                &[
                    "SIGTERM with --drain-delay-ms",
                    "SIGTERM twice ends a delay",
                    "process 1: orphans are reaped",
                    "process 1: signals are honoured",
                    "process 1: a worker that ends is replaced",
                ],
            ),
        ],
    },
    Part {
        title: "Faults and attacks",
        faults: &[
            fault(
                "Content-Length beside Transfer-Encoding, repeated, malformed",
                &["smuggling shapes are 400", "other versions and codings"],
            ),
            fault(
                "floods of chunk extensions and trailers; heads, lines and bodies that are too long",
                &[
                    "414, seen",
                    "431, seen",
                    "413, seen",
                    "413 of chunks, seen",
                    "refused after good ones, seen",
                ],
            ),
            fault(
                "slow heads",
                &[
                    "slow head is cut with 408",
                    "silent connection is closed",
                    "idle connection is closed",
                    "others are served beside slow heads",
                ],
            ),
            fault("slow bodies", &["slow body is cut with 408"]),
            fault(
                "unread and slowly read replies",
                &[
                    "unread reply is cut",
                    "dripping reader is cut",
                    "reader as slow as allowed gets all",
                    "a slow reader cannot extend the deadline of a reply",
                    "drain: an unread reply is cut at its deadline",
                    "others are served beside unread replies",
                ],
            ),
            fault(
                "more connections than allowed, or than workers",
                &[
                    "connections at their bound",
                    "sockets at the bound of connections",
                    "sockets at the bound of connections, several listeners",
                    "a client beyond the workers has its turn",
                    "a queue of one loses no client",
                ],
            ),
            fault(
                "descriptors run out",
                &[
                    "descriptors run out",
                    "descriptors run out before a drain",
                    "descriptors run out: few lines in the log",
                ],
            ),
            fault(
                "forks and threads fail",
                &[
                    "threads that cannot be had",
                    "forks and threads that cannot be had for clients",
                ],
            ),
            fault(
                "workers and parents are killed; crash loops",
                &[
                    "kill -9 of a worker",
                    "kill -9 of every worker",
                    "front: kill -9 of a process, and of the front",
                    "kill -9 of the parent",
                    "a crash loop backs off",
                    "no zombies, no lost descriptors",
                    "kv survives kill -9",
                ],
            ),
            fault(
                "resets and half-closes",
                &[
                    "fifty resets do no harm",
                    "FIN after a request",
                    "FIN inside a request",
                    "FIN during a sleep",
                ],
            ),
            fault(
                "more requests than the CPU can compute",
                &["a standing queue is shed"],
            ),
            fault(
                "more than it can compute, over a Unix socket",
                &["a standing queue is shed on a unix socket"],
            ),
            fault(
                "clients that always have another request, beside others",
                &["clients that ask all the time are served alike"],
            ),
        ],
    },
    Part {
        title: "Handlers that misbehave",
        faults: &[
            fault("it panics", &["handler: a panic costs one reply"]),
            fault(
                "it never returns, and the server drains",
                &["handler: one that never returns is left"],
            ),
            fault(
                "it does not return for long",
                &[
                    "admin: while every worker is stuck",
                    "no WATCHDOG=1 while every worker is stuck",
                ],
            ),
            fault(
                "it blocks a loop, or a worker",
                &[
                    "handler: one that blocks",
                    "admin: a loop that is held is counted",
                ],
            ),
            fault(
                "it replies twice",
                &["handler: the last of two bodies counts"],
            ),
            fault(
                "it declares a wrong length",
                &["handler: a wrong length is 500 or cut"],
            ),
            fault(
                "its body fails half-way",
                &["handler: a body that fails half-way is cut"],
            ),
            fault(
                "its body is silent for long, and its client goes",
                &["handler: a silent body ends with its client"],
            ),
        ],
    },
    Part {
        title: "Back ends that misbehave",
        faults: &[
            fault(
                "they forge a second reply behind the first, at once or later",
                &["gateway: a forged second reply reaches no client"],
            ),
            fault(
                "they say too much, too slowly or nonsense, or fail",
                &[
                    "gateway: what is not asked for is not passed on",
                    "gateway: an exchange has an end",
                    "gateway: a proxied server that lies is 502 or cut",
                    "gateway: a program that fails is 502, a slow one 504",
                ],
            ),
        ],
    },
    Part {
        title: "Restarts and drains",
        faults: &[
            fault(
                "SIGTERM with requests in flight",
                &[
                    "drain: wait in flight",
                    "drain: sleep in flight",
                    "drain: upload in flight",
                    "drain: download in flight",
                    "drain: pipelined behind a sleep",
                ],
            ),
            fault(
                "SIGTERM with a backlog",
                &["drain: the backlog is served", "drain: new connections"],
            ),
            fault(
                "SIGTERM with idle connections, and requests that race it",
                &["drain: idle connections", "drain: request racing SIGTERM"],
            ),
            fault(
                "a drain under load: nothing accepted is lost",
                &["drain: short connections all the while"],
            ),
            fault(
                "what does not end is cut",
                &[
                    "drain: cut at --drain-ms: unread",
                    "drain: cut at --drain-ms: wait",
                    "drain: cut at --drain-ms: sleep",
                ],
            ),
            fault(
                "restarts under load: nothing is lost or refused",
                &["restart: nothing is lost under load"],
            ),
            fault(
                "signals during a restart",
                &[
                    "restart: SIGUSR2 several times",
                    "restart: SIGTERM meanwhile",
                ],
            ),
            fault(
                "SIGTERM twice, SIGQUIT, SIGHUP",
                &[
                    "SIGTERM twice",
                    "SIGTERM twice hurries",
                    "SIGQUIT ends at once",
                    "SIGHUP changes nothing",
                ],
            ),
            fault(
                "workers that end as planned",
                &[
                    "--worker-requests-max",
                    "--worker-rss-max",
                    "SIGTERM to worker processes",
                ],
            ),
        ],
    },
    Part {
        title: "What was reported of this server",
        faults: &[
            fault(
                "a second server on the path of one that drains",
                &[
                    "unix socket, a second server while the first drains",
                    "unix socket, replaced by another server",
                ],
            ),
            fault(
                "threads that cannot be had",
                &["threads that cannot be had"],
            ),
            fault("LISTEN_FDS", &["LISTEN_FDS: socket activation"]),
            fault("`unix:@name`", &["a file system socket is no abstract one"]),
            fault(
                "preconditions of the store; dates and lists that come twice",
                &[
                    "preconditions of the store",
                    "If-Modified-Since twice",
                    "Expect on what is answered early",
                ],
            ),
            fault(
                "SIGTERM to the whole process group, or to one worker",
                &[
                    "SIGTERM to the process group",
                    "SIGTERM to worker processes",
                ],
            ),
            fault(
                "log lines at the limit of descriptors",
                &["descriptors run out: few lines in the log"],
            ),
            fault(
                "values out of range",
                &["values out of range", "more threads than can be had"],
            ),
            fault("`--db` that is no database", &["--db that is no database"]),
            fault(
                "the write deadline stretches",
                &[
                    "a slow reader cannot extend the deadline of a reply",
                    "drain: an unread reply is cut at its deadline",
                ],
            ),
            fault(
                "clients for whom no fork or thread can be had",
                &["forks and threads that cannot be had for clients"],
            ),
            fault("SIGXFSZ", &["a limit of file size"]),
            fault("the mode of a Unix socket", &["--unix-mode"]),
            fault(
                "`0.0.0.0` and `[::]` together",
                &["0.0.0.0 and [::] together"],
            ),
        ],
    },
];
