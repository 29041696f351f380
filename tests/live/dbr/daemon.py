# SPDX-License-Identifier: PostgreSQL
"""The daemon under test with files, sockets and state of its own, and the operator's tool that talks to it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
from collections import namedtuple
from urllib.parse import quote

from .libconfig import libconfig
from .users import IS_ROOT, give_to, run_as
from .waiting import seconds, wait_for

BUILD = os.path.abspath(os.environ.get("top_builddir", "build"))
SANITIZERS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")
# The slow unwinder names the place of every allocation, also where a library without frame pointers made it, and is two thirds of
# what a call of dbreconcilectl costs with sanitizers: for whoever looks for the place.
PLACE = "(no place of ours is named? run this test with ASAN_OPTIONS=detect_leaks=1:exitcode=99:fast_unwind_on_malloc=0)"

Result = namedtuple("Result", "code out err")


class Response(namedtuple("Response", "status headers text")):
    def json(self):
        return json.loads(self.text)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def http_request(sock, path, method="GET", body=None, timeout=30, headers=None):
    connection = _UnixConnection(sock, seconds(timeout))
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read().decode("utf-8"))
    finally:
        connection.close()


# The name that tests use; "http" is also a module of Python, which this file needs itself.
http = http_request


def _environment(more):
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG") and name not in (
        "NOTIFY_SOCKET", "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY")}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.update(more or {})
    return env


def run(program, *args, env=None, user=None, timeout=120, stdin=None):
    """Run a program of the build directory and return Result(code, out, err); a sanitizer's report fails the test."""
    path = os.path.join(BUILD, program)
    done = subprocess.run([path, *args], input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
                          text=True, timeout=seconds(timeout), env=_environment(env), cwd="/", **run_as(user))
    assert not any(word in done.stderr for word in SANITIZERS), f"{program} {' '.join(args)}:\n{done.stderr}\n{PLACE}"
    return Result(done.returncode, done.stdout, done.stderr)


class Daemon:
    """One daemon. Nothing starts before start(); write() and the manifests can be changed while it runs (then reload()).

    servers    list of dicts as in the configuration file, or one dict
    manifests  {"name": text or dict}: files of the manifests directory
    migrations {"directory": {"V001__a.sql": text}}
    daemon, guard, control: dicts that are merged over the defaults of the tests; `config` replaces the whole text
    user       runs it as this user where the tests run as root ("nobody"); None: as we are
    """

    def __init__(self, workspace, servers=(), manifests=None, migrations=None, daemon=None, guard=None, control=None,
                 config=None, user=None, env=None, args=()):
        self.user = user if IS_ROOT else None
        self.directory = workspace.directory("d", self.user)
        self.control_socket = os.path.join(self.directory, "control.sock")
        self.metrics_socket = os.path.join(self.directory, "metrics.sock")
        self.state_file = os.path.join(self.directory, "state.db")
        self.config_file = os.path.join(self.directory, "dbreconciled.conf")
        self.log_file = os.path.join(self.directory, "log")
        self.env = env
        self.args = args
        self.process = None
        for name in ("manifests", "migrations", "conf.d"):
            self._mkdir(name)
        if config is None:
            config = self.settings(servers, daemon, guard, control)
        self.write("dbreconciled.conf", config)
        for name, text in (manifests or {}).items():
            self.manifest(name, text)
        for directory, files in (migrations or {}).items():
            for name, text in files.items():
                self.migration(directory, name, text)

    # Files

    def _mkdir(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path, 0o755, exist_ok=True)
        os.chmod(path, 0o755)
        give_to(path, self.user)

    def write(self, name, text, mode=0o640):
        """Write a file of its directory, in one step (rename), with an owner and a mode that the daemon accepts."""
        path = os.path.join(self.directory, name)
        self._mkdir(os.path.dirname(path))
        data = text if isinstance(text, bytes) else libconfig(text).encode("utf-8")
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.chmod(path + ".new", mode)
        give_to(path + ".new", self.user)
        os.rename(path + ".new", path)
        return path

    def manifest(self, name, text):
        return self.write(f"manifests/{name}.conf", text)

    def migration(self, directory, name, text):
        return self.write(f"migrations/{directory}/{name}", text.encode("utf-8") if isinstance(text, str) else text)

    def settings(self, servers, daemon=None, guard=None, control=None):
        """The main file as a dict: fast intervals, everything below the daemon's own directory."""
        return {
            "daemon": {"mode": "enforce", "interval": "1s", "manifests": os.path.join(self.directory, "manifests"),
                       "migrations": os.path.join(self.directory, "migrations"), "state": self.state_file, **(daemon or {})},
            "servers": (servers,) if isinstance(servers, dict) else tuple(servers),
            "guard": guard,
            "control": {"socket": self.control_socket, "metrics_socket": self.metrics_socket, **(control or {})},
        }

    # Life

    def _program(self):
        path = os.path.join(BUILD, "dbreconciled")
        assert os.access(path, os.X_OK), f"{path} is not there: build first, or set top_builddir"
        if self.user is None:
            return path
        # The build directory may be closed to that user (a clone in root's home).
        copy = os.path.join(self.directory, "dbreconciled")
        if not os.path.exists(copy):
            shutil.copy2(path, copy)
            os.chmod(copy, 0o755)
        return copy

    def spawn(self, *args):
        """Start it and do not wait."""
        assert self.process is None, "already started"
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([self._program(), "-c", self.config_file, *self.args, *args], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", env=_environment(self.env), **run_as(self.user))
        return self

    def start(self, *args):
        """Start it and wait until its control socket answers."""
        self.spawn(*args)
        wait_for(self._answers, 15, "the daemon answers GET /v1/ping on its control socket", self.log_tail)
        return self

    def _answers(self):
        assert self.running(), self._ended()
        try:
            return self.http("/v1/ping", timeout=5).status == 200
        except OSError as error:
            raise AssertionError(str(error)) from None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def _ended(self):
        code = None if self.process is None else self.process.returncode
        return f"the daemon has ended with {code}; its log ends with:\n{self.log_tail()}"

    def once(self, *args, timeout=120):
        """Run it with --once to its end and return Result(code, "", log of this run)."""
        mark = len(self.log())
        self.spawn("--once", *args)
        code = self.wait(timeout)
        return Result(code, "", self.log()[mark:])

    def wait(self, timeout=60):
        """Wait until it ends by itself; the exit code."""
        try:
            code = self.process.wait(seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon has not ended within {seconds(timeout):g} s:\n{self.log_tail()}") from None
        self.process = None
        self._no_sanitizer_report()
        return code

    def stop(self, expect=0, timeout=30):
        """SIGTERM, and it has to end in time with the code expected."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait(timeout)
        assert code == expect, f"the daemon ended with {code}, expected {expect}:\n{self.log_tail()}"

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait()
        self.process = None

    def discard(self):
        """For the end of a test: whatever state it is in, it has to be gone afterwards, and cleanly."""
        if self.process is None:
            self._no_sanitizer_report()
        else:
            self.process.send_signal(signal.SIGCONT)
            try:
                self.stop()
            finally:
                if self.process is not None:
                    self.kill()

    def _no_sanitizer_report(self):
        log = self.log()
        assert not any(word in log for word in SANITIZERS), f"a sanitizer reports:\n{log[-8000:]}\n{PLACE}"

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def reload(self, expect=0):
        """dbreconcilectl reload: it returns when the new generation runs, or was refused."""
        return self.ctl("reload", expect=expect)

    # Talking to it

    def ctl(self, *args, expect=None, timeout=120, **more):
        """dbreconcilectl with this daemon's socket. `expect` is the exit code, or a collection of allowed ones."""
        result = run("dbreconcilectl", "-s", self.control_socket, *args, timeout=timeout, **more)
        allowed = expect if isinstance(expect, (tuple, set, list)) else (expect,)
        assert expect is None or result.code in allowed, (
            f"dbreconcilectl {' '.join(args)} ended with {result.code}, expected {expect}\n"
            f"stdout:\n{result.out}\nstderr:\n{result.err}\ndaemon's log:\n{self.log_tail()}")
        return result

    def json(self, *args, expect=None, **more):
        """dbreconcilectl -o json ... as Python values."""
        result = self.ctl("-o", "json", *args, expect=expect, **more)
        try:
            return json.loads(result.out)
        except ValueError as error:
            raise AssertionError(f"dbreconcilectl -o json {' '.join(args)} printed no JSON ({error}), code {result.code}:\n"
                                 f"{result.out}\n{result.err}") from None

    def http(self, path, method="GET", body=None, timeout=30, **more):
        return http_request(self.control_socket, path, method, body, timeout, **more)

    def metrics_http(self, path="/metrics", **more):
        return http_request(self.metrics_socket, path, **more)

    def metrics(self):
        """{'name{label="x"}': value} of GET /metrics."""
        rows = (line.rsplit(" ", 1) for line in self.metrics_http().text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    @staticmethod
    def target_path(target, *more):
        """/v1/targets/prod%2Forders[/more]"""
        return "/".join(["/v1/targets", quote(target, safe=""), *more])

    def reconcile(self, *targets, expect=0, timeout=60):
        """dbreconcilectl reconcile --wait"""
        return self.ctl("reconcile", "--wait", *targets, expect=expect, timeout=timeout)

    def wait_in_sync(self, *targets, timeout=30):
        """Wait until `dbreconcilectl status` calls the targets (or all there are) in sync."""
        wait_for(lambda: self._all_in_sync(targets), timeout, f"in sync: {', '.join(targets) or 'every target'}",
                 lambda: self.ctl("status").out + self.log_tail())

    def _all_in_sync(self, targets):
        status = self.json("status", *targets)
        rows = status["targets"]
        bad = [row for row in rows if row["state"] != "in_sync"]
        assert rows and not bad, f"not in sync: {bad}"
        return True
