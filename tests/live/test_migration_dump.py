# SPDX-License-Identifier: PostgreSQL
"""How many a team begins: what pg_dump wrote of the database that is there is the first migration, as it is. Afterwards pg_dump writes the same
of the new database."""

import re
import shutil
import subprocess

import pytest
from test_migrations import Team

# What a dump is full of and splitters stumble over: bodies, quotes of all kinds, data that looks like statements, COPY with escapes.
SOURCE = r"""
CREATE SCHEMA app;
SET search_path = app;
CREATE TYPE mood AS ENUM ('sad;', 'o''k', 'größe');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE floatrange AS RANGE (subtype = float8);
CREATE DOMAIN email AS text CHECK (VALUE ~ '^[^;]+@.*$') DEFAULT 'a@b;--';
CREATE SEQUENCE numbers INCREMENT 7 MINVALUE -5 START 2 CYCLE;
CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS $_$ SELECT $1 + $2; -- ; $$ $_$;
CREATE FUNCTION atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 ELSE 0 END; SELECT a + 1; END;
CREATE PROCEDURE twice(INOUT x int) LANGUAGE plpgsql AS $body$ BEGIN
    x := x * 2; /* COMMIT; */
    IF x > 100 THEN RAISE NOTICE 'COMMIT; %', $q$;$q$; END IF;
END $body$;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION eq(a pair, b pair) RETURNS bool LANGUAGE sql AS $$ SELECT a.a = b.a $$;
CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = eq);
CREATE COLLATION german (provider = icu, locale = 'de-DE');
CREATE TEXT SEARCH CONFIGURATION cfg (COPY = simple);
CREATE TABLE "odd ""name"";" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "select" text COLLATE german NOT NULL DEFAULT E'it\'s;\n--',
    m mood, p pair, e email, j jsonb DEFAULT '{"a": ";"}', sum int GENERATED ALWAYS AS (add(1, 2)) STORED, a int[] DEFAULT '{1,2}',
    CONSTRAINT "check;" CHECK ("select" <> ';' AND add(1) > 0));
CREATE TABLE child (n bigserial, parent int REFERENCES "odd ""name"";" ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, during tstzrange,
    EXCLUDE USING gist (during WITH &&));
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE TABLE heir (extra text) INHERITS (parts_2026_base);
CREATE INDEX ON parts (id) INCLUDE (at);
CREATE INDEX "index;" ON "odd ""name"";" (lower("select")) WHERE m <> 'sad;';
CREATE STATISTICS st (ndistinct) ON id, at FROM parts_2026;
CREATE VIEW names WITH (security_barrier) AS SELECT "select", 'a;b' AS c FROM "odd ""name"";" WHERE id > 0 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM child;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."select" := ''x;''; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON "odd ""name"";" FOR EACH ROW WHEN (OLD.id > 5) EXECUTE FUNCTION touch();
CREATE RULE r AS ON INSERT TO parts_rest WHERE (new.id < 0) DO INSTEAD (SELECT 1; SELECT 2;);
ALTER TABLE child ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p;" ON child AS RESTRICTIVE FOR SELECT USING (parent > 0);
COMMENT ON TABLE child IS 'it''s; a "comment" -- $$ /* with \ all';
COMMENT ON FUNCTION add(int, int) IS $$x$$;
INSERT INTO "odd ""name"";" ("select", m, p, e, j, a) SELECT chr(i) || E'\\.\n\\N;\t' || i, (enum_range(NULL::mood))[1 + i % 3], row(i, 'x,"y')::pair,
    'a' || i || '@b', jsonb_build_object('k', chr(i)), ARRAY[i, NULL] FROM generate_series(1, 300) i WHERE i NOT BETWEEN 128 AND 160;
INSERT INTO child (parent, during) SELECT i, tstzrange(date '2020-01-01' + i, date '2020-01-01' + i + 1) FROM generate_series(1, 50) i;
INSERT INTO parts SELECT i, date '2025-12-01' + i FROM generate_series(1, 60) i;
INSERT INTO child (parent) VALUES (NULL);
SELECT nextval('numbers'), nextval('numbers');
REFRESH MATERIALIZED VIEW counted;
""".replace("parts_2026_base", "base").replace("CREATE TABLE heir", "CREATE TABLE base (id int NOT NULL); CREATE TABLE heir")
PROGRAM = shutil.which("pg_dump", path="/usr/lib/postgresql/15/bin:/usr/bin")


def dump(pg, dbname, *options):
    done = subprocess.run([PROGRAM, "-h", pg.host, "-p", "5432", "-U", "postgres", "--no-owner", "-n", "app", *options, dbname],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def comparable(text):
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", text)


@pytest.mark.majors(15)
@pytest.mark.parametrize("directive", ["", "-- dbreconcile:transaction=false\n"], ids=["one transaction", "statement by statement"])
@pytest.mark.parametrize("options", [(), ("--inserts",), ("--column-inserts", "--quote-all-identifiers")],
                         ids=["copy", "inserts", "quoted"])
def test_a_dump_is_a_migration(pg, daemon, options, directive):
    pg.create_database("source", SOURCE)
    text = dump(pg, "source", *options)
    pg.sql("CREATE ROLE migrator LOGIN")
    made = Team(pg, daemon, {"V1__dump.sql": directive + text, "V2__after.sql": "CREATE TABLE app.after_all ();"},
                prepare=("GRANT CREATE ON DATABASE orders TO migrator",))
    made.daemon.write("manifests/orders.conf", 'schemas: ( { name = "dbreconcile"; owner = "migrator"; } );')
    result = made.daemon.once()
    assert result.code == 0, (result.out, result.err)
    assert made.ledger("version, success") == [("1", True), ("2", True)]
    pg.sql("DROP TABLE app.after_all", dbname="orders")
    assert comparable(dump(pg, "orders", *options)).splitlines() == comparable(text).splitlines()
