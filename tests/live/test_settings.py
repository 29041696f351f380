# SPDX-License-Identifier: PostgreSQL
"""Settings are compared by what they mean, per role, per database and per role in one database."""

import pytest

MANIFEST = """
roles: ( { name = "app"; settings: { work_mem = "64MB"; search_path = "app, \\"$user\\", public"; statement_timeout = "5min"; jit = "off"; };
           database_settings: ( { database = "orders"; settings: { lock_timeout = "5s"; }; } ); } );
databases: ( { name = "orders"; settings: { idle_in_transaction_session_timeout = "1min"; }; } );
"""
LIVE = ("SELECT coalesce(d.datname, ''), coalesce(r.rolname, ''), s.setconfig FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole "
        "LEFT JOIN pg_database d ON d.oid = setdatabase ORDER BY 1, 2")


@pytest.mark.majors(14, 18)
def test_the_same_value_in_other_words_is_no_drift(pg, daemon):
    pg.sql("CREATE ROLE app; ALTER ROLE app SET work_mem = '65536kB'; ALTER ROLE app SET search_path = app, '$user', public;"
           "ALTER ROLE app SET statement_timeout = '300s'; ALTER ROLE app SET jit = 'false'")
    pg.create_database("orders")
    pg.sql("ALTER ROLE app IN DATABASE orders SET lock_timeout = '5000'")
    pg.sql("ALTER DATABASE orders SET idle_in_transaction_session_timeout = '60s'")
    mark, before = pg.log_mark(), pg.sql(LIVE)
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "manifests": ["platform"]}, manifests={"platform": MANIFEST},
               daemon={"interval": "1h"}).start()
    d.reconcile()
    assert pg.changes(mark) == [] and pg.sql(LIVE) == before
    pg.sql("ALTER ROLE app SET work_mem = '64kB'; ALTER ROLE app SET search_path = 'app, public'")
    pg.sql("ALTER ROLE app IN DATABASE orders RESET lock_timeout")
    pg.sql("ALTER DATABASE orders SET idle_in_transaction_session_timeout = '60min'")
    d.reconcile()
    assert pg.value("SELECT setconfig FROM pg_db_role_setting WHERE setrole <> 0 AND setdatabase <> 0") == ["lock_timeout=5s"]
    assert 'search_path=app, "$user", public' in pg.value("SELECT setconfig FROM pg_db_role_setting WHERE setrole <> 0 AND setdatabase = 0")
    assert pg.value("SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0") == ["idle_in_transaction_session_timeout=1min"]
    mark = pg.log_mark()
    d.reconcile()
    assert pg.changes(mark) == []


@pytest.mark.majors(18)
def test_lists_are_written_as_they_are_compared(pg, daemon):
    """Names in lower case unless they are quoted, paths as they are, and an empty list."""
    manifest = """roles: ( { name = "a"; settings: { search_path = ""; }; }, { name = "b"; settings: { search_path = "Foo, \\"Bar\\""; }; },
                             { name = "c"; settings: { local_preload_libraries = "$libdir/plugins/Foo"; }; } );"""
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "manifests": ["platform"]}, manifests={"platform": manifest})
    assert d.once().code == 0
    assert pg.sql("SELECT setconfig[1] FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole ORDER BY rolname") == [
        ('search_path=""',), ('search_path=foo, "Bar"',), ('local_preload_libraries="$libdir/plugins/Foo"',)]
    mark = pg.log_mark()
    assert d.once().code == 0
    assert pg.changes(mark) == []


@pytest.mark.majors(18)
def test_an_empty_block_means_none(pg, daemon):
    """Of a role, a role in one database, a database, the whole server: where it is exact, whatever is set goes."""
    pg.create_database("orders")
    pg.sql("CREATE ROLE app; ALTER ROLE app SET jit = 'off'; ALTER ROLE app IN DATABASE orders SET jit = 'off'")
    pg.sql("ALTER DATABASE orders SET jit = 'off'")
    pg.sql("ALTER ROLE ALL SET jit = 'off'")
    manifest = """authority = "exact"; settings: { };
    roles: ( { name = "app"; settings: { }; database_settings: ( { database = "orders"; settings: { }; } ); } );
    databases: ( { name = "orders"; settings: { }; } );"""
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "manifests": ["platform"]}, manifests={"platform": manifest},
               guard={"max_percent": 100})
    assert d.once().code == 0
    assert pg.sql(LIVE) == []
