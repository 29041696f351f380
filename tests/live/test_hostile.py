# SPDX-License-Identifier: PostgreSQL
"""Databases whose owner wants to be more than that: whatever he leaves there, the daemon's rights stay the daemon's.

The role low owns the database hostile, and every trap in it tries to make low a superuser."""

import os
import re
import socket
import struct
import threading

import pytest

PLATFORM = """
roles: ( { name = "low"; login = true; }, { name = "app"; login = true; }, { name = "reader"; login = false; }, { name = "migrator"; login = true; } );
"""
HOSTILE = """
authority = "exact";
schemas: ( { name = "app"; owner = "low"; } );
grants: (
  { to = "low"; level = "admin"; schema = "app"; },
  { to = "app"; level = "read-write"; schema = "app"; },
  { to = "reader"; privileges = [ "SELECT" ]; on = "table app.t"; columns = [ "id" ]; },
  { to = "PUBLIC"; privileges = [ ]; on = "table app.t"; }
);
row_security: ( { table = "app.t"; enable = true; policies = (
  { name = "own"; command = "SELECT"; to = [ "app" ]; using = "owner in ('app', 'b')"; },
  { name = "trap"; command = "SELECT"; to = [ "app" ]; using = "(app.pwned(id))"; } ); } );
"""
CALM = {"options": "-c search_path=pg_catalog,pg_temp"}         # the test must not step into the traps itself
# What a sequence has seen stays when the transaction is rolled back, as what a program did would.
TRAP = """
CREATE SEQUENCE public.caught;
CREATE FUNCTION public.pwn() RETURNS void LANGUAGE plpgsql AS $$BEGIN
  IF (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
    PERFORM pg_catalog.nextval('public.caught');
    EXECUTE 'ALTER ROLE low SUPERUSER';
  END IF;
END$$;
"""

# A function and an operator in public for each of those of pg_catalog that the daemon names, and first in the path.
SHADOWS = """
DO $do$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result
           FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
           AND p.proname = ANY (string_to_array(current_setting('test.names'), ','))
  LOOP
    BEGIN
      EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN PERFORM public.pwn(); RETURN NULL; END''',
                     f.proname, f.args, f.result);
    EXCEPTION WHEN OTHERS THEN NULL;     -- pseudo-types
    END;
  END LOOP;
  FOR f IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result, o.oid
           FROM pg_operator o WHERE o.oprkind = 'b' AND o.oprleft = ANY ('{name,text,oid,int2,int4,int8,bool,"char"}'::regtype[])
           AND o.oprright = ANY ('{name,text,oid,int2,int4,int8,bool,"char"}'::regtype[])
  LOOP
    EXECUTE format('CREATE FUNCTION public.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN PERFORM public.pwn(); RETURN NULL; END''',
                   f.oid, f.l, f.r, f.result);
    EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.op_%s)', f.oprname, f.l, f.r, f.oid);
  END LOOP;
END $do$
"""


def fill(pg):
    pg.sql("CREATE ROLE low LOGIN; CREATE ROLE app LOGIN; CREATE ROLE reader; CREATE ROLE migrator LOGIN")
    pg.sql("CREATE DATABASE hostile OWNER low")
    pg.sql("GRANT CREATE ON SCHEMA public TO low", dbname="hostile")
    pg.sql(TRAP + """
        CREATE SCHEMA app;
        CREATE TABLE app.t (id int, owner text);
        CREATE FUNCTION app.pwned() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM public.pwn(); RETURN NEW; END$$;
        CREATE TRIGGER t BEFORE INSERT OR UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.pwned();
        CREATE FUNCTION app.pwned(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM public.pwn(); RETURN true; END$$;
        ALTER TABLE app.t ADD CHECK (app.pwned(id));
        CREATE INDEX ON app.t (app.pwned(id));
        CREATE VIEW app.v AS SELECT id FROM app.t WHERE app.pwned(id);
        CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS x;
        ALTER TABLE app.t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON app.t FOR SELECT TO app USING (owner IN ('app', 'b'));
        CREATE POLICY trap ON app.t FOR SELECT TO app USING (app.pwned(id));
    """, dbname="hostile", user="low")


def canary(pg):
    """Whether something of low's ran as a superuser."""
    return pg.value("SELECT is_called FROM public.caught", dbname="hostile", **CALM)


def start(daemon, pg, **database):
    return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "keep_connections": 5,
                           "databases": ({"name": "hostile", "manifests": ["hostile"], **database},)},
                  manifests={"platform": PLATFORM, "hostile": HOSTILE}, daemon={"interval": "1h"})      # passes come when they are ordered


def state(d):
    return {row["target"]: row for row in d.json("status")["targets"]}["prod/hostile"]


def drifted(pg):
    return pg.value("SELECT pg_catalog.has_table_privilege('reader', 'app.t', 'SELECT')", dbname="hostile", **CALM)


def drift(pg):
    pg.sql("GRANT SELECT ON app.t TO reader; REVOKE SELECT ON app.v FROM app", dbname="hostile", user="low")


def names_in_the_sources():
    names = set()
    for folder, _, files in os.walk(os.path.join(os.environ.get("top_srcdir", "."), "src")):
        for name in files:
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as text:
                    names.update(re.findall(r"\bpg_catalog\.([a-z_0-9]+)\(", text.read()))
    assert {"pg_get_userbyid", "has_table_privilege", "pg_get_viewdef", "count"} <= names
    return ",".join(sorted(names))


def corrects(pg, d):
    d.ctl("reconcile", "--wait")
    drift(pg)
    assert drifted(pg)
    d.ctl("reconcile", "--wait", "prod/hostile")
    assert not drifted(pg), d.ctl("show", "prod/hostile").out + d.log_tail()
    return state(d)["state"] == "in_sync"


@pytest.mark.majors(14, 18)
def test_functions_and_operators_of_the_same_names(pg, daemon):
    fill(pg)
    pg.sql(SHADOWS, dbname="hostile", user="low", options=f"-c test.names={names_in_the_sources()}")
    made = pg.value("SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 2200", dbname="hostile", **CALM)
    assert made > 200, made
    pg.sql("ALTER DATABASE hostile SET search_path = public, pg_catalog", user="low")
    pg.sql("GRANT CREATE ON DATABASE hostile TO migrator")
    d = start(daemon, pg, migrations={"directory": "hostile", "user": "migrator", "schema_drift": ("app",)})
    d.migration("hostile", "V1__one.sql", "SELECT 1;")
    d.start()
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out
    assert not canary(pg)


def trigger(pg, more=""):
    """As superusers do who mean well: the trigger is theirs, its function somebody else's."""
    pg.sql("CREATE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'", dbname="hostile", user="low")
    pg.sql(f"CREATE EVENT TRIGGER audit ON ddl_command_end {more} EXECUTE FUNCTION public.audit()", dbname="hostile")
    pg.sql("CREATE OR REPLACE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.pwn(); END'",
           dbname="hostile", user="low")


@pytest.mark.majors(14, 18)
def test_an_event_trigger_with_a_function_of_somebody_else(pg, daemon):
    fill(pg)
    trigger(pg)
    d = start(daemon, pg).start()
    d.ctl("reconcile", "--wait")
    assert not canary(pg)
    if pg.major >= 17:                       # none fires in our sessions
        assert corrects(pg, d)
        assert not canary(pg)
        return
    mark = pg.log_mark()
    row = state(d)
    assert row["state"] == "blocked" and row["drift"] == row["blocked"] > 0, row
    shown = d.ctl("show", "prod/hostile").out
    assert "event trigger audit calls public.audit() of role low" in shown, shown
    remedy = re.search(r"(ALTER EVENT TRIGGER \S+ DISABLE); (ALTER FUNCTION [^;]+); read what it does, then (ALTER EVENT TRIGGER \S+ ENABLE)", shown)
    assert remedy, shown
    assert d.ctl("diff", "prod/hostile").code == 5
    d.ctl("reconcile", "--wait", "prod/hostile")
    assert pg.changes(mark) == []            # no policy was compared on the server either: a view would fire it
    for statement in remedy.groups()[:2]:
        pg.sql(statement, dbname="hostile", **CALM)
    assert not canary(pg)                    # ALTER FUNCTION would have fired it
    pg.sql("CREATE OR REPLACE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; " + remedy.group(3),
           dbname="hostile", **CALM)
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out
    assert not canary(pg)


@pytest.mark.majors(15)
@pytest.mark.parametrize("how", ["disabled", "other tags"])
def test_an_event_trigger_that_does_not_fire_for_us_keeps_nobody(pg, daemon, how):
    fill(pg)
    trigger(pg, "WHEN TAG IN ('CREATE TABLE', 'CREATE FUNCTION')" if how == "other tags" else "")
    if how == "disabled":
        pg.sql("ALTER EVENT TRIGGER audit DISABLE", dbname="hostile")
    d = start(daemon, pg).start()
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out
    assert not canary(pg)


@pytest.mark.majors(17, 18)
def test_a_login_trigger_locks_nobody_out(pg, daemon):
    fill(pg)
    pg.sql("CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM public.pwn(); RAISE 'nobody'; END$$",
           dbname="hostile", user="low")
    pg.sql("CREATE EVENT TRIGGER no ON login EXECUTE FUNCTION public.no()", dbname="hostile")
    d = start(daemon, pg).start()
    d.ctl("reconcile", "--wait")
    assert state(d)["state"] == "in_sync", d.ctl("show", "prod/hostile").out
    pg.sql("DROP EVENT TRIGGER no", dbname="hostile", options="-c event_triggers=off")
    assert not canary(pg)


LITERALS = {
    "array of a domain": ("CREATE DOMAIN app.d AS int CHECK (app.pwned(VALUE))", "id = ANY ('{1}'::app.d[])"),
    "row": ("CREATE DOMAIN app.d AS int CHECK (app.pwned(VALUE)); CREATE TYPE app.c AS (d app.d)", "ROW(id) = '(1)'::app.c"),
    "range": ("CREATE DOMAIN app.d AS int CHECK (app.pwned(VALUE)); CREATE TYPE app.r AS RANGE (SUBTYPE = app.d)",
              "int4range(id, id) IS NOT NULL AND '[1,2]'::app.r IS NOT NULL"),
}


@pytest.mark.majors(15, 18)
@pytest.mark.parametrize("name", LITERALS)
def test_a_literal_of_a_type_of_somebody_else_is_not_parsed(pg, daemon, name):
    """Reading such a literal runs the checks of the type, and that happens when the expression is parsed."""
    types, expression = LITERALS[name]
    fill(pg)
    pg.sql(f"{types}; ALTER POLICY own ON app.t USING ({expression})", dbname="hostile", user="low")
    assert not canary(pg)
    d = start(daemon, pg).start()
    d.ctl("reconcile", "--wait")
    assert not canary(pg), d.ctl("show", "prod/hostile").out
    row = state(d)
    assert row["state"] == "held", row
    shown = d.ctl("show", "prod/hostile").out
    assert "could not be compared: a literal in it may be of a type of somebody else" in shown, shown
    d.ctl("approve", "prod/hostile", row["plan"], expect=0)
    d.wait_in_sync("prod/hostile")
    assert not canary(pg)
    # To undo it would be to write the trap back.
    change = [e for e in d.json("events")["events"] if e["object"] and "ALTER POLICY own" in e["object"]][-1]
    assert "has a literal whose type may be of somebody else" in d.ctl("undo", str(change["id"]), expect=5).err


@pytest.mark.majors(15)
def test_a_declared_literal_without_a_type_is_not_parsed(pg, daemon):
    """The owner of the table decides of which type it is."""
    fill(pg)
    pg.sql("CREATE DOMAIN app.d AS text CHECK (app.pwned(1)); ALTER TABLE app.t ADD tags app.d[]; DROP POLICY own ON app.t",
           dbname="hostile", user="low")
    d = start(daemon, pg)
    d.manifest("hostile", HOSTILE.replace("owner in ('app', 'b')", "tags && '{app,b}'"))
    d.start()
    d.ctl("reconcile", "--wait")
    assert not canary(pg), d.ctl("show", "prod/hostile").out
    shown = d.ctl("show", "prod/hostile").out
    assert "the literal '{app,b}' may be of a type of somebody else" in shown and "'{a,b}'::text[]" in shown, shown
    assert not pg.sql("SELECT FROM pg_policies WHERE policyname = 'own'", dbname="hostile", **CALM)
    d.manifest("hostile", HOSTILE.replace("owner in ('app', 'b')", "tags::text[] && '{app,b}'::text[]"))
    d.reload()
    d.wait_in_sync("prod/hostile")
    assert not canary(pg)


class Stranger(threading.Thread):
    """Whatever this is, it lets everybody in and says that it is this version."""

    def __init__(self, directory, version):
        super().__init__(daemon=True)
        self.version = version
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(directory, ".s.PGSQL.5432"))
        self.listener.listen()

    @staticmethod
    def message(kind, body):
        return kind + struct.pack("!I", len(body) + 4) + body

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                parameter = b"server_version\0" + self.version.encode() + b"\0"
                client.sendall(self.message(b"R", bytes(4)) + self.message(b"S", parameter) + self.message(b"K", bytes(8)) + self.message(b"Z", b"I"))
                client.recv(65536)


@pytest.mark.majors(18)
def test_a_server_of_a_version_that_there_is_not(pg, daemon, workspace):
    """It is refused with one error, and is no trouble for other servers."""
    servers, strangers = [{"name": "prod", "conninfo": pg.conninfo()}], {}
    for i, version in enumerate(["99999999999.9", "300.1", "9.6.24", "\x1b[31m17", "13.22"]):
        directory = workspace.directory("s")
        strangers[f"s{i}"] = Stranger(directory, version)
        strangers[f"s{i}"].start()
        servers.append({"name": f"s{i}", "conninfo": f"host={directory} user=postgres dbname=postgres"})
    d = daemon(servers=servers, daemon={"interval": "1h"}).start()
    d.ctl("reconcile", "--wait", expect=5)
    rows = {row["target"]: row for row in d.json("status")["targets"]}
    assert rows["prod"]["state"] == "in_sync"
    for name, stranger in strangers.items():
        said = stranger.version.replace("\x1b", "\\x1b")
        assert rows[name]["state"] == "failed", rows[name]
        assert f"the server says that its version is '{said}' (PostgreSQL 14 to 18 are supported)" in rows[name]["message"].replace("\x1b", "\\x1b")
        stranger.listener.close()
    assert "\x1b" not in d.log() + d.ctl("status").out


def lock_key(words="dbreconcile database"):
    """As engine/apply.c: FNV-1a, as a signed number."""
    value = 0xcbf29ce484222325
    for byte in words.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value - 2**64 if value >= 2**63 else value


@pytest.mark.majors(18)
def test_who_squats_on_the_lock_keeps_nobody(pg, daemon):
    fill(pg)
    d = start(daemon, pg).start()
    assert corrects(pg, d)
    squatter = pg.connect("hostile", user="low")
    squatter.cursor().execute("SELECT pg_advisory_lock(%s)", (lock_key(),))
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out
    assert "holds this daemon's advisory lock" in d.log(), d.log_tail()
    squatter.close()
    # A superuser may be another daemon.
    other = pg.connect("hostile", application_name="another")
    other.cursor().execute("SELECT pg_advisory_lock(%s)", (lock_key(),))
    drift(pg)
    d.ctl("reconcile", "--wait", "prod/hostile")
    assert drifted(pg) and "another dbreconciled is changing the same target" in state(d)["message"], state(d)
    other.close()
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out


@pytest.mark.majors(18)
def test_a_database_that_lets_nobody_in_is_reported(pg, daemon):
    fill(pg)
    d = start(daemon, pg).start()
    assert corrects(pg, d)
    pg.sql("ALTER DATABASE hostile ALLOW_CONNECTIONS false")
    pg.kill_backends("hostile")
    d.ctl("reconcile", "--wait")
    row = state(d)
    assert row["state"] not in ("in_sync", "pending") and "not currently accepting connections" in row["message"], row
    pg.sql("ALTER DATABASE hostile ALLOW_CONNECTIONS true")
    assert corrects(pg, d), d.ctl("show", "prod/hostile").out


def test_every_attack_of_the_table_has_its_test():
    """docs/security.md names tests: they are there."""
    top = os.environ.get("top_srcdir", ".")
    named = 0
    with open(os.path.join(top, "docs/security.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\|.*\| (test_[^|]*) \|$", file.read(), re.M)
    for source, names in re.findall(r"\b(test_\w+): ([\w, ]+)", "; ".join(rows)):
        paths = [os.path.join(top, "tests", path) for path in
                 (f"live/{source}.py", f"unit/{source}.c", f"control/{source}.py", f"ctl/{source}.py")]
        text = "".join(open(path, encoding="utf-8").read() for path in paths if os.path.exists(path))
        for name in names.split(", "):
            assert re.search(rf"^ *(def {name}\(|static void {name}\(void)", text, re.M), f"{source}: {name}"
            named += 1
    assert named > 50
