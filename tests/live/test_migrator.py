# SPDX-License-Identifier: PostgreSQL
"""The migration runner against real servers: each file wholly or not at all, whatever happens, and errors that say where.

tests/live/migrate_runner runs one directory and prints what it does as JSON lines.
"""

import json
import os
import re
import signal
import subprocess

import psycopg2
import pytest
from dbr import wait_for
from dbr.daemon import BUILD, SANITIZERS, _environment
from dbr.waiting import seconds

LEDGER = 'dbreconcile.migration_ledger'
FLYWAY_KEY = 77431708279161


def java_hash(text):
    units = text.encode("utf-16-le")
    value = 0
    for i in range(0, len(units), 2):
        value = (value * 31 + units[i] + 256 * units[i + 1]) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


class Runner:
    """A directory of files and a database d with schemas app and dbreconcile, owned by role migrator."""

    def __init__(self, pg, workspace):
        self.pg = pg
        self.directory = workspace.directory("m")
        pg.sql("CREATE ROLE migrator LOGIN")
        pg.create_database("d", "CREATE SCHEMA app AUTHORIZATION migrator", "CREATE SCHEMA dbreconcile AUTHORIZATION migrator")

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, 0o644)
        return path

    def spawn(self, table="migration_ledger", schema="dbreconcile", lock_timeout=0, lock_wait=0, host=None):
        conninfo = f"host={host or self.pg.host} port={self.pg.port} user=migrator dbname=d sslmode=disable"
        return subprocess.Popen([os.path.join(BUILD, "tests/live/migrate_runner"), conninfo, schema, table, self.directory,
                                 str(lock_timeout), str(lock_wait)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=_environment(None))

    def finish(self, process):
        out, err = process.communicate(timeout=seconds(60))
        assert not any(word in err for word in SANITIZERS), err
        lines = [json.loads(line) for line in out.splitlines()]
        return lines[-1], [line for line in lines if "event" in line]

    def run(self, **more):
        return self.finish(self.spawn(**more))

    def wait_phase(self, process, phase):
        """Reads its output until it is in that phase; what was read is kept for finish()."""
        for line in process.stdout:
            if json.loads(line).get("phase") == phase:
                return
        raise AssertionError(f"it never came to phase {phase}")

    def value(self, query):
        return self.pg.value(query, dbname="d")

    def rows(self, query):
        return self.pg.sql(query, dbname="d")

    def versions(self):
        return [row[0] for row in self.rows(f"SELECT version FROM {LEDGER} ORDER BY installed_rank")]


@pytest.fixture
def runner(pg, workspace):
    return Runner(pg, workspace)


def test_runs_in_order_and_records(runner):
    runner.file("V10__last.sql", "INSERT INTO app.t VALUES (10, 'last');")
    runner.file("V2__second.sql", "COPY app.t FROM stdin;\n2\tit's ü\n3\t\\N\n\\.\nCREATE VIEW app.v AS SELECT * FROM app.t;")
    runner.file("V001__first_table.sql", "\\restrict 5abc\nCREATE TABLE app.t (a int PRIMARY KEY, b text);\n\\unrestrict 5abc\n")
    runner.file("R__count.sql", "CREATE OR REPLACE FUNCTION app.n() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.t';")
    end, events = runner.run()
    assert end["status"] == "done" and end["done"] == 4, end
    assert [e["script"] for e in events if e["event"] == "applied"] == ["V001__first_table.sql", "V2__second.sql", "V10__last.sql",
                                                                         "R__count.sql"]
    assert runner.rows("SELECT a, b FROM app.t ORDER BY a") == [(2, "it's ü"), (3, None), (10, "last")]
    rows = runner.rows(f"SELECT installed_rank, version, description, type, script, installed_by, success FROM {LEDGER} ORDER BY 1")
    assert rows == [(1, "001", "first table", "SQL", "V001__first_table.sql", "migrator", True),
                    (2, "2", "second", "SQL", "V2__second.sql", "migrator", True),
                    (3, "10", "last", "SQL", "V10__last.sql", "migrator", True),
                    (4, None, "count", "SQL", "R__count.sql", "migrator", True)]
    mark = runner.pg.log_mark()
    end, events = runner.run()
    assert end["status"] == "done" and end["total"] == 0 and events == []
    assert not [s for s in runner.pg.statements(mark) if "INSERT" in s[2] or "CREATE" in s[2]]


FAILURES = [
    ("CREATE TABLE app.u ();\n-- üü\n  selec 1;\n", (3, 3, "42601"), "syntax error"),
    ("CREATE TABLE app.u ();\r\nSELECT 'ä', nosuch(1);", (2, 13, "42883"), "nosuch"),
    ("CREATE TABLE app.u (a int PRIMARY KEY);\n\nINSERT INTO app.u\n VALUES (1), (1);\nSELECT 2;", (3, 0, "23505"), "INSERT INTO app.u"),
    ("CREATE TABLE app.u (a int);\nCOPY app.u FROM stdin;\n1\nx\n\\.\n", (4, 0, "22P02"), "invalid input syntax"),
    ("CREATE TABLE app.u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO app.u VALUES (1), (1);", (0, 0, "23505"), "COMMIT"),
    ("CREATE TABLE app.u ();\nCREATE TABLE forbidden.t ();", (2, 14, "42501"), "permission denied"),
    ("CREATE TABLE app.u ();\nSELECT pg_advisory_unlock_all();", (0, 0, ""), "released the lock"),
]


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("text,place,words", FAILURES, ids=[case[2].split()[0] for case in FAILURES])
def test_failing_file_rolls_back_wholly_and_says_where(runner, text, place, words):
    runner.pg.sql("CREATE SCHEMA forbidden", dbname="d")
    runner.file("V1__good.sql", "CREATE TABLE app.good ();")
    bad = runner.file("V2__bad.sql", text)
    runner.file("V3__never.sql", "CREATE TABLE app.never ();")
    end, events = runner.run()
    error = end["error"]
    assert end["status"] == "failed" and end["done"] == 1
    assert (error["line"], error["column"], error["sqlstate"]) == place, error
    assert error["file"] == bad and words in error["text"], error
    assert [(e["event"], e["script"]) for e in events][-1] == ("failed", "V2__bad.sql")
    assert runner.versions() == ["1"]
    assert runner.value("SELECT to_regclass('app.u') IS NULL AND to_regclass('app.never') IS NULL")
    runner.file("V2__bad.sql", "CREATE TABLE app.u ();")
    assert runner.run()[0]["status"] == "done"
    assert runner.versions() == ["1", "2", "3"]


@pytest.mark.majors(18)
def test_commit_in_a_file_is_refused_before_anything_runs(runner):
    runner.file("V1__good.sql", "CREATE TABLE app.good ();")
    runner.file("V2__commit.sql", "CREATE TABLE app.u ();\nCOMMIT;\nCREATE TABLE app.v ();\n")
    end, events = runner.run()
    assert end["status"] == "blocked" and events == []
    assert end["error"]["line"] == 2 and "transaction" in end["error"]["text"]
    assert runner.value("SELECT to_regclass('app.good') IS NULL AND to_regclass('dbreconcile.migration_ledger') IS NULL")


@pytest.mark.majors(14, 18)
def test_settings_of_one_file_do_not_reach_the_next(runner):
    runner.file("V1__set.sql", "SET search_path = app; SET ROLE NONE; SET client_encoding = 'LATIN1'; SET DateStyle = 'German';"
                               "CREATE TEMP TABLE left_over (); LISTEN x; SET lock_timeout = '1h';"
                               "SELECT set_config('search_path', '', false);")
    runner.file("V2__grün.sql", "CREATE TABLE app.seen AS SELECT current_setting('search_path') AS path, current_setting('DateStyle') AS d,"
                                "to_regclass('pg_temp.left_over') AS t, current_setting('client_encoding') AS e, 'ü' AS u;")
    end, _events = runner.run()
    assert end["status"] == "done", end
    assert runner.rows("SELECT path, d, t, e, u FROM app.seen") == [('"$user", public', "ISO, MDY", None, "UTF8", "ü")]
    assert runner.rows(f"SELECT description FROM {LEDGER} WHERE version = '2'") == [("grün",)]


@pytest.mark.majors(14, 18)
def test_prepared_statements_of_one_file_do_not_reach_the_next(runner):
    """Nor does the daemon depend on what a file may take away: the statement that writes the row is prepared."""
    runner.file("V01__t.sql", "CREATE TABLE app.a (i int);")
    runner.file("V02__prepare.sql", "PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1;")
    runner.file("V03__again.sql", "DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 2'; END $$;")
    runner.file("V04__again.sql", "PREPARE p AS SELECT 3; DECLARE c CURSOR WITH HOLD FOR SELECT 1;")
    runner.file("V05__t.sql", "CREATE TABLE app.b ();")
    runner.file("V06__all.sql", "DEALLOCATE ALL;")
    runner.file("V07__t.sql", "CREATE TABLE app.c ();")
    runner.file("V08__do.sql", "INSERT INTO app.a VALUES (1); CREATE FUNCTION app.f(int) RETURNS bool LANGUAGE plpgsql AS"
                               " 'BEGIN EXECUTE ''DEALLOCATE ALL''; RETURN true; END'; SELECT app.f(1);")
    runner.file("V09__t.sql", "CREATE TABLE app.d ();")
    runner.file("V10__check.sql", "ALTER TABLE app.a ADD CHECK (app.f(i));")     # it only defines, and deallocates all the same
    runner.file("V11__t.sql", "CREATE TABLE app.e ();")
    mark = runner.pg.log_mark()
    end, events = runner.run()
    assert end["status"] == "done", end
    assert runner.versions() == [f"{v:02}" for v in range(1, 12)]
    assert [e["event"] for e in events] == ["started", "applied"] * 11
    ran = [s[2] for s in runner.pg.statements(mark, "dbreconciled migrations")]
    assert len([s for s in ran if s.startswith("ALTER TABLE app.a")]) == 2, "the statement was not prepared, or not missed"
    assert len([s for s in ran if "PREPARE dbreconcile_record" in s]) > 1 and len([s for s in ran if "EXECUTE dbreconcile_record" in s]) > 4


@pytest.mark.majors(14, 18)
def test_role_and_login_of_one_file_do_not_reach_the_next(runner):
    """A superuser as migration user may change even his login; each row is written as him all the same."""
    runner.pg.sql("ALTER ROLE migrator SUPERUSER; CREATE ROLE other SUPERUSER")
    for number, text in enumerate(("SET ROLE other;", "SET SESSION AUTHORIZATION other;", "SET LOCAL SESSION AUTHORIZATION other;",
                                   "SET SESSION AUTHORIZATION other; SET LOCAL SESSION AUTHORIZATION DEFAULT;",
                                   "CREATE FUNCTION app.f() RETURNS bool LANGUAGE plpgsql AS 'BEGIN SET ROLE other; RETURN true; END';"
                                   "CREATE TABLE app.c (i int); INSERT INTO app.c VALUES (1);", "ALTER TABLE app.c ADD CHECK (app.f());")):
        runner.file(f"V{number}_1__as.sql", text)
        runner.file(f"V{number}_2__who.sql", f"CREATE TABLE app.t{number} AS SELECT session_user || current_user AS who;")
    end, _events = runner.run()
    assert end["status"] == "done", end
    assert runner.rows(f"SELECT DISTINCT installed_by FROM {LEDGER}") == [("migrator",)]
    for number in range(6):
        assert runner.value(f"SELECT who FROM app.t{number}") == "migratormigrator", number


@pytest.mark.majors(14, 18)
def test_what_a_retried_file_prepared_is_gone(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t (); CREATE TABLE app.u ();")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__prepare.sql", "PREPARE p AS SELECT 1; ALTER TABLE app.t ADD COLUMN a int;")
    reader = runner.pg.connect("d", autocommit=False)
    reader.cursor().execute("SELECT * FROM app.t")
    process = runner.spawn(lock_timeout=100)
    runner.wait_phase(process, "rollback")
    reader.rollback()
    reader.close()
    end, _events = runner.finish(process)
    assert end["status"] == "done", end


@pytest.mark.majors(15)
def test_what_a_file_prepared_is_gone_when_its_row_is_tried_again(runner):
    """The message with the row holds the beginning of the next file, cleaning up included: none of that has run."""
    runner.file("V1__t.sql", "CREATE TABLE app.t ();")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__prepare.sql", "PREPARE p AS SELECT 1; SELECT 1;")
    runner.file("V3__next.sql", "SELECT 1;")
    holder = runner.pg.connect("d", autocommit=False)
    holder.cursor().execute(f"LOCK TABLE {LEDGER} IN EXCLUSIVE MODE")
    process = runner.spawn(lock_timeout=100)
    runner.wait_phase(process, "rollback")
    holder.rollback()
    holder.close()
    end, _events = runner.finish(process)
    assert end["status"] == "done", end


@pytest.mark.majors(14, 18)
def test_file_that_changes_how_texts_are_read(runner):
    """Its name has everything that could be read otherwise."""
    names = ["V1__it's_a_\\'_ü.sql", "V2__b\\.sql"]
    for name in names:
        runner.file(name, f"CREATE TABLE app.v{name[1]} (); SET client_encoding = 'LATIN1';"
                          "SELECT set_config('standard_conforming_strings', 'off', false);")
    end, _events = runner.run()
    assert end["status"] == "done", end
    assert runner.rows(f"SELECT script FROM {LEDGER} ORDER BY 1") == [(name,) for name in names]
    assert runner.rows("SELECT count(*) FROM pg_class WHERE relname IN ('v1', 'v2')") == [(2,)]


@pytest.mark.majors(14, 18)
def test_the_row_can_only_be_written_in_our_transaction_and_under_the_lock(runner):
    """What the daemon sent is sent again by somebody who has neither: nothing of it may be committed."""
    key = FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"')
    runner.file("V1__a.sql", "CREATE TABLE app.a ();")
    runner.file("V2__b.sql", "SELECT 1;")
    mark = runner.pg.log_mark()
    assert runner.run()[0]["status"] == "done"
    messages = [s[2] for s in runner.pg.statements(mark, "dbreconciled migrations") if "INSERT INTO" in s[2] and "COMMIT;" in s[2]]
    assert len(messages) == 2, messages
    runner.pg.sql(f"DELETE FROM {LEDGER}", dbname="d")
    for message in messages:
        xid = re.search(r"(?:EXECUTE \w+ \(|<>\) )'(\d+)'", message).group(1)
        for locked, ours, words in ((True, False, "other transaction"), (False, True, "no lock")):
            session = runner.pg.connect("d", user="migrator")
            with session.cursor() as cursor:
                cursor.execute("BEGIN; CREATE TABLE app.astray (); SELECT pg_current_xact_id()")
                mine = cursor.fetchone()[0]
                if locked:
                    cursor.execute(f"SELECT pg_advisory_lock({key}), pg_advisory_lock({key})")
                with pytest.raises(psycopg2.DataError, match=f"dbreconcile: {words}"):
                    cursor.execute(message.replace(f"'{xid}'", f"'{mine}'") if ours else message)
            session.close()
    assert runner.versions() == [] and runner.value("SELECT to_regclass('app.astray') IS NULL")


@pytest.mark.majors(18)
def test_changed_and_missing_files_block(runner):
    runner.file("V1__a.sql", "CREATE TABLE app.a ();")
    runner.file("V2__b.sql", "CREATE TABLE app.b ();")
    assert runner.run()[0]["status"] == "done"
    runner.file("V3__c.sql", "CREATE TABLE app.c ();")
    runner.file("V1__a.sql", "CREATE TABLE app.a ();\r\n\r\n")        # line ends do not count
    changed = runner.file("V2__b.sql", "CREATE TABLE app.b (x int);")
    end, events = runner.run()
    assert end["status"] == "blocked" and events == []
    assert end["error"]["file"] == changed and "changed after it was applied" in end["error"]["text"]
    os.unlink(changed)
    end, events = runner.run()
    assert end["status"] == "blocked" and "version 2" in end["error"]["text"] and "missing" in end["error"]["text"]
    runner.file("V2__b.sql", "CREATE TABLE app.b ();")
    assert runner.run()[0]["status"] == "done"
    assert runner.versions() == ["1", "2", "3"]


FLYWAY = """
CREATE TABLE public.flyway_schema_history (
    "installed_rank" INT NOT NULL, "version" VARCHAR(50), "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL,
    "script" VARCHAR(1000) NOT NULL, "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL);
ALTER TABLE public.flyway_schema_history ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
CREATE INDEX "flyway_schema_history_s_idx" ON public.flyway_schema_history ("success");
INSERT INTO public.flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
VALUES (0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', '"app"', NULL, 'old', 0, true),
       (1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'old', 0, true),
       (2, '2', 'two lines', 'SQL', 'V2__two_lines.sql', -1635563411, 'old', 5, true),
       (3, '2.5', 'gone', 'SQL', 'V2_5__gone.sql', 1, 'old', 5, true),
       (4, '2.5', 'gone', 'DELETE', 'V2_5__gone.sql', 1, 'old', 0, true),
       (5, '3', 'java', 'JDBC', 'V3__java', NULL, 'old', 5, true),
       (6, '4', 'index', 'SQL', 'V4__index.sql', 0, 'old', 5, true),
       (7, NULL, 'view', 'SQL', 'R__view.sql', 1, 'old', 5, true);
GRANT USAGE ON SCHEMA public TO migrator; GRANT SELECT, INSERT ON public.flyway_schema_history TO migrator;
"""


@pytest.mark.majors(14, 18)
def test_flyway_history_is_continued(runner):
    runner.pg.sql(FLYWAY, dbname="d")
    runner.file("V1__before.sql", "CREATE TABLE app.never ();")
    runner.file("V2__two_lines.sql", b"\xef\xbb\xbfa\r\nb\r\n")               # what ran long ago need not be SQL
    runner.file("V4__index.sql", "\n\n")
    runner.file("V5__new.sql", "CREATE TABLE app.five ();")
    runner.file("R__view.sql", "CREATE OR REPLACE VIEW app.v AS SELECT 1 AS one;")
    end, events = runner.run(schema="public", table="flyway_schema_history")
    assert end["status"] == "done", end
    assert [e["script"] for e in events if e["event"] == "applied"] == ["V5__new.sql", "R__view.sql"]
    new = runner.rows("SELECT installed_rank, version, description, type, script, installed_by, success FROM public.flyway_schema_history"
                      " WHERE installed_rank > 7 ORDER BY 1")
    assert new == [(8, "5", "new", "SQL", "V5__new.sql", "migrator", True), (9, None, "view", "SQL", "R__view.sql", "migrator", True)]
    assert runner.value("SELECT to_regclass('app.never') IS NULL")


@pytest.mark.majors(14, 18)
def test_flyway_and_the_runner_exclude_each_other(runner):
    key = FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"')
    runner.file("V1__a.sql", "CREATE TABLE app.a ();")
    flyway = runner.pg.connect("d", application_name="Flyway", autocommit=False)
    with flyway.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (key,))
        assert cursor.fetchone() == (True,)
    end, _events = runner.run(lock_wait=300)
    assert end["status"] == "failed" and end["failure"] == "lock"
    assert "application 'Flyway'" in end["error"]["text"]
    process = runner.spawn()
    runner.wait_phase(process, "lock")
    flyway.rollback()
    flyway.close()
    assert runner.finish(process)[0]["status"] == "done"


@pytest.mark.majors(14, 18)
def test_lock_timeout_is_tried_again(runner):
    runner.file("V1__t.sql", "CREATE TABLE app.t ();")
    assert runner.run()[0]["status"] == "done"
    runner.file("V2__alter.sql", "CREATE TABLE app.u (); ALTER TABLE app.t ADD COLUMN c int;")
    reader = runner.pg.connect("d", autocommit=False)
    reader.cursor().execute("SELECT * FROM app.t")
    process = runner.spawn(lock_timeout=100)
    runner.wait_phase(process, "rollback")
    reader.rollback()
    end, _events = runner.finish(process)
    assert end["status"] == "done", end
    runner.file("V3__alter.sql", "ALTER TABLE app.t ADD COLUMN d int;")
    reader.cursor().execute("SELECT * FROM app.t")
    end, _events = runner.run(lock_timeout=50)
    assert (end["status"], end["failure"], end["error"]["sqlstate"]) == ("failed", "lock", "55P03"), end
    assert "tried 5 times" in end["error"]["hint"]
    reader.close()


@pytest.mark.majors(14, 18)
def test_commit_that_was_lost_is_asked_for(runner):
    """The backend is killed while COMMIT waits: for a deferred trigger (rolled back), for a standby (committed)."""
    runner.file("V1__slow.sql", """
        CREATE FUNCTION app.slow() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
        CREATE TABLE app.s (a int);
        CREATE CONSTRAINT TRIGGER x AFTER INSERT ON app.s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.slow();
        INSERT INTO app.s VALUES (1);""")
    holder = runner.pg.connect("d")
    holder.cursor().execute("SELECT pg_advisory_lock(4711)")
    process = runner.spawn()
    runner.wait_phase(process, "commit")
    wait_for(lambda: runner.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"), 10, "COMMIT waits")
    runner.pg.kill_backends("d")
    holder.close()
    end, events = runner.finish(process)
    assert end["status"] == "done" and end["done"] == 1, end
    assert [e["event"] for e in events] == ["failed", "started", "applied"]
    assert runner.value("SELECT count(*) FROM app.s") == 1

    runner.pg.sql("ALTER ROLE migrator SET synchronous_commit = local")
    runner.pg.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    runner.pg.reload()
    runner.pg.sql("CHECKPOINT")               # it is the checkpointer that tells everybody, and now it has read the new configuration
    try:
        runner.file("V2__sync.sql", "SET LOCAL synchronous_commit = on; CREATE TABLE app.sync ();")
        process = runner.spawn()
        wait_for(lambda: runner.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 10, "COMMIT waits")
        runner.pg.kill_backends("d")
        end, events = runner.finish(process)
    finally:
        runner.pg.sql("ALTER SYSTEM RESET synchronous_standby_names")
        runner.pg.reload()
    assert end["status"] == "done" and end["done"] == 1, end
    assert [e["event"] for e in events] == ["started", "applied"]
    assert runner.versions() == ["1", "2"]


@pytest.mark.majors(14, 18)
def test_killed_backend_and_sigterm_roll_back(runner):
    runner.file("V1__wait.sql", "CREATE TABLE app.w (); SELECT pg_sleep(60);")
    for fault in (lambda process: runner.pg.kill_backends("d"), lambda process: process.send_signal(signal.SIGTERM)):
        process = runner.spawn()
        wait_for(lambda: runner.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), 10, "the file runs")
        fault(process)
        end, events = runner.finish(process)
        assert end["status"] in ("failed", "cancelled") and end["done"] == 0
        assert events[-1]["event"] == "failed" and "rolled back" in events[-1]["error"]["text"]
        # the server notices within seconds that nobody waits for the long statement any more
        wait_for(lambda: not runner.pg.backends("d"), 10, "the backend is gone")
        assert runner.value("SELECT to_regclass('app.w') IS NULL") and runner.versions() == []


@pytest.mark.majors(15)
def test_ledger_that_is_a_trap_is_not_touched(runner):
    runner.file("V1__a.sql", "CREATE TABLE app.a ();")
    for trap in ("CREATE VIEW {} AS SELECT 1 AS installed_rank", "CREATE TABLE {} (a int)", "CREATE TABLE {} (a int) PARTITION BY LIST (a)"):
        runner.pg.sql(f"CREATE TABLE app.parent (); {trap.format(LEDGER)}; GRANT ALL ON {LEDGER} TO migrator", dbname="d")
        end, events = runner.run()
        assert end["status"] in ("blocked", "failed") and events == [], end
        runner.pg.sql(f"DROP {'VIEW' if 'VIEW' in trap else 'TABLE'} {LEDGER}; DROP TABLE app.parent", dbname="d")
    assert runner.run()[0]["status"] == "done"
    runner.pg.sql(f"CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                  f"CREATE TRIGGER t BEFORE INSERT ON {LEDGER} FOR EACH ROW EXECUTE FUNCTION app.f()", dbname="d")
    runner.file("V2__b.sql", "CREATE TABLE app.b ();")
    end, events = runner.run()
    assert end["status"] == "blocked" and "plain table" in end["error"]["text"] and events == []


@pytest.mark.majors(15)
def test_schema_or_right_that_is_missing_is_named(runner):
    runner.file("V1__a.sql", "CREATE TABLE app.a ();")
    end, _events = runner.run(schema="nowhere")
    assert end["status"] == "blocked" and "schema nowhere" in end["error"]["text"]
    runner.pg.sql("CREATE SCHEMA theirs; GRANT USAGE ON SCHEMA theirs TO migrator", dbname="d")
    end, _events = runner.run(schema="theirs")
    assert end["status"] == "failed" and "needs CREATE on schema theirs" in end["error"]["hint"]
