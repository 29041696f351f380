# SPDX-License-Identifier: PostgreSQL
"""What the harness promises about the daemon: start, stop, kill, reload, another user, failures that show the log."""

import os
import signal
import subprocess

import pytest
from dbr import wait_for
from dbr.users import IS_ROOT

ROLES = {"platform": 'roles: ( { name = "app"; login = true; } );\n'}


def server(pg, **more):
    return {"name": "prod", "conninfo": pg.conninfo(), "manifests": ["platform"], **more}


def has_role(pg, name="app"):
    return pg.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", (name,)) == 1


def test_daemon_reconciles_and_stops(pg, daemon):
    d = daemon(server(pg), ROLES).start()
    d.wait_in_sync()
    assert has_role(pg)
    assert d.http("/v1/status").json()["format"] == "dbreconcile.status"
    assert d.json("status")["targets"][0]["target"] == "prod"
    assert d.metrics_http("/livez").status == 200
    mark = pg.log_mark()
    d.reconcile()
    assert pg.statements(mark), "a pass was asked for, and nothing reached the server"
    assert pg.changes(mark) == []
    d.stop()
    assert not os.path.exists(d.control_socket)


@pytest.mark.majors(15)
@pytest.mark.skipif(not IS_ROOT, reason="the tests do not run as root, so the daemon never did")
def test_daemon_runs_as_another_user(pg, daemon):
    d = daemon(server(pg), ROLES, user="nobody").start()
    d.wait_in_sync()
    assert has_role(pg)
    assert os.stat(f"/proc/{d.process.pid}").st_uid != 0


@pytest.mark.majors(15)
def test_daemon_is_killed_and_starts_again(pg, daemon):
    d = daemon(server(pg), ROLES).start()
    d.wait_in_sync()
    d.kill()
    pg.sql("DROP ROLE app")
    d.start()
    d.wait_in_sync()
    wait_for(lambda: has_role(pg), 10, "the role is made again", d.log_tail)


@pytest.mark.majors(15)
def test_reload_takes_a_changed_manifest(pg, daemon):
    d = daemon(server(pg), ROLES).start()
    d.wait_in_sync()
    d.manifest("platform", 'roles: ( { name = "app"; login = true; }, { name = "more"; } );\n')
    d.reload()
    wait_for(lambda: has_role(pg, "more"), 10, "the role of the new manifest", d.log_tail)


@pytest.mark.majors(15)
def test_metrics_please_promtool(pg, daemon):
    d = daemon(server(pg), ROLES).start()
    d.wait_in_sync()
    answer = d.metrics_http()
    assert answer.status == 200
    done = subprocess.run(["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert any(name.startswith("dbreconcile_build_info{") and value == 1 for name, value in d.metrics().items())


@pytest.mark.majors(15)
def test_frozen_proxy_and_thaw(pg, daemon, proxy):
    between = proxy(pg)
    d = daemon({**server(pg), "conninfo": between.conninfo()}, ROLES).start()
    d.wait_in_sync()
    between.freeze()
    pg.sql("DROP ROLE app")
    assert d.http("/v1/ping", timeout=5).status == 200
    between.thaw()
    wait_for(lambda: has_role(pg), 30, "the role is made again after the thaw", d.log_tail)


@pytest.mark.majors(15)
def test_wrong_exit_code_is_noticed(pg, daemon):
    d = daemon(server(pg), ROLES).start()
    d.process.send_signal(signal.SIGKILL)
    with pytest.raises(AssertionError, match="ended with -9, expected 0"):
        d.stop()
