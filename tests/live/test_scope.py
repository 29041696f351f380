# SPDX-License-Identifier: PostgreSQL
"""What an exact manifest covers, and for whom a level holds in future."""

import pytest

ROLES = 'roles: ( { name = "reader"; login = true; }, { name = "writer"; }, { name = "lead"; } );\n'


def make(daemon, pg, orders, platform=ROLES, **more):
    server = {"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": ({"name": "orders", "manifests": ["orders"], **more},)}
    return daemon(servers=server, manifests={"platform": platform, "orders": orders}, guard={"max_percent": 100})


def nothing_left(pg, d):
    mark = pg.log_mark()
    assert d.once().code == 0
    assert pg.changes(mark) == []


@pytest.mark.majors(14, 18)
def test_a_grant_on_columns_names_the_table(pg, daemon):
    """Who may read one column must not be able to read all of them because the table itself was granted by hand."""
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.users (id int, email text, secret text)")
    d = make(daemon, pg, 'authority = "exact";\ngrants: ( { to = "reader"; privileges = "SELECT"; on = "table app.users"; columns = [ "id" ]; } );\n')
    assert d.once().code == 0
    pg.sql("GRANT SELECT, DELETE ON app.users TO reader; GRANT SELECT (secret) ON app.users TO writer; GRANT UPDATE ON app.users TO writer", dbname="orders")
    assert d.once().code == 0
    assert pg.sql("SELECT a.attname, has_column_privilege('reader', 'app.users', a.attname, 'SELECT') FROM pg_attribute a "
                  "WHERE attrelid = 'app.users'::regclass AND attnum > 0 ORDER BY 1", dbname="orders") == [("email", False), ("id", True), ("secret", False)]
    assert pg.value("SELECT relacl::text FROM pg_class WHERE oid = 'app.users'::regclass", dbname="orders") == "{postgres=" + (
        "arwdDxtm" if pg.major >= 17 else "arwdDxt") + "/postgres}"
    assert not pg.value("SELECT has_any_column_privilege('writer', 'app.users', 'SELECT, UPDATE')", dbname="orders")
    nothing_left(pg, d)


@pytest.mark.majors(14, 15, 18)
def test_a_level_holds_for_what_the_owners_make(pg, daemon):
    """The owner of the schema creates there, also as a superuser, and in pg_database_owner's schema the owner of the database."""
    pg.sql("CREATE ROLE dba LOGIN; GRANT dba TO postgres")
    pg.create_database("orders", "CREATE SCHEMA app", "ALTER DATABASE orders OWNER TO dba")
    d = make(daemon, pg, 'grants: ( { to = "reader"; level = "read-only"; schema = [ "app", "public" ]; } );\n')
    assert d.once().code == 0
    pg.sql("CREATE TABLE app.made_by_postgres (id int)", dbname="orders")
    assert pg.value("SELECT has_table_privilege('reader', 'app.made_by_postgres', 'SELECT')", dbname="orders")
    if pg.major >= 15:
        pg.sql("CREATE TABLE public.made_by_dba (id int)", dbname="orders", user="dba")
        assert pg.value("SELECT has_table_privilege('reader', 'public.made_by_dba', 'SELECT')", dbname="orders")
    nothing_left(pg, d)


def grants_of(pg, role):
    return pg.sql("SELECT m.rolname, g.rolname, a.admin_option FROM pg_auth_members a JOIN pg_roles m ON m.oid = member JOIN pg_roles g ON g.oid = grantor "
                  "WHERE roleid = %s::regrole ORDER BY 1, 2", (role,))


@pytest.mark.majors(14, 18)
def test_admin_that_nobody_declared_is_surplus(pg, daemon):
    pg.create_database("orders")
    platform = 'authority = "exact";\nroles: ( { name = "team"; }, { name = "ann"; member_of = "team"; }, { name = "bob"; member_of = "team"; } );\n' \
        'memberships: ( { role = "team"; members = "bob"; admin = true; } );\n'
    d = make(daemon, pg, "schemas: ( );\n", platform)
    assert d.once().code == 0
    pg.sql("GRANT team TO ann WITH ADMIN OPTION")
    assert d.once().code == 0
    assert grants_of(pg, "team") == [("ann", "postgres", False), ("bob", "postgres", True)]
    nothing_left(pg, d)


@pytest.mark.majors(16, 18)
def test_admin_goes_after_what_was_granted_with_it(pg, daemon):
    """From 16 on memberships hang on their grantor's ADMIN: ends of the chain first, and what is wanted is granted by us."""
    pg.create_database("orders")
    platform = 'authority = "exact";\nroles: ( { name = "team"; }, { name = "ann"; member_of = "team"; }, { name = "bob"; }, { name = "lead"; } );\n'
    d = make(daemon, pg, "schemas: ( );\n", platform)
    assert d.once().code == 0
    pg.sql("REVOKE team FROM ann; GRANT team TO lead WITH ADMIN OPTION; SET ROLE lead; GRANT team TO bob WITH ADMIN OPTION; SET ROLE bob; GRANT team TO ann")
    mark = pg.log_mark()
    assert d.once().code == 0
    assert grants_of(pg, "team") == [("ann", "postgres", False)]
    assert "dependent privileges exist" not in pg.log_since(mark)
    nothing_left(pg, d)


@pytest.mark.majors(18)
def test_admin_that_somebody_unmanaged_needs_is_blocked_once(pg, daemon):
    pg.create_database("orders")
    platform = 'authority = "exact";\nroles: ( { name = "team"; }, { name = "lead"; } );\n'
    d = make(daemon, pg, "schemas: ( );\n", platform)
    assert d.once().code == 0
    pg.sql("CREATE ROLE guest; GRANT team TO lead WITH ADMIN OPTION; SET ROLE lead; GRANT team TO guest")
    mark = pg.log_mark()
    result = d.once()
    assert result.code == 5
    assert "guest holds a membership in team that lead granted" in result.err
    assert pg.changes(mark) == []


@pytest.mark.majors(15)
def test_a_schema_is_handed_over_before_its_migrations(pg, daemon):
    """An application moves to a migration user: the first pass makes it the owner and then runs the files."""
    pg.create_database("orders", "CREATE SCHEMA app")
    d = make(daemon, pg, 'schemas: ( { name = "app"; owner = "migrator"; } );\n', 'roles: ( { name = "migrator"; login = true; } );\n',
             migrations={"directory": "orders", "user": "migrator"})
    d.migration("orders", "V001__items.sql", "CREATE TABLE app.items (id int);\n")
    assert d.once().code == 0
    assert pg.value("SELECT tableowner FROM pg_tables WHERE tablename = 'items'", dbname="orders") == "migrator"


@pytest.mark.majors(15)
def test_protected_roles_are_no_strangers(pg, daemon):
    """unmanaged_grantees = "revoke" reaches nobody who is protected: that is listed, and does not block the target for ever."""
    pg.sql("CREATE ROLE rds_tool; CREATE ROLE stranger")
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.users (id int)", "GRANT SELECT ON app.users TO rds_tool, stranger, pg_monitor")
    d = make(daemon, pg, 'authority = "exact";\nunmanaged_grantees = "revoke";\ngrants: ( { to = "reader"; level = "read-only"; schema = "app"; } );\n')
    with open(d.config_file, encoding="utf-8") as file:
        d.write("dbreconciled.conf", file.read().replace("max_percent = 100;", 'max_percent = 100; protected_roles = "rds*";'))
    assert d.once().code == 0
    assert pg.sql("SELECT has_table_privilege('rds_tool', 'app.users', 'SELECT'), has_table_privilege('pg_monitor', 'app.users', 'SELECT'), "
                  "has_table_privilege('stranger', 'app.users', 'SELECT')", dbname="orders") == [(True, True, False)]


@pytest.mark.majors(15)
def test_a_privilege_that_the_server_does_not_know_is_told(pg, daemon):
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.users (id int)")
    d = make(daemon, pg, 'grants: ( { to = "reader"; privileges = [ "SELECT", "MAINTAIN" ]; on = "table app.users"; } );\n')
    result = d.once()
    assert result.code == 0 and "MAINTAIN can be granted from PostgreSQL 17 on" in result.err
    assert pg.value("SELECT has_table_privilege('reader', 'app.users', 'SELECT')", dbname="orders")


@pytest.mark.majors(18)
def test_more_tables_than_a_server_has_locks_for(new_pg, daemon):
    """From 18 on GRANT locks every table that it names until the end of its transaction; OWNER TO does on every version."""
    pg = new_pg(18, max_connections=20)
    pg.sql("CREATE ROLE maker")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION maker")
    for part in range(16):
        pg.sql("DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE app.t%%s_%%s ()', %s, i); END LOOP; END $$", (part,), dbname="orders")
    d = make(daemon, pg, 'schemas: ( { name = "app"; owner = "maker"; } );\nowners: ( { on = "table app.*"; owner = "maker"; } );\n'
                         'grants: ( { to = "reader"; level = "read-only"; schema = "app"; } );\n', ROLES.replace("{", '{ name = "maker"; }, {', 1))
    assert d.once().code == 0
    assert pg.sql("SELECT DISTINCT pg_get_userbyid(relowner), relacl::text LIKE '%%reader=r/maker%%' FROM pg_class "
                  "WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'", dbname="orders") == [("maker", True)]


@pytest.mark.majors(15, 18)
def test_a_column_of_an_extensions_table(pg, daemon):
    """Patterns leave members of extensions out; who names one gets what he asked for, once."""
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE TABLE app.config (id int, name text)", "CREATE EXTENSION hstore",
                       "ALTER EXTENSION hstore ADD TABLE app.config", "GRANT SELECT (name) ON app.config TO PUBLIC")
    d = make(daemon, pg, 'authority = "exact";\nschemas: ( { name = "app"; } );\n'
                         'grants: ( { to = "reader"; privileges = "SELECT"; on = "table app.config"; columns = "id"; } );\n')
    assert d.once().code == 0
    assert pg.sql("SELECT attname, attacl::text FROM pg_attribute WHERE attrelid = 'app.config'::regclass AND attacl IS NOT NULL ORDER BY 1",
                  dbname="orders") == [("id", "{reader=r/postgres}"), ("name", "{=r/postgres}")]
    nothing_left(pg, d)


@pytest.mark.majors(15)
def test_owners_of_every_kind(pg, daemon):
    """A foreign server is a SERVER to ALTER; tablespaces and databases belong to the plan of the server."""
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE EXTENSION postgres_fdw", "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw",
                       "CREATE AGGREGATE app.total (int) (sfunc = int4pl, stype = int)", "CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1'",
                       "CREATE DOMAIN app.d AS int", "CREATE TYPE app.e AS ENUM ('a')", "CREATE VIEW app.v AS SELECT 1", "SELECT lo_create(4711)")
    on = ("foreign server s", "function app.*", "procedure app.*", "domain app.*", "type app.*", "table app.*", "large object 4711")
    d = make(daemon, pg, "owners: ( %s );\n" % ", ".join('{ on = "%s"; owner = "lead"; }' % kind for kind in on),
             ROLES + 'owners: ( { on = "tablespace pg_default"; owner = "lead"; }, { on = "database orders"; owner = "lead"; } );\n')
    assert d.once().code == 0
    assert {owner for (owner,) in pg.sql(
        "SELECT pg_get_userbyid(o) FROM (SELECT srvowner FROM pg_foreign_server UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'app'::regnamespace "
        "UNION SELECT typowner FROM pg_type WHERE typnamespace = 'app'::regnamespace UNION SELECT relowner FROM pg_class WHERE relnamespace = 'app'::regnamespace "
        "UNION SELECT lomowner FROM pg_largeobject_metadata UNION SELECT spcowner FROM pg_tablespace WHERE spcname = 'pg_default' "
        "UNION SELECT datdba FROM pg_database WHERE datname = 'orders') AS x(o)", dbname="orders")} == {"lead"}
    nothing_left(pg, d)


@pytest.mark.majors(18)
def test_what_cannot_be_is_said(pg, daemon):
    pg.create_database("orders", "CREATE SCHEMA app", "CREATE VIEW app.v AS SELECT 1 AS id")
    pg.create_database("broken")
    pg.sql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'")        # what an interrupted DROP DATABASE leaves
    d = make(daemon, pg, 'row_security: ( { table = "app.v"; enable = true; } );\n',
             ROLES + 'databases: ( { name = "broken"; connection_limit = 5; }, { name = "orders"; connection_limit = 5; } );\n')
    said = d.once()
    assert said.code == 5
    assert "app.v is a view: only tables have row security" in said.err
    assert "a DROP DATABASE that was interrupted has left the database invalid; DROP DATABASE it again" in said.err
    assert pg.value("SELECT datconnlimit FROM pg_database WHERE datname = 'orders'") == 5


@pytest.mark.majors(18)
def test_a_pattern_speaks_of_each_of_its_databases(pg, daemon):
    """What a manifest says of "its" database holds for every database that a pattern means, and for no other."""
    for name in ("tenant_a", "tenant_b", "tenant_own", "elsewhere"):
        pg.create_database(name)
    pg.sql("ALTER DATABASE tenant_b SET work_mem = '1MB'; ALTER DATABASE elsewhere SET work_mem = '1MB'")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                        "databases": ({"name": "tenant_own", "manifests": []}, {"match": "tenant_*", "manifests": ["tenant"]})},
               manifests={"platform": ROLES, "tenant": 'authority = "exact";\ndatabases: ( { owner = "lead"; connection_limit = 7; '
                                                       'settings: { statement_timeout = "5s"; }; } );\n'}, guard={"max_percent": 100})
    assert d.once().code == 0
    assert pg.sql("SELECT datname, pg_get_userbyid(datdba), datconnlimit, setconfig FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid "
                  "WHERE datname LIKE 'tenant%%' OR datname = 'elsewhere' ORDER BY 1") == [
        ("elsewhere", "postgres", -1, ["work_mem=1MB"]), ("tenant_a", "lead", 7, ["statement_timeout=5s"]),
        ("tenant_b", "lead", 7, ["statement_timeout=5s"]), ("tenant_own", "postgres", -1, None)]
    nothing_left(pg, d)
