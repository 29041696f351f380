# SPDX-License-Identifier: PostgreSQL

# The archive is the same byte for byte whoever makes it: order, owners, modes and times do not come from the machine.
export TAR_OPTIONS = --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --sort=name \
	--numeric-owner --owner=0 --group=0 --mode=go+u,go-w
dist-hook:
	cd $(distdir) && rm -f $(noinst_PROGRAMS) $(check_PROGRAMS)
	find $(distdir) \( -name __pycache__ -o -name .pytest_cache -o -name .deps -o -name .dirstamp -o -name "*.o" \) -prune -exec rm -rf {} +
	epoch=$${SOURCE_DATE_EPOCH:-`git -C $(srcdir) log -1 --format=%ct 2>/dev/null || stat -c %Y $(srcdir)/configure.ac`} && \
	find $(distdir) -exec touch -h -d "@$$epoch" {} +
