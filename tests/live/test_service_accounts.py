# SPDX-License-Identifier: PostgreSQL
"""Scenario 3, etc/examples/service-accounts: 34 services on one shared database. Each of them logs in and tries."""

import os
import re

import psycopg2
import pytest
from dbr import wait_for
from dbr.waiting import FACTOR
from scenario import EXAMPLES, Scenario

# What the server makes of it; with sanitizers it is our code that is looked at.
plain = pytest.mark.skipif(FACTOR != 1, reason="runs without sanitizers")
PLATFORMS = ("twitch", "youtube", "tiktok", "instagram", "facebook", "discord", "slack", "telegram", "reddit", "mastodon")
TRIGGERS = tuple(platform + "_trigger" for platform in PLATFORMS)
READ_ONLY = ("dashboards", "reporting", "search_indexer", "recommendations", "fraud_detection", "data_export", "status_page", "sitemap",
             "backup_verifier")
READ_WRITE = ("web", "api", "accounts", "auth", "billing", "payments", "notifications", "moderation", "comments", "uploads", "transcoder",
              "scheduler", "support_desk", "campaigns")
ADMIN = "platform_migrator"
EVERYBODY = (ADMIN,) + READ_ONLY + READ_WRITE + TRIGGERS

TABLES = {
    "accounts": ("accounts.users", "accounts.api_tokens"),
    "content": ("content.videos", "content.comments"),
    "billing": ("billing.invoices", "billing.payments"),
    "integrations": ("integrations.platform_integrations", "integrations.webhook_events"),
}
# Who may read whole tables of a schema, and who may write them.
READERS = {
    "accounts": {"accounts", "auth", "fraud_detection", "data_export"},
    "content": {"dashboards", "reporting", "backup_verifier", "search_indexer", "recommendations", "sitemap", "status_page", "data_export",
                "web", "comments", "uploads", "transcoder", "scheduler", "api", "moderation", "support_desk"},
    "billing": {"dashboards", "reporting", "backup_verifier", "fraud_detection", "data_export", "billing", "payments", "support_desk"},
    "integrations": {"dashboards", "reporting", "backup_verifier", "api", "campaigns", "notifications", *TRIGGERS},
}
WRITERS = {
    "accounts": {"accounts", "auth"},
    "content": {"web", "comments", "uploads", "transcoder", "scheduler", "api"},
    "billing": {"billing", "payments"},
    "integrations": {"api", "campaigns", "notifications", *TRIGGERS},
}
NO_TOKENS = {"fraud_detection", "data_export"}
NAMES = ("web", "api", "comments", "moderation", "notifications", "campaigns", "support_desk", "billing", "dashboards")
ADDRESSES = ("notifications", "campaigns", "support_desk", "billing")
WHOLE = ("accounts", "auth", "fraud_detection", "data_export")


@pytest.fixture
def services(pg, daemon):
    pg.create_database("platform")
    s = Scenario(pg, daemon, "service-accounts", "platform", EVERYBODY)
    s.require_passwords()
    s.only_ordered()
    s.daemon.start()
    s.daemon.wait_in_sync()
    return s


def tries(connection, statement):
    """Whether the account may run this; what it did is undone."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("BEGIN READ WRITE; " + statement)
            return True
        except psycopg2.errors.InsufficientPrivilege:
            return False
        finally:
            cursor.execute("ROLLBACK")


def as_each(s, roles):
    for role in roles:
        connection = s.connect(role)
        try:
            yield role, connection
        finally:
            connection.close()


@plain
def test_each_account_may_do_its_part(services):
    s = services
    assert len(EVERYBODY) == 34 and s.pg.value("SELECT count(*) FROM pg_roles WHERE rolname = ANY (%s) AND rolcanlogin "
                                               "AND NOT rolsuper AND NOT rolbypassrls", (list(EVERYBODY),)) == 34
    for role, connection in as_each(s, EVERYBODY):
        for schema, tables in TABLES.items():
            for table in tables:
                reads = role == ADMIN or role in READERS[schema] and not (table == "accounts.api_tokens" and role in NO_TOKENS)
                writes = role == ADMIN or role in WRITERS[schema]
                assert tries(connection, f"SELECT * FROM {table}") == reads, (role, table)
                assert tries(connection, f"DELETE FROM {table} WHERE false") == (writes and reads), (role, table)
                assert tries(connection, f"CREATE INDEX ON {table} ((1))") == (role == ADMIN), (role, table)
            assert tries(connection, f"CREATE TABLE {schema}.mine ()") == (role == ADMIN), (role, schema)
        assert not tries(connection, "CREATE TABLE public.mine ()"), role
        assert not tries(connection, "CREATE TEMPORARY TABLE mine ()"), role
    assert [row[0] for row in s.sql("SELECT DISTINCT installed_by FROM dbreconcile.migration_ledger")] == [ADMIN]


@plain
def test_columns_of_the_shared_table(services):
    s = services
    s.run("auth", "INSERT INTO accounts.users (display_name, email, password_hash) VALUES ('Ada', 'ada@example.com', 'secret')")
    for role, connection in as_each(s, set(EVERYBODY) - {ADMIN}):
        whole = role in WHOLE
        assert tries(connection, "SELECT id, display_name, suspended_at FROM accounts.users") == (whole or role in NAMES), role
        assert tries(connection, "SELECT email FROM accounts.users") == (whole or role in ADDRESSES), role
        assert tries(connection, "SELECT password_hash FROM accounts.users") == whole, role
        assert tries(connection, "SELECT 1 FROM accounts.users WHERE password_hash = 'secret'") == whole, role
        writes = role in WRITERS["accounts"]
        assert tries(connection, "UPDATE accounts.users SET suspended_at = now()") == (writes or role == "moderation"), role
        assert tries(connection, "UPDATE accounts.users SET email = 'x'") == (writes or role == "support_desk"), role
        assert tries(connection, "UPDATE accounts.users SET password_hash = 'x'") == writes, role
    # An own level: moderation corrects content, and makes or deletes nothing.
    for table in TABLES["content"]:
        assert s.may("moderation", f'UPDATE {table} SET "user" = 1')
        assert not s.may("moderation", f"DELETE FROM {table}")


@plain
def test_rows_of_each_platform(services):
    s = services
    for table, values in (("integrations.platform_integrations", '(platform, "user") VALUES (%s, 1)'),
                          ("integrations.webhook_events", "(platform, payload) VALUES (%s, '{}')")):
        for platform, role in zip(PLATFORMS, TRIGGERS):
            s.run(role, f"INSERT INTO {table} {values}", (platform,))
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
                s.run(role, f"INSERT INTO {table} {values}", ("twitch" if platform != "twitch" else "youtube",))
        for platform, role in zip(PLATFORMS, TRIGGERS):
            assert s.run(role, f"SELECT platform FROM {table}") == [(platform,)]
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
                s.run(role, f"UPDATE {table} SET platform = 'other'")
            s.run(role, f"DELETE FROM {table} WHERE platform <> '{platform}'")
        for role in ("api", "reporting", "dashboards", "campaigns", ADMIN):
            assert s.run(role, f"SELECT count(*) FROM {table}") == [(10,)], role
    assert s.sql("SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid IN ('integrations.webhook_events'::regclass, "
                 "'integrations.platform_integrations'::regclass) ORDER BY 1") == [
        ("platform_integrations", True, True), ("webhook_events", True, True)]


@plain
def test_policies_are_set_right_in_place(services):
    s, d = services, services.daemon
    s.nothing_is_sent()
    s.sql("ALTER POLICY twitch_only ON integrations.webhook_events USING (true)")
    mark = s.pg.log_mark()
    d.reconcile()
    # What an expression means the server is asked with a temporary view that is rolled back; one policy is altered, none is rewritten.
    sent = [text for _, _, text in s.pg.changes(mark) if not text.startswith("CREATE TEMPORARY VIEW")]
    assert len(sent) == 1 and sent[0].startswith('ALTER POLICY "twitch_only"'), sent
    assert s.value("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'twitch_only' "
                   "AND polrelid = 'integrations.webhook_events'::regclass") == "(platform = 'twitch'::text)"
    # A policy that is gone is made again, flags are set again.
    s.sql("DROP POLICY youtube_only ON integrations.webhook_events; ALTER TABLE integrations.webhook_events NO FORCE ROW LEVEL SECURITY;"
          "ALTER TABLE integrations.platform_integrations DISABLE ROW LEVEL SECURITY")
    d.reconcile()
    s.run("youtube_trigger", "INSERT INTO integrations.webhook_events (platform, payload) VALUES ('youtube', '{}')")
    assert s.value("SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class WHERE relnamespace = 'integrations'::regnamespace "
                   "AND relkind = 'r'")
    s.nothing_is_sent()


@pytest.mark.majors(14, 18)
@plain
def test_a_password_is_rotated_without_a_restart(services):
    s = services
    mark, pid, old = s.pg.log_mark(), s.daemon.process.pid, s.password("web")
    kept = s.connect("web")
    verifiers = dict(s.sql("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"))
    assert set(verifiers) == set(EVERYBODY) and len(set(verifiers.values())) == 34
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in verifiers.values())
    s.secret("web", "another password")
    s.daemon.reconcile("shared")
    s.run("web", "SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        s.connect("web", old)
    kept.cursor().execute("SELECT 1")
    kept.close()
    after = dict(s.sql("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"))
    assert [role for role in after if after[role] != verifiers[role]] == ["web"], "nobody else's is made anew"
    # A file that is not there takes nobody's password away.
    os.unlink(os.path.join(s.secrets, "api"))
    s.daemon.reconcile("shared", expect=(0, 5))
    assert s.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'api'") == verifiers["api"]
    assert "secrets/api" in s.daemon.ctl("show", "shared").out
    s.secret("api", "password of api")
    s.daemon.reconcile("shared")
    # No clear text anywhere.
    for text in (s.pg.log_since(mark), s.daemon.log(), s.daemon.ctl("-o", "json", "events").out):
        assert "another password" not in text and "password of" not in text
    assert s.daemon.process.pid == pid


@pytest.mark.majors(15)
def test_a_password_is_rotated_within_an_interval(pg, daemon):
    """Nobody orders it: the file changes, nothing on the server does."""
    pg.create_database("platform")
    s = Scenario(pg, daemon, "service-accounts", "platform", EVERYBODY)
    s.require_passwords()
    s.daemon.write("conf.d/interval.conf", 'daemon: { interval = "1s"; full_interval = "1h"; };\n')
    s.daemon.start()
    s.daemon.wait_in_sync()
    passes = s.row("shared")["passes"]
    wait_for(lambda: s.row("shared")["passes"] > passes + 1, 10, "quiet passes", s.daemon.log_tail)
    s.secret("payments", "rotated")

    def works():
        try:
            return s.run("payments", "SELECT 1") == [(1,)]
        except psycopg2.OperationalError:
            return False
    wait_for(works, 10, "the new password works", s.daemon.log_tail, every=0.2)


def test_the_accounts_are_those_of_the_example():
    with open(os.path.join(EXAMPLES, "service-accounts/manifests/services.conf"), encoding="utf-8") as file:
        assert set(re.findall(r'name = "(\w+)"; login = true', file.read())) == set(EVERYBODY)
