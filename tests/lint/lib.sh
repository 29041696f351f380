# SPDX-License-Identifier: PostgreSQL
# Sourced by the lint scripts. Each reads the tree at $1 (default $top_srcdir), prints "file:line: what is wrong" for
# every finding, and fails when there was one. planted.sh shows that each of them can fail.
top=${1:-${top_srcdir:-.}}
cd "$top" || exit 99
findings=0

found() {
	printf '%s\n' "$*"
	findings=1
}

# Runs a filter over files; whatever it prints is a finding.
report() {
	local text
	text=$("$@") || { printf 'this check could not run: %s\n' "$*"; exit 99; }
	[ -z "$text" ] || found "$text"
}

finish() {
	exit "$findings"
}

# C code with comments and the contents of strings blanked out, line numbers kept: perl code for -e.
# shellcheck disable=SC2034
blank_c='
	sub blank { my $t = shift; $t =~ s/[^\n]/ /g; $t }
	sub blank_c { my ($t) = @_;
		$t =~ s{(/\*.*?\*/|//[^\n]*)|("(?:[^"\\\n]|\\.)*")|(\x27(?:[^\x27\\\n]|\\.)+\x27)}
			{ defined $1 ? blank($1) : defined $2 ? "\"" . blank(substr($2, 1, -1)) . "\"" : blank($3) }gsex;
		$t }
	sub slurp { my ($f) = @_; local $/; open(my $h, "<", $f) or die "$f: $!\n"; my $t = <$h>; defined $t ? $t : "" }
	sub line_of { my ($t, $at) = @_; 1 + (substr($t, 0, $at) =~ tr/\n//) }
'
