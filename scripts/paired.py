"""What scripts that compare two servers in paired rounds share: no program of its own."""
import importlib.machinery
import importlib.util
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))


def _load(name):
    path = os.path.join(HERE, name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


paired = _load("floor-ratios").paired


def needs(*programs):
    """The paths of programs, or an end that names the one which is missing."""
    found = [shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin") for program in programs]
    if missing := [program for program, path in zip(programs, found) if not path]:
        sys.exit(f"error: not installed: {', '.join(missing)}")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """A process and all that descend from it."""
    pids = [pid]
    for pid in pids:
        for task in _tasks(pid):
            try:
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    pids += map(int, children.read().split())
            except OSError:
                pass  # It has ended.
    return pids


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def cpu_us(pid):
    """CPU time of a tree of processes, microseconds: of all threads, ended ones too, but not of ended processes."""
    total = 0
    for one in tree(pid):
        try:
            total += time.clock_gettime_ns((~one << 3) | 2)  # The CPU clock of that process: clock_getcpuclockid(3).
        except OSError:
            pass  # It has ended.
    return total / 1e3


class Server:
    """A server on CPU 0, from when it accepts at `port` to the end of the block."""

    def __init__(self, command, port, cpu="0"):
        self.port = port
        self.process = subprocess.Popen(["taskset", "-c", cpu, *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(1000):
            if self.process.poll() is not None:
                sys.exit(f"error: {command[0]} has ended: {self.process.stderr.read().strip()}")
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.01)
        self.__exit__()
        sys.exit(f"error: {command[0]} does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()


def per_request(server, path, connections, seconds, script=None):
    """µs of CPU of the server per request that wrk, on CPU 1, got a good answer to."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", script] if script else []
    before = cpu_us(server.process.pid)
    out = subprocess.run([*command, f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True)
    spent = cpu_us(server.process.pid) - before
    if bad := re.search(r"Non-2xx.*|Socket errors.*", out.stdout):
        sys.exit(f"error: {bad.group()}")
    answered = re.search(r"(\d+) requests in", out.stdout)
    if not answered or int(answered.group(1)) == 0:
        sys.exit(f"error: no request was answered: {out.stdout}{out.stderr}")
    return spent / int(answered.group(1))


def rounds(servers, measure, count):
    """Measures each of two servers once per round, the order turned from round to round, and prints the ratio."""
    figures = {name: [] for name in servers}
    names = list(servers)
    for turn in range(count):
        for name in names if turn % 2 == 0 else names[::-1]:
            figures[name].append(measure(name))
        print("  ".join(f"{name} {figures[name][-1]:.2f}" for name in names), flush=True)
    own, other = (figures[name] for name in names)
    ratio, interval = paired(own, other)
    medians = ", ".join(f"{name} {statistics.median(figures[name]):.2f}" for name in names)
    bounds = f"{interval[0]:.3f} to {interval[1]:.3f}, 95 %" if interval else "too few rounds for an interval"
    print(f"µs of CPU per request, medians of {count} rounds: {medians}")
    print(f"{names[0]} / {names[1]}: {ratio:.3f} ({bounds})")
