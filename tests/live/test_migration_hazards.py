# SPDX-License-Identifier: PostgreSQL
"""What goes wrong with migrations elsewhere, each once: docs/migrations.md has the whole table."""

import os
import re
import subprocess
import threading

import pytest
from dbr import wait_for
from dbr.postgres import OWNER
from dbr.users import run_as
from test_migrations import FIRST, Team
from test_migrator import FLYWAY_KEY, LEDGER, Runner, java_hash
from test_session import PGBOUNCER
from test_split import DIRECTIVE, index_is_valid, wait_for_statement


@pytest.fixture
def runner(pg, workspace):
    return Runner(pg, workspace)


def test_create_index_concurrently_finishes_while_the_daemon_observes_the_same_database(pg, daemon):
    """Everything of ours looks at the database all the time: the pass of the server, which is connected to it, and a second daemon."""
    made = Team(pg, daemon, {"V1__users.sql": FIRST})
    conninfo = pg.conninfo("orders")
    made.daemon.write("dbreconciled.conf", made.daemon.settings({
        "name": "prod", "conninfo": conninfo, "manifests": ["platform"],
        "databases": ({"name": "orders", "manifests": ["orders"], "migrations": {"directory": "orders", "user": "migrator"}},)}))
    made.daemon.start()
    made.daemon.wait_in_sync()
    other = daemon({"name": "prod", "conninfo": conninfo, "databases": ({"name": "orders"},)}).start("--observe")
    writer = pg.connect("orders", autocommit=False)
    writer.cursor().execute("INSERT INTO app.users VALUES (1)")
    made.file("V2__index.sql", "CREATE INDEX CONCURRENTLY i ON app.users (email);\nREINDEX INDEX CONCURRENTLY app.i;\nDROP INDEX CONCURRENTLY app.i;\n"
                               "CREATE INDEX CONCURRENTLY j ON app.users (email);\n")
    made.daemon.ctl("reconcile")
    wait_for(lambda: pg.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event = 'virtualxid'"), 20,
             "the build waits for the writer", made.daemon.log_tail)
    for _ in range(3):                              # looks go on beside the build
        made.daemon.ctl("reconcile", "--wait", "prod", expect=0)
        other.ctl("reconcile", "--dry-run", expect=(0, 1))
    over = threading.Event()

    def look():
        while not over.is_set():
            made.daemon.ctl("reconcile", "--wait", "prod")
            other.ctl("reconcile", "--dry-run")

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        writer.rollback()
        wait_for(lambda: made.states().get("V2__index.sql") == "applied", 30, "all four are done", made.daemon.log_tail)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        writer.close()
    assert made.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.j'::regclass")


@pytest.mark.majors(14, 18)
def test_hazard_two_runs_and_create_index_concurrently_do_not_deadlock(runner):
    """migrations.md 4.1, 4.2: who waits inside pg_advisory_lock() holds a snapshot that the build waits for."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON app.t (a);")
    runner.file("V3__j.sql", "CREATE INDEX CONCURRENTLY j ON app.t (a);")         # the second one is where Flyway hung
    writer = runner.pg.connect("d", autocommit=False)
    writer.cursor().execute("INSERT INTO app.t VALUES (1)")
    first = runner.spawn()
    wait_for_statement(runner, "CREATE INDEX CONCURRENTLY", "virtualxid")
    second = runner.spawn()
    runner.wait_phase(second, "lock")
    writer.rollback()
    writer.close()
    assert runner.finish(first)[0]["status"] == "done"
    end, events = runner.finish(second)
    assert end["status"] == "done" and events == []
    assert index_is_valid(runner, "app.i") and index_is_valid(runner, "app.j")


@pytest.mark.majors(16)
def test_hazard_readers_do_not_queue_behind_a_waiting_alter(runner):
    """migrations.md 4.5: behind a waiting ACCESS EXCLUSIVE everybody waits; ours gives way after lock_timeout."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__x.sql", "ALTER TABLE app.t ADD COLUMN b int;")
    old = runner.pg.connect("d", autocommit=False)
    old.cursor().execute("SELECT * FROM app.t")
    process = runner.spawn(lock_timeout=300)
    runner.wait_phase(process, "script")
    for _ in range(5):                              # each gets its answer, though the old reader goes on
        runner.pg.sql("SET statement_timeout = '20s'; SELECT * FROM app.t", dbname="d")
    old.rollback()
    old.close()
    end, _events = runner.finish(process)
    assert end["status"] == "done" or end["failure"] == "lock", end      # where five readers take longer than five attempts
    assert runner.run()[0]["status"] == "done" and runner.versions() == ["1", "2"]


@pytest.mark.majors(14, 18)
def test_hazard_who_keeps_a_lock_from_us_is_named(pg, daemon):
    made = Team(pg, daemon, {"V1__users.sql": FIRST}, {"lock_timeout": "50ms"})
    made.daemon.start()
    made.daemon.wait_in_sync()
    old = pg.connect("orders", autocommit=False, application_name="report")
    old.cursor().execute("SELECT * FROM app.users")
    made.file("V2__x.sql", "SELECT 1;\nALTER TABLE app.users ADD COLUMN c int;")
    text = f"process {old.info.backend_pid} (user postgres, application 'report') holds AccessShareLock on app.users; tried 5 times"
    made.wait_failed("V2__x.sql:2: canceling statement due to lock timeout", text)
    old.rollback()
    made.daemon.ctl("reconcile", "--wait", "prod/orders", expect=0)


@pytest.mark.majors(18)
def test_hazard_how_long_others_queue_behind_a_file(pg, daemon):
    """migrations.md 4.5: half a second, unless the file, the configuration or the migration user's own setting says otherwise."""
    tell = "CREATE TABLE app.t{0} AS SELECT current_setting('lock_timeout') AS v;"
    made = Team(pg, daemon, {"V1__a.sql": tell.format(1), "V2__b.sql": "SET LOCAL lock_timeout = '7s';" + tell.format(2),
                             "V3__c.sql": "-- dbreconcile:transaction=false\n" + tell.format(3)})
    made.daemon.start()
    made.daemon.wait_in_sync()
    pg.sql("ALTER ROLE migrator SET lock_timeout = '3s'")
    made.file("V4__d.sql", tell.format(4))
    made.daemon.reconcile("prod/orders")
    made.daemon.write("dbreconciled.conf", open(made.daemon.config_file, encoding="utf-8").read().replace('user = "migrator";', 'user = "migrator"; lock_timeout = "1s";'))
    made.daemon.reload()
    made.file("V5__e.sql", tell.format(5))
    made.daemon.reconcile("prod/orders")
    assert [made.value(f"SELECT v FROM app.t{i}") for i in range(1, 6)] == ["500ms", "7s", "500ms", "3s", "1s"]


@pytest.mark.majors(15)
def test_hazard_idle_timeouts_do_not_end_the_connection_that_holds_the_lock(runner):
    """migrations.md 4.17: the lock, the file and the ledger are on one connection, and our waits do not count as idle."""
    runner.pg.sql("ALTER ROLE migrator SET idle_session_timeout = '100ms'")
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    runner.file("V2__s.sql", DIRECTIVE + "INSERT INTO app.t SELECT 1 FROM pg_sleep(0.3);\nVACUUM app.t;")
    holder = runner.pg.connect("d")
    holder.cursor().execute("SELECT pg_advisory_lock(%s)", (FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"'),))
    process = runner.spawn()
    runner.wait_phase(process, "lock")
    wait_for(lambda: runner.pg.log_since().count("pg_try_advisory_lock") >= 3, 10, "it polls")
    holder.close()
    end, _events = runner.finish(process)
    assert end["status"] == "done" and runner.versions() == ["1", "2"], end


@pytest.mark.majors(15)
def test_hazard_a_procedure_that_commits_is_an_error_and_not_an_escape(runner):
    """migrations.md 3: in the file's transaction the server refuses it; the way out is named."""
    runner.file("V1__p.sql", "CREATE PROCEDURE app.p() LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE app.half (); COMMIT; END $$;\nCALL app.p();")
    end, _events = runner.run()
    assert end["error"]["sqlstate"] == "2D000" and "dbreconcile:transaction=false" in end["error"]["hint"], end
    assert runner.value("SELECT to_regclass('app.half') IS NULL") and runner.versions() == []
    runner.file("V1__p.sql", "CREATE TYPE app.mood AS ENUM ('a');\n")
    runner.file("V2__v.sql", "ALTER TYPE app.mood ADD VALUE 'b';\nCREATE TABLE app.m AS SELECT 'b'::app.mood AS m;")
    end, _events = runner.run()
    assert end["error"]["sqlstate"] == "55P04" and "dbreconcile:transaction=false" in end["error"]["hint"], end
    runner.file("V2__v.sql", DIRECTIVE + "ALTER TYPE app.mood ADD VALUE 'b';\nCREATE TABLE app.m AS SELECT 'b'::app.mood AS m;")
    assert runner.run()[0]["status"] == "done" and runner.versions() == ["1", "2"]


@pytest.mark.majors(15)
def test_hazard_a_file_that_brings_its_own_transaction_is_still_one_with_its_row(runner):
    """migrations.md 3: files from golang-migrate do; BEGIN and COMMIT around the whole file mean nothing else here."""
    runner.file("V1__own.sql", "BEGIN;\nCREATE TABLE app.t (a int);\nCOMMIT;\n")
    runner.file("V2__bad.sql", "begin transaction;\nCREATE TABLE app.u (a int);\n  SELECT nothing_like_it;\nend;\n")
    end, _events = runner.run()
    assert (end["error"]["line"], end["error"]["sqlstate"]) == (3, "42703"), end
    assert runner.versions() == ["1"] and runner.value("SELECT to_regclass('app.u') IS NULL")
    assert runner.value("SELECT r.xmin::text = c.xmin::text FROM dbreconcile.migration_ledger r, pg_class c WHERE c.oid = 'app.t'::regclass"), "one transaction"
    # COMMIT alone at the end: nothing of a file that fails there is left either
    runner.file("V2__bad.sql", "CREATE TABLE app.u (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO app.u VALUES (1), (1);\nCOMMIT;\n")
    end, _events = runner.run()
    assert end["error"]["sqlstate"] == "23505" and runner.versions() == ["1"] and runner.value("SELECT to_regclass('app.u') IS NULL"), end
    runner.file("V2__bad.sql", "SET client_min_messages = warning;\nBEGIN;\nCREATE TABLE app.u (a int);\nCOMMIT;\n")
    runner.file("V3__end.sql", "CREATE TABLE app.v (a int);\nCOMMIT;\n")
    end, _events = runner.run()
    assert end["status"] == "done" and runner.versions() == ["1", "2", "3"], end


@pytest.mark.majors(15)
def test_hazard_statements_that_only_the_server_knows_cannot_run_in_a_transaction(runner):
    """migrations.md 2.6: REINDEX of a partitioned table looks like any other."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int) PARTITION BY LIST (a);\nCREATE INDEX i ON app.t (a);")
    runner.file("V2__r.sql", "REINDEX TABLE app.t;")
    end, _events = runner.run()
    assert end["error"]["sqlstate"] == "25001" and "dbreconcile:transaction=false" in end["error"]["hint"], end
    runner.file("V2__r.sql", DIRECTIVE + "REINDEX TABLE app.t;")
    # in a transaction of its own, too: it needs none
    end, _events = runner.run()
    assert (end["status"], end["error"]["sqlstate"]) == ("failed", "25001"), end


@pytest.mark.majors(15)
def test_hazard_empty_files_copy_forms_and_byte_order_marks(runner):
    """migrations.md 3: a file of comments only, a BOM, COPY behind a comment and with ';' as its delimiter, CRLF."""
    runner.file("V1__empty.sql", "")
    runner.file("V2__comment.sql", "-- nothing yet\n/* ; */\n;;\n")
    runner.file("V3__bom.sql", b"\xef\xbb\xbfCREATE TABLE app.t (a int, b text);\r\n")
    runner.file("V4__copy.sql", "-- the data\nCOPY app.t FROM stdin WITH (DELIMITER ';');\n1;one\n2;a\\;b\n\\.\n/* more */ copy app.t from STDIN;\n3\t;\n\\.\n")
    runner.file("V5__empty.sql", DIRECTIVE)
    end, _events = runner.run()
    assert end["status"] == "done" and runner.versions() == ["1", "2", "3", "4", "5"], end
    assert runner.rows("SELECT a, b FROM app.t ORDER BY 1") == [(1, "one"), (2, "a;b"), (3, ";")]


@pytest.mark.majors(15)
def test_hazard_a_dump_sets_the_search_path_to_nothing(runner):
    """migrations.md 3, golang-migrate#156: neither the ledger's row nor the next file is to suffer, in both ways of running."""
    dump = "\\restrict abc\nSET standard_conforming_strings = on;\nSELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n"
    runner.file("V1__dump.sql", dump + "CREATE TABLE app.a (x int);\n\\unrestrict abc\n")
    runner.file("V2__dump.sql", DIRECTIVE + dump + "CREATE TABLE app.b (x int);\nCREATE INDEX CONCURRENTLY ON app.b (x);\n\\unrestrict abc\n")
    runner.file("V3__own.sql", "CREATE TABLE app.seen AS SELECT current_setting('search_path') AS p, current_setting('row_security') AS r;")
    end, _events = runner.run()
    assert end["status"] == "done" and runner.versions() == ["1", "2", "3"], end
    assert runner.rows("SELECT p FROM app.seen") == [('"$user", public',)]


@pytest.mark.majors(15)
def test_hazard_a_transaction_pooler_is_refused(runner, workspace):
    """migrations.md 4.6: the lock of the ledger belongs to a session."""
    directory = workspace.directory("pool", OWNER)
    config = os.path.join(directory, "pgbouncer.ini")
    with open(config, "w", encoding="utf-8") as out:
        out.write(f"[databases]\nd = host={runner.pg.host} port={runner.pg.port} dbname=d user=migrator\n[pgbouncer]\npool_mode = transaction\n"
                  f"unix_socket_dir = {directory}\nlisten_port = 5432\nauth_type = any\nlogfile = {directory}/log\n"
                  "ignore_startup_parameters = options\n")
    os.chmod(config, 0o644)
    process = subprocess.Popen([PGBOUNCER, "-q", config], start_new_session=True, **run_as(OWNER))
    try:
        wait_for(lambda: os.path.exists(os.path.join(directory, ".s.PGSQL.5432")), 10, "the pooler listens")
        runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
        end, events = runner.run(host=directory)
        assert (end["status"], end["failure"], events) == ("failed", "identity", []) and "pooler" in end["error"]["text"], end
        assert runner.value(f"SELECT to_regclass('{LEDGER}') IS NULL")
    finally:
        process.terminate()
        process.wait(60)


def test_every_hazard_of_the_table_has_its_test():
    """docs/migrations.md names a test for each hazard: it is there."""
    top = os.environ.get("top_srcdir", ".")
    with open(os.path.join(top, "docs/migrations.md"), encoding="utf-8") as file:
        table = file.read().partition("## What goes wrong")[2]
    named = 0
    for row in re.findall(r"^\| .* \| (test_.*) \|$", table, re.M):
        for source, names in re.findall(r"\b(test_\w+): ([\w, ]+)", row):
            paths = [os.path.join(top, path) for path in (f"tests/live/{source}.py", f"tests/unit/{source}.c")]
            text = "".join(open(path, encoding="utf-8").read() for path in paths if os.path.exists(path))
            for name in names.split(", "):
                assert re.search(rf"^(def {name}\(|static void {name}\(void)", text, re.M), f"{source}: {name}"
                named += 1
    assert named > 50
