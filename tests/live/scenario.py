# SPDX-License-Identifier: PostgreSQL
"""An example of etc/examples, run as it is shipped. Only the environment differs from what a user would have: where the
server is, where sockets and secrets are. The daemon logs in as `dbreconcile`; see require_passwords() for everybody else."""

import os

import psycopg2

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "etc", "examples")
MASTER = "dbreconcile"


class Scenario:
    """One example beside a daemon that is not yet started, on a cluster with the database it is about."""

    def __init__(self, pg, make_daemon, name, database, secrets=()):
        self.pg = pg
        self.database = database
        with open(os.path.join(EXAMPLES, name, "dbreconciled.conf"), encoding="utf-8") as file:
            self.daemon = make_daemon(config=file.read())
        self.directory = self.daemon.directory
        for folder, _, files in os.walk(os.path.join(EXAMPLES, name)):
            for file in files:
                path = os.path.join(folder, file)
                inside = os.path.relpath(path, os.path.join(EXAMPLES, name))
                with open(path, "rb") as source:
                    self.daemon.write(inside, source.read(), 0o755 if os.access(path, os.X_OK) else 0o644)
        self.secrets = os.path.join(self.directory, "secrets")
        for role in secrets:
            self.secret(role, f"password of {role}")
        self.daemon.env = self.env = {
            "DBRECONCILE_HOST": pg.host, "STATE_DIRECTORY": self.directory, "RUNTIME_DIRECTORY": self.directory,
            "SECRETS_DIRECTORY": self.secrets}
        pg.sql(f"CREATE ROLE {MASTER} LOGIN SUPERUSER")

    def secret(self, role, password):
        return self.daemon.write(f"secrets/{role}", (password + "\n").encode(), 0o600)

    def password(self, role):
        with open(os.path.join(self.secrets, role), encoding="utf-8") as file:
            return file.read().strip()

    def require_passwords(self):
        self.pg.set_hba(f"local all {MASTER} trust", "local all all scram-sha-256")

    def connect(self, role, password=None, **more):
        if password is None and os.path.exists(os.path.join(self.secrets, role)):
            password = self.password(role)
        return self.pg.connect(self.database, role, password, **more)

    def run(self, role, query, args=None, **more):
        connection = self.connect(role, **more)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def may(self, role, query):
        """Whether the role has the right. That its transactions begin as read only is a default that anybody may change."""
        try:
            self.run(role, query, options="-c default_transaction_read_only=off")
        except psycopg2.errors.InsufficientPrivilege:
            return False
        return True

    def value(self, query, args=None):
        return self.pg.value(query, args, dbname=self.database)

    def sql(self, query, args=None):
        """What an administrator does by hand."""
        return self.pg.sql(query, args, dbname=self.database)

    def row(self, target):
        return {row["target"]: row for row in self.daemon.json("status")["targets"]}[target]

    def only_ordered(self):
        """What is changed by hand stays until a pass is ordered."""
        self.daemon.write("conf.d/interval.conf", 'daemon: { interval = "1h"; };\n')

    def nothing_is_sent(self):
        """A pass more: it looks, and sends nothing that changes anything."""
        mark = self.pg.log_mark()
        self.daemon.reconcile()
        assert self.pg.statements(mark), "a pass that was ordered looks"
        assert self.pg.changes(mark) == []
