# SPDX-License-Identifier: PostgreSQL
"""Sessions: tests/live/session_test.c against real servers, here with what only the server's side can arrange."""

import fcntl
import os
import random
import select
import shutil
import socket
import subprocess
import termios
import threading

import pytest
from dbr import wait_for
from dbr.postgres import OWNER
from dbr.users import IS_ROOT, run_as

PGBOUNCER = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
BUILD = os.environ.get("top_builddir", "build")

CALM = """connect pipeline pipeline_error pipeline_commit_error prepared prepared_skipped warnings large_result many_statements
killed killed_idle timeouts_on_server lock_timeout conflict alone script script_errors script_escape script_large_copy
pinned""".split()


def run(test, conninfo, **environment):
    """One test of the program; its output is the report."""
    done = subprocess.run([os.path.join(BUILD, "tests/live/session_test"), "test_" + test], capture_output=True, text=True,
                          timeout=120, env={**os.environ, "PGHOST": "/nonexistent", "PGPASSWORD": "wrong", "PGSERVICE": "none",
                                            "DBR_CONNINFO": conninfo, **{"DBR_" + k: str(v) for k, v in environment.items()}})
    output = done.stdout + done.stderr
    if "FAILED" in output:             # what cmocka leaves behind then is no leak of ours
        output = output.split("==ERROR: LeakSanitizer")[0]
    assert done.returncode == 0 and f"OK ] test_{test}" in output, output
    return output


def fails(conninfo, failure, text, within=2500, **environment):
    return run("connect_fails", conninfo, FAILURE=failure, TEXT=text, WITHIN=within, **environment)


@pytest.mark.majors(14, 18)
@pytest.mark.parametrize("test", CALM)
def test_calm(pg, test):
    run(test, pg.conninfo())


@pytest.mark.majors(15)
def test_more_than_fits(pg):
    run("too_large", pg.conninfo())


def test_pins_of_a_superuser(pg):
    output = run("pinned", pg.conninfo(), VERSION=pg.value("SHOW server_version_num"), SUPERUSER=1)
    assert "lc_messages" not in output and " settings pinned" in output


@pytest.mark.majors(18)
def test_over_tcp(pg, proxy):
    run("pipeline", proxy(pg, tcp=True).conninfo(sslmode="disable"))


@pytest.mark.majors(15)
def test_names_and_addresses_are_tried_in_turn(pg, proxy):
    link = proxy(pg, tcp=True)
    run("connect", f"host=localhost port={link.port} user=postgres sslmode=disable")
    run("connect", f"host=127.0.0.1,/nonexistent,localhost port=1,5432,{link.port} user=postgres sslmode=disable")


@pytest.mark.majors(15)
def test_frozen_address_costs_its_share_only(pg, proxy):
    frozen, good = proxy(pg, tcp=True), proxy(pg, tcp=True)
    frozen.freeze()
    run("connect", f"host=127.0.0.1,127.0.0.1 port={frozen.port},{good.port} user=postgres sslmode=disable")


@pytest.mark.majors(14, 18)
def test_passwords(pg):
    pg.sql("CREATE ROLE someone LOGIN PASSWORD 'right'")
    pg.require_passwords()
    run("connect", pg.conninfo(user="someone"), PASSWORD="right")
    run("connect", pg.conninfo(), PASSWORD="right", USER="someone", DATABASE="postgres")
    for password in ("wrong", "s3cret"):
        output = fails(pg.conninfo(user="someone"), "auth", 'password authentication failed for user "someone"', PASSWORD=password)
        assert "[28P01]" in output and "s3cret" not in output
    fails(pg.conninfo(user="someone"), "auth", "no password supplied")
    fails(pg.conninfo(user="nobody"), "auth", "password authentication failed", PASSWORD="right")


@pytest.mark.majors(14, 18)
def test_reasons(pg, proxy):
    output = fails(pg.conninfo("missing"), "no_database", 'database "missing" does not exist')
    assert "[3D000]" in output and "LOCATION" not in output
    fails("host=/nonexistent user=postgres", "connect", "No such file or directory")
    link = proxy(pg, tcp=True)
    fails(link.conninfo(), "connect", "server does not support SSL")
    link.refuse()
    fails(link.conninfo(sslmode="disable"), "connect", "Connection refused")
    fails(f"host=no-such-host.invalid port=1 user=postgres", "connect", 'host "no-such-host.invalid" was not found', within=10000)
    pg.sql("CREATE ROLE someone LOGIN")
    pg.sql("CREATE DATABASE crowded CONNECTION LIMIT 0")
    fails(pg.conninfo("crowded", user="someone"), "too_many_connections", "too many connections")
    fails(pg.conninfo(target_session_attrs="standby"), "identity", "server is not in hot standby mode")


@pytest.mark.majors(15, 18)
def test_standby_is_not_the_primary(pg, new_pg):
    server = new_pg()
    server.stop()
    open(os.path.join(server.data, "standby.signal"), "w", encoding="utf-8").close()
    server.start()
    fails(server.conninfo(target_session_attrs="primary"), "identity", "server is in hot standby mode")


@pytest.mark.majors(15)
def test_server_that_accepts_and_says_nothing(pg, proxy):
    for tcp in (False, True):
        link = proxy(pg, tcp)
        link.freeze()
        fails(link.conninfo(sslmode="disable"), "timeout", "did not complete the connection in time", within=4500)
        fails(link.conninfo(sslmode="disable", connect_timeout="1"), "timeout", "in time", within=2500)


@pytest.mark.majors(15)
def test_server_that_freezes_in_a_query(pg, proxy):
    for tcp in (False, True):
        link = proxy(pg, tcp)
        link.watch = lambda _database, data, from_client, link=link: from_client and b"freeze-now" in data and link.freeze()
        run("freeze", link.conninfo(sslmode="disable"))


@pytest.mark.majors(15)
def test_slow_link_is_no_failure(pg, proxy):
    link = proxy(pg)
    link.delay = 0.05
    run("pipeline", link.conninfo())
    run("script", link.conninfo())


def answering(answer):
    """A server that sends these bytes to whoever says hello; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
                client.recv(65536)
                client.sendall(answer)
                client.recv(65536)
                client.close()
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener


def message(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.majors(15)
@pytest.mark.parametrize("answer, failure, text", [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "connect", "expected authentication request from server"),
    (b"", "timeout", "in time"),
    (message(b"E", b"\0"), "connect", ""),                                                      # no fields at all
    (message(b"E", b"SFATAL\0M\x1b[2Jhostile\ntext\0\0"), "connect", "hostile; text"),         # no SQLSTATE
    (message(b"E", b"SFATAL\0C57P03\0M" + b"x" * 20000 + b"\0\0"), "starting", "x" * 500),
    (message(b"E", b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"), "identity", "unsupported startup parameter"),
    (message(b"R", (99).to_bytes(4, "big")), "connect", "authentication method 99 not supported"),
], ids=["http", "silent", "empty error", "no sqlstate", "long", "pooler", "unknown method"])
def test_hostile_server(pg, answer, failure, text):
    with answering(answer) as server:
        output = fails(f"host=127.0.0.1 port={server.getsockname()[1]} user=u sslmode=disable", failure, text, within=4500)
    assert "\x1b" not in output


HOSTILE = {
    "role": "low", "search_path": "public, pg_catalog", "statement_timeout": "1", "lock_timeout": "1", "local_preload_libraries": "nope",
    "idle_in_transaction_session_timeout": "1", "idle_session_timeout": "1", "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable", "synchronous_commit": "off", "client_min_messages": "debug5",
    "client_encoding": "LATIN1", "exit_on_error": "on", "password_encryption": "md5", "quote_all_identifiers": "on",
    "bytea_output": "escape", "DateStyle": "German", "IntervalStyle": "iso_8601", "TimeZone": "Mars/Phobos+3", "row_security": "on",
    "standard_conforming_strings": "off", "transform_null_equals": "on", "array_nulls": "off", "default_tablespace": "pg_default",
    "extra_float_digits": "-15", "check_function_bodies": "on", "jit": "on", "backslash_quote": "on",
}
NEWER = {16: {"scram_iterations": "1", "createrole_self_grant": "set, inherit"}, 17: {"transaction_timeout": "1"}}


def test_owner_of_a_database_sets_settings_against_us(pg):
    pg.sql("CREATE ROLE low LOGIN")
    pg.sql("CREATE DATABASE hostile OWNER low")
    settings = dict(HOSTILE)
    for major, more in NEWER.items():
        settings.update(more if pg.major >= major else {})
    for name, value in settings.items():
        words = value if name in ("search_path", "createrole_self_grant") else f"'{value}'"
        pg.sql(f"ALTER DATABASE hostile SET {name} = {words}", user="low", client_encoding="UTF8")
    version = pg.value("SHOW server_version_num")
    for user, rights in (("postgres", {"SUPERUSER": 1}), ("postgres", {}), ("low", {})):
        for test in ("pinned", "prepared", "pipeline"):
            run(test, pg.conninfo("hostile", user=user), VERSION=version, **rights)


@pytest.mark.majors(14, 18)
def test_one_undecodable_role_hides_nobody(pg):
    pg.sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    pg.sql("CREATE ROLE \"bad\u00e4\"", dbname="latin", client_encoding="UTF8")
    run("undecodable", pg.conninfo())
    run("undecodable", pg.conninfo("latin"))


@pytest.mark.majors(15)
def test_message_without_end(pg):
    hello = message(b"R", (0).to_bytes(4, "big")) + message(b"S", b"server_version\x0015.1\0") + message(b"Z", b"I")
    row = message(b"T", b"\0\1c\0" + bytes(4) + bytes(2) + (25).to_bytes(4, "big") + b"\xff\xff\xff\xff\xff\xff\0\0")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            client.recv(65536)
            client.sendall(hello)
            client.recv(65536)
            sent = 0
            end = select.poll()
            end.register(client, 0)
            try:
                client.sendall(message(b"1", b"") + message(b"2", b"") + row + b"D" + (1 << 30).to_bytes(4, "big"))
                while sent < 1 << 30:
                    sent += client.send(bytes(1 << 20))
                    # libpq reads for as long as there is something: give it the ends that a network has
                    wait_for(lambda: end.poll(0) or fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)) == bytes(4), 10, "it is read")
            except OSError:
                pass
            ended.append(sent)

        ended = []
        thread = threading.Thread(target=serve)
        thread.start()
        run("flood", f"host=127.0.0.1 port={listener.getsockname()[1]} user=u sslmode=disable")
        thread.join()
        assert ended[0] < 512 << 20


@pytest.mark.majors(15)
def test_abandoned_while_connecting(pg, proxy):
    pg.sql("CREATE ROLE someone LOGIN PASSWORD 'right'")
    pg.require_passwords()
    run("abandoned", pg.conninfo(user="someone"), PASSWORD="right")
    run("abandoned", f"host=localhost port={proxy(pg, tcp=True).port} user=someone sslmode=disable", PASSWORD="right")


# TLS

def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def tls(new_pg, workspace):
    """A server with a certificate for db.test, on TCP, its authority, and another authority."""
    directory = workspace.directory("tls", "postgres" if os.geteuid() == 0 else None)
    for name in ("ca", "other"):
        openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2",
                "-subj", f"/CN={name}")
    openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=db.test")
    openssl(directory, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.crt",
            "-days", "2")
    os.chmod(f"{directory}/server.key", 0o600)
    if os.geteuid() == 0:
        shutil.chown(f"{directory}/server.key", "postgres")
    address = "127." + ".".join(str(random.randint(2, 250)) for _ in range(3))      # nobody else's, whatever else listens on 5432
    server = new_pg(15, listen_addresses=address, ssl="on", ssl_cert_file=f"{directory}/server.crt",
                    ssl_key_file=f"{directory}/server.key")
    server.sql("CREATE ROLE someone LOGIN PASSWORD 'right'")
    server.set_hba("hostssl all all 127.0.0.0/8 scram-sha-256")
    return server, directory, f"hostaddr={address} user=someone dbname=postgres"


@pytest.mark.majors(15)
def test_server_must_prove_who_it_is(pg, tls, proxy, monkeypatch):
    server, directory, where = tls
    monkeypatch.setenv("HOME", "/nonexistent")
    trust = f" sslrootcert={directory}/ca.crt"
    run("connect", where + " host=db.test" + trust, PASSWORD="right")
    run("pipeline", where + " host=db.test" + trust, PASSWORD="right")
    run("large_result", where + " host=db.test" + trust, PASSWORD="right")
    run("script_large_copy", where + " host=db.test" + trust, PASSWORD="right")
    run("connect", where + " host=db.test sslmode=require", PASSWORD="right")
    for wrong, text in ((" host=db.test", "root certificate file"), (" host=other.test" + trust, "does not match host name"),
                        (f" host=db.test sslrootcert={directory}/other.crt", "certificate verify failed"),
                        (" host=db.test sslmode=disable", "no encryption")):
        fails(where + wrong, "auth" if "disable" in wrong else "connect", text, PASSWORD="right")
    # Somebody in between who says that there is no TLS gets nothing.
    heard = []
    link = proxy(server, tcp=True)
    link.watch = lambda _database, data, from_client: heard.append(data) if from_client else None
    fails(f"host=127.0.0.1 port={link.port} user=someone", "connect", "server does not support SSL", PASSWORD="right")
    assert b"".join(heard) == (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


# A pooler in between

@pytest.mark.majors(15)
@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_pooler_is_noticed(pg, workspace, mode):
    directory = workspace.directory("pgbouncer", "postgres" if IS_ROOT else None)
    for ignore, name in ((False, "refuses"), (True, "swallows")):
        socket_directory = os.path.join(directory, name)
        os.mkdir(socket_directory)
        os.chmod(socket_directory, 0o777)
        with open(f"{directory}/{name}.ini", "w", encoding="utf-8") as ini:
            ini.write(f"[databases]\n* = host={pg.host} port={pg.port} user=postgres\n[pgbouncer]\nauth_type = any\nlisten_port = 5432\n"
                      f"unix_socket_dir = {socket_directory}\npool_mode = {mode}\nlogfile = {socket_directory}/log\n"
                      + ("ignore_startup_parameters = options\n" if ignore else ""))
        process = subprocess.Popen([PGBOUNCER, "-q", f"{directory}/{name}.ini"], start_new_session=True, **run_as(OWNER))
        try:
            wait_for(lambda: os.path.exists(f"{socket_directory}/.s.PGSQL.5432"), 10, "pgbouncer listens")
            conninfo = f"host={socket_directory} user=postgres"
            if ignore:
                assert "is not" not in run("pooled", conninfo)
            else:
                output = fails(conninfo, "identity", "unsupported startup parameter")
                assert "without a pooler" in output
        finally:
            process.terminate()
            process.wait(60)
