#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Our own SQL names every function and every relation with its schema, so that nothing in a database can stand in front
# of it. (Operators and types are safe by the search_path that the session pins.)
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016  # perl's variables
unqualified() {
	[ -d src/catalog ] || return 1
	find src/catalog src/session -name '*.c' | LC_ALL=C sort | xargs -r perl -e "$blank_c"'
		# What stands before "(" without being a function.
		my %word = map { $_ => 1 } qw(in values any all some exists coalesce case array cast and or on filter over as from select not where
			greatest least nullif row extract union intersect except using lateral with when then else by having grouping sets limit offset
			group order distinct materialized returning set interval char varchar numeric is like ilike between begin if table view within);
		for my $file (@ARGV) {
			my $text = slurp($file);
			$text =~ s{(/\*.*?\*/)}{ blank($1) }gse;
			# Neighbouring strings are one; what a macro puts in between stands as a value.
			while ($text =~ /("(?:[^"\\\n]|\\.)*"(?:\s*(?:[A-Z][A-Z0-9_]*\s*)?"(?:[^"\\\n]|\\.)*")*)/g) {
				my ($at, $sql) = ($-[0], $1);
				next if $sql !~ /\b(?:SELECT|FROM|JOIN)\b/;
				$sql =~ s/"(\s*)([A-Z][A-Z0-9_]*)(\s*)"/" $1" . " " x length($2) . $3/ge;
				$sql =~ s/(?<!\\)"/ /g;
				$sql =~ s/\\n/  /g;
				$sql =~ s/\x27[^\x27]*\x27/ blank($&) /ge;
				$sql =~ s/--[^\n]*/ blank($&) /ge;
				my %cte = map { lc($_) => 1 } $sql =~ /(?:\bWITH(?:\s+RECURSIVE)?|,)\s+(\w+)(?:\s*\([^()]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(/gi;
				while ($sql =~ /(?<![\w.])([A-Za-z_]\w*)\s*\(/g) {
					next if $word{lc $1} || $cte{lc $1};
					my ($name, $pos) = ($1, $-[1]);
					# The column list of an alias: FROM f() AS a(x, y).
					next if substr($sql, 0, $pos) =~ /(?:\bAS|\))\s+\z/i;
					printf "%s:%d: function %s() without its schema\n", $file, line_of($text, $at + $pos), $name;
				}
				# "IS DISTINCT FROM value" names no relation.
				my $bare = $sql;
				$bare =~ s/\bDISTINCT(\s+)FROM\b/ blank($&) /gie;
				while ($bare =~ /\b(?:FROM|JOIN)\s+(?:ONLY\s+|LATERAL\s+)?+([A-Za-z_]\w*)(?!\w|\s*\.)/gi) {
					next if $cte{lc $1} || lc($1) =~ /^(?:select|unnest|lateral|rows)$/;
					printf "%s:%d: relation %s without its schema\n", $file, line_of($text, $at + $-[1]), $1;
				}
			}
		}'
}
report unqualified
finish
