# SPDX-License-Identifier: PostgreSQL
"""Scenarios 5 and 6, by the example that is shipped (etc/examples/before-deploy): an init container waits until its database is
migrated, whenever that comes up; a dump is taken before, and without it nothing runs."""

import os
import subprocess

import pytest
from dbr import bindir, wait_for
from dbr.daemon import BUILD
from scenario import Scenario

pytestmark = pytest.mark.majors(15)


@pytest.fixture
def deploy(pg, daemon):
    pg.create_database("shop")
    s = Scenario(pg, daemon, "before-deploy", "shop", ("shop_migrator", "shop_app"))
    s.dumps = os.path.join(s.directory, "dumps")
    os.mkdir(s.dumps, 0o700)
    s.env.update({"DUMP_DIRECTORY": s.dumps, "PATH": bindir(15) + ":" + os.environ["PATH"]})
    s.require_passwords()
    return s


def waiting(s, timeout):
    """The init container."""
    return subprocess.Popen([os.path.join(BUILD, "dbreconcilectl"), "-s", s.daemon.control_socket, "wait", "--for=in-sync",
                             f"--timeout={timeout}", "main/shop"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_service_starts_when_its_database_is_migrated(pg, deploy):
    """The init container is first, then the daemon, then the server, and all find each other."""
    pg.stop()
    init = waiting(deploy, "3min")
    d = deploy.daemon.start()
    wait_for(lambda: deploy.row("main")["state"] == "unreachable", 20, "the server is not there yet", d.log_tail)
    assert init.poll() is None, init.communicate()
    pg.start()
    out, err = init.communicate(timeout=120)
    assert init.returncode == 0, out + err
    deploy.run("shop_app", "INSERT INTO shop.orders (what) VALUES ('tea')")
    assert os.listdir(deploy.dumps) == ["shop-empty.dump"]
    # The next release: what was there before it is in the dump, under its version.
    d.migration("shop", "V002__price.sql", "ALTER TABLE shop.orders ADD COLUMN cents bigint;\nUPDATE shop.orders SET what = 'changed';\n")
    wait_for(lambda: "shop-001.dump" in os.listdir(deploy.dumps), 30, "the dump of version 001", d.log_tail)
    d.ctl("wait", "--for=in-sync", "main/shop", expect=0)
    restored = subprocess.run([os.path.join(bindir(15), "pg_restore"), "--file=-", os.path.join(deploy.dumps, "shop-001.dump")],
                              capture_output=True, text=True, check=True).stdout
    assert "tea" in restored and "cents" not in restored
    assert deploy.value("SELECT what FROM shop.orders") == "changed"


def test_without_a_dump_nothing_runs_and_the_service_does_not_start(deploy):
    os.rmdir(deploy.dumps)
    d = deploy.daemon.start()
    blocked = wait_for(lambda: deploy.row("main/shop")["state"] == "blocked" and deploy.row("main/shop"), 20, "blocked", d.log_tail)
    assert "before the migrations" in blocked["message"] and "No such file or directory" in blocked["message"], blocked
    late = waiting(deploy, "1s")
    out, err = late.communicate(timeout=60)
    assert late.returncode in (5, 6), out + err
    assert deploy.value("SELECT to_regclass('shop.orders') IS NULL")
    os.mkdir(deploy.dumps, 0o700)
    d.ctl("reconcile", "--wait", "main/shop", expect=0)
    d.ctl("wait", "--for=in-sync", "main/shop", expect=0)
    assert not deploy.value("SELECT to_regclass('shop.orders') IS NULL")
