# SPDX-License-Identifier: PostgreSQL
"""The state file fails while the daemon runs: databases are still corrected, and what could not be recorded is said."""

import os
import sqlite3

import pytest

ROLES = 'roles: ( { name = "app"; } );\n'
ORDERS = 'grants: ( { to = "app"; privileges = "SELECT"; on = "table app.*"; } );\n'


@pytest.fixture
def running(pg, daemon):
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.a (id int)", "CREATE TABLE app.b (id int)")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                        "databases": ({"name": "orders", "manifests": ["orders"]},)},
               manifests={"platform": ROLES, "orders": ORDERS}, daemon={"interval": "1h"}).start()
    d.reconcile()
    return d


def correct(pg, d, table="a"):
    pg.sql(f"REVOKE ALL ON app.{table} FROM app", dbname="orders")
    d.reconcile()
    assert pg.value(f"SELECT has_table_privilege('app', 'app.{table}', 'SELECT')", dbname="orders")


def checkpoint(d):
    connection = sqlite3.connect(d.state_file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def events(d):
    return [(e["object"], e["result"]) for e in d.json("events")["events"] if e["kind"] == "change" and e["target"] == "prod/orders"]


@pytest.mark.majors(18)
def test_a_locked_file(pg, running):
    """A tool that keeps a transaction open in it."""
    before = events(running)
    other = sqlite3.connect(running.state_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    correct(pg, running, "a")
    assert "the history cannot be written, another process has the state file locked" in running.log()
    other.execute("ROLLBACK")
    other.close()
    correct(pg, running, "b")
    assert events(running) == before + [("GRANT SELECT ON table app.b TO app", "ok")]
    assert "the history is written again" in running.log()


@pytest.mark.majors(18)
@pytest.mark.parametrize("suffix, how", [("", "removed"), ("", "replaced"), ("-wal", "removed")])
def test_a_file_that_goes(pg, running, suffix, how):
    path = running.state_file + suffix
    os.rename(path, path + ".old")
    if how == "replaced":
        sqlite3.connect(path).close()
    correct(pg, running)
    correct(pg, running)
    said = [line for line in running.log().splitlines() if f"{path} was removed or replaced while it is in use" in line]
    assert len(said) == 1, running.log_tail()


@pytest.mark.majors(18)
@pytest.mark.parametrize("first", [0, 4096], ids=["header", "middle"])
def test_a_file_that_is_damaged(pg, running, first):
    checkpoint(running)
    with open(running.state_file, "r+b") as file:
        for at in range(first, os.path.getsize(running.state_file) if first else 1, 4096):
            file.seek(at)
            file.write(b"\x5a" * 4096)
    correct(pg, running)
    assert "the history cannot be written, the state file is damaged" in running.log(), running.log_tail()
    assert "the history cannot be read: the state file is damaged" in running.ctl("events").err


@pytest.mark.majors(18)
def test_a_file_that_cannot_be_read_at_the_start(pg, running):
    """It may say that a target is suspended."""
    running.ctl("suspend", "prod/orders", expect=0)
    running.stop()
    with open(running.state_file, "r+b") as file:
        file.write(b"\x5a" * 4096)
    pg.sql("REVOKE ALL ON app.a FROM app", dbname="orders")
    running.start()
    mark = pg.log_mark()
    running.reconcile("prod/orders", expect=None)
    assert pg.changes(mark) == []
    assert running.json("status", "prod/orders")["targets"][0]["mode"] == "observe"
    assert "only observing, as it may say what is suspended" in running.log()
    running.stop()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(running.state_file + suffix):
            os.rename(running.state_file + suffix, running.state_file + ".old" + suffix)
    running.start()
    running.reconcile("prod/orders")
    assert pg.value("SELECT has_table_privilege('app', 'app.a', 'SELECT')", dbname="orders")
