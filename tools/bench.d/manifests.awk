# SPDX-License-Identifier: PostgreSQL
# Declares everything that fixture.sql makes, in authority "exact":
#   awk -v roles=R -v schemas=S -v tables=T -v part=server|database -f manifests.awk
# With literal=1 every column grant names its tables, instead of one pattern for each schema.

function list(prefix, suffix, n,   i, text) {
	for (i = 1; i <= n; i++)
		text = text (i > 1 ? ", " : "") "\"" prefix i suffix "\""
	return text
}

function server_part(   i, k, group, n) {
	n = roles - 3 * schemas
	print "authority = \"exact\";\nroles: ("
	for (i = 1; i <= schemas; i++)
		printf "  { name = \"s%d_ro\"; }, { name = \"s%d_rw\"; }, { name = \"s%d_admin\"; }%s\n", i, i, i, i < schemas || n ? "," : ""
	for (k = 1; k <= n; k++) {
		printf "  { name = \"login%d\"; login = true; connection_limit = %d;", k, 5 + k % 10
		for (i = 0; i <= k % 3; i++) {
			group = "s" (1 + (k * 7 + i * 3) % schemas) "_" ((k + i) % 2 ? "rw" : "ro")
			printf i ? ", \"%s\"" : " member_of = [ \"%s\"", group
		}
		printf " ];%s }%s\n", k % 10 ? "" : " settings: { statement_timeout = \"" k "s\"; };", k < n ? "," : ""
	}
	print ");\ngrants: ("
	printf "  { to = [ %s, %s, %s ];\n    privileges = [ \"CONNECT\" ]; on = \"database bench\"; }\n);\n",
		list("s", "_ro", schemas), list("s", "_rw", schemas), list("s", "_admin", schemas)
}

function column_tables(i,   j, text) {
	if (!literal)
		return "\"table s" i ".t*0\""
	for (j = 10; j <= tables; j += 10)
		text = text (j > 10 ? ", " : "") "\"table s" i ".t" j "\""
	return "[ " text " ]"
}

function database_part(   i) {
	print "authority = \"exact\";\nlevels: ("
	print "  { name = \"reader\"; schema = [ \"USAGE\" ]; table = [ \"SELECT\" ]; },"
	print "  { name = \"writer\"; extends = \"reader\";"
	print "    table = [ \"INSERT\", \"UPDATE\", \"DELETE\", \"TRUNCATE\", \"REFERENCES\", \"TRIGGER\" ]; }\n);"
	print "schemas: ("
	for (i = 1; i <= schemas; i++)
		printf "  { name = \"s%d\"; owner = \"s%d_admin\"; }%s\n", i, i, i < schemas ? "," : ""
	print ");\ngrants: ("
	for (i = 1; i <= schemas; i++) {
		printf "  { to = \"s%d_ro\"; level = \"reader\"; schema = \"s%d\"; },\n", i, i
		printf "  { to = \"s%d_rw\"; level = \"writer\"; schema = \"s%d\"; },\n", i, i
		printf "  { to = \"s%d_ro\"; privileges = [ \"UPDATE\" ]; on = %s; columns = [ \"v\" ]; },\n", i, column_tables(i)
		printf "  { to = \"s%d_rw\"; privileges = [ \"EXECUTE\" ]; on = \"function s%d.f(integer)\"; }%s\n", i, i, i < schemas ? "," : ""
	}
	print ");"
}

BEGIN {
	if (part == "server")
		server_part()
	else
		database_part()
}
