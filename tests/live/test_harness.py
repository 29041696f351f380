# SPDX-License-Identifier: PostgreSQL
"""The harness itself: what other tests rely on, and that it fails where it should."""

import subprocess
import sys

import psycopg2
import pytest
from dbr import MAJORS, libconfig, wait_for


def check_clean(pg):
    assert pg.value("SHOW server_version_num").startswith(str(pg.major))
    assert pg.value("SHOW work_mem") == "4MB"
    assert pg.sql("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'") == [("postgres",)]
    assert pg.sql("SELECT datname FROM pg_database WHERE NOT datistemplate") == [("postgres",)]


def test_cluster_is_clean_and_can_be_reset(pg):
    check_clean(pg)
    identifier = pg.value("SELECT system_identifier FROM pg_control_system()")
    pg.create_database('left "over"', "CREATE EXTENSION hstore")
    pg.sql("CREATE ROLE leftover")
    pg.sql("ALTER SYSTEM SET work_mem = '5MB'")
    pg.reload()
    assert pg.value("SHOW work_mem") == "5MB"
    pg.reset()
    check_clean(pg)
    assert pg.value("SELECT system_identifier FROM pg_control_system()") == identifier


@pytest.mark.majors(15)
def test_server_tells_what_was_sent(pg):
    mark = pg.log_mark()
    pg.sql("CREATE ROLE a;\n-- two lines\nGRANT a TO postgres", application_name="dbreconciled x")
    pg.sql("BEGIN; SELECT 'GRANT' AS \"ALTER\"; COMMIT", application_name="dbreconciled")
    pg.sql("CREATE ROLE b")
    assert pg.changes(mark) == [("postgres", "postgres", "CREATE ROLE a;\n-- two lines\nGRANT a TO postgres")]
    assert len(pg.statements(mark)) == 2


@pytest.mark.majors(15)
def test_passwords_are_required_when_asked_for(pg):
    pg.sql("CREATE ROLE someone LOGIN PASSWORD 'right'")
    pg.require_passwords()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        pg.sql("SELECT 1", user="someone", password="wrong")
    assert pg.value("SELECT current_user", user="someone", password="right") == "someone"
    assert not pg.allowed("SELECT * FROM pg_authid", user="someone", password="right")


@pytest.mark.majors(15)
@pytest.mark.parametrize("tcp", [False, True])
def test_proxy_freezes_one_database_and_drops(pg, proxy, tcp):
    pg.create_database("one")
    link = proxy(pg, tcp)
    ends = {name: psycopg2.connect(link.conninfo(name)) for name in ("postgres", "one")}
    link.freeze("one")
    with ends["postgres"].cursor() as cursor:
        cursor.execute("SELECT 1")
    frozen = psycopg2.connect(link.conninfo("postgres"))
    frozen.close()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(link.conninfo("one", connect_timeout=2))
    link.thaw()
    with ends["one"].cursor() as cursor:
        cursor.execute("SELECT 1")
    assert link.drop("one") >= 1
    with pytest.raises(psycopg2.Error):
        ends["one"].cursor().execute("SELECT 1")
    link.refuse()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(link.conninfo())
    link.allow()
    psycopg2.connect(link.conninfo()).close()


@pytest.mark.majors(15)
def test_frozen_backend_runs_again_before_the_server_stops(new_pg):
    cluster = new_pg(15, max_connections="20")
    assert cluster.value("SHOW max_connections") == "20"
    held = cluster.connect(application_name="dbreconciled")
    cluster.stop_backend(cluster.backends()[0])
    cluster.stop()
    held.close()


def test_wait_for_tells_expected_and_seen():
    with pytest.raises(AssertionError, match="(?s)expected: the moon.*last answer: 0.*seen: only clouds"):
        wait_for(lambda: 0, 0.05, "the moon", lambda: "only clouds")


def test_libconfig_text():
    text = libconfig({"a": {"b": [1, 2], "c": 'x"\\y', "d": None}, "l": ({"n": True},), "none": ()})
    assert text == 'a = {\n\tb = [ 1, 2 ];\n\tc = "x\\"\\\\y";\n};\nl = ( {\n\tn = true;\n} );\nnone = (  );\n'


def test_failure_shows_the_logs(tmp_path):
    """A failing test prints the tail of the server's log: run one and look."""
    here = __file__.rsplit("/", 1)[0]
    (tmp_path / "test_fails.py").write_text(
        f"import pytest\n@pytest.mark.majors({MAJORS[0]})\ndef test_fails(pg):\n    pg.sql('SELECT 4711')\n    assert False\n")
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {here!r})\n" + open(f"{here}/conftest.py").read())
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"log of PostgreSQL {MAJORS[0]}" in done.stdout and "SELECT 4711" in done.stdout, done.stdout
