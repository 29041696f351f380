# SPDX-License-Identifier: PostgreSQL
"""What a team that comes from Flyway brings along: its history with every kind of row, placeholders, side files, patterns."""

import re
import zlib

import pytest
from dbr import wait_for

PLATFORM = 'roles: ( { name = "migrator"; login = true; } );\n'
ORDERS = 'schemas: ( { name = "app"; owner = "migrator"; } );\n'

# As org.flywaydb.core writes it (PostgreSQLDatabase.getRawCreateScript).
HISTORY = """CREATE TABLE "public"."flyway_schema_history" (
    "installed_rank" INT NOT NULL, "version" VARCHAR(50), "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL,
    "script" VARCHAR(1000) NOT NULL, "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL);
ALTER TABLE "public"."flyway_schema_history" ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
CREATE INDEX "flyway_schema_history_s_idx" ON "public"."flyway_schema_history" ("success");
ALTER TABLE "public"."flyway_schema_history" OWNER TO migrator; ALTER SCHEMA public OWNER TO migrator"""


def checksum(text):
    """ChecksumCalculator: CRC-32 of the lines without their ends, signed."""
    crc = 0
    for line in text.lstrip("\ufeff").splitlines():
        crc = zlib.crc32(line.encode(), crc)
    return crc - 2**32 if crc >= 2**31 else crc


def make(daemon, pg, files, **migrations):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": (
                      {"name": "orders", "manifests": ["orders"], "migrations": {"directory": "orders", "user": "migrator", **migrations}},)},
                  manifests={"platform": PLATFORM, "orders": ORDERS}, migrations={"orders": files})


def states(d):
    return {(m["version"] or m["description"]): m["state"] for m in d.json("migrations", "prod/orders")["migrations"]}


def history(pg):
    return pg.sql("SELECT installed_rank, version, description, type, script, checksum, installed_by, success FROM flyway_schema_history "
                  "ORDER BY 1", dbname="orders")


def insert(pg, *rows):
    for row in rows:
        pg.sql("INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, "
               "execution_time, success) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", row, dbname="orders")


@pytest.mark.majors(14, 18)
def test_a_history_with_every_kind_of_row_goes_on(pg, daemon):
    pg.sql("CREATE ROLE migrator LOGIN")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION migrator", HISTORY)
    three, view_was, view = "SELECT 3;\r\n\r\n", "SELECT 'old'", "SELECT 'new';\n"
    files = {"V1__before.sql": "SELECT 1", "V2__at_baseline.sql": "SELECT 2", "V3__three.sql": three, "V5__five.sql": "SELECT 5",
             "R__a_view.sql": view, "R__fresh.sql": "SELECT 'fresh'", "V7_1__new_one.sql": "CREATE TABLE app.seven (id int);\n",
             "U5__five.sql": "SELECT 'never run'", "beforeMigrate.sql": "SELECT 'never run'"}
    insert(pg,
           (0, None, "<< Flyway Schema Creation >>", "SCHEMA", '"public"', None, "old_admin", 0, True),
           (1, "2", "<< Flyway Baseline >>", "BASELINE", "<< Flyway Baseline >>", None, "old_admin", 0, True),
           (2, "3", "three", "SQL", "V3__three.sql", checksum(three), "old_admin", 12, True),
           (3, "4", "in java", "JDBC", "db.migration.V4__in_java", None, "old_admin", 3, True),
           (4, None, "a view", "SQL", "R__a_view.sql", checksum(view_was), "old_admin", 3, True),
           (5, "4.5", "gone", "SQL", "V4_5__gone.sql", 77, "old_admin", 3, True),
           (6, "4.5", "gone", "DELETE", "V4_5__gone.sql", 77, "old_admin", 0, True),
           (7, "5", "five", "SQL", "V5__five.sql", 1, "old_admin", 3, True),
           (8, "5", "five", "UNDO_SQL", "U5__five.sql", 2, "old_admin", 3, True),
           (9, "5", "five", "SQL", "V5__five.sql", checksum("SELECT 5"), "old_admin", 3, True),
           (10, "6", "script", "SCRIPT", "V6__script.sh", 5, "old_admin", 3, True))
    before = history(pg)
    d = make(daemon, pg, files, table="public.flyway_schema_history").start()
    d.wait_in_sync()
    after = history(pg)
    assert after[:len(before)] == before
    assert after[len(before):] == [
        (11, "7.1", "new one", "SQL", "V7_1__new_one.sql", checksum(files["V7_1__new_one.sql"]), "migrator", True),
        (12, None, "a view", "SQL", "R__a_view.sql", checksum(view), "migrator", True),
        (13, None, "fresh", "SQL", "R__fresh.sql", checksum("SELECT 'fresh'"), "migrator", True)]
    seen = states(d)
    assert seen["1"] == "ignored" and seen["3"] == seen["4"] == seen["5"] == seen["6"] == seen["7.1"] == seen["a view"] == "applied"
    shown = d.ctl("migrations", "prod/orders").out
    assert "U5__five.sql" not in shown and "beforeMigrate.sql: Flyway callbacks are left alone" in shown
    mark = pg.log_mark()
    d.reconcile()
    assert history(pg) == after and pg.changes(mark) == []
    # A failed row blocks, as it blocks Flyway.
    insert(pg, (14, "8", "broken", "SQL", "V8__broken.sql", 1, "old_admin", 3, False))
    wait_for(lambda: states(d).get("8") == "failed", 15, "the failed row is seen", d.log_tail)
    assert d.json("migrations", "prod/orders")["blocked"]


@pytest.mark.majors(14, 18)
def test_placeholders(pg, daemon):
    pg.create_database("orders")
    files = {"V1__t.sql": "CREATE TABLE ${Schema}.t (note text DEFAULT '${greeting}'); -- ${flyway:database}\n",
             "R__info.sql": "COMMENT ON SCHEMA ${schema} IS '${greeting} of ${flyway:user} in ${flyway:database}';\n"}
    d = make(daemon, pg, files, placeholders={"schema": "app", "greeting": "hallo wörld"}).start()
    d.wait_in_sync()
    assert pg.value("SELECT obj_description('app'::regnamespace)", dbname="orders") == "hallo wörld of migrator in orders"
    assert pg.sql("SELECT version, checksum FROM dbreconcile.migration_ledger ORDER BY installed_rank", dbname="orders") == [
        ("1", checksum(files["V1__t.sql"])),
        (None, checksum("COMMENT ON SCHEMA app IS 'hallo wörld of migrator in orders';\n"))]
    # No value: the file does not run and says where. Then it fails in the server: the place is that of the file.
    d.migration("orders", "V2__x.sql", "SELECT 1;\nSELECT '${nobody}';\n")
    wait_for(lambda: "V2__x.sql:2: placeholder ${nobody}: there is no value for it" in str(d.json("migrations", "prod/orders")["reason"]), 15,
             "it is refused", lambda: d.ctl("migrations", "prod/orders").out)
    d.migration("orders", "V2__x.sql", "SELECT 1;\nSELECT '${greeting}', '${greeting}', nonsense;\n")
    wait_for(lambda: "nonsense" in d.ctl("status").out, 15, "it fails", d.log_tail)
    column = len("SELECT '${greeting}', '${greeting}', ") + 1
    assert f"V2__x.sql:2:{column}" in d.ctl("status").out + d.log_tail(), d.log_tail()


@pytest.mark.majors(15)
def test_side_files(pg, daemon):
    """executeInTransaction=false runs it statement by statement, placeholderReplacement=false as it stands."""
    pg.create_database("orders")
    files = {"V1__t.sql": "CREATE TABLE app.t (id int);\nCREATE INDEX CONCURRENTLY t_id ON app.t (id);\n",
             "V1__t.sql.conf": "# as Flyway writes it\nexecuteInTransaction=false\n",
             "V2__c.sql": "COMMENT ON TABLE app.t IS '${not_mine}';\n", "V2__c.sql.conf": "placeholderReplacement=false\n"}
    d = make(daemon, pg, files).start()
    d.wait_in_sync()
    assert pg.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.t_id'::regclass", dbname="orders")
    assert pg.value("SELECT obj_description('app.t'::regclass)", dbname="orders") == "${not_mine}"
    d.migration("orders", "V3__y.sql", "SELECT 1;\n")
    d.migration("orders", "V3__y.sql.conf", "executeInTransactions=false\n")
    wait_for(lambda: "V3__y.sql.conf:1: unknown key" in d.ctl("status").out, 15, "the key is refused",
             lambda: d.ctl("status").out)


@pytest.mark.majors(15)
def test_what_does_not_block_can_be_said(pg, daemon):
    pg.create_database("orders")
    files = {"V1__a.sql": "SELECT 1", "V2__b.sql": "SELECT 2", "V3__c.sql": "SELECT 3"}
    d = make(daemon, pg, files)
    assert d.once().code == 0
    old = {"V1__a.sql": files["V1__a.sql"], "V2_5__new.sql": "CREATE TABLE app.never ()", "V4__d.sql": "CREATE TABLE app.four ()"}
    strict = make(daemon, pg, old)
    assert strict.once().code == 5
    tolerant = make(daemon, pg, old, ignore_migration_patterns=["*:missing", "*:ignored"])
    assert tolerant.once().code == 0
    assert pg.value("SELECT to_regclass('app.never') IS NULL AND to_regclass('app.four') IS NOT NULL", dbname="orders")
    behind = make(daemon, pg, files)
    assert behind.once().code == 0                    # version 4 is above every file: warned of, as Flyway does
    proud = make(daemon, pg, files, ignore_migration_patterns=[])
    assert proud.once().code == 5


@pytest.mark.majors(15)
def test_what_a_pending_file_does_to_others_is_said(pg, daemon):
    pg.create_database("orders")
    files = {"V1__t.sql": "CREATE TABLE app.t (id int);\nCREATE INDEX ON app.t (id);\n"}
    d = make(daemon, pg, files)
    assert d.once().code == 0
    pg.sql("INSERT INTO app.t SELECT generate_series(1, 5000); ANALYZE app.t", dbname="orders")
    d.migration("orders", "V2__x.sql", "SELECT 1;\nALTER TABLE app.t ALTER id SET NOT NULL;\n-- dbreconcile:lint-ignore\nTRUNCATE app.t;\n")
    d.migration("orders", "V3__u.sql", "CREATE TABLE app.u (id int);\nCREATE INDEX ON app.u (id);\n")
    d.start("--observe")
    wait_for(lambda: states(d).get("2") == "pending", 15, "it is pending", d.log_tail)
    shown = d.ctl("migrations", "prod/orders").out
    assert "lint: V2__x.sql:2: ACCESS EXCLUSIVE on app.t: blocks reads and writes; reads the whole table" in shown
    assert re.search(r"says so already \(\d+ kB, about 5000 rows\)", shown), shown
    assert shown.count("lint:") == 1
    assert [f["rule"] for m in d.json("migrations", "prod/orders")["migrations"] for f in m["lint"]] == ["set-not-null"]
