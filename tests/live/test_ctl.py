# SPDX-License-Identifier: PostgreSQL
"""dbreconcilectl against the real daemon: exit codes, documents, and what a terminal is spared."""

import glob
import json
import os
import re
import shutil
import subprocess

import pytest
from dbr import bindir, wait_for
from dbr.daemon import BUILD, run
from dbr.users import IS_ROOT
from jsonschema import Draft202012Validator

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOSTILE = "evil\x1b[2J\x07\u202e"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
PLATFORM = {
    "roles": ({"name": "app", "login": True, "connection_limit": 5}, {"name": "analytics", "login": True},
              {"name": "migrator", "login": True}, {"name": "legacy", "ensure": "absent"}),
}
ORDERS = {
    "schemas": ({"name": "app", "owner": "migrator"},),
    "grants": ({"to": "analytics", "level": "read-only", "schema": "app"},),
}
ordinary = pytest.mark.majors(15)


def validate(document):
    name = document["format"].removeprefix("dbreconcile.")
    with open(os.path.join(SOURCE, "schemas", name + ".json"), encoding="utf-8") as file:
        Draft202012Validator(json.load(file)).validate(document)
    return document


@pytest.fixture
def fleet(pg, daemon):
    """A daemon over one server: a role to drop (held), a database with migrations, and one whose name is hostile."""
    pg.sql("CREATE ROLE legacy")
    pg.create_database("orders")
    pg.create_database(HOSTILE)

    def start(mode="enforce", **more):
        server = {"name": "prod", "conninfo": pg.conninfo(), "mode": mode, "manifests": ["platform"],
                  "databases": ({"name": "orders", "manifests": ["orders"],
                                 "migrations": {"directory": "orders", "user": "migrator"}},
                                {"match": "evil*", "manifests": ["orders"]})}
        return daemon(servers=[server], manifests={"platform": PLATFORM, "orders": ORDERS},
                      migrations={"orders": {"V001__items.sql": "CREATE TABLE app.items (id int);\n"}}, **more).start()
    return start


def settled(d):
    """Every target has been looked at and the first corrections are over."""
    def done():
        rows = d.json("status")["targets"]
        assert len(rows) == 3 and {row["state"] for row in rows} <= {"in_sync", "held"}, rows
        return True
    wait_for(done, 30, "every target is settled", d.log_tail)


def held_plan(d):
    return next(row["plan"] for row in d.json("status")["targets"] if row["target"] == "prod")


@ordinary
def test_ok_and_drift(pg, fleet):
    d = fleet()
    settled(d)
    assert d.ctl("diff", "prod/orders", expect=0).out == "no difference: 1 target in sync\n"
    d.ctl("status", expect=0)
    d.ctl("status", "--exit-code", "prod/orders", expect=0)
    d.ctl("status", "--exit-code", expect=1)
    out = d.ctl("diff", "prod", expect=1).out
    plan = held_plan(d)
    assert re.search(rf'^  ! DROP ROLE "?legacy"? — held: .*\(plan {plan}; dbreconcilectl approve prod {plan}\)  +manifests/platform.conf:\d+$', out, re.M)
    assert out.endswith("0 to add, 0 to change, 0 to remove, 1 held, 0 blocked\n")
    d.ctl("reconcile", "--dry-run", "prod", expect=1)
    d.ctl("reconcile", "--wait", "prod", expect=1)
    d.ctl("wait", "--for=in-sync", "prod/orders", expect=0)
    d.ctl("check", "prod/orders", expect=0)
    d.ctl("check", "prod", expect=1)
    d.ctl("approve", "prod", "0123456789abcdef", expect=5)
    d.ctl("approve", "prod", plan[:6], expect=0)
    d.ctl("reconcile", "--wait", "prod", expect=0)
    assert pg.sql("SELECT 1 FROM pg_roles WHERE rolname = 'legacy'") == []


@ordinary
def test_diff_sees_what_was_just_done(pg, fleet):
    d = fleet(daemon={"interval": "1h"})
    settled(d)
    d.ctl("suspend", "prod/orders", "--reason=a test", expect=0)
    pg.sql("REVOKE SELECT ON app.items FROM analytics", dbname="orders")
    assert "analytics" in d.ctl("diff", "prod/orders", expect=1).out
    assert "suspended" in d.ctl("status", "prod/orders").out
    assert not pg.value("SELECT has_table_privilege('analytics', 'app.items', 'SELECT')", dbname="orders")
    d.ctl("resume", "prod/orders", expect=0)
    assert d.ctl("resume", "*", expect=0).out.count("it was not suspended") == 3
    d.ctl("reconcile", "--wait", "prod/orders", expect=0)
    assert pg.value("SELECT has_table_privilege('analytics', 'app.items', 'SELECT')", dbname="orders")


@pytest.mark.majors(14, 16, 18)
def test_diff_sql_is_what_psql_runs(pg, daemon):
    """The statements that are printed bring about what the daemon wants."""
    for name in ("orders", "it's \"odd\" = \\x"):
        pg.create_database(name)
    databases = tuple({"name": name, "manifests": ["orders"]} for name in ("orders", "it's \"odd\" = \\x"))
    d = daemon(servers=[{"name": "prod", "conninfo": pg.conninfo(), "mode": "observe", "manifests": ["platform"], "databases": databases}],
               manifests={"platform": PLATFORM, "orders": ORDERS}).start()
    # What stands on a schema that is yet to be made comes in the second round.
    for _ in range(2):
        sql = d.ctl("diff", "--sql", expect=(1, 5)).out
        subprocess.run([os.path.join(bindir(15), "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", pg.host, "-U", "postgres", "postgres"],
                       input=sql, text=True, check=True, capture_output=True)
        if d.ctl("diff").code == 0:
            break
    assert d.ctl("diff", "--sql", expect=0).out == ""
    assert pg.value("SELECT has_schema_privilege('analytics', 'app', 'USAGE')", dbname="it's \"odd\" = \\x")
    d.ctl("wait", "-t", "60", expect=0)


@ordinary
def test_usage(fleet):
    d = fleet()
    for args in (["nonsense"], ["show"], ["-o", "xml"], ["status", "prod/nothing"], ["show", "prod/nothing"], ["migrations", "prod"],
                 ["suspend", "prod", "--for=soon"]):
        result = d.ctl(*args, expect=2)
        assert result.out == "" and result.err


@ordinary
def test_not_reachable(fleet):
    d = fleet()
    d.stop()
    for verb in (["status"], ["diff"], ["ping"], ["wait"], ["reload"]):
        result = d.ctl(*verb, expect=3)
        assert "is dbreconciled running? socket " + d.control_socket in result.err and result.out == ""
    assert d.ctl("check", expect=2).out.startswith("DBRECONCILE CRITICAL - is dbreconciled running?")


@ordinary
@pytest.mark.skipif(not IS_ROOT, reason="needs root to become another user")
def test_permission_denied(fleet):
    d = fleet()
    program = os.path.join(d.directory, "dbreconcilectl")
    shutil.copy2(os.path.join(BUILD, "dbreconcilectl"), program)
    os.chmod(program, 0o755)
    closed = run(program, "-s", d.control_socket, "status", user="nobody")
    assert closed.code == 4 and "dbreconcile-admin" in closed.err
    # Whoever may open the socket may read; orders need more.
    os.chmod(d.control_socket, 0o666)
    assert run(program, "-s", d.control_socket, "status", user="nobody").code == 0
    for order in (["reload"], ["suspend", "prod"], ["reconcile"], ["approve", "prod", "0123456789abcdef"]):
        result = run(program, "-s", d.control_socket, *order, user="nobody")
        assert result.code == 4 and "control.admin_groups" in result.err, result


@ordinary
def test_a_target_failed(pg, daemon, workspace):
    nowhere = workspace.directory("n")
    d = daemon(servers=[{"name": "gone", "conninfo": f"host={nowhere} user=x"}]).start()
    d.ctl("reconcile", "--wait", expect=5)
    d.ctl("status", "--exit-code", expect=5)
    result = d.ctl("diff", expect=5)
    assert "gone" in result.err and result.out == ""
    assert d.ctl("check", expect=2).out.startswith("DBRECONCILE CRITICAL - 0 of 1 targets in sync: gone (unreachable)")
    assert "timed out: gone is unreachable" in d.ctl("-t", "1", "wait", expect=6).err


@ordinary
def test_a_server_that_went_away_is_not_without_difference(pg, daemon, proxy):
    gate = proxy(pg)
    d = daemon(servers=[{"name": "prod", "conninfo": gate.conninfo(), "manifests": ["platform"]}],
               manifests={"platform": {"roles": ({"name": "app", "login": True},)}}).start()
    d.wait_in_sync()
    assert "no difference" in d.ctl("diff", expect=0).out
    gate.refuse()
    gate.drop()
    result = d.ctl("diff", expect=5)
    assert result.out == "" and re.search("prod: .*connection to server", result.err), result
    assert "no difference" in d.ctl("diff", "--cached", expect=0).out


@ordinary
def test_configuration_invalid(fleet):
    d = fleet()
    generation = d.json("config", "show")["generation"]
    d.manifest("orders", "grants: ( { too = \"app\"; } );\n")
    result = d.ctl("reload", expect=7)
    assert re.search(r"orders\.conf:\d+: .*too", result.err)
    assert d.json("config", "show")["generation"] == generation
    assert "too" in d.ctl("config", "check", d.config_file, expect=7).err
    d.manifest("orders", ORDERS)
    d.ctl("config", "check", d.config_file, expect=0)
    d.ctl("reload", expect=0)
    assert d.json("config", "show")["generation"] == generation + 1


@ordinary
def test_internal_error(fleet):
    d = fleet()
    with open("/dev/full", "w") as full:
        done = subprocess.run([os.path.join(BUILD, "dbreconcilectl"), "-s", d.control_socket, "status"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 70 and "No space left" in done.stderr


@pytest.mark.majors(14, 18)
def test_json_of_every_verb(pg, fleet):
    d = fleet()
    settled(d)
    plan = held_plan(d)
    pg.sql("ALTER ROLE app CONNECTION LIMIT 7")
    d.ctl("reconcile", "--wait", "prod", expect=1)
    for args in (["status"], ["status", "prod*"], ["show", "prod"], ["show", "prod/orders"], ["diff"], ["diff", "--cached"], ["reconcile"],
                 ["reconcile", "--wait"], ["reconcile", "--dry-run"], ["suspend", "prod/orders", "--for=1h"], ["show", "prod/orders"],
                 ["resume", "prod/orders"], ["reject", "prod", plan], ["migrations", "prod/orders"], ["events"], ["events", "--since=1h", "prod"],
                 ["wait", "prod/orders"], ["check"], ["config", "show"], ["config", "check", d.config_file], ["reload"], ["ping"], ["version"]):
        document = validate(d.json(*args))
        assert document["format_version"].startswith("1.")
    assert [m["state"] for m in d.json("migrations", "prod/orders")["migrations"]] == ["applied"]
    events = d.json("events", "prod")["events"]
    assert any("app" in (event["statement"] or "") and event["result"] == "ok" for event in events)
    assert any("uid" in event["actor"] for event in d.json("events")["events"])


@ordinary
def test_http_documents(fleet):
    """What has no verb of its own, and refusals."""
    d = fleet()
    settled(d)
    for path, status in (("/v1/targets", 200), ("/v1/targets/nothing", 404), ("/v1/nothing", 404), (d.target_path("prod", "plan"), 200)):
        answer = d.http(path)
        assert answer.status == status, path
        validate(answer.json())
    answer = d.http("/v1/status", method="DELETE")
    assert answer.status in (405, 501)


@ordinary
def test_events_follow(fleet):
    d = fleet()
    settled(d)
    with subprocess.Popen([os.path.join(BUILD, "dbreconcilectl"), "-s", d.control_socket, "-o", "json", "events", "--follow", "--since=1h"],
                          stdout=subprocess.PIPE, text=True) as p:
        first = validate(json.loads(p.stdout.readline()))
        d.ctl("suspend", "prod", "--reason=followed", expect=0)
        for line in p.stdout:
            event = validate(json.loads(line))
            assert event["id"] > first["id"]
            if event["kind"] == "suspended":
                break
        p.terminate()
    assert event["target"] == "prod"


@ordinary
def test_metrics(fleet):
    d = fleet()
    text = d.ctl("metrics", expect=0).out
    assert "\ndbreconcile_build_info{" in text
    assert "\ndbreconcile_build_info{" in d.ctl("-S", d.metrics_socket, "metrics", expect=0).out
    subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True, capture_output=True)


@ordinary
def test_nothing_moves_the_cursor(pg, fleet):
    """The name of a database is in every output of it, and never as it is."""
    d = fleet()
    settled(d)
    pg.sql("REVOKE ALL ON SCHEMA app FROM analytics; REVOKE ALL ON ALL TABLES IN SCHEMA app FROM analytics", dbname=HOSTILE)
    for args in (["status"], ["-o", "wide", "status"], ["-o", "tsv", "status"], ["show", "prod/" + HOSTILE], ["diff"], ["-o", "tsv", "diff"],
                 ["events"], ["-o", "tsv", "events"], ["check"], ["wait", "-t", "5"], ["reconcile", "--wait"]):
        for env in ({}, {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}):
            result = d.ctl(*args, env=env)
            assert not CONTROL.search(result.out), (args, CONTROL.search(result.out))
            assert not CONTROL.search(result.err), (args, CONTROL.search(result.err))
    assert "evil\\x1b[2J\\x07\\u202e" in d.ctl("status").out
    raw = d.ctl("-o", "json", "status").out
    assert "\x1b" not in raw and "\x07" not in raw


def test_daemon_page_lists_its_options():
    """dbreconciled(8) and --help say the same."""
    with open(os.path.join(SOURCE, "man", "dbreconciled.8"), encoding="utf-8") as file:
        page = file.read()
    text = run("dbreconciled", "--help").out
    options = re.findall(r"^\s+(?:-(\w), )?\s*--([a-z-]+)", text, re.M)
    assert len(options) >= 8
    for letter, name in options:
        item = re.search(rf"^\.It Fl (.*-{name}\b.*)$", page, re.M)
        assert item, f"dbreconciled(8) does not list --{name}"
        assert not letter or re.match(rf"{letter} , ", item.group(1)), f"dbreconciled(8) does not list -{letter} with --{name}"
    for code in (0, 1, 2, 5, 6, 70):
        assert f"\n.It {code}\n" in page


def test_every_document_has_a_schema():
    """And every schema is installed."""
    with open(os.path.join(SOURCE, "schemas", "Makefile.inc"), encoding="utf-8") as file:
        listed = file.read()
    for path in glob.glob(os.path.join(SOURCE, "schemas", "*.json")):
        assert "schemas/" + os.path.basename(path) in listed


@ordinary
def test_status_says_what_is_wrong_and_where(pg, daemon):
    """Of a change that the server refuses, its place and what it is; in observe mode, what is blocked is not to be made."""
    pg.sql("CREATE ROLE weak LOGIN")
    roles = "roles: (\n  { name = \"app\"; ensure = \"present\"; },\n  { name = \"ops\"; settings: { statment_timeout = \"5min\"; }; }\n);\n"
    d = daemon(servers=[{"name": "refused", "conninfo": pg.conninfo(), "manifests": ["refused"]},
                        {"name": "weak", "conninfo": pg.conninfo(user="weak"), "mode": "observe", "manifests": ["weak"]}],
               manifests={"refused": roles, "weak": "roles: ( { name = \"weaker\"; } );\n"}).start()

    def messages():
        rows = {row["target"]: row for row in d.json("status")["targets"]}
        assert (rows["refused"]["state"], rows["weak"]["state"]) == ("failed", "drift"), rows
        return rows["refused"]["message"], rows["weak"]["message"]
    refused, weak = wait_for(messages)
    assert "manifests/refused.conf:3: unrecognized configuration parameter \"statment_timeout\" (refused: SET statment_timeout" in refused
    assert weak.startswith("1 change blocked: dbreconcile's login has no CREATEROLE") and weak.endswith("(observe mode: nothing is written)")


def test_a_daemon_without_servers_answers(daemon):
    """As it is when it was just installed: each command ends, and says that there is nothing."""
    d = daemon(servers=[]).start()
    for command in (["status"], ["diff"], ["reconcile"], ["reconcile", "--wait"], ["migrations"], ["access"], ["events"], ["check"], ["wait"]):
        done = d.ctl("-t", "10", *command)
        assert done.code == 0, f"{command}: {done}"
