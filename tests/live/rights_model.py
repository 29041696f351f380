# SPDX-License-Identifier: PostgreSQL
"""What a manifest means for the privileges of a database, reckoned from the documentation alone (dbreconcile-manifest(5)),
and how they are read from a server. Nothing here knows how the daemon does it; test_random_live.py compares the two.

An access control list is {(grantee, grantor, privilege): with grant option}; grantee "PUBLIC" is everybody.
"""

import json
from collections import namedtuple
from fnmatch import fnmatchcase

PUBLIC = "PUBLIC"
TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
PRIVILEGES = {
    "table": TABLE, "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"), "sequence": ("SELECT", "UPDATE", "USAGE"),
    "function": ("EXECUTE",), "procedure": ("EXECUTE",), "type": ("USAGE",), "domain": ("USAGE",), "schema": ("USAGE", "CREATE"),
    "language": ("USAGE",), "foreign data wrapper": ("USAGE",), "foreign server": ("USAGE",), "large object": ("SELECT", "UPDATE"),
}
LEVELS = {
    "read-only": {"schema": ("USAGE",), "table": ("SELECT",), "sequence": ("SELECT",)},
    "read-write": {"schema": ("USAGE",), "table": ("SELECT", "INSERT", "UPDATE", "DELETE"), "sequence": ("SELECT", "USAGE"),
                   "function": ("EXECUTE",), "procedure": ("EXECUTE",)},
    "admin": {"schema": ("USAGE", "CREATE"), "table": "ALL", "sequence": "ALL", "function": "ALL", "procedure": "ALL",
              "type": "ALL", "domain": "ALL"},
}
# pg_default_acl.defaclobjtype: (kind, the word of a manifest, the letter of acldefault())
DEFAULTS = {"r": ("table", "tables", "r"), "S": ("sequence", "sequences", "s"), "f": ("function", "functions", "f"),
            "T": ("type", "types", "T"), "n": ("schema", "schemas", "n")}
RELKINDS = {"table": "r", "view": "v", "materialized view": "m", "partitioned table": "p"}

Thing = namedtuple("Thing", "kind relkind schema name args")      # columns: kind "column", args is the column's name
Rule = namedtuple("Rule", "grantee kind relkind schema name args column excepted privileges option")


def possible(kind, major):
    return PRIVILEGES[kind] + (("MAINTAIN",) if kind == "table" and major >= 17 else ())


# --- reading -------------------------------------------------------------------------------------------------------------

_ACL = """coalesce((SELECT json_agg(json_build_array(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE coalesce(g.rolname, a.grantee::text) END,
  coalesce(b.rolname, a.grantor::text), a.privilege_type, a.is_grantable)) FROM aclexplode({acl}) a LEFT JOIN pg_roles g ON g.oid = a.grantee
  LEFT JOIN pg_roles b ON b.oid = a.grantor), '[]')"""


def _part(kind, relkind, schema, name, args, owner, acl, letter, rest):
    default = f"coalesce({acl}, acldefault('{letter}', {owner}))" if letter else acl
    return (f"SELECT {kind} AS kind, {relkind} AS relkind, {schema}::text AS schema, {name}::text AS name, {args}::text AS args, "
            f"pg_get_userbyid({owner})::text AS owner, {_ACL.format(acl=default)} AS acl {rest}")


_USER = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_STATE = " UNION ALL ".join(f"SELECT kind, relkind, schema, name, args, owner, acl::text FROM ({part}) x" for part in (
    _part("'table'", "c.relkind::text", "n.nspname", "c.relname", "NULL", "c.relowner", "c.relacl", "r",
          f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND {_USER}"),
    _part("'sequence'", "NULL", "n.nspname", "c.relname", "NULL", "c.relowner", "c.relacl", "s",
          f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_USER}"),
    _part("'column'", "c.relkind::text", "n.nspname", "c.relname", "t.attname", "c.relowner", "t.attacl", None,
          f"FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
          f"WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND {_USER}"),
    _part("CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END", "NULL", "n.nspname", "p.proname",
          "oidvectortypes(p.proargtypes)", "p.proowner", "p.proacl", "f",
          f"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_USER}"),
    _part("CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END", "NULL", "n.nspname", "t.typname", "NULL", "t.typowner", "t.typacl",
          "T", f"FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('d', 'e') AND {_USER}"),
    _part("'schema'", "NULL", "NULL", "n.nspname", "NULL", "n.nspowner", "n.nspacl", "n", f"FROM pg_namespace n WHERE {_USER}"),
    _part("'language'", "NULL", "NULL", "lanname", "NULL", "lanowner", "lanacl", "l", "FROM pg_language WHERE lanpltrusted"),
    _part("'foreign data wrapper'", "NULL", "NULL", "fdwname", "NULL", "fdwowner", "fdwacl", "F", "FROM pg_foreign_data_wrapper"),
    _part("'foreign server'", "NULL", "NULL", "srvname", "NULL", "srvowner", "srvacl", "S", "FROM pg_foreign_server"),
    _part("'large object'", "NULL", "NULL", "oid", "NULL", "lomowner", "lomacl", "L", "FROM pg_largeobject_metadata"),
))
_DEFAULT_ROWS = f"""SELECT pg_get_userbyid(d.defaclrole)::text, n.nspname::text, d.defaclobjtype::text, {_ACL.format(acl='d.defaclacl')}::text
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"""
_MEMBERS = """SELECT g.rolname::text, m.rolname::text, a.admin_option, coalesce((to_jsonb(a)->>'inherit_option')::bool, m.rolinherit),
  coalesce((to_jsonb(a)->>'set_option')::bool, true) FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid
  JOIN pg_roles m ON m.oid = a.member WHERE m.rolname !~ '^pg_'"""


def _acl(text):
    return {(grantee, grantor, privilege): option for grantee, grantor, privilege, option in json.loads(text)}


class State:
    """The privileges of one database."""

    def __init__(self, connection):
        with connection.cursor() as cursor:
            cursor.execute(_STATE)
            rows = [(Thing(*row[:5]), row[5], _acl(row[6])) for row in cursor.fetchall()]
            cursor.execute(_DEFAULT_ROWS)
            self.defaults = {(role, schema, letter): _acl(text) for role, schema, letter, text in cursor.fetchall()}
        self.owner = {thing: owner for thing, owner, _acl_ in rows}
        self.acl = {thing: acl for thing, _owner, acl in rows}


def memberships(connection):
    """{(role, member): (admin, inherit, set)}: the union over grantors."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS)
        for role, member, *options in cursor.fetchall():
            there = found.get((role, member), (False, False, False))
            found[role, member] = tuple(a or b for a, b in zip(there, options))
    return found


# --- what a manifest says --------------------------------------------------------------------------------------------------

def parse(on):
    """"view app.v_*" -> (kind, relkind, schema, name, args)"""
    for kind in sorted({*PRIVILEGES, *RELKINDS}, key=len, reverse=True):
        if on.startswith(kind + " "):
            rest = on[len(kind) + 1:]
            break
    args = None
    if rest.endswith(")"):
        rest, args = rest[:-1].split("(", 1)
    schema, name = rest.split(".", 1) if "." in rest else (None, rest)
    if kind in RELKINDS and kind != "table":
        return "table", RELKINDS[kind], schema, name, args
    return kind, None, schema, name, args


def matches(selector, thing):
    kind, relkind, schema, name, args = selector
    return (kind == thing.kind and (relkind is None or relkind == thing.relkind) and (schema is None or fnmatchcase(thing.schema, schema)) and
            fnmatchcase(thing.name, name) and (args is None or args == thing.args))


def speaks_of(rule, thing):
    selector = (rule.kind, rule.relkind, rule.schema, rule.name, rule.args)
    return matches(selector, thing) and not any(matches(parse(e), thing) for e in rule.excepted)


def rules_of(manifest):
    rules = []
    for grant in manifest.get("grants", ()):
        option = grant.get("grant_option", False)
        excepted = tuple(grant.get("except", ()))
        for to in grant["to"]:
            for schema in grant.get("schema", ()):
                for kind, privileges in LEVELS[grant["level"]].items():
                    where = (None, schema) if kind == "schema" else (schema, "*")
                    rules.append(Rule(to, kind, None, *where, None, None, excepted, privileges, option))
            for on in grant.get("on", ()):
                for column in grant.get("columns", (None,)):
                    rules.append(Rule(to, *parse(on), column, excepted, "ALL" if grant["privileges"] == "ALL" else tuple(grant["privileges"]), option))
    return rules


class Scope:
    """Where something is taken away. taken and bared: what goes anyway, because a REVOKE on the table reaches its columns;
    kept: what must stay, because somebody out of scope holds his privilege through it; above: the list of a column's table."""

    def __init__(self, public_named, taken=(), bared=(), above=()):
        self.public_named, self.taken, self.bared, self.kept, self.above = public_named, set(taken), set(bared), set(), dict(above)


class Meaning:
    """One manifest and the roles that the manifests of the server declare."""

    def __init__(self, manifest, declared, major):
        self.manifest, self.declared, self.major = manifest, declared, major
        self.exact = manifest.get("authority") == "exact"
        self.revoke_unmanaged = manifest.get("unmanaged_grantees") == "revoke"
        self.rules = rules_of(manifest)
        self.scopes = {s["name"] for s in manifest.get("schemas", ())} | {s for g in manifest.get("grants", ()) for s in g.get("schema", ())}
        self.blocked = False

    def wants(self, rules, kind):
        want = {}
        for rule in rules:
            mine = want.setdefault(rule.grantee, {})
            for privilege in possible(kind, self.major):
                if rule.privileges == "ALL" or privilege in rule.privileges:
                    mine[privilege] = mine.get(privilege, False) or rule.option
        return want

    def in_scope(self, grantee, want, public_named):
        if grantee == PUBLIC:
            return public_named
        return grantee in want or grantee in self.declared or self.revoke_unmanaged

    def settle(self, acl, owner, want, scope, owner_too=False):
        """The list as it should be afterwards; scope is None where nothing is taken away."""
        gone, bare = self.surplus(acl, owner, want, scope) if scope else (set(), set())
        left = {key: option and key not in bare for key, option in acl.items() if key not in gone}
        for grantee, privileges in want.items():
            if grantee == owner and not owner_too:
                continue
            for privilege, option in privileges.items():
                held = [key for key in left if key[0] == grantee and key[2] == privilege]
                if not held or (option and not any(left[key] for key in held)):
                    left[grantee, owner, privilege] = option
        return left

    def surplus(self, acl, owner, want, scope):
        """(entries that go, entries that lose their grant option). What hangs on a grant option that goes, goes as well; what
        somebody out of scope holds through one keeps it alive."""
        def passes_on(role, privilege, gone, bare):
            return role == owner or any(option and key not in gone and key not in bare and key[0] == role and key[2] == privilege
                                        for key, option in acl.items())
        hanging = {key for key in acl if passes_on(key[1], key[2], (), ())}
        # what outlived the option that it was granted from can be revoked by nobody, unless its grantor is to have it again
        orphans = {key for key in acl if key not in hanging and not want.get(key[1], {}).get(key[2]) and
                   not any(o and (k[0], k[2]) == key[1:] for k, o in scope.above.items())}
        mine = {key for key in acl if key[0] != owner and self.in_scope(key[0], want, scope.public_named)}
        while True:
            gone = {key for key in mine if key not in scope.kept and key[2] not in want.get(key[0], {})}
            bare = {key for key in mine if key not in scope.kept and key not in gone and acl[key] and not want[key[0]][key[2]]}
            gone |= {key for key in scope.taken if key in acl and key not in scope.kept}
            bare |= {key for key in scope.bared if key in acl and acl[key] and key not in gone | scope.kept}
            missing, grown = None, True
            while grown and missing is None:
                grown = False
                for key in sorted(hanging - gone):
                    if passes_on(key[1], key[2], gone, bare):
                        continue
                    if (key in mine or key[0] == owner) and key not in scope.kept:
                        gone.add(key)
                        grown = True
                    else:
                        missing = key
                        break
            if missing is None:
                bare -= gone
                if orphans & (gone | bare):
                    scope.kept |= orphans & (gone | bare)
                    self.blocked = True
                    continue
                return gone, bare
            # rather what the owner gave: nothing else has to stay for it
            scope.kept.add(min((key for key in gone | bare if key[0] == missing[1] and key[2] == missing[2] and acl[key]),
                               key=lambda key: (key[1] != owner, key)))
            self.blocked = True

    def owners(self, state):
        """{thing: owner} that is declared, of things that are there."""
        found = {}
        for wish in self.manifest.get("owners", ()):
            found.update({thing: wish["owner"] for thing in state.acl if matches(parse(wish["on"]), thing)})
        for wish in self.manifest.get("schemas", ()):
            thing = Thing("schema", None, None, wish["name"], None)
            if "owner" in wish or thing not in state.acl:
                found[thing] = wish.get("owner", "postgres")
        return found


def handed_over(acl, old, new):
    """ALTER ... OWNER TO: the new owner stands wherever the old one stood."""
    def name(role):
        return new if role == old else role
    out = {}
    for (grantee, grantor, privilege), option in acl.items():
        key = (name(grantee), name(grantor), privilege)
        out[key] = out.get(key, False) or option
    return out


def creators(meaning, schema, owner, acl, members, superusers):
    """Who can create in a schema: its owner, who has CREATE or is to have it, and who inherits from them."""
    found = {owner} | {key[0] for key in acl if key[2] == "CREATE" and key[0] != PUBLIC}
    grown = True
    while grown:
        more = {member for (role, member), options in members.items() if role in found and options[1]}
        grown = not more <= found
        found |= more
    return {role for role in found if not role.startswith("pg_") and (role not in superusers or role == owner)}


# --- the prediction --------------------------------------------------------------------------------------------------------

def columns_of(meaning, state, table):
    names = {t.args for t in state.acl if t.kind == "column" and (t.schema, t.name) == (table.schema, table.name)}
    return sorted(names | {r.column for r in meaning.rules if r.column and speaks_of(r, table)})


def predict_table(meaning, state, table, acl, owner, old_owner, out):
    """A table with its columns: a REVOKE on the table takes the same privilege from the columns, when the grantor is the same."""
    rules = [r for r in meaning.rules if not r.column and speaks_of(r, table)]
    # whoever is given columns only is to have nothing more of the table
    rules += [r._replace(column=None, privileges=(), option=False) for r in meaning.rules if r.column and speaks_of(r, table)]
    want = meaning.wants(rules, table.kind)
    within = meaning.exact and table.schema in meaning.scopes
    scope = Scope(PUBLIC in want) if meaning.exact and (rules or within) else None
    again = True
    while again:
        again = False
        out[table] = meaning.settle(acl, owner, want, scope)
        gone, bare = meaning.surplus(acl, owner, want, scope) if scope else ((), ())
        for column in columns_of(meaning, state, table):
            thing = Thing("column", table.relkind, table.schema, table.name, column)
            its = [r for r in meaning.rules if r.column == column and speaks_of(r, table)]
            its_want = meaning.wants(its, "column")
            above = {**acl, **{(role, owner, privilege): option for role, wanted in want.items() for privilege, option in wanted.items() if option}}
            its_scope = Scope(PUBLIC in its_want or PUBLIC in want, gone, bare, above) if meaning.exact and (its or rules or within) else None
            there = handed_over(state.acl.get(thing, {}), old_owner, owner)
            # who is named for the table is named for its columns
            out[thing] = meaning.settle(there, owner, its_want, its_scope)
            stays = (its_scope.kept if its_scope else set()) & (set(gone) | set(bare))
            if stays - scope.kept if scope else False:
                scope.kept |= stays
                again = True


def predict(meaning, state, members, superusers):
    """({thing: owner}, {thing: acl}, {(creator, schema, letter): acl}) after the manifest was applied to the state."""
    owners, acls = dict(state.owner), {}
    owners.update(meaning.owners(state))
    before = dict(state.acl)
    for thing, owner in owners.items():
        if thing not in before:          # a schema that is made
            owners[thing] = state.owner[thing] = owner
            # an empty list of defaults counts as none (aclmerge() in PostgreSQL's acl.c)
            before[thing] = state.defaults.get((owner, None, "n")) or builtin_default("n", owner, meaning.major)
    for thing, acl in before.items():
        if thing.kind == "column":
            continue
        owner = owners[thing]
        acl = handed_over(acl, state.owner[thing], owner)
        if thing.kind == "table":
            predict_table(meaning, state, thing, acl, owner, state.owner[thing], acls)
            continue
        rules = [r for r in meaning.rules if not r.column and speaks_of(r, thing)]
        exact = meaning.exact and (rules or (thing.name if thing.kind == "schema" else thing.schema) in meaning.scopes)
        want = meaning.wants(rules, thing.kind)
        acls[thing] = meaning.settle(acl, owner, want, Scope(PUBLIC in want) if exact else None)
    owners = {thing: owner for thing, owner in owners.items() if thing.kind != "column"}
    return owners, acls, predict_defaults(meaning, state, owners, acls, members, superusers)


def builtin_default(letter, creator, major):
    kind = DEFAULTS[letter][0]
    acl = {(creator, creator, p): False for p in possible(kind, major)}
    if letter in "fT":
        acl[PUBLIC, creator, possible(kind, major)[0]] = False
    return acl


def predict_defaults(meaning, state, owners, acls, members, superusers):
    letters = {"table": "r", "sequence": "S", "function": "f", "type": "T"}
    keys = {}

    def want(creator, schema, letter, rule):
        keys.setdefault((creator, schema, letter), []).append(rule)

    for schema_thing, owner in owners.items():
        if schema_thing.kind != "schema":
            continue
        schema, who = schema_thing.name, None
        for rule in meaning.rules:
            if rule.schema == schema and rule.name == "*" and rule.kind in letters and rule in level_rules(meaning):
                who = who if who is not None else creators(meaning, schema, owner, acls[schema_thing], members, superusers)
                for creator in who - {rule.grantee}:
                    want(creator, schema, letters[rule.kind], rule)
        for wish in meaning.manifest.get("default_privileges", ()):
            if wish.get("schema") != schema or "for" in wish:
                continue
            letter = next(k for k, v in DEFAULTS.items() if v[1] == wish["on"])
            who = who if who is not None else creators(meaning, schema, owner, acls[schema_thing], members, superusers)
            for to in wish["to"]:
                for creator in who - {to}:
                    want(creator, schema, letter, default_rule(wish, to, letter))
    for wish in meaning.manifest.get("default_privileges", ()):
        letter = next(k for k, v in DEFAULTS.items() if v[1] == wish["on"])
        for creator in wish.get("for", ()):
            for to in wish["to"]:
                want(creator, wish.get("schema"), letter, default_rule(wish, to, letter))
    for key in state.defaults:
        if meaning.exact and key[1] in meaning.scopes:
            keys.setdefault(key, [])
    out = {key: acl for key, acl in state.defaults.items()}
    for (creator, schema, letter), rules in keys.items():
        acl = state.defaults.get((creator, schema, letter), {} if schema else builtin_default(letter, creator, meaning.major))
        wanted = meaning.wants(rules, DEFAULTS[letter][0])
        out[creator, schema, letter] = meaning.settle(acl, creator, wanted, Scope(PUBLIC in wanted) if meaning.exact else None, True)
    return out


def default_rule(wish, to, letter):
    privileges = "ALL" if wish["privileges"] == "ALL" else tuple(wish["privileges"])
    return Rule(to, DEFAULTS[letter][0], None, None, "*", None, None, (), privileges, wish.get("grant_option", False))


def level_rules(meaning):
    return rules_of({"grants": [g for g in meaning.manifest.get("grants", ()) if "level" in g]})


def effective_defaults(defaults, major):
    """What the rows say, where they say something: a global row equal to the built-in one, or an empty one, is no row."""
    return {key: acl for key, acl in defaults.items() if acl != ({} if key[1] else builtin_default(key[2], key[0], major))}


def predict_memberships(manifest, live, inherits, major):
    """{(role, member): (admin, inherit, set)} of the declared members afterwards; inherits: {role: rolinherit}."""
    wanted = {}
    for wish in manifest.get("memberships", ()):
        for member in wish["members"]:
            wanted[wish["role"], member] = tuple(wish.get(word) for word in ("admin", "inherit", "set"))
    for role in manifest.get("roles", ()):
        for group in role.get("member_of", ()):
            wanted.setdefault((group, role["name"]), (None, None, None))
    declared = {r["name"] for r in manifest.get("roles", ()) if "ensure" not in r}
    out = {key: options for key, options in live.items()
           if key in wanted or manifest.get("authority") != "exact" or key[1] not in declared}
    for key, options in wanted.items():
        there = live.get(key, (False, inherits.get(key[1], True), True))
        if major < 16:
            options = (options[0], None, None)
            there = (there[0], inherits.get(key[1], True), True)
        # exact: ADMIN that nobody declared is surplus (no role of these pairs makes roles)
        if options[0] is None and manifest.get("authority") == "exact" and key[1] in declared and there[1:] != (False, False):
            options = (False,) + options[1:]
        out[key] = tuple(there[i] if options[i] is None else options[i] for i in range(3))
        # ADMIN alone, by the bootstrap superuser, is what PostgreSQL 16 gives the creator of a role: it is left alone, and no
        # membership unless exactly that is asked for
        if major >= 16 and out[key] == (True, False, False):
            out[key] = (True, inherits.get(key[1], True) if options[1] is None else options[1], True if options[2] is None else options[2])
    return out
