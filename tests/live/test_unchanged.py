# SPDX-License-Identifier: PostgreSQL
"""A look that finds what the one before found is not compared again; whatever else a plan stands on is noticed all the same."""
import datetime
import re

import pytest

from dbr import wait_for

ROLES = """
roles: ( { name = "reader"; login = true; connection_limit = 7; %s }, { name = "owner"; }, { name = "team"; } );
memberships: ( { role = "team"; members = [ "reader" ]; %s } );
"""
GRANTS = """
schemas: ( { name = "app"; owner = "owner"; } );
grants: ( { to = "reader"; schema = "app"; level = "read-only"; } );
"""


def unchanged(d, target):
    text = d.metrics_http().text
    found = re.search(r'(?m)^dbreconcile_looks_unchanged_total\{[^}]*"%s"[^}]*\} (\d+)' % target, text)
    assert found, text
    return int(found.group(1))


def begin(pg, daemon, role="", membership="", **more):
    pg.create_database("orders")
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "manifests": ["roles"], "keep_connections": 1,
                        "databases": [{"name": "orders", "manifests": ["grants"]}]},
               manifests={"roles": ROLES % (role, membership), "grants": GRANTS}, daemon={"interval": "1h"}, **more).start()
    d.reconcile()
    pg.sql("CREATE TABLE app.t (id int, name text); GRANT SELECT ON app.t TO reader", dbname="orders")
    d.reconcile()
    d.reconcile()
    return d


DRIFT = [
    ("orders", "REVOKE SELECT ON app.t FROM reader", "SELECT has_table_privilege('reader', 'app.t', 'SELECT')"),
    ("orders", "REVOKE USAGE ON SCHEMA app FROM reader", "SELECT has_schema_privilege('reader', 'app', 'USAGE')"),
    ("orders", "CREATE TABLE app.u (id int); REVOKE ALL ON app.u FROM reader", "SELECT has_table_privilege('reader', 'app.u', 'SELECT')"),
    ("orders", "ALTER SCHEMA app OWNER TO team", "SELECT nspowner = 'owner'::regrole FROM pg_namespace WHERE nspname = 'app'"),
    ("postgres", "ALTER ROLE reader NOLOGIN", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'reader'"),
    ("postgres", "ALTER ROLE reader CONNECTION LIMIT 8", "SELECT rolconnlimit = 7 FROM pg_roles WHERE rolname = 'reader'"),
    ("postgres", "REVOKE team FROM reader", "SELECT pg_has_role('reader', 'team', 'MEMBER')"),
]


@pytest.mark.majors(14, 18)
def test_what_is_found_again_is_counted_and_what_differs_is_corrected(pg, daemon):
    d = begin(pg, daemon)
    for database, drift, corrected in DRIFT:
        before = unchanged(d, "s"), unchanged(d, "s/orders")
        mark = pg.log_mark()
        d.reconcile()
        assert (unchanged(d, "s"), unchanged(d, "s/orders")) == (before[0] + 1, before[1] + 1), drift
        assert pg.changes(mark) == []
        pg.sql(drift, dbname=database)
        d.reconcile()
        assert pg.value(corrected, dbname=database) is True, drift
        d.reconcile()


@pytest.mark.majors(18)
def test_a_membership_ends_though_nothing_else_changed(pg, daemon):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
    d = begin(pg, daemon, membership='until = "%s";' % until.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def ended():
        d.reconcile()
        return not pg.value("SELECT pg_has_role('reader', 'team', 'MEMBER')")
    wait_for(ended, 15, "the membership to end")


@pytest.mark.majors(18)
def test_a_secret_that_changed_is_noticed_though_nothing_else_changed(pg, daemon, tmp_path):
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("first")
    d = begin(pg, daemon, role='password_file = "%s";' % path)
    before = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'")
    count = unchanged(d, "s")
    d.reconcile()
    assert unchanged(d, "s") == count + 1
    path.write_text("second")
    d.reconcile()
    assert pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'") not in (None, before)


@pytest.mark.majors(18)
def test_a_database_is_compared_again_when_only_its_server_changed(pg, daemon):
    """Who may create in a schema by a membership gets default privileges there: nothing in the database says so."""
    d = begin(pg, daemon)
    mark = pg.log_mark()
    pg.sql("CREATE ROLE creator; GRANT owner TO creator")
    d.reconcile()
    assert any('ALTER DEFAULT PRIVILEGES FOR ROLE "creator"' in str(s) for s in pg.changes(mark)), pg.changes(mark)


@pytest.mark.majors(18)
def test_an_approval_and_a_suspension_count_though_nothing_else_changed(pg, daemon):
    d = begin(pg, daemon)
    d.ctl("suspend", "s/orders", "--reason", "test", expect=0)
    pg.sql("REVOKE SELECT ON app.t FROM reader", dbname="orders")
    d.reconcile("s/orders", expect=1)
    d.reconcile("s/orders", expect=1)
    assert pg.value("SELECT has_table_privilege('reader', 'app.t', 'SELECT')", dbname="orders") is False
    d.ctl("resume", "s/orders", expect=0)
    d.reconcile("s/orders")
    assert pg.value("SELECT has_table_privilege('reader', 'app.t', 'SELECT')", dbname="orders") is True
