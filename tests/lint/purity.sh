#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# The core library needs no server, no event loop, no systemd and no database file: it has no undefined symbol of theirs.
# $1: the library, default libcore.a of the build directory.
library=${1:-${top_builddir:-.}/libcore.a}
[ -f "$library" ] || { echo "$library is not there"; exit 99; }
symbols=$(nm -u "$library" 2>/dev/null) || { echo "nm cannot read $library"; exit 99; }
bad=$(printf '%s\n' "$symbols" | grep -E '^[^:]*:$|^ +U (PQ[a-z]|pqsignal|lo_|event_|event_base|ev(http|buffer|dns|util|timer|connlistener|signal)_|bufferevent_|sd_[a-z]|sqlite3_|curl_|scols_)' |
	awk '/:$/ { member = $0; next } { print member " " $2 }')
[ -z "$bad" ] || { printf 'the core may not need these:\n%s\n' "$bad"; exit 1; }
