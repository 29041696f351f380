# SPDX-License-Identifier: PostgreSQL
"""A policy holds dangerous files for approval: what it holds, what it lets go, and what an approval releases."""

import json
import os

import pytest
from dbr import bindir, wait_for
from jsonschema import Draft202012Validator
from test_migrations import ORDERS, ROLES, Team

pytestmark = pytest.mark.majors(15)

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "schemas")
BIG = ("CREATE TABLE app.big (id int, body text);\nINSERT INTO app.big SELECT i, repeat('x', 500) FROM generate_series(1, 4000) i;\n"
       "CREATE TABLE app.small (id int, body text);\n")
REWRITE = "ALTER TABLE app.big ALTER id TYPE bigint;\n"


def valid(document):
    with open(os.path.join(SCHEMAS, document["format"].split(".")[-1] + ".json"), encoding="utf-8") as file:
        Draft202012Validator(json.load(file)).validate(document)
    return document


class Held(Team):
    def __init__(self, pg, make_daemon, files=None, hold=("rewrite", "destroy"), above="1MB", more=None, **options):
        super().__init__(pg, make_daemon, {"V1__big.sql": BIG, **(files or {})},
                         {"hold": list(hold), "hold_above": above, **(more or {})}, **options)

    def server(self, migrations):
        return {"name": "prod", "conninfo": self.pg.conninfo(), "manifests": ["platform"],
                "databases": ({"name": "orders", "manifests": ["orders"],
                               "migrations": {"directory": "orders", "user": "migrator", **migrations}},)}

    def files(self, files):
        """All of them appear at once, however long writing takes."""
        self.daemon.ctl("suspend", "prod/orders", expect=0)
        for name, text in files.items():
            self.file(name, text)
        self.daemon.ctl("resume", "prod/orders", expect=0)

    def status(self):
        return valid(self.daemon.json("status", "prod/orders"))["targets"][0]

    def wait_held(self, *names, plan=None):
        """Until exactly these files are held, by a plan that is not `plan`; the id of that plan."""
        def held():
            row = self.status()
            changes = valid(self.daemon.json("show", "prod/orders"))["held"]
            assert row["state"] == "held" and row["held"] == row["drift"] == len(names) and row["plan"] != plan, row
            assert [c["description"] for c in changes] == [f"MIGRATE {name}" for name in names], changes
            return row["plan"]
        return wait_for(held, 20, f"held: {names}", lambda: self.daemon.ctl("show", "prod/orders").out + self.daemon.log_tail())

    def plan(self):
        return valid(self.daemon.json("diff", "prod/orders"))["plans"][0]

    def change(self, name):
        return next(c for c in self.plan()["changes"] if c["description"] == f"MIGRATE {name}")

    def approve(self, plan):
        valid(self.daemon.json("approve", "prod/orders", plan, expect=0))

    def events(self, kind):
        return [e for e in valid(self.daemon.json("events"))["events"] if e["kind"] == kind]

    def applied(self):
        return [row[0] for row in self.ledger("script")]

    def type_of(self, table):
        return self.value(f"SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'app.{table}'::regclass AND attname = 'id'")


@pytest.fixture
def team(pg, daemon):
    def make(files=None, start=True, **options):
        made = Held(pg, daemon, files, **options)
        if start:
            made.daemon.start()
            made.daemon.wait_in_sync()
        return made
    return make


@pytest.mark.majors(15, 18)
def test_a_rewrite_of_a_large_table_waits_and_what_is_before_it_runs(team):
    made = team()
    assert made.status()["plan"] is None
    made.file("V4__late.sql", "CREATE TABLE app.late ();\n")
    made.daemon.wait_in_sync()
    made.files({"V5__first.sql": "CREATE TABLE app.first ();\n", "V6__big.sql": "SELECT 1;\n" + REWRITE,
                "V7__after.sql": "CREATE TABLE app.after ();\n", "R__view.sql": "CREATE OR REPLACE VIEW app.v AS SELECT 1 AS one;\n"})
    plan = made.wait_held("V6__big.sql", "V7__after.sql", "R__view.sql")
    assert made.applied() == ["V1__big.sql", "V4__late.sql", "V5__first.sql"]
    assert made.pg.allowed("SELECT * FROM app.first", dbname="orders", user="analytics"), "the grants go on without it"
    row = made.status()
    assert row["drift"] == 3 and row["message"].endswith(f"dbreconcilectl approve prod/orders {plan}")
    assert "alter-type at line 2 of V6__big.sql: ACCESS EXCLUSIVE on app.big" in row["message"] and " kB)" in row["message"]
    assert made.daemon.ctl("status", "--exit-code", "prod/orders").code == 1
    change = made.change("V6__big.sql")
    assert change["state"] == "held" and change["source"]["file"].endswith("/V6__big.sql")
    lint, = change["lint"]
    assert (lint["rule"], lint["line"], lint["relation"], lint["rewrites"]) == ("alter-type", 2, "big", True)
    assert lint["bytes"] >= made.value("SELECT pg_relation_size('app.big')") > 1024 * 1024
    assert change["oldest_transaction_seconds"] is None
    assert made.change("V7__after.sql")["reason"] == "V6__big.sql before it waits for approval"
    shown = made.daemon.ctl("diff", "prod/orders", expect=1).out
    assert "! MIGRATE V6__big.sql — held: alter-type at line 2" in shown and "lint: V6__big.sql:2: ACCESS EXCLUSIVE on app.big" in shown
    assert "3 held, 0 blocked" in shown
    assert shown.count("lint:") == 1 == made.daemon.ctl("show", "prod/orders").out.count("lint:")
    notes = {m["script"]: m["note"] for m in valid(made.migrations())["migrations"]}
    assert notes["V6__big.sql"] == "waits for approval: alter-type at line 2" and notes["V7__after.sql"] is None
    metric = 'dbreconcile_database_held_objects{database="prod/orders"}'
    assert made.daemon.metrics()[metric] == 3
    # that other sizes come and go is no other plan
    made.pg.sql("INSERT INTO app.big SELECT i, repeat('y', 500) FROM generate_series(1, 4000) i; ANALYZE app.big", dbname="orders")
    wait_for(lambda: made.change("V6__big.sql")["lint"][0]["bytes"] > lint["bytes"], 20, "the table has grown", made.daemon.log_tail)
    assert made.status()["plan"] == plan
    assert made.daemon.ctl("approve", "prod/orders", "0123456789abcdef").code == 5
    made.approve(plan)
    made.daemon.wait_in_sync()
    assert made.applied()[3:] == ["V6__big.sql", "V7__after.sql", "R__view.sql"] and made.type_of("big") == "bigint"
    assert made.status()["plan"] is None and made.daemon.metrics()[metric] == 0
    held, = made.events("held")
    assert held["plan"] == plan and held["object"] == "MIGRATE V6__big.sql, and 2 more" and held["message"].startswith("alter-type at line 2")
    approved, = made.events("approved")
    assert approved["plan"] == plan and approved["object"] == "V6__big.sql" and "uid" in approved["actor"]
    ran = {e["object"]: e for e in made.events("migration")}
    assert "approved by uid 0" in ran["V6__big.sql"]["message"] and ran["V7__after.sql"]["message"] is None
    assert ran["V6__big.sql"]["plan"] == plan and ran["V6__big.sql"]["result"] == "ok" and ran["V7__after.sql"]["plan"] is None


def test_what_destroys_is_held_at_every_size_and_the_file_can_say_that_it_is_meant(team):
    made = team(hold=["destroy", "rewrite"])
    made.file("V2__two.sql", "ALTER TABLE app.small ALTER id TYPE bigint;\nTRUNCATE app.small;\nALTER TABLE app.small DROP COLUMN body;\n")
    plan = made.wait_held("V2__two.sql")
    change = made.change("V2__two.sql")
    assert [f["rule"] for f in change["lint"]] == ["alter-type", "truncate", "drop-column"]
    assert change["reason"].startswith("truncate at line 2 of V2__two.sql"), "the rewrite of a small table holds nothing"
    made.file("V2__two.sql", "ALTER TABLE app.small ALTER id TYPE bigint;\n-- dbreconcile:lint-ignore truncate\nTRUNCATE app.small;\n"
              "-- dbreconcile:lint-ignore rename\nALTER TABLE app.small DROP COLUMN body;\n")
    assert made.wait_held("V2__two.sql", plan=plan) != plan
    assert made.change("V2__two.sql")["reason"].startswith("drop-column at line 5")
    made.file("V2__two.sql", "ALTER TABLE app.small ALTER id TYPE bigint;\n-- dbreconcile:lint-ignore truncate\nTRUNCATE app.small;\n"
              "-- dbreconcile:lint-ignore\nALTER TABLE app.small DROP COLUMN body;\n")
    made.daemon.wait_in_sync()
    assert made.applied() == ["V1__big.sql", "V2__two.sql"] and made.type_of("small") == "bigint" and not made.events("approved")
    made.file("V3__drop.sql", "DROP TABLE app.small;\n")
    plan = made.wait_held("V3__drop.sql")
    assert made.value("SELECT to_regclass('app.small') IS NOT NULL")
    made.approve(plan)
    made.daemon.wait_in_sync()
    assert made.value("SELECT to_regclass('app.small') IS NULL")


def test_an_approval_is_for_one_text_and_survives_a_restart(team):
    made = team()
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    made.file("V2__big.sql", REWRITE)
    def planned(other=None):
        row = made.status()
        return row["plan"] if row["plan"] != other else None
    plan = wait_for(planned, 20, "V2 is planned", made.daemon.log_tail)
    made.approve(plan)
    made.file("V2__big.sql", REWRITE + "SELECT 1;\n")
    other = wait_for(lambda: planned(plan), 20, "it is another plan", made.daemon.log_tail)
    made.daemon.ctl("resume", "prod/orders", expect=0)
    assert made.wait_held("V2__big.sql") == other and made.type_of("big") == "integer"
    assert made.daemon.ctl("approve", "prod/orders", plan).code == 5, "the plan of the text as it was"
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    made.approve(other)
    made.daemon.kill()
    made.daemon.start()
    wait_for(planned, 20, "it is planned again", made.daemon.log_tail)
    assert made.status()["held"] == 0 and made.change("V2__big.sql")["state"] == "ready"
    made.daemon.ctl("resume", "prod/orders", expect=0)
    made.daemon.wait_in_sync()
    assert made.type_of("big") == "bigint"
    assert [e["plan"] for e in made.events("held")] == [other]       # once, whatever was restarted; and again when it is held again
    # it has served: the same file in a database that was put back is held again
    made.pg.sql("ALTER TABLE app.big ALTER id TYPE int; DELETE FROM dbreconcile.migration_ledger WHERE version = '2'", dbname="orders")
    assert made.wait_held("V2__big.sql") == other
    assert [e["plan"] for e in made.events("held")] == [other, other]


def test_rejected_stays_held_and_can_be_approved_later(team):
    made = team()
    made.file("V2__big.sql", REWRITE)
    made.file("V3__after.sql", "CREATE TABLE app.after ();\n")
    plan = made.wait_held("V2__big.sql", "V3__after.sql")
    made.daemon.ctl("reject", "prod/orders", plan, expect=0)
    def rejected():
        row = made.status()
        return row["state"] == "held" and f"plan {plan} was rejected by uid" in row["message"]
    wait_for(rejected, 20, "it is rejected", lambda: made.daemon.ctl("status").out)
    made.daemon.reconcile("prod/orders", expect=(0, 1, 5))
    assert made.applied() == ["V1__big.sql"] and rejected()
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    made.approve(plan)
    wait_for(lambda: made.status()["held"] == 0, 20, "it is released", made.daemon.log_tail)
    made.daemon.ctl("reject", "prod/orders", plan, expect=0)           # said again before it ran
    made.daemon.ctl("resume", "prod/orders", expect=0)
    wait_for(rejected, 20, "it is rejected", lambda: made.daemon.ctl("status").out)
    made.approve(plan)
    made.daemon.wait_in_sync()
    assert made.type_of("big") == "bigint" and made.applied()[-1] == "V3__after.sql"


def test_rejected_while_it_runs_stops_before_the_next(pg, team):
    made = team()
    other = pg.connect("orders")
    try:
        other.cursor().execute("SELECT pg_advisory_lock(4711)")
        made.file("V2__first.sql", "SELECT pg_advisory_xact_lock(4711);\nTRUNCATE app.small;\n")
        made.file("V3__second.sql", "TRUNCATE app.big;\n")
        plan = made.wait_held("V2__first.sql", "V3__second.sql")
        made.approve(plan)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
        wait_for(lambda: pg.value(waiting) == 1, 20, "V2 has begun", made.daemon.log_tail)
        made.daemon.ctl("reject", "prod/orders", plan, expect=0)
    finally:
        other.close()
    made.wait_held("V3__second.sql", plan=plan)
    assert made.applied()[-1] == "V2__first.sql" and made.value("SELECT count(*) FROM app.big") == 4000


def test_observe_once_and_a_plan_without_a_policy(team):
    made = team(start=False)
    assert made.daemon.once().code == 0
    made.file("V2__free.sql", "CREATE TABLE app.free ();\n")
    made.file("V3__big.sql", REWRITE)
    result = made.daemon.once()
    assert result.code == 1, result.err
    assert made.applied() == ["V1__big.sql", "V2__free.sql"]
    made.daemon.start("--observe")
    plan = wait_for(lambda: made.status()["plan"], 20, "it is planned", made.daemon.log_tail)
    assert made.status()["state"] == "drift" and made.status()["held"] == 1
    made.approve(plan)
    made.daemon.reconcile("prod/orders", expect=(0, 1))
    assert made.change("V3__big.sql")["state"] == "ready" and made.type_of("big") == "integer"
    made.daemon.stop()
    config = made.daemon.settings(made.server({}))
    made.daemon.write("dbreconciled.conf", config)
    made.daemon.start("--observe")
    change = wait_for(lambda: made.change("V3__big.sql"), 20, "it is planned", made.daemon.log_tail)
    assert change["state"] == "ready" and [f["rule"] for f in change["lint"]] == ["alter-type"]
    assert made.status()["plan"] is None and made.status()["held"] == 0
    assert "lint: V3__big.sql:1: ACCESS EXCLUSIVE on app.big" in made.daemon.ctl("diff", "prod/orders").out
    assert "lint: V3__big.sql:1: ACCESS EXCLUSIVE on app.big" in made.daemon.ctl("show", "prod/orders").out
    made.daemon.stop()
    assert made.daemon.once().code == 0 and made.type_of("big") == "bigint"


def test_tricks_of_names_hide_nothing(team):
    """Renamed first, IF NOT EXISTS, another schema, an index: what counts is the relation that is there."""
    made = team({"V2__t.sql": "CREATE TABLE app.t (id int);\nCREATE INDEX big_id ON app.big (id);\n"
                 "CREATE TABLE app.part (id int, body text) PARTITION BY RANGE (id);\n"
                 "CREATE TABLE app.part1 PARTITION OF app.part FOR VALUES FROM (0) TO (9999);\nINSERT INTO app.part SELECT * FROM app.big;\n"
                 "CREATE TABLE app.parent (id int, body text);\nCREATE TABLE app.child () INHERITS (app.parent);\n"
                 "INSERT INTO app.child SELECT * FROM app.big;\n"}, hold=["drop", "rewrite", "reindex"])
    cases = {
        "ALTER TABLE app.big RENAME TO b2;\nALTER TABLE app.b2 RENAME TO b3;\nALTER TABLE app.b3 ALTER id TYPE bigint;\n": "alter-type at line 3",
        "CREATE TABLE app.n (id int);\nALTER TABLE app.t RENAME TO o;\nALTER TABLE app.n RENAME TO t;\nDROP TABLE app.o;\n": "drop-table at line 4",
        "CREATE TABLE IF NOT EXISTS app.t (id int);\nDROP TABLE app.t;\n": "drop-table at line 2",
        "SET search_path = x;\nCREATE TABLE t (id int);\nSET search_path = app;\nDROP TABLE t;\n": "drop-table at line 4",
        "ALTER TABLE app.t SET SCHEMA dbreconcile;\nDROP TABLE dbreconcile.t;\n": "drop-table at line 2",
        "DROP SCHEMA app CASCADE;\n": "drop-schema at line 1",
        "DROP OWNED BY migrator;\n": "drop-owned at line 1",
        "DROP EXTENSION IF EXISTS x CASCADE;\n": "drop-cascade at line 1",
        "REINDEX INDEX app.big_id;\n": "reindex at line 1",
        "ALTER TABLE app.part ALTER body TYPE varchar(600);\n": "alter-type at line 1",
        "ALTER TABLE app.parent ALTER body TYPE varchar(600);\n": "alter-type at line 1",
    }
    plan = None
    for text, reason in cases.items():
        made.file("V3__case.sql", text)
        plan = made.wait_held("V3__case.sql", plan=plan)
        assert made.change("V3__case.sql")["reason"].startswith(reason), text
    # what the file makes itself, and what is not there, is nobody's
    made.file("V3__case.sql", "CREATE TABLE app.own (id int);\nALTER TABLE app.own RENAME TO o2;\nALTER TABLE app.o2 ALTER id TYPE bigint;\n"
              "DROP TABLE app.o2;\nDROP TABLE IF EXISTS app.nosuch;\nCREATE TEMP TABLE mine (id int);\nDROP TABLE mine;\n")
    made.daemon.wait_in_sync()
    assert made.applied()[-1] == "V3__case.sql"


def test_a_size_that_cannot_be_found_out_counts_as_large(pg, team):
    made = team(daemon={"lock_timeout": "200ms"})
    other = pg.connect(dbname="orders", autocommit=False)
    try:
        other.cursor().execute("LOCK TABLE app.small")
        made.file("V2__small.sql", "ALTER TABLE app.small ALTER id TYPE bigint;\n")
        made.wait_held("V2__small.sql")
        assert made.change("V2__small.sql")["reason"].endswith("(its size could not be found out)")
        other.commit()
    finally:
        other.close()
    made.daemon.wait_in_sync()
    assert made.type_of("small") == "bigint" and not made.events("approved")


def hook(made, when, text):
    """A hook that is a script; it writes to made.said."""
    made.said = os.path.join(made.daemon.directory, "said")
    return made.daemon.write(f"hooks/{when}", f"#!/bin/sh\nset -eu\nSAID={made.said}\n{text}\n".encode(), 0o755)


def said(made):
    with open(made.said, encoding="utf-8") as file:
        return file.read().split("\n")[:-1]


def test_hooks_are_called_around_what_runs(team):
    made = team(start=False)
    say = 'echo "$DBRECONCILE_HOOK [$DBRECONCILE_FROM_VERSION] [$DBRECONCILE_TO_VERSION]" >> $SAID'
    hooks = {when: hook(made, when, say) for when in ("before", "after")}
    made.daemon.write("dbreconciled.conf", made.daemon.settings(made.server({"hold": "destroy", **hooks})))
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert said(made) == ["before [] [1]", "after [] [1]"]
    made.files({"V2__free.sql": "CREATE TABLE app.free ();\n", "V3__drop.sql": "DROP TABLE app.small;\n"})
    plan = made.wait_held("V3__drop.sql")
    assert said(made)[2:] == ["before [1] [2]"], "the last one is not in yet"
    made.approve(plan)
    made.daemon.wait_in_sync()
    assert said(made)[3:] == ["before [2] [3]", "after [2] [3]"]
    made.files({"V4__free.sql": "CREATE TABLE app.more ();\n", "V5__drop.sql": "DROP TABLE app.more;\nDROP TABLE app.big;\n"})
    made.wait_held("V5__drop.sql")
    made.daemon.kill()
    made.remove("V5__drop.sql")                   # nobody wants it any more: what ran was the last one
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert said(made)[5:] == ["before [3] [4]", "after [4] [4]"]


def test_what_somebody_else_applies_meanwhile_does_not_let_the_next_one_slip(team):
    made = team(start=False)
    insert = ("INSERT INTO dbreconcile.migration_ledger SELECT 2, '3', 'drop', 'SQL', 'V3__drop.sql', 0, 'x', now(), 1, true "
              "WHERE EXISTS (SELECT FROM dbreconcile.migration_ledger WHERE version = '1')")
    made.file("V3__drop.sql", "")                 # checksum 0
    before = hook(made, "before", f'{bindir(15)}/psql -X -c "{insert}" || true')
    made.daemon.write("dbreconciled.conf", made.daemon.settings(made.server({"hold": ["not-classified", "drop-table"], "before": before})))
    made.remove("V3__drop.sql")
    assert made.daemon.once().code == 0
    made.file("V2__free.sql", "CREATE TABLE app.free ();\n")
    made.file("V3__drop.sql", "DO $$ BEGIN END $$;\n")
    made.file("V4__drop.sql", "DROP TABLE app.small;\n")
    made.daemon.once()
    assert [row[0] for row in made.ledger("version")] == ["1", "3"], "a run that is not as it was planned, or V4 is held"
    assert made.value("SELECT to_regclass('app.small') IS NOT NULL")


def test_statement_by_statement(team):
    made = team()
    directive = "-- dbreconcile:transaction=false\n"
    made.file("V2__split.sql", directive + "TRUNCATE app.small;\nSELECT 1/0;\nSELECT 2;\n")
    plan = made.wait_held("V2__split.sql")
    made.pg.sql("INSERT INTO app.small VALUES (1)", dbname="orders")
    made.approve(plan)
    made.wait_failed("V2__split.sql:3", "division by zero")
    assert made.value("SELECT count(*) FROM app.small") == 0
    made.file("V2__split.sql", directive + "TRUNCATE app.small;\nSELECT 1;\nDROP TABLE app.small;\n")
    made.daemon.ctl("migrations", "prod/orders", "repair", expect=0)
    plan = made.wait_held("V2__split.sql", plan=plan)
    assert made.change("V2__split.sql")["reason"].startswith("drop-table at line 4")
    made.file("V2__split.sql", directive + "TRUNCATE app.small;\nSELECT 1;\nSELECT 3;\n")
    made.daemon.wait_in_sync()                    # what was approved is done, and the rest is harmless
    made.file("V3__split.sql", directive + "CREATE INDEX CONCURRENTLY small_id ON app.small (id);\n" + REWRITE)
    made.approve(made.wait_held("V3__split.sql"))
    made.daemon.wait_in_sync()
    assert made.type_of("big") == "bigint"


def test_nothing_runs_past_a_held_file(team):
    """Whatever kind of file is before it and whatever kind it is: the end of one run is not the begin of the next."""
    made = team()
    split = "-- dbreconcile:transaction=false\n"
    version = 2
    for before in ("", split):
        for held in ("", split):
            made.pg.sql("CREATE TABLE app.gone ()", dbname="orders")
            made.files({f"V{version}__free.sql": before + "SELECT 1;\n", f"V{version + 1}__held.sql": held + "DROP TABLE app.gone;\n",
                        f"V{version + 2}__next.sql": "SELECT 2;\n"})
            plan = made.wait_held(f"V{version + 1}__held.sql", f"V{version + 2}__next.sql")
            assert made.applied()[-1] == f"V{version}__free.sql" and made.value("SELECT to_regclass('app.gone') IS NOT NULL")
            made.approve(plan)
            made.daemon.wait_in_sync()
            assert made.applied()[-1] == f"V{version + 2}__next.sql" and made.value("SELECT to_regclass('app.gone') IS NULL")
            version += 3


def test_one_approval_for_what_the_guard_holds_and_for_files(pg, team):
    made = team(guard={"max_revokes": 0})
    made.daemon.manifest("orders", 'authority = "exact";\n' + ORDERS)
    made.daemon.reload()
    made.daemon.wait_in_sync()
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    made.file("V2__big.sql", REWRITE)
    made.file("V3__drop.sql", "DROP TABLE app.small CASCADE;\nCREATE TABLE app.other ();\n")
    pg.sql("GRANT INSERT ON app.big TO analytics", dbname="orders")
    made.daemon.ctl("resume", "prod/orders", expect=0)
    def held():
        row = made.status()
        return row["plan"] if row["state"] == "held" and row["held"] == 3 else None
    plan = wait_for(held, 20, "two files and a privilege are held", lambda: made.daemon.ctl("diff").out)
    made.approve(plan)
    made.daemon.wait_in_sync()
    assert made.type_of("big") == "bigint" and not pg.allowed("INSERT INTO app.big VALUES (1)", dbname="orders", user="analytics")
    approved, = made.events("approved")
    assert approved["plan"] == plan and approved["object"] == "V2__big.sql, V3__drop.sql"


def test_later_waves_wait_for_an_approval(pg, daemon):
    for name in ("canary", "tenant"):
        pg.create_database(name)
    migrations = {"directory": "app", "user": "migrator", "hold": "destroy"}
    d = daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": (
        {"name": "canary", "migrations": {**migrations, "wave": 1}}, {"name": "tenant", "migrations": {**migrations, "wave": 2}})},
        {"platform": ROLES}, {"app": {"V1__one.sql": "CREATE TABLE dbreconcile.one ();\n"}})
    d.start()
    d.wait_in_sync()
    d.migration("app", "V2__drop.sql", "DROP TABLE dbreconcile.one;\n")
    def rows():
        return {row["target"].split("/")[1]: row for row in valid(d.json("migrations", "--all"))["targets"]}
    d.stop()
    assert d.once().code == 1, "it ends, though nobody moves the line"
    d.start()
    def held(name):
        row = valid(d.json("status", f"prod/{name}"))["targets"][0]
        return row["plan"] if row["held"] and rows()[name]["state"] == "held" else None
    plan = wait_for(lambda: held("canary"), 20, "the canary is held", d.log_tail)
    wait_for(lambda: held("tenant"), 20, "so is the tenant, by itself", d.log_tail)
    d.ctl("approve", "prod/tenant", held("tenant"), expect=0)
    def waits():
        row = rows()["tenant"]
        return row["state"] == "waiting" and row["waiting"]["reason"] == "held" and "prod/canary" in row["message"]
    wait_for(waits, 20, "the tenant is approved and waits for the canary", lambda: d.ctl("migrations", "--all").out)
    d.ctl("approve", "prod/canary", plan, expect=0)
    d.wait_in_sync()
    assert pg.value("SELECT to_regclass('dbreconcile.one') IS NULL", dbname="tenant")


def test_where_nothing_is_nothing_is_dangerous(pg, daemon):
    """The strictest policy, on an empty server: database, migrations and seed data by one run."""
    d = daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": (
        {"name": "orders", "create": True, "owner": "migrator", "manifests": ["orders"],
         "migrations": {"directory": "orders", "user": "migrator", "seed": "seed", "hold": "all"}},)},
        {"platform": ROLES, "orders": ORDERS},
        {"orders": {"V1__t.sql": "CREATE TABLE IF NOT EXISTS app.t (id int);\nALTER TABLE app.t ADD body text;\n",
                    "V2__do.sql": "DO $$ BEGIN PERFORM 1; END $$;\nDROP TABLE IF EXISTS app.old;\nTRUNCATE app.t;\n"},
         "seed": {"V1__rows.sql": "TRUNCATE app.t;\nDO $$ BEGIN INSERT INTO app.t VALUES (1); END $$;\n"}})
    result = d.once()
    assert result.code == 0, result.err
    assert pg.value("SELECT count(*) FROM app.t", dbname="orders") == 1
    d.migration("orders", "V3__do.sql", "DO $$ BEGIN PERFORM 1; END $$;\n")
    assert d.once().code == 1
    assert pg.value("SELECT max(version) FROM dbreconcile.migration_ledger", dbname="orders") == "2"


def test_a_failure_does_not_use_up_the_approval(team):
    made = team()
    made.pg.sql("INSERT INTO app.big SELECT NULL, 'x'", dbname="orders")
    made.file("V2__big.sql", REWRITE + "ALTER TABLE app.big ALTER id SET NOT NULL;\n")
    plan = made.wait_held("V2__big.sql")
    made.approve(plan)
    made.wait_failed("V2__big.sql:2", "contains null values")
    assert made.status()["state"] == "failed" and made.status()["held"] == 0
    made.pg.sql("DELETE FROM app.big WHERE id IS NULL", dbname="orders")
    made.daemon.reconcile("prod/orders")
    assert made.type_of("big") == "bigint"


def test_a_policy_reads_every_file(team):
    made = team()
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    for i in range(2, 80):
        made.file(f"V{i}__x.sql", "SELECT 1;\n" if i != 78 else "DROP TABLE app.small;\n")
    made.daemon.ctl("resume", "prod/orders", expect=0)
    made.wait_held("V78__x.sql", "V79__x.sql")
    wait_for(lambda: made.applied()[-1] == "V77__x.sql", 20, "all before it have run", made.daemon.log_tail)     # maybe in two passes
    made.wait_held("V78__x.sql", "V79__x.sql")
