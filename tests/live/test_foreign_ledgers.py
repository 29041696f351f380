# SPDX-License-Identifier: PostgreSQL
"""Ledgers of dbmate, golang-migrate, Alembic and Sqitch: shown against their files, never written, nothing runs."""

import pytest
from dbr import wait_for

MANIFEST = 'schemas: ( { name = "app"; } );\n'

# As `sqitch deploy` makes it (lib/App/Sqitch/Engine/pg.sql), what is of interest here.
SQITCH = """CREATE SCHEMA sqitch;
CREATE TABLE sqitch.projects (project TEXT PRIMARY KEY, uri TEXT NULL UNIQUE, created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    creator_name TEXT NOT NULL, creator_email TEXT NOT NULL);
CREATE TABLE sqitch.changes (change_id TEXT PRIMARY KEY, script_hash TEXT NULL, change TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES sqitch.projects(project) ON UPDATE CASCADE, note TEXT NOT NULL DEFAULT '',
    committed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), committer_name TEXT NOT NULL, committer_email TEXT NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL, planner_name TEXT NOT NULL, planner_email TEXT NOT NULL, UNIQUE (project, script_hash));
CREATE TABLE sqitch.dependencies (change_id TEXT NOT NULL REFERENCES sqitch.changes(change_id) ON UPDATE CASCADE ON DELETE CASCADE,
    type TEXT NOT NULL, dependency TEXT NOT NULL, dependency_id TEXT NULL REFERENCES sqitch.changes(change_id) ON UPDATE CASCADE,
    PRIMARY KEY (change_id, dependency));
INSERT INTO sqitch.projects VALUES ('flipr', NULL, now(), 'M', 'm@x'), ('other', NULL, now(), 'M', 'm@x');
INSERT INTO sqitch.changes VALUES ('aa', 'a1', 'appschema', 'flipr', '', '2026-01-05 10:00+00', 'Marge', 'm@x', '2026-01-02 04:04:05+01', 'M', 'm@x'),
    ('bb', 'b1', 'elsewhere', 'other', '', '2026-01-06 10:00+00', 'Marge', 'm@x', '2026-01-02 04:04:05+01', 'M', 'm@x')"""
PLAN = """%syntax-version=1.0.0
%project=flipr

appschema 2026-01-02T03:04:05Z Marge <m@x> # App schema
users [appschema] 2026-01-03T03:04:05Z Marge <m@x> # Users
"""

CASES = {
    "dbmate": ({"20260101000000_a.sql": "-- migrate:up\n", "20260102000000_b.sql": "-- migrate:up\n"},
               "create table schema_migrations (version varchar primary key); insert into schema_migrations values ('20260101000000')",
               "insert into schema_migrations values ('20260102000000')",
               {"20260101000000": "applied", "20260102000000": "pending"}, "20260101000000"),
    "golang-migrate": ({"1_a.up.sql": "", "1_a.down.sql": "", "2_b.up.sql": ""},
                       "CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null);"
                       "INSERT INTO schema_migrations (version, dirty) VALUES (1, false)",
                       "TRUNCATE schema_migrations; INSERT INTO schema_migrations VALUES (2, false)",
                       {"1": "applied", "2": "pending"}, "1"),
    "alembic": ({"1975ea83b712_a.py": '"""create a"""\nrevision = "1975ea83b712"\ndown_revision = None\n',
                 "ae1027a6acf_b.py": '"""create b"""\nrevision = "ae1027a6acf"\ndown_revision = "1975ea83b712"\n'},
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
                "INSERT INTO alembic_version VALUES ('1975ea83b712')",
                "UPDATE alembic_version SET version_num = 'ae1027a6acf'",
                {"1975ea83b712": "applied", "ae1027a6acf": "pending"}, "1975ea83b712"),
    "sqitch": ({"sqitch.plan": PLAN}, SQITCH,
               "INSERT INTO sqitch.changes VALUES ('cc', 'c1', 'users', 'flipr', '', now(), 'Marge', 'm@x', '2026-01-03 03:04:05+00', 'M', 'm@x')",
               {"appschema 2026-01-02T03:04:05Z": "applied", "users 2026-01-03T03:04:05Z": "pending"}, "appschema"),
}


def make(daemon, pg, tool, files, **more):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "databases": (
                      {"name": "orders", "manifests": ["orders"], "migrations": {"format": tool, "directory": "orders", **more}},)},
                  manifests={"orders": MANIFEST}, migrations={"orders": files})


def answer(d):
    return d.json("migrations", "prod/orders")


def states(d):
    return {m["version"]: m["state"] for m in answer(d)["migrations"]}


def status(d):
    return {r["target"]: r for r in d.json("status")["targets"]}["prod/orders"]


@pytest.mark.majors(18)
@pytest.mark.parametrize("tool", sorted(CASES))
def test_shown_and_never_written(pg, daemon, tool):
    files, before, more, expected, version = CASES[tool]
    pg.create_database("orders", "CREATE SCHEMA app", *before.split(";\n" if tool == "sqitch" else ";"))
    mark = pg.log_mark()
    d = make(daemon, pg, tool, files).start()
    wait_for(lambda: status(d)["state"] == "blocked", 20, "what is pending is not run", d.log_tail)
    shown = answer(d)
    assert states(d) == expected and shown["current_version"] == version and shown["ledger_format"] == tool
    assert f"read-only ledger of {tool}: 1 pending" in shown["reason"] and "read-only ledger" in d.ctl("migrations", "prod/orders").out
    for verb in ("repair", "undo"):
        refused = d.ctl("migrations", "prod/orders", verb)
        assert refused.code != 0 and "read-only ledger" in refused.err, refused
    # Somebody runs the tool.
    for statement in more.split("; "):
        pg.sql(statement, dbname="orders")
    d.wait_in_sync()
    assert set(states(d).values()) == {"applied"} and not answer(d)["blocked"]
    assert [c for c in pg.changes(mark) if "dbreconcile" in str(c)] == []
    # Then somebody with newer files.
    newer = {"dbmate": "INSERT INTO schema_migrations VALUES ('20269')", "golang-migrate": "UPDATE schema_migrations SET version = 7",
             "alembic": "UPDATE alembic_version SET version_num = 'feed'",
             "sqitch": "INSERT INTO sqitch.changes VALUES ('dd', 'd1', 'n', 'flipr', '', now(), 'M', 'm@x', '2026-02-03 03:04:05+00', 'M', 'm@x')"}
    pg.sql(newer[tool], dbname="orders")
    wait_for(lambda: "unknown" in states(d).values(), 15, "it is shown as unknown", lambda: d.ctl("migrations", "prod/orders").out)
    assert "older than the database?" in str(answer(d)["warnings"])


@pytest.mark.majors(15)
def test_a_dirty_version_has_failed(pg, daemon):
    files, before, *_ = CASES["golang-migrate"]
    pg.create_database("orders", "CREATE SCHEMA app", *before.split(";"), "UPDATE schema_migrations SET dirty = true")
    d = make(daemon, pg, "golang-migrate", files)
    assert d.once().code == 5
    d.start()
    wait_for(lambda: status(d)["state"] == "blocked", 20, "it blocks", d.log_tail)
    assert states(d) == {"1": "failed", "2": "pending"}
    assert "migrate force 1" in d.ctl("migrations", "prod/orders").out


@pytest.mark.majors(15)
def test_no_ledger_yet_and_one_that_is_a_trap(pg, daemon):
    files = CASES["dbmate"][0]
    pg.create_database("orders", "CREATE SCHEMA app")
    d = make(daemon, pg, "dbmate", files, table="app.versions").start()
    wait_for(lambda: status(d)["state"] == "blocked", 20, "all are pending", d.log_tail)
    assert set(states(d).values()) == {"pending"}
    pg.sql("CREATE VIEW app.versions AS SELECT 'x'::text AS version", dbname="orders")
    wait_for(lambda: "not a plain table" in str(answer(d)["reason"]), 15, "a view is not read", d.log_tail)
