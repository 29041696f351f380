# SPDX-License-Identifier: PostgreSQL
# All set-up of a Debian 12 machine, for tools/quickstart and tools/check. Sourced by bash scripts.
# Quiet and quick when everything is there; needs root or sudo only when something is missing.

# Everything that configure asks for, and the tools that make it.
PACKAGES_BUILD="gcc libc6-dev make autoconf automake pkg-config libtalloc-dev libconfig-dev zlib1g-dev libssl-dev libidn-dev
	libpq-dev libevent-dev libsystemd-dev libsqlite3-dev libjansson-dev libcurl4-openssl-dev libsmartcols-dev libpg-query-dev"
# A server to try it on.
PACKAGES_SERVER="postgresql-15 postgresql-client-15"
# What the tests use besides.
PACKAGES_TEST="libcmocka-dev clang python3 python3-pytest python3-pytest-xdist python3-psycopg2 python3-jsonschema
	mandoc prometheus pgbouncer systemd systemd-container jq curl openssl xz-utils procps"

say() { printf '\n==> %s\n' "$*"; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "packages are missing, and this needs root or sudo to install them: $missing"
	fi
}

# Prints which of the packages are not installed.
missing_packages() {
	local installed package
	installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "$@" 2>/dev/null) "
	for package in "$@"; do
		case $installed in
		*" installed:$package "*) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# Some of these packages bring services; they are here for their programs, so while they are installed nothing is started
# and no cluster is made. Both files go again, whatever happens.
SERVICE_POLICY=/usr/sbin/policy-rc.d
NO_CLUSTER=/etc/postgresql-common/createcluster.d/dbreconcile-setup.conf
hold_services() {
	trap release_services EXIT
	if ! [ -e "$SERVICE_POLICY" ]; then
		printf '#!/bin/sh\n# dbreconcile set-up\nexit 101\n' | as_root tee "$SERVICE_POLICY" >/dev/null
		as_root chmod 755 "$SERVICE_POLICY"
	fi
	as_root mkdir -p "${NO_CLUSTER%/*}"
	echo 'create_main_cluster = false' | as_root tee "$NO_CLUSTER" >/dev/null
}
release_services() {
	trap - EXIT
	as_root rm -f "$NO_CLUSTER"
	if grep -q 'dbreconcile set-up' "$SERVICE_POLICY" 2>/dev/null; then as_root rm -f "$SERVICE_POLICY"; fi
	command -v systemctl >/dev/null || return 0
	local unit
	for unit in prometheus pgbouncer; do
		case " $missing " in *" $unit "*) as_root systemctl disable --quiet "$unit" 2>/dev/null || true ;; esac
	done
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 ||
		{ tail -n 30 "$log" >&2; die "apt-get could not install: $*"; }
}

# need_packages PACKAGE...
need_packages() {
	local log
	command -v dpkg-query >/dev/null || {
		printf 'This is not Debian: install what stands for these packages yourself: %s\n' "$*" >&2
		return
	}
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "Installing: $missing"
	log=$(mktemp)
	as_root apt-get update -qq >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "apt-get update failed"; }
	hold_services
	# Its configuration file has to be there for the setting to count.
	case " $missing " in *" postgresql-15 "*) apt_install postgresql-common ;; esac
	# shellcheck disable=SC2086  # a list of words
	apt_install $missing
	release_services
	rm -f "$log"
}

# npm is large and comes from elsewhere on some machines: only when a server has to be fetched.
need_servers() {
	tools/postgres-servers --cached "$@" >/dev/null 2>&1 && return
	command -v npm >/dev/null || need_packages npm
	tools/postgres-servers "$@" >/dev/null
}

# A small Debian for the test that boots the service under a real systemd. That test runs as root alone.
need_container() {
	[ "$(id -u)" -eq 0 ] && ! [ -d /var/cache/dbreconcile/container-bookworm ] || return 0
	local log
	say "Making a container for the service's test"
	need_packages debootstrap
	log=$(mktemp)
	tests/systemd/boot.py --prepare >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the container could not be made"; }
	rm -f "$log"
}

cores() { nproc 2>/dev/null || echo 2; }

# What autoreconf writes is all there: a clean that kept some of it would fail later, far from its cause.
generated_whole() {
	local file
	for file in configure Makefile.in aclocal.m4 config.h.in build-aux/{ar-lib,compile,depcomp,install-sh,missing,test-driver}; do
		[ -e "$file" ] || return
	done
}

# configure_in DIRECTORY [OPTION...]: generates and configures what is not there yet; make does the rest when files change.
configure_in() {
	local dir=$1
	shift
	[ ! -e config.status ] || die "this tree was configured in place; run 'make distclean' first, the build goes to $dir/"
	generated_whole || autoreconf -fi || return
	[ -e "$dir/Makefile" ] && [ "$(cat "$dir/.options" 2>/dev/null)" = "$*" ] && return
	mkdir -p "$dir"
	# Objects of other options do not link with these, and make cannot see it.
	[ ! -e "$dir/Makefile" ] || make -s -C "$dir" clean >/dev/null 2>&1
	(cd "$dir" && ../configure -q "$@") || return
	printf '%s\n' "$*" >"$dir/.options"
}
