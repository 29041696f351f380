# SPDX-License-Identifier: PostgreSQL
"""The catalog queries and decoders against real servers: what they understand is what the server says."""

import os
import subprocess

import catalog_expected as expected
import pytest
from dbr.daemon import BUILD, run

NAMES = ['we"ird', "com,ma", "brace{}", "sp ace", "back\\slash", "UPPER", "ünïcode", "123", "quo'te", "PUBLIC", "NULL", "a/b=c", "*", "x" * 63,
         "line\nbreak", "tab\tbed", "(paren)"]

FIXTURE = r"""
CREATE ROLE owner LOGIN;
CREATE ROLE app LOGIN CONNECTION LIMIT 7 VALID UNTIL '2031-05-06 07:08:09.25+02' PASSWORD 'secret';
CREATE ROLE ro NOINHERIT;
CREATE ROLE granter CREATEROLE CREATEDB;
CREATE ROLE forever VALID UNTIL 'infinity';
CREATE ROLE never VALID UNTIL '-infinity';
CREATE ROLE boss SUPERUSER REPLICATION BYPASSRLS;
COMMENT ON ROLE app IS E'web\tservice\nof "ours"';
ALTER ROLE app SET search_path = 'a', '$user', 'B c';
ALTER ROLE app IN DATABASE db SET statement_timeout = '5min';
ALTER ROLE ALL SET work_mem = '5MB';
ALTER DATABASE db SET lock_timeout = '1s';
ALTER DATABASE db SET my.thing = 'a=b=c';
GRANT ro TO app, granter WITH ADMIN OPTION;
GRANT pg_monitor TO ro;
SET SESSION AUTHORIZATION granter; GRANT ro TO forever; RESET SESSION AUTHORIZATION;
GRANT CONNECT ON DATABASE db TO ro WITH GRANT OPTION;
GRANT CREATE ON DATABASE db TO owner;
ALTER TABLESPACE ts OWNER TO owner;
GRANT CREATE ON TABLESPACE ts TO app;
REVOKE ALL ON TABLESPACE ts2 FROM postgres;
"""
FIXTURE_15 = """
GRANT SET ON PARAMETER work_mem TO app;
GRANT SET, ALTER SYSTEM ON PARAMETER "my.Own" TO ro WITH GRANT OPTION;
"""
LOCAL = r'''
CREATE SCHEMA app AUTHORIZATION owner;
CREATE SCHEMA "Odd "", {schema}";
CREATE SCHEMA nobody; REVOKE ALL ON SCHEMA nobody FROM postgres;
GRANT USAGE ON SCHEMA app TO ro WITH GRANT OPTION;
SET ROLE owner;
CREATE TABLE app.t (id int PRIMARY KEY, v text, "w x" text, gone text);
CREATE TABLE app.t2 (id int, v text);
CREATE TABLE app.nobody (); REVOKE ALL ON app.nobody FROM owner;
CREATE TABLE app.parent (id int) PARTITION BY RANGE (id);
CREATE TABLE app.child PARTITION OF app.parent FOR VALUES FROM (0) TO (9);
CREATE TABLE app."q""uo,te" (id int); CREATE TABLE app."NULL" (id int); CREATE TABLE app."br{}ace\" (id int);
CREATE UNLOGGED TABLE app.unlogged (id int);
CREATE VIEW app.view AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW app.mat AS SELECT 1 AS a;
CREATE SEQUENCE app.seq;
CREATE TEMP TABLE hidden (id int); GRANT SELECT ON hidden TO ro;
GRANT SELECT ON app.t, app.t2, app.view, app.mat, app.parent TO ro WITH GRANT OPTION;
GRANT ALL ON app.t TO app; GRANT INSERT ON app.t TO PUBLIC;
GRANT UPDATE (v), SELECT (v, "w x", ctid) ON app.t TO app; GRANT SELECT (gone) ON app.t TO app; ALTER TABLE app.t DROP COLUMN gone;
GRANT REFERENCES (v) ON app.t2 TO app WITH GRANT OPTION; GRANT SELECT (a) ON app.view TO PUBLIC; GRANT SELECT (last_value) ON app.seq TO app;
GRANT USAGE ON app.seq TO app;
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.f(int, text[], timestamptz) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app."f(x" (VARIADIC a "char"[], OUT b varchar) LANGUAGE sql AS $$SELECT ''$$;
CREATE PROCEDURE app.p(INOUT a numeric(10, 2)) LANGUAGE sql AS 'SELECT 1.0';
CREATE AGGREGATE app.agg(int) (sfunc = int4pl, stype = int);
REVOKE ALL ON FUNCTION app.f() FROM PUBLIC; GRANT EXECUTE ON PROCEDURE app.p(numeric) TO app WITH GRANT OPTION;
CREATE TYPE app.enum AS ENUM ('a', 'b'); CREATE TYPE app.composite AS (a int, b app.enum); CREATE TYPE app.other AS (a int);
CREATE DOMAIN app.domain AS int; CREATE DOMAIN app."dom2" AS text; CREATE TYPE app."Range" AS RANGE (subtype = app.enum);
CREATE FUNCTION app.g(app.enum, app."Range", app.composite[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON TYPE app.enum FROM PUBLIC; GRANT USAGE ON TYPE app.composite TO app; GRANT USAGE ON DOMAIN app."dom2" TO ro WITH GRANT OPTION;
REVOKE USAGE ON TYPE app.t2 FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO ro, app WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO ro;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ro;
ALTER TABLE app.t ENABLE ROW LEVEL SECURITY; ALTER TABLE app.t2 FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON app.t FOR SELECT TO ro, "PUBLIC" USING (v = current_user);
CREATE POLICY "Two, ""2""" ON app.t AS RESTRICTIVE USING (id > 0) WITH CHECK (id > 1 AND v LIKE E'%\t%');
CREATE POLICY three ON app.t2 FOR INSERT WITH CHECK (true);
COMMENT ON POLICY three ON app.t2 IS 'why';
RESET ROLE;
SET ROLE ro; GRANT SELECT ON app.t TO app, PUBLIC; GRANT SELECT ON app.t2 TO app WITH GRANT OPTION; RESET ROLE;
CREATE EXTENSION hstore SCHEMA app; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION postgres_fdw;
GRANT EXECUTE ON FUNCTION app.hstore(text, text) TO app;
GRANT SELECT ON pg_stat_statements TO app;
CREATE SERVER remote FOREIGN DATA WRAPPER postgres_fdw; CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN DATA WRAPPER own; ALTER SERVER remote OWNER TO boss;
GRANT USAGE ON FOREIGN SERVER remote TO app; GRANT USAGE ON FOREIGN DATA WRAPPER own TO ro WITH GRANT OPTION;
CREATE FOREIGN TABLE app.foreign (id int) SERVER remote; GRANT INSERT ON app.foreign TO app;
CREATE TRUSTED LANGUAGE other HANDLER plpgsql_call_handler; REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE sql TO ro;
SELECT lo_create(77001), lo_create(77002), lo_create(77003);
GRANT SELECT, UPDATE ON LARGE OBJECT 77002 TO app; ALTER LARGE OBJECT 77003 OWNER TO owner;
CREATE TYPE app.shell;
CREATE FUNCTION app.nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION app.nothing() OWNER TO owner;
CREATE EVENT TRIGGER every ON ddl_command_end EXECUTE FUNCTION app.nothing();
CREATE EVENT TRIGGER "so me" ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP VIEW') EXECUTE FUNCTION app.nothing();
CREATE EVENT TRIGGER off ON ddl_command_start EXECUTE FUNCTION app.nothing(); ALTER EVENT TRIGGER off DISABLE;
'''


def ident(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def filled(pg):
    """A cluster with something of every kind."""
    pg.create_database("db")
    for name in NAMES:
        pg.sql(f"CREATE ROLE {ident(name)}; COMMENT ON ROLE {ident(name)} IS 'odd'; GRANT {ident(name)} TO postgres;"
               f"GRANT CONNECT ON DATABASE db TO {ident(name)}; ALTER ROLE {ident(name)} SET work_mem = '6MB'")
    for name in ("ts", "ts2"):
        pg.sql(f"CREATE TABLESPACE {name} LOCATION ''", options="-c allow_in_place_tablespaces=on")
    pg.sql(FIXTURE + (FIXTURE_15 if pg.major >= 15 else ""))
    if pg.major <= 15:
        pg.sql("CREATE ROLE gone CREATEROLE; SET SESSION AUTHORIZATION gone; GRANT app TO never; RESET SESSION AUTHORIZATION; DROP ROLE gone")
    else:
        pg.sql("GRANT app TO never WITH INHERIT FALSE, SET FALSE; GRANT app TO forever WITH ADMIN TRUE, INHERIT TRUE, SET FALSE")
    if pg.major >= 18:
        pg.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT ON LARGE OBJECTS TO app", dbname="db")
    pg.sql(LOCAL, dbname="db")
    for i, name in enumerate(NAMES):
        pg.sql(f"SET ROLE owner; CREATE TABLE app.odd{i} (id int); GRANT SELECT ON app.odd{i} TO {ident(name)} WITH GRANT OPTION;"
               f"RESET ROLE; GRANT USAGE ON SCHEMA app TO {ident(name)}; SET ROLE {ident(name)}; GRANT SELECT ON app.odd{i} TO app, PUBLIC;"
               f"RESET ROLE; CREATE TABLE public.owned{i} (id int); ALTER TABLE public.owned{i} OWNER TO {ident(name)};"
               f"CREATE POLICY p ON app.odd{i} TO {ident(name)}, app USING (true)", dbname="db")
    return pg


def look(pg, dbname="db", user="postgres", options=()):
    result = run("tests/live/catalog_look", *options, pg.conninfo(dbname, user))
    assert result.code == 0, result.err
    server, database = result.out.split("--\n")
    return [[line for line in part.splitlines() if not line.startswith(("facts\t", "ledger\t"))] for part in (server, database)], result.out


def test_everything_is_read_as_it_is(filled):
    options = ["--ledger", "app", "t2"]
    if os.environ.get("DBR_GOLDEN"):
        # New answers for tests/unit/test_catalog: $DBR_GOLDEN/postgresql-18/roles.tsv ...
        place = os.path.join(os.environ["DBR_GOLDEN"], f"postgresql-{filled.major}")
        os.makedirs(place, exist_ok=True)
        options += ["--dump", place]
    (server, database), out = look(filled, options=options)
    assert server == expected.server(filled, dbname="db")
    assert database == expected.database(filled, dbname="db")
    # The comparison is worth something only while the fixture has every kind.
    words = {line.split("\t")[1] for line in server + database if line.startswith("object\t")} | {"database"}
    assert words == {"table", "column", "sequence", "view", "materialized view", "foreign table", "partitioned table", "function", "procedure",
                     "type", "domain", "schema", "database", "language", "foreign data wrapper", "foreign server", "tablespace",
                     "large object"} | ({"parameter"} if filled.major >= 15 else set())
    assert sum(line.startswith("initial\t") for line in database) > 3
    assert f"\nfacts\t{filled.value('SHOW server_version_num')}\tf\tidentified\tpostgres\tt\tt\tt\tt\tt\tt\tpostgres\tdb\n" in out


def test_a_role_without_rights_reads_the_same(filled):
    """Nothing but the verifiers is hidden from it, and withdrawn functions are no error."""
    filled.sql("CREATE ROLE plain LOGIN; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    filled.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", dbname="db")
    (server, database), out = look(filled, user="plain")
    assert server == expected.server(filled, readable=False, dbname="db")
    assert database == expected.database(filled, dbname="db")
    assert f"\nfacts\t{filled.value('SHOW server_version_num')}\tf\t\\N\tplain\tf\tf\tf\tf\tf\tf\tpostgres\tdb\n" in out


@pytest.mark.majors(14, 18)
def test_names_in_another_encoding(pg):
    """One role that is not valid here must not keep us from reading the others."""
    pg.sql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    pg.sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    pg.sql("CREATE ROLE app")
    latin = pg.connect(dbname="latin")
    latin.set_client_encoding("UTF8")
    with latin.cursor() as cursor:
        cursor.execute("""CREATE ROLE "café"; COMMENT ON ROLE "café" IS 'é'; ALTER ROLE "café" SET application_name = 'é';
                          GRANT app TO "café"; GRANT CONNECT ON DATABASE postgres TO "café";
                          CREATE TABLE "tablé" (id int); GRANT SELECT ON "tablé" TO "café", app""")
    latin.close()
    caf = "caf\\\\xe9 (this name has bytes that are not valid UTF-8: cannot be managed)"
    for dbname in ("postgres", "latin", "ascii"):
        (server, database), _ = look_bytes(pg, dbname)
        assert any(line.startswith(f"role\t{caf}\t") for line in server)
        assert any(line.startswith("role\tapp\t") for line in server)
        assert any(line.startswith(f"membership\tapp\t{caf}\t") for line in server)
        assert any(line.startswith(f"setting\t{caf}\t\\N\tapplication_name\t") for line in server)
        assert f"grant\tdatabase\t\\N\tpostgres\t\\N\t{caf}\tpostgres\tCONNECT" in server
        if dbname == "latin":
            assert any(line.startswith("grant\ttable\tpublic\ttabl\ufffd\t\\N\t" + caf) for line in database)


def look_bytes(pg, dbname):
    """The output may hold bytes that are no text."""
    done = subprocess.run([os.path.join(BUILD, "tests/live/catalog_look"), pg.conninfo(dbname)], capture_output=True)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode("utf-8", "replace")
    return [part.splitlines() for part in out.split("--\n")], out


def ledger(pg, table, user="postgres", schema="app"):
    _, out = look(pg, user=user, options=("--ledger", schema, table))
    return [line.split("\t")[1:] for line in out.splitlines() if line.startswith("ledger\t")][0]


HOSTILE = {
    "trigger": "CREATE TRIGGER tr BEFORE INSERT ON app.l FOR EACH ROW EXECUTE FUNCTION app.trg()",
    "constraint trigger": "CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON app.l DEFERRABLE FOR EACH ROW EXECUTE FUNCTION app.trg()",
    "rule": "CREATE RULE r AS ON INSERT TO app.l DO ALSO SELECT app.evil(1)",
    "default": "ALTER TABLE app.l ALTER v SET DEFAULT app.evil(1)",
    "check": "ALTER TABLE app.l ADD CHECK (app.evil(v) > 0)",
    "domain": "CREATE DOMAIN app.d AS int CHECK (app.evil(VALUE) > 0); ALTER TABLE app.l ADD w app.d",
    "user type": "CREATE TYPE app.e AS ENUM ('a'); ALTER TABLE app.l ADD w app.e",
    "generated": "ALTER TABLE app.l ADD w int GENERATED ALWAYS AS (app.evil(v)) STORED",
    "expression index": "CREATE INDEX ON app.l (app.evil(v))",
    "partial index": "CREATE INDEX ON app.l (v) WHERE app.evil(v) > 0",
    "operator": "CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = app.eq); ALTER TABLE app.l ADD CHECK (v OPERATOR(app.===) 1)",
    "row security": "ALTER TABLE app.l ENABLE ROW LEVEL SECURITY",
    "policy": "CREATE POLICY p ON app.l USING (true)",
    "parent": "CREATE TABLE app.child_of_l () INHERITS (app.l)",
    "child": "CREATE TABLE app.base (id int); ALTER TABLE app.base ALTER id SET NOT NULL; ALTER TABLE app.l INHERIT app.base",
    "view": "ALTER TABLE app.l RENAME TO was_l; CREATE VIEW app.l AS SELECT * FROM app.was_l",
    "partitioned": "DROP TABLE app.l; CREATE TABLE app.l (id int) PARTITION BY LIST (id)",
    "foreign key": "CREATE TABLE app.k (id int PRIMARY KEY); ALTER TABLE app.l ADD FOREIGN KEY (v) REFERENCES app.k",
}


@pytest.mark.majors(14, 18)
def test_ledger_is_read_only_when_nothing_of_others_is_in_it(pg):
    pg.create_database("db")
    pg.sql("CREATE ROLE owner LOGIN; CREATE ROLE low LOGIN")
    assert ledger(pg, "l") == ["f", "\\N", "f"]
    base = """CREATE SCHEMA app AUTHORIZATION owner; SET ROLE owner; CREATE TABLE app.l (id int PRIMARY KEY, v int, s text NOT NULL DEFAULT 'x',
        at timestamptz DEFAULT now(), n int GENERATED BY DEFAULT AS IDENTITY, CHECK (v > 0)); CREATE INDEX ON app.l (lower(s));
        CREATE FUNCTION app.evil(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION app.eq(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION app.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"""
    pg.sql(base, dbname="db")
    assert ledger(pg, "missing") == ["t", "owner", "f"]
    assert ledger(pg, "l") == ["t", "owner", "t", "r", "owner", "t", "t"]
    assert ledger(pg, "l", user="low") == ["t", "owner", "t", "r", "owner", "t", "f"]
    found = {}
    for name, statement in HOSTILE.items():
        pg.sql("DROP SCHEMA app CASCADE", dbname="db")
        pg.sql(base, dbname="db")
        pg.sql("SET ROLE owner; " + statement, dbname="db")
        found[name] = ledger(pg, "l")[5]
    assert found == {name: "f" for name in HOSTILE}


def test_what_blocks_the_drop_of_a_role(filled):
    result = run("tests/live/catalog_look", "--dependencies", "{app,nobody}", filled.conninfo("db"))
    assert result.code == 0, result.err
    rows = {tuple(line.split("\t")[:4]): line.split("\t")[4:] for line in result.out.splitlines()}
    assert int(rows["app", "db", "a", "pg_class"][0]) > 3
    assert len(rows["app", "db", "a", "pg_class"][1].split(", ")) == 3
    assert rows["app", "", "a", "pg_tablespace"] == ["1", "tablespace ts"]
    assert "policy p on table app.odd0" in rows["app", "db", "r", "pg_policy"][1]


@pytest.mark.majors(18)
def test_user_objects_cannot_stand_in_front(filled):
    """Functions, operators and relations of the same names in the database change nothing that we read."""
    before = look(filled)[0]
    filled.sql("""
        CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$SELECT 'evil'::name$$;
        CREATE FUNCTION public.no(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
        CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.no);
        CREATE TABLE public.pg_class (oid oid); CREATE TABLE public.pg_roles (oid oid);
        ALTER DATABASE db SET search_path = public, pg_catalog;
    """, dbname="db")
    (server, database), _ = look(filled)
    kept = [line for line in database if not any(word in line for word in
            ("\tpublic\tpg_class\t", "\tpublic\tpg_roles\t", "\tpublic\tpg_get_userbyid(oid)\t", "\tpublic\tno(oid, oid)\t"))]
    assert kept == before[1]
    assert [line for line in server if "search_path\tpublic" not in line] == before[0]
