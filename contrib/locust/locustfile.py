"""Locust as the coordinator of several `turnstile load`: README.md says how it is used.

The master divides one load among the machines, lets them start together and adds up their records.
Locust's page shows a preview; the result is what `turnstile load merge` makes of the records.
"""

import ctypes
import json
import os
import re
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

import gevent
from gevent import subprocess
from locust import User, events, task
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from locust.stats import StatsEntry

TURNSTILE = os.environ.get("TURNSTILE", "turnstile")
PREVIEW = ("preview", "PREVIEW of turnstile load, not the result")
GONE_S, SILENT_S, LATE_SHARE = 3, 30, 0.05


class Run:
    """A run, seen by the master."""

    def __init__(self, environment):
        self.environment, self.runner, self.options = environment, environment.runner, environment.parsed_options
        self.said, self.seen, self.problems = {}, {}, []  # by machine: its words with time and text; when it was there

    def heard(self, msg):
        if msg.node_id in self.said:
            self.said[msg.node_id][msg.data["word"]] = self.said[msg.node_id]["last"] = time.monotonic(), msg.data["text"]

    def tell(self, word, text=None, machines=None):
        for machine in self.said if machines is None else machines:
            self.runner.send_message("turnstile", {"word": word, "text": text}, machine)

    def name(self, machine):
        return f"{machine.rsplit('_', 1)[0]} (index {self.runner.get_worker_index(machine)})"

    def problem(self, line):
        self.problems.append(line)
        print(f"INVALID: {line}", file=sys.stderr, flush=True)

    def is_gone(self, machine):
        node, now = self.runner.clients.get(machine), time.monotonic()
        if node is not None and node.state != STATE_MISSING:
            self.seen[machine] = now
        return now - self.seen.setdefault(machine, now) > GONE_S

    def wait(self, word, machines):
        """Waits until each machine has said `word`; gives those that have, and names the others."""
        good, waiting, since = list(machines), list(machines), time.monotonic()
        while waiting:
            for machine in list(waiting):
                said, why = self.said[machine], None
                silent_s = time.monotonic() - max(since, said.get("last", (0,))[0])
                if word not in said:
                    if "failed" in said:
                        why = said["failed"][1]
                    elif self.is_gone(machine):
                        why = "it is lost: no heartbeat comes from it"
                    elif silent_s > SILENT_S:
                        why = f"it is late: not {word}, and silent for {SILENT_S} s"
                    else:
                        continue
                waiting.remove(machine)
                if why:
                    good.remove(machine)
                    self.problem(f"machine {self.name(machine)}: {why}")
            gevent.sleep(0.05)
        return good

    def gather(self):
        """The machines, as soon as all are there."""
        wanted, deadline = self.options.machines, time.monotonic() + self.options.machines_within
        while True:
            there = [node.id for node in self.runner.clients.all if node.state != STATE_MISSING]
            if len(there) >= wanted:
                return sorted(there, key=self.runner.get_worker_index)[:wanted]
            if time.monotonic() > deadline:
                names = ", ".join(map(self.name, there))
                within = self.options.machines_within
                raise ValueError(f"only {len(there)} of {wanted} machines came within {within:g} s: {names}")
            gevent.sleep(0.1)

    def measure(self):
        if not self.options.load:
            raise ValueError("--load does not say what to send")
        machines = self.gather()
        self.said = {machine: {} for machine in machines}
        for index, machine in enumerate(machines):
            share = f"--share={index + 1}/{len(machines)}"
            self.tell("load", [*shlex.split(self.options.load), share], [machine])
        if self.wait("opened", machines) != machines:
            self.tell("kill")
            raise ValueError("nothing was sent, because not every machine could begin")
        self.tell("go")
        print(f"{len(machines)} machines begin", flush=True)
        done = self.wait("done", machines)
        self.tell("end")
        return self.merge(self.wait("record", done))

    def merge(self, machines):
        texts = {machine: self.said[machine]["record"][1] for machine in machines}
        records = {machine: json.loads(text.split("\n")[1]) for machine, text in texts.items()}
        first_ns = min((record["windows_unix_ns"][0] for record in records.values()), default=0)
        files = []
        with tempfile.TemporaryDirectory() as folder:
            for machine, record in records.items():
                name = self.name(machine)
                slices = record["books"]["slices"]
                scheduled, answered = (sum(part[what] for part in slices) for what in ("scheduled", "answered"))
                print(f"machine {name}: {answered} of {scheduled} requests answered correctly", flush=True)
                for reason in record["reasons"]:
                    print(f"machine {name}: {reason}", flush=True)
                behind_ns = record["windows_unix_ns"][0] - first_ns
                if behind_ns > LATE_SHARE * record["shape"]["duration_ns"]:
                    self.problem(f"machine {name}: it was late: it began {behind_ns / 1e9:.1f} s after the first, by their clocks")
                    continue
                files.append(Path(folder, re.sub(r"[^\w.-]+", "-", name).strip("-") + ".hdr"))
                files[-1].write_text(texts[machine])
            if not files:
                raise ValueError("there is no record to add up")
            invalid = [f"--invalid={line}" for line in self.problems]
            # A sum that is not valid is a failure, with one line that says why.
            merge = [TURNSTILE, "load", "merge", "--fail-on=invalid", *files, *invalid]
            return subprocess.call([*merge, *shlex.split(self.options.merge)])

    def coordinate(self):
        try:
            status = self.measure()
        except (ValueError, OSError) as error:
            self.problem(str(error))
            status = 1
        self.environment.process_exit_code = status or int(bool(self.problems))
        self.runner.quit() if self.options.headless else self.runner.stop()


class Machine:
    """One of the machines, seen by itself."""

    def __init__(self, environment):
        self.environment, self.runner, self.process = environment, environment.runner, None

    def say(self, word, text=None):
        self.runner.send_message("turnstile", {"word": word, "text": text})

    def heard(self, msg):
        word = msg.data["word"]
        if word == "load":
            gevent.spawn(self.load, msg.data["text"])
        elif self.process is None or self.process.poll() is not None:
            pass  # It has told why it ended.
        elif word in ("go", "end"):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        else:
            self.process.send_signal(signal.SIGKILL if word == "kill" else signal.SIGTERM)

    def load(self, arguments):
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder, "record.hdr")
            command = [TURNSTILE, "load", *arguments, "--edges", "--quiet", "--preview", "--emit-hdr", str(record)]
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            dies_with_us = lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
            try:
                self.process = subprocess.Popen(command, preexec_fn=dies_with_us, **pipes)
            except OSError as error:
                return self.say("failed", f"cannot run {TURNSTILE}: {error.strerror}")
            last = gevent.spawn(self.look, self.process.stderr)
            for line in self.process.stdout:
                self.say(line.decode().strip())
            status, last = self.process.wait(), last.get()
            if status == 0 and record.exists():
                return self.say("record", record.read_text())
            self.say("failed", f"load was killed by signal {-status}" if status < 0 else last or f"load ended with {status}")

    def look(self, lines):
        """Shows the preview of a run as it comes, and gives the last line that is none."""
        last, old = "", {"answered": 0, "failed": 0}  # An error is one line, and clap adds how to get help.
        for line in lines:
            line = line.decode(errors="replace").strip()
            if line.startswith("{"):
                new = json.loads(line)
                self.show(new["answered"] - old["answered"], new["failed"] - old["failed"], new["mean_us"])
                old = new
            elif line:
                last = last if last.startswith("error: ") else line
            self.say("alive")
        return last.removeprefix("error: ")

    def show(self, answered, failed, mean_us):
        """Counts replies and failures on Locust's page, each at the mean of its quarter of a second."""
        stats, now = self.environment.stats, time.time()
        part = StatsEntry(stats, PREVIEW[1], PREVIEW[0])
        part.num_requests, part.num_failures, part.last_request_timestamp = answered + failed, failed, now
        part.num_reqs_per_sec[int(now)], part.num_fail_per_sec[int(now)] = answered + failed, failed
        part.num_none_requests = failed
        if answered:
            mean_ms = mean_us / 1000
            part.min_response_time = part.max_response_time = mean_ms
            part.total_response_time, part.response_times[round(mean_ms, 1)] = mean_ms * answered, answered
        for entry in (stats.get(PREVIEW[1], PREVIEW[0]), stats.total) if answered + failed else ():
            entry.extend(part)


class Onlooker(User):
    """Locust wants a user. The load is sent by turnstile."""

    @task
    def look_on(self):
        gevent.sleep(1)


@events.init_command_line_parser.add_listener
def add_arguments(parser):
    parser.add_argument("--load", metavar="'URL FLAGS'", help="The whole load, as turnstile load takes it")
    parser.add_argument("--merge", metavar="'FLAGS'", default="", help="Flags of turnstile load merge, such as --json")
    parser.add_argument("--machines", type=int, default=1, help="How many machines share the load")
    parser.add_argument("--machines-within", type=float, default=60, help="Seconds until all of them must be there")


@events.init.add_listener
def begin(environment, **_):
    if isinstance(environment.runner, WorkerRunner):
        machine = Machine(environment)
        environment.runner.register_message("turnstile", lambda environment, msg: machine.heard(msg))
    elif isinstance(environment.runner, MasterRunner):
        runs = []
        environment.runner.register_message("turnstile", lambda environment, msg: runs and runs[-1].heard(msg))
        environment.events.test_start.add_listener(lambda environment: runs.append(Run(environment)))
        environment.events.test_start.add_listener(lambda environment: gevent.spawn(runs[-1].coordinate))
        environment.events.test_stopping.add_listener(lambda environment: runs and runs[-1].tell("stop"))
    else:
        sys.exit("this locustfile needs --master, or --worker on each machine that sends load")
