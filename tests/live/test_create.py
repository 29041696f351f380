# SPDX-License-Identifier: PostgreSQL
"""Databases that the daemon creates, and the seed data that only those get. The example of scenario 2 is in test_scenarios.py."""

import re

import pytest
from dbr import wait_for
from test_pass_migrations import ONE, ORDERS, PLATFORM, row, wait_state

SEED = {"V001__orders.sql": "INSERT INTO app.orders SELECT generate_series(1, 3);\n"}


class Creating:
    def __init__(self, pg, make_daemon, seed=None, files=None, user=None, **database):
        self.pg = pg
        migrations = {"directory": "orders", "user": "migrator", "seed": "seed"}
        self.daemon = make_daemon(
            servers={"name": "prod", "conninfo": pg.conninfo(**({"user": user} if user else {})), "manifests": ["platform"],
                     "databases": ({"name": "orders", "create": True, "manifests": ["orders"], "migrations": migrations, **database},)},
            manifests={"platform": PLATFORM, "orders": ORDERS},
            migrations={"orders": files or {"V001__orders.sql": ONE}, "seed": seed or SEED})

    def there(self):
        return self.pg.value("SELECT count(*) FROM pg_database WHERE datname = 'orders'") == 1

    def seeded(self):
        return self.pg.value("SELECT to_regclass('dbreconcile.migration_ledger_seed') IS NOT NULL", dbname="orders") and \
            self.pg.value("SELECT count(*) FROM dbreconcile.migration_ledger_seed", dbname="orders") == 1

    def rows(self):
        return self.pg.value("SELECT count(*) FROM app.orders", dbname="orders")


def test_an_empty_server_is_brought_up_by_one_run(pg, daemon):
    c = Creating(pg, daemon, owner="migrator", template="template0", encoding="UTF8")
    observed = c.daemon.once("--observe")
    assert observed.code == 5 and not c.there() and pg.changes() == []
    result = c.daemon.once()
    assert result.code == 0, result.err
    assert pg.sql("SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'orders'") == [("migrator", "UTF8")]
    assert c.rows() == 3 and pg.value("SELECT has_table_privilege('app', 'app.orders', 'SELECT')", dbname="orders")
    mark = pg.log_mark()
    assert c.daemon.once().code == 0
    assert c.rows() == 3 and pg.changes(mark) == [] and pg.statements(mark, "dbreconciled migrations") == []


@pytest.mark.majors(15)
def test_it_is_shown_before_it_is_done(pg, daemon):
    c = Creating(pg, daemon, owner="migrator")
    d = c.daemon.start("--observe")
    wait_state(d, "drift", "prod")
    assert '+ CREATE DATABASE orders OWNED BY migrator' in d.ctl("diff", "prod", expect=1).out
    assert 'CREATE DATABASE "orders" OWNER "migrator"' in d.ctl("diff", "--sql", "prod", expect=1).out
    plan = d.http(d.target_path("prod", "plan")).json()
    assert [change["op"] for change in plan["changes"] if change["kind"] == "database"] == ["create_database"]


@pytest.mark.majors(15)
def test_a_database_that_was_there_is_not_seeded(pg, daemon):
    pg.create_database("orders")
    c = Creating(pg, daemon)
    assert c.daemon.once().code == 0
    assert c.rows() == 0 and pg.value("SELECT to_regclass('dbreconcile.migration_ledger_seed') IS NULL", dbname="orders")


@pytest.mark.majors(15)
def test_a_database_that_is_gone_is_not_replaced_by_itself(pg, daemon):
    c = Creating(pg, daemon)
    d = c.daemon.start()
    d.wait_in_sync()
    pg.sql("DROP DATABASE orders WITH (FORCE)")
    held = wait_state(d, "held", "prod")
    assert "was there and is gone" in held["message"] and not c.there()
    d.ctl("approve", "prod", held["plan"], expect=0)
    wait_for(lambda: c.there() and c.seeded(), 20, "it is ours, and new: it gets its seed", d.log_tail)
    d.wait_in_sync()
    assert c.rows() == 3
    # Its ledger is known like that of the one before.
    pg.sql("ALTER TABLE dbreconcile.migration_ledger RENAME TO away", dbname="orders")
    assert "was there and is gone" in wait_state(d, "blocked")["message"]
    pg.sql("ALTER TABLE dbreconcile.away RENAME TO migration_ledger", dbname="orders")
    d.wait_in_sync()
    # One that somebody else made under this name is neither known nor ours.
    pg.sql("DROP DATABASE orders WITH (FORCE)")
    pg.create_database("orders")
    wait_for(lambda: "another database has this name" in wait_state(d, "failed")["message"], 20, "it is another one", d.log_tail)
    identity = re.search("approve prod/orders ([0-9a-f]{16})", row(d)["message"]).group(1)
    d.ctl("approve", "prod/orders", identity, expect=0)
    blocked = wait_state(d, "blocked")
    assert "gone" in blocked["message"], "its ledger is not the one that was known"
    assert not pg.value("SELECT to_regclass('dbreconcile.migration_ledger_seed') IS NOT NULL", dbname="orders")


@pytest.mark.majors(15)
def test_a_seed_that_fails_is_not_half_there_and_not_tried_again(pg, daemon):
    c = Creating(pg, daemon, seed={**SEED, "V002__bad.sql": "INSERT INTO app.orders VALUES (4);\nSELECT 1/0;\n"})
    d = c.daemon.start()
    failed = wait_state(d, "failed")
    assert "V002__bad.sql" in failed["message"] and "division by zero" in failed["message"]
    assert c.rows() == 3, "the first file is in, nothing of the second"
    passes = row(d)["passes"]
    mark = pg.log_mark()
    wait_for(lambda: row(d)["passes"] >= passes + 2, 15, "passes go on", d.log_tail)
    assert pg.statements(mark, "dbreconciled migrations") == []
    d.migration("seed", "V002__bad.sql", "INSERT INTO app.orders VALUES (4);\n")
    d.wait_in_sync()
    assert c.rows() == 4
    # Once is once: what is added later is not for this database.
    d.migration("seed", "V003__more.sql", "INSERT INTO app.orders VALUES (5);\n")
    d.ctl("reconcile", "--wait", "prod/orders", expect=0)
    assert c.rows() == 4


@pytest.mark.majors(15)
def test_killed_between_seed_and_its_mark_nothing_comes_twice(pg, daemon):
    """What state.db did not hear of stands in the database."""
    c = Creating(pg, daemon, seed={**SEED, "V002__slow.sql": "INSERT INTO app.orders VALUES (4);\nSELECT pg_sleep(2);\n"})
    d = c.daemon.start()
    wait_for(lambda: c.there() and c.seeded(), 20, "the first file is in", d.log_tail)
    d.kill()
    d.start()
    d.wait_in_sync()
    assert c.rows() == 4


@pytest.mark.majors(15, 18)
def test_without_the_right_it_is_blocked_with_the_statement_that_helps(pg, daemon):
    pg.sql("CREATE ROLE limited LOGIN CREATEROLE")
    c = Creating(pg, daemon, user="limited")
    d = c.daemon.start()
    blocked = wait_state(d, "blocked", "prod")
    assert "may not create databases" in blocked["message"] and 'ALTER ROLE "limited" CREATEDB' in blocked["message"]
    pg.sql("ALTER ROLE limited CREATEDB")
    wait_for(c.there, 15, "it is created", d.log_tail)
    assert pg.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'orders'") == "limited"


@pytest.mark.majors(15)
def test_what_create_is_for(pg, daemon):
    for database, reason in (({"match": "orders_*", "name": None}, "a pattern names no database"),
                             ({"create": False, "owner": "app"}, "this is for a database with create = true"),
                             ({"create": False}, "seed data is for databases that the daemon creates"),
                             ({"owner": "nobody_knows"}, "no manifest of the server declares the role")):
        c = Creating(pg, daemon, **database)
        result = c.daemon.ctl("config", "check", c.daemon.config_file, expect=7)
        assert reason in result.out + result.err, result


@pytest.mark.majors(15)
def test_ci_validates_migrations_on_an_empty_server(pg, daemon):
    """Exit codes of --once: 0 all is there, 5 a file is bad (and says where), 1 something is left to approve, 6 the configuration."""
    c = Creating(pg, daemon, files={"V001__orders.sql": ONE, "V002__bad.sql": "CREATE TABLE app.a (id int);\n\nCREATE TABLE app.b (id itn);\n"})
    result = c.daemon.once()
    assert result.code == 5 and "V002__bad.sql:3" in result.err and 'type "itn" does not exist' in result.err
    assert pg.value("SELECT to_regclass('app.a') IS NULL", dbname="orders")
    c.daemon.migration("orders", "V002__bad.sql", "CREATE TABLE app.a (id int);\n")
    assert c.daemon.once().code == 0
    c.daemon.manifest("orders", ORDERS + 'extensions: ( { name = "plpgsql"; ensure = "absent"; } );\n')
    assert c.daemon.once().code == 1, "a drop waits for approval"
    c.daemon.migration("orders", "V2_bad.sql", "SELECT 1;\n")
    assert c.daemon.once().code == 5
    c.daemon.manifest("orders", "schemas: (")
    assert c.daemon.once().code == 6
