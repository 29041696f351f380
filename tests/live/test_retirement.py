# SPDX-License-Identifier: PostgreSQL
"""Roles that are declared absent leave every database of the server, step by step, and only when allowed."""

import psycopg2
import pytest
from dbr import wait_for

BEFORE = """
roles: ( { name = "heir"; login = true; }, { name = "reader"; login = false; } );
"""

PLATFORM = """
roles: (
  { name = "heir"; login = true; },
  { name = "reader"; login = false; },
  { name = "legacy"; ensure = "absent"; %s }
);
"""

ORDERS = """
schemas: ( { name = "app"; owner = "heir"; } );
grants: ( { to = "reader"; level = "read-only"; schema = "app"; } );
"""

FILL = (
    "CREATE SCHEMA app AUTHORIZATION heir", "CREATE TABLE app.mine (id int, secret text)", "ALTER TABLE app.mine OWNER TO heir",
    "GRANT SELECT ON app.mine TO legacy WITH GRANT OPTION", "GRANT UPDATE (secret) ON app.mine TO legacy",
    "GRANT ALL ON SCHEMA app TO legacy",
    "SET ROLE legacy", "CREATE TABLE app.his (id serial PRIMARY KEY)", "GRANT SELECT ON app.his TO reader",
    "CREATE FUNCTION app.his() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader", "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT UPDATE ON SEQUENCES TO reader", "RESET ROLE",
    "ALTER DEFAULT PRIVILEGES FOR ROLE heir IN SCHEMA app GRANT INSERT ON TABLES TO legacy",
)


def legacy_world(pg, *databases):
    pg.sql("CREATE ROLE heir LOGIN; CREATE ROLE reader; CREATE ROLE legacy LOGIN")
    for name in databases:
        pg.create_database(name, "; ".join(FILL))
    pg.sql("CREATE DATABASE owned OWNER legacy")
    pg.sql("GRANT CREATE ON DATABASE owned TO legacy; GRANT CREATE ON DATABASE postgres TO legacy")


def make(daemon, pg, *databases, heir='reassign_owned_to = "heir";', guard=None):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                           "databases": tuple({"name": name, "manifests": ["orders"]} for name in databases)},
                  manifests={"platform": PLATFORM % heir, "orders": ORDERS}, guard=guard)


def row(d, target):
    return {r["target"]: r for r in d.json("status")["targets"]}[target]


def plan(d, target):
    return d.http(f"/v1/targets/{target.replace('/', '%2F')}/plan").json()


def held(d, target):
    return wait_for(lambda: row(d, target)["state"] in ("held", "blocked") and plan(d, target)["plan"], 20, f"{target} is held",
                    lambda: d.ctl("status").out + d.ctl("diff", target).out)


def gone(pg):
    return pg.value("SELECT count(*) FROM pg_roles WHERE rolname = 'legacy'") == 0


def test_a_retired_role_leaves_every_database(pg, daemon):
    legacy_world(pg, "one", "two")
    session = pg.connect("one", user="legacy")
    d = make(daemon, pg, "one", "two").start()
    first = held(d, "prod")
    assert f"dbreconcilectl approve prod {first}" in row(d, "prod")["message"]
    # Nothing is taken while the role can log in and nobody has approved.
    held(d, "prod/one")
    assert pg.value("SELECT has_table_privilege('legacy', 'app.mine', 'SELECT')", dbname="one")
    assert pg.value("SELECT has_database_privilege('legacy', 'postgres', 'CREATE')")
    assert "its retirement begins with the plan of target prod" in d.ctl("diff", "prod/one").out
    assert d.ctl("approve", "prod", first).code == 0
    wait_for(lambda: not pg.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'legacy'"), 20, "it cannot log in", d.log_tail)
    with pytest.raises(psycopg2.OperationalError):
        pg.connect("one", user="legacy")
    # The databases go on by themselves; then only the drop is left.
    wait_for(lambda: pg.value("SELECT count(*) FROM pg_shdepend WHERE refobjid = 'legacy'::regrole") == 0, 30, "nothing depends on it",
             lambda: d.ctl("diff").out + d.log_tail())
    with pytest.raises(psycopg2.Error):
        session.cursor().execute("SELECT 1")
    def last_step():        # of a look after that
        found = plan(d, "prod")
        return found["plan"] if [(c["op"], c["state"]) for c in found["changes"]] == [("drop_role", "held")] else None
    last = wait_for(last_step, 20, "only the drop is left, and held", lambda: d.ctl("diff").out + d.log_tail())
    assert last != first
    assert d.ctl("approve", "prod", last).code == 0
    wait_for(lambda: gone(pg), 20, "it is dropped", lambda: d.ctl("diff").out + d.log_tail())
    d.wait_in_sync()
    for database in ("one", "two"):
        assert pg.value("SELECT tableowner FROM pg_tables WHERE tablename = 'his'", dbname=database) == "heir"
        assert pg.value("SELECT has_table_privilege('reader', 'app.his', 'SELECT')", dbname=database)
        assert pg.value("SELECT count(*) FROM pg_default_acl WHERE defaclrole NOT IN ('heir'::regrole)", dbname=database) == 0
    assert pg.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'owned'") == "heir"
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


def test_a_budget_retires_without_questions(pg, daemon):
    legacy_world(pg, "one")
    d = make(daemon, pg, "one", guard={"max_drops": 1, "max_percent": 100}).start()
    wait_for(lambda: gone(pg), 30, "it is dropped", lambda: d.ctl("diff").out + d.log_tail())
    d.wait_in_sync()


@pytest.mark.majors(15, 18)
def test_killed_between_any_two_steps_it_goes_on(pg, daemon):
    """kill -9 after each statement that changes something: a start later the role is gone all the same."""
    legacy_world(pg, "one")
    kills = 0
    for _ in range(60):
        if gone(pg):
            break
        d = make(daemon, pg, "one", guard={"max_drops": 1, "max_percent": 100})
        mark = pg.log_mark()
        d.start()
        wait_for(lambda: gone(pg) or len(pg.changes(mark)) > kills % 4, 30, "it did something", lambda: d.ctl("diff").out + d.log_tail())
        d.process.kill()
        d.process.wait()
        d.process = None
        kills += 1
    assert gone(pg)
    assert kills > 1


@pytest.mark.majors(14, 18)
def test_what_nobody_inherits_is_reported_not_dropped(pg, daemon):
    legacy_world(pg, "one")
    pg.create_database("elsewhere", "CREATE TABLE t (id int)", "GRANT SELECT ON t TO legacy")
    pg.sql("CREATE POLICY p ON app.mine TO legacy USING (true)", dbname="one")
    pg.sql("GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO legacy", dbname="one")
    d = make(daemon, pg, "one", heir="", guard={"max_drops": 5, "max_percent": 100}).start()
    wait_for(lambda: row(d, "prod/one")["state"] == "blocked" and not pg.value("SELECT has_table_privilege('legacy', 'app.mine', 'SELECT')",
             dbname="one"), 30, "what can be taken is", lambda: d.ctl("diff").out + d.log_tail())
    d.ctl("reconcile", "--wait")
    shown = d.ctl("diff").out
    assert row(d, "prod/one")["state"] == "blocked", "a diff changes no target's state"
    assert "say in reassign_owned_to who receives them" in shown
    assert "table app.his" in shown
    assert "policy p on table app.mine" in shown
    assert "function pg_ls_dir(text)" in shown
    assert "database elsewhere is no target" in shown and "DROP OWNED BY" in shown
    assert not gone(pg)
    assert pg.value("SELECT tableowner FROM pg_tables WHERE tablename = 'his'", dbname="one") == "legacy"
    mark = pg.log_mark()
    assert d.ctl("reconcile", "--wait").code == 5
    assert pg.changes(mark) == [], "reported once, not tried again and again"


@pytest.mark.majors(18)
def test_what_is_left_in_a_template_is_nobodys_though_a_pattern_matches_it(pg, daemon):
    """No target is ever made of template1 by a pattern, so nobody would take it away there."""
    pg.sql("CREATE ROLE legacy")
    pg.sql("CREATE TABLE left_over (id int); ALTER TABLE left_over OWNER TO legacy", dbname="template1")
    try:
        d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": ({"match": "*"},)},
                   manifests={"platform": 'roles: ( { name = "legacy"; ensure = "absent"; } );\n'}, guard={"max_drops": 5}).start()
        d.ctl("reconcile", "--wait")
        assert "database template1 is no target" in d.ctl("diff").out
        assert not gone(pg)
    finally:
        pg.sql("DROP TABLE left_over", dbname="template1")


@pytest.mark.majors(14, 18)
def test_memberships_that_it_granted_stay_as_ours(pg, daemon):
    """From 16 on a membership hangs on its grantor, who cannot be dropped while it is there; nobody loses it for that."""
    pg.sql("CREATE ROLE legacy; CREATE ROLE team; CREATE ROLE guest; GRANT team TO legacy WITH ADMIN OPTION; SET ROLE legacy; GRANT team TO guest")
    pg.create_database("orders")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": ({"name": "orders"},)},
               manifests={"platform": PLATFORM % ""}, guard={"max_drops": 5})
    assert d.once().code == 0
    assert pg.sql("SELECT rolname FROM pg_roles WHERE rolname = 'legacy'") == []
    assert pg.value("SELECT pg_has_role('guest', 'team', 'USAGE')")
