/* SPDX-License-Identifier: PostgreSQL */
/*
 * The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one
 * datagram of FIELD=value lines. sd_journal_send() would wait when journald
 * is stopped or behind, and with it the loop and every database; this does
 * not wait. Texts have passed the escaper: a line break cannot be in them.
 */
#include "config.h"
#include "service/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRY_MAX 8192

/* As the log itself: one per process. */
static int journal_fd = -1;
static unsigned long dropped;

struct entry {
	char s[ENTRY_MAX];
	size_t len;
};

static void add(struct entry *e, const char *field, const char *value)
{
	size_t value_len = strcspn(value, "\n"), field_len = strlen(field);

	if (e->len + field_len + value_len + 2 > sizeof(e->s))
		return;
	memcpy(e->s + e->len, field, field_len);
	e->len += field_len;
	e->s[e->len++] = '=';
	memcpy(e->s + e->len, value, value_len);
	e->len += value_len;
	e->s[e->len++] = '\n';
}

static void add_target(struct entry *e, const char *target)
{
	const char *slash = strchr(target, '/');
	char server[256];

	add(e, "DBRECONCILE_TARGET", target);
	snprintf(server, sizeof(server), "%.*s", slash ? (int)(slash - target) : (int)strlen(target), target);
	add(e, "DBRECONCILE_SERVER", server);
	if (slash)
		add(e, "DBRECONCILE_DATABASE", slash + 1);
}

static int send_entry(enum log_level level, const char *target, const char *message_id, const char *text)
{
	struct entry e = { .len = 0 };
	char message[ENTRY_MAX / 2], priority[4];

	snprintf(priority, sizeof(priority), "%d", (int)level % 8);
	snprintf(message, sizeof(message), "%s%s%s", target ? target : "", target ? ": " : "", text);
	add(&e, "PRIORITY", priority);
	add(&e, "SYSLOG_IDENTIFIER", "dbreconciled");
	if (message_id)
		add(&e, "MESSAGE_ID", message_id);
	if (target)
		add_target(&e, target);
	add(&e, "MESSAGE", message);
	return send(journal_fd, e.s, e.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void say_dropped(void)
{
	char text[128];

	snprintf(text, sizeof(text), "%lu line%s of the log could not be written: the journal did not take them", dropped,
		 dropped == 1 ? "" : "s");
	if (send_entry(LOG_LEVEL_WARNING, NULL, NULL, text) == 0)
		dropped = 0;
}

void journal_sink(enum log_level level, const char *target, const char *message_id, const char *text)
{
	if (dropped > 0)
		say_dropped();
	if (send_entry(level, target, message_id, text) < 0)
		dropped++;
}

int journal_open(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal_fd < 0)
		return -errno;
	if (connect(journal_fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		journal_close();
		return r;
	}
	return 0;
}

void journal_close(void)
{
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = -1;
	dropped = 0;
}

bool journal_is_stderr(const char *journal_stream)
{
	unsigned long long device, inode;
	struct stat st;
	char rest;

	return journal_stream && sscanf(journal_stream, "%llu:%llu%c", &device, &inode, &rest) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}
