# SPDX-License-Identifier: PostgreSQL
"""Random manifests against random live states: what a server holds after a pass is what the documentation says it should.

One daemon, one cluster, a database for each pair with roles of its own. The live state is made with SQL that may fail and
is read back; the prediction comes from rights_model.py. The pairs are the same in every run; DBR_SEED=random makes others and
names the seed of what failed. $DBR_PAIRS says how many pairs there are, $DBR_PAIR runs a single one.
"""

import os
import random
import re

import pytest
from dbr.waiting import FACTOR
from rights_model import (DEFAULTS, PRIVILEGES, PUBLIC, Meaning, State, effective_defaults, memberships, possible, predict,
                          predict_memberships)

PAIRS = int(os.environ.get("DBR_PAIRS", "200" if FACTOR == 1 else "40"))     # fewer with sanitizers
SEED = os.environ.get("DBR_SEED", "1")

TEMPLATE = """
CREATE SCHEMA app; CREATE SCHEMA aux;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w;
CREATE TABLE app.t1 (id int, v int); CREATE TABLE app.t2 (id int, v int); CREATE TABLE app.audit (id int, v int);
CREATE TABLE aux.t1 (id int, v int); CREATE TABLE aux.t2 (id int, v int);
CREATE VIEW app.v1 AS SELECT 1 AS id, 2 AS v; CREATE MATERIALIZED VIEW app.m1 AS SELECT 1 AS id, 2 AS v;
CREATE TABLE app.p1 (id int, v int) PARTITION BY LIST (id);
CREATE SEQUENCE app.s1; CREATE SEQUENCE app.s2; CREATE SEQUENCE aux.s1;
CREATE FUNCTION app.f1(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.f1(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION aux.f2() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.pr1(int) LANGUAGE sql AS 'SELECT 1';
CREATE TYPE app.mood AS ENUM ('a'); CREATE DOMAIN app.posint AS int;
SELECT lo_create(4242);
"""
# kind: [(name in SQL, words for ALTER ... OWNER, selectors that a manifest may use)]
OBJECTS = {
    "table": [("app.t1", "TABLE"), ("app.t2", "TABLE"), ("app.audit", "TABLE"), ("aux.t1", "TABLE"), ("aux.t2", "TABLE"),
              ("app.v1", "VIEW"), ("app.m1", "MATERIALIZED VIEW"), ("app.p1", "TABLE")],
    "sequence": [("app.s1", "SEQUENCE"), ("app.s2", "SEQUENCE"), ("aux.s1", "SEQUENCE")],
    "function": [("app.f1(int, text)", "FUNCTION"), ("app.f1(int)", "FUNCTION"), ("aux.f2()", "FUNCTION")],
    "procedure": [("app.pr1(int)", "PROCEDURE")],
    "type": [("app.mood", "TYPE")], "domain": [("app.posint", "DOMAIN")],
    "schema": [("app", "SCHEMA"), ("aux", "SCHEMA")],
    "language": [("plpgsql", "LANGUAGE")], "foreign server": [("srv", "SERVER")], "foreign data wrapper": [("w", None)],
    "large object": [("4242", "LARGE OBJECT")],
}
SELECTORS = {
    "table": ["table app.t1", "table app.t2", "table app.*", "table app.t*", "table aux.*", "table a*.t1", "view app.v1", "view app.*",
              "materialized view app.m1", "partitioned table app.p?", "table app.audit"],
    "sequence": ["sequence app.s1", "sequence app.*", "sequence a*.s?"],
    "function": ["function app.f1(integer, text)", "function app.f1", "function app.*", "function aux.f2()"],
    "procedure": ["procedure app.pr1(integer)", "procedure app.*"],
    "type": ["type app.mood", "type app.*"], "domain": ["domain app.posint", "domain app.*"],
    "schema": ["schema app", "schema aux", "schema a*"],
    "language": ["language plpgsql"], "foreign server": ["foreign server srv"], "foreign data wrapper": ["foreign data wrapper w"],
    "large object": ["large object 4242"],
}
TRY = """CREATE FUNCTION pg_temp.try(who text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF who IS NOT NULL THEN EXECUTE format('SET LOCAL ROLE %I', who); END IF;
  EXECUTE what;
  RESET ROLE;
EXCEPTION WHEN OTHERS THEN RESET ROLE;
END $$;"""


class Pair:
    def __init__(self, number, seed, major):
        self.number, self.major = number, major
        self.random = random.Random(f"{seed}/{number}")
        self.database = f"pair{number:03d}"
        self.own, self.own2, self.a, self.b, self.c, self.x = self.roles = [
            f"p{number}_{word}" for word in ("own", "own2", "a", "b", "c", "x")]      # x: no manifest names it
        self.named = self.roles[:5]
        self.manifest = self.random_manifest()

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def some(self, items, most=2, least=1):
        items = list(items)
        return self.random.sample(items, min(len(items), self.random.randint(least, most)))

    # The live state

    def create_roles(self):
        text = [f"CREATE ROLE {r}{' NOINHERIT' if self.chance(20) else ''}" for r in self.roles]
        for i, group in enumerate(self.roles):
            for member in self.roles[i + 1:]:
                if self.chance(15):
                    option = self.random.choice(("", " WITH ADMIN OPTION", *((" WITH INHERIT FALSE", " WITH SET FALSE") if self.major >= 16 else ())))
                    text.append(f"GRANT {group} TO {member}{option}")
        return text

    def live_statements(self):
        """[(as whom, statement)]: each may fail."""
        out = []
        for kind, objects in OBJECTS.items():
            for name, word in objects:
                if word and self.chance(80):
                    out.append((None, f"ALTER {word} {name} OWNER TO {self.random.choice((self.own, self.own, self.own2, self.x))}"))
        out += [(None, "GRANT USAGE ON SCHEMA app, aux TO PUBLIC")]
        for kind, objects in OBJECTS.items():
            for name, _word in objects:
                if self.chance(70):
                    out += self.grants(kind, name)
        for _ in range(self.random.randint(0, 6)):
            out.append((None, self.default_statement()))
        if self.chance(50):
            out.append((None, f"REVOKE USAGE ON SCHEMA {self.random.choice(('app', 'aux'))} FROM PUBLIC"))
        return out

    def grants(self, kind, name):
        out, words = [], f"{kind if kind not in ('table',) else 'TABLE'} {name}"
        for _ in range(self.random.randint(0, 4)):
            privileges = self.some(possible(kind, self.major), 3)
            to = self.random.choice((*self.roles, *self.roles, PUBLIC))
            option = " WITH GRANT OPTION" if to != PUBLIC and self.chance(50) else ""
            by = self.random.choice((None, None, *self.roles))
            if kind == "table" and self.chance(35):
                column = self.random.choice(("id", "v"))
                privileges = [f"{p} ({column})" for p in privileges if p in PRIVILEGES["column"]]
                if not privileges:
                    continue
                # who grants on a column holds the option on that column: from the table's alone an orphan could be made
                if by:
                    out.append((None, f"GRANT {', '.join(privileges)} ON {words} TO {by} WITH GRANT OPTION"))
            if self.chance(15):
                out.append((None, f"REVOKE {', '.join(privileges)} ON {words} FROM {self.random.choice((to, self.own, PUBLIC))}"))
            else:
                out.append((by, f"GRANT {', '.join(privileges)} ON {words} TO {to}{option}"))
        if self.chance(10):
            out.append((None, f"REVOKE ALL ON {words} FROM PUBLIC, {self.own}, {self.own2}"))
        return out

    def default_statement(self):
        letter = self.random.choice("rrSfTn")
        schema = f" IN SCHEMA {self.random.choice(('app', 'aux'))}" if letter != "n" and self.chance(65) else ""
        kind, word, _ = DEFAULTS[letter]
        to = self.random.choice((*self.roles, PUBLIC))
        privileges = ", ".join(self.some(possible(kind, self.major), 2))
        what = (f"REVOKE {privileges} ON {word} FROM {to}" if self.chance(25) else
                f"GRANT {privileges} ON {word} TO {to}{' WITH GRANT OPTION' if to != PUBLIC and self.chance(30) else ''}")
        return f"ALTER DEFAULT PRIVILEGES FOR ROLE {self.random.choice((self.own, self.own2, self.a, self.x))}{schema} {what}"

    def make_live(self, pg):
        connection = pg.connect(self.database, options="-c log_statement=none")
        with connection.cursor() as cursor:
            cursor.execute(TRY + "BEGIN")
            for by, statement in self.live_statements():
                cursor.execute("SELECT pg_temp.try(%s, %s)", (by, statement))
            cursor.execute("COMMIT")
        self.before = State(connection)
        connection.close()

    # The manifest

    def random_manifest(self):
        manifest = {"roles": tuple(self.role_wish(r) for r in self.named)}
        if self.chance(70):
            manifest["authority"] = "exact"
            if self.chance(25):
                manifest["unmanaged_grantees"] = "revoke"
        manifest["schemas"] = tuple(
            {"name": name, **({"owner": self.random.choice((self.own, self.own2))} if self.chance(60) else {})}
            for name in self.some(("app", "aux", "fresh"), 2, 0))
        manifest["grants"] = tuple(self.grant_wish(manifest) for _ in range(self.random.randint(1, 7)))
        manifest["default_privileges"] = tuple(self.default_wish() for _ in range(self.random.randint(0, 3)))
        if self.chance(30):
            on = self.random.choice(("table app.t1", "table app.*", "sequence app.*", "function app.f1", "type app.mood", "view app.*", "domain app.*"))
            manifest["owners"] = ({"on": on, "owner": self.random.choice((self.own, self.own2))},)
        manifest["memberships"] = tuple(self.membership_wishes())
        return {key: value for key, value in manifest.items() if value or key == "grants"}

    def role_wish(self, role):
        if role == self.c and self.chance(30):
            return {"name": role, "ensure": "external"}
        return {"name": role, "login": self.chance(50)}

    def membership_wishes(self):
        for i, group in enumerate(self.named):
            for member in self.named[i + 1:]:
                if self.chance(12):
                    yield {"role": group, "members": [member],
                           **{word: self.chance(50) for word in ("admin", "inherit", "set") if self.chance(40)}}

    def grant_wish(self, manifest):
        to = self.some((self.a, self.b, self.c, self.own2, *([PUBLIC] if self.chance(40) else [])), 2)
        option = PUBLIC not in to and self.chance(25)
        wish = {"to": to}
        if self.chance(35):
            schemas = ["app", "aux"] + [s["name"] for s in manifest["schemas"] if s["name"] == "fresh"]
            wish.update(level=self.random.choice(("read-only", "read-write", "admin")), schema=self.some(schemas))
        else:
            kind = self.random.choice((*OBJECTS, "table", "table", "table"))
            wish["on"] = self.some(SELECTORS[kind])
            allowed = PRIVILEGES[kind]
            if kind == "table" and self.chance(40):
                wish["columns"] = self.some(("id", "v"))
                allowed = PRIVILEGES["column"]
            wish["privileges"] = "ALL" if self.chance(15) else self.some(allowed, 3, 0)
            option = option and bool(wish["privileges"])
            if self.chance(15) and kind == "table":
                wish["except"] = ["table app.t2"]
        if option:
            wish["grant_option"] = True
        return wish

    def default_wish(self):
        letter = self.random.choice("rrSfTn")
        kind, word, _ = DEFAULTS[letter]
        to = self.some((self.a, self.b, self.c, *([PUBLIC] if self.chance(30) else [])), 2)
        wish = {"on": word, "to": to, "privileges": "ALL" if self.chance(15) else self.some(PRIVILEGES[kind], 2, 0)}
        if letter != "n" and self.chance(70):
            wish["schema"] = self.random.choice(("app", "aux"))
        if "schema" not in wish or self.chance(60):
            wish["for"] = self.some((self.own, self.own2, self.a))
        if wish["privileges"] and PUBLIC not in to and self.chance(25):
            wish["grant_option"] = True
        return wish

    # The comparison

    def predicted(self, declared, members):
        meaning = Meaning(self.manifest, declared, self.major)
        owners, acls, defaults = predict(meaning, self.before, members, {"postgres"})
        return owners, {t: a for t, a in acls.items() if a or t.kind != "column"}, effective_defaults(defaults, self.major), meaning.blocked

    def differences(self, pg, declared, members):
        owners, acls, defaults, self.blocked = self.predicted(declared, members)
        connection = pg.connect(self.database, options="-c log_statement=none")
        after = State(connection)
        connection.close()
        found = [f"owner of {t}: {after.owner.get(t)}, predicted {o}" for t, o in owners.items() if after.owner.get(t) != o]
        found += compare(acls, after.acl, self.before.acl, "")
        return found + compare(defaults, effective_defaults(after.defaults, self.major), self.before.defaults, "default ")


def compare(predicted, live, before, word):
    found = []
    for key in sorted({*predicted, *live}, key=str):
        want, there = predicted.get(key, {}), live.get(key, {})
        if want != there:
            found.append(f"{word}{key}: there and not predicted {show(there, want)}, predicted and not there {show(want, there)}"
                         f"\n      before: {show(before.get(key, {}), {})}")
    return found


def show(these, without):
    return sorted((*key, "*" if option else "") for key, option in these.items() if without.get(key) != option)


@pytest.fixture
def pairs(pg):
    seed = str(random.randrange(10**9)) if SEED == "random" else SEED
    numbers = [int(os.environ["DBR_PAIR"])] if "DBR_PAIR" in os.environ else range(PAIRS)
    made = [Pair(number, seed, pg.major) for number in numbers]
    pg.create_database("pattern", TEMPLATE)
    everything = pg.connect()
    with everything.cursor() as cursor:
        for pair in made:
            cursor.execute(f"CREATE DATABASE {pair.database} TEMPLATE pattern" + (" STRATEGY file_copy" if pg.major >= 15 else ""))
            cursor.execute(";".join(pair.create_roles()))
    everything.close()
    for pair in made:
        pair.make_live(pg)
    yield seed, made
    pg.reset()                # two hundred databases, perhaps in memory: not until somebody else needs this cluster


def test_random_pairs(pg, daemon, pairs, record_property):
    seed, made = pairs
    connection = pg.connect()
    members = memberships(connection)
    inherits = dict(pg.sql("SELECT rolname::text, rolinherit FROM pg_roles"))
    d = daemon(servers={"name": "s", "conninfo": pg.conninfo(), "max_connections": 4,
                        "databases": tuple({"name": p.database, "manifests": [p.database]} for p in made)},
               manifests={p.database: p.manifest for p in made}, daemon={"interval": "1h"},
               guard={"max_revokes": 100000, "max_percent": 100, "max_drops": 100})
    d.start()
    d.ctl("reconcile", "--wait", timeout=300)
    after_members = memberships(connection)
    connection.close()
    declared = {r["name"] for p in made for r in p.manifest["roles"] if "ensure" not in r}
    states = {row["target"]: row for row in d.json("status")["targets"]}
    failures, blocked, entries = [], 0, 0
    for pair in made:
        found = pair.differences(pg, declared, after_members)
        entries += sum(len(acl) for acl in pair.before.acl.values())
        mine = {k: v for k, v in members.items() if k[1] in pair.roles}
        wanted = predict_memberships(pair.manifest, mine, inherits, pg.major)
        live = {k: v for k, v in after_members.items() if k[1] in pair.roles}
        found += [f"membership {k}: {live.get(k)}, predicted {wanted.get(k)}" for k in {*wanted, *live} if wanted.get(k) != live.get(k)]
        row = states["s/" + pair.database]
        expected = "blocked" if pair.blocked else "in_sync"
        if row["state"] != expected:
            found.append(f"state {row['state']}, expected {expected}: {row['message']}\n{d.ctl('diff', 's/' + pair.database).out}")
        blocked += pair.blocked
        if found:
            failures.append(f"DBR_SEED={seed} DBR_PAIR={pair.number}:\n    " + "\n    ".join(found))
    assert not failures, f"{len(failures)} of {len(made)} pairs:\n" + "\n".join(failures[:int(os.environ.get('DBR_SHOW', '6'))])
    mark = pg.log_mark()
    d.ctl("reconcile", "--wait", timeout=300)
    assert pg.changes(mark) == []
    assert not re.search(r"\b(ERROR|WARNING): ", "\n".join(x for x in pg.log_since().splitlines() if "dbreconciled" in x))
    record_property("table", f"PostgreSQL {pg.major}: {len(made)} random pairs as predicted (seed {seed}), {entries} entries before, "
                             f"{blocked} pairs with something blocked")
