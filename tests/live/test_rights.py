# SPDX-License-Identifier: PostgreSQL
"""Corners of privileges that random models found; each is small here."""

import pytest

ROLES = """
roles: ( { name = "old_owner"; }, { name = "new_owner"; }, { name = "reader"; }, { name = "passer"; } );
"""


@pytest.fixture
def start(pg, daemon):
    pg.sql("CREATE ROLE old_owner; CREATE ROLE new_owner; CREATE ROLE reader; CREATE ROLE passer; CREATE ROLE stranger")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION old_owner; CREATE TABLE app.t (id int); ALTER TABLE app.t OWNER TO old_owner")

    def begin(text, user="postgres"):
        return daemon(servers={"name": "prod", "conninfo": pg.conninfo(user=user), "manifests": ["platform"],
                               "databases": ({"name": "orders", "manifests": ["orders"]},)},
                      manifests={"platform": ROLES, "orders": text}, daemon={"interval": "1h"}).start()
    return begin


def acl(pg, name="t"):
    return set(pg.sql("SELECT grantee::regrole::text, grantor::regrole::text, privilege_type, is_grantable FROM pg_class, aclexplode(relacl) "
                      "WHERE relname = %s AND grantee <> relowner", (name,), dbname="orders"))


def quiet(pg, d):
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


@pytest.mark.majors(14, 18)
def test_a_new_owner_is_not_granted_what_it_owns(pg, start):
    """Granted before the change of the owner, a grant to the new one would stay in its own entry for ever."""
    d = start("""authority = "exact";
owners: ( { on = "table app.t"; owner = "new_owner"; } );
grants: ( { to = "new_owner"; privileges = "SELECT"; on = "table app.t"; grant_option = true; }, { to = "reader"; level = "read-only"; schema = "app"; } );
""")
    d.reconcile()
    assert pg.sql("SELECT is_grantable FROM pg_class, aclexplode(relacl) WHERE relname = 't' AND grantee = relowner AND privilege_type = 'SELECT'",
                  dbname="orders") == [(False,)]
    assert acl(pg) == {("reader", "new_owner", "SELECT", False)}
    quiet(pg, d)


@pytest.mark.majors(14, 18)
def test_the_former_owner_of_a_schema_gets_no_default_privileges(pg, start):
    d = start("""schemas: ( { name = "app"; owner = "new_owner"; } );
grants: ( { to = "reader"; level = "read-only"; schema = "app"; } );
""")
    d.reconcile()
    assert pg.sql("SELECT DISTINCT defaclrole::regrole::text FROM pg_default_acl", dbname="orders") == [("new_owner",)]
    quiet(pg, d)


@pytest.mark.majors(14, 16, 18)
@pytest.mark.parametrize("login", ["postgres", "admin"])
def test_what_somebody_without_usage_granted_is_taken_back(pg, start, login):
    """passer granted SELECT on, then lost USAGE on the schema: as him the REVOKE is refused, as the owner it does nothing."""
    pg.sql("GRANT USAGE ON SCHEMA app TO passer; GRANT SELECT ON app.t TO passer WITH GRANT OPTION; SET ROLE passer;"
           "GRANT SELECT ON app.t TO reader; RESET ROLE; REVOKE USAGE ON SCHEMA app FROM passer", dbname="orders")
    pg.sql("CREATE ROLE admin LOGIN CREATEROLE")
    pg.sql(";".join(f"GRANT {r} TO admin{' WITH ADMIN TRUE, INHERIT TRUE, SET TRUE' if pg.major >= 16 else ' WITH ADMIN OPTION'}"
                    for r in ("old_owner", "new_owner", "passer", "reader")))
    before = pg.value("SELECT nspacl::text FROM pg_namespace WHERE nspname = 'app'", dbname="orders")
    d = start("""authority = "exact";
grants: ( { to = "passer"; privileges = "SELECT"; on = "table app.t"; grant_option = true; }, { to = "reader"; privileges = "INSERT"; on = "table app.t"; } );
""", login)
    d.reconcile()
    assert acl(pg) == {("passer", "old_owner", "SELECT", True), ("reader", "old_owner", "INSERT", False)}
    assert pg.value("SELECT nspacl::text FROM pg_namespace WHERE nspname = 'app'", dbname="orders") == before, "it was only lent"
    assert "ERROR:" not in "\n".join(line for line in pg.log_since().splitlines() if "dbreconciled" in line)
    quiet(pg, d)


@pytest.mark.majors(15)
def test_usage_that_cannot_be_lent_is_said_before(pg, start):
    pg.sql("GRANT USAGE ON SCHEMA app TO passer; GRANT SELECT ON app.t TO passer WITH GRANT OPTION; SET ROLE passer;"
           "GRANT SELECT ON app.t TO reader; RESET ROLE; REVOKE USAGE ON SCHEMA app FROM passer", dbname="orders")
    pg.sql("CREATE ROLE admin LOGIN CREATEROLE; GRANT passer, reader TO admin")
    d = start("""authority = "exact"; grants: ( { to = "reader"; privileges = [ ]; on = "table app.t"; },
  { to = "passer"; privileges = "SELECT"; on = "table app.t"; grant_option = true; } );\n""", "admin")
    d.reconcile(expect=5)
    assert 'GRANT USAGE ON SCHEMA "app" TO "passer"' in d.ctl("diff").out
    assert "ERROR:" not in "\n".join(line for line in pg.log_since().splitlines() if "dbreconciled" in line)
    pg.sql("GRANT USAGE ON SCHEMA app TO passer", dbname="orders")
    d.reconcile()
    assert acl(pg) == {("passer", "old_owner", "SELECT", True)}


@pytest.mark.majors(14, 18)
def test_default_privileges_are_exact_in_every_part(pg, start):
    """The grant option, and what roles hold that no manifest names, are taken from default privileges as from objects."""
    pg.sql("ALTER DEFAULT PRIVILEGES FOR ROLE old_owner IN SCHEMA app GRANT SELECT ON TABLES TO reader WITH GRANT OPTION;"
           "ALTER DEFAULT PRIVILEGES FOR ROLE old_owner IN SCHEMA app GRANT INSERT ON TABLES TO stranger", dbname="orders")
    text = """authority = "exact";
grants: ( { to = "reader"; level = "read-only"; schema = "app"; } );
default_privileges: ( { for = "old_owner"; schema = "app"; on = "tables"; to = "reader"; privileges = "SELECT"; } );
"""
    entries = ("SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_default_acl, aclexplode(defaclacl) "
               "WHERE defaclobjtype = 'r' ORDER BY 1")
    d = start(text)
    d.reconcile()
    assert pg.sql(entries, dbname="orders") == [("reader", "SELECT", False), ("stranger", "INSERT", False)]
    assert "stranger holds INSERT on table that old_owner will create in schema app" in d.ctl("diff", "prod/orders").out
    quiet(pg, d)
    d.manifest("orders", 'unmanaged_grantees = "revoke";\n' + text)
    d.reload()
    d.reconcile()
    assert pg.sql(entries, dbname="orders") == [("reader", "SELECT", False)]
    quiet(pg, d)


@pytest.mark.majors(15)
def test_an_object_that_excepts_itself_is_not_missing(pg, start):
    d = start("""grants: ( { to = "reader"; privileges = "SELECT"; on = "table app.t"; except = "table app.*"; },
  { to = "reader"; privileges = "SELECT"; columns = "id"; on = [ "table app.t", "table app.gone" ]; except = "table app.t"; },
  { to = "PUBLIC"; privileges = [ ]; columns = "id"; on = "table app.gone"; } );
""")
    d.reconcile(expect=5)
    blocked = [c["description"] for c in d.json("diff", "prod/orders")["plans"][0]["changes"]]
    assert blocked == ["GRANT SELECT ON column id of table app.gone TO reader"]


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("now", ["member", "superuser"])
def test_a_grantor_who_came_to_the_owners_privileges(pg, start, now):
    """As a member of the owner he takes back what he gave; as a superuser he would speak as the owner, and do nothing."""
    gain, lose = {"member": ("GRANT old_owner TO passer", "SELECT 1"), "superuser": ("ALTER ROLE passer SUPERUSER", "ALTER ROLE passer NOSUPERUSER")}[now]
    pg.sql("GRANT USAGE ON SCHEMA app TO passer; GRANT SELECT ON app.t TO passer WITH GRANT OPTION; SET ROLE passer;"
           f"GRANT SELECT ON app.t TO reader; RESET ROLE; {gain}", dbname="orders")
    d = start("""authority = "exact"; grants: ( { to = "reader"; privileges = [ ]; on = "table app.t"; },
  { to = "passer"; privileges = "SELECT"; on = "table app.t"; grant_option = true; } );\n""")
    if now == "superuser":
        d.reconcile(expect=5)
        assert "passer, who granted it, is a superuser now" in d.ctl("diff").out
        mark = pg.log_mark()
        d.reconcile(expect=5)
        assert pg.changes(mark) == [], "said once, not tried again and again"
        pg.sql(lose)
    d.reconcile()
    assert acl(pg) == {("passer", "old_owner", "SELECT", True)}


@pytest.mark.majors(15)
def test_who_may_create_by_a_pattern_has_default_privileges_in_the_same_pass(pg, start):
    pg.sql("CREATE SCHEMA app2 AUTHORIZATION old_owner", dbname="orders")
    d = start("""grants: ( { to = "passer"; privileges = [ "USAGE", "CREATE" ]; on = "schema app*"; except = "schema app"; },
  { to = "reader"; level = "read-only"; schema = "app2"; } );\n""")
    d.reconcile()
    assert pg.value("SELECT count(*) FROM pg_default_acl WHERE defaclrole = 'passer'::regrole AND defaclobjtype = 'r'", dbname="orders") == 1
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("stays", ["SELECT", "INSERT"])
def test_a_grant_option_that_a_column_hangs_on_is_blocked_and_not_tried(pg, start, stays):
    """REVOKE GRANT OPTION FOR on a table takes the options of its columns too; the server refuses it while somebody unknown got something by one."""
    pg.sql("GRANT SELECT ON app.t TO passer WITH GRANT OPTION; GRANT SELECT (id) ON app.t TO passer WITH GRANT OPTION;"
           "GRANT USAGE ON SCHEMA app TO passer; SET ROLE passer; GRANT SELECT (id) ON app.t TO stranger", dbname="orders")
    d = start("""authority = "exact";
grants: ( { to = "passer"; privileges = "%s"; on = "table app.t"; } );
""" % stays)
    mark = pg.log_mark()
    for _ in range(2):
        d.reconcile(expect=5)
    row = next(r for r in d.json("status", expect=0)["targets"] if r["target"] == "prod/orders")
    assert row["state"] == "blocked" and row["failure"] is None, row
    assert not [s for s in pg.changes(mark) if "REVOKE" in str(s)], pg.changes(mark)
    assert pg.sql("SELECT attacl::text FROM pg_attribute WHERE attrelid = 'app.t'::regclass AND attname = 'id'", dbname="orders")[0][0].count("stranger=r/passer")


@pytest.mark.majors(14, 18)
def test_a_grant_option_goes_from_the_columns_with_the_table(pg, start):
    """What is to stay on a column with its option is granted there again after the table has lost it."""
    pg.sql("GRANT SELECT ON app.t TO passer WITH GRANT OPTION; GRANT SELECT (id) ON app.t TO passer WITH GRANT OPTION", dbname="orders")
    d = start("""authority = "exact";
grants: ( { to = "passer"; privileges = "SELECT"; on = "table app.t"; },
          { to = "passer"; privileges = "SELECT"; on = "table app.t"; columns = [ "id" ]; grant_option = true; } );
""")
    d.reconcile()
    assert acl(pg) == {("passer", "old_owner", "SELECT", False)}
    assert "passer=r*/old_owner" in pg.value("SELECT attacl::text FROM pg_attribute WHERE attrelid = 'app.t'::regclass AND attname = 'id'",
                                             dbname="orders")
    quiet(pg, d)


@pytest.mark.majors(14, 18)
def test_the_owners_own_entry_stays_when_what_it_hangs_on_stays(pg, start):
    pg.sql("GRANT SELECT ON app.t TO passer WITH GRANT OPTION; GRANT USAGE ON SCHEMA app TO passer; SET ROLE passer;"
           "GRANT SELECT ON app.t TO old_owner; GRANT SELECT ON app.t TO stranger", dbname="orders")
    live = "SELECT relacl::text FROM pg_class WHERE relname = 't'"
    before = pg.value(live, dbname="orders")
    d = start("""authority = "exact";
grants: ( { to = "passer"; privileges = "SELECT"; on = "table app.t"; } );
""")
    d.reconcile(expect=5)
    assert pg.value(live, dbname="orders") == before
