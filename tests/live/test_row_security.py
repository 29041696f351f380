# SPDX-License-Identifier: PostgreSQL
"""Row security: flags and policies are made, compared by meaning, and never weakened without approval."""

import pytest

ROLES = """
roles: ( { name = "owner_role"; login = false; }, { name = "reader"; login = true; }, { name = "writer"; login = true; } );
"""

# As people write them. The server prints each of these differently.
EXPRESSIONS = [
    "owner = current_user",
    "owner IN ('a', 'b')",
    "kind in ('x')",
    "n between 1 and 10 AND NOT hidden",
    "(((n > 0)))",
    "n + 1 * 2 > 3 OR hidden IS TRUE",
    "coalesce(owner, '') <> '' -- who",
    "created > '2026-01-01'::date",
    "id = ANY (ARRAY[1, 2, 3])",
    "EXISTS (SELECT 1 FROM app.allowed a WHERE a.id = t.id)",
    "owner LIKE 'a%' AND length(owner) < 10",
    "CASE WHEN n > 1 THEN true ELSE hidden END",
    "doc ->> 'team' = current_setting('app.team', true)",
]

TABLE = ("CREATE TABLE app.t (id int, owner text, kind varchar(10), n int, hidden bool, created date, doc jsonb)",
         "CREATE TABLE app.allowed (id int)")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def manifest(policies, enable="true", force="false"):
    rows = ",\n".join(
        f'{{ name = "{name}"; command = "{command}"; to = [ "reader" ]; using = {quoted(using)}; }}' for name, command, using in policies)
    return f"""
row_security: ( {{ table = "app.t"; enable = {enable}; force = {force}; policies = ( {rows} ); }} );
"""


@pytest.fixture
def start(pg, daemon):
    pg.sql("DO $$ BEGIN CREATE ROLE owner_role; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    pg.create_database("orders", "CREATE SCHEMA app AUTHORIZATION owner_role", *TABLE)

    def begin(text):
        return daemon(servers={"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"],
                               "databases": ({"name": "orders", "manifests": ["orders"]},)},
                      manifests={"platform": ROLES, "orders": text}).start()
    return begin


def policies(pg):
    return pg.sql("SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY polname", dbname="orders")


def test_expressions_are_compared_by_meaning(pg, start):
    wanted = [(f"p{i}", "SELECT", e) for i, e in enumerate(EXPRESSIONS)]
    d = start(manifest(wanted))
    d.wait_in_sync()
    made = policies(pg)
    assert len(made) == len(EXPRESSIONS)
    assert pg.value("SELECT relrowsecurity FROM pg_class WHERE oid = 'app.t'::regclass", dbname="orders")
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []
    assert policies(pg) == made
    assert d.ctl("diff", expect=0)


@pytest.mark.majors(14, 18)
def test_a_changed_policy_is_altered_in_place(pg, start):
    """Somebody lets everybody see everything: that is corrected like any drift, and the policy stays the same one."""
    d = start(manifest([("mine", "ALL", "owner = current_user")]))
    d.wait_in_sync()
    before = pg.value("SELECT oid FROM pg_policy", dbname="orders")
    pg.sql("ALTER POLICY mine ON app.t TO PUBLIC USING (true)", dbname="orders")
    d.reconcile()
    assert policies(pg) == [("mine", "(owner = CURRENT_USER)")]
    assert pg.sql("SELECT oid, polroles::regrole[]::text FROM pg_policy", dbname="orders") == [(before, "{reader}")]
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


@pytest.mark.majors(15)
def test_a_policy_of_another_command_is_replaced_within_the_budget_for_drops(pg, start):
    d = start(manifest([("mine", "SELECT", "owner = current_user")]))
    d.wait_in_sync()
    pg.sql("DROP POLICY mine ON app.t; CREATE POLICY mine ON app.t FOR ALL TO reader USING (owner = current_user)", dbname="orders")
    d.ctl("reconcile", "--wait", expect=1)
    assert [c["state"] for c in d.json("diff", "prod/orders", expect=1)["plans"][0]["changes"]] == ["held"]
    with open(d.config_file, encoding="utf-8") as file:
        d.write("dbreconciled.conf", file.read() + "guard: { max_drops = 1; };\n")
    d.reload()
    d.wait_in_sync()
    assert pg.value("SELECT polcmd FROM pg_policy", dbname="orders") == "r"


def test_parentheses_that_matter_are_seen(pg, start):
    d = start(manifest([("p", "SELECT", "hidden OR n > 1 AND n < 5")]))
    d.wait_in_sync()
    pg.sql("ALTER POLICY p ON app.t USING ((hidden OR n > 1) AND n < 5)", dbname="orders")
    d.reconcile()
    assert policies(pg) == [("p", "(hidden OR ((n > 1) AND (n < 5)))")]


@pytest.mark.majors(14, 18)
def test_disabling_is_held_enabling_is_not(pg, start):
    d = start(manifest([("p", "SELECT", "n > 0")], force="true"))
    d.wait_in_sync()
    pg.sql("ALTER TABLE app.t DISABLE ROW LEVEL SECURITY", dbname="orders")
    d.reconcile()
    assert pg.value("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = 'app.t'::regclass", dbname="orders")
    d.manifest("orders", manifest([("p", "SELECT", "n > 0")], enable="false", force="true"))
    d.reload()
    d.ctl("reconcile", "--wait")
    assert d.json("diff", "prod/orders", expect=1)["plans"][0]["summary"]["held"] == 1
    assert pg.value("SELECT relrowsecurity FROM pg_class WHERE oid = 'app.t'::regclass", dbname="orders")


@pytest.mark.majors(15)
def test_a_policy_for_a_role_that_is_not_there_is_not_tried(pg, start):
    mark = pg.log_mark()
    d = start('row_security: ( { table = "app.t"; policies = ( { name = "p"; to = [ "reader", "nobody_made_it" ]; using = "true"; } ); } );\n')
    assert d.ctl("reconcile", "--wait").code == 5
    assert "role nobody_made_it does not exist on this server" in d.ctl("diff").out
    pg.sql("CREATE ROLE nobody_made_it")
    d.reconcile()
    assert policies(pg) == [("p", "true")]
    assert not [line for line in pg.log_since(mark).splitlines() if "ERROR:" in line]


@pytest.mark.majors(15)
@pytest.mark.parametrize("policy", ['to = [ "reader", "nobody_made_it" ]; using = "true"', 'using = "no_such_column > 1"'])
def test_row_security_is_not_switched_on_without_its_policies(pg, start, policy):
    """A table that shows nobody anything because its policy could not be made is an outage."""
    d = start('row_security: ( { table = "app.t"; enable = true; force = true; policies = ( '
              '{ name = "p"; to = "writer"; using = "true"; }, { name = "q"; ' + policy + '; } ); } );\n')
    assert d.ctl("reconcile", "--wait").code == 5
    assert pg.sql("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'app.t'::regclass", dbname="orders") == [(False, False)]


@pytest.mark.majors(15)
def test_a_policy_that_nobody_declared_is_told(pg, start):
    d = start('authority = "exact";\ngrants: ( );\n' + manifest([("mine", "SELECT", "n > 0")]))
    d.wait_in_sync()
    pg.sql("CREATE POLICY everything ON app.t USING (true)", dbname="orders")
    d.reconcile()
    assert "policy everything, which no manifest declares" in d.ctl("show", "prod/orders").out
    assert [name for name, _ in policies(pg)] == ["everything", "mine"]
