#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Every lint script finds what it is there for: a violation is planted in a copy of the sources, and the script has to
# name the file; without it, the script has to be content.
cd "${top_srcdir:-.}" || exit 99
lint=$PWD/tests/lint
copy=$(mktemp -d) || exit 99
trap 'rm -rf "$copy"' EXIT
# A part of the tree is enough to be content with, and quicker; the scripts themselves run over all of it.
mkdir "$copy/src" "$copy/src/catalog" "$copy/src/session" && cp -R include Makefile.am "$copy" && cp -R src/base src/model "$copy/src" &&
	chmod -R u+w "$copy" || exit 99
failures=0
cases=0

# planted SCRIPT FILE CONTENT: a new file with a violation
planted() {
	local script=$1 file=$2 output code
	cases=$((cases + 1))
	mkdir -p "$copy/$(dirname "$file")"
	printf '%b' "$3" >"$copy/$file"
	output=$("$lint/$script.sh" "$copy" 2>&1)
	code=$?
	rm -f "$copy/$file"
	case $code:$output in
	1:*"$file:"*) ;;
	*)
		printf '%s.sh did not find what was planted in %s (exit code %d):\n%b\n%s\n' "$script" "$file" "$code" "$3" "$output"
		failures=1
		;;
	esac
}
# fine SCRIPT FILE CONTENT: a new file that is no violation
fine() {
	local output
	cases=$((cases + 1))
	printf '%b' "$3" >"$copy/$2"
	output=$("$lint/$1.sh" "$copy" 2>&1) || {
		printf '%s.sh complains about what is right:\n%b\n%s\n' "$1" "$3" "$output"
		failures=1
	}
	rm -f "$copy/$2"
}
L='/* SPDX-License-Identifier: PostgreSQL */\n'

planted layers src/base/p.c "$L#include \"model/acl.h\"\n"
planted layers src/model/p.h "$L  #  include \"config/settings.h\"\n"
planted layers src/config/p.c "$L#include \"catalog/query.h\"\n"
planted layers src/migrate/p.c "$L#include \"config/settings.h\"\n"
planted layers src/reconcile/p.c "$L#include \"session/session.h\"\n"
planted layers src/session/p.c "$L#include \"state/state.h\"\n"
planted layers src/engine/p.c "$L#include \"control/control.h\"\n"
planted layers src/control/p.c "$L#include \"service/service.h\"\n"
planted layers src/ctl/p.c "$L#include \"engine/engine.h\"\n"
planted layers src/ctl/p.c "$L#include \"reconcile/plan.h\"\n"
planted layers src/elsewhere/p.c "$L#include \"base/error.h\"\n"
planted layers src/engine/p.c "$L#include \"neighbour.h\"\n"
planted layers src/engine/p.c "$L#include <libpq-fe.h>\n"
planted layers src/engine/p.c "$L#include <sqlite3.h>\n"
planted layers src/catalog/p.c "$L#include <pg_query.h>\n"
planted layers src/reconcile/p.c "$L#include <event2/event.h>\n"
planted layers include/dbreconcile/p.h "$L#include \"base/error.h\"\n"
fine layers src/engine/p.c "$L#include <event2/event.h>\n#include \"state/state.h\"\n#include \"dbreconcile/protocol.h\"\n"

planted banned src/base/p.c "${L}void f(char *s) { sprintf(s, \"x\"); }\n"
planted banned src/base/p.c "${L}void f(char *s) { strcpy (s, \"x\"); }\n"
planted banned tests/p.c "${L}int f(void) { return system(\"ls\"); }\n"
planted banned src/base/p.h "${L}static inline int f(const char *s) { return atoi(s); }\n"
fine banned src/base/p.c "$L/* system(\"x\") */ int f(char *s) { return snprintf(s, 1, \"sprintf(x)\"); } // atoi(1)\n"

planted spdx src/base/p.c "int f(void);\n"
planted spdx tools/nolicence "#!/bin/sh\n"
planted spdx etc/examples/x/p.conf "roles: ();\n"

planted documented include/dbreconcile/p.h "$L/* What. */\n\nint f(void);\n"
planted documented include/dbreconcile/p.h "$L/* What. */\n\n/* g. */\nint g(void);\n\nstruct x *f(const char *a,\n\tint b) __attribute__((format(printf, 1, 2)));\n"
planted documented src/base/p.h "$L#define X 1\n"
fine documented src/base/p.h "$L/* What. */\n\n/* g and h. */\nint g(void);\nint h(void);\n\nint i(void);   /* three */\n"

planted sql src/catalog/p.c "${L}const char *q = \"SELECT a FROM pg_class\";\n"
planted sql src/catalog/p.c "${L}const char *q = \"SELECT a \"\n\t\"FROM pg_catalog.pg_class c \"\n\t\"JOIN pg_roles r ON true\";\n"
planted sql src/catalog/p.c "$L#define PG \"pg_catalog.\"\nconst char *q = \"SELECT a FROM \" PG \"pg_class JOIN pg_roles\";\n"
planted sql src/session/p.c "${L}const char *q = \"SELECT array_agg(c.oid) FROM pg_catalog.pg_class c\";\n"
planted sql src/catalog/p.c "${L}const char *q = \"WITH a AS (SELECT 1) SELECT (SELECT count(*) FROM a), pg_catalog.max(1) FROM b\";\n"
fine sql src/catalog/p.c "$L#define PG \"pg_catalog.\"\nconst char *q = \"SELECT \" PG \"count(*) FROM \" PG \"pg_class\";\n"
fine sql src/catalog/p.c "${L}const char *q = \"WITH a AS MATERIALIZED (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE x IN (1, 2)), \"\n\t\"b AS (SELECT 'now(x)' FROM a) SELECT * FROM ONLY pg_catalog.pg_class JOIN b ON (x IS DISTINCT FROM y) \"\n\t\"JOIN LATERAL pg_catalog.unnest(a) AS u(x, y) ON true\";\n"

planted twice tests/p.py "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n\n\ndef test_a(pg):\n    pass\n"
fine twice tests/p.py "def test_a():\n    def inner():\n        pass\n\n\ndef test_ab():\n    def inner():\n        pass\n"

# The core library: an object that calls libpq.
cases=$((cases + 1))
if printf 'int PQstatus(void *); int f(void *c) { return PQstatus(c); }\n' | ${CC:-cc} -x c -c -o "$copy/p.o" - &&
	ar rc "$copy/p.a" "$copy/p.o"; then
	output=$("$lint/purity.sh" "$copy/p.a" 2>&1)
	[ $? -eq 1 ] && case $output in *PQstatus*) true ;; *) false ;; esac ||
		{ printf 'purity.sh did not find PQstatus: %s\n' "$output"; failures=1; }
else
	echo 'purity.sh could not be tried: no compiler'
	failures=1
fi

echo "$cases cases"
[ "$cases" -gt 30 ] || failures=1
exit "$failures"
