# SPDX-License-Identifier: PostgreSQL
"""Migrations by the daemon: inside a pass, as the migration user, between roles and grants. Scenario 2 of a migration team.

What the runner does file by file, and under faults, is in test_migrator.py.
"""

import os
import time

import psycopg2
import pytest
from dbr import wait_for
from test_migrator import FLYWAY, FLYWAY_KEY, java_hash

FIRST = "CREATE TABLE app.users (id int PRIMARY KEY, email text);\n"
SECOND = "COPY app.users FROM stdin;\n1\tada@example.org\n2\tit's ü\n\\.\nCREATE VIEW app.names AS SELECT email FROM app.users;\n"

ROLES = """
roles: (
  { name = "migrator"; login = true; connection_limit = 5; },
  { name = "app"; login = true; },
  { name = "analytics"; login = true; }
);
"""
ORDERS = """
schemas: ( { name = "app"; owner = "migrator"; }, { name = "dbreconcile"; owner = "migrator"; } );
grants: (
  { to = "app"; level = "read-write"; schema = "app"; },
  { to = "analytics"; level = "read-only"; schema = "app"; }
);
"""
AT_REST = ("idle", "held", "suspended", "backoff")


class Team:
    """A server with an empty database orders, and a daemon that knows about it; target is prod/orders."""

    def __init__(self, pg, make_daemon, files, more=None, **options):
        self.pg = pg
        pg.create_database("orders", *options.pop("prepare", ()))
        migrations = {"directory": "orders", "user": "migrator", **(more or {})}
        server = {"name": "prod", "conninfo": options.pop("conninfo", pg.conninfo()), "manifests": ["platform"],
                  "databases": ({"name": "orders", "manifests": ["orders"], "migrations": migrations},)}
        self.daemon = make_daemon(server, {"platform": ROLES, "orders": ORDERS}, {"orders": files}, **options)

    def file(self, name, text):
        return self.daemon.migration("orders", name, text)

    def remove(self, name):
        os.unlink(os.path.join(self.daemon.directory, "migrations/orders", name))

    def migrations(self):
        return self.daemon.json("migrations", "prod/orders")

    def states(self):
        return {row["script"] or row["description"]: row["state"] for row in self.migrations()["migrations"]}

    def wait_blocked(self, *words):
        def blocked():
            answer = self.migrations()
            assert answer["blocked"] and all(word in str(answer) for word in words), answer
            row = self.daemon.json("status", "prod/orders")["targets"][0]
            assert row["state"] == "blocked" and row["phase"] in AT_REST, row
            return answer
        return wait_for(blocked, 20, f"blocked, naming {words}", lambda: self.daemon.ctl("show", "prod/orders").out)

    def wait_failed(self, *words):
        """Until it is shown, and the pass in which it failed is over; before that it has no state yet, and no grants."""
        def failed():
            shown = self.daemon.ctl("show", "prod/orders").out
            assert all(word in shown for word in words), shown
            row = self.daemon.json("status", "prod/orders")["targets"][0]
            assert row["phase"] in AT_REST and row["state"] not in ("pending", "running"), row
            return shown
        return wait_for(failed, 20, f"failed, naming {words}", self.daemon.log_tail)

    def value(self, query, **where):
        return self.pg.value(query, dbname="orders", **where)

    def ledger(self, columns="version, description, type, script, installed_by, success"):
        return self.pg.sql(f"SELECT {columns} FROM dbreconcile.migration_ledger ORDER BY installed_rank", dbname="orders")


@pytest.fixture
def team(pg, daemon):
    def make(files, **options):
        made = Team(pg, daemon, files, **options)
        made.daemon.start()
        return made
    return make


def test_from_an_empty_database_to_grants_in_one_pass(pg, daemon):
    """--once: roles, schema, migrations as the migration user, and grants on the new tables, all in the first pass."""
    made = Team(pg, daemon, {"V001__create_users.sql": FIRST, "V002__seed.sql": SECOND, "README.md": "not a migration"})
    result = made.daemon.once()
    assert result.code == 0, result.err
    assert made.ledger() == [("001", "create users", "SQL", "V001__create_users.sql", "migrator", True),
                             ("002", "seed", "SQL", "V002__seed.sql", "migrator", True)]
    assert made.value("SELECT tableowner FROM pg_tables WHERE tablename = 'users'") == "migrator"
    assert pg.sql("SELECT email FROM app.names ORDER BY 1", dbname="orders", user="analytics") == [("ada@example.org",), ("it's ü",)]
    assert pg.allowed("INSERT INTO app.users VALUES (3, 'x')", dbname="orders", user="app")
    assert not pg.allowed("INSERT INTO app.users VALUES (4, 'x')", dbname="orders", user="analytics")
    assert not pg.allowed("CREATE TABLE app.mine ()", dbname="orders", user="app")
    # what ran as the migration user came over its own login
    assert not [s for s in pg.statements() if s[1] == "postgres" and "CREATE TABLE app.users" in s[2]]
    assert [s for s in pg.statements() if s[1] == "migrator" and "CREATE TABLE app.users" in s[2]]
    mark = pg.log_mark()
    assert made.daemon.once().code == 0
    assert pg.changes(mark) == []


@pytest.mark.majors(14, 18)
def test_new_file_runs_and_its_table_is_granted(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    made.file("V2__posts.sql", "CREATE TABLE app.posts (id int);")
    wait_for(lambda: made.states().get("V2__posts.sql") == "applied", 20, "V2 is applied", made.daemon.log_tail)
    made.daemon.wait_in_sync()
    assert made.pg.allowed("SELECT * FROM app.posts", dbname="orders", user="analytics")
    assert made.migrations()["current_version"] == "2"
    assert made.migrations()["counts"]["applied"] == 2


@pytest.mark.majors(14, 18)
def test_failing_file_is_rolled_back_and_named(team):
    made = team({"V1__users.sql": FIRST, "V2__bad.sql": "CREATE TABLE app.half ();\nSELECT 'ü',\n  nosuch(1);\n"})
    made.wait_failed("V2__bad.sql", "3", "nosuch")
    assert [row[0] for row in made.ledger()] == ["1"]
    assert made.value("SELECT to_regclass('app.half') IS NULL")
    events = made.daemon.json("events")["events"]
    assert any("V2__bad.sql" in str(event) and event["result"] == "failed" for event in events), events
    assert "V2__bad.sql:3:3" in made.daemon.log()
    # grants go on without it
    assert made.pg.allowed("SELECT * FROM app.users", dbname="orders", user="analytics")
    made.file("V2__bad.sql", "CREATE TABLE app.half ();")
    made.daemon.ctl("reconcile", "--wait", "prod/orders")
    made.daemon.wait_in_sync()
    assert [row[0] for row in made.ledger()] == ["1", "2"]


@pytest.mark.majors(14, 18)
def test_changed_and_missing_files_block_and_say_so(team):
    made = team({"V1__users.sql": FIRST, "V2__seed.sql": SECOND})
    made.daemon.wait_in_sync()
    made.file("V1__users.sql", FIRST.replace("email", "mail"))
    made.file("V3__later.sql", "CREATE TABLE app.later ();")
    answer = made.wait_blocked("V1__users.sql", "changed after it was applied")
    assert made.states()["V1__users.sql"] == "checksum_mismatch"
    assert answer["hint"] and made.value("SELECT to_regclass('app.later') IS NULL")
    made.file("V1__users.sql", FIRST.replace("\n", "\r\n"))           # only line ends: the same migration
    made.daemon.wait_in_sync()
    assert [row[0] for row in made.ledger()] == ["1", "2", "3"]
    made.remove("V2__seed.sql")
    made.wait_blocked("version 2", "missing")
    made.file("V2__seed.sql", SECOND)
    made.daemon.wait_in_sync()


@pytest.mark.parametrize("name,text,words", [
    ("V2__c.sql", "CREATE TABLE app.x ();\nCOMMIT;\nCREATE TABLE app.y ();\n", ("V2__c.sql", "COMMIT")),
    ("V2__i.sql", "CREATE TABLE app.x (); CREATE INDEX CONCURRENTLY ON app.users (email);", ("V2__i.sql", "CONCURRENTLY")),
    ("V2__p.sql", "\\set x 1\n", ("V2__p.sql", "psql")),
    ("V2__n.sql", b"SELECT 1;\0 DROP TABLE app.users;", ("V2__n.sql", "NUL")),
    ("V2__u.sql", b"SELECT '\xe4';", ("V2__u.sql", "UTF-8")),
    ("V1_0__again.sql", "SELECT 1;", ("V1_0__again.sql", "twice")),
    ("seed.sql", "SELECT 1;", ("seed.sql", "V<version>__<description>.sql")),
    ("V0_5__late.sql", "SELECT 1;", ("V0_5__late.sql", "0.5")),
], ids=["commit", "concurrently", "psql", "nul", "latin1", "twice", "name", "out-of-order"])
@pytest.mark.majors(15)
def test_bad_file_blocks_before_it_runs(team, name, text, words):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    made.file(name, text)
    made.wait_blocked(*words)
    assert len(made.ledger()) == 1
    made.remove(name)
    made.daemon.wait_in_sync()


@pytest.mark.majors(15)
def test_file_that_others_can_write_is_refused(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    made.daemon.write("migrations/orders/V2__open.sql", b"SELECT 1;", 0o666)
    made.wait_blocked("V2__open.sql", "chmod go-w")
    made.remove("V2__open.sql")
    made.daemon.wait_in_sync()


@pytest.mark.majors(14, 18)
def test_flyway_history_is_taken_over(pg, daemon):
    files = {"V1__before.sql": "CREATE TABLE app.never ();", "V2__two_lines.sql": b"a\r\nb\r\n", "V4__index.sql": "",
             "V5__new.sql": "CREATE TABLE app.five ();", "R__view.sql": "CREATE OR REPLACE VIEW app.v AS SELECT 1 AS one;"}
    pg.sql("CREATE ROLE migrator LOGIN")
    made = Team(pg, daemon, files, {"table": "public.flyway_schema_history"}, prepare=(FLYWAY,))
    assert made.daemon.once().code == 0, made.daemon.log_tail()
    rows = pg.sql("SELECT installed_rank, version, type, script, installed_by FROM public.flyway_schema_history WHERE installed_rank > 7"
                  " ORDER BY 1", dbname="orders")
    assert rows == [(8, "5", "SQL", "V5__new.sql", "migrator"), (9, None, "SQL", "R__view.sql", "migrator")]
    assert made.value("SELECT to_regclass('app.never') IS NULL AND to_regclass('dbreconcile.migration_ledger') IS NULL")


@pytest.mark.majors(15)
def test_observe_shows_pending_and_runs_nothing(team):
    made = team({"V1__users.sql": FIRST}, daemon={"mode": "observe"})
    wait_for(lambda: made.states() == {"V1__users.sql": "pending"}, 20, "V1 is pending", made.daemon.log_tail)
    assert "MIGRATE V1__users.sql" in made.daemon.ctl("diff", "prod/orders").out
    assert made.value("SELECT to_regclass('app.users') IS NULL")
    assert made.pg.changes() == []


@pytest.mark.majors(15)
def test_missing_ledger_is_not_an_empty_one(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    # nor is one that was never there
    with open(made.daemon.config_file, encoding="utf-8") as file:
        text = file.read()
    made.daemon.write("dbreconciled.conf", text.replace('user = "migrator"', 'user = "migrator"; table = "app.ledger"'))
    made.daemon.reload()
    made.wait_blocked("no migration ledger app.ledger", "had another one, dbreconcile.migration_ledger", "prod/orders baseline VERSION")
    made.daemon.write("dbreconciled.conf", text)
    made.daemon.reload()
    made.daemon.wait_in_sync()
    made.pg.sql("DROP TABLE dbreconcile.migration_ledger", dbname="orders")
    made.wait_blocked("migration_ledger", "was there")


@pytest.mark.majors(18)
def test_tables_and_no_ledger_are_another_database_than_was_meant(pg, daemon):
    """Of a daemon that has never seen it: nothing runs and nothing is written before somebody says what the database has."""
    made = Team(pg, daemon, {"V1__users.sql": FIRST}, {"table": "public.history"},
                prepare=("CREATE TABLE public.of_somebody (id int); GRANT CREATE ON SCHEMA public TO PUBLIC",))
    assert made.daemon.once().code == 5
    assert made.value("SELECT to_regclass('app.users') IS NULL AND to_regclass('public.history') IS NULL")
    made.daemon.start()
    answer = made.wait_blocked("schema public holds tables (of_somebody)", "no ledger history", "baseline VERSION")
    assert answer["counts"]["pending"] == 1 and answer["migrations"][0]["lint"] == []
    made.daemon.ctl("migrations", "prod/orders", "baseline", "0", expect=0)
    made.daemon.wait_in_sync()
    assert made.value("SELECT array_agg(type::text ORDER BY installed_rank) FROM public.history") == ["BASELINE", "SQL"]


@pytest.mark.majors(18)
def test_tables_elsewhere_are_no_ledgers_business(team):
    made = team({"V1__users.sql": FIRST}, prepare=("CREATE TABLE public.of_somebody (id int)",))
    made.daemon.wait_in_sync()


@pytest.mark.majors(18)
def test_a_flyway_history_that_is_not_named_is_found(team):
    made = team({"V1__users.sql": FIRST}, prepare=("CREATE TABLE public.aaa (); CREATE TABLE public.flyway_schema_history ()",))
    assert "table = \"public.flyway_schema_history\"" in made.wait_blocked("a history of Flyway, public.flyway_schema_history")["hint"]


@pytest.mark.majors(18)
def test_what_an_extension_brings_is_no_table_of_users(pg, daemon):
    made = Team(pg, daemon, {"V1__users.sql": FIRST}, {"table": "public.history"}, prepare=(
        "CREATE EXTENSION earthdistance CASCADE; CREATE VIEW public.v AS SELECT 1; CREATE TABLE public.e (); ALTER EXTENSION cube ADD TABLE "
        "public.e; GRANT CREATE ON SCHEMA public TO PUBLIC",))
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert made.states() == {"V1__users.sql": "applied"}


@pytest.mark.majors(18)
def test_a_file_that_failed_says_so_where_migrations_are_listed(team):
    made = team({"V1__users.sql": FIRST, "V2__bad.sql": "SELECT 1;\nSELECT nope;", "V3__later.sql": "SELECT 1"})
    made.wait_failed("V2__bad.sql:2:8")

    def notes():
        return {row["script"]: (row["state"], row["note"]) for row in made.migrations()["migrations"]}
    wanted = ("pending", 'failed: line 2:8: column "nope" does not exist, at: SELECT nope;')
    assert notes()["V2__bad.sql"] == wanted and notes()["V3__later.sql"] == ("pending", None)
    made.daemon.stop()
    made.daemon.start()                              # and after a restart, though nothing runs again
    wait_for(lambda: notes()["V2__bad.sql"][1], 20, "the note is there")
    assert 'column "nope" does not exist' in made.daemon.ctl("migrations", "prod/orders").out
    made.file("V2__bad.sql", "DO $$\nBEGIN\n  PERFORM 1/0;\nEND $$;")
    made.wait_failed("division by zero", "line 3 at PERFORM")
    made.file("V2__bad.sql", "SELECT 2;")
    made.daemon.wait_in_sync()
    assert notes()["V2__bad.sql"] == ("applied", None)


@pytest.mark.majors(18)
def test_files_that_are_being_written_are_not_taken(team):
    """A slow copy, and a checkout that writes V10 before V2: what is there in the middle of it would run, and the rest be out of order."""
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    path = made.file("V10__copied.sql", "SELECT 1;\n")
    deadline = time.monotonic() + 3.5                # passes come every second
    with open(path, "ab", buffering=0) as slow:
        while time.monotonic() < deadline:
            slow.write(b"SELECT 2;\n")
            time.sleep(0.05)
        assert made.states() == {"V1__users.sql": "applied"}
        made.file("V2__late.sql", "SELECT 3;")
        slow.write(b"CREATE TABLE app.whole ();\n")
    wait_for(lambda: made.states() == {f: "applied" for f in ("V1__users.sql", "V2__late.sql", "V10__copied.sql")}, 20, "all of it",
             made.daemon.log_tail)
    assert made.value("SELECT to_regclass('app.whole') IS NOT NULL")
    assert [row[0] for row in made.ledger("version")] == ["1", "2", "10"]
    made.file("V11__now.sql", "SELECT 4;")           # who asks gets what is there
    made.daemon.reconcile("prod/orders")
    assert made.states()["V11__now.sql"] == "applied"


@pytest.mark.majors(18)
def test_suspended_while_files_run_the_next_one_does_not_begin(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    blocker = made.pg.connect("orders")
    blocker.cursor().execute("SELECT pg_advisory_lock(1)")
    made.pg.sql("ALTER ROLE migrator SET lock_timeout = '1min'")
    made.file("V2__long.sql", "SELECT pg_advisory_lock(1), pg_advisory_unlock(1);")
    made.file("V3__next.sql", "CREATE TABLE app.next ();")
    made.file("V4__parts.sql", "VACUUM app.users;")
    made.daemon.ctl("reconcile", "prod/orders")
    wait_for(lambda: made.pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_advisory_lock(1), %' AND wait_event = 'advisory'"),
             20, "V2 waits", made.daemon.log_tail)
    passes = made.daemon.json("status", "prod/orders")["targets"][0]["passes"]
    made.daemon.ctl("suspend", "prod/orders", expect=0)
    blocker.close()

    def over():
        assert made.daemon.json("status", "prod/orders")["targets"][0]["passes"] > passes + 1
        return True
    wait_for(over, 20, "the pass is over, and another one", made.daemon.log_tail)
    assert made.states() == {"V1__users.sql": "applied", "V2__long.sql": "applied", "V3__next.sql": "pending", "V4__parts.sql": "pending"}
    made.daemon.ctl("resume", "prod/orders", expect=0)
    made.daemon.wait_in_sync()
    assert set(made.states().values()) == {"applied"}


@pytest.mark.majors(18)
def test_what_runs_is_said_while_it_runs(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()

    def message(*words):
        row = made.daemon.json("status", "prod/orders")["targets"][0]
        assert row["state"] == "running" and all(word in row["message"] for word in words), row
        return True
    blocker = made.pg.connect("orders")
    blocker.cursor().execute("SELECT pg_advisory_lock(1)")
    made.file("V2__long.sql", "SELECT pg_advisory_lock(1), pg_advisory_unlock(1);")
    made.file("V3__parts.sql", "-- dbreconcile:transaction=false\nSELECT 1;\nSELECT pg_advisory_lock(2), pg_advisory_unlock(2);\nSELECT 3;")
    made.pg.sql("ALTER ROLE migrator SET lock_timeout = '1min'")
    made.daemon.ctl("reconcile", "prod/orders")
    wait_for(lambda: message("migration V2__long.sql runs (1 of 2)"), 20, "V2 runs", made.daemon.log_tail)
    blocker.cursor().execute("SELECT pg_advisory_lock(2), pg_advisory_unlock(1)")
    wait_for(lambda: message("migration V3__parts.sql runs (2 of 2), statement 2 of 3"), 20, "V3 runs", made.daemon.log_tail)
    blocker.cursor().execute("SELECT pg_advisory_unlock(2)")
    made.daemon.wait_in_sync()
    assert made.daemon.json("status", "prod/orders")["targets"][0]["message"] == "in sync"
    blocker.cursor().execute("SELECT pg_advisory_lock(%s)", (FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"'),))
    made.file("V4__more.sql", "SELECT 1;")
    made.daemon.ctl("reconcile", "prod/orders")
    held = f"waits for the lock of the ledger, which is held by process {blocker.info.backend_pid} (user postgres, application 'test')"
    wait_for(lambda: message(held), 20, "it says for whom it waits", made.daemon.log_tail)
    blocker.close()
    made.daemon.wait_in_sync()


@pytest.mark.majors(14, 18)
def test_stop_in_the_middle_rolls_back(team):
    made = team({"V1__users.sql": FIRST, "V2__slow.sql": "CREATE TABLE app.slow (); SELECT pg_sleep(60);"})
    wait_for(lambda: made.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), 20, "V2 runs", made.daemon.log_tail)
    made.daemon.stop()
    wait_for(lambda: not made.pg.backends("orders"), 10, "its backends are gone")
    assert [row[0] for row in made.ledger()] == ["1"]
    assert made.value("SELECT to_regclass('app.slow') IS NULL")


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("when", ["PgSleep", "COMMIT"])
def test_killed_daemon_leaves_nothing_half_done(team, when):
    """kill -9 while a file runs, or while its COMMIT waits: wholly applied and recorded, or not at all."""
    made = team({"V1__users.sql": FIRST + "CREATE FUNCTION app.slow() RETURNS trigger LANGUAGE plpgsql AS"
                                          " $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;"
                                          "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON app.users DEFERRABLE INITIALLY DEFERRED"
                                          " FOR EACH ROW EXECUTE FUNCTION app.slow();",
                 "V2__slow.sql": "INSERT INTO app.users VALUES (1, 'a');" + (" SELECT pg_sleep(3);" if when == "PgSleep" else "")})
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"
    wait_for(lambda: made.pg.value(query, ("%; COMMIT; %" if when == "COMMIT" else "%pg_sleep(3)%",)), 20, "V2 is there", made.daemon.log_tail)
    made.daemon.kill()
    wait_for(lambda: not made.pg.backends("orders"), 15, "its backends are gone")
    recorded = [row[0] for row in made.ledger()] == ["1", "2"]
    assert (made.value("SELECT count(*) FROM app.users") == 1) == recorded
    made.daemon.start()
    made.daemon.wait_in_sync(timeout=60)
    assert [row[0] for row in made.ledger()] == ["1", "2"]
    assert made.value("SELECT count(*) FROM app.users") == 1


@pytest.mark.majors(15)
def test_interrupted_statement_is_shown_and_stops_migrations(team):
    """The daemon is killed in a CALL: nobody can tell what became of it."""
    made = team({"V1__users.sql": FIRST + "CREATE PROCEDURE app.p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.users VALUES (1); COMMIT;"
                                          " PERFORM pg_sleep(60); END $$;"})
    made.daemon.wait_in_sync()
    made.file("V2__call.sql", "-- dbreconcile:transaction=false\nINSERT INTO app.users VALUES (0);\nCALL app.p();\nVACUUM app.users;")
    made.file("V3__later.sql", "CREATE TABLE app.later ();")
    wait_for(lambda: made.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), 20, "V2 runs", made.daemon.log_tail)
    made.daemon.kill()
    made.daemon.start()
    answer = made.wait_blocked("V2__call.sql:3", "CALL app.p()", "resolve 2 --from-statement 2")
    assert made.states() == {"V1__users.sql": "applied", "V2__call.sql": "indeterminate", "V3__later.sql": "pending"}, answer
    assert "indeterminate" in made.daemon.ctl("migrations", "prod/orders").out


@pytest.mark.majors(18)
def test_a_file_that_fails_before_it_goes_on_is_in_the_history(pg, team):
    """What it had set for its session is set again to find out what became of it: already that can fail."""
    pg.sql("CREATE ROLE migrator LOGIN; CREATE ROLE boss; GRANT boss TO migrator")
    made = team({"V1__users.sql": FIRST + "ALTER TABLE app.users OWNER TO boss;"},
                prepare=("CREATE SCHEMA app AUTHORIZATION migrator; GRANT ALL ON SCHEMA app TO boss",))
    made.daemon.wait_in_sync()
    writer = pg.connect("orders", autocommit=False)
    writer.cursor().execute("INSERT INTO app.users VALUES (1, 'x')")
    made.file("V2__i.sql", "SET ROLE boss;\nCREATE INDEX CONCURRENTLY i ON app.users (email);")
    building = "SELECT count(*) FROM pg_stat_progress_create_index"
    wait_for(lambda: made.value(building) == 1, 20, "the index is being built", made.daemon.log_tail)
    made.daemon.kill()
    writer.rollback()
    writer.close()
    wait_for(lambda: made.value(building) == 0, 20, "the server has finished it", pg.log_tail)
    pg.sql("REVOKE boss FROM migrator")
    made.daemon.start()
    made.wait_failed("V2__i.sql:1", 'permission denied to set role "boss"')
    events = [e for e in made.daemon.json("events")["events"] if e["object"] == "V2__i.sql" and e["result"] == "failed"]
    assert len(events) == 1 and "permission denied" in events[0]["message"], events


@pytest.mark.majors(16)
def test_stop_in_a_build_leaves_it_to_the_server(team):
    """SIGTERM: it waits for the build as long as its stop may take, then goes; the server finishes, and the next start sees it."""
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    writer = made.pg.connect("orders", autocommit=False)
    writer.cursor().execute("INSERT INTO app.users VALUES (1)")
    made.file("V2__index.sql", "CREATE INDEX CONCURRENTLY i ON app.users (email);\nVACUUM app.users;")
    wait_for(lambda: made.pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event = 'virtualxid'"), 20,
             "the build waits for the writer", made.daemon.log_tail)
    made.daemon.stop()
    assert made.value("SELECT state FROM dbreconcile.migration_ledger_progress") == "running"
    writer.rollback()
    writer.close()
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert [row[0] for row in made.ledger()] == ["1", "2"]
    assert made.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.i'::regclass")


@pytest.mark.majors(15)
def test_superuser_as_migration_user_is_warned_of(pg, daemon):
    pg.sql("CREATE ROLE boss SUPERUSER LOGIN")
    made = Team(pg, daemon, {"V1__users.sql": FIRST}, {"user": "boss"})
    made.daemon.manifest("platform", ROLES.replace("roles: (", 'roles: ( { name = "boss"; ensure = "external"; },'))
    made.daemon.start()
    wait_for(lambda: "boss is a superuser" in made.daemon.ctl("migrations", "prod/orders").out, 20, "the warning", made.daemon.log_tail)
    assert "boss is a superuser" in made.daemon.ctl("show", "prod/orders").out


@pytest.mark.majors(15, 18)
def test_what_an_interrupted_reindex_left_is_said_and_left_alone(pg, team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    assert not made.migrations()["warnings"]
    writer = pg.connect("orders", autocommit=False)
    writer.cursor().execute("INSERT INTO app.users VALUES (1, 'x')")
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        pg.sql("REINDEX INDEX CONCURRENTLY app.users_pkey", dbname="orders", options="-c lock_timeout=200ms")
    writer.rollback()
    writer.close()
    def said():
        return [w for w in made.migrations()["warnings"] if 'DROP INDEX CONCURRENTLY "app"."users_pkey_ccnew' in w]
    wait_for(said, 20, "the invalid index is said", made.daemon.log_tail)
    assert "REINDEX CONCURRENTLY of table users was interrupted or failed" in made.daemon.ctl("show", "prod/orders").out
    made.daemon.wait_in_sync()
    pg.sql(said()[0].split(": ")[-1], dbname="orders")
    wait_for(lambda: not made.migrations()["warnings"], 20, "nothing is left", made.daemon.log_tail)
    pg.sql("INSERT INTO app.users VALUES (2, 'x'), (3, 'x')", dbname="orders")
    with pytest.raises(psycopg2.errors.UniqueViolation):     # by hand, or by any other tool
        pg.sql('CREATE UNIQUE INDEX CONCURRENTLY "of hand" ON app.users (email)', dbname="orders")
    wait_for(lambda: "CREATE INDEX CONCURRENTLY on table users was interrupted or failed; every write still keeps it up. When nobody is at it:"
             ' DROP INDEX CONCURRENTLY "app"."of hand"' in str(made.migrations()["warnings"]).replace("\\", ""), 20, "it is said, too", made.daemon.log_tail)
    pg.sql('DROP INDEX app."of hand"', dbname="orders")
    wait_for(lambda: not made.migrations()["warnings"], 20, "nothing is left", made.daemon.log_tail)
