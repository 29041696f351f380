# SPDX-License-Identifier: PostgreSQL
"""What the lint says of a statement is what the server does: the locks it names beside those that the statement takes."""

import psycopg2
import pytest

PLATFORM = 'roles: ( { name = "migrator"; login = true; } );\n'
ORDERS = 'schemas: ( { name = "app"; owner = "migrator"; } );\n'

SETUP = """
CREATE TABLE app.o (id int PRIMARY KEY);
CREATE TABLE app.t (id int PRIMARY KEY, a int CONSTRAINT t_o REFERENCES app.o, b int, c text, CONSTRAINT t_b CHECK (b > 0) NOT VALID);
CREATE INDEX t_c ON app.t (c);
CREATE TABLE app.child (id int REFERENCES app.o);
CREATE TABLE app.lone (id int PRIMARY KEY);
CREATE TABLE app.leaf (id int REFERENCES app.lone);
CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER g BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.f();
CREATE POLICY p ON app.t USING (true);
CREATE RULE r AS ON UPDATE TO app.t DO NOTHING;
CREATE VIEW app.v AS SELECT id FROM app.o;
CREATE MATERIALIZED VIEW app.m AS SELECT id FROM app.o;
CREATE UNIQUE INDEX m_id ON app.m (id);
CREATE SEQUENCE app.s;
CREATE DOMAIN app.d AS int;
CREATE TABLE app.o2 (id app.d);
CREATE TABLE app.part (id int) PARTITION BY LIST (id);
CREATE TABLE app.part_1 PARTITION OF app.part FOR VALUES IN (1);
CREATE TABLE app.part_2 (id int);
CREATE INDEX part_id ON ONLY app.part (id);
CREATE INDEX part_1_id ON app.part_1 (id);
"""

# No more than 50: so many files are linted. Relations in the third column are locked in the mode of the fourth besides, and the words of the finding say which they are.
STATEMENTS = (
    ("ALTER TABLE app.t ADD d int",),
    ("ALTER TABLE app.t ALTER b SET STATISTICS 10",),
    ("ALTER TABLE app.t ALTER b SET NOT NULL",),
    ("ALTER TABLE app.t ADD FOREIGN KEY (b) REFERENCES app.o",),
    ("ALTER TABLE app.t VALIDATE CONSTRAINT t_b",),
    ("ALTER TABLE app.t SET (fillfactor = 70)",),
    ("ALTER TABLE app.t REPLICA IDENTITY FULL",),
    ("ALTER TABLE app.t ENABLE ROW LEVEL SECURITY",),
    ("ALTER TABLE app.t DISABLE TRIGGER g",),
    ("ALTER TABLE app.t DISABLE TRIGGER USER",),
    ("ALTER TABLE app.t ENABLE ALWAYS TRIGGER g",),
    ("ALTER TABLE app.t ENABLE REPLICA TRIGGER g",),
    ("ALTER TABLE app.t DISABLE RULE r",),
    ("ALTER TABLE app.t DROP CONSTRAINT t_o", "a foreign key", "app.o", "ACCESS EXCLUSIVE"),
    ("ALTER TABLE app.t DROP COLUMN a", "foreign key", "app.o", "ACCESS EXCLUSIVE"),
    ("DROP TABLE app.child", "foreign keys", "app.o", "ACCESS EXCLUSIVE"),
    ("CREATE TRIGGER h BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.f()",),
    ("ALTER TRIGGER g ON app.t RENAME TO i",),
    ("DROP TRIGGER g ON app.t",),
    ("ALTER POLICY p ON app.t USING (false)",),
    ("DROP POLICY p ON app.t",),
    ("CREATE RULE s AS ON DELETE TO app.t DO NOTHING",),
    ("DROP RULE r ON app.t",),
    ("CREATE INDEX ON app.t (b)",),
    ("ALTER INDEX app.t_c SET (fillfactor = 70)",),
    ("ALTER INDEX app.part_id ATTACH PARTITION app.part_1_id",),
    ("ALTER TABLE app.part ATTACH PARTITION app.part_2 FOR VALUES IN (2)",),
    ("ALTER TABLE app.part DETACH PARTITION app.part_1",),
    ("CREATE TABLE app.part_3 PARTITION OF app.part FOR VALUES IN (3)",),
    ("CREATE TABLE app.n (id int REFERENCES app.o)",),
    ("CREATE OR REPLACE VIEW app.v AS SELECT id FROM app.o WHERE id > 0",),
    ("ALTER VIEW app.v SET (security_barrier = true)",),
    ("DROP VIEW app.v",),
    ("REFRESH MATERIALIZED VIEW app.m",),
    ("ALTER SEQUENCE app.s RESTART",),
    ("ALTER SEQUENCE app.s OWNED BY app.t.id",),
    ("TRUNCATE app.child",),
    ("TRUNCATE app.lone CASCADE", "CASCADE: so is every row of the tables", "app.leaf", "ACCESS EXCLUSIVE"),
    ("ALTER TABLE app.lone ALTER id TYPE bigint", "of a foreign key", "app.leaf", "ACCESS EXCLUSIVE"),
    ("COMMENT ON TABLE app.t IS 'x'",),
    ("ALTER DOMAIN app.d ADD CHECK (value > 0)", "of the domain", "app.o2", "SHARE"),
    ("ALTER DOMAIN app.d SET NOT NULL", "of the domain", "app.o2", "SHARE"),
    ("ALTER DOMAIN app.d ADD CHECK (value > 0) NOT VALID",),
    # nobody uses what is not there
    ("DROP TABLE IF EXISTS app.nowhere",),
    ("CREATE OR REPLACE VIEW app.new_view AS SELECT 1 AS a",),
    ("CREATE SEQUENCE app.new_sequence; ALTER SEQUENCE app.new_sequence OWNED BY app.child.id",),
    ("GRANT SELECT ON app.t TO PUBLIC",),
    # what comes after these has other names
    ("ALTER INDEX app.t_c RENAME TO t_cc",),
    ("ALTER SEQUENCE app.s RENAME TO q",),
    ("ALTER TABLE app.t RENAME TO u",),
)

ORDER = ("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")
BLOCKING = ORDER[4:]


def strongest(pairs):
    """{relation: the strongest mode of those that block writes}"""
    found = {}
    for relation, mode in pairs:
        if mode in BLOCKING and ORDER.index(mode) >= ORDER.index(found.get(relation, "ACCESS SHARE")):
            found[relation] = mode
    return found


def taken(connection, statement, known):
    """The locks of the statement on relations that were there before; it is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        # locks of what the statement dropped are those of names that are gone: so the names are looked up elsewhere
        cursor.execute("SELECT relation::bigint, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'")
        rows = cursor.fetchall()
    connection.rollback()
    words = {mode.replace(" ", "").lower() + "lock": mode for mode in ORDER}
    return strongest((known[oid], words[mode.lower()]) for oid, mode in rows if oid in known)


@pytest.mark.majors(14, 18)
def test_the_locks_that_are_named_are_those_that_are_taken(pg, daemon):
    pg.create_database("orders")
    d = daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], "databases": (
                   {"name": "orders", "manifests": ["orders"], "migrations": {"directory": "orders", "user": "migrator"}},)},
               manifests={"platform": PLATFORM, "orders": ORDERS}, migrations={"orders": {"V1__setup.sql": SETUP}})
    assert d.once().code == 0, d.log_tail()
    for i, row in enumerate(STATEMENTS, 2):
        d.migration("orders", f"V{i}__s.sql", row[0] + ";\n")
    d.start("--observe")
    d.reconcile(expect=(0, 1))
    shown = {int(m["version"]): m["lint"] for m in d.json("migrations", "prod/orders", expect=0)["migrations"]}
    known = dict(pg.sql("SELECT c.oid::bigint, 'app.' || relname FROM pg_class c WHERE relnamespace = 'app'::regnamespace "
                        "AND relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I')", dbname="orders"))
    indexes = {row[0] for row in pg.sql("SELECT 'app.' || relname FROM pg_class WHERE relkind IN ('i', 'I')", dbname="orders")}
    connection = psycopg2.connect(host=pg.host, port=pg.port, dbname="orders", user="migrator")
    wrong = []
    try:
        for i, (statement, *besides) in enumerate(STATEMENTS, 2):
            said = strongest((f"{f['schema']}.{f['relation']}", f["lock"]) for f in shown[i])
            if besides and any(besides[0] in f["message"] for f in shown[i]):
                said[besides[1]] = besides[2]
            # who is kept from an index is kept from its table, too: it is named only where the statement names it
            locks = {name: mode for name, mode in taken(connection, statement, known).items() if name in said or name not in indexes}
            if said != locks:
                wrong.append(f"{statement}: said {said}, taken {locks}")
    finally:
        connection.close()
    assert not wrong, "\n".join(wrong)
