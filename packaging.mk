# SPDX-License-Identifier: PostgreSQL

# Units and their companions. The directories expand late, so this is done at make time, not by configure.
units = systemd/dbreconciled.service systemd/dbreconciled-control.socket systemd/dbreconciled-metrics.socket
generated_units = $(units) systemd/sysusers.d/dbreconcile.conf systemd/tmpfiles.d/dbreconcile.conf
$(generated_units): Makefile
	$(AM_V_at)$(MKDIR_P) $(@D)
	$(AM_V_GEN)sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|@localstatedir[@]|$(localstatedir)|g' -e 's|@runstatedir[@]|$(runstatedir)|g' $(srcdir)/$@.in > $@.tmp && mv $@.tmp $@
systemd/dbreconciled.service: $(srcdir)/systemd/dbreconciled.service.in
systemd/dbreconciled-control.socket: $(srcdir)/systemd/dbreconciled-control.socket.in
systemd/dbreconciled-metrics.socket: $(srcdir)/systemd/dbreconciled-metrics.socket.in
systemd/sysusers.d/dbreconcile.conf: $(srcdir)/systemd/sysusers.d/dbreconcile.conf.in
systemd/tmpfiles.d/dbreconcile.conf: $(srcdir)/systemd/tmpfiles.d/dbreconcile.conf.in
all-local: $(generated_units)
CLEANFILES += $(generated_units)
if WITH_SYSTEMD_UNITS
nodist_systemdsystemunit_DATA = $(units)
# journald reads no other directory than the one beside the units.
systemdcatalogdir = $(systemdsystemunitdir)/../catalog
systemdcatalog_DATA = systemd/dbreconcile.catalog
endif
if WITH_SYSUSERS
nodist_sysusers_DATA = systemd/sysusers.d/dbreconcile.conf
endif
if WITH_TMPFILES
nodist_tmpfiles_DATA = systemd/tmpfiles.d/dbreconcile.conf
endif
systemdexamplesdir = $(pkgdatadir)/systemd
dist_systemdexamples_DATA = systemd/examples/credentials.conf systemd/examples/hooks.conf systemd/examples/notify-reload.conf \
	systemd/examples/dbreconcile-textfile.service systemd/examples/dbreconcile-textfile.timer
monitoringdir = $(pkgdatadir)/monitoring
dist_monitoring_DATA = monitoring/alerts.yaml
examplesdir = $(pkgdatadir)/examples
dist_examples_DATA = etc/dbreconciled.conf
EXTRA_DIST += systemd/dbreconcile.catalog systemd/dbreconciled.service.in systemd/dbreconciled-control.socket.in \
	systemd/dbreconciled-metrics.socket.in systemd/sysusers.d/dbreconcile.conf.in systemd/tmpfiles.d/dbreconcile.conf.in \
	monitoring/alerts_test.yaml monitoring/alerts_day_test.yaml
dist_check_SCRIPTS += tests/systemd/boot.py
source_tests += tests/systemd/units.sh tests/systemd/alerts.sh

# The administrator's files are never overwritten and, once changed, never removed.
configdir = $(sysconfdir)/dbreconcile
install-data-hook:
	for file in `cd $(srcdir)/etc/examples && find . -type f`; do \
		$(MKDIR_P) "$(DESTDIR)$(examplesdir)/$${file%/*}" && \
		$(INSTALL_DATA) "$(srcdir)/etc/examples/$$file" "$(DESTDIR)$(examplesdir)/$$file" || exit 1; done
	$(MKDIR_P) $(DESTDIR)$(configdir)/conf.d $(DESTDIR)$(configdir)/manifests $(DESTDIR)$(configdir)/migrations
	test -e $(DESTDIR)$(configdir)/dbreconciled.conf || \
		$(INSTALL) -m 0640 $(srcdir)/etc/dbreconciled.conf $(DESTDIR)$(configdir)/dbreconciled.conf
uninstall-hook:
	for dir in `cd $(srcdir)/etc/examples && ls`; do rm -rf "$(DESTDIR)$(examplesdir)/$$dir"; done
	if cmp -s $(srcdir)/etc/dbreconciled.conf $(DESTDIR)$(configdir)/dbreconciled.conf; then \
		rm -f $(DESTDIR)$(configdir)/dbreconciled.conf; fi
	-for dir in conf.d manifests migrations .; do rmdir $(DESTDIR)$(configdir)/$$dir 2>/dev/null; done; true


# The archive is the same byte for byte whoever makes it: order, owners, modes and times do not come from the machine.
export TAR_OPTIONS = --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --sort=name \
	--numeric-owner --owner=0 --group=0 --mode=go+u,go-w
dist-hook:
	cd $(distdir) && rm -f $(noinst_PROGRAMS) $(check_PROGRAMS)
	find $(distdir) \( -name __pycache__ -o -name .pytest_cache -o -name .deps -o -name .dirstamp -o -name "*.o" \) -prune -exec rm -rf {} +
	epoch=$${SOURCE_DATE_EPOCH:-`git -C $(srcdir) log -1 --format=%ct 2>/dev/null || stat -c %Y $(srcdir)/configure.ac`} && \
	find $(distdir) -exec touch -h -d "@$$epoch" {} +
