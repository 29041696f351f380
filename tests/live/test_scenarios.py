# SPDX-License-Identifier: PostgreSQL
"""Scenarios of the documentation: the examples under etc/examples are run as they are shipped, and the server is asked.
Service accounts are in test_service_accounts.py."""

import os
import re
import subprocess
import zlib

import psycopg2
import pytest
from dbr import wait_for
from dbr.daemon import BUILD
from scenario import EXAMPLES, MASTER, Scenario


@pytest.fixture
def scenario(pg, daemon):
    def make(name, database, secrets=()):
        return Scenario(pg, daemon, name, database, secrets)
    return make


# 1. Role manager

@pytest.fixture
def role_manager(pg, scenario):
    pg.sql("CREATE ROLE rds_iam")
    pg.create_database("orders", "CREATE EXTENSION pg_buffercache")
    return scenario("role-manager", "orders")


def test_role_manager(pg, role_manager):
    s, d = role_manager, role_manager.daemon
    d.start()
    d.wait_in_sync("main")
    # One extension is to be switched off. That is a drop: it waits, everything else does not.
    held = wait_for(lambda: s.row("main/orders")["state"] == "held" and s.row("main/orders"), 20, "the drop is held", d.log_tail)
    assert held["held"] == 1 and held["drift"] == 1
    assert pg.sql("SELECT rolname, rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname IN ('alice', 'app', 'migrator', 'readers') "
                  "ORDER BY 1") == [("alice", True, -1), ("app", True, 50), ("migrator", True, 5), ("readers", False, -1)]
    assert pg.sql("SELECT m.rolname FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid JOIN pg_roles m ON m.oid = member "
                  "WHERE g.rolname = 'rds_iam' ORDER BY 1") == [("alice",), ("app",), ("migrator",)]
    assert s.value("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'") == "migrator"
    assert pg.value("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'app'") == "the service itself"
    assert s.run("migrator", "SHOW lock_timeout") == [("5s",)]

    # Every table that migrator creates is usable by app, at once, without another pass.
    mark = pg.log_mark()
    s.run("migrator", "CREATE TABLE app.orders (id bigserial PRIMARY KEY, what text)")
    s.run("migrator", "CREATE FUNCTION app.answer() RETURNS int LANGUAGE sql AS 'SELECT 42'")
    s.run("app", "INSERT INTO app.orders (what) VALUES ('tea'), ('jam')")
    s.run("app", "UPDATE app.orders SET what = 'coffee' WHERE id = 1")
    s.run("app", "DELETE FROM app.orders WHERE id = 2")
    assert s.run("app", "SELECT id, what, app.answer() FROM app.orders") == [(1, "coffee", 42)]
    assert s.run("alice", "SELECT count(*) FROM app.orders") == [(1,)]
    assert pg.changes(mark) == []
    # And nothing more than that.
    assert not s.may("app", "DROP TABLE app.orders")
    assert not s.may("app", "CREATE TABLE app.mine ()")
    assert not s.may("app", "TRUNCATE app.orders")
    assert not s.may("app", "CREATE TABLE public.mine ()")
    assert not s.may("alice", "DELETE FROM app.orders")
    assert not s.may("alice", "SELECT nextval('app.orders_id_seq')")
    assert s.value("SELECT count(*) FROM information_schema.role_table_grants WHERE table_schema = 'app' AND grantee = 'PUBLIC'") == 0


def test_role_manager_switches_extensions(pg, role_manager):
    s, d = role_manager, role_manager.daemon
    extensions = "SELECT array_agg(extname::text ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'"
    d.start()
    held = wait_for(lambda: s.row("main/orders")["state"] == "held" and s.row("main/orders"), 20, "the drop is held", d.log_tail)
    assert s.value(extensions) == ["pg_buffercache", "pg_stat_statements"]
    assert re.search(r"! DROP EXTENSION .*held.*dbreconcilectl approve main/orders " + held["plan"], d.ctl("diff", expect=1).out)
    d.ctl("check", expect=1)
    d.ctl("approve", "main/orders", held["plan"], expect=0)
    d.wait_in_sync()
    assert s.value(extensions) == ["pg_stat_statements"]
    d.ctl("check", expect=0)
    # The switch in the other direction: what is made is not held.
    d.manifest("orders", open(os.path.join(EXAMPLES, "role-manager/manifests/orders.conf"), encoding="utf-8").read()
               .replace('{ name = "pg_buffercache"; ensure = "absent"; }', '{ name = "pg_buffercache"; }'))
    d.reload()
    d.reconcile()
    assert s.value(extensions) == ["pg_buffercache", "pg_stat_statements"]
    s.nothing_is_sent()


def test_role_manager_corrects_what_psql_did(pg, role_manager):
    s, d = role_manager, role_manager.daemon
    s.sql("DROP EXTENSION pg_buffercache")
    s.only_ordered()
    d.start()
    d.wait_in_sync()
    s.nothing_is_sent()
    s.run("migrator", "CREATE TABLE app.orders (id int)")
    s.sql("REVOKE INSERT ON app.orders FROM app; GRANT TRUNCATE ON app.orders TO app; REVOKE rds_iam FROM app;"
          "ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA app REVOKE SELECT ON TABLES FROM app;"
          "ALTER SCHEMA app OWNER TO postgres; ALTER ROLE migrator RESET lock_timeout; ALTER ROLE app CONNECTION LIMIT 1;"
          "GRANT CREATE ON SCHEMA public TO PUBLIC; DROP EXTENSION pg_stat_statements")
    assert "TRUNCATE" in d.ctl("diff", "main/orders", expect=1).out
    d.reconcile()
    assert s.value("SELECT has_table_privilege('app', 'app.orders', 'INSERT') AND NOT has_table_privilege('app', 'app.orders', 'TRUNCATE')"
                   " AND NOT has_schema_privilege('app', 'public', 'CREATE') AND pg_has_role('app', 'rds_iam', 'MEMBER')")
    assert s.value("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'") == "migrator"
    assert s.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'") == 50
    assert s.value("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'") == 1
    assert s.run("migrator", "SHOW lock_timeout") == [("5s",)]
    s.run("migrator", "CREATE TABLE app.later (id int)")
    assert s.run("app", "SELECT * FROM app.later") == []
    s.nothing_is_sent()


# 2. Migration team

TEAM = ("shop_migrator", "shop_app", "shop_support")
SAME_EVERYWHERE = """
SELECT 'role', rolname, rolcanlogin::text || rolsuper::text || rolconnlimit::text, array_to_string(setconfig, ',')
FROM pg_roles r LEFT JOIN pg_db_role_setting ON setrole = r.oid WHERE rolname LIKE 'shop%%'
UNION ALL SELECT 'table', c.oid::regclass::text, pg_get_userbyid(relowner), (SELECT string_agg(a, ',' ORDER BY a) FROM unnest(relacl::text[]) a)
FROM pg_class c WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'S')
UNION ALL SELECT 'default', defaclobjtype::text, pg_get_userbyid(defaclrole), (SELECT string_agg(a, ',' ORDER BY a) FROM unnest(defaclacl::text[]) a)
FROM pg_default_acl
UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), (SELECT string_agg(a, ',' ORDER BY a) FROM unnest(nspacl::text[]) a)
FROM pg_namespace WHERE nspname = 'shop' ORDER BY 1, 2, 3, 4"""


def flyway_checksum(data):
    """As Flyway reckons it: CRC-32 over the lines without their ends, as a signed number."""
    number = zlib.crc32(b"".join(data.removeprefix(b"\xef\xbb\xbf").splitlines()))
    return number - 2**32 if number >= 2**31 else number


def bring_up(s, *args):
    """The one command, as a developer types it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(["sh", os.path.join(s.directory, "bring-up"), *args], capture_output=True, text=True, timeout=180, cwd="/",
                          env={**env, **s.env, "DBRECONCILED": os.path.join(BUILD, "dbreconciled"), "DBRECONCILE_USER": MASTER})
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def ledger(s):
    return s.sql("SELECT version, description, script, installed_by, success FROM dbreconcile.migration_ledger ORDER BY installed_rank")


def test_migration_team_brings_up_a_laptop(pg, scenario):
    s = scenario("migration-team", "shop")
    done = bring_up(s)
    assert done.returncode == 0, done.stderr
    assert ledger(s) == [
        ("001", "create customers", "V001__create_customers.sql", "shop_migrator", True),
        ("002", "create orders", "V002__create_orders.sql", "shop_migrator", True),
        ("003", "create place order", "V003__create_place_order.sql", "shop_migrator", True)]
    assert s.sql("SELECT script, installed_by FROM dbreconcile.migration_ledger_seed") == [("V001__customers.sql", "shop_migrator")]
    # The users log in with the passwords that were made, and may do their part.
    s.require_passwords()
    assert len({s.password(role) for role in TEAM}) == 3
    assert s.run("shop_app", "SELECT shop.place_order(id) FROM shop.customers WHERE email = 'ada@example.com'") == [(1,)]
    assert s.run("shop_support", "SELECT email FROM shop.customers ORDER BY id") == [("ada@example.com",), ("grace@example.com",)]
    s.run("shop_app", "INSERT INTO shop.payments VALUES (1, 'DE02 1203 0000 0000 2020 51')")
    assert not s.may("shop_support", "SELECT * FROM shop.payments")
    assert not s.may("shop_support", "DELETE FROM shop.orders")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        s.run("shop_support", "DELETE FROM shop.orders")
    assert not s.may("shop_app", "ALTER TABLE shop.orders ADD COLUMN x int")
    assert not s.may("shop_app", "DELETE FROM dbreconcile.migration_ledger")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        s.connect("shop_app", "not the password")
    # Once more changes nothing.
    mark = pg.log_mark()
    assert bring_up(s).returncode == 0
    assert pg.changes(mark) == []


def test_migration_team_ci_says_what_is_wrong(pg, scenario):
    s = scenario("migration-team", "shop")
    s.daemon.migration("schema", "V004__bad.sql", "CREATE TABLE shop.half ();\nSELECT nothing FROM nowhere;\n")
    done = bring_up(s)
    assert done.returncode == 5 and "V004__bad.sql:2" in done.stderr, done.stderr
    assert s.value("SELECT to_regclass('shop.half') IS NULL")
    assert [row[0] for row in ledger(s)] == ["001", "002", "003"]
    os.unlink(os.path.join(s.directory, "migrations/schema/V004__bad.sql"))
    assert s.value("SELECT count(*) FROM shop.customers") == 0, "the seed waits for the migrations"
    assert s.daemon.once("--observe").code == 1, "the seed is pending"
    assert bring_up(s).returncode == 0
    assert s.value("SELECT count(*) FROM shop.customers") == 2
    # A file that was applied is edited.
    s.daemon.migration("schema", "V002__create_orders.sql", "CREATE TABLE shop.orders (id int);\n")
    done = bring_up(s)
    assert done.returncode == 5 and "V002__create_orders.sql" in done.stderr, done.stderr


def prepare_staging(other, s):
    """A server where Flyway ran the first two files, as Flyway leaves it."""
    other.sql(f"CREATE ROLE {MASTER} LOGIN SUPERUSER; CREATE ROLE shop_migrator LOGIN")
    other.create_database("shop", "GRANT CREATE ON SCHEMA public TO shop_migrator", "CREATE SCHEMA shop AUTHORIZATION shop_migrator")
    other.sql("""CREATE TABLE public."flyway_schema_history" (
        "installed_rank" INT NOT NULL, "version" VARCHAR(50), "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL,
        "script" VARCHAR(1000) NOT NULL, "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL,
        "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL);
        ALTER TABLE public."flyway_schema_history" ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
        CREATE INDEX "flyway_schema_history_s_idx" ON public."flyway_schema_history" ("success")""", dbname="shop", user="shop_migrator")
    for rank, (version, script) in enumerate((("001", "V001__create_customers.sql"), ("002", "V002__create_orders.sql")), 1):
        with open(os.path.join(s.directory, "migrations/schema", script), "rb") as file:
            data = file.read()
        other.sql(data.decode(), dbname="shop", user="shop_migrator")
        other.sql("INSERT INTO public.flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, "
                  "execution_time, success) VALUES (%s, %s, %s, 'SQL', %s, %s, 'shop_migrator', 12, true)",
                  (rank, version, script[6:-4].replace("_", " "), script, flyway_checksum(data)), dbname="shop", user="shop_migrator")


def test_migration_team_every_server_is_the_same(pg, new_pg, scenario):
    """A laptop from nothing, and a staging server where Flyway was: the same users, permissions and tables on both."""
    s = scenario("migration-team", "shop", TEAM)
    other = new_pg()
    prepare_staging(other, s)
    with open(os.path.join(s.directory, "staging.conf"), "rb") as file:
        s.daemon.write("conf.d/staging.conf", file.read())
    s.env["STAGING_HOST"] = other.host
    d = s.daemon.start()
    d.wait_in_sync()
    assert other.sql("SELECT installed_rank, version, description, type, script, installed_by, success FROM public.flyway_schema_history "
                     "ORDER BY 1", dbname="shop")[2:] == [
        (3, "003", "create place order", "SQL", "V003__create_place_order.sql", "shop_migrator", True)]
    assert other.value("SELECT to_regclass('dbreconcile.migration_ledger') IS NULL", dbname="shop")
    assert [m["state"] for m in d.json("migrations", "staging/shop")["migrations"]] == ["applied"] * 3
    laptop, staging = s.sql(SAME_EVERYWHERE), other.sql(SAME_EVERYWHERE, dbname="shop")
    assert laptop == staging and len(laptop) > 8
    assert other.value("SELECT count(*) FROM shop.customers", dbname="shop") == 0, "no seed data on staging"
    # Somebody helps himself on staging.
    other.sql("GRANT ALL ON shop.payments TO shop_support; ALTER ROLE shop_support RESET ALL", dbname="shop")
    d.reconcile()
    assert other.sql(SAME_EVERYWHERE, dbname="shop") == laptop
    mark, others_mark = pg.log_mark(), other.log_mark()
    d.reconcile()
    assert pg.statements(mark) and pg.changes(mark) == [] and other.changes(others_mark) == []


# 4. Bootstrap guide

GUIDE = ("migration", "application", "analytics")


@pytest.fixture
def guide(pg, scenario):
    pg.create_database("platform")
    s = scenario("bootstrap-guide", "platform", GUIDE)
    s.require_passwords()
    return s


def test_bootstrap_guide(pg, guide):
    s, d = guide, guide.daemon
    assert d.once("--observe").code == 1
    d.start()
    d.wait_in_sync()
    assert d.ctl("diff", expect=0)
    # Parts of a shared database.
    s.run("application", "INSERT INTO accounts.users (email) VALUES ('ada@example.com')")
    s.run("application", "INSERT INTO billing.invoices (account, cents) VALUES (1, 100)")
    assert s.run("analytics", "SELECT account, cents FROM billing.invoices") == [(1, 100)]
    assert s.run("analytics", "SELECT count(id) FROM accounts.users WHERE created_at < now()") == [(1,)]
    assert not s.may("analytics", "SELECT email FROM accounts.users")
    assert not s.may("analytics", "SELECT * FROM accounts.users")
    # Tables that come later.
    s.run("migration", "CREATE TABLE billing.refunds (id bigserial, cents bigint); CREATE TABLE accounts.logins (id int)")
    s.run("application", "INSERT INTO billing.refunds (cents) VALUES (7); INSERT INTO accounts.logins VALUES (1)")
    assert s.run("analytics", "SELECT cents FROM billing.refunds") == [(7,)]
    assert not s.may("analytics", "SELECT * FROM accounts.logins")
    # Nothing else.
    for role in ("application", "analytics"):
        for statement in ("CREATE TABLE billing.mine ()", "CREATE TABLE public.mine ()", "CREATE TEMPORARY TABLE mine ()",
                          "DROP TABLE billing.invoices", "TRUNCATE billing.invoices", "CREATE SCHEMA mine", "CREATE ROLE mine"):
            assert not s.may(role, statement), (role, statement)
    assert not s.may("analytics", "DELETE FROM billing.invoices")
    s.nothing_is_sent()


def test_bootstrap_guide_limits(pg, guide):
    s, d = guide, guide.daemon
    d.start()
    d.wait_in_sync()
    # Who has no password of these three does not get in, and PUBLIC has nothing.
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        s.connect("analytics", s.password("application"))
    pg.sql("CREATE ROLE somebody LOGIN PASSWORD 'x'")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        s.connect("somebody", "x")
    for privilege in ("CONNECT", "TEMPORARY", "CREATE"):
        assert not pg.value(f"SELECT has_database_privilege('public', 'platform', '{privilege}')")
    for privilege in ("USAGE", "CREATE"):
        assert not s.value(f"SELECT has_schema_privilege('public', 'public', '{privilege}')")
    # Connections.
    held = [s.connect("analytics") for _ in range(5)]
    with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
        s.connect("analytics")
    for connection in held:
        connection.close()
    # Query time, and writing.
    assert s.run("application", "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')") == [
        ("30s", "1min")]
    assert s.run("analytics", "SHOW statement_timeout") == [("5min",)]
    assert s.run("migration", "SHOW lock_timeout") == [("5s",)]
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        s.run("analytics", "DELETE FROM billing.invoices")
    users = open(os.path.join(s.directory, "manifests/users.conf"), encoding="utf-8").read()
    d.manifest("users", users.replace('"5min"', '"50ms"'))
    d.reload()
    d.reconcile()
    with pytest.raises(psycopg2.errors.QueryCanceled):
        s.run("analytics", "SELECT pg_sleep(30)")


def test_bootstrap_guide_says_who_it_was(pg, guide):
    """Nobody uses the master user, and every line of the log has a name."""
    s, d = guide, guide.daemon
    mark = pg.log_mark()
    d.start()
    d.wait_in_sync()
    made = [(user, text.split("(")[0].strip()) for _, user, text in pg.statements(mark, "") if "CREATE TABLE" in text and "_ledger" not in text]
    assert {user for user, _ in made} == {"migration"}
    assert pg.changes(mark), "the daemon made roles and grants"
    assert {user for _, user, _ in pg.changes(mark)} == {MASTER, "migration"}
    assert s.value("SELECT array_agg(DISTINCT pg_get_userbyid(relowner)::text) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                   "WHERE nspname IN ('accounts', 'billing')") == ["migration"]
    for role in GUIDE:
        connection = s.connect(role, application_name=None)
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT current_setting('application_name')")
            assert cursor.fetchone() == (role,)
        finally:
            connection.close()
        assert f"<{role}|platform|{role}>" in pg.log_since(mark)
    # The master user itself is not touched, whatever a manifest says.
    users = open(os.path.join(s.directory, "manifests/users.conf"), encoding="utf-8").read()
    d.manifest("users", users.replace("roles: (", 'roles: ( { name = "postgres"; login = false; },'))
    d.ctl("reload")
    d.ctl("reconcile", "--wait")
    assert pg.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'postgres'")


def test_bootstrap_guide_corrects_what_psql_did(pg, guide):
    s, d = guide, guide.daemon
    s.only_ordered()
    d.start()
    d.wait_in_sync()
    s.sql("GRANT SELECT (email) ON accounts.users TO analytics; GRANT CONNECT ON DATABASE platform TO PUBLIC; GRANT USAGE ON SCHEMA public "
          "TO PUBLIC; REVOKE INSERT ON billing.invoices FROM application; ALTER ROLE analytics CONNECTION LIMIT -1 RESET statement_timeout"
          .replace(" RESET", "; ALTER ROLE analytics RESET") + "; ALTER ROLE application PASSWORD 'guessed'; ALTER TABLE billing.invoices OWNER TO postgres")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        s.connect("application")
    d.reconcile(expect=(0, 1))
    s.run("application", "SELECT 1")
    assert not s.may("analytics", "SELECT email FROM accounts.users")
    assert not s.value("SELECT has_database_privilege('public', 'platform', 'CONNECT') OR has_schema_privilege('public', 'public', 'USAGE')")
    assert s.value("SELECT has_table_privilege('application', 'billing.invoices', 'INSERT')")
    assert s.run("analytics", "SHOW statement_timeout") == [("5min",)]
    assert s.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'analytics'") == 5
    s.nothing_is_sent()


def test_bootstrap_guide_without_a_superuser(pg, scenario):
    """As on a managed service: CREATEROLE, and the owner of the database. What that does not allow is blocked, with the
    statement that an administrator has to run; after it everything is made."""
    s = scenario("bootstrap-guide", "platform", GUIDE)
    d = s.daemon
    pg.sql(f"ALTER ROLE {MASTER} NOSUPERUSER CREATEROLE")
    pg.sql(f"CREATE DATABASE platform OWNER {MASTER}")
    if pg.major == 14:
        s.sql(f"ALTER SCHEMA public OWNER TO {MASTER}")      # later versions: who owns the database
    s.require_passwords()
    result = d.once()
    assert result.code == 5 and "shared: in_sync" in result.err, result.err
    d.start()
    blocked = wait_for(lambda: s.row("shared/platform")["state"] == "blocked" and s.row("shared/platform"), 20, "blocked", d.log_tail)
    assert "cannot act as role migration" in blocked["message"]
    assert not [text for _, _, text in pg.statements() if text.startswith("CREATE SCHEMA")], "nothing is tried in vain"
    assert " ERROR:  " not in pg.log_since()
    plan = d.http(d.target_path("shared/platform", "plan")).json()
    remedies = {change["remedy"] for change in plan["changes"] if change["op"] in ("create_schema", "default_grant", "migrate")}
    assert remedies == {'GRANT "migration" TO "dbreconcile"' + (" WITH INHERIT TRUE, SET TRUE" if pg.major >= 16 else "")}
    for remedy in remedies:
        pg.sql(remedy)
    d.reconcile()
    d.wait_in_sync()
    s.run("application", "INSERT INTO accounts.users (email) VALUES ('ada@example.com')")
    assert s.run("analytics", "SELECT count(id) FROM accounts.users") == [(1,)]
    assert not s.may("analytics", "SELECT email FROM accounts.users")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        s.connect("analytics", "not the password")
    s.nothing_is_sent()
