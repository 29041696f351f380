# SPDX-License-Identifier: PostgreSQL
"""Schema drift: what is changed beside migrations is named, and what differs from databases at the same version."""

import json
import os

import pytest
from dbr import wait_for
from jsonschema import Draft202012Validator
from test_migrator import FLYWAY_KEY, java_hash

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "schemas")
PLATFORM = 'roles: ( { name = "migrator"; login = true; } );\n'
APP = 'schemas: ( { name = "app"; owner = "migrator"; } );\n'
FILES = {"V001__schema.sql": """
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a int, b text);
CREATE TABLE app.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric(10,2) NOT NULL DEFAULT 0,
    note text, mood app.mood, CONSTRAINT total_check CHECK (total >= 0));
CREATE TABLE app.items (id bigserial PRIMARY KEY, order_id int REFERENCES app.orders, name text);
CREATE TABLE app.events (at timestamptz, n int) PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX items_name ON app.items (name);
CREATE VIEW app.sums AS SELECT sum(id) AS total FROM app.orders;
CREATE MATERIALIZED VIEW app.counts AS SELECT count(*) AS n FROM app.items;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION app.add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE PROCEDURE app.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE TRIGGER touched BEFORE UPDATE ON app.orders FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE RULE quiet AS ON DELETE TO app.items DO INSTEAD NOTHING;
CREATE STATISTICS app.together (dependencies) ON order_id, name FROM app.items;
CREATE SEQUENCE app.numbers;
"""}


def validate(name, doc):
    with open(os.path.join(SCHEMAS, f"{name}.json"), encoding="utf-8") as file:
        Draft202012Validator(json.load(file)).validate(doc)
    return doc


class Watched:
    """Databases of one cluster with the files above and their schema app watched."""

    def __init__(self, pg, make_daemon, names=("orders",), files=None, daemon=None, **migrations):
        self.pg = pg
        for name in names:
            pg.create_database(name)
        settings = {"directory": "app", "user": "migrator", "schema_drift": ["app"], "schema_drift_interval": "1s", **migrations}
        settings = {key: value for key, value in settings.items() if value is not None}
        databases = tuple({"name": name, "manifests": ["app"], "migrations": settings} for name in names)
        self.daemon = make_daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": databases},
                                  {"platform": PLATFORM, "app": APP}, {"app": files or FILES}, daemon=daemon)

    def sql(self, text, name="orders"):
        self.pg.sql(text, dbname=name)

    def doc(self, name="orders"):
        return validate("migrations", self.daemon.json("migrations", f"prod/{name}"))

    def drift(self, name="orders"):
        """{"column app.orders.total": ("changed", {"type": (before, after)})}, after a look that began now."""
        self.daemon.reconcile(f"prod/{name}", expect=(0, 5))
        return self.known(name)

    def known(self, name="orders"):
        return {f"{c['kind']} {c['name']}": (c["change"], {p["part"]: (p["before"], p["after"]) for p in c["parts"]})
                for c in self.doc(name)["schema_drift"]}

    def fleet(self):
        return {row["target"].split("/")[-1]: row for row in validate("fleet", self.daemon.json("migrations", "--all"))["targets"]}

    def events(self, kind, name="orders"):
        return [event for event in self.daemon.json("events", f"prod/{name}")["events"] if event["kind"] == kind]


@pytest.mark.majors(14, 15, 18)          # 15.20 of Debian notes changes of a column in its options
def test_each_kind_of_object_is_named_with_what_changed(pg, daemon):
    w = Watched(pg, daemon)
    w.daemon.start()
    w.daemon.wait_in_sync()
    assert w.drift() == {}
    assert w.doc()["schema"]["baseline_version"] == "001" and w.doc()["schema"]["objects"] > 30
    w.sql("""
        ALTER TABLE app.orders ALTER total TYPE numeric(12,2), ALTER total SET DEFAULT 1, ALTER note SET NOT NULL;
        ALTER TABLE app.orders ADD COLUMN by_hand int, DROP CONSTRAINT total_check, ADD CHECK (total > 1);
        ALTER TABLE app.orders DISABLE TRIGGER touched;
        ALTER TABLE app.items DROP COLUMN order_id CASCADE;
        ALTER TABLE app.items SET (fillfactor = 70), REPLICA IDENTITY FULL;
        DROP INDEX app.items_name; CREATE INDEX items_name ON app.items (lower(name));
        CREATE OR REPLACE VIEW app.sums AS SELECT sum(id) + 1 AS total FROM app.orders;
        DROP MATERIALIZED VIEW app.counts;
        CREATE OR REPLACE FUNCTION app.add(a int, b int) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT a - b';
        ALTER PROCEDURE app.nothing() SET work_mem = '1MB';
        DROP AGGREGATE app.total(int); CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '7');
        DROP RULE quiet ON app.items;
        ALTER SEQUENCE app.numbers INCREMENT 10;
        ALTER TYPE app.mood ADD VALUE 'glad';
        ALTER DOMAIN app.positive SET DEFAULT 5;
        ALTER TYPE app.pair ADD ATTRIBUTE c int;
        CREATE TABLE app.by_hand (id int PRIMARY KEY, n int CHECK (n > 0)); CREATE INDEX ON app.by_hand (n);
        CREATE TABLE app.events_2 PARTITION OF app.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
    """)
    drift = w.drift()
    assert drift == {
        "table app.by_hand": ("added", {}),
        "table app.events_2": ("added", {}),
        "table app.items": ("changed", {"options": (None, "fillfactor=70"), "replica identity": ("default", "full")}),
        "view app.counts": ("removed", {}),
        "view app.sums": ("changed", {"definition": (None, None)}),
        "column app.items.order_id": ("removed", {}),
        "column app.orders.by_hand": ("added", {}),
        "column app.orders.note": ("changed", {"not null": ("no", "yes")}),
        "column app.orders.total": ("changed", {"type": ("numeric(10,2)", "numeric(12,2)"), "default": ("0", "1")}),
        "constraint app.items.items_order_id_fkey": ("removed", {}),
        "constraint app.orders.orders_total_check": ("added", {}),
        "constraint app.orders.total_check": ("removed", {}),
        "index app.items_name": ("changed", {"definition": ("CREATE INDEX items_name ON app.items USING btree (name)",
                                                            "CREATE INDEX items_name ON app.items USING btree (lower(name))")}),
        "trigger app.orders.touched": ("changed", {"enabled": ("yes", "no")}),
        "rule app.items.quiet": ("removed", {}),
        "statistics app.together": ("removed", {}),
        "sequence app.numbers": ("changed", {"increment": ("1", "10")}),
        "function app.add(integer, integer)": ("changed", {"attributes": ("immutable cost 100 rows 0", "stable cost 100 rows 0"),
                                                           "security": ("invoker", "definer"), "body": (None, None)}),
        "function app.nothing()": ("changed", {"settings": (None, "work_mem=1MB")}),
        "function app.total(integer)": ("changed", {"body": (None, None)}),
        "type app.mood": ("changed", {"definition": ("'sad', 'ok'", "'sad', 'ok', 'glad'")}),
        "type app.pair": ("changed", {"definition": ("a integer, b text", "a integer, b text, c integer")}),
        "type app.positive": ("changed", {"default": (None, "5")}),
    }
    assert w.doc()["schema"]["drift"] == len(drift)
    assert w.daemon.metrics()['dbreconcile_schema_drift_objects{database="prod/orders"}'] == len(drift)


@pytest.mark.majors(14, 18)
def test_noise_is_no_drift(pg, daemon):
    """What depends on oids, on storage, on data, on owners or on privileges is no definition."""
    w = Watched(pg, daemon)
    w.daemon.start()
    w.daemon.wait_in_sync()
    assert w.drift() == {}
    objects = w.doc()["schema"]["objects"]
    for statement in ("INSERT INTO app.orders (total) SELECT g FROM generate_series(1, 100) g", "SELECT nextval('app.numbers')",
                      "VACUUM FULL", "REINDEX TABLE app.orders", "REINDEX INDEX CONCURRENTLY app.items_name", "ANALYZE",
                      "CLUSTER app.orders USING orders_pkey", "REFRESH MATERIALIZED VIEW app.counts", "TRUNCATE app.orders CASCADE",
                      "CREATE ROLE somebody", "GRANT SELECT ON app.orders TO somebody", "ALTER FUNCTION app.add OWNER TO postgres",
                      "COMMENT ON TABLE app.orders IS 'x'", "CREATE TABLE public.elsewhere (id int)", "CREATE EXTENSION plpgsql_check"):
        if statement.endswith("plpgsql_check"):
            statement = "CREATE EXTENSION citext SCHEMA app"
        w.sql(statement)
    w.sql("DROP INDEX app.items_name")
    w.sql("CREATE INDEX items_name ON app.items (name)")
    w.sql("ALTER TABLE app.items ADD COLUMN x int")
    w.sql("ALTER TABLE app.items DROP COLUMN x")
    assert w.drift() == {}
    assert w.doc()["schema"]["objects"] == objects


@pytest.mark.majors(18)
def test_drift_goes_when_it_is_undone_and_each_is_told_once(pg, daemon):
    w = Watched(pg, daemon)
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {} and w.events("schema_baseline") == []
    w.sql("ALTER TABLE app.orders ALTER note TYPE varchar(10)")
    wait_for(lambda: w.known() == {"column app.orders.note": ("changed", {"type": ("text", "character varying(10)")})}, 20,
             "the interval finds it by itself", d.log_tail)
    for _ in range(2):
        w.drift()
    told = w.events("schema_drift")
    assert [(e["object"], e["actor"]) for e in told] == [("column app.orders.note", "daemon")]
    assert told[0]["message"] == "changed: type text -> character varying(10)"
    assert "column app.orders.note changed: type text -> character varying(10)" in d.ctl("migrations", "prod/orders").out
    shown = d.ctl("show", "prod/orders").out
    assert "1 object was changed outside of migrations; " in shown and "those of version 001" in shown
    assert "schema drift: column app.orders.note changed" in shown and "1 object was changed outside of migrations" in shown
    target = validate("target", d.json("show", "prod/orders"))
    condition = {c["type"]: c for c in target["conditions"]}["schema"]
    assert condition["status"] is False and condition["reason"] == "drift"
    row = d.json("status", "prod/orders")["targets"][0]
    assert row["state"] == "in_sync" and row["drift"] == 0, "a report, no drift that the daemon corrects"
    assert row["message"].startswith("in sync; 1 object was changed outside of migrations")
    assert d.ctl("check").code == 0
    assert w.fleet()["orders"]["schema"] == {"drift": 1, "differs": 0, "reference": None}
    assert "SCHEMA" in d.ctl("migrations").out and "drift 1" in d.ctl("migrations").out
    w.sql("ALTER TABLE app.orders ALTER note TYPE text")
    assert w.drift() == {}
    assert [e["object"] for e in w.events("schema_restored")] == ["column app.orders.note"]
    assert len(w.events("schema_drift")) == 1
    assert "as migrated" in d.ctl("migrations").out and "as migrations made it; " in d.ctl("show", "prod/orders").out
    assert d.metrics()['dbreconcile_schema_drift_objects{database="prod/orders"}'] == 0


@pytest.mark.majors(14, 18)
def test_a_migration_leaves_the_drift_that_it_does_not_touch(pg, daemon):
    w = Watched(pg, daemon, schema_drift_interval="1h")
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    w.sql("ALTER TABLE app.orders ADD COLUMN by_hand int; ALTER TABLE app.items ALTER name SET DEFAULT 'x'; DROP VIEW app.sums;")
    # found by the look before the migration at the latest, and not the migration's
    d.migration("app", "V002__more.sql", "ALTER TABLE app.orders ADD COLUMN by_migration int;\n"
                                         "ALTER TABLE app.items ALTER name TYPE varchar(50);\nCREATE TABLE app.more (id int);\n")
    wait_for(lambda: w.doc()["schema"]["baseline_version"] == "002", 20, "the look after the migration", d.log_tail)
    left = {"column app.orders.by_hand": ("added", {}), "view app.sums": ("removed", {}),
            "column app.items.name": ("changed", {"default": (None, "'x'::text")})}
    known = w.known()
    assert known.pop("column app.items.name")[0] == "changed", "its type is the migration's, its default is not"
    left.pop("column app.items.name")
    assert known == left
    d.migration("app", "V003__takes.sql", "ALTER TABLE app.orders DROP COLUMN by_hand;\nALTER TABLE app.items ALTER name DROP DEFAULT;\n"
                                          "CREATE VIEW app.sums AS SELECT 1 AS one;\n")
    wait_for(lambda: w.doc()["schema"]["baseline_version"] == "003", 20, "the look after the migration", d.log_tail)
    assert w.known() == {} and w.events("schema_baseline") == [], "nothing of it was lost"


@pytest.mark.majors(18)
def test_a_restart_keeps_the_baseline_and_what_ran_meanwhile_is_no_drift(pg, daemon):
    w = Watched(pg, daemon, schema_drift_interval="1h")
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    baseline = w.doc()["schema"]["baseline_at"]
    w.sql("CREATE TABLE app.by_hand (id int)")
    assert w.drift() == {"table app.by_hand": ("added", {})}
    d.stop()
    w.sql("DROP FUNCTION app.add(int, int)")
    d.start()
    both = {"table app.by_hand": ("added", {}), "function app.add(integer, integer)": ("removed", {})}
    assert w.drift() == both
    assert w.doc()["schema"]["baseline_at"] == baseline and w.events("schema_baseline") == []
    assert sorted(e["object"] for e in w.events("schema_drift")) == ["function app.add(integer, integer)", "table app.by_hand"]
    d.stop()
    # somebody else, who does not watch, migrates: the ledger says so
    d.migration("app", "V002__more.sql", "CREATE TABLE app.more (id int);\n")
    with open(d.config_file, encoding="utf-8") as file:
        config = file.read()
    d.write("dbreconciled.conf", config.replace("schema_drift = ", "#schema_drift = "))
    assert d.once().code == 0
    d.write("dbreconciled.conf", config)
    d.start()
    assert w.drift() == both and w.doc()["schema"]["baseline_version"] == "002"
    d.stop()
    os.unlink(d.state_file)
    d.start()
    assert w.drift() == {} and len(w.events("schema_baseline")) == 1, "nothing is known: what is there is the baseline, and that is said"


@pytest.mark.majors(14, 18)
def test_databases_at_one_version_that_differ_are_named(pg, daemon):
    names = ("a", "b", "c", "d")
    w = Watched(pg, daemon, names=names)
    d = w.daemon.start()
    d.wait_in_sync()
    d.reconcile()
    wait_for(lambda: all(w.doc(n)["schema"]["peers"] for n in names), 10, "they were compared", d.log_tail)
    assert {n: w.fleet()[n]["schema"]["differs"] for n in names} == dict.fromkeys(names, 0)
    # before the first look of a daemon that knows nothing: only the peers can tell
    d.stop()
    os.unlink(d.state_file)
    w.sql("DROP INDEX app.items_name", "c")
    w.sql("ALTER TABLE app.orders ALTER note SET DEFAULT 'x'", "c")
    d.start()
    row = wait_for(lambda: w.fleet()["c"]["schema"] and w.fleet()["c"]["schema"]["differs"] and w.fleet()["c"]["schema"], 20, "c differs",
                   d.log_tail)
    assert row == {"drift": 0, "differs": 2, "reference": "prod/a"}
    peers = w.doc("c")["schema"]["peers"]
    assert peers["databases"] == 4 and peers["reference"] == "prod/a"
    assert [(c["kind"], c["name"], c["change"]) for c in peers["changes"]] == [
        ("column", "app.orders.note", "changed"), ("index", "app.items_name", "removed")]
    assert {n: w.fleet()[n]["schema"]["differs"] for n in "abd"} == {"a": 0, "b": 0, "d": 0}
    assert "differs from prod/a: index app.items_name removed" in d.ctl("migrations", "prod/c").out
    assert "differs 2" in d.ctl("migrations").out
    assert d.metrics()['dbreconcile_schema_peer_differences{database="prod/c"}'] == 2
    told = [e["object"] for e in w.events("schema_differs", "c")]
    assert told == ["2 objects differ from prod/a"]
    assert not any(w.events("schema_differs", n) for n in "abd")
    w.sql("CREATE INDEX items_name ON app.items (name)", "c")
    w.sql("ALTER TABLE app.orders ALTER note DROP DEFAULT", "c")
    d.reconcile("prod/c")
    wait_for(lambda: w.fleet()["c"]["schema"]["differs"] == 0, 10, "c is like the others again", d.log_tail)
    assert len(w.events("schema_alike", "c")) == 1


@pytest.mark.majors(18)
def test_accept_schema_makes_what_is_there_the_baseline(pg, daemon):
    w = Watched(pg, daemon)
    d = w.daemon.start()
    d.wait_in_sync()
    refused = d.ctl("migrations", "prod/orders", "accept-schema", expect=5)
    assert "nothing to accept" in refused.err or "not looked at yet" in refused.err
    w.sql("CREATE TABLE app.by_hand (id int)")
    assert w.drift() == {"table app.by_hand": ("added", {})}
    mark = pg.log_mark()
    assert "accepted" in d.ctl("migrations", "prod/orders", "accept-schema", expect=0).out
    assert w.known() == {} and w.drift() == {}
    told = w.events("schema_accepted")
    assert [e["object"] for e in told] == ["table app.by_hand"] and told[0]["actor"].startswith("uid ")
    assert w.events("schema_restored") == []
    w.sql("DROP TABLE app.by_hand")
    assert w.drift() == {"table app.by_hand": ("removed", {})}
    assert pg.changes(mark) == []
    assert "not watched" in d.ctl("migrations", "prod", "accept-schema", expect=5).err


@pytest.mark.majors(18)
def test_off_asks_nothing(pg, daemon):
    w = Watched(pg, daemon, schema_drift=None, schema_drift_interval=None)
    d = w.daemon.start()
    d.wait_in_sync()
    mark = pg.log_mark()
    d.reconcile()
    assert not [text for _, _, text in pg.statements(mark) if "pg_get_viewdef" in text]
    doc = w.doc()
    assert doc["schema"] is None and doc["schema_drift"] == []
    assert w.fleet()["orders"]["schema"] is None and "SCHEMA" not in d.ctl("migrations").out
    assert not [name for name in d.metrics() if "schema_drift" in name]
    assert "not watched" in d.ctl("migrations", "prod/orders", "accept-schema", expect=5).err


@pytest.mark.majors(18)
def test_all_schemas_without_the_ledger_and_without_what_is_ignored(pg, daemon):
    w = Watched(pg, daemon, schema_drift="*", schema_drift_ignore=["app.events_*", "staging.*"])
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    w.sql("CREATE TABLE app.events_2 PARTITION OF app.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    w.sql("CREATE SCHEMA staging; CREATE TABLE staging.x (id int PRIMARY KEY, n int); CREATE INDEX ON staging.x (n)")
    w.sql('CREATE TABLE public."Odd ""name""\t" (id int)')
    assert w.drift() == {'table public."Odd ""name""\t"': ("added", {})}


@pytest.mark.majors(18)
def test_a_look_that_cannot_be_made_says_so_and_stops_nothing(pg, daemon):
    w = Watched(pg, daemon, daemon={"lock_timeout": "200ms"})
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    with pg.connect(dbname="orders", autocommit=False) as other:
        other.cursor().execute("LOCK TABLE app.orders IN ACCESS EXCLUSIVE MODE")
        w.drift()
        assert "lock timeout" in w.doc()["schema"]["error"]
        assert d.json("status", "prod/orders")["targets"][0]["state"] == "in_sync"
        assert "not looked at" in d.ctl("migrations", "prod/orders").out
        other.rollback()
    w.sql("CREATE TABLE app.by_hand (id int)")
    assert w.drift() == {"table app.by_hand": ("added", {})}
    assert w.doc()["schema"]["error"] is None


@pytest.mark.majors(18)
def test_the_ledger_of_another_tool_says_when_it_migrated(pg, daemon):
    w = Watched(pg, daemon, files={"000001_one.up.sql": "CREATE TABLE app.one (id int);\n", "000002_two.up.sql": "CREATE TABLE app.two (id int);\n"},
                format="golang-migrate", user=None, schema_drift_interval="1h")
    w.sql("CREATE SCHEMA app; CREATE TABLE app.one (id int);"
          "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (1, false)")
    d = w.daemon.start()
    wait_for(lambda: w.doc()["schema"] and w.doc()["schema"]["looked_at"], 20, "the first look", d.log_tail)
    assert len(w.events("schema_baseline")) == 1
    w.sql("ALTER TABLE app.one ADD COLUMN by_hand int")
    assert w.drift() == {"column app.one.by_hand": ("added", {})}
    w.sql("CREATE TABLE app.two (id int); UPDATE schema_migrations SET version = 2")
    wait_for(lambda: w.doc()["schema"]["baseline_version"] != "000001" and "2" in (w.doc()["schema"]["baseline_version"] or ""), 20,
             "the ledger has moved: what came since the last look is its migrations'", d.log_tail)
    assert w.known() == {"column app.one.by_hand": ("added", {})}


@pytest.mark.majors(18)
def test_what_another_runner_has_half_done_is_no_drift(pg, daemon):
    """Flyway holds its lock while it runs what cannot be one transaction; the row comes last."""
    w = Watched(pg, daemon, schema_drift_interval="1h")
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    flyway = pg.connect(dbname="orders", application_name="Flyway")
    with flyway.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (FLYWAY_KEY + java_hash('"dbreconcile"."migration_ledger"'),))
        cursor.execute("CREATE INDEX CONCURRENTLY items_order ON app.items (order_id)")
        assert w.drift() == {} and "lock of the ledger" in w.doc()["schema"]["error"]
        cursor.execute("INSERT INTO dbreconcile.migration_ledger VALUES (2, '002', 'index', 'SQL', 'V002__index.sql', 5, 'flyway', now(), 5, true)")
        cursor.execute("SELECT pg_advisory_unlock_all()")
    flyway.close()
    assert w.drift() == {} and w.doc()["schema"]["error"] is None
    w.sql("DROP INDEX app.items_order")
    assert w.drift() == {"index app.items_order": ("removed", {})}, "it was the migration's"


@pytest.mark.majors(18)
def test_killed_between_migration_and_look(pg, daemon):
    """kill -9 while files run: whatever the next daemon finds, the ledger explains it."""
    files = {f"V{n:03}__{n}.sql": f"CREATE TABLE app.t{n} (id int);\nSELECT pg_sleep(0.01);\n" for n in range(2, 60)}
    w = Watched(pg, daemon, schema_drift_interval="1h")
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    w.sql("DROP FUNCTION app.add(int, int)")
    assert len(w.drift()) == 1
    for name, text in files.items():
        d.migration("app", name, text)
    wait_for(lambda: pg.value("SELECT count(*) > 10 FROM dbreconcile.migration_ledger", dbname="orders"), 20, "some have run", d.log_tail)
    d.kill()
    d.start()
    wait_for(lambda: (w.doc()["schema"] or {}).get("baseline_version") == "059", 30, "all have run, and were looked at", d.log_tail)
    assert w.known() == {"function app.add(integer, integer)": ("removed", {})}
    assert [e["object"] for e in w.events("schema_drift")] == ["function app.add(integer, integer)"]


@pytest.mark.majors(18)
def test_databases_and_settings_come_and_go(pg, daemon):
    for name in ("tenant_1", "tenant_2", "tenant_3", "tenant_4"):
        pg.create_database(name)
    settings = {"directory": "app", "user": "migrator", "schema_drift": ["app"], "schema_drift_interval": "1s"}
    d = daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                "databases": ({"match": "tenant_*", "manifests": ["app"], "migrations": settings},)},
               {"platform": PLATFORM, "app": APP}, {"app": FILES}).start()
    rows = lambda: {r["target"].split("_")[-1]: r["schema"] and r["schema"]["differs"] for r in d.json("migrations", "--all")["targets"]}
    wait_for(lambda: set(rows()) == set("1234"), 20, "all were found", d.log_tail)
    d.wait_in_sync()
    wait_for(lambda: rows() == {"1": 0, "2": 0, "3": 0, "4": 0}, 20, "all are alike", d.log_tail)
    for name in ("tenant_1", "tenant_4"):
        pg.sql("DROP TYPE app.pair", dbname=name)
    pg.sql("DROP TYPE app.pair; CREATE TABLE app.x ()", dbname="tenant_3")
    wait_for(lambda: rows() == {"1": 0, "2": 1, "3": 1, "4": 0}, 20, "most have no type any more, one has it, and one has a table", d.log_tail)
    pg.sql("DROP DATABASE tenant_4 WITH (FORCE)")
    pg.create_database("tenant_5")
    wait_for(lambda: rows() == {"1": 1, "2": 0, "3": 2, "5": 0}, 30, "one came, one went: those that are as migrated are most", d.log_tail)
    with open(d.config_file, encoding="utf-8") as file:
        config = file.read()
    d.write("dbreconciled.conf", config.replace("schema_drift = ", "#schema_drift = "))
    d.reload()
    wait_for(lambda: set(rows().values()) == {None}, 20, "nobody is watched", d.log_tail)
    pg.sql("CREATE TABLE app.y ()", dbname="tenant_2")
    d.write("dbreconciled.conf", config)
    d.reload()
    wait_for(lambda: rows() == {"1": 1, "2": 1, "3": 2, "5": 0}, 30, "watched again, with the baseline from before", d.log_tail)
    drift = lambda: {r["target"]: r["schema"]["drift"] for r in d.json("migrations", "--all")["targets"]}
    wait_for(lambda: drift() == {"prod/tenant_1": 1, "prod/tenant_2": 1, "prod/tenant_3": 2, "prod/tenant_5": 0}, 20, "their drift", d.log_tail)


@pytest.mark.majors(18)
def test_who_takes_the_new_settings_last_is_set_beside_the_others_too(pg, daemon):
    """A pass that was under way at the reload ends with the settings it began with; meanwhile the others were compared."""
    for name in ("tenant_1", "tenant_2", "tenant_3"):
        pg.create_database(name)
    settings = {"directory": "app", "user": "migrator", "schema_drift": ["app"], "schema_drift_interval": "1s"}
    d = daemon({"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                "databases": ({"match": "tenant_*", "manifests": ["app"], "migrations": settings},)},
               {"platform": PLATFORM, "app": APP}, {"app": FILES}, daemon={"lock_timeout": "60s"}).start()

    def beside():
        schemas = [d.json("migrations", f"prod/tenant_{n}")["schema"] for n in "123"]
        return [schema and schema["peers"] and schema["peers"]["databases"] for schema in schemas]

    def wait_beside(wanted, what):
        wait_for(lambda: beside() == wanted, 20, what, lambda: str(beside()) + d.log_tail())

    d.wait_in_sync()
    wait_beside([3, 3, 3], "all are beside each other")
    with open(d.config_file, encoding="utf-8") as file:
        config = file.read()
    d.write("dbreconciled.conf", config.replace("schema_drift = ", "#schema_drift = "))
    d.reload()
    wait_beside([None, None, None], "nobody is watched")
    other = pg.connect("tenant_1", autocommit=False)
    other.cursor().execute("LOCK TABLE pg_catalog.pg_policy")
    d.ctl("reconcile", "prod/tenant_1", expect=0)
    wait_for(lambda: pg.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 20, "its pass waits", d.log_tail)
    d.write("dbreconciled.conf", config)
    d.reload()
    wait_beside([None, 3, 3], "those without a pass under way say what they are beside")
    other.rollback()
    other.close()
    wait_beside([3, 3, 3], "all are again")


@pytest.mark.majors(18)
def test_a_look_that_costs_the_connection_is_not_made_again_at_once(pg, daemon):
    """The pass fails with it; the next ones go on without, so that nothing else waits for it."""
    w = Watched(pg, daemon, daemon={"lock_timeout": "60s"})
    d = w.daemon.start()
    d.wait_in_sync()
    assert w.drift() == {}
    other = pg.connect(dbname="orders", autocommit=False)
    other.cursor().execute("LOCK TABLE app.orders IN ACCESS EXCLUSIVE MODE")
    w.sql("CREATE TABLE public.x ()")      # where nothing is written at all nobody looks
    waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dbreconciled' AND wait_event_type = 'Lock' AND datname = 'orders'"
    (pid,), = wait_for(lambda: pg.sql(waiting), 20, "the look waits for the lock", d.log_tail)
    pg.sql(f"SELECT pg_terminate_backend({pid})")
    wait_for(lambda: d.json("status", "prod/orders")["targets"][0]["pass_failures"] == 1, 20, "a pass has failed", d.log_tail)
    d.wait_in_sync()
    pg.sql("ALTER SCHEMA app OWNER TO postgres", dbname="orders")
    wait_for(lambda: pg.value("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'app'", dbname="orders") == "migrator", 20,
             "corrected, while the lock is held", d.log_tail)
    assert "connection" in w.doc()["schema"]["error"]
    other.rollback()
    other.close()
    assert w.drift() == {} and w.doc()["schema"]["error"] is None
