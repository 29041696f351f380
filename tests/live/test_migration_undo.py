# SPDX-License-Identifier: PostgreSQL
"""migrations TARGET undo: a U file in one transaction with the row that Flyway would write, and nothing runs again by itself.

None of this depends on the version of the server: one major.
"""

import json
import os
import random
import threading

import pytest
from dbr import wait_for
from jsonschema import Draft202012Validator
from test_flyway import HISTORY, PLATFORM, checksum, history, insert
from test_ledger_orders import TARGET, events, order, unchanged_by_dry_run
from test_migration_kills import SEED
from test_migrations import FIRST, Team
from test_migrator import FLYWAY_KEY, java_hash
from test_waves import Fleet

pytestmark = pytest.mark.majors(15)

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "schemas")
TWO, UNDO_TWO = "CREATE TABLE app.two (id int);\n", "-- back to 1\r\nDROP TABLE app.two;\r\n"
FILES = {"V1__users.sql": FIRST, "V2__two_tables.sql": TWO, "sub/U2__two_tables.sql": UNDO_TWO}
SLEEP = "SELECT pg_sleep(60);\n"


@pytest.fixture
def team(pg, daemon):
    def make(files, **options):
        made = Team(pg, daemon, files, **options)
        made.daemon.start()
        made.daemon.wait_in_sync()
        return made
    return make


def rows(made):
    return made.ledger("version, type, script, success")


def has(made, table):
    return made.value(f"SELECT to_regclass('app.{table}') IS NOT NULL")


def stays(made, state="undone", script="V2__two_tables.sql"):
    """Pass after pass, nothing happens."""
    before, mark = rows(made), made.pg.log_mark()
    for _ in range(2):
        made.daemon.ctl("reconcile", "--wait", TARGET, expect=None)
    assert made.states()[script] == state and rows(made) == before and made.pg.changes(mark) == []


def test_undo_and_the_ways_on(team):
    made = team(FILES, daemon={"interval": "1s"})
    shown = unchanged_by_dry_run(made, "undo")
    assert "would run sub/U2__two_tables.sql, which undoes version 2" in shown
    assert "lint: sub/U2__two_tables.sql:2: ACCESS EXCLUSIVE on app.two" in shown
    assert has(made, "two")
    answer = made.daemon.json("migrations", TARGET, "undo", "2")
    with open(os.path.join(SCHEMAS, "ledger_order.json"), encoding="utf-8") as file:
        Draft202012Validator(json.load(file)).validate(answer)
    assert answer["version"] == "2" and [f["rule"] for f in answer["lint"]] == ["drop-table"]
    assert made.ledger("installed_rank, version, description, type, script, checksum, installed_by, execution_time >= 0, success")[2] == (
        3, "2", "two tables", "UNDO_SQL", "sub/U2__two_tables.sql", checksum(UNDO_TWO), "migrator", True, True)
    assert not has(made, "two")
    blocked = made.wait_blocked("version 2 was undone at", "by migrator", f"migrations {TARGET} run 2 applies it again")
    assert blocked["current_version"] == "1" and blocked["counts"]["undone"] == 1
    with open(os.path.join(SCHEMAS, "migrations.json"), encoding="utf-8") as file:
        Draft202012Validator(json.load(file)).validate(blocked)
    assert "undone" in made.daemon.ctl("migrations", TARGET).out and "was undone" in made.daemon.ctl("show", TARGET).out
    (row,) = made.daemon.json("migrations", "--all")["targets"]
    assert (row["state"], row["version"], row["pending"]) == ("blocked", "1", 0) and "was undone" in row["message"]
    # neither it nor what comes later runs by itself, not after a restart either
    made.file("V3__three.sql", "CREATE TABLE app.three ();")
    made.file("R__view.sql", "CREATE VIEW app.v AS SELECT 1;")
    wait_for(lambda: made.states().get("V3__three.sql") == "pending", 20, "V3 is seen", made.daemon.log_tail)
    stays(made)
    made.daemon.kill()
    made.daemon.start()
    made.wait_blocked("was undone")
    stays(made)
    assert "V2__two_tables.sql comes before V3__three.sql" in order(made, "run", "3", expect=5).err
    assert "was undone already" in order(made, "undo", "2", expect=5).err
    ran = [e for e in made.daemon.json("events")["events"] if e["object"] == "sub/U2__two_tables.sql"]
    assert [(e["kind"], e["result"], e["actor"].startswith("uid 0")) for e in ran] == [("migration", "ok", True)]
    (event,) = [e for e in events(made) if e["result"] == "ok"]
    assert event["actor"].startswith("uid 0") and event["object"] == "undo 2" and "which undoes version 2" in event["message"]
    # by order it is applied again, and then the rest goes on
    assert "which was undone" in unchanged_by_dry_run(made, "run", "2")
    order(made, "run", "2")
    made.daemon.wait_in_sync()
    assert rows(made)[2:] == [("2", "UNDO_SQL", "sub/U2__two_tables.sql", True), ("2", "SQL", "V2__two_tables.sql", True),
                              ("3", "SQL", "V3__three.sql", True), (None, "SQL", "R__view.sql", True)]
    assert has(made, "two") and made.migrations()["current_version"] == "3"
    assert "applied after it: 3" in order(made, "undo", "2", expect=5).err
    assert "no undo file for version 3" in order(made, "undo", expect=5).err
    # undone one after the other; a corrected file is like any new one
    made.file("U3__three.sql", "DROP TABLE app.three;")
    order(made, "undo")
    order(made, "undo")
    assert [row[0:2] for row in rows(made)[-2:]] == [("3", "UNDO_SQL"), ("2", "UNDO_SQL")]
    made.wait_blocked("version 2 was undone")
    assert "undone" == made.states()["V3__three.sql"] and has(made, "v")
    made.file("V2__two_tables.sql", TWO.replace("id int", "id bigint"))
    wait_for(lambda: made.states()["V2__two_tables.sql"] == "applied", 20, "the corrected file ran", made.daemon.log_tail)
    made.wait_blocked("version 3 was undone")
    # and without its files a version is no reason to wait
    made.remove("V3__three.sql")
    made.remove("U3__three.sql")
    made.daemon.wait_in_sync()
    assert made.states()["U3__three.sql"] == "undone" and made.migrations()["current_version"] == "2"
    made.file("V4__four.sql", "CREATE TABLE app.four ();")
    wait_for(lambda: has(made, "four"), 20, "V4 ran", made.daemon.log_tail)


def test_undo_that_is_refused(team):
    made = team({**FILES, "V3__three.sql": "CREATE TABLE app.three (id int);"})
    before = rows(made)
    mark = made.pg.log_mark()
    for name, text, words in (
            (None, None, "no undo file for version 3"),
            ("U3__three.sql", "DROP INDEX CONCURRENTLY app.i;", "runs statement by statement"),
            ("U3__three.sql", "-- dbreconcile:transaction=false\nSELECT 1;", "runs statement by statement"),
            ("U3__three.sql", "DROP TABLE app.three;\nCOMMIT;\nSELECT 1;", "U3__three.sql:2"),
            ("U3__three.sql", "DROP TABLE app.three;\nSELECT '${nobody}';", "U3__three.sql:2: placeholder ${nobody}: there is no value"),
            ("U3__three.sql", "SELECT 1;\n\\i x\n", "U3__three.sql:2")):
        if name:
            made.file(name, text)
        assert words in order(made, "undo", "--dry-run", expect=5).err
        assert words in order(made, "undo", "3", expect=5).err
    made.file("U3__three.sql", "DROP TABLE app.three;")
    made.file("U3__three.sql.conf", "executeInTransaction=false\n")
    assert "runs statement by statement" in order(made, "undo", expect=5).err
    made.remove("U3__three.sql.conf")
    made.file("U3_0__twice.sql", "SELECT 1;")
    assert "two undo files" in order(made, "undo", expect=5).err
    wait_for(lambda: "two undo files" in made.daemon.ctl("migrations", TARGET).out, 20, "it is warned of", made.daemon.log_tail)
    made.remove("U3_0__twice.sql")
    assert "applied after it: 3" in order(made, "undo", "2", expect=5).err
    assert "there is no migration 7" in order(made, "undo", "7", expect=5).err
    made.daemon.wait_in_sync()
    assert made.pg.changes(mark) == [] and rows(made) == before
    # it fails in the server: nothing of it is there, nobody waits for it, and the place is named
    made.file("U3__three.sql", "DROP TABLE app.three;\n  SELECT nosuch(1);\n")
    said = order(made, "undo", expect=5).err
    assert "U3__three.sql:2:10" in said and "nosuch" in said and "nothing was undone" in said
    assert has(made, "three") and rows(made) == before
    made.daemon.ctl("reconcile", "--wait", TARGET)
    made.daemon.wait_in_sync()
    failed = [e for e in made.daemon.json("events")["events"] if e["result"] == "failed" and e["object"] == "U3__three.sql"]
    assert len(failed) == 1 and failed[0]["actor"].startswith("uid 0") and failed[0]["sqlstate"] == "42883"
    # what another one left unsettled comes first
    made.file("U3__three.sql", "DROP TABLE app.three;")
    made.file("V4__bad.sql", "-- dbreconcile:transaction=false\nCREATE TABLE app.half ();\nSELECT 1/0;")
    made.wait_blocked("V4__bad.sql", "failed")
    said = order(made, "undo", expect=5).err
    assert "V4__bad.sql is failed: that comes first" in said and "repair (or resolve)" in said
    order(made, "repair")
    wait_for(lambda: rows(made)[-1] == ("4", "SQL", "V4__bad.sql", False), 20, "it ran again, and failed again", made.daemon.log_tail)
    made.wait_blocked("V4__bad.sql", "failed")
    made.file("V4__bad.sql", "CREATE TABLE app.half ();")
    made.wait_blocked("V4__bad.sql")
    assert "V4__bad.sql is failed: that comes first" in order(made, "undo", expect=5).err
    assert has(made, "three")


def test_baseline_and_observe_mode(team, pg, daemon):
    made = team({"V1__users.sql": FIRST, "U1__users.sql": "DROP TABLE app.users;"})
    made.daemon.stop()
    pg.sql("TRUNCATE dbreconcile.migration_ledger", dbname="orders")
    pg.sql("INSERT INTO dbreconcile.migration_ledger (installed_rank, version, description, type, script, installed_by, execution_time, success)"
           " VALUES (1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', 'x', 0, true)", dbname="orders")
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert "version 1 is a baseline" in order(made, "undo", expect=5).err
    made.daemon.stop()
    made.daemon.start("--observe")
    wait_for(lambda: made.states(), 20, "looked at", made.daemon.log_tail)
    assert "observe mode" in order(made, "undo", expect=5).err
    assert has(made, "users")


def test_what_flyway_undid_is_not_run_again(pg, daemon):
    """A history of Flyway Teams, taken over: the undone version waits, and an undo of ours goes into the same table."""
    pg.sql("CREATE ROLE migrator LOGIN")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION migrator", HISTORY)
    files = {"V1__a.sql": "CREATE TABLE app.a ();", "V2__b.sql": "CREATE TABLE app.b ();", "U2__b.sql": "DROP TABLE app.b;", "U1__a.sql": "DROP TABLE app.a"}
    pg.sql("CREATE TABLE app.a (); ALTER TABLE app.a OWNER TO migrator", dbname="orders")
    insert(pg, (1, "1", "a", "SQL", "V1__a.sql", checksum(files["V1__a.sql"]), "admin", 3, True),
           (2, "2", "b", "SQL", "V2__b.sql", checksum(files["V2__b.sql"]), "admin", 3, True),
           (3, "2", "b", "UNDO_SQL", "U2__b.sql", checksum(files["U2__b.sql"]), "admin", 3, True))
    made = object.__new__(Team)
    made.pg = pg
    made.daemon = daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": (
        {"name": "orders", "migrations": {"directory": "orders", "user": "migrator", "table": "public.flyway_schema_history"}},)},
                         {"platform": PLATFORM}, {"orders": files}).start()
    before = history(pg)
    made.wait_blocked("version 2 was undone", "by admin")
    order(made, "undo")
    assert history(pg) == before + [(4, "1", "a", "UNDO_SQL", "U1__a.sql", checksum("DROP TABLE app.a"), "migrator", True)]
    made.wait_blocked("version 1 was undone")
    assert "V1__a.sql comes before V2__b.sql" in order(made, "run", "2", expect=5).err
    order(made, "run", "1")
    order(made, "run", "2")
    made.daemon.wait_in_sync()
    assert [row[:4] for row in history(pg)[4:]] == [(5, "1", "a", "SQL"), (6, "2", "b", "SQL")]
    assert has(made, "a") and has(made, "b")


@pytest.mark.parametrize("how", ("daemon", "backend"))
def test_killed_in_the_middle_of_an_undo(team, how):
    """It is wholly undone and recorded, or not at all; and the order can be given again."""
    made = team({"V1__users.sql": FIRST, "V2__two_tables.sql": TWO, "U2__two_tables.sql": UNDO_TWO + SLEEP})
    before = rows(made)
    asking = threading.Thread(target=order, args=(made, "undo"), kwargs={"expect": None})
    asking.start()
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'orders'"
    wait_for(lambda: made.pg.value(sleeping) == 1, 20, "the undo runs", made.daemon.log_tail)
    if how == "daemon":
        made.daemon.kill()
    else:
        made.pg.kill_backends("orders", "dbreconciled migrations")
    asking.join()
    wait_for(lambda: made.pg.value(sleeping) == 0, 30, "the server has noticed", made.pg.log_tail)
    if how == "daemon":
        made.daemon.start()
    made.daemon.wait_in_sync()
    assert has(made, "two") and rows(made) == before and made.states()["V2__two_tables.sql"] == "applied"
    made.file("U2__two_tables.sql", UNDO_TWO)
    order(made, "undo")
    assert not has(made, "two") and rows(made)[2:] == [("2", "UNDO_SQL", "U2__two_tables.sql", True)]
    made.wait_blocked("was undone")


def test_an_undone_canary_holds_later_waves(pg, daemon):
    fleet = Fleet(pg, daemon, {"canary": {"wave": 1}, "tenant": {"wave": 2}},
                  {"V1__one.sql": "CREATE TABLE dbreconcile.one ();", "U1__one.sql": "DROP TABLE dbreconcile.one;"})
    fleet.daemon.start()
    fleet.daemon.wait_in_sync()
    fleet.daemon.ctl("migrations", "prod/canary", "undo")
    fleet.wait("canary", "blocked")
    fleet.file("V2__two.sql", "CREATE TABLE dbreconcile.two ();")
    waiting = wait_for(lambda: fleet.rows()["tenant"]["waiting"], 20, "tenant waits", fleet.daemon.log_tail)
    assert waiting["for"] == "prod/canary" and not fleet.has("tenant", "two") and not fleet.has("canary", "one")
    fleet.daemon.ctl("migrations", "prod/canary", "run", "1")
    fleet.daemon.wait_in_sync()
    assert fleet.has("tenant", "two") and fleet.has("canary", "one") and fleet.has("canary", "two")


def test_an_undo_is_no_schema_drift(pg, daemon):
    """It moves the baseline; that its file is corrected does not, so that what was done by hand before that runs is still seen."""
    made = Team(pg, daemon, {"V1__users.sql": FIRST, "V2__two.sql": TWO, "U2__two.sql": "DROP TABLE app.two;"},
                more={"schema_drift": ["app"], "schema_drift_interval": "1h"})
    made.daemon.start()
    made.daemon.wait_in_sync()
    wait_for(lambda: made.migrations()["schema"] and made.migrations()["schema"]["baseline_version"] == "2", 20, "a baseline", made.daemon.log_tail)
    order(made, "undo")
    answer = wait_for(lambda: made.migrations()["schema"]["baseline_version"] == "1" and made.migrations(), 20, "a new baseline", made.daemon.log_tail)
    assert answer["schema_drift"] == []
    pg.sql("ALTER TABLE app.users ADD by_hand int", dbname="orders")
    made.file("V2__two.sql", TWO + "-- corrected\n")
    made.daemon.wait_in_sync()
    answer = wait_for(lambda: made.migrations()["schema"]["baseline_version"] == "2" and made.migrations(), 20, "a new baseline", made.daemon.log_tail)
    assert "by_hand" in str(answer["schema_drift"]) and "two" not in str(answer["schema_drift"]), answer


# A COMMIT that waits for as long as somebody holds the lock 4711.
SLOW = """CREATE TABLE app.s (a int);
CREATE FUNCTION app.slow() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER x AFTER INSERT ON app.s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.slow();
"""


@pytest.mark.parametrize("meanwhile", ("nothing", "another version"))
def test_the_connection_is_lost_when_an_undo_commits(team, meanwhile):
    """It was rolled back, so it is done again; but never to a version that somebody else applied in between."""
    made = team({"V1__users.sql": FIRST + SLOW, "V2__two.sql": TWO, "U2__two.sql": "DROP TABLE app.two;\nINSERT INTO app.s VALUES (1);"})
    results = []
    holder = made.pg.connect("orders")
    holder.cursor().execute("SELECT pg_advisory_lock(4711)")
    asking = threading.Thread(target=lambda: results.append(order(made, "undo", expect=None)))
    asking.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND (objid = 4711) = %s"
    wait_for(lambda: made.pg.value(waiting, (True,)) == 1, 20, "COMMIT waits", made.daemon.log_tail)
    if meanwhile == "another version":
        flyway = threading.Thread(target=apply_beside, args=(made,))
        flyway.start()
        wait_for(lambda: made.pg.value(waiting, (False,)) == 1, 20, "somebody waits for the lock", made.daemon.log_tail)
    made.pg.kill_backends("orders", "dbreconciled migrations")
    holder.close()
    if meanwhile == "another version":
        flyway.join()
    asking.join()
    (result,) = results
    if meanwhile == "nothing":
        assert result.code == 0, result
        assert not has(made, "two") and [row[1] for row in rows(made)] == ["SQL", "SQL", "UNDO_SQL"]
        assert made.value("SELECT count(*) FROM app.s") == 1
    else:
        assert result.code == 5 and "version 2 is not the newest: applied after it: 3" in result.err, result
        assert has(made, "two") and [row[1] for row in rows(made)] == ["SQL", "SQL", "SQL"]


def apply_beside(made):
    """A run of Flyway that gets the lock as soon as it is free."""
    other = made.pg.connect("orders", user="migrator")
    with other.cursor() as cursor:           # committed statement by statement: the row is there when the lock is free
        key = FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"')
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
        cursor.execute("INSERT INTO dbreconcile.migration_ledger VALUES (3, '3', 'three', 'SQL', 'V3__three.sql', 1, 'x', now(), 0, true)")
        cursor.execute("SELECT pg_advisory_unlock(%s)", (key,))
    other.close()


def test_kill_9_at_random_moments_of_an_undo(team):
    """The table is there exactly when the ledger says so, whenever it was killed."""
    chosen = random.Random(SEED)
    made = team({"V1__users.sql": FIRST, "V2__two.sql": TWO, "U2__two.sql": "SELECT pg_sleep(0.02);\nDROP TABLE app.two;\nSELECT pg_sleep(0.02);\n"})
    for _ in range(12):
        undone = not has(made, "two")
        asking = threading.Thread(target=order, args=(made, *(("run", "2") if undone else ("undo",))), kwargs={"expect": None})
        asking.start()
        asking.join(chosen.uniform(0, 0.1))
        made.daemon.kill()
        asking.join()
        wait_for(lambda: not made.pg.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbreconciled migrations'"), 20,
                 "the server has noticed", made.pg.log_tail)
        kinds = [row[1] for row in rows(made)[1:]]
        assert kinds == (["SQL", "UNDO_SQL"] * len(kinds))[:len(kinds)], f"seed {SEED}"
        assert has(made, "two") == (kinds[-1] == "SQL"), f"seed {SEED}"
        made.daemon.start()
        wait_for(lambda: made.states().get("V2__two.sql") == ("applied" if has(made, "two") else "undone"), 20, "it is seen", made.daemon.log_tail)
        assert [row[1] for row in rows(made)[1:]] == kinds        # nothing by itself
