"""A WSGI application with the bench's routes: /plaintext, /cpu/MICROS, /sleep/MICROS."""

import time


def _loop(rounds):
    total = 0
    for number in range(rounds):
        total += number
    return total


def _calibrate():
    """Rounds of the loop per µs of CPU, from the fastest of several tries."""
    best = min(_timed(20_000) for _ in range(7))
    return 20_000 / (best * 1e6)


def _timed(rounds):
    begun = time.perf_counter()
    _loop(rounds)
    return time.perf_counter() - begun


ROUNDS_PER_US = _calibrate()


def answer(path):
    """Status and body. The work of /cpu is calibrated, not timed: a busy CPU takes longer for it."""
    kind, _, number = path.lstrip("/").partition("/")
    if path in ("/", "/plaintext"):
        return "200 OK", b"Hello, World!"
    if kind in ("cpu", "sleep") and number.isdecimal() and int(number) <= 60_000_000:
        if kind == "cpu":
            _loop(int(int(number) * ROUNDS_PER_US))
        else:
            time.sleep(int(number) / 1e6)
        return "200 OK", b"done"
    return "404 Not Found", b"not found"


def application(environ, start_response):
    status, body = answer(environ.get("PATH_INFO", "/"))
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
