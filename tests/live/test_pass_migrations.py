# SPDX-License-Identifier: PostgreSQL
"""Migrations as a step of the pass: between roles and grants, as the migration user, and what stops them."""

import os

import pytest
from dbr import wait_for

PLATFORM = """
roles: ( { name = "migrator"; login = true; }, { name = "app"; login = true; } );
"""
ORDERS = """
schemas: ( { name = "app"; owner = "migrator"; } );
grants: ( { to = "app"; level = "read-write"; schema = "app"; } );
"""
ONE = "CREATE TABLE app.orders (id int PRIMARY KEY);\n"
TWO = "ALTER TABLE app.orders ADD COLUMN note text;\n"


def make(daemon, pg, files, names=("orders",), **more):
    databases = tuple({"name": name, "manifests": ["orders"],
                       "migrations": {"directory": "orders", "user": "migrator", **more.get(name, {})}} for name in names)
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": databases},
                  manifests={"platform": PLATFORM, "orders": ORDERS}, migrations={"orders": files})


def row(daemon, target="prod/orders"):
    return {r["target"]: r for r in daemon.json("status")["targets"]}[target]


def wait_state(daemon, state, target="prod/orders", timeout=20):
    return wait_for(lambda: row(daemon, target)["state"] == state and row(daemon, target), timeout, f"{target} is {state}",
                    lambda: daemon.ctl("status").out + daemon.log_tail())


@pytest.mark.majors(14, 18)
def test_roles_then_migrations_then_grants_in_one_pass(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE, "V002__note.sql": TWO})
    assert d.once().code == 0
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    assert pg.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'app.orders'::regclass", dbname="orders") == "migrator"
    assert pg.value("SELECT count(*) FROM dbreconcile.migration_ledger WHERE success AND installed_by = 'migrator'", dbname="orders") == 2
    mark = pg.log_mark()
    assert d.once().code == 0
    assert pg.changes(mark) == [] and pg.statements(mark, "dbreconciled migrations") == []


@pytest.mark.majors(15)
def test_a_password_that_was_refused_is_asked_for_again(pg, daemon, tmp_path):
    """What password_command said is kept for minutes, but not when the server does not take it any more."""
    script = tmp_path / "token"

    def rotate(word):
        script.write_text(f"#!/bin/sh\necho {word}\n", encoding="utf-8")
        os.chmod(script, 0o755)
        pg.sql(f"ALTER ROLE migrator PASSWORD '{word}'")

    pg.sql("CREATE ROLE migrator LOGIN")
    pg.create_database("orders")
    pg.require_passwords()
    rotate("first")
    d = make(daemon, pg, {"V001__orders.sql": ONE, "U001__orders.sql": "DROP TABLE app.orders;"},
             orders={"password_command": str(script)}).start()
    d.wait_in_sync()
    rotate("second")
    assert "password authentication failed" in d.ctl("migrations", "prod/orders", "undo", "--dry-run", expect=5).err
    assert "would run U001" in d.ctl("migrations", "prod/orders", "undo", "--dry-run", expect=0).out
    rotate("third")
    d.migration("orders", "V002__note.sql", TWO)
    wait_for(lambda: row(d)["changes_applied"] and d.json("migrations", "prod/orders")["counts"]["applied"] == 2, 20, "the new file has run", d.log_tail)


@pytest.mark.majors(15)
def test_a_repeatable_file_that_changed_is_pending(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE, "R__view.sql": "CREATE OR REPLACE VIEW app.v AS SELECT 1 AS x;\n"}).start()
    d.wait_in_sync()

    def migrated():
        return next(c for c in d.http(d.target_path("prod/orders")).json()["conditions"] if c["type"] == "migrated")

    assert migrated()["status"] is True
    d.ctl("suspend", "prod/orders", expect=0)
    d.migration("orders", "R__view.sql", "CREATE OR REPLACE VIEW app.v AS SELECT 2 AS x;\n")
    d.reconcile("prod/orders", expect=1)
    assert migrated()["status"] is False and migrated()["reason"] == "pending"


@pytest.mark.majors(15)
def test_new_files_run_without_a_reload(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE}).start()
    d.wait_in_sync()
    d.migration("orders", "V002__note.sql", TWO)
    wait_for(lambda: pg.sql("SELECT 1 FROM pg_attribute WHERE attrelid = 'app.orders'::regclass AND attname = 'note'", dbname="orders"), 15,
             "the new file has run", d.log_tail)
    d.wait_in_sync()
    assert row(d)["changes_applied"] > 1


@pytest.mark.majors(15)
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_changed_or_missing_file_blocks_and_says_so(pg, daemon, how):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE, "V002__note.sql": TWO}).start()
    d.wait_in_sync()
    if how == "changed":
        d.migration("orders", "V001__orders.sql", ONE.replace("int", "bigint"))
    else:
        os.unlink(os.path.join(d.directory, "migrations/orders/V001__orders.sql"))
    d.migration("orders", "V003__more.sql", "CREATE TABLE app.more (id int);\n")
    blocked = wait_state(d, "blocked")
    assert "001" in blocked["message"]
    pg.sql("REVOKE SELECT ON app.orders FROM app", dbname="orders")
    wait_for(lambda: pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders"), 10,
             "grants are corrected all the same", d.log_tail)
    assert not pg.sql("SELECT 1 FROM pg_class WHERE relname = 'more'", dbname="orders")
    d.migration("orders", "V001__orders.sql", ONE)
    d.wait_in_sync()
    assert pg.sql("SELECT 1 FROM pg_class WHERE relname = 'more'", dbname="orders")


@pytest.mark.majors(15)
def test_a_failing_file_is_reported_and_the_rest_of_the_pass_done(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE, "V002__bad.sql": "CREATE TABLE app.b (id int);\nSELECT 1/0;\n"}).start()
    failed = wait_state(d, "failed")
    assert "V002__bad.sql" in failed["message"] and "division by zero" in failed["message"]
    assert pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    assert not pg.sql("SELECT 1 FROM pg_class WHERE relname = 'b'", dbname="orders")
    # a long hint of the server's leaves room for what is to be known of the file
    d.migration("orders", "V002__bad.sql", "DO $$ BEGIN RAISE 'no' USING HINT = repeat('think ', 40); END $$;\n")
    message = wait_for(lambda: "think think" in row(d)["message"] and row(d)["message"], 20, "the other failure", d.log_tail)
    assert "nothing of the file was applied" in message and "dbreconcilectl reconcile prod/orders" in message
    d.migration("orders", "V002__bad.sql", "CREATE TABLE app.b (id int);\n")
    d.wait_in_sync()


@pytest.mark.majors(15)
def test_observe_shows_pending_migrations_and_runs_none(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE}).start("--observe")
    assert wait_state(d, "drift")["drift"] >= 1
    assert "V001__orders.sql" in d.ctl("migrations", "prod/orders").out
    assert pg.changes() == [] or not [c for c in pg.changes() if c[0] == "orders"]


@pytest.mark.majors(15)
def test_a_later_wave_waits_for_the_earlier_one(pg, daemon):
    pg.create_database("first")
    pg.create_database("second")
    d = make(daemon, pg, {"V001__orders.sql": "SELECT 1/0;\n"}, names=("first", "second"), second={"wave": 2}).start()
    wait_state(d, "failed", "prod/first")
    waiting = wait_for(lambda: "wave" in row(d, "prod/second")["message"] and row(d, "prod/second"), 10, "the second waits", d.log_tail)
    assert waiting["state"] == "drift"
    assert not pg.sql("SELECT 1 FROM pg_class WHERE relname = 'migration_ledger'", dbname="second")
    d.migration("orders", "V001__orders.sql", ONE)
    d.wait_in_sync()


@pytest.mark.majors(15)
def test_a_ledger_that_vanished_is_not_an_empty_one(pg, daemon):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE}).start()
    d.wait_in_sync()
    pg.sql("DROP TABLE dbreconcile.migration_ledger", dbname="orders")
    blocked = wait_state(d, "blocked")
    assert "gone" in blocked["message"]


@pytest.mark.majors(15)
@pytest.mark.parametrize("trap", ["CREATE VIEW dbreconcile.migration_ledger AS SELECT * FROM dbreconcile.old",
                                  "CREATE TABLE dbreconcile.migration_ledger (LIKE dbreconcile.old); "
                                  "CREATE RULE r AS ON INSERT TO dbreconcile.migration_ledger DO ALSO SELECT 1"])
def test_a_ledger_that_is_not_a_plain_table_is_not_read(pg, daemon, trap):
    pg.create_database("orders")
    d = make(daemon, pg, {"V001__orders.sql": ONE}).start()
    d.wait_in_sync()
    pg.sql("ALTER TABLE dbreconcile.migration_ledger RENAME TO old; " + trap, dbname="orders")
    assert "not a plain table" in wait_state(d, "blocked")["message"]
