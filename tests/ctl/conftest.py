# SPDX-License-Identifier: PostgreSQL
import os
import subprocess
import tempfile
from collections import namedtuple

import pytest
from recorded import Recorded

PROGRAM = os.path.join(os.path.abspath(os.environ.get("top_builddir", "build")), "dbreconcilectl")
Result = namedtuple("Result", "code out err")
SANITIZERS = ("AddressSanitizer", "LeakSanitizer", "runtime error:")


def environment(**more):
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CLICOLOR_FORCE", "DBRECONCILE_SOCKET")}
    return {**env, "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


def run(*args, timeout=60, **env):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout,
                          env=environment(**env))
    assert not any(word in done.stderr for word in SANITIZERS), done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def directory():
    """Short, because the path of a Unix socket is."""
    with tempfile.TemporaryDirectory(prefix="dbr", dir="/tmp") as path:
        yield path


@pytest.fixture
def recorded(directory):
    server = Recorded(os.path.join(directory, "control.sock"))
    yield server
    server.stop()


@pytest.fixture
def ctl(recorded):
    """ctl("status", expect=0) against the recorded documents."""
    def call(*args, expect=0, **more):
        result = run("-s", recorded.path, *args, **more)
        assert result.code == expect, f"{args}: {result}"
        return result
    return call
