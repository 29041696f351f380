# SPDX-License-Identifier: PostgreSQL
"""How tools of this kind are known to fail, each as a test that would show it here; docs/known-failures.md is the list."""

import os

import pytest
from dbr import wait_for

ROLES = """
roles: ( { name = "owner_role"; }, { name = "reader"; }, { name = "writer"; }, { name = "passer"; } );
"""
SCHEMA = ("CREATE SCHEMA app AUTHORIZATION owner_role", "CREATE TABLE app.t (id int, owner text)", "ALTER TABLE app.t OWNER TO owner_role")


@pytest.fixture
def start(pg, daemon):
    pg.sql("CREATE ROLE owner_role; CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE passer")
    pg.create_database("orders", *SCHEMA)

    def begin(text, roles=ROLES, user="postgres", **more):
        return daemon(servers={"name": "prod", "conninfo": pg.conninfo(user=user), "manifests": ["platform"],
                               "databases": ({"name": "orders", "manifests": ["orders"]},)},
                      manifests={"platform": roles, "orders": text}, daemon={"interval": "1h"}, **more).start()
    return begin


def quiet(pg, d):
    """A second pass is in sync and sends nothing."""
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


def may(pg, role, table, privilege="SELECT"):
    return pg.value(f"SELECT has_table_privilege('{role}', '{table}', '{privilege}')", dbname="orders")


@pytest.mark.majors(15, 18)
def test_01_a_pattern_holds_for_what_appears_later_and_for_every_kind(pg, start):
    """'All tables' drifts as tables appear, or forgets views, partitioned tables and overloaded functions."""
    d = start("""grants: ( { to = "reader"; level = "read-only"; schema = "app"; },
  { to = "reader"; privileges = "EXECUTE"; on = [ "function app.*", "procedure app.*" ]; } );\n""")
    d.reconcile()
    quiet(pg, d)
    pg.sql("CREATE VIEW app.v AS SELECT 1 AS x; CREATE TABLE app.p (i int) PARTITION BY LIST (i); CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS x;"
           "CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
           "CREATE PROCEDURE app.pr() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON ALL ROUTINES IN SCHEMA app FROM PUBLIC", dbname="orders")
    d.reconcile()
    assert all(may(pg, "reader", f"app.{name}") for name in ("v", "p", "m"))
    assert pg.value("SELECT count(*) FROM pg_proc, aclexplode(proacl) WHERE grantee = 'reader'::regrole", dbname="orders") == 3
    quiet(pg, d)


@pytest.mark.majors(14, 17, 18)
def test_02_all_is_what_the_server_can_grant(pg, start):
    """ALL differs from its expansion, and changes with the version of the server."""
    d = start("""authority = "exact"; grants: ( { to = "reader"; privileges = "ALL"; on = "table app.t"; } );\n""")
    d.reconcile()
    assert pg.value("SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = 't' AND grantee = 'reader'::regrole",
                    dbname="orders") == (8 if pg.major >= 17 else 7)
    quiet(pg, d)


@pytest.mark.majors(18)
def test_03_grants_on_one_table_add_up(pg, start):
    """Two grants on one table see each other's privileges as drift and take turns."""
    d = start("""authority = "exact"; grants: ( { to = "reader"; privileges = "SELECT"; on = "table app.t"; },
  { to = "reader"; privileges = "UPDATE"; on = "table app.*"; }, { to = "writer"; privileges = "SELECT"; on = "table app.t"; } );\n""")
    d.reconcile()
    assert may(pg, "reader", "app.t") and may(pg, "reader", "app.t", "UPDATE") and may(pg, "writer", "app.t")
    quiet(pg, d)


@pytest.mark.majors(14, 18)
def test_04_nothing_for_public_is_a_state(pg, start):
    """A REVOKE from PUBLIC is always 'changed', because a NULL list is taken for an empty one."""
    d = start("""authority = "exact"; grants: ( { to = "PUBLIC"; privileges = [ ]; on = [ "schema app", "language plpgsql" ]; } );
default_privileges: ( { for = "owner_role"; on = "functions"; to = "PUBLIC"; privileges = [ ]; } );\n""")
    d.reconcile()
    assert pg.value("SELECT defaclacl::text FROM pg_default_acl", dbname="orders") == "{owner_role=X/owner_role}"
    assert not pg.value("SELECT has_language_privilege('reader', 'plpgsql', 'USAGE')", dbname="orders")
    quiet(pg, d)


@pytest.mark.majors(18)
def test_05_default_privileges_are_there_after_one_run(pg, start):
    """Global default privileges are seen as changed in every run, or need two of them."""
    d = start("""authority = "exact"; default_privileges: ( { for = "owner_role"; on = "tables"; to = "reader"; privileges = "SELECT"; },
  { for = "owner_role"; schema = "app"; on = "tables"; to = "writer"; privileges = "INSERT"; } );\n""")
    d.reconcile()
    pg.sql("SET ROLE owner_role; CREATE TABLE app.later (i int)", dbname="orders")
    assert may(pg, "reader", "app.later") and may(pg, "writer", "app.later", "INSERT")
    quiet(pg, d)


@pytest.mark.majors(18)
def test_06_wildcards_do_not_flap(pg, start):
    """An empty schema, a function made anew, long signatures, entries of an extension's functions: grant, revoke, grant."""
    long = "a" * 63
    pg.sql(f"CREATE SCHEMA empty; CREATE EXTENSION pg_stat_statements SCHEMA app; CREATE TYPE app.{long} AS ENUM ('x');"
           f"CREATE FUNCTION app.f(app.{long}, app.{long}) RETURNS int LANGUAGE sql AS 'SELECT 1'", dbname="orders")
    d = start("""authority = "exact"; grants: ( { to = "reader"; level = "read-write"; schema = [ "app", "empty" ]; },
  { to = "PUBLIC"; privileges = [ ]; on = "function app.*"; } );\n""")
    d.reconcile()
    quiet(pg, d)
    pg.sql(f"DROP FUNCTION app.f; CREATE FUNCTION app.f(app.{long}, app.{long}) RETURNS int LANGUAGE sql AS 'SELECT 2'", dbname="orders")
    d.reconcile()
    assert pg.value("SELECT has_function_privilege('reader', (SELECT oid FROM pg_proc WHERE proname = 'f'), 'EXECUTE')", dbname="orders")
    quiet(pg, d)


@pytest.mark.majors(14, 18)
def test_07_somebody_elses_grant_is_revoked_as_his(pg, start):
    """A plain REVOKE of what another role granted succeeds and does nothing, over and over."""
    pg.sql("GRANT USAGE ON SCHEMA app TO passer; GRANT SELECT ON app.t TO passer WITH GRANT OPTION; SET ROLE passer; GRANT SELECT ON app.t TO writer",
           dbname="orders")
    d = start("""authority = "exact"; grants: ( { to = "passer"; privileges = "SELECT"; on = "table app.t"; grant_option = true; } );\n""")
    d.reconcile()
    assert not may(pg, "writer", "app.t") and may(pg, "passer", "app.t")
    quiet(pg, d)


@pytest.mark.majors(18)
def test_08_policies_are_compared_by_meaning(pg, start):
    """Policies compared as text differ for ever; compared by name, a stale predicate stays. RESTRICTIVE is not lost."""
    d = start("""row_security: ( { table = "app.t"; enable = true; policies = (
  { name = "p"; permissive = false; to = "reader"; using = "owner in ('a', 'b') and id between 1 and 9"; } ); } );\n""")
    d.reconcile()
    assert pg.value("SELECT polpermissive FROM pg_policy", dbname="orders") is False
    quiet(pg, d)
    before = pg.value("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy", dbname="orders")
    pg.sql("ALTER POLICY p ON app.t USING (true)", dbname="orders")
    d.reconcile()
    assert pg.value("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy", dbname="orders") == before, "a weaker predicate is seen, and set right"


@pytest.mark.majors(18)
def test_09_a_changed_list_leaves_no_window(pg, start):
    """A change is made as destroy and create: between the two, or for ever, the privilege is gone."""
    text = """authority = "exact"; grants: ( { to = "reader"; privileges = [ "SELECT" ]; on = "table app.t"; } );\n"""
    d = start(text)
    d.reconcile()
    mark = pg.log_mark()
    d.manifest("orders", text.replace('"SELECT"', '"SELECT", "UPDATE"'))
    d.reload()
    d.reconcile()
    assert may(pg, "reader", "app.t", "UPDATE")
    assert not [s for _, _, s in pg.changes(mark) if "REVOKE" in s]


@pytest.mark.majors(18)
def test_10_a_shorter_list_takes_away(pg, start):
    """Shrinking a list of privileges never revokes the one that was removed."""
    text = """authority = "exact"; grants: ( { to = "reader"; privileges = [ "SELECT", "UPDATE" ]; on = "table app.t"; } );\n"""
    d = start(text)
    d.reconcile()
    d.manifest("orders", text.replace(', "UPDATE"', ""))
    d.reload()
    d.reconcile()
    assert may(pg, "reader", "app.t") and not may(pg, "reader", "app.t", "UPDATE")
    quiet(pg, d)


@pytest.mark.majors(14, 18)
def test_11_public_is_touched_only_where_it_is_named(pg, start):
    """CONNECT and TEMPORARY of PUBLIC vanish with an upgrade of the tool."""
    d = start("""authority = "exact"; schemas: ( { name = "app"; } ); grants: ( { to = "reader"; privileges = "CONNECT"; on = "database"; } );\n""")
    pg.sql("GRANT SELECT ON app.t TO PUBLIC", dbname="orders")
    d.reconcile()
    assert pg.value("SELECT has_database_privilege('public', 'orders', 'CONNECT') AND has_database_privilege('public', 'orders', 'TEMPORARY')")
    assert may(pg, "public", "app.t")


@pytest.mark.majors(18)
def test_12_a_missing_secret_changes_no_password(pg, start, tmp_path):
    """A secret that is missing or empty clears the password, or a fresh one is made up."""
    path = tmp_path / "secret"
    path.write_text("first\n", encoding="utf-8")
    os.chmod(path, 0o600)
    d = start("grants: ( { to = \"reader\"; privileges = \"SELECT\"; on = \"table app.t\"; } );\n",
              ROLES.replace('{ name = "reader"; }', f'{{ name = "reader"; login = true; password_file = "{path}"; }}'))
    d.reconcile()
    stored = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'")
    for damage in (lambda: path.write_text("", encoding="utf-8"), path.unlink):
        damage()
        d.reconcile(expect=5)
        assert pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'") == stored


@pytest.mark.majors(18)
def test_14_a_cut_list_revokes_nobody(pg, start):
    """A source of names was cut short, and every member was revoked."""
    members = [f"m{i}" for i in range(30)]
    pg.sql(";".join(f"CREATE ROLE {m}; GRANT reader TO {m}" for m in members))
    roles = ", ".join(f'{{ name = "{m}"; }}' for m in members)
    d = start("grants: ( { to = \"reader\"; privileges = \"SELECT\"; on = \"table app.t\"; } );\n",
              'authority = "exact";\n' + ROLES.replace("roles: (", f"roles: ( {roles},"), guard={"max_revokes": 20})
    d.ctl("reconcile", "--wait")
    assert pg.value("SELECT count(*) FROM pg_auth_members WHERE roleid = 'reader'::regrole") == 30
    assert {r["target"]: r["state"] for r in d.json("status")["targets"]}["prod"] == "held"


@pytest.mark.majors(16, 18)
def test_15_the_edge_of_a_creator_is_not_drift(pg, start):
    """The ADMIN that PostgreSQL 16 gives the creator of a role is revoked, and with it every right to manage the role."""
    pg.sql("CREATE ROLE boss CREATEROLE LOGIN")
    pg.sql("CREATE ROLE made", user="boss")
    edge = "SELECT admin_option, inherit_option, set_option FROM pg_auth_members WHERE roleid = 'made'::regrole ORDER BY 1"
    roles = 'authority = "exact";\n' + ROLES.replace("roles: (", 'roles: ( { name = "boss"; }, { name = "made"; },')
    grants = "grants: ( { to = \"reader\"; privileges = \"SELECT\"; on = \"table app.t\"; } );\n"
    d = start(grants, roles)
    d.reconcile()
    assert pg.sql(edge) == [(True, False, False)]
    # a real membership beside it leaves the ADMIN where it is
    d.manifest("platform", roles + 'memberships: ( { role = "made"; members = "boss"; } );\n')
    d.reload()
    d.reconcile()
    assert pg.sql(edge) == [(True, True, True)]
    quiet(pg, d)


@pytest.mark.majors(15)
def test_19_a_role_that_owns_something_is_not_dropped_halfway(pg, start):
    """A role that owns objects is dropped in part: out of the tool's sight, and still with its login."""
    pg.sql("CREATE ROLE legacy LOGIN")
    pg.sql("CREATE TABLE app.theirs (i int); ALTER TABLE app.theirs OWNER TO legacy", dbname="orders")
    pg.create_database("elsewhere", "CREATE TABLE t (i int); ALTER TABLE t OWNER TO legacy")
    d = start("grants: ( { to = \"reader\"; privileges = \"SELECT\"; on = \"table app.t\"; } );\n",
              ROLES.replace("roles: (", 'roles: ( { name = "legacy"; ensure = "absent"; reassign_owned_to = "owner_role"; },'), guard={"max_drops": 1})
    d.ctl("reconcile", "--wait")
    assert wait_for(lambda: pg.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'legacy'") == [(False,)], 10, "it cannot log in", d.log_tail)
    assert "elsewhere" in d.ctl("diff").out


@pytest.mark.majors(14, 18)
def test_21_the_owner_of_the_database_gets_no_member(pg, start):
    """pg_database_owner cannot have members; a tool that tries never gets further."""
    mark = pg.log_mark()
    d = start("grants: ( { to = \"reader\"; level = \"read-write\"; schema = \"public\"; } );\n")
    d.reconcile()
    assert not [line for line in pg.log_since(mark).splitlines() if "dbreconciled" in line and "ERROR:" in line]
    assert pg.value("SELECT count(*) FROM pg_auth_members WHERE roleid = 'pg_database_owner'::regrole") == 0
    quiet(pg, d)
