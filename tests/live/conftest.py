# SPDX-License-Identifier: PostgreSQL
"""Fixtures of the live tests.

pg          a clean cluster, once for each supported major version ("PostgreSQL 14" ...); @pytest.mark.majors(18) narrows
            a test whose subject does not depend on the server to the versions it needs
new_pg      new_pg(major=None, **settings): another cluster of one's own, or one with other settings
daemon      daemon(servers=..., manifests=...): makes a Daemon (see dbr/daemon.py); stopped and checked afterwards
proxy       proxy(pg, tcp=False): a Proxy before a cluster
workspace   directories in memory (/dev/shm) where there is enough of it, else under /tmp or $TMPDIR

The build directory comes from $top_builddir (default ./build), the versions from $DBR_MAJORS (default all five).
"""

import re
import subprocess
from collections import Counter

import pytest
from dbr import MAJORS, Daemon, Postgres, Proxy, bindir
from dbr.users import Workspace


def pytest_configure(config):
    config.addinivalue_line("markers", "majors(*versions): the PostgreSQL versions this test runs on, when not all")


def pytest_generate_tests(metafunc):
    if "pg" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("majors")
        majors = [major for major in MAJORS if marker is None or major in marker.args]
        if not majors:
            majors = [pytest.param(major, marks=pytest.mark.skip("left out by DBR_MAJORS")) for major in marker.args]
        metafunc.parametrize("pg", majors, indirect=True, ids=[f"PostgreSQL {getattr(m, 'values', [m])[0]}" for m in majors])


@pytest.fixture(scope="session")
def session_workspace():
    space = Workspace()
    yield space
    space.remove()


@pytest.fixture(scope="session")
def shared_clusters(session_workspace):
    """{major: Postgres}, made when first asked for; each worker of pytest-xdist has its own."""
    clusters = {}
    yield clusters
    for cluster in clusters.values():
        cluster.remove()


@pytest.fixture
def workspace(session_workspace):
    return session_workspace


@pytest.fixture
def watched(request):
    """Daemons and clusters of this test, for the report of a failure."""
    request.node.dbr_watched = []
    return request.node.dbr_watched


@pytest.fixture
def pg(request, shared_clusters, session_workspace, watched):
    major = request.param
    if major not in shared_clusters:
        shared_clusters[major] = Postgres(major, session_workspace)
    cluster = shared_clusters[major]
    if cluster.dirty:
        cluster.reset()
    cluster.dirty = True
    watched.append((f"PostgreSQL {major}", cluster))
    return cluster


@pytest.fixture
def new_pg(request, session_workspace, watched):
    made = []

    def make(major=None, **settings):
        if major is None:
            major = request.node.callspec.params["pg"] if "pg" in getattr(request.node, "fixturenames", ()) else MAJORS[-1]
        cluster = Postgres(major, session_workspace, settings)
        made.append(cluster)
        watched.append((f"PostgreSQL {major} (own)", cluster))
        return cluster

    yield make
    for cluster in made:
        cluster.remove()


@pytest.fixture
def proxy(session_workspace):
    made = []

    def make(server, tcp=False):
        made.append(Proxy(server, session_workspace, tcp))
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.fixture
def daemon(session_workspace, watched):
    made = []

    def make(*args, **kwargs):
        made.append(Daemon(session_workspace, *args, **kwargs))
        watched.append((f"dbreconciled {len(made)}", made[-1]))
        return made[-1]

    yield make
    problems = []
    for item in made:
        try:
            item.discard()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, thing in getattr(item, "dbr_watched", ()):
            report.sections.append((f"log of {name}", thing.log_tail()))


def pytest_terminal_summary(terminalreporter):
    """One line for each major version, with the exact version that ran."""
    counts = {major: Counter() for major in MAJORS}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            match = re.search(r"\[.*?PostgreSQL (\d+)", getattr(report, "nodeid", ""))
            if match and int(match.group(1)) in counts:
                counts[int(match.group(1))][outcome] += 1
            for name, text in getattr(report, "user_properties", ()):
                if name == "table":               # what a test wants to be read, whether it passed or not
                    terminalreporter.write_line(f"{text}\n")
    for major, count in counts.items():
        version = subprocess.run([f"{bindir(major)}/postgres", "--version"], capture_output=True, text=True).stdout.split()
        terminalreporter.write_line(
            f"PostgreSQL {major} ({version[2] if len(version) > 2 else '?'}): {count['passed']} passed, "
            f"{count['failed'] + count['error']} failed" + (f", {count['skipped']} skipped" if count["skipped"] else ""))
