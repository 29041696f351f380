# SPDX-License-Identifier: PostgreSQL
"""The form of what is printed: documents and schemas, tables, colour, and names that try to be more than names."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios

import pytest
from conftest import PROGRAM, environment
from jsonschema import Draft202012Validator
from recorded import Recorded, document, documents, schema

VERBS = [["status"], ["status", "prod"], ["show", "prod"], ["diff"], ["diff", "prod/billing"], ["reconcile", "--wait"],
         ["reconcile", "--dry-run"], ["approve", "prod", "1f3a5c7e9b0d2f46"], ["reject", "prod", "1f3a5c7e9b0d2f46"],
         ["undo", "1234"], ["suspend", "prod", "--reason=upgrade", "--for=2h"], ["resume", "prod"], ["migrations", "prod/orders"], ["migrations"], ["migrations", "--all"],
         ["migrations", "release", "eu/canary"], ["migrations", "eu/canary", "accept-schema"], ["events"],
         ["events", "prod"], ["wait", "prod/billing"], ["check"], ["config", "show"], ["config", "check", "/nonexistent"], ["reload"],
         ["ping"], ["version"]]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def validate(doc):
    Draft202012Validator(schema(doc["format"])).validate(doc)


@pytest.mark.parametrize("name", documents())
def test_recorded_documents_are_valid(name):
    validate(document(name))


def test_schemas_refuse():
    """A schema that accepts everything would prove nothing."""
    for name in documents():
        doc = document(name)
        for key in schema(doc["format"])["required"]:
            assert not Draft202012Validator(schema(doc["format"])).is_valid({k: v for k, v in doc.items() if k != key}), (name, key)
    row = document("status")
    row["targets"][0]["state"] = "In sync"
    assert not Draft202012Validator(schema("dbreconcile.status")).is_valid(row)
    row = document("status")
    row["targets"][0]["last_success"] = "2026-11-21 09:30:00"
    assert not Draft202012Validator(schema("dbreconcile.status")).is_valid(row)


@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_json_of_every_verb(ctl, args):
    result = ctl("-o", "json", *args, expect={"diff": 5, "check": 2, "config": 0}.get(args[0], 0) if args != ["diff", "prod/billing"]
                 and args[:2] != ["config", "check"] and args[-1] != "--dry-run" else {"config": 7, "reconcile": 5}.get(args[0], 0))
    doc = json.loads(result.out)
    validate(doc)
    assert doc["format"].startswith("dbreconcile.") and doc["format_version"] == "1.0"
    assert "\x1b" not in result.out


def test_json_of_streams(ctl, recorded):
    def stream(handler):
        handler.send_response(200)
        handler.end_headers()
        for event in document("events")["events"]:
            line = json.dumps({"format": "dbreconcile.event", "format_version": "1.0", **event})
            handler.wfile.write(line[:20].encode())
            handler.wfile.flush()
            handler.wfile.write(line[20:].encode() + b"\n\n")
    recorded.get("/v1/events", stream)
    lines = ctl("-o", "json", "events", "--follow", "--since=2h", expect=3).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        validate(json.loads(line))
    assert recorded.asked("GET", "/v1/events")[-1] == {"since": ["2h"], "follow": ["1"]}
    ctl("events", "--follow", "--since=2026-11-21", expect=3)
    assert recorded.asked("GET", "/v1/events")[-1] == {"since": ["2026-11-21"], "follow": ["1"]}
    text = ctl("events", "--follow", "prod/*", expect=3).out
    assert len(text.splitlines()) == 2 and "uid 1000" not in text


def test_status_is_narrowed(ctl):
    doc = json.loads(ctl("-o", "json", "status", "prod/*").out)
    assert [row["target"].split("/")[0] for row in doc["targets"]] == ["prod"] * 3
    assert doc["summary"]["targets"] == 3 and doc["summary"]["drift"] == 1 and doc["summary"]["unreachable"] == 0


def test_status_table(ctl):
    lines = ctl("status").out.splitlines()
    assert lines[0].split() == ["TARGET", "MODE", "STATE", "DRIFT", "HELD", "BLOCKED", "LAST-SUCCESS", "NEXT", "MESSAGE"]
    assert re.match(r"prod +enforce +held +2 +1 +0 +(in )?\d+\w+( ago)? .*1 change is held: drops need approval$", lines[1])
    assert re.match(r"prod/billing +enforce +in sync +0 ", lines[3])
    assert ctl("status", "--no-legend", "prod").out.count("\n") == 1
    assert ctl("-q", "status").out == ""
    assert ctl().out == ctl("status").out == ctl("stat").out


def test_tsv(ctl):
    rows = [line.split("\t") for line in ctl("-o", "tsv", "status").out.splitlines()]
    assert len(rows) == 7 and {len(row) for row in rows} == {len(rows[0])}
    assert rows[3][rows[0].index("STATE")] == "in_sync"
    assert rows[1][rows[0].index("LAST-SUCCESS")] == "2026-11-21T09:30:00Z"
    assert not ctl("-o", "tsv", "--no-legend", "status").out.startswith("TARGET")


def test_diff(ctl):
    out = ctl("diff", "prod", expect=1).out
    plan = "1f3a5c7e9b0d2f46"
    assert out.splitlines() == [
        "prod",
        "  ~ ALTER ROLE app CONNECTION LIMIT 5     manifests/platform.conf:3",
        "  ~ set the password of app               manifests/orders.conf:12",
        f"  ! DROP ROLE legacy — held: drops need approval (plan {plan}; dbreconcilectl approve prod {plan})     manifests/platform.conf:9",
        "  0 to add, 2 to change, 0 to remove, 1 held, 0 blocked",
    ]
    assert "? SELECT on 12 tables of app held by carol — unmanaged" in ctl("diff", "prod/orders", expect=1).out


def test_diff_asks_for_a_fresh_look(ctl, recorded):
    ctl("diff", "prod", expect=1)
    ctl("diff", "--cached", "prod", expect=1)
    assert [query.get("fresh") for query in recorded.asked("GET", recorded.target("prod", "plan"))] == [["1"], None]


def test_diff_sql(ctl, recorded):
    assert ctl("diff", "--sql", "prod/orders", expect=1).out == (
        "GRANT SELECT ON TABLE app.a, app.b, app.c TO analytics;\n"
        "REVOKE INSERT ON TABLE app.a FROM bob;\n"
        "-- run by the daemon: run migration V002__two.sql\n")
    assert ctl("diff", "--sql", "prod/billing").out == ""
    lines = ctl("diff", "--sql", expect=5).out.splitlines()
    assert lines[0] == "ALTER ROLE app CONNECTION LIMIT 5;"
    assert "\\connect -reuse-previous=on \"dbname='orders'\"" in lines
    # What is held, blocked or secret is a comment, whatever is in it.
    assert [line for line in lines if "legacy" in line or "redacted" in line] == [
        "-- not shown whole, it holds a secret: ALTER ROLE app PASSWORD <redacted>", "-- held, drops need approval: DROP ROLE legacy"]
    assert all(line.startswith("-- ") for line in lines if "DROP" in line)


def test_diff_sql_of_several_servers_stops_between(ctl, recorded):
    for name in ("lab/dev",):
        plan = document("plan-1")
        recorded.get(recorded.target(name, "plan"), {**plan, "target": name})
    out = ctl("diff", "--sql", "prod/orders", "lab/dev", expect=1).out
    first, second = out.split("\\quit\n")
    assert "GRANT" in first and "GRANT" in second


def test_show(ctl):
    out = ctl("show", "prod").out
    for text in ("PostgreSQL 15.8", "drift         role 2", "in sync    no", "migrated   unknown", "blocked: V001__one.sql was changed",
                 "! DROP ROLE legacy", "lock timeout, SQLSTATE 55P03"):
        assert text in out
    assert "status.state\theld" in ctl("-o", "tsv", "show", "prod").out


def test_undo_says_what_would_run_and_what_lets_it(ctl, recorded):
    answer = document("undo")
    for number in ("1234", "#1234"):
        assert ctl("undo", number).out == (
            "prod/orders: change 1234, GRANT SELECT ON table app.users TO reporting, would be undone by\n"
            "    BEGIN;\n"
            '    REVOKE SELECT ON TABLE "app"."users" FROM "reporting";\n'
            "    COMMIT;\n"
            "held as plan 1f3a5c7e9b0d2f46; to let it be done:\n"
            "    dbreconcilectl approve prod/orders 1f3a5c7e9b0d2f46\n")
    assert ctl("-o", "tsv", "undo", "1234").out == "undo\tprod/orders\t1f3a5c7e9b0d2f46\n"
    recorded.post("/v1/undo/1234", {**answer, "already": True})
    assert "held as plan 1f3a5c7e9b0d2f46, as it was before;" in ctl("undo", "1234").out
    recorded.post("/v1/undo/1234", document("error-409"), 409)
    assert ctl("undo", "1234", expect=5).out == ""


def test_orders_say_what_was_asked(ctl, recorded):
    ctl("suspend", "prod", "--reason=an upgrade & more", "--for=2h")
    assert recorded.asked("POST", recorded.target("prod", "suspend")) == [{"reason": ["an upgrade & more"], "for": ["2h"]}]
    ctl("approve", "prod", "1f3a")
    assert recorded.asked("POST", recorded.target("prod", "approve")) == [{"plan": ["1f3a5c7e9b0d2f46"]}]
    assert "it holds 1f3a5c7e9b0d2f46" in ctl("approve", "prod", "ffff", expect=5).err
    assert "nothing is held there" in ctl("approve", "prod/billing", "ffff", expect=5).err
    ctl("reconcile", "prod", "prod/orders", "--wait", "-t", "10")
    assert recorded.asked("POST", "/v1/reconcile") == [{"target": ["prod", "prod/orders"], "wait": ["1"], "timeout": ["9s"]}]
    ctl("reconcile")
    assert recorded.asked("POST", "/v1/reconcile")[-1] == {}


def test_metrics(ctl, directory):
    metrics = Recorded(os.path.join(directory, "metrics.sock"))
    metrics.get("/metrics", "# TYPE a gauge\na 1\n")
    assert ctl("metrics").out == "# TYPE a gauge\na 1\n"
    metrics.stop()
    metrics = Recorded(os.path.join(directory, "m.sock"))
    metrics.get("/metrics", "b 1\n")
    assert ctl("-S", metrics.path, "metrics").out == "b 1\n"
    metrics.stop()


@pytest.mark.parametrize("output", ["table", "wide", "json", "tsv"])
@pytest.mark.parametrize("args", VERBS, ids=" ".join)
def test_no_control_character_gets_out(ctl, recorded, output, args):
    done = subprocess.run([PROGRAM, "-s", recorded.path, "-o", output, *args], capture_output=True, text=True, env=environment())
    text = done.stdout if output != "json" else "".join(str(x) for x in done.stdout if x in "\x1b\x07\x00\r")
    assert not CONTROL.search(text), CONTROL.search(text)
    assert not CONTROL.search(done.stderr)


def on_terminal(recorded, *args, columns=80, **env):
    """What reaches a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([PROGRAM, "-s", recorded.path, *args], stdin=follower, stdout=follower, stderr=follower, env=environment(**env)) as p:
        os.close(follower)
        data = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:
                break
            if not chunk:
                break
            data += chunk
        p.wait()
    os.close(leader)
    return data.decode("utf-8")


SGR = re.compile("\x1b\\[[0-9;]*m")


def test_colour(ctl, recorded):
    assert SGR.search(on_terminal(recorded, "status"))
    assert "\x1b" not in on_terminal(recorded, "status", NO_COLOR="1")
    assert "\x1b" not in on_terminal(recorded, "status", TERM="dumb")
    assert "\x1b" not in on_terminal(recorded, "--color=never", "status")
    assert SGR.search(on_terminal(recorded, "--color=always", "status", NO_COLOR="1"))
    assert SGR.search(on_terminal(recorded, "status", NO_COLOR=""))
    assert "\x1b" not in ctl("status").out
    assert SGR.search(ctl("status", CLICOLOR_FORCE="1").out)
    assert "\x1b" not in ctl("status", CLICOLOR_FORCE="1", NO_COLOR="1").out
    assert SGR.search(ctl("--color=always", "diff", expect=5).out)


@pytest.mark.parametrize("args", [["status"], ["diff"], ["diff", "--sql"], ["events"], ["show", "prod"], ["-o", "json", "status"],
                                  ["-o", "json", "diff"], ["migrations", "prod/orders"]], ids=" ".join)
def test_hostile_names_on_a_terminal(recorded, args):
    text = SGR.sub("", on_terminal(recorded, *args)).replace("\r\n", "\n")
    assert not CONTROL.search(text), repr(CONTROL.search(text))


def test_long_texts_are_cut_to_the_terminal(ctl, recorded):
    status = document("status-good")
    status["targets"][0]["message"] = "ä long text " * 40
    recorded.get("/v1/status", status)
    line = on_terminal(recorded, "status", NO_COLOR="1", columns=140).splitlines()[1]
    assert len(line) == 139 and line.endswith("…")
    line = on_terminal(recorded, "status", NO_COLOR="1", columns=80).splitlines()[1]
    assert line.endswith("…") and line.count("ä long text") == 4
    whole = status["targets"][0]["message"].strip()
    assert whole in ctl("status").out
    assert whole in on_terminal(recorded, "-o", "wide", "status", NO_COLOR="1", columns=80)


@pytest.mark.parametrize("how", [["--watch=0.1"], ["-w", "0.1"], ["-w0.1"]])
def test_watch(recorded, how):
    with subprocess.Popen([PROGRAM, "-s", recorded.path, "-o", "json", *how, "status", "prod"], stdout=subprocess.PIPE, text=True,
                          env=environment()) as p:
        docs = [json.loads(p.stdout.readline()) for _ in range(3)]
        p.terminate()
    for doc in docs:
        validate(doc)


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])])
def test_completion(ctl, directory, shell, check):
    text = ctl("completion", shell).out
    for word in ("reconcile", "dry-run", "in-sync", "metrics-socket", "completion"):
        assert word in text, word
    if shutil.which(check[0]):
        path = os.path.join(directory, "completion")
        with open(path, "w") as file:
            file.write(text)
        subprocess.run([*check, path], check=True)


def complete(text, directory, recorded, *words):
    path = os.path.join(directory, "completion.bash")
    with open(path, "w") as file:
        file.write(text)
    script = (f"PATH={os.path.dirname(PROGRAM)}:$PATH; . {path}; COMP_WORDS=({' '.join(words)!s} {chr(39) * 2 if words[-1] == '' else ''}); "
              f"COMP_CWORD={len(words) - 1}; _dbreconcilectl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=environment(DBRECONCILE_SOCKET=recorded.path))
    return done.stdout.split()


def test_bash_completion_completes(ctl, directory, recorded):
    text = ctl("completion", "bash").out
    recorded.get("/v1/status", document("status-good"))
    assert complete(text, directory, recorded, "dbreconcilectl", "rec") == ["reconcile"]
    assert complete(text, directory, recorded, "dbreconcilectl", "-o", "j") == ["json"]
    assert complete(text, directory, recorded, "dbreconcilectl", "diff", "--sq") == ["--sql"]
    assert complete(text, directory, recorded, "dbreconcilectl", "diff", "prod/b") == ["prod/billing"]
    assert complete(text, directory, recorded, "dbreconcilectl", "-o", "json", "completion", "z") == ["zsh"]
    assert complete(text, directory, recorded, "dbreconcilectl", "wait", "--for", "=", "in") == ["in-sync"]
    assert complete(text, directory, recorded, "dbreconcilectl", "suspend", "--for", "=", "in") == []


def test_bash_completion_runs_nothing(ctl, directory, recorded):
    status, path = document("status-good"), os.path.join(directory, "made")
    status["targets"][1]["target"] = f"prod/$(touch {path})`touch {path}`"
    recorded.get("/v1/status", status)
    assert complete(ctl("completion", "bash").out, directory, recorded, "dbreconcilectl", "diff", "prod/")[0].startswith("prod/")
    assert not os.path.exists(path)


def test_help(ctl):
    text = ctl("--help").out
    assert ctl("help").out == text and "Exit codes" in text
    assert "--sql" in ctl("diff", "--help").out and ctl("help", "diff").out == ctl("diff", "-h").out
    assert re.fullmatch(r"dbreconcilectl \d+\.\d+\.\d+\n", ctl("-V").out)


def test_schema_drift_for_people(ctl, recorded):
    out = ctl("migrations", "prod/orders").out
    assert not CONTROL.search(out)
    lines = [line for line in out.splitlines() if line.startswith(("schema", "differs"))]
    assert lines == ['schema drift: column app.orders."to\\x1b[5mtal" changed: type integer -> bigint, default \'\\u202ex\' -> (none)',
                     "schema drift: index app.by_hand added", "schema drift: 248 more",
                     "differs from prod/tenant_1: view app.sums changed: definition", "differs from prod/tenant_1: 1 more",
                     "schema: not looked at: canceling statement due to lock timeout \\x1b[5m"]
    header, *rows = ctl("migrations").out.splitlines()
    assert header.split()[7] == "SCHEMA" and "drift 2" in rows[1]
    assert [line.split("\t")[-1] for line in ctl("-o", "tsv", "migrations").out.splitlines()][:3] == ["SCHEMA", "", "drift 2"]
    doc = document("fleet")
    for row in doc["targets"]:
        row.pop("schema", None)
    recorded.get("/v1/migrations", doc)
    assert "SCHEMA" not in ctl("migrations").out, "an older daemon, or nobody watches"
    assert ctl("-o", "tsv", "migrations").out.splitlines()[0].endswith("MESSAGE\tSCHEMA"), "programs have the same columns always"
