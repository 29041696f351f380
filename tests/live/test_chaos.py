# SPDX-License-Identifier: PostgreSQL
"""Other people at work: DDL at every moment, a second daemon, backends that are ended. Whatever happens, when they stop both daemons
come to rest, and what is declared is there.

DBR_CHAOS says how many statements (600); DBR_SEED which (a number, or "random")."""

import os
import random
import threading

import psycopg2
import pytest
from dbr import wait_for

PLATFORM = """
roles: (
  { name = "owner_role"; login = false; }, { name = "app"; login = true; settings: { statement_timeout = "5min"; }; },
  { name = "reader"; login = false; }, { name = "analytics"; login = true; member_of = "reader"; connection_limit = 5; }
);
"""
ORDERS = """
authority = "exact";
schemas: ( { name = "app"; owner = "owner_role"; } );
grants: (
  { to = "app"; level = "read-write"; schema = "app"; },
  { to = "reader"; level = "read-only"; schema = "app"; },
  { to = "PUBLIC"; privileges = [ ]; on = "schema public"; },
  { to = "PUBLIC"; privileges = [ ]; on = "table app.*"; }
);
owners: ( { on = "table app.*"; owner = "owner_role"; } );
"""
GUARD = {"max_revokes": 100000, "max_percent": 100, "max_drops": 0}

# {n} is a number below ten, {r} one of the roles. No grants on columns: one beside OWNER TO may leave the superuser as its grantor, and what a
# superuser has granted on somebody else's table nobody can revoke (it is blocked, and said).
STATEMENTS = [
    "CREATE TABLE IF NOT EXISTS app.t{n} (id int)", "DROP TABLE IF EXISTS app.t{n}", "ALTER TABLE app.t{n} RENAME TO u{n}",
    "ALTER TABLE app.u{n} RENAME TO t{n}", "ALTER TABLE app.t{n} OWNER TO postgres", "GRANT ALL ON app.t{n} TO {r} WITH GRANT OPTION",
    "REVOKE ALL ON app.t{n} FROM {r}", "GRANT ALL ON ALL TABLES IN SCHEMA app TO PUBLIC",
    "CREATE OR REPLACE FUNCTION app.f{n}(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION IF EXISTS app.f{n}(int)",
    "REVOKE EXECUTE ON FUNCTION app.f{n}(int) FROM {r}", "CREATE SEQUENCE IF NOT EXISTS app.s{n}", "DROP SEQUENCE IF EXISTS app.s{n}",
    "CREATE OR REPLACE VIEW app.v{n} AS SELECT {n} AS x", "DROP VIEW IF EXISTS app.v{n}", "GRANT CREATE ON SCHEMA app TO {r}",
    "REVOKE USAGE ON SCHEMA app FROM {r}", "ALTER SCHEMA app OWNER TO postgres", "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner_role IN SCHEMA app GRANT ALL ON TABLES TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner_role IN SCHEMA app REVOKE ALL ON TABLES FROM {r}",
    "ALTER ROLE {r} CONNECTION LIMIT {n}", "ALTER ROLE {r} SET statement_timeout = '{n}s'", "ALTER ROLE {r} NOLOGIN",
    "REVOKE reader FROM analytics", "GRANT reader TO analytics WITH ADMIN OPTION", "ALTER ROLE app RESET ALL",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dbreconciled%' AND pid % 10 = {n}",
    "BEGIN; LOCK TABLE app.t{n}; SELECT pg_sleep(0.0{n}); COMMIT",
]
ROLES = ["app", "reader", "analytics"]


def seed():
    wanted = os.environ.get("DBR_SEED", "1")
    return random.randrange(1 << 32) if wanted == "random" else int(wanted)


def make_trouble(pg, number, seed_of_this, n, problems):
    pick = random.Random(seed_of_this * 100 + number)
    connection = None
    for _ in range(n):
        statement = pick.choice(STATEMENTS).format(n=pick.randrange(10), r=pick.choice(ROLES))
        try:
            if connection is None:
                connection = pg.connect("orders")
            connection.cursor().execute(statement)
        except psycopg2.Error as error:
            if connection is None or connection.closed:
                connection = None
            else:
                connection.cursor().execute("ROLLBACK")      # of a BEGIN before what failed
            if error.pgcode and error.pgcode.startswith(("58", "XX0")) and "concurrent" not in str(error) and "cache lookup" not in str(error):
                problems.append(f"{statement}: {error}")
    if connection is not None:
        connection.close()


def rights(pg):
    return pg.sql("""SELECT c.relname, r.rolname, string_agg(p, ',' ORDER BY p) FROM pg_class c CROSS JOIN pg_roles r
        CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) p
        WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'r' AND r.rolname IN ('app', 'reader', 'analytics')
        AND has_table_privilege(r.oid, c.oid, p) GROUP BY 1, 2 ORDER BY 1, 2""", dbname="orders")


@pytest.mark.majors(14, 18)
def test_it_comes_to_rest(pg, daemon, record_property):
    chosen, n = seed(), int(os.environ.get("DBR_CHAOS", "600"))
    record_property("seed", chosen)
    pg.create_database("orders", "CREATE SCHEMA app", *(f"CREATE TABLE app.t{i} (id int)" for i in range(10)))
    servers = {"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "keep_connections": 5,
               "databases": ({"name": "orders", "manifests": ["orders"]},)}
    daemons = [daemon(servers=servers, manifests={"platform": PLATFORM, "orders": ORDERS}, guard=GUARD, daemon={"interval": "1s"}).start()
               for _ in range(2)]
    for d in daemons:
        d.wait_in_sync()
    problems = []
    threads = [threading.Thread(target=make_trouble, args=(pg, i, chosen, n // 3, problems)) for i in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for d in daemons:
            d.ctl("reconcile", "--wait")
    assert not problems, f"seed {chosen}: {problems}"

    def at_rest():
        for d in daemons:
            d.ctl("reconcile", "--wait")
        states = [(row["target"], row["state"], row["message"]) for d in daemons for row in d.json("status")["targets"]]
        assert all(state == "in_sync" for _, state, _ in states), states
        return True

    wait_for(at_rest, 60, f"both are in sync (seed {chosen})", lambda: daemons[0].log_tail())
    marks = pg.log_mark()
    for d in daemons:
        d.ctl("reconcile", "--wait", expect=0)
    assert pg.changes(marks) == []
    tables = [row[0] for row in pg.sql("SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'", dbname="orders")]
    assert rights(pg) == sorted(row for table in tables for row in (
        (table, "analytics", "SELECT"), (table, "app", "DELETE,INSERT,SELECT,UPDATE"), (table, "reader", "SELECT"))), f"seed {chosen}"
