/* SPDX-License-Identifier: PostgreSQL */
/* What systemd and the journal are told, read at the other end of their sockets. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <talloc.h>

#include "service/journal.h"
#include "service/service.h"
#include "tests/control/fake_engine.h"

struct fixture {
	char dir[64];
	char *path;
	int fd;
	struct state *state;
	struct engine *engine;
};

static int set_up(void **arg)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct error err = { 0 };

	memcpy(f->dir, "/tmp/dbr-service-XXXXXX", sizeof("/tmp/dbr-service-XXXXXX"));
	assert_non_null(mkdtemp(f->dir));
	f->path = talloc_asprintf(f, "%s/socket", f->dir);
	memcpy(address.sun_path, f->path, strlen(f->path));
	f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(state_open(f, ":memory:", &f->state, &err), 0);
	f->engine = fake_engine_new(f, f->state, f->dir, 0);
	*arg = f;
	return 0;
}

static int tear_down(void **arg)
{
	struct fixture *f = *arg;

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	journal_close();
	close(f->fd);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	talloc_free(f);
	return 0;
}

/* The next datagram, "" when there is none. */
static const char *received(struct fixture *f)
{
	char buf[16384];
	ssize_t n = recv(f->fd, buf, sizeof(buf) - 1, 0);

	return talloc_strndup(f, buf, n < 0 ? 0 : (size_t)n);
}

static void nothing_without_systemd(void **arg)
{
	struct fixture *f = *arg;
	struct service *s = service_new(f, NULL);

	service_ready(s);
	service_turn(s, f->engine, 1000);
	service_stopping(s, 1000);
	assert_true(service_deadline(s) == MSEC_NEVER);
	assert_int_equal(service_listen_fd(s, "control"), -1);
	assert_string_equal(received(f), "");
}

static void notifications(void **arg)
{
	struct fixture *f = *arg;
	unsigned long long usec = 0;
	struct service *s;
	const char *text;

	setenv("NOTIFY_SOCKET", f->path, 1);
	s = service_new(f, NULL);
	service_ready(s);
	assert_string_equal(received(f), "READY=1");
	service_reloading(s);
	text = received(f);
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec / 1000 <= (unsigned long long)clock_monotonic() && usec / 1000 + 5000 > (unsigned long long)clock_monotonic());
	service_stopping(s, 10000);
	assert_non_null(strstr(received(f), "STOPPING=1\n"));
}

static void status_follows_the_targets(void **arg)
{
	struct fixture *f = *arg;
	struct config_errors *errors;
	struct service *s;
	char *broken = talloc_asprintf(f, "%s/broken", f->dir);

	setenv("NOTIFY_SOCKET", f->path, 1);
	s = service_new(f, NULL);
	service_turn(s, f->engine, 5000);
	assert_string_equal(received(f),
			    "STATUS=5 databases: 1 in sync, 1 running, 1 held, 1 suspended, 1 unreachable; next pass 09:31:00Z");
	service_turn(s, f->engine, 5100);
	assert_string_equal(received(f), "");
	assert_int_equal(service_deadline(s), 6000);
	service_turn(s, f->engine, 6000);
	assert_string_equal(received(f), "");
	assert_true(service_deadline(s) == MSEC_NEVER);

	assert_int_equal(mkdir(broken, 0700), 0);
	assert_int_equal(engine_reload(f->engine, "test", f, &errors), 1);
	service_turn(s, f->engine, 7500);
	assert_non_null(strstr(received(f), "the last reload was refused"));
	assert_int_equal(rmdir(broken), 0);
	service_turn(s, f->engine, 7500 + 30000);
	assert_non_null(strstr(received(f), "STATUS="));
}

static void watchdog_is_fed_in_time(void **arg)
{
	struct fixture *f = *arg;
	struct service *s;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("NOTIFY_SOCKET", f->path, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	s = service_new(f, NULL);
	assert_int_equal(service_deadline(s), 0);
	service_turn(s, f->engine, 1000);
	assert_non_null(strstr(received(f), "STATUS="));
	assert_string_equal(received(f), "WATCHDOG=1");
	assert_int_equal(service_deadline(s), 16000);
	service_turn(s, f->engine, 15999);
	assert_string_equal(received(f), "");
	service_turn(s, f->engine, 16000);
	assert_string_equal(received(f), "WATCHDOG=1");
}

static void lines_become_entries(void **arg)
{
	struct fixture *f = *arg;
	const char *text;

	assert_int_equal(journal_open(f->path), 0);
	journal_sink(LOG_LEVEL_WARNING, "prod/orders", "0123456789abcdef0123456789abcdef", "it is held");
	text = received(f);
	assert_string_equal(text, "PRIORITY=4\nSYSLOG_IDENTIFIER=dbreconciled\nMESSAGE_ID=0123456789abcdef0123456789abcdef\n"
				  "DBRECONCILE_TARGET=prod/orders\nDBRECONCILE_SERVER=prod\nDBRECONCILE_DATABASE=orders\n"
				  "MESSAGE=prod/orders: it is held\n");
	journal_sink(LOG_LEVEL_INFO, NULL, NULL, "forged\nPRIORITY=0");
	assert_string_equal(received(f), "PRIORITY=6\nSYSLOG_IDENTIFIER=dbreconciled\nMESSAGE=forged\n");
	assert_int_equal(journal_open("/nonexistent/socket"), -ENOENT);
}

/* Nobody reads: the lines are counted, the caller never waits, and later it is said how many there were. */
static void a_stopped_journal_stops_nobody(void **arg)
{
	struct fixture *f = *arg;
	char *big = talloc_array(f, char, 3000);
	unsigned got = 0, said = 0;
	const char *text;

	memset(big, 'x', 2999);
	big[2999] = '\0';
	assert_int_equal(journal_open(f->path), 0);
	alarm(20);                     /* a wait would be one without end */
	for (unsigned i = 0; i < 5000; i++)
		journal_sink(LOG_LEVEL_INFO, "prod", NULL, big);
	alarm(0);
	while (*(text = received(f)))
		got++;
	assert_true(got > 0 && got < 5000);
	journal_sink(LOG_LEVEL_INFO, "prod", NULL, "again");
	assert_int_equal(sscanf(strstr(received(f), "MESSAGE=") + 8, "%u lines of the log could not be written", &said), 1);
	assert_int_equal(said, 5000 - got);
	assert_non_null(strstr(received(f), "MESSAGE=prod: again"));
	assert_string_equal(received(f), "");
}

static void the_journal_is_recognised(void **arg)
{
	struct stat st;
	char *text;

	(void)arg;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	text = talloc_asprintf(NULL, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	assert_true(journal_is_stderr(text));
	assert_false(journal_is_stderr(NULL));
	assert_false(journal_is_stderr("1:2"));
	assert_false(journal_is_stderr("nonsense"));
	talloc_free(text);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(nothing_without_systemd), CASE(notifications), CASE(status_follows_the_targets), CASE(watchdog_is_fed_in_time),
		CASE(lines_become_entries), CASE(a_stopped_journal_stops_nobody), cmocka_unit_test(the_journal_is_recognised),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
