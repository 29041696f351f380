# SPDX-License-Identifier: PostgreSQL
"""migrations TARGET baseline, repair, resolve, run: what Flyway would write, by order only, with who ordered it."""

import threading

import pytest
from dbr import wait_for
from test_migrations import FIRST, Team
from test_migrator import FLYWAY_KEY, java_hash

SPLIT = "-- dbreconcile:transaction=false\n"
TARGET = "prod/orders"


@pytest.fixture
def team(pg, daemon):
    def make(files, **options):
        made = Team(pg, daemon, files, **options)
        made.daemon.start()
        return made
    return make


def order(made, *words, expect=0):
    return made.daemon.ctl("migrations", TARGET, *words, expect=expect)


def rows(made):
    return made.ledger("installed_rank, version, description, type, script, checksum, execution_time, success")


def unchanged_by_dry_run(made, *words):
    before = rows(made) if made.value("SELECT to_regclass('dbreconcile.migration_ledger') IS NOT NULL") else None
    shown = order(made, *words, "--dry-run")
    assert "would " in shown.out and "nothing was written" in shown.out
    assert before == (rows(made) if made.value("SELECT to_regclass('dbreconcile.migration_ledger') IS NOT NULL") else None)
    return shown.out


def events(made):
    return [e for e in made.daemon.json("events")["events"] if e["kind"] == "ledger"]


@pytest.mark.majors(14, 18)
def test_baseline_takes_a_database_over_that_was_made_by_hand(team):
    made = team({"V1__users.sql": FIRST, "V2__more.sql": "CREATE TABLE app.more ();", "V3__new.sql": "CREATE TABLE app.new ();"},
                prepare=("CREATE SCHEMA app; CREATE TABLE app.users (id int); CREATE TABLE app.more ()",))
    made.wait_failed("V1__users.sql")
    assert "2 files up to it count as applied, 1 above it will run" in unchanged_by_dry_run(made, "baseline", "2")
    order(made, "baseline", "2")
    made.daemon.wait_in_sync()
    assert rows(made)[0] == (1, "2", "<< Flyway Baseline >>", "BASELINE", "<< Flyway Baseline >>", None, 0, True)
    assert [row[:3] for row in rows(made)[1:]] == [(2, "3", "new")]
    assert made.states()["V1__users.sql"] == "ignored"
    assert "has a baseline already, at version 2" in order(made, "baseline", "2", expect=5).err
    (event,) = [e for e in events(made) if e["result"] == "ok"]
    assert event["actor"].startswith("uid 0") and event["object"] == "baseline 2" and event["target"] == TARGET


@pytest.mark.majors(15)
def test_baseline_writes_a_ledger_anew_that_vanished(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    assert "holds 1 migrations" in order(made, "baseline", "1", expect=5).err
    made.pg.sql("DROP TABLE dbreconcile.migration_ledger", dbname="orders")
    answer = made.wait_blocked("was there")
    assert f"migrations {TARGET} baseline VERSION" in answer["hint"]
    assert "create the ledger" in unchanged_by_dry_run(made, "baseline", "1")
    order(made, "baseline", "1")
    made.daemon.wait_in_sync()
    assert [row[1:4] for row in rows(made)] == [("1", "<< Flyway Baseline >>", "BASELINE")]


@pytest.mark.majors(14, 18)
def test_repair_deletes_failed_rows_marks_missing_ones_and_realigns(team):
    made = team({"V1__users.sql": FIRST, "V2__gone.sql": "SELECT 1;", "V3__edited.sql": "SELECT 1;"})
    made.daemon.wait_in_sync()
    assert "nothing to repair" in order(made, "repair", expect=5).err
    made.file("V4__bad.sql", SPLIT + "CREATE TABLE app.half ();\nSELECT 1/0;\nVACUUM app.half;")
    made.wait_blocked("V4__bad.sql", "failed")
    assert made.states()["V4__bad.sql"] == "failed" and rows(made)[-1][1:4] + rows(made)[-1][-1:] == ("4", "bad", "SQL", False)
    made.remove("V2__gone.sql")
    made.file("V3__edited.sql", "SELECT 2;")
    made.wait_blocked("version 2", "missing")
    before = rows(made)
    shown = unchanged_by_dry_run(made, "repair")
    assert "delete the failed row of version 4 (rank 4)" in shown and "mark version 2 as deleted" in shown and "V3__edited.sql" in shown
    made.file("V4__bad.sql", SPLIT + "CREATE TABLE app.half ();\nVACUUM app.half;")
    order(made, "repair")
    made.daemon.wait_in_sync()
    after = rows(made)
    assert after[0] == before[0] and after[1] == before[1]
    assert after[2][:5] == before[2][:5] and after[2][5] != before[2][5]
    # marked with the original's columns and no time; then the failed file, which went on with its second statement
    assert after[3][1:] == ("2", "gone", "DELETE", "V2__gone.sql", before[1][5], 0, True)
    assert after[4][1:4] == ("4", "bad", "SQL") and after[4][-1] is True and len(after) == 5
    assert made.value("SELECT count(*) FROM dbreconcile.migration_ledger_progress") == 0
    (event,) = [e for e in events(made) if e["object"] == "repair" and e["result"] == "ok"]
    assert event["actor"].startswith("uid 0") and "delete the failed row" in event["message"]


def interrupted(team):
    """V2 is killed in its second statement, a CALL."""
    made = team({"V1__users.sql": FIRST + "CREATE PROCEDURE app.p(again bool) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.users VALUES (1); COMMIT;"
                                          " IF again THEN PERFORM pg_sleep(60); END IF; END $$;"})
    made.daemon.wait_in_sync()
    made.file("V2__call.sql", SPLIT + "INSERT INTO app.users VALUES (0);\nCALL app.p(true);\n"
                                      "INSERT INTO app.users VALUES (2);")
    wait_for(lambda: made.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), 20, "V2 runs", made.daemon.log_tail)
    made.pg.kill_backends("orders", "dbreconciled migrations")
    made.wait_blocked("V2__call.sql:3", "CALL")
    return made


@pytest.mark.majors(16)
@pytest.mark.parametrize("how,ids", [(("--from-statement=3",), [0, 1, 2]), (("--from-statement", "2"), [0, 1, 2]), (("--applied",), [0, 1]),
                                     (("--not-applied",), [0, 1, 2])], ids=["next", "again", "applied", "not-applied"])
def test_resolve_decides_what_became_of_an_interrupted_statement(team, how, ids):
    made = interrupted(team)
    assert "from-statement is 1 to 3" in order(made, "resolve", "2", "--from-statement=4", expect=5).err
    assert "nothing to resolve" in order(made, "resolve", "1", "--applied", expect=5).err
    assert "there is no migration 7" in order(made, "resolve", "7", "--applied", expect=5).err
    if how == ("--from-statement", "2"):
        made.pg.sql("DELETE FROM app.users WHERE id = 1; CREATE OR REPLACE PROCEDURE app.p(again bool) LANGUAGE sql AS"
                    " 'INSERT INTO app.users VALUES (1)'", dbname="orders", user="migrator")
    if how == ("--not-applied",):
        made.pg.sql("DELETE FROM app.users; CREATE OR REPLACE PROCEDURE app.p(again bool) LANGUAGE sql AS"
                    " 'INSERT INTO app.users VALUES (1)'", dbname="orders", user="migrator")
    unchanged_by_dry_run(made, "resolve", "2", *how)
    order(made, "resolve", "2", *how)
    made.daemon.wait_in_sync()
    assert [row[0] for row in made.pg.sql("SELECT id FROM app.users ORDER BY 1", dbname="orders")] == ids
    assert [row[1:4] + row[-1:] for row in rows(made)] == [("1", "users", "SQL", True), ("2", "call", "SQL", True)]
    assert rows(made)[1][5] is not None and made.value("SELECT count(*) FROM dbreconcile.migration_ledger_progress") == 0


@pytest.mark.majors(15)
def test_run_out_of_order(team):
    made = team({"V1__users.sql": FIRST, "V5__five.sql": "CREATE TABLE app.five ();"}, more={"lock_timeout": "3s"})
    made.daemon.wait_in_sync()
    made.file("V3__late.sql", "CREATE TABLE app.late AS SELECT current_setting('lock_timeout') AS waits;")
    made.file("V6__later.sql", "CREATE TABLE app.later ();")
    made.wait_blocked("V3__late.sql", "version 5 is applied already")
    assert "not out of order" in order(made, "run", "6", "--out-of-order", expect=5).err
    unchanged_by_dry_run(made, "run", "3", "--out-of-order")
    order(made, "run", "3", "--out-of-order")
    made.daemon.wait_in_sync()
    assert [row[:2] for row in rows(made)] == [(1, "1"), (2, "5"), (3, "3"), (4, "6")]
    assert made.value("SELECT waits FROM app.late") == "3s"
    (ran,) = [e for e in made.daemon.json("events")["events"] if e["object"] == "V3__late.sql"]
    assert ran["kind"] == "migration" and ran["result"] == "ok" and ran["actor"].startswith("uid 0")


@pytest.mark.majors(15, 18)
def test_run_out_of_order_statement_by_statement(team):
    made = team({"V1__users.sql": FIRST, "V5__five.sql": "CREATE TABLE app.five ();"})
    made.daemon.wait_in_sync()
    made.file("V3__late.sql", SPLIT + "CREATE TABLE app.late (id int);\nSELECT 1/0;\nCREATE INDEX CONCURRENTLY late_id ON app.late (id);")
    made.file("V6__later.sql", "CREATE TABLE app.later ();")
    made.wait_blocked("V3__late.sql", "version 5 is applied already")
    unchanged_by_dry_run(made, "run", "3", "--out-of-order")
    assert "division by zero" in order(made, "run", "3", "--out-of-order", expect=5).err
    made.wait_blocked("V3__late.sql", "statement 2 of 3 failed")
    made.file("V3__late.sql", SPLIT + "CREATE TABLE app.late (id int);\nSELECT 1;\nCREATE INDEX CONCURRENTLY late_id ON app.late (id);")
    order(made, "repair")
    made.wait_blocked("V3__late.sql", "has not finished: goes on with statement 2 of 3", "run 3 --out-of-order")
    assert "from statement 2 of 3" in unchanged_by_dry_run(made, "run", "3", "--out-of-order")
    order(made, "run", "3", "--out-of-order")
    made.daemon.wait_in_sync()
    assert [row[:2] for row in rows(made)] == [(1, "1"), (2, "5"), (3, "3"), (4, "6")]
    assert made.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.late_id'::regclass")


@pytest.mark.majors(15)
@pytest.mark.parametrize("tolerant", (False, True), ids=("strict", "tolerant"))
def test_killed_while_it_ran_out_of_order(team, tolerant):
    """kill -9 of the daemon in CREATE INDEX CONCURRENTLY: nothing goes on by itself, and the order again finds out."""
    made = team({"V1__users.sql": FIRST, "V5__five.sql": "CREATE TABLE app.five ();"},
                more={"ignore_migration_patterns": ["*:ignored"]} if tolerant else None)
    made.daemon.wait_in_sync()
    made.file("V3__late.sql", SPLIT + "CREATE TABLE app.late (id int);\nCREATE INDEX CONCURRENTLY users_email ON app.users (email);\n"
              "CREATE TABLE app.end ();")
    wait_for(lambda: made.states().get("V3__late.sql") == "out_of_order", 20, "V3 is seen", made.daemon.log_tail)
    writer = made.pg.connect("orders", autocommit=False)
    writer.cursor().execute("INSERT INTO app.users VALUES (7, 'x')")
    asking = threading.Thread(target=order, args=(made, "run", "3", "--out-of-order"), kwargs={"expect": None})
    asking.start()
    building = "SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = 'orders' AND command LIKE '% CONCURRENTLY'"
    wait_for(lambda: made.pg.value(building) == 1, 20, "the index is being built", made.daemon.log_tail)
    made.daemon.kill()
    asking.join()
    writer.rollback()
    writer.close()
    wait_for(lambda: made.pg.value(building) == 0, 20, "the server has finished it", made.pg.log_tail)
    made.file("V6__later.sql", "CREATE TABLE app.later ();")
    made.daemon.start()
    made.wait_blocked("V3__late.sql", "statement 2 of 3 was interrupted")
    assert made.states()["V3__late.sql"] == "out_of_order" and made.value("SELECT to_regclass('app.later') IS NULL")
    order(made, "run", "3", "--out-of-order")
    made.daemon.wait_in_sync()
    assert [row[:2] for row in rows(made)] == [(1, "1"), (2, "5"), (3, "3"), (4, "6")]
    assert made.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.users_email'::regclass")
    assert made.value("SELECT to_regclass('app.end') IS NOT NULL")


@pytest.mark.majors(15)
def test_orders_that_are_refused(team, pg):
    made = team({"V1__users.sql": FIRST}, daemon={"mode": "observe"})
    wait_for(lambda: made.states(), 20, "looked at", made.daemon.log_tail)
    assert "observe mode" in order(made, "baseline", "1", expect=5).err
    assert made.daemon.ctl("migrations", "prod", "repair", expect=5).err
    assert made.daemon.http(made.daemon.target_path(TARGET, "migrations", "repair"), "POST", timeout=10).status == 409
    assert made.pg.changes() == []


@pytest.mark.majors(15)
def test_order_waits_for_the_lock_and_names_who_holds_it(team):
    """A run of somebody else holds the lock of the ledger: nothing is written beside it."""
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    holder = made.pg.connect("orders", application_name="Flyway")
    holder.cursor().execute("SELECT pg_advisory_lock(%s)", (FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"'),))
    made.pg.sql("UPDATE dbreconcile.migration_ledger SET checksum = 1", dbname="orders")
    result = order(made, "repair", expect=5)
    assert "application 'Flyway'" in result.err
    assert made.value("SELECT checksum FROM dbreconcile.migration_ledger") == 1
    holder.close()
    order(made, "repair")
    made.daemon.wait_in_sync()


@pytest.mark.majors(15)
def test_what_is_no_version_is_wrong_usage(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    for version in ("x", "1.x", "-1", "latest", "1..2"):
        assert f"'{version}' is not a version" in order(made, "baseline", "--", version, expect=2).err


@pytest.mark.majors(15)
def test_a_ledger_that_somebody_has_locked_is_named(team):
    made = team({"V1__users.sql": FIRST})
    made.daemon.wait_in_sync()
    holder = made.pg.connect("orders", autocommit=False)
    holder.cursor().execute("LOCK TABLE dbreconcile.migration_ledger IN ACCESS EXCLUSIVE MODE")
    made.daemon.reconcile(TARGET, expect=5)
    assert "ACCESS EXCLUSIVE on the ledger dbreconcile.migration_ledger" in made.daemon.ctl("status", TARGET).out
    holder.close()
    made.daemon.wait_in_sync()


@pytest.mark.majors(15)
def test_server_that_vanishes_under_an_order(pg, daemon, new_pg):
    own = new_pg(15)
    made = Team(own, daemon, {"V1__users.sql": FIRST})
    made.daemon.start()
    made.daemon.wait_in_sync()
    own.stop("immediate")
    assert order(made, "repair", expect=5).err


@pytest.mark.majors(15)
def test_an_order_that_was_cut_off_at_commit_says_that_nobody_knows(team, pg, proxy):
    """The server gets COMMIT, the daemon never gets the answer."""
    gate, seen = proxy(pg), set()
    made = team({"V1__users.sql": FIRST}, conninfo=gate.conninfo())
    made.daemon.wait_in_sync()
    made.pg.sql("UPDATE dbreconcile.migration_ledger SET checksum = 1", dbname="orders")

    def watch(database, data, from_client):
        if from_client and b"UPDATE" in data and b"migration_ledger" in data:
            seen.add("mended")
        elif not from_client and "mended" in seen and b"COMMIT" in data and database == "orders":
            seen.add("cut")
            gate.watch = None
            gate.drop("orders")
            raise OSError("cut")

    gate.watch = watch
    result = order(made, "repair", expect=5)
    assert "cut" in seen
    assert "it is not known whether the order was carried out" in result.err
    made.daemon.wait_in_sync()
    assert made.value("SELECT checksum FROM dbreconcile.migration_ledger") != 1
