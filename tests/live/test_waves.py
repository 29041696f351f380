# SPDX-License-Identifier: PostgreSQL
"""Waves of migrations over a fleet: canaries first, a soak, a line that stops and how it goes on. None of this depends on
the version of the server: one major."""

import json
import os
import time

import pytest
from dbr import wait_for
from jsonschema import Draft202012Validator

pytestmark = pytest.mark.majors(15)

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "schemas")
PLATFORM = 'roles: ( { name = "migrator"; login = true; } );\n'
ONE = "CREATE TABLE dbreconcile.one (id int);\n"
BAD = "CREATE TABLE dbreconcile.half (id int);\nSELECT 1/0;\n"


class Fleet:
    """Databases of one cluster; waves = {"canary": {"wave": 1}}. Files of one directory, "app"."""

    def __init__(self, pg, make_daemon, waves, files, servers=(), **server):
        self.pg = pg
        for name in waves:
            pg.create_database(name)
        databases = tuple({"name": name, "migrations": {"directory": "app", "user": "migrator", **more}} for name, more in waves.items())
        self.daemon = make_daemon(({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": databases, **server},
                                   *servers), {"platform": PLATFORM}, {"app": files})

    def file(self, name, text):
        return self.daemon.migration("app", name, text)

    def rows(self):
        doc = self.daemon.json("migrations", "--all")
        with open(os.path.join(SCHEMAS, "fleet.json"), encoding="utf-8") as file:
            Draft202012Validator(json.load(file)).validate(doc)
        return {row["target"].split("/")[-1]: row for row in doc["targets"]}

    def wait(self, name, state, timeout=20):
        return wait_for(lambda: self.rows()[name]["state"] == state and self.rows()[name], timeout, f"{name} is {state}",
                        lambda: self.daemon.ctl("migrations", "--all").out + self.daemon.log_tail())

    def wait_for(self, name, reason):
        """Until it waits for this reason; what it waits for."""
        def waits():
            waiting = self.rows()[name]["waiting"]
            return waiting if waiting and waiting["reason"] == reason else None
        return wait_for(waits, 20, f"{name} waits: {reason}", lambda: self.daemon.ctl("migrations", "--all").out + self.daemon.log_tail())

    def status(self, name):
        return self.daemon.json("status", f"prod/{name}")["targets"][0]

    def versions(self):
        return {name: row["version"] for name, row in self.rows().items()}

    def has(self, database, table):
        return self.pg.value(f"SELECT to_regclass('dbreconcile.{table}') IS NOT NULL", dbname=database)

    def begun(self, mark):
        """Databases in the order in which a migration began there, each once."""
        order = []
        for database, _, text in self.pg.statements(mark, "dbreconciled migrations"):
            if "CREATE TABLE dbreconcile.one" in text and database not in order:
                order.append(database)
        return order


def test_wave_after_wave_over_servers(pg, new_pg, daemon):
    other = new_pg()
    other.create_database("tenant_x")
    second = {"name": "other", "conninfo": other.conninfo(), "manifests": ["platform"],
              "databases": ({"match": "tenant_*", "migrations": {"directory": "app", "user": "migrator", "wave": 2}},)}
    fleet = Fleet(pg, daemon, {"a": {"wave": 3}, "b": {"wave": 1}, "c": {"wave": 3}}, {"V001__one.sql": ONE}, servers=(second,))
    mark = pg.log_mark()
    fleet.daemon.start()
    fleet.daemon.wait_in_sync()
    begun = fleet.begun(mark)
    assert begun[0] == "b" and sorted(begun[1:]) == ["a", "c"]
    stamp = "SELECT extract(epoch FROM installed_on) FROM dbreconcile.migration_ledger"
    assert pg.value(stamp, dbname="b") < other.value(stamp, dbname="tenant_x") < pg.value(stamp, dbname="a")
    rows = fleet.rows()
    assert {name: (row["wave"], row["state"], row["pending"], row["version"]) for name, row in rows.items()} == {
        "a": (3, "current", 0, "001"), "b": (1, "current", 0, "001"), "c": (3, "current", 0, "001"), "tenant_x": (2, "current", 0, "001")}
    assert all(row["last_installed_on"] and row["at_version_since"] and row["waiting"] is None for row in rows.values())
    table = fleet.daemon.ctl("migrations").out
    assert table.splitlines()[0].split() == ["TARGET", "DIRECTORY", "WAVE", "VERSION", "PENDING", "STATE", "LAST", "MESSAGE"]
    assert "other/tenant_x" in table
    assert [t["target"] for t in fleet.daemon.http("/v1/migrations?target=prod%2Fb").json()["targets"]] == ["prod/b"]


def test_once_goes_through_the_waves(pg, daemon):
    """One command brings all waves up; a failure in the first leaves the later ones as they were."""
    fleet = Fleet(pg, daemon, {"a": {"wave": 2}, "b": {}, "c": {"wave": 3}}, {"V001__one.sql": ONE}, max_migrations=1)
    mark = pg.log_mark()
    result = fleet.daemon.once()
    assert result.code == 0, result.err
    assert fleet.begun(mark) == ["b", "a", "c"]
    fleet.file("V002__bad.sql", BAD)
    assert fleet.daemon.once().code == 5
    assert not any(fleet.has(name, "half") for name in "abc")
    fleet.file("V002__bad.sql", "CREATE TABLE dbreconcile.half (id int);\n")
    assert fleet.daemon.once().code == 0
    assert all(fleet.has(name, "half") for name in "abc")


def test_a_soak_holds_the_next_wave_and_survives_a_restart(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {"soak": "1h"}, "b": {"wave": 2}}, {"V001__one.sql": ONE})
    d = fleet.daemon.start()
    waiting = fleet.wait_for("b", "soaking")
    assert waiting["for"] == "prod/a" and waiting["wave"] == 1
    assert waiting["until"] > fleet.rows()["a"]["at_version_since"]
    status = fleet.status("b")
    assert status["state"] == "drift" and status["waiting"]["reason"] == "soaking" and waiting["until"] in status["message"]
    assert "soaks until" in d.ctl("show", "prod/b").out
    d.stop()
    d.start()
    assert fleet.wait_for("b", "soaking")["until"] == waiting["until"], "the soak began when it began"
    assert not fleet.has("b", "one")
    assert d.ctl("migrations", "release", "prod/a", expect=0).out
    d.wait_in_sync()
    assert fleet.has("b", "one")
    # New files begin at the first wave again, and what was released was so for the old ones.
    fleet.file("V002__two.sql", "CREATE TABLE dbreconcile.two (id int);\n")
    wait_for(lambda: fleet.has("a", "two"), 15, "the first wave has the new file", d.log_tail)
    again = wait_for(lambda: fleet.rows()["b"]["waiting"], 15, "b waits", d.log_tail)
    assert again["for"] == "prod/a" and not fleet.has("b", "two")


def test_a_short_soak_ends_by_itself(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {"soak": "2s"}, "b": {"wave": 2}}, {"V001__one.sql": ONE})
    fleet.daemon.start()
    fleet.daemon.wait_in_sync()
    stamp = "SELECT extract(epoch FROM installed_on) FROM dbreconcile.migration_ledger"
    assert pg.value(stamp, dbname="b") - pg.value(stamp, dbname="a") >= 2


def test_a_failure_stops_the_line_and_is_not_tried_again(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {}, "b": {}, "c": {"wave": 2}}, {"V001__one.sql": ONE}, max_migrations=1)
    d = fleet.daemon.start()
    d.wait_in_sync()
    pg.sql("CREATE TABLE dbreconcile.half (id int)", dbname="a")
    fleet.file("V002__half.sql", "CREATE TABLE dbreconcile.half (id int);\n")
    failed = fleet.wait("a", "failed")
    assert "V002__half.sql:1" in failed["message"] and "already exists" in failed["message"] and "reconcile prod/a" in failed["message"]
    # b may have been first; then it finished. c is of a later wave, and whoever had not begun does not begin.
    waiting = fleet.wait_for("c", "stopped")
    assert waiting["for"] == "prod/a" and "migrations release prod/a" in waiting["message"]
    wait_for(lambda: fleet.rows()["b"]["state"] in ("current", "waiting"), 15, "b is at rest", d.log_tail)
    mark = pg.log_mark()
    passes = fleet.status("a")["passes"]
    wait_for(lambda: fleet.status("a")["passes"] >= passes + 3, 20, "passes go on", d.log_tail)
    assert pg.statements(mark, "dbreconciled migrations") == [], "what failed is not tried again by itself"
    assert fleet.status("a")["state"] == "failed"
    # Neither by a restart.
    d.stop()
    d.start()
    assert "already exists" in fleet.wait("a", "failed")["message"]
    assert pg.statements(mark, "dbreconciled migrations") == []
    # The others may go on without it, when somebody says so.
    d.ctl("migrations", "release", "prod/a", expect=0)
    fleet.wait("b", "current")
    fleet.wait("c", "current")
    assert fleet.status("a")["state"] == "failed"
    # A human mends the database, and says so.
    pg.sql("DROP TABLE dbreconcile.half", dbname="a")
    d.ctl("reconcile", "--wait", "prod/a", expect=0)
    d.wait_in_sync()
    assert all(fleet.has(name, "half") for name in "abc")


def test_changed_files_are_another_attempt(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {}}, {"V001__one.sql": BAD})
    d = fleet.daemon.start()
    fleet.wait("a", "failed")
    fleet.file("V001__one.sql", ONE)
    d.wait_in_sync()
    assert fleet.rows()["a"]["message"] == ""
    fleet.file("V002__commit.sql", "DO $$ BEGIN COMMIT; END $$;")
    fleet.wait("a", "failed")
    fleet.file("V002__commit.sql.conf", "executeInTransaction=false\n")
    d.wait_in_sync()


def test_a_failure_is_one_whatever_the_files_look_like_to_a_database(pg, daemon):
    """With placeholders each database has files of its own, and they fail all the same."""
    fleet = Fleet(pg, daemon, {"a": {"placeholders": {"what": "0"}}, "b": {"wave": 2, "placeholders": {"what": "1"}}},
                  {"V001__one.sql": ONE + "SELECT 1/${what};\n"})
    d = fleet.daemon.start()
    fleet.wait("a", "failed")
    assert fleet.wait_for("b", "stopped")["for"] == "prod/a"
    text = open(d.config_file, encoding="utf-8").read()
    d.write("dbreconciled.conf", text.replace('what = "0"', 'what = "2"'))
    d.reload()
    d.wait_in_sync()


def test_a_restart_is_no_other_attempt_where_a_file_holds_the_time(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {}}, {"V001__one.sql": "SELECT 1/0; -- ${flyway:timestamp}\n"})
    d = fleet.daemon.start()
    fleet.wait("a", "failed")
    began = time.time()
    d.stop()
    wait_for(lambda: int(time.time()) > int(began), 5, "another second")
    d.start()
    fleet.wait("a", "failed")
    passes = fleet.status("a")["passes"]
    wait_for(lambda: fleet.status("a")["passes"] >= passes + 2, 20, "passes go on", d.log_tail)
    assert [e["result"] for e in d.json("events")["events"] if e["kind"] == "migration"] == ["failed"]


def test_a_lock_is_tried_again_by_itself(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {}}, {"V001__one.sql": ONE})
    d = fleet.daemon.start()
    d.wait_in_sync()
    holder = pg.connect("a", autocommit=False)
    holder.cursor().execute("LOCK TABLE dbreconcile.one")
    fleet.file("V002__two.sql", "SET LOCAL lock_timeout = '50ms';\nALTER TABLE dbreconcile.one ADD COLUMN two int;\n")
    tried = wait_for(lambda: fleet.status("a")["failure"] == "lock" and fleet.status("a"), 15, "the lock is refused", d.log_tail)
    assert tried["sqlstate"] == "55P03"
    fleet.wait("a", "pending")           # between two attempts
    holder.rollback()
    holder.close()
    d.wait_in_sync()


def test_a_server_out_of_reach_holds_later_waves(pg, new_pg, daemon):
    away = new_pg()
    away.create_database("tenant_x")
    second = {"name": "away", "conninfo": away.conninfo(), "manifests": ["platform"],
              "databases": ({"match": "tenant_*", "migrations": {"directory": "app", "user": "migrator"}},)}
    fleet = Fleet(pg, daemon, {"a": {}, "b": {"wave": 2}}, {"V001__one.sql": ONE}, servers=(second,))
    away.stop()
    d = fleet.daemon.start()
    assert fleet.wait_for("b", "unreachable")["for"] == "away"
    fleet.wait("a", "current")
    assert not fleet.has("b", "one")
    d.ctl("migrations", "release", "away", expect=0)
    wait_for(lambda: fleet.has("b", "one"), 15, "b goes on without it", d.log_tail)
    # It comes back, and is brought up by itself; new files hold the line for it again.
    away.start()
    d.wait_in_sync()
    assert fleet.versions() == {"a": "001", "b": "001", "tenant_x": "001"}
    away.stop()
    fleet.file("V002__two.sql", "CREATE TABLE dbreconcile.two (id int);\n")
    assert fleet.wait_for("b", "unreachable")["for"] == "away/tenant_x"
    away.start()
    d.wait_in_sync()
    assert any(e["kind"] == "released" and e["target"] == "away" for e in d.json("events")["events"])


def test_a_wave_that_opens_while_a_database_is_worked_on(pg, daemon):
    """What could not run when its pass began, and can when its roles and schemas stand, is no failure to converge."""
    fleet = Fleet(pg, daemon, {"a": {}, "b": {"wave": 2}}, {"V001__one.sql": ONE + "SELECT pg_advisory_xact_lock(4711);\n"})
    text = open(fleet.daemon.config_file, encoding="utf-8").read()
    fleet.daemon.write("dbreconciled.conf", text.replace("daemon: {", 'daemon: { lock_timeout = "20s";', 1))
    holders = [pg.connect(name, autocommit=False) for name in "ab"]
    holders[0].cursor().execute("SELECT pg_advisory_xact_lock(4711)")
    holders[1].cursor().execute("LOCK TABLE pg_namespace IN SHARE MODE")
    d = fleet.daemon.start()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s AND datname = %s"
    for database, query in (("a", "%pg_advisory_xact_lock%"), ("b", "CREATE SCHEMA%")):
        wait_for(lambda: pg.value(waits, (query, database)) == 1, 20, f"{database} stands where it should", d.log_tail)
    holders[0].rollback()
    fleet.wait("a", "current")
    holders[1].rollback()
    d.wait_in_sync()
    assert fleet.has("b", "one") and fleet.status("b")["pass_failures"] == 0, d.log_tail()
    for holder in holders:
        holder.close()


def test_what_is_suspended_or_blocked_holds_later_waves(pg, daemon):
    fleet = Fleet(pg, daemon, {"a": {}, "b": {"wave": 2}}, {"V001__one.sql": ONE})
    d = fleet.daemon.start()
    d.wait_in_sync()
    d.ctl("suspend", "prod/a", expect=0)
    fleet.file("V002__two.sql", "CREATE TABLE dbreconcile.two (id int);\n")
    assert fleet.wait_for("b", "held_up")["for"] == "prod/a"
    assert "is suspended" in d.ctl("migrations", "prod/b").out
    d.ctl("resume", "prod/a", expect=0)
    d.wait_in_sync()
    pg.sql("UPDATE dbreconcile.migration_ledger SET checksum = 1 WHERE version = '001'", dbname="a")
    fleet.file("V003__three.sql", "CREATE TABLE dbreconcile.three (id int);\n")
    assert fleet.wait_for("b", "blocked")["for"] == "prod/a"
    assert d.metrics()['dbreconcile_migrations_waiting{database="prod/b"}'] == 1
    d.ctl("migrations", "release", "prod/a", expect=0)
    wait_for(lambda: fleet.has("b", "three"), 15, "b goes on without it", d.log_tail)
    assert not fleet.has("a", "three")


def test_a_limit_for_each_server(pg, daemon):
    """At most so many at the same time, and all of them in the end."""
    names = [f"t{i}" for i in range(6)]
    fleet = Fleet(pg, daemon, {name: {} for name in names}, {"V001__one.sql": ONE + "SELECT pg_sleep(0.3);\n"}, max_migrations=2)
    mark = pg.log_mark()
    fleet.daemon.start()
    fleet.daemon.wait_in_sync()
    assert sorted(fleet.begun(mark)) == names
    spans = [pg.sql("SELECT extract(epoch FROM installed_on), 0.3 FROM dbreconcile.migration_ledger", dbname=name)[0] for name in names]
    begins = sorted(float(end) for end, _ in spans)     # installed_on is the time of BEGIN
    for i in range(len(begins) - 2):
        assert begins[i + 2] - begins[i] >= 0.29, f"three at once: {begins}"


def test_without_migrations_there_is_nothing_to_release(pg, daemon):
    pg.create_database("plain")
    d = daemon({"name": "prod", "conninfo": pg.conninfo(), "databases": ({"name": "plain"},)}).start()
    assert "no migrations" in d.ctl("migrations", "release", "prod/plain", expect=5).err
    assert "no database has migrations" in d.ctl("migrations", "--all", expect=0).err


def test_what_failed_before_the_migrations_keeps_them_waiting(pg, daemon):
    """An extension that could not be made just now: the files would fail without it, and then wait for somebody."""
    fleet = Fleet(pg, daemon, {"a": {}}, {"V001__one.sql": ONE})
    text = open(fleet.daemon.config_file, encoding="utf-8").read()
    fleet.daemon.write("dbreconciled.conf", text.replace('name = "a";', 'name = "a"; manifests = [ "a" ];', 1))
    fleet.daemon.manifest("a", 'extensions: ( { name = "pg_trgm"; } );\n')
    holder = pg.connect("a", autocommit=False)
    holder.cursor().execute("LOCK TABLE pg_extension IN SHARE MODE")
    d = fleet.daemon.start()
    refused = wait_for(lambda: fleet.status("a")["failure"] == "lock" and fleet.status("a"), 20, "the extension is refused", d.log_tail)
    assert not fleet.has("a", "one") and refused["state"] == "failed"
    assert fleet.rows()["a"]["state"] == "pending"
    holder.rollback()
    holder.close()
    d.wait_in_sync()
    assert fleet.has("a", "one")
