# SPDX-License-Identifier: PostgreSQL
"""A ledger that is as it was is not read again; whatever changes in it, around it or in what it is compared with is noticed."""
import re

import psycopg2
import pytest
from test_migrations import FIRST, ORDERS, ROLES

LEDGER = "dbreconcile.migration_ledger"
FILES = {"V1__users.sql": FIRST, "V2__two.sql": "CREATE TABLE app.two ();", "R__three.sql": "CREATE OR REPLACE VIEW app.three AS SELECT 3 AS n;"}


class Known:
    """prod/orders, whose connection is kept and whose ledger has been read."""

    def __init__(self, pg, make_daemon):
        self.pg = pg
        pg.create_database("orders")
        server = {"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "keep_connections": 4,
                  "databases": ({"name": "orders", "manifests": ["orders"], "migrations": {"directory": "orders", "user": "migrator"}},)}
        self.daemon = make_daemon(server, {"platform": ROLES, "orders": ORDERS}, {"orders": FILES}, daemon={"interval": "1h"}).start()
        self.daemon.reconcile()
        self.daemon.reconcile()

    def sql(self, text):
        return self.pg.sql(text, dbname="orders")

    def check(self):
        """One pass: was the ledger summed up, was it read, and what is the target's state then."""
        mark = self.pg.log_mark()
        self.daemon.reconcile(expect=None)
        sent = [s[2] for s in self.pg.statements(mark) if LEDGER.split(".")[1] in s[2]]
        summed = [s for s in sent if "pg_catalog.count(*), pg_catalog.sum(r.h)" in s]
        read = [s for s in sent if 'ORDER BY "installed_rank"' in s]
        return bool(summed), bool(read), self.daemon.json("status", "prod/orders")["targets"][0]["state"]

    def settled(self):
        self.check()
        assert self.check() == (True, False, "in_sync")


@pytest.fixture
def known(pg, daemon):
    return Known(pg, daemon)


# what is done, how it is undone, the state in between
CHANGES = [
    (f"UPDATE {LEDGER} SET checksum = 1 WHERE version = '1'", f"UPDATE {LEDGER} SET checksum = %(checksum)s WHERE version = '1'", "blocked"),
    (f"UPDATE {LEDGER} SET description = 'other' WHERE version = '2'", f"UPDATE {LEDGER} SET description = 'two' WHERE version = '2'", "blocked"),
    (f"UPDATE {LEDGER} SET success = false WHERE version = '2'", f"UPDATE {LEDGER} SET success = true WHERE version = '2'", "blocked"),
    (f"UPDATE {LEDGER} SET version = '1.5' WHERE version = '1'", f"UPDATE {LEDGER} SET version = '1' WHERE version = '1.5'", "blocked"),
    (f"INSERT INTO {LEDGER} VALUES (9, '1.7', 'gone', 'SQL', 'V1_7__gone.sql', 5, 'me', now(), 1, true)",
     f"DELETE FROM {LEDGER} WHERE installed_rank = 9", "blocked"),
    (f"INSERT INTO {LEDGER} VALUES (9, '7', 'future', 'SQL', 'V7__future.sql', 5, 'me', now(), 1, true)",
     f"DELETE FROM {LEDGER} WHERE installed_rank = 9", "in_sync"),
    (f"UPDATE {LEDGER} SET installed_by = 'somebody' WHERE version = '1'", f"UPDATE {LEDGER} SET installed_by = 'migrator'", "in_sync"),
    # two rows swap what they say: every column has the values that it had
    (f"UPDATE {LEDGER} SET checksum = CASE version WHEN '1' THEN %(checksum2)s ELSE %(checksum)s END WHERE version IN ('1', '2')",
     f"UPDATE {LEDGER} SET checksum = CASE version WHEN '2' THEN %(checksum2)s ELSE %(checksum)s END WHERE version IN ('1', '2')", "blocked"),
]


@pytest.mark.majors(14, 18)
def test_every_change_of_the_ledger_is_read(known):
    checksums = dict(zip(("checksum", "checksum2"), [row[0] for row in known.sql(f"SELECT checksum FROM {LEDGER} ORDER BY installed_rank")]))
    assert known.check() == (True, False, "in_sync")
    for change, undo, state in CHANGES:
        known.sql(change % checksums)
        assert known.check() == (True, True, state), change
        if state == "blocked":
            assert known.check() == (False, True, state), "what blocks is read every time"
        known.sql(undo % checksums)
        known.settled()
    # "future" left its warning, and took it away
    assert known.daemon.json("migrations", "prod/orders")["warnings"] == []


@pytest.mark.majors(14, 18)
def test_files_settings_and_rights_count_too(known):
    known.daemon.migration("orders", "V2__two.sql", "CREATE TABLE app.changed ();")
    assert known.check() == (False, True, "blocked")
    known.daemon.migration("orders", "V2__two.sql", FILES["V2__two.sql"])
    known.settled()
    known.daemon.migration("orders", "V8__new.sql", "CREATE TABLE app.eight ();")
    summed, read, state = known.check()
    assert not summed and read and state == "in_sync"
    assert known.sql("SELECT to_regclass('app.eight') IS NOT NULL") == [(True,)]
    known.settled()
    known.pg.sql("ALTER ROLE migrator SUPERUSER")
    known.daemon.reconcile("prod")
    assert known.check() == (False, True, "in_sync")
    assert "migrator is a superuser" in str(known.daemon.json("migrations", "prod/orders"))
    known.settled()
    assert "migrator is a superuser" in str(known.daemon.json("migrations", "prod/orders"))
    known.pg.sql("ALTER ROLE migrator NOSUPERUSER")
    known.daemon.reconcile("prod")
    assert known.check() == (False, True, "in_sync")
    assert "is a superuser" not in str(known.daemon.json("migrations", "prod/orders"))


@pytest.mark.majors(14, 18)
def test_a_table_that_was_made_anew_and_one_with_a_trap(known):
    known.sql(f"CREATE TABLE dbreconcile.copy (LIKE {LEDGER} INCLUDING ALL); INSERT INTO dbreconcile.copy SELECT * FROM {LEDGER};"
              f"DROP TABLE {LEDGER}; ALTER TABLE dbreconcile.copy RENAME TO migration_ledger; ALTER TABLE {LEDGER} OWNER TO migrator")
    assert known.check() == (False, True, "in_sync")
    known.settled()
    known.sql(f"CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
              f"CREATE TRIGGER t BEFORE INSERT ON {LEDGER} FOR EACH ROW EXECUTE FUNCTION app.f()")
    assert known.check() == (False, False, "blocked")
    known.sql(f"DROP TRIGGER t ON {LEDGER}")
    known.settled()
    # the table beside it: it has rows of its own to read
    known.daemon.migration("orders", "V9__split.sql", "-- dbreconcile:transaction=false\nVACUUM app.two;\n")
    assert known.check()[2] == "in_sync"
    assert known.check() == (False, True, "in_sync")


@pytest.mark.majors(14, 18)
def test_a_type_without_a_hash(known):
    known.sql(f"ALTER TABLE {LEDGER} ALTER version TYPE json USING version::json")
    for _ in range(3):
        summed, read, state = known.check()
        assert read and state == "in_sync"


@pytest.mark.majors(14, 18)
def test_the_judgement_under_the_lock_is_an_error_that_stops_the_reading(known):
    """Between the look and the lock somebody may put another table there: what the daemon asks then is asked here."""
    mark = known.pg.log_mark()
    known.daemon.reconcile()
    log = known.pg.log_since(mark)
    judge = re.search(r"(SELECT 1 / CASE WHEN .*)\n", log).group(1)
    order = [s[2] for s in known.pg.statements(mark) if s[0] == "orders"]
    at = [i for i, text in enumerate(order) if text.startswith("SELECT 1 / CASE")][0]
    assert "REPEATABLE READ" in order[at - 2] and order[at - 1].startswith("LOCK TABLE") and "hash_record_extended" in order[at + 1]
    oid = known.sql(f"SELECT '{LEDGER}'::regclass::oid")[0][0]

    def passes(which=oid):
        connection = known.pg.connect("orders", options="-c search_path=pg_catalog,pg_temp")
        try:
            with connection.cursor() as cursor:
                cursor.execute("PREPARE judge AS " + judge)
                cursor.execute(f"EXECUTE judge ('dbreconcile', 'migration_ledger', {which}, 'migration_ledger_progress')")
                return cursor.fetchall() == [(1,)]
        except psycopg2.errors.DivisionByZero:
            return False
        finally:
            connection.close()

    assert passes() and not passes(which=1259)
    for trap, undo in ((f"CREATE POLICY p ON {LEDGER}", f"DROP POLICY p ON {LEDGER}"),
                       (f"ALTER TABLE {LEDGER} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {LEDGER} DISABLE ROW LEVEL SECURITY"),
                       ("CREATE TABLE dbreconcile.migration_ledger_progress ()", "DROP TABLE dbreconcile.migration_ledger_progress"),
                       (f"ALTER TABLE {LEDGER} RENAME TO away; CREATE VIEW {LEDGER} AS SELECT * FROM dbreconcile.away",
                        f"DROP VIEW {LEDGER}; ALTER TABLE dbreconcile.away RENAME TO migration_ledger")):
        known.sql(trap)
        assert not passes(), trap
        known.sql(undo)
    assert known.check() == (True, False, "in_sync")
