#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Every function of a header is documented: a comment on it, or one comment on the group (lines without an empty line
# between them) that it belongs to. A header begins with what it is.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016  # perl's variables
undocumented() {
	find src include -name '*.h' | LC_ALL=C sort | xargs perl -e "$blank_c"'
		for my $file (@ARGV) {
			my $text = slurp($file);
			my $start = substr($text, 0, 400);
			$start =~ s/SPDX[^\n]*//;
			print "$file:1: does not begin with a comment that says what it is\n" if $start !~ m{\A[^#]*/\*[^#]*\w};
			my $code = blank_c($text);
			my (@groups, $from);
			while ($code =~ /^[a-z][^;{}\n#]*?\b([a-z_0-9]+)\((?:[^;{}]*)\)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?;/mg) {
				my ($at, $name, $end) = ($-[0], $1, $+[0]);
				next if substr($code, $at, 8) =~ /^(typedef|return)/;
				my $before = substr($text, 0, $at);
				my ($group) = $before =~ /((?:[^\n]*\S[^\n]*\n)*)\z/;
				my ($after) = substr($text, $end) =~ /\A([^\n]*)/;
				next if $group =~ m{/\*|\*/|//} || substr($text, $at, $end - $at) =~ m{/\*} || $after =~ m{/\*};
				printf "%s:%d: %s() is not documented\n", $file, line_of($text, $at), $name;
			}
		}'
}
report undocumented
finish
