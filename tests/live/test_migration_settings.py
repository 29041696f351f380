# SPDX-License-Identifier: PostgreSQL
"""What settings of the migration user, of the database or its encoding do to migrations: nothing, or it is said what."""

import pytest
from test_migrations import FIRST, Team

FILES = {"V1__users.sql": FIRST, "V2__index.sql": "CREATE INDEX CONCURRENTLY i ON app.users (email);\nREINDEX INDEX CONCURRENTLY app.i;",
         "V3__last.sql": "-- dbreconcile:transaction=false\nINSERT INTO app.users VALUES (7, 'x');\nVACUUM app.users;", "R__v.sql": "SELECT 1;"}


@pytest.mark.majors(14, 18)
def test_settings_of_the_login_and_the_database_do_not_matter(pg, daemon):
    pg.sql("CREATE ROLE migrator LOGIN")
    for at in ("ROLE migrator", "DATABASE orders"):
        for setting in ("default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'",
                        "default_transaction_read_only = on", "idle_in_transaction_session_timeout = '50ms'", "client_encoding = 'LATIN1'",
                        "search_path = ''", "quote_all_identifiers = on"):
            made = Team(pg, daemon, FILES)
            pg.sql(f"ALTER {at} SET {setting}")
            result = made.daemon.once()
            assert result.code == 0, (at, setting, result.err)
            pg.sql("SET default_transaction_read_only = off; ALTER ROLE migrator RESET ALL")
            pg.sql("DROP DATABASE orders")


@pytest.mark.majors(15)
def test_a_role_that_the_login_puts_on_owns_what_files_make_and_not_the_ledger(pg, daemon):
    """ALTER ROLE migrator SET role: how one gives everything to an owner that nobody logs in as."""
    pg.sql("CREATE ROLE migrator LOGIN; CREATE ROLE owner; GRANT owner TO migrator; ALTER ROLE migrator SET role = 'owner'")
    made = Team(pg, daemon, FILES, prepare=("CREATE SCHEMA app AUTHORIZATION owner",))
    made.daemon.write("manifests/orders.conf", 'schemas: ( { name = "dbreconcile"; owner = "migrator"; } );')
    result = made.daemon.once()
    assert result.code == 0, result.err
    assert made.pg.sql("SELECT tablename, tableowner FROM pg_tables WHERE schemaname IN ('app', 'dbreconcile') ORDER BY 1", dbname="orders") == [
        ("migration_ledger", "migrator"), ("migration_ledger_progress", "migrator"), ("users", "owner")]
    assert made.ledger("version, installed_by") == [("1", "migrator"), ("2", "migrator"), ("3", "migrator"), (None, "migrator")]


@pytest.mark.majors(14, 18)
def test_a_database_that_is_not_in_utf8(pg, daemon):
    """What the ledger says is converted, and so the same as the files say."""
    made = Team(pg, daemon, {"V1__größe.sql": FIRST + "INSERT INTO app.users VALUES (8, 'é');", "R__über.sql": "SELECT 1;"})
    pg.sql("DROP DATABASE orders")
    pg.sql("CREATE DATABASE orders ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert made.value("SELECT octet_length(email) FROM app.users WHERE id = 8") == 1
    made.file("V2__ü.sql", "-- dbreconcile:transaction=false\nSELECT 'é';\nSELECT 2;")
    made.daemon.reconcile("prod/orders")
    assert made.states() == {"V1__größe.sql": "applied", "R__über.sql": "applied", "V2__ü.sql": "applied"}
    made.file("V3__x.sql", "SELECT 'é €';")
    made.daemon.reconcile("prod/orders", expect=5)
    made.wait_failed("V3__x.sql:1: character with byte sequence 0xe2 0x82 0xac", "has no equivalent in encoding")


@pytest.mark.majors(18)
def test_a_timeout_of_the_users_own_is_a_failure_and_the_server_is_there(pg, daemon):
    pg.sql("CREATE ROLE migrator LOGIN; ALTER ROLE migrator SET transaction_timeout = '200ms'")
    made = Team(pg, daemon, {"V1__a.sql": "SELECT pg_sleep(30);"})
    made.daemon.start()
    shown = made.wait_failed("terminating connection due to transaction timeout", "it is a setting of the migration user or of the database")
    row = made.daemon.json("status", "prod/orders")["targets"][0]
    assert row["state"] == "failed" and "does not answer" not in shown, row
    pg.sql("ALTER ROLE migrator SET transaction_timeout = 0; ALTER ROLE migrator SET statement_timeout = '200ms'")
    made.daemon.ctl("reconcile", "--wait", "prod/orders", expect=5)
    made.wait_failed("canceling statement due to statement timeout")
    assert made.daemon.json("status", "prod/orders")["targets"][0]["state"] == "failed"


@pytest.mark.majors(18)
def test_a_migration_user_that_may_not_connect(pg, daemon):
    made = Team(pg, daemon, {"V1__a.sql": "SELECT 1;"}, prepare=("REVOKE CONNECT ON DATABASE orders FROM PUBLIC",))
    made.daemon.start()
    made.wait_failed("permission denied for database", "the migration user needs CONNECT on the database")
    pg.sql("GRANT CONNECT ON DATABASE orders TO PUBLIC; ALTER DATABASE orders CONNECTION LIMIT 0")
    made.daemon.ctl("reconcile", "--wait", "prod/orders", expect=5)
    made.wait_failed("too many connections for database", "the CONNECTION LIMIT that is named")


@pytest.mark.majors(18)
def test_migrations_of_a_database_that_could_not_be_read(pg, daemon):
    made = Team(pg, daemon, {"V1__a.sql": "SELECT 1;"})
    pg.sql("ALTER DATABASE orders ALLOW_CONNECTIONS false")
    made.daemon.start()
    made.wait_failed("not currently accepting connections")
    result = made.daemon.ctl("migrations", "prod/orders", expect=5)
    assert "were not read yet" in result.err and "not currently accepting connections" in result.err


@pytest.mark.majors(14, 18)
def test_what_a_file_deferred_is_done_as_whom_it_put_on(pg, daemon):
    """As psql and Flyway would have it at COMMIT: with the role and the path of the file, not with those that the ledger's row needs."""
    pg.sql("CREATE ROLE migrator LOGIN; CREATE ROLE owner; GRANT owner TO migrator")
    made = Team(pg, daemon, {"V1__deferred.sql": """
        CREATE SCHEMA inner_; CREATE TABLE inner_.log (who name, path text); CREATE TABLE inner_.t (id int);
        CREATE FUNCTION inner_.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO log SELECT current_user, current_setting('search_path'); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER note AFTER INSERT ON inner_.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION inner_.note();
        GRANT ALL ON SCHEMA inner_ TO owner; GRANT ALL ON ALL TABLES IN SCHEMA inner_ TO owner; REVOKE ALL ON inner_.log FROM migrator;""",
        "V2__insert.sql": "SET ROLE owner; SET search_path = inner_; INSERT INTO t VALUES (1);",
        "V3__split.sql": "-- dbreconcile:transaction=false\nSET ROLE owner;\nSET search_path = inner_;\nINSERT INTO t VALUES (2);"})
    pg.sql("GRANT CREATE ON DATABASE orders TO migrator")
    made.daemon.start()
    made.daemon.wait_in_sync()
    assert pg.sql("SELECT * FROM inner_.log", dbname="orders") == [("owner", "inner_")] * 2
    assert made.ledger("version, installed_by") == [("1", "migrator"), ("2", "migrator"), ("3", "migrator")]
    made.file("V4__late.sql", "CREATE TABLE app.u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO app.u VALUES (1), (1);")
    made.daemon.reconcile("prod/orders", expect=5)
    made.wait_failed("V4__late.sql: duplicate key value", "(at COMMIT)", "nothing of the file was applied")
