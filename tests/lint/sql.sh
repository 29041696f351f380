#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Our own SQL names every function and every relation with its schema, so that nothing in a database can stand in front
# of it. (Operators and types are safe by the search_path that the session pins.) Reads what the C preprocessor makes of
# the sources, because macros put queries together.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016  # perl's variables
unqualified() {
	local file flags
	# Stands for the generated one, which says nothing that matters here.
	: >"$config/config.h"
	[ -d src/catalog ] || return 1
	flags=$(pkg-config --cflags libpq libevent_core 2>/dev/null)
	find src/catalog src/session -name '*.c' | LC_ALL=C sort | while read -r file; do
		# shellcheck disable=SC2086  # words
		${CC:-cc} -E -Isrc -Iinclude -I"$config" -DSYSCONFDIR= -DLOCALSTATEDIR= -DRUNSTATEDIR= -DDATADIR= $flags "$file" | FILE=$file perl -e '
			local $/;
			my ($wanted, $text, $here, $line) = ($ENV{FILE}, "", 0, 0);
			my (@line);                                        # of each position that begins a line of $text
			for my $row (split /\n/, <STDIN>, -1) {
				if ($row =~ /^# (\d+) "([^"]*)"/) { ($line, $here) = ($1, $2 eq $wanted); next }
				if ($here) { push @line, [length $text, $line]; $text .= "$row\n" }
				$line++;
			}
			length $text or die "$wanted: nothing left of it\n";
			sub line_at { my ($at) = @_; my $n = 0; for (@line) { last if $_->[0] > $at; $n = $_->[1] } $n }
			sub blank { my $t = shift; $t =~ s/[^\n]/ /g; $t }
			# What stands before "(" without being a function.
			my %word = map { $_ => 1 } qw(in values any all some exists coalesce case array cast and or on filter over as from select not where
				greatest least nullif row extract union intersect except using lateral with when then else by having grouping sets limit offset
				group order distinct materialized returning set interval char varchar numeric is like ilike between begin if table view within);
			while ($text =~ /("(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*)/g) {
				my ($at, $sql) = ($-[0], $1);
				next if $sql !~ /\b(?:SELECT|FROM|JOIN)\b/;
				$sql = join "", $sql =~ /"((?:[^"\\\n]|\\.)*)"/g;   # joined, as the compiler does
				$sql =~ s/\\n/  /g;
				$sql =~ s/\\"/ "/g;
				$sql =~ s/\x27[^\x27]*\x27/ blank($&) /ge;
				$sql =~ s/--[^\n]*/ blank($&) /ge;
				my %cte = map { lc($_) => 1 } $sql =~ /(?:\bWITH(?:\s+RECURSIVE)?|,)\s+(\w+)(?:\s*\([^()]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(/gi;
				while ($sql =~ /(?<![\w.])([A-Za-z_]\w*)\s*\(/g) {
					my ($name, $pos) = ($1, $-[1]);
					next if $word{lc $name} || $cte{lc $name};
					# The column list of an alias: FROM f() AS a(x, y).
					next if substr($sql, 0, $pos) =~ /(?:\bAS|\))\s+\z/i;
					printf "%s:%d: function %s() without its schema\n", $wanted, line_at($at), $name;
				}
				# "IS DISTINCT FROM value" and "EXTRACT(x FROM y)" name no relation.
				my $bare = $sql;
				$bare =~ s/\bDISTINCT(\s+)FROM\b/ blank($&) /gie;
				$bare =~ s/\bEXTRACT\s*\(\s*\w+\s+FROM\b/ blank($&) /gie;
				while ($bare =~ /\b(?:FROM|JOIN)\s+(?:ONLY\s+|LATERAL\s+)?+([A-Za-z_]\w*)(?!\w|\s*\.)/gi) {
					next if $cte{lc $1};
					printf "%s:%d: relation %s without its schema\n", $wanted, line_at($at), $1;
				}
			}
		' || exit
	done
}
config=$(mktemp -d) || exit 99
trap 'rm -rf "$config"' EXIT
report unqualified
finish
