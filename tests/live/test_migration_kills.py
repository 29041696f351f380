# SPDX-License-Identifier: PostgreSQL
"""Killed at random moments: no migration is lost, none runs twice, and what cannot be known is said.

DBR_KILLS is how often the daemon is killed (60; the figure to show is 1000), DBR_SEED repeats a run.
"""

import os
import random
import subprocess
import time
from collections import Counter

import pytest
from dbr import wait_for

KILLS = int(os.environ.get("DBR_KILLS", "60"))
SEED = int(os.environ.get("DBR_SEED", random.randrange(1 << 30)))
DATABASES = ("a", "b", "c")
SPLIT = "-- dbreconcile:transaction=false\n"
MANIFESTS = {"platform": 'roles: ( { name = "migrator"; login = true; } );\n',
             "inside": 'schemas: ( { name = "app"; owner = "migrator"; } );\n'}
FIRST = """CREATE TABLE app.log (id int);
CREATE PROCEDURE app.mark(v int) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.log VALUES (v); COMMIT; END $$;
"""


def files():
    """50 migrations; what each writes to app.log must be there exactly once."""
    made = {}
    for v in range(1, 51):
        kind = v % 5
        if v in (25, 50):
            text = SPLIT + f"INSERT INTO app.log VALUES ({v});\nCALL app.mark({v + 3000});\nINSERT INTO app.log VALUES ({v + 1000});\n"
        elif kind == 2:
            text = f"CREATE INDEX CONCURRENTLY i{v} ON app.t{v - 1} (a);\n"
        elif kind == 3:
            text = (SPLIT + f"INSERT INTO app.log VALUES ({v});\nCREATE UNIQUE INDEX CONCURRENTLY j{v} ON app.t{v - 2} (a);\n"
                    f"INSERT INTO app.log VALUES ({v + 1000});\nDROP INDEX CONCURRENTLY app.i{v - 1};\nINSERT INTO app.log VALUES ({v + 2000});\n")
        elif kind == 4:
            text = f"REINDEX TABLE CONCURRENTLY app.t{v - 3};\nVACUUM (ANALYZE) app.t{v - 3};\n"
        else:
            text = (FIRST if v == 1 else "") + f"CREATE TABLE app.t{v} (a int);\nCOPY app.t{v} FROM stdin;\n1\n2\n\\.\nINSERT INTO app.log VALUES ({v});\n"
        made[f"V{v}__m.sql"] = text
    return made


def expected_log():
    ids = []
    for v in range(1, 51):
        ids += [v, v + 1000, v + 3000] if v in (25, 50) else [v, v + 1000, v + 2000] if v % 5 == 3 else [v] if v % 5 in (0, 1) else []
    return sorted(ids)


class Fleet:
    """Three databases, one directory of migrations."""

    def __init__(self, pg, make_daemon):
        self.pg = pg
        databases = tuple({"name": name, "manifests": ["inside"], "migrations": {"directory": "m", "user": "migrator"}} for name in DATABASES)
        self.daemon = make_daemon({"name": "s", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": databases},
                                  MANIFESTS, {"m": files()})
        self.random = random.Random(SEED)
        self.seen = Counter()
        self.doing = Counter()
        self.watcher = pg.connect()

    def begin(self):
        for name in DATABASES:
            self.pg.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self.pg.create_database(name)
        for name in os.listdir(self.daemon.directory):
            if name.startswith("state.db"):
                os.unlink(os.path.join(self.daemon.directory, name))

    def at_work(self, wait):
        """What the runners are doing: a word for each; waits until one is there."""
        query = ("SELECT state, query FROM pg_stat_activity WHERE application_name = 'dbreconciled migrations'")
        with self.watcher.cursor() as cursor:
            end = time.monotonic() + wait
            while True:
                cursor.execute(query)
                rows = cursor.fetchall()
                if rows or time.monotonic() > end:
                    return [" ".join(text.split()[:2]) if state == "active" else "between statements" for state, text in rows]

    def kill_once(self):
        """Some of the kills come while it starts, most while migrations run."""
        self.daemon.spawn()
        starting = self.random.random() < 0.1
        if not starting:
            self.at_work(5)
        try:
            self.daemon.process.wait(timeout=self.random.uniform(0, 0.08 if starting else 0.06))
            raise AssertionError(f"the daemon ended by itself:\n{self.daemon.log_tail()}")
        except subprocess.TimeoutExpired:
            found = self.at_work(0)
            self.daemon.kill()
        self.seen["kills"] += 1
        self.seen["while migrations ran"] += bool(found)
        self.doing.update(found)

    def is_over(self):
        """Everything has run, or waits for somebody."""
        for name in DATABASES:
            if not self.pg.value("SELECT to_regclass('dbreconcile.migration_ledger_progress') IS NOT NULL", dbname=name):
                return False
            ran, waits = self.pg.sql("SELECT (SELECT count(*) FROM dbreconcile.migration_ledger), EXISTS (SELECT FROM"
                                     " dbreconcile.migration_ledger_progress WHERE state = 'running' AND statement LIKE 'CALL%')", dbname=name)[0]
            if ran < 50 and not waits:
                return False
        return True

    def status(self, name):
        return self.daemon.json("status", f"s/{name}")["targets"][0]

    def decide(self, name):
        """What nobody can tell is decided by who knows: here the log table, and the index."""
        passes = self.status(name)["passes"]
        answer = self.daemon.json("migrations", f"s/{name}")
        rows = self.pg.sql("SELECT version, done, state, statement, message FROM dbreconcile.migration_ledger_progress", dbname=name)
        states = [row for row in answer["migrations"] if row["state"] == "indeterminate"]
        if not answer["blocked"] or not rows:
            return
        (version, done, _state, statement, message), = rows
        assert states and states[0]["version"] == version and "resolve" in answer["hint"] and answer["reason"], answer
        if statement.startswith("CALL"):
            happened = self.pg.value(f"SELECT count(*) FROM app.log WHERE id = {int(version) + 3000}", dbname=name)
            self.seen["undecidable CALL, " + ("had happened" if happened else "had not happened")] += 1
        else:
            assert "is invalid and nobody builds it" in message, rows
            self.pg.sql(message[message.index("DROP INDEX"):].split(",")[0], dbname=name)
            happened = 0
            self.seen["invalid index found"] += 1
        self.daemon.ctl("migrations", f"s/{name}", "resolve", version, f"--from-statement={done + 1 + happened}", expect=0)

        def looked():           # until then it is called blocked for what was just decided; a pass may have been under way
            row = self.status(name)
            return row["state"] != "blocked" or row["passes"] > passes + 1
        wait_for(looked, 30, "a pass after the decision", self.daemon.log_tail)

    def finish(self):
        def in_sync():
            status = {row["target"]: row for row in self.daemon.json("status")["targets"]}
            for name in DATABASES:
                if status.get(f"s/{name}", {}).get("state") == "blocked":
                    self.decide(name)
            assert status and all(row["state"] == "in_sync" for row in status.values()), status
            return True
        wait_for(in_sync, 90, "in sync", lambda: self.daemon.ctl("status").out + self.daemon.log_tail())

    def check(self):
        for name in DATABASES:
            ledger = self.pg.sql("SELECT installed_rank, version, success, type FROM dbreconcile.migration_ledger ORDER BY 1", dbname=name)
            assert ledger == [(v, str(v), True, "SQL") for v in range(1, 51)], (SEED, name, ledger)
            log = [row[0] for row in self.pg.sql("SELECT id FROM app.log ORDER BY 1", dbname=name)]
            assert log == expected_log(), (SEED, name, Counter(log) - Counter(expected_log()), Counter(expected_log()) - Counter(log))
            tables = self.pg.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'app'::regnamespace", dbname=name)
            assert len(tables) == 1 + len([v for v in range(1, 51) if v % 5 in (0, 1) and v not in (25, 50)])
            indexes = self.pg.sql("SELECT c.relname, x.indisvalid FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"
                                  " WHERE c.relnamespace = 'app'::regnamespace ORDER BY 1", dbname=name)
            wanted = sorted((f"j{v}", True) for v in range(3, 51, 5))
            left = [row for row in indexes if "_ccnew" in row[0] or "_ccold" in row[0]]
            assert [row for row in indexes if row not in left] == wanted, (SEED, name, indexes)
            self.seen["left by REINDEX CONCURRENTLY"] += len(left)
            assert self.pg.sql("SELECT * FROM dbreconcile.migration_ledger_progress", dbname=name) == []
        self.seen["migrations"] += 50 * len(DATABASES)


@pytest.mark.majors(16)
def test_kill_9_of_the_daemon_at_random_moments(pg, daemon, record_property):
    fleet = Fleet(pg, daemon)
    began = time.monotonic()
    while fleet.seen["kills"] < KILLS:
        fleet.begin()
        while fleet.seen["kills"] < KILLS and not fleet.is_over():
            fleet.kill_once()
        fleet.daemon.start()
        fleet.finish()
        fleet.check()
        fleet.daemon.stop()
        fleet.seen["rounds"] += 1
    text = ", ".join(f"{count} {what}" for what, count in fleet.seen.items() if count)
    doing = ", ".join(f"{what} {count}" for what, count in fleet.doing.most_common(15))
    record_property("table", f"kill -9 at random moments, seed {SEED}: {text}; {time.monotonic() - began:.0f} s; none lost, none doubled.\n"
                             f"  What the runners were doing: {doing}")


@pytest.mark.majors(17)
def test_backends_killed_at_random_moments(pg, daemon, record_property):
    """pg_terminate_backend: a build that is cut off leaves an invalid index, which is found, named and not taken for done."""
    fleet = Fleet(pg, daemon)
    fleet.begin()
    fleet.daemon.start()
    for _ in range(25):
        wait_for(lambda: pg.backends(None, "dbreconciled migrations") or all(
            row["state"] in ("in_sync", "blocked", "failed") for row in fleet.daemon.json("status")["targets"]), 30, "a runner is at work",
            fleet.daemon.log_tail, every=fleet.random.uniform(0.001, 0.02))
        fleet.seen["backends killed"] += len(pg.kill_backends(None, "dbreconciled migrations"))
        for name in DATABASES:
            if fleet.status(name)["state"] == "blocked":
                fleet.decide(name)
        fleet.daemon.ctl("reconcile")
    fleet.finish()
    fleet.check()
    record_property("table", f"backends killed, seed {SEED}: " + ", ".join(f"{n} {what}" for what, n in fleet.seen.items() if n))


@pytest.mark.majors(14)
def test_server_crashes_at_random_moments(pg, new_pg, daemon, record_property):
    own = new_pg(14)
    fleet = Fleet(own, daemon)
    fleet.begin()
    fleet.daemon.start()
    for _ in range(5):
        wait_for(lambda: own.backends(None, "dbreconciled migrations") or all(
            row["state"] in ("in_sync", "blocked") for row in fleet.daemon.json("status")["targets"]), 30, "a runner is at work",
            fleet.daemon.log_tail, every=fleet.random.uniform(0.001, 0.05))
        own.stop("immediate")
        own.start()
        fleet.seen["crashes"] += 1
        for name in DATABASES:
            if fleet.status(name)["state"] == "blocked":
                fleet.decide(name)
        fleet.daemon.ctl("reconcile")
    fleet.finish()
    fleet.check()
    record_property("table", f"server crashes, seed {SEED}: " + ", ".join(f"{n} {what}" for what, n in fleet.seen.items() if n))
