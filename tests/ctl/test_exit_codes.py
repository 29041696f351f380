# SPDX-License-Identifier: PostgreSQL
"""Every row of the table of exit codes, and what people are told."""

import os
import socket
import subprocess

import pytest
from conftest import PROGRAM, environment, run
from recorded import document

NAMED = {"show": ["prod"], "approve": ["prod", "1f3a5c7e9b0d2f46"], "reject": ["prod", "1f3a5c7e9b0d2f46"], "undo": ["1"],
         "suspend": ["prod"], "resume": ["prod"], "migrations": ["prod"], "import": ["prod"], "config": ["show"]}
ONLINE = ["status", "show", "diff", "reconcile", "approve", "reject", "undo", "suspend", "resume", "migrations", "events", "access",
          "import", "wait", "config", "reload", "ping", "version"]


def test_ok(ctl):
    for verb in ("status", "ping", "version", "events", "reload"):
        assert ctl(verb, expect=0).err.count("\n") <= 1


def test_drift(ctl, recorded):
    assert "DROP ROLE legacy" in ctl("diff", "prod", expect=1).out
    assert "DROP ROLE legacy" in ctl("reconcile", "--dry-run", "prod", expect=1).out
    assert recorded.asked("POST", "/v1/reconcile") == []
    assert ctl("diff", "prod/billing", expect=0).out == "no difference: 1 target in sync\n"
    ctl("status", "--exit-code", "prod", expect=1)
    ctl("status", "--exit-code", "prod/billing", expect=0)
    ctl("status", "prod", expect=0)
    recorded.post("/v1/reconcile", document("reconcile-held"))
    ctl("reconcile", "--wait", expect=1)


@pytest.mark.parametrize("args", [
    ["nonsense"], ["re"], [""], ["--nonsense"], ["status", "--nonsense"], ["show"], ["show", "a", "b"], ["-o", "xml"], ["-t", "soon"],
    ["-t", "0"], ["--color=blue"], ["-w0"], ["-w", "reconcile"], ["-o", "json", "metrics"], ["-o", "json", "completion", "bash"],
    ["completion", "tcsh"], ["config"], ["config", "burn"], ["approve", "prod", "xyz"], ["approve", "prod", "1f3"], ["undo", "x"],
    ["suspend", "prod", "--for=soon"], ["events", "--since=yesterday"], ["events", "--limit=many"], ["wait", "--for=christmas"],
    ["reconcile", "--wait", "--dry-run"], ["migrations", "prod", "extra"],
    ["migrations", "prod", "baseline"], ["migrations", "prod", "repair", "5"], ["migrations", "prod", "resolve", "5"],
    ["migrations", "prod", "resolve", "5", "--applied", "--not-applied"], ["migrations", "prod", "run"],
    ["migrations", "prod", "run", "--out-of-order"], ["migrations", "prod", "undo", "--out-of-order"], ["migrations", "prod", "undo", "5", "6"],
    ["migrations", "prod", "repair", "--applied"], ["-w", "migrations", "prod", "repair"], ["diff", "--sql", "-o", "json"], ["status", "nowhere"],
    ["diff", "prod/orderz"], ["help", "nonsense"], ["-s", ""],
])
def test_usage(ctl, args):
    result = ctl(*args, expect=2)
    assert result.err and not result.out


def test_usage_helps(ctl):
    assert 'did you mean "status"?' in ctl("statsu", expect=2).err
    assert "reconcile, reject, resume, reload" in ctl("re", expect=2).err
    assert 'did you mean "prod/orders"?' in ctl("status", "prod/orderz", expect=2).err


def test_socket_path_too_long():
    result = run("-s", "/tmp/" + "x" * 200, "ping")
    assert result.code == 2 and "too long" in result.err


@pytest.mark.parametrize("verb", ONLINE)
def test_unreachable(directory, verb):
    path = os.path.join(directory, "none.sock")
    result = run("-s", path, verb, *NAMED.get(verb, []))
    assert result.code == 3
    assert f"is dbreconciled running? socket {path}: No such file or directory" in result.err
    if verb != "version":
        assert result.out == ""


def test_refused(directory):
    path = os.path.join(directory, "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        result = run("-s", path)
    assert (result.code, result.out) == (3, "")
    assert result.err == f"dbreconcilectl: is dbreconciled running? socket {path}: Connection refused\n"
    assert run(DBRECONCILE_SOCKET=path).err == result.err


def test_metrics_unreachable(directory):
    result = run("-s", os.path.join(directory, "control.sock"), "metrics")
    assert result.code == 3 and os.path.join(directory, "metrics.sock") in result.err


def test_daemon_goes_away(ctl, recorded):
    recorded.get("/v1/ping", lambda handler: handler.connection.close())
    assert "ended the connection" in ctl("ping", expect=3).err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_permission(recorded, directory):
    os.chmod(directory, 0o755)
    os.chmod(recorded.path, 0o660)
    copy = os.path.join(directory, "dbreconcilectl")
    with open(PROGRAM, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    os.chmod(copy, 0o755)
    done = subprocess.run([copy, "-s", recorded.path, "status"], capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                          env=environment(), cwd="/")
    assert done.returncode == 4 and "Permission denied" in done.stderr and "dbreconcile-admin" in done.stderr


@pytest.mark.parametrize("name, code", [("403", 4), ("404", 2), ("409", 5), ("422", 7), ("500", 70), ("501", 70), ("503", 3)])
def test_daemon_refuses(ctl, recorded, name, code):
    answer = document("error-" + name)
    recorded.post("/v1/targets/prod/approve", answer, int(name))
    recorded.post("/v1/reload", answer, int(name))
    for args in (["approve", "prod", "1f3a5c7e9b0d2f46"], ["reload"]):
        result = ctl(*args, expect=code)
        assert result.out == "" and answer["error"]["message"] in result.err


def test_config_errors_are_all_told(ctl, recorded):
    recorded.post("/v1/reload", document("error-422"), 422)
    err = ctl("reload", expect=7).err
    assert "/etc/x.conf:3: setting 'daemon.intervall': unknown key" in err and "/etc/y.conf:9: syntax error" in err


def test_failed(ctl, recorded):
    ctl("diff", "lab", expect=5)
    ctl("diff", expect=5)
    ctl("status", "--exit-code", expect=5)
    recorded.post("/v1/reconcile", document("reconcile-failed"))
    ctl("reconcile", "--wait", expect=5)


def test_one_of_several_cannot_be_asked(ctl, recorded):
    recorded.get(recorded.target("prod/orders", "plan"), document("error-500"), 500)
    result = ctl("diff", "prod", "prod/orders", expect=5)
    assert "out of memory" in result.err and "prod/orders" in result.err and "legacy" in result.out


def test_timeout(ctl, recorded):
    def never(handler):
        handler.connection.settimeout(30)
        handler.rfile.read(1)
    recorded.get("/v1/ping", never)
    assert "timed out" in ctl("-t", "0.3", "ping", expect=6).err
    assert "prod is held" in ctl("-t", "1", "wait", expect=6).err
    recorded.post("/v1/reconcile", document("reconcile-late"))
    ctl("reconcile", "--wait", expect=6)


def test_wait_for_a_daemon_to_come(directory):
    path = os.path.join(directory, "later.sock")
    result = run("-s", path, "-t", "1", "wait")
    assert result.code == 3 and "is dbreconciled running?" in result.err


def test_wait(ctl, recorded):
    answers = [document("status"), document("status"), document("status-good")]

    def one_by_one(handler):
        import json
        body = json.dumps(answers.pop(0) if len(answers) > 1 else answers[0]).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    recorded.get("/v1/status", one_by_one)
    assert ctl("wait", "--for=in-sync", "prod").out == "1 target in sync\n"
    assert len(answers) == 1
    recorded.get("/v1/status", document("status-good"))
    ctl("-t", "1", "wait", "prod/not_seen_yet", expect=6)
    ctl("-t", "1", "wait", "other/x", expect=2)
    recorded.get("/v1/status", document("status-empty"))
    assert "nothing to wait for" in ctl("wait").err


def test_configuration(directory):
    bad, good = os.path.join(directory, "bad.conf"), os.path.join(directory, "good.conf")
    with open(bad, "w") as file:
        file.write("daemon: {\n  intervall = \"60s\";\n};\n")
    with open(good, "w") as file:
        file.write("daemon: {\n  mode = \"observe\";\n};\nservers: ();\n")
    for path in (bad, good):
        os.chmod(path, 0o640)
    result = run("config", "check", bad)
    assert result.code == 7 and f"{bad}:2: " in result.err and "intervall" in result.err and result.out == ""
    result = run("config", "check", good)
    assert result.code == 0 and "valid" in result.out, result
    assert run("config", "check", os.path.join(directory, "missing.conf")).code == 7


def test_internal(ctl, recorded):
    recorded.get("/v1/status", "hello")
    assert "not JSON" in ctl("status", expect=70).err
    recorded.get("/v1/status", document("ping"))
    assert "expected a document dbreconcile.status" in ctl("status", expect=70).err
    recorded.get("/v1/status", {**document("status"), "format_version": "2.0"})
    assert "2.0" in ctl("status", expect=70).err
    recorded.get("/v1/status", {**document("status"), "format_version": "1.7", "new_key": 1})
    ctl("status")


def test_full_disk(recorded):
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "-s", recorded.path, "status"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
    assert done.returncode == 70 and "No space left" in done.stderr


def test_check_has_the_codes_of_plugins(ctl, recorded, directory):
    assert ctl("check", expect=2).out.startswith("DBRECONCILE CRITICAL - 1 of 6 targets in sync, 1 suspended: prod (held)")
    assert ctl("check", "-w", "10", "-c", "20", expect=0).out.startswith("DBRECONCILE OK - ")
    out = ctl("check", "-w", "3", "-c", "20", expect=1).out
    assert out.startswith("DBRECONCILE WARNING - ") and " | out_of_sync=4;3;20;0;6 in_sync=1 targets=6 " in out
    assert out.count("\n") == 1 and out.count("|") == 1
    assert ctl("check", "prod", "prod/orders", expect=1).out.startswith("DBRECONCILE WARNING - 0 of 2")
    assert ctl("check", "-w", "x", expect=3).out.startswith("DBRECONCILE UNKNOWN - ")
    assert ctl("check", "nowhere", expect=3).out.startswith("DBRECONCILE UNKNOWN - ")
    recorded.get("/v1/status", document("status-good"))
    assert ctl("check", expect=0).out.startswith("DBRECONCILE OK - 2 of 2 targets in sync | out_of_sync=0;0;;0;2 ")
    dead = run("-s", os.path.join(directory, "none.sock"), "check")
    assert dead.code == 2 and dead.out.startswith("DBRECONCILE CRITICAL - is dbreconciled running?")
