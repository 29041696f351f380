# SPDX-License-Identifier: PostgreSQL
"""Migration files that run statement by statement: what cannot run in a transaction, and what is left when it is cut off."""

import os
import signal
import threading
import zlib

import pytest
from dbr import wait_for
from test_migrator import LEDGER, Runner

PROGRESS = "dbreconcile.migration_ledger_progress"
DIRECTIVE = "-- dbreconcile:transaction=false\n"


@pytest.fixture
def runner(pg, workspace):
    return Runner(pg, workspace)


def ledger(runner):
    return runner.rows(f"SELECT version, success FROM {LEDGER} ORDER BY installed_rank")


def progress(runner):
    return runner.rows(f"SELECT version, statements, done, state FROM {PROGRESS} ORDER BY 1")


def index_is_valid(runner, name):
    rows = runner.rows(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')")
    return rows[0][0] if rows else None


def wait_for_statement(runner, words, event=None):
    """Until the runner's backend executes such a statement (and waits for such an event)."""
    query = ("SELECT pid FROM pg_stat_activity WHERE application_name = 'dbreconciled migrations' AND state = 'active' AND query LIKE %s"
             " AND (%s IS NULL OR wait_event = %s)")
    rows = wait_for(lambda: runner.pg.sql(query, (f"%{words}%", event, event), dbname="d"), 15, f"{words} runs")
    return rows[0][0]


def test_statements_outside_of_a_transaction_run_one_by_one(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int, b text);")
    runner.file("V2__index.sql", "SET search_path = app;\nCREATE INDEX CONCURRENTLY i ON t (a); -- one\n"
                                 "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"Ü;\" ON app.t (b);\nREINDEX TABLE CONCURRENTLY t;\n"
                                 "VACUUM (ANALYZE) app.t;\nDROP INDEX CONCURRENTLY i;\nRESET search_path")
    runner.file("V3__mixed.sql", DIRECTIVE + "SET search_path = app;\nCOPY t FROM stdin;\n1\tx;\n\\.\n"
                                 "CREATE FUNCTION two() RETURNS int LANGUAGE sql " + (
                                     "BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\n" if True else "AS 'SELECT 2';") +
                                 "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.t VALUES (2, 'y'); COMMIT; END $$;\n"
                                 "CALL p();\nCREATE INDEX CONCURRENTLY ON t (a)")
    runner.file("V4__own.sql", "CREATE TABLE app.seen AS SELECT current_setting('search_path') AS p, current_setting('lock_timeout') AS l;")
    end, events = runner.run()
    assert end["status"] == "done" and end["done"] == 4, end
    assert ledger(runner) == [("1", True), ("2", True), ("3", True), ("4", True)]
    assert progress(runner) == []
    assert index_is_valid(runner, 'app."Ü;"') is True and index_is_valid(runner, "app.i") is None
    assert runner.value("SELECT count(*) FROM app.t") == 2 and runner.value("SELECT app.two()") == 2
    assert runner.rows("SELECT * FROM app.seen") == [('"$user", public', "500ms")]
    assert runner.run()[0]["total"] == 0


@pytest.mark.majors(14, 18)
def test_a_statement_that_fails_writes_the_failed_row_and_names_its_place(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int); INSERT INTO app.t VALUES (1), (1);")
    path = runner.file("V2__bad.sql", DIRECTIVE + "CREATE TABLE app.u ();\n-- üü\nCREATE UNIQUE INDEX CONCURRENTLY i\n ON app.t (a);")
    end, events = runner.run()
    error = end["error"]
    assert end["status"] == "failed" and (error["file"], error["line"], error["sqlstate"]) == (path, 4, "23505"), end
    assert "statements 1 to 1 of 2 are done" in error["hint"] and events[-1]["event"] == "failed"
    assert ledger(runner) == [("1", True), ("2", False)] and progress(runner) == [("2", 2, 1, "failed")]
    end, events = runner.run()
    assert end["status"] == "blocked" and events == [] and "version 2 failed" in end["error"]["text"]
    assert "repair" in end["error"]["hint"]
    # the failed row taken away, as a repair does: the index that the failure left is seen, not built twice
    runner.pg.sql(f"DELETE FROM {LEDGER} WHERE NOT success; DELETE FROM app.t", dbname="d")
    end, events = runner.run()
    assert "app.i is invalid" in str(events) and progress(runner) == [("2", 2, 1, "stuck")], (end, events)
    assert end["status"] == "blocked" and "DROP INDEX CONCURRENTLY app.i" in end["error"]["text"], end
    runner.pg.sql(f"UPDATE {PROGRESS} SET state = 'between'", dbname="d")
    runner.pg.sql("DROP INDEX CONCURRENTLY app.i", dbname="d")
    end, events = runner.run()
    assert end["status"] == "done", end
    assert ledger(runner) == [("1", True), ("2", True)] and progress(runner) == []


@pytest.mark.majors(16)
def test_a_long_message_is_cut_at_a_character_and_recorded(runner):
    """A text that ends in half a character could not be noted in the database, and so not that the file failed."""
    for n in (0, 1):
        runner.file(f"V{n + 1}__bad.sql", DIRECTIVE + f"SELECT '{'é' * 30}' WHERE 'x' = ('{'x' * n}' || repeat('x', 919))::int::text;")
        end, _events = runner.run()
        assert end["status"] == "failed" and end["error"]["text"].endswith("é"), end
        assert ledger(runner)[-1] == (str(n + 1), False) and progress(runner)[-1][-1] == "failed"
        runner.pg.sql(f"UPDATE {LEDGER} SET success = true; DELETE FROM {PROGRESS}", dbname="d")


@pytest.mark.majors(16)
def test_a_statement_may_be_as_large_as_a_file(runner):
    runner.file("V1__large.sql", DIRECTIVE + f"CREATE TABLE app.t AS SELECT length('{'x' * (3 << 20)}') AS n;")
    end, _events = runner.run()
    assert end["status"] == "done" and runner.value("SELECT n FROM app.t") == 3 << 20, end


@pytest.mark.majors(16)
def test_error_position_of_a_statement_that_runs_by_itself(runner):
    path = runner.file("V1__bad.sql", DIRECTIVE + "SELECT 'ü';\r\n\r\n SELECT 'ä', nosuch(1);\n")
    end, _events = runner.run()
    assert (end["error"]["file"], end["error"]["line"], end["error"]["column"], end["error"]["sqlstate"]) == (path, 4, 14, "42883"), end
    assert "SELECT 'ä', nosuch(1);" in end["error"]["text"]


@pytest.mark.majors(16)
def test_a_failed_file_goes_on_when_only_the_rest_of_it_was_changed(runner):
    first = DIRECTIVE + "CREATE TABLE app.t (a int);\nINSERT INTO app.t VALUES (1);\n"
    runner.file("V1__x.sql", first + "INSERT INTO app.nosuch VALUES (1);\nVACUUM app.t;")
    assert runner.run()[0]["status"] == "failed" and progress(runner) == [("1", 4, 2, "failed")]
    runner.pg.sql(f"DELETE FROM {LEDGER}", dbname="d")
    runner.file("V1__x.sql", first.replace("(1)", "(7)") + "VACUUM app.t;")
    end, events = runner.run()
    assert end["status"] == "blocked" and "that part of it was changed" in end["error"]["text"] and events == []
    assert "--from-statement" in end["error"]["hint"]
    runner.file("V1__x.sql", first.replace("\n", "\r\n") + "INSERT INTO app.t VALUES (2);\nVACUUM app.t;")
    end, _events = runner.run()
    assert end["status"] == "done", end
    assert runner.rows("SELECT a FROM app.t ORDER BY 1") == [(1,), (2,)]


@pytest.mark.majors(14, 18)
def test_hazard_lock_timeout_does_not_reach_create_index_concurrently(runner):
    """migrations.md 4.3: its wait for old transactions counts as waiting for a lock."""
    runner.pg.sql("ALTER ROLE migrator SET lock_timeout = '50ms'")
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON app.t (a);")
    writer = runner.pg.connect("d", autocommit=False)
    writer.cursor().execute("INSERT INTO app.t VALUES (1)")
    process = runner.spawn(lock_timeout=100)
    pid = wait_for_statement(runner, "CREATE INDEX CONCURRENTLY", "virtualxid")
    began = runner.value(f"SELECT query_start FROM pg_stat_activity WHERE pid = {pid}")
    wait_for(lambda: runner.value("SELECT clock_timestamp() - %s > '300ms'" % f"'{began}'::timestamptz"), 10, "longer than any lock_timeout")
    writer.rollback()
    end, _events = runner.finish(process)
    assert end["status"] == "done", end
    assert index_is_valid(runner, "app.i") is True
    writer.close()


@pytest.mark.majors(14, 18)
def test_hazard_if_not_exists_hides_an_invalid_index(runner):
    """migrations.md 4.4"""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int); INSERT INTO app.t VALUES (1), (1);")
    assert runner.run()[0]["status"] == "done"
    with pytest.raises(Exception):
        runner.pg.sql("CREATE UNIQUE INDEX CONCURRENTLY i ON app.t (a)", dbname="d")
    assert index_is_valid(runner, "app.i") is False
    runner.pg.sql("DELETE FROM app.t", dbname="d")
    runner.file("V2__i.sql", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON app.t (a);")
    end, _events = runner.run()
    assert end["status"] == "blocked" and "app.i is invalid" in end["error"]["text"], end
    assert ledger(runner) == [("1", True)] and end["error"]["line"] == 1


@pytest.mark.majors(14, 18)
def test_hazard_a_build_in_progress_is_not_called_invalid(runner):
    """migrations.md 4.4: indisvalid = false is true of a build that runs."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    holder = runner.pg.connect("d", autocommit=False)
    holder.cursor().execute("INSERT INTO app.t VALUES (1)")
    builder = runner.pg.connect("d", user="migrator")
    build = threading.Thread(target=lambda: builder.cursor().execute("CREATE INDEX CONCURRENTLY i ON app.t (a)"))
    build.start()
    wait_for(lambda: index_is_valid(runner, "app.i") is False, 10, "it is being built")
    runner.file("V2__i.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON app.t (a);")
    end, _events = runner.run(lock_wait=200)
    assert (end["status"], end["failure"]) == ("failed", "lock") and "is being built by process" in end["error"]["text"], end
    process = runner.spawn()
    runner.wait_phase(process, "look")
    holder.rollback()
    end, _events = runner.finish(process)
    build.join()
    assert end["status"] == "done" and index_is_valid(runner, "app.i") is True, end
    holder.close()
    builder.close()


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("how", ["backend", "runner"])
def test_interrupted_create_index_is_found_out(runner, how):
    """Killed in the build: the backend leaves an invalid index, the runner's death lets the server finish."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__i.sql", DIRECTIVE + "SET search_path = app;\nCREATE TABLE u ();\nCREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM t;")
    writer = runner.pg.connect("d", autocommit=False)
    writer.cursor().execute("INSERT INTO app.t VALUES (1)")
    process = runner.spawn()
    wait_for_statement(runner, "CREATE INDEX CONCURRENTLY", "virtualxid")
    assert progress(runner) == [("2", 4, 2, "running")]
    if how == "backend":
        runner.pg.kill_backends("d", "dbreconciled migrations")
        end, events = runner.finish(process)
        assert end["status"] == "failed" and events[-1]["event"] == "unknown", (end, events)
        assert "not known what became of statement 3 of 4" in end["error"]["text"] and end["error"]["line"] == 4
    else:
        process.kill()
        process.communicate()
        end, _events = runner.run(lock_wait=200)
        assert end["status"] == "failed" and "held by process" in end["error"]["text"], end
    writer.rollback()
    writer.close()
    end, events = runner.run()
    if how == "backend":
        assert end["status"] == "blocked" and "app.i is invalid" in end["error"]["text"], end
        assert progress(runner) == [("2", 4, 2, "stuck")] and ledger(runner) == [("1", True)]
        runner.pg.sql("DROP INDEX CONCURRENTLY app.i", dbname="d")
        runner.pg.sql(f"UPDATE {PROGRESS} SET state = 'running'", dbname="d")
        end, events = runner.run()
    assert end["status"] == "done", end
    assert index_is_valid(runner, "app.i") is True and ledger(runner) == [("1", True), ("2", True)] and progress(runner) == []


@pytest.mark.majors(16)
def test_what_an_interrupted_file_set_does_not_reach_another(runner):
    """It is set again to find out what became of the file; then a new file comes first."""
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("R__i.sql", "SET search_path = app;\nSET lock_timeout = '7s';\nCREATE INDEX CONCURRENTLY i ON t (a);")
    writer = runner.pg.connect("d", autocommit=False)
    writer.cursor().execute("INSERT INTO app.t VALUES (1)")
    process = runner.spawn()
    wait_for_statement(runner, "CREATE INDEX CONCURRENTLY", "virtualxid")
    process.kill()
    process.communicate()
    writer.rollback()
    writer.close()
    runner.file("V2__seen.sql", "CREATE TABLE app.seen AS SELECT current_setting('search_path') AS p, current_setting('lock_timeout') AS l;")
    end, _events = runner.run()
    assert end["status"] == "done" and index_is_valid(runner, "app.i") is True, end
    assert runner.rows("SELECT * FROM app.seen") == [('"$user", public', "500ms")]


@pytest.mark.majors(16)
def test_a_file_that_is_renamed_in_between_goes_on_all_the_same(runner):
    path = runner.file("V1__x.sql", DIRECTIVE + "CREATE TABLE app.t (a int);\nINSERT INTO app.t VALUES (1);\nVACUUM app.nosuch;\nVACUUM app.t;")
    assert runner.run()[0]["status"] == "failed" and progress(runner) == [("1", 4, 2, "failed")]
    runner.pg.sql(f"DELETE FROM {LEDGER}", dbname="d")
    os.unlink(path)
    path = runner.file("V1.0__better.sql", DIRECTIVE + "CREATE TABLE app.t (a int);\nINSERT INTO app.t VALUES (1);\nINSERT INTO app.t VALUES (2);\n"
                                           "VACUUM app.nosuch;")
    assert runner.run()[0]["status"] == "failed" and progress(runner) == [("1", 4, 3, "failed")]
    runner.pg.sql(f"DELETE FROM {LEDGER}", dbname="d")
    runner.file("V1.0__better.sql", DIRECTIVE + "CREATE TABLE app.t (a int);\nINSERT INTO app.t VALUES (1);\nINSERT INTO app.t VALUES (2);\n")
    assert runner.run()[0]["status"] == "done" and progress(runner) == []
    assert runner.rows("SELECT a FROM app.t ORDER BY 1") == [(1,), (2,)] and ledger(runner) == [("1.0", True)]


@pytest.mark.majors(16)
def test_repeatable_file_statement_by_statement(runner):
    text = "DROP INDEX CONCURRENTLY IF EXISTS app.i;\nCREATE INDEX CONCURRENTLY i ON app.t (a);\n"
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    runner.file("R__index.sql", text)
    assert runner.run()[0]["status"] == "done"
    runner.file("R__index.sql", text + "VACUUM app.nosuch;")
    assert runner.run()[0]["status"] == "failed" and progress(runner) == [("", 3, 2, "failed")]
    assert runner.run()[0]["status"] == "blocked"
    runner.pg.sql(f"DELETE FROM {LEDGER} WHERE NOT success", dbname="d")
    runner.file("R__index.sql", text + "VACUUM app.t;")
    mark = runner.pg.log_mark()
    assert runner.run()[0]["status"] == "done" and progress(runner) == []
    assert not [s for s in runner.pg.statements(mark, "dbreconciled migrations") if "CREATE INDEX" in s[2]]
    assert ledger(runner) == [("1", True), (None, True), (None, True)]


@pytest.mark.majors(14, 18)
def test_interrupted_call_is_left_to_a_person(runner):
    runner.file("V1__p.sql", "CREATE TABLE app.t (a int);"
                             "CREATE PROCEDURE app.p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.t VALUES (1); COMMIT; PERFORM pg_sleep(60); END $$;")
    assert runner.run()[0]["status"] == "done"
    path = runner.file("V2__c.sql", DIRECTIVE + "INSERT INTO app.t VALUES (0);\nCALL app.p();\nVACUUM app.t;")
    process = runner.spawn()
    wait_for_statement(runner, "CALL", "PgSleep")
    runner.pg.kill_backends("d", "dbreconciled migrations")
    assert runner.finish(process)[0]["status"] == "failed"
    for _ in range(2):
        end, events = runner.run()
        assert end["status"] == "blocked" and events == [], end
        assert (end["error"]["file"], end["error"]["line"]) == (path, 3) and "CALL app.p()" in end["error"]["text"]
        assert "resolve 2 --from-statement 2" in end["error"]["hint"]
    assert runner.rows("SELECT a FROM app.t ORDER BY 1") == [(0,), (1,)]


@pytest.mark.majors(17)
def test_sigterm_waits_for_what_runs_outside_of_a_transaction(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON app.t (a);\nVACUUM app.t;")
    writer = runner.pg.connect("d", autocommit=False)
    writer.cursor().execute("INSERT INTO app.t VALUES (1)")
    process = runner.spawn()
    wait_for_statement(runner, "CREATE INDEX CONCURRENTLY", "virtualxid")
    process.send_signal(signal.SIGTERM)
    writer.rollback()
    writer.close()
    end, events = runner.finish(process)
    assert end["status"] == "cancelled" and index_is_valid(runner, "app.i") is True, end
    assert progress(runner) == [("2", 2, 1, "between")] and ledger(runner) == [("1", True)]
    assert runner.run()[0]["status"] == "done" and ledger(runner) == [("1", True), ("2", True)]


@pytest.mark.majors(14, 18)
def test_interrupted_ordinary_statement_is_certain(runner):
    """The note that it is done is in its own transaction; what an earlier one set is set again."""
    runner.file("V1__x.sql", DIRECTIVE + "SET search_path = app;\nCREATE TABLE t (a int);\nINSERT INTO t SELECT 1 FROM pg_sleep(60);\nVACUUM t;")
    process = runner.spawn()
    wait_for_statement(runner, "pg_sleep", "PgSleep")
    runner.pg.kill_backends("d", "dbreconciled migrations")
    end, events = runner.finish(process)
    assert end["status"] == "failed" and events[-1]["event"] == "failed", end
    assert progress(runner) == [("1", 4, 2, "between")]
    runner.file("V1__x.sql", DIRECTIVE + "SET search_path = app;\nCREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nVACUUM t;")
    assert runner.run()[0]["status"] == "done"
    assert runner.rows("SELECT a FROM app.t") == [(1,)] and progress(runner) == []


@pytest.mark.majors(15)
def test_temporary_objects_do_not_outlive_an_interruption(runner):
    runner.file("V1__x.sql", DIRECTIVE + "CREATE TEMP TABLE t AS SELECT 1 AS a;\nCREATE TABLE app.t AS SELECT a FROM t, pg_sleep(60);")
    process = runner.spawn()
    wait_for_statement(runner, "pg_sleep", "PgSleep")
    runner.pg.kill_backends("d", "dbreconciled migrations")
    runner.finish(process)
    end, events = runner.run()
    assert end["status"] == "blocked" and "made for the session is gone" in end["error"]["text"] and events == [], end


@pytest.mark.majors(17)
def test_a_lock_that_somebody_else_holds_is_tried_again(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t (a int);")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__x.sql", DIRECTIVE + "ALTER TABLE app.t ADD COLUMN b int;\nVACUUM app.t;")
    reader = runner.pg.connect("d", autocommit=False)
    reader.cursor().execute("SELECT * FROM app.t")
    end, _events = runner.run(lock_timeout=50)
    assert (end["status"], end["failure"], end["error"]["sqlstate"]) == ("failed", "lock", "55P03"), end
    assert ledger(runner) == [("1", True)] and progress(runner) == []        # nothing happened: no failed row
    process = runner.spawn(lock_timeout=100)
    runner.wait_phase(process, "rollback")
    reader.rollback()
    reader.close()
    assert runner.finish(process)[0]["status"] == "done"


@pytest.mark.majors(14, 18)
def test_hazard_a_wrong_split_is_an_error_and_not_an_accident(runner):
    """One statement per message: the server refuses two. And files that must not be cut: BEGIN ATOMIC, rules, names with 'atomic'."""
    runner.file("V1__x.sql", DIRECTIVE + "CREATE TABLE app.atomic_test (a int, b int);\n"
                "CREATE RULE r AS ON UPDATE TO app.atomic_test DO ALSO (DELETE FROM app.atomic_test; INSERT INTO app.atomic_test VALUES (1));\n"
                "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql BEGIN ATOMIC INSERT INTO app.atomic_test VALUES (2);"
                " SELECT CASE a WHEN 1 THEN CASE WHEN b IS NULL THEN 1 END ELSE 2 END FROM app.atomic_test; END;\n"
                "CREATE FUNCTION app.g() RETURNS text LANGUAGE sql AS $x$ SELECT ';$$' || E'a'\n'b\\';' $x$;")
    end, _events = runner.run()
    assert end["status"] == "done", end
    assert runner.value("SELECT app.g()") == ";$$ab';"
    assert not runner.pg.log_since().count("cannot insert multiple commands")


@pytest.mark.majors(15)
def test_hazard_pg_advisory_unlock_all_stops_the_file(runner):
    runner.file("V1__x.sql", DIRECTIVE + "CREATE TABLE app.t ();\nSELECT pg_advisory_unlock_all();\nCREATE TABLE app.u ();")
    end, _events = runner.run()
    assert end["status"] == "failed" and "released the lock" in end["error"]["text"], end
    assert runner.value("SELECT to_regclass('app.u') IS NULL") and ledger(runner) == []
    assert progress(runner) == [("1", 3, 1, "between")]


@pytest.mark.majors(15)
def test_progress_table_that_is_a_trap_is_not_used(runner):
    runner.file("V1__i.sql", "VACUUM;")
    runner.pg.sql(f"CREATE VIEW {PROGRESS} AS SELECT 1 AS version; GRANT ALL ON {PROGRESS} TO migrator", dbname="d")
    end, events = runner.run()
    assert end["status"] == "blocked" and "plain table" in end["error"]["text"] and events == [], end


@pytest.mark.majors(14, 18)
def test_databases_are_found_out(runner):
    """Cut off at a statement that makes or drops a database: whether it is there tells."""
    runner.pg.sql("ALTER ROLE migrator CREATEDB")
    runner.file("V1__db.sql", "VACUUM;\nCREATE DATABASE other;\nDROP DATABASE other;\nCREATE DATABASE other")
    assert runner.run()[0]["status"] == "done"
    checksum = runner.value(f"SELECT checksum FROM {LEDGER}")
    prefix = {0: 0, 1: zlib_checksum("VACUUM"), 2: zlib_checksum("VACUUM;CREATE DATABASE other"),
              3: zlib_checksum("VACUUM;CREATE DATABASE other;DROP DATABASE other")}
    for done, there in ((1, False), (1, True), (2, True), (2, False), (3, False), (3, True), (0, False)):
        runner.pg.sql("DROP DATABASE IF EXISTS other")
        if there:
            runner.pg.sql("CREATE DATABASE other OWNER migrator")
        runner.pg.sql(f"DELETE FROM {LEDGER}; INSERT INTO {PROGRESS} VALUES ('1', 'db', 'V1__db.sql', {checksum}, 4, {done}, {prefix[done]},"
                      " 'running', '', '')", dbname="d")
        mark = runner.pg.log_mark()
        end, _events = runner.run()
        assert end["status"] == "done" and progress(runner) == [], (done, there, end)
        ran = [s[2] for s in runner.pg.statements(mark, "dbreconciled migrations") if "DATABASE" in s[2] and "pg_catalog" not in s[2]]
        whole = ["CREATE DATABASE other", "DROP DATABASE other", "CREATE DATABASE other"]
        happened = (done == 1 and there) or (done == 2 and not there) or (done == 3 and there)
        assert [s.strip() for s in ran] == whole[max(done - 1, 0) + happened:], (done, there, ran)


def zlib_checksum(text):
    value = zlib.crc32(text.encode())
    return value - 2**32 if value >= 2**31 else value
