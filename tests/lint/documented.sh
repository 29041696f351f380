#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Every function of a public header (one that another folder includes) is documented: a comment on it, or one comment on
# the group (lines without an empty line between them) that it belongs to. Every header begins with what it is.
. "$(dirname "$0")/lib.sh"

# "public HEADER" for each header that a file outside its folder includes, and for those of include/.
public_headers() {
	find include -name '*.h'
	grep -rHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[a-z]+/' src --include='*.[ch]' |
		sed -E 's/^src\/([^:]*):[^"]*"([^"]*)".*/\1 \2/' |
		awk '{ from = $1; if (!sub("/.*", "", from)) from = "."; to = $2; sub("/.*", "", to); if (from != to) print "src/" $2 }'
}

# shellcheck disable=SC2016  # perl's variables
undocumented() {
	PUBLIC=$(public_headers | LC_ALL=C sort -u) || return
	export PUBLIC
	find src include -name '*.h' | LC_ALL=C sort | xargs perl -e "$blank_c"'
		my %public = map { $_ => 1 } split " ", $ENV{PUBLIC};
		for my $file (@ARGV) {
			my $text = slurp($file);
			my $start = substr($text, 0, 400);
			$start =~ s/SPDX[^\n]*//;
			print "$file:1: does not begin with a comment that says what it is\n" if $start !~ m{\A[^#]*/\*[^#]*\w};
			next if !$public{$file};
			my $code = blank_c($text);
			while ($code =~ /^[a-z][^;{}\n#]*?\b([a-z_0-9]+)\([^;{}()]*(?:\([^;{}()]*\)[^;{}()]*)*\)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?;/mg) {
				my ($at, $name, $end) = ($-[0], $1, $+[0]);
				next if substr($code, $at, 8) =~ /^(typedef|return)/;
				my ($group) = substr($text, 0, $at) =~ /.*\n[^\S\n]*\n(.*)\z/s ? $1 : substr($text, 0, $at);
				my ($after) = substr($text, $end) =~ /\A([^\n]*)/;
				next if $group =~ m{/\*|\*/|//} || substr($text, $at, $end - $at) =~ m{/\*} || $after =~ m{/\*};
				printf "%s:%d: %s() is not documented\n", $file, line_of($text, $at), $name;
			}
		}'
}
report undocumented
finish
