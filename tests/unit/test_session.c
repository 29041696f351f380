/* SPDX-License-Identifier: PostgreSQL */
/* What a session needs no server for: secrets, verifiers, conninfo, causes of failures, texts of servers. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "session/private.h"
#include "session/resolve.h"
#include "session/secret.h"
#include "session/secret_command.h"

static int setup(void **state)
{
	*state = talloc_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

/* SCRAM */

/* The keys of RFC 7677's example (section 3), proved by its server signature. */
#define RFC_VERIFIER "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
		     ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void test_scram_rfc7677(void **state)
{
	static const char message[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	unsigned char server[33], signature[EVP_MAX_MD_SIZE], signature64[64];
	unsigned len;

	(void)state;
	assert_int_equal(scram_verify("pencil", RFC_VERIFIER), 0);
	assert_int_equal(scram_verify("Pencil", RFC_VERIFIER), 1);
	assert_int_equal(scram_verify("", RFC_VERIFIER), 1);
	assert_int_equal(EVP_DecodeBlock(server, (const unsigned char *)strrchr(RFC_VERIFIER, ':') + 1, 44), 33);
	assert_non_null(HMAC(EVP_sha256(), server, 32, (const unsigned char *)message, strlen(message), signature, &len));
	EVP_EncodeBlock(signature64, signature, (int)len);
	assert_string_equal((char *)signature64, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/* Made by PostgreSQL 15. */
static void test_scram_postgresql(void **state)
{
	static const struct { const char *password, *verifier; } made[] = {
		{ "real secret", "SCRAM-SHA-256$4096:uFgjnDY8EFytT+f7HOzXmg==$5pyO9rnuP7SKCLBmXU7XCJMZ17abNL/YDD5Mmf4ne1Q="
				 ":SYuecnKNAcmsJu0b94TcstBqibJwr1Y5g4DJup9ChvI=" },
		{ "p\xc3\xa4ssw\xc3\xb6rd", "SCRAM-SHA-256$4096:L48SgMnT45ICn2UODvyx7g==$9xkHjZ5dE2+B/JV4mtnL0W1Gjoqj59pr3qY0VErlX7k="
					    ":sa6DYacgAfkjmIYGBvOJ1YRqDbCL9Uinb8w+thIbe9U=" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(scram_verify(made[i].password, made[i].verifier), 0);
		assert_int_equal(scram_verify(made[1 - i].password, made[i].verifier), 1);
		assert_int_equal(scram_check(made[i].verifier), 0);
	}
}

static void test_scram_round_trip(void **state)
{
	static const char *const passwords[] = { "x", "p\xc3\xa4ssword", "with 'quotes' and $ and :", "\x01\xff" };
	char *one, *two;

	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
		assert_int_equal(scram_verifier(*state, passwords[i], &one, NULL), 0);
		assert_int_equal(scram_verifier(*state, passwords[i], &two, NULL), 0);
		assert_string_not_equal(one, two);
		assert_int_equal(strncmp(one, "SCRAM-SHA-256$4096:", 19), 0);
		assert_int_equal(strlen(one), 133);
		assert_int_equal(scram_check(one), 0);
		assert_int_equal(scram_verify(passwords[i], one), 0);
		assert_int_equal(scram_verify(passwords[(i + 1) % 4], one), 1);
	}
}

/* What is not a verifier: PostgreSQL would take most of these for clear text. */
static void test_scram_damaged(void **state)
{
	static const char *const damaged[] = {
		"", "pencil", "SCRAM-SHA-256", "SCRAM-SHA-256$", "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$a:b",
		"SCRAM-SHA-256$1000000000:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
		":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$99999999999999999999:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
		":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
		":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$-1:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
		":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		RFC_VERIFIER " ", RFC_VERIFIER "=", "md5b8ff02daf6909bca7c502be3374b3428",
	};
	char cut[sizeof(RFC_VERIFIER)];

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		if (scram_verify("pencil", damaged[i]) != 2)
			fail_msg("\"%s\" was taken for a verifier", damaged[i]);
		assert_int_equal(scram_check(damaged[i]), 1);
	}
	assert_int_equal(scram_verify("pencil", NULL), 2);
	for (size_t len = 0; len < strlen(RFC_VERIFIER); len++) {
		memcpy(cut, RFC_VERIFIER, len);
		cut[len] = '\0';
		assert_int_equal(scram_verify("pencil", cut), 2);
	}
	for (size_t i = 0; i < strlen(RFC_VERIFIER); i++) {
		memcpy(cut, RFC_VERIFIER, sizeof(cut));
		cut[i] = cut[i] == 'A' ? 'B' : 'A';
		assert_int_not_equal(scram_verify("pencil", cut), 0);
	}
	/* Too few iterations: it can be verified, but it must not stay. */
	assert_int_equal(scram_check("SCRAM-SHA-256$4095:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
				     ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="), 1);
}

static void test_md5(void **state)
{
	(void)state;
	assert_int_equal(md5_verify("real secret", "r1", "md5b8ff02daf6909bca7c502be3374b3428"), 0);
	assert_int_equal(md5_verify("real secret", "r2", "md5b8ff02daf6909bca7c502be3374b3428"), 1);
	assert_int_equal(md5_verify("other", "r1", "md5b8ff02daf6909bca7c502be3374b3428"), 1);
	assert_int_equal(md5_verify("real secret", "r1", RFC_VERIFIER), 2);
	assert_int_equal(md5_verify("real secret", "r1", "md5short"), 2);
	assert_int_equal(md5_verify("real secret", "r1", NULL), 2);
}

/* Files */

static char *make_file(void *parent, const char *content, size_t len, mode_t mode)
{
	char *path = talloc_strdup(parent, "/tmp/dbr-secret-XXXXXX");
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static int read_content(void *parent, const char *content, size_t len, mode_t mode, char **ret, struct error *err)
{
	char *path = make_file(parent, content, len, mode);
	const struct secret_source source = { .kind = SECRET_FILE, .value = path, .source = { "some.conf", 7 } };
	const int r = secret_read(parent, &source, ret, err);

	unlink(path);
	return r;
}

static void test_secret_file(void **state)
{
	static const struct { const char *content, *secret; } good[] = {
		{ "s3cret\n", "s3cret" }, { "s3cret", "s3cret" }, { "s3cret\r\n", "s3cret" }, { " blanks stay \n", " blanks stay " },
	};
	struct error err;
	char *secret;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(read_content(*state, good[i].content, strlen(good[i].content), 0440, &secret, NULL), 0);
		assert_string_equal(secret, good[i].secret);
	}
	error_clear(&err);
	assert_int_equal(read_content(*state, "x\n", 2, 0400, &secret, &err), 0);
	assert_false(error_is_set(&err));
}

static void test_secret_file_refused(void **state)
{
	char large[1100];
	const struct { const char *content; size_t len; mode_t mode; const char *text; } bad[] = {
		{ "", 0, 0400, "is empty" }, { "\n", 1, 0400, "is empty" }, { "\r\n", 2, 0400, "is empty" },
		{ "a\nb\n", 4, 0400, "more than one line" }, { "a\0b", 3, 0400, "NUL byte" },
		{ large, 1025, 0400, "longer than 1 KiB" }, { large, sizeof(large), 0400, "longer than 1 KiB" },
		{ "s3cret", 6, 0444, "read by everybody" }, { "s3cret", 6, 0660, "written by others" },
	};

	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;
		char *secret = NULL;

		error_clear(&err);
		assert_int_equal(read_content(*state, bad[i].content, bad[i].len, bad[i].mode, &secret, &err), 1);
		if (!strstr(err.text, bad[i].text))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].text, err.text);
		assert_null(secret);
		assert_null(strstr(err.text, "s3cret"));
		assert_string_equal(err.file, "some.conf");
		assert_int_equal(err.line, 7);
		assert_true(err.hint[0] != '\0');
	}
}

static void test_secret_file_odd(void **state)
{
	const struct { const char *path, *text; } odd[] = {
		{ "/nonexistent/secret", "cannot be opened: No such file" }, { "/tmp", "is not a regular file" },
		{ "/dev/null", "is not a regular file" },
	};
	char *fifo = talloc_asprintf(*state, "/tmp/dbr-fifo-%d", (int)getpid());
	struct secret_source source = { .kind = SECRET_FILE };
	struct error err;
	char *secret;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		source.value = odd[i].path;
		error_clear(&err);
		assert_int_equal(secret_read(*state, &source, &secret, &err), 1);
		assert_non_null(strstr(err.text, odd[i].text));
	}
	/* A pipe that nobody writes must not hold us. */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	source.value = fifo;
	error_clear(&err);
	assert_int_equal(secret_read(*state, &source, &secret, &err), 1);
	assert_non_null(strstr(err.text, "is not a regular file"));
	unlink(fifo);
	source.kind = SECRET_NONE;
	error_clear(&err);
	assert_int_equal(secret_read(*state, &source, &secret, &err), 1);
	assert_true(error_is_set(&err));
}

static void test_secret_credential(void **state)
{
	char *path = make_file(*state, "from systemd\n", 13, 0440), *link = talloc_asprintf(*state, "%s.link", path), *secret;
	struct secret_source source = { .kind = SECRET_CREDENTIAL, .value = strrchr(path, '/') + 1 };
	struct error err;

	unsetenv("CREDENTIALS_DIRECTORY");
	error_clear(&err);
	assert_int_equal(secret_read(*state, &source, &secret, &err), 1);
	assert_non_null(strstr(err.text, "passed no credentials"));
	setenv("CREDENTIALS_DIRECTORY", "/tmp", 1);
	assert_int_equal(secret_read(*state, &source, &secret, NULL), 0);
	assert_string_equal(secret, "from systemd");
	assert_int_equal(symlink(path, link), 0);
	source.value = strrchr(link, '/') + 1;
	assert_int_equal(secret_read(*state, &source, &secret, NULL), 0);
	unlink(link);
	source.value = "../tmp/x";
	error_clear(&err);
	assert_int_equal(secret_read(*state, &source, &secret, &err), 1);
	assert_non_null(strstr(err.text, "not a name of a credential"));
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(path);
}

/* Commands */

static void test_split(void **state)
{
	static const struct { const char *line, *words; } good[] = {
		{ "aws rds  token", "aws|rds|token" }, { "  a 'b c' \"d \\\" e\" f\\ g ", "a|b c|d \" e|f g" },
		{ "a '' b", "a||b" }, { "a 'x'\"y\"z", "a|xyz" }, { "a $HOME *.txt;b | c", "a|$HOME|*.txt;b|||c" }, { "a 'b\\c'", "a|b\\c" },
	};
	static const char *const bad[] = { "", "  ", "a 'b", "a \"b" };
	char **words;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *joined = talloc_strdup(*state, "");

		assert_int_equal(secret_command_split(*state, good[i].line, &words, NULL), 0);
		for (unsigned w = 0; words[w]; w++)
			joined = talloc_asprintf_append(joined, "%s%s", w ? "|" : "", words[w]);
		assert_string_equal(joined, good[i].words);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;

		error_clear(&err);
		assert_int_equal(secret_command_split(*state, bad[i], &words, &err), 1);
		assert_true(error_is_set(&err));
	}
}

/* What a hook's client programs connect by: conninfo, our defaults, and nothing of what we ourselves were started with. */
static const char *entry(char **env, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
			assert_null(found);
			found = *env + len + 1;
		}
	return found;
}

static void test_client_environment(void **state)
{
	struct session_config config = { .conninfo = "host=db1 port=5433 user=root dbname=postgres", .database = "orders", .user = "migrator" };
	char **env;

	setenv("PGPASSWORD", "of somebody else", 1);
	setenv("PGSERVICE", "elsewhere", 1);
	setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
	setenv("MY_OWN", "stays", 1);
	env = session_environment(*state, &config, "/run/x.pgpass");
	assert_string_equal(entry(env, "PGHOST"), "db1");
	assert_string_equal(entry(env, "PGPORT"), "5433");
	assert_string_equal(entry(env, "PGUSER"), "migrator");
	assert_string_equal(entry(env, "PGDATABASE"), "orders");
	assert_string_equal(entry(env, "PGSSLMODE"), "verify-full");
	assert_string_equal(entry(env, "PGPASSFILE"), "/run/x.pgpass");
	assert_string_equal(entry(env, "MY_OWN"), "stays");
	assert_null(entry(env, "PGPASSWORD"));
	assert_null(entry(env, "PGSERVICE"));
	assert_null(entry(env, "NOTIFY_SOCKET"));
	config.conninfo = "host=/run/postgresql";
	env = session_environment(*state, &config, NULL);
	assert_null(entry(env, "PGSSLMODE"));
	assert_string_equal(entry(env, "PGPASSFILE"), "/dev/null/none");
	config.conninfo = "host=db1 sslmode=require";
	assert_string_equal(entry(session_environment(*state, &config, NULL), "PGSSLMODE"), "require");
	unsetenv("PGPASSWORD");
	unsetenv("PGSERVICE");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("MY_OWN");
}

/* As the loop does: wait for the descriptors, turn, ask again. Times are real plus an offset. */
static int fetch(struct secret_commands *all, void *parent, const char *line, msec_t later, char **ret, struct error *err)
{
	const struct secret_source source = { .kind = SECRET_COMMAND, .value = line, .source = { "some.conf", 9 } };
	int r;

	error_clear(err);
	while ((r = secret_get(all, parent, &source, clock_monotonic() + later, ret, err)) == 2) {
		struct pollfd fds[4];
		int v[4];
		const unsigned n = secret_commands_fds(all, v, 4);

		assert_true(n >= 1 && n <= 4);
		assert_true(secret_commands_deadline(all) != MSEC_NEVER);
		for (unsigned i = 0; i < n; i++)
			fds[i] = (struct pollfd){ .fd = v[i], .events = POLLIN };
		assert_true(poll(fds, n, 10000) > 0);
		secret_commands_turn(all, clock_monotonic() + later);
	}
	return r;
}

static void test_command(void **state)
{
	struct secret_commands *all = secret_commands_new(*state, 1000);
	char *counter = make_file(*state, "", 0, 0600), *line, *secret = NULL;
	const struct secret_source *source;
	struct error err;

	line = talloc_asprintf(*state, "sh -c 'echo x >>\"$0\"; echo secret$(wc -l <\"$0\")' %s", counter);
	source = &(const struct secret_source){ .kind = SECRET_COMMAND, .value = line };
	assert_int_equal(fetch(all, *state, line, 0, &secret, &err), 0);
	assert_string_equal(secret, "secret1");
	assert_int_equal(fetch(all, *state, line, 500, &secret, &err), 0);
	assert_string_equal(secret, "secret1");
	assert_int_equal(fetch(all, *state, line, 2000, &secret, &err), 0);
	assert_string_equal(secret, "secret2");
	secret_forget(all, source);
	assert_int_equal(fetch(all, *state, line, 2000, &secret, &err), 0);
	assert_string_equal(secret, "secret3");
	assert_int_equal(secret_commands_fds(all, NULL, 0), 0);
	assert_true(secret_commands_deadline(all) == MSEC_NEVER);
	unlink(counter);
}

static void test_command_fails(void **state)
{
	static const struct { const char *line, *text; } bad[] = {
		{ "/nonexistent/program", "cannot be started: No such file" }, { "false", "ended with exit code 1" },
		{ "true", "is empty" }, { "sh -c 'echo a; echo b'", "more than one line" }, { "sh -c 'kill -9 $$'", "signal 9" },
		{ "sh -c 'echo s3cret; exit 3'", "exit code 3" }, { "yes", "more than 8 KiB" }, { "echo 'x", "not closed" },
	};
	struct secret_commands *all = secret_commands_new(*state, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;
		char *secret = NULL;

		assert_int_equal(fetch(all, *state, bad[i].line, 0, &secret, &err), 1);
		if (!strstr(err.text, bad[i].text))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].text, err.text);
		assert_null(secret);
		assert_string_equal(err.file, "some.conf");
		assert_null(strstr(err.text, "s3cret"));
	}
}

/* The clock says that 30 s have passed: the command and what it started are gone. */
static bool runs(void *parent, long pid)
{
	char *path = talloc_asprintf(parent, "/proc/%ld/stat", pid), line[256] = "";
	FILE *f = fopen(path, "r");

	talloc_free(path);
	if (f == NULL)
		return false;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	return line[0] != '\0' && strstr(line, ") Z ") == NULL;
}

static void test_command_too_slow(void **state)
{
	struct secret_commands *all = secret_commands_new(*state, 0);
	char *file = make_file(*state, "", 0, 0600), *line, *secret;
	const struct secret_source source = { .kind = SECRET_COMMAND,
		.value = line = talloc_asprintf(*state, "sh -c 'sleep 600 & echo $! >\"$0\"; echo ready >>\"$0\"; wait' %s", file) };
	char pids[64] = "";
	struct error err;
	int r;

	assert_int_equal(secret_get(all, *state, &source, clock_monotonic(), &secret, NULL), 2);
	while (!strstr(pids, "ready")) {
		const int fd = open(file, O_RDONLY);
		const ssize_t n = read(fd, pids, sizeof(pids) - 1);

		pids[n > 0 ? n : 0] = '\0';
		close(fd);
		poll(NULL, 0, 5);
	}
	error_clear(&err);
	while ((r = secret_get(all, *state, &source, clock_monotonic() + 30001, &secret, &err)) == 2) {
		secret_commands_turn(all, clock_monotonic() + 30001);
		poll(NULL, 0, 5);
	}
	assert_int_equal(r, 1);
	assert_non_null(strstr(err.text, "did not end within 30 s"));
	/* What it had started dies, or is a zombie that waits for init. */
	for (int64_t until = clock_monotonic() + 10000; runs(*state, strtol(pids, NULL, 10)); poll(NULL, 0, 5))
		assert_true(clock_monotonic() < until);
	unlink(file);
	(void)line;
}

/* conninfo */

static void test_conninfo(void **state)
{
	static const char *const good[] = {
		"", "host=db1.internal user=dbreconcile sslmode=verify-full", "host='/var/run/post gres' port=5433",
		"host=a,b port=1,2 target_session_attrs=primary", "hostaddr=10.0.0.1,::1 host=a,b", "connect_timeout=5", "host=a,b port=,5433",
	};
	static const struct { const char *conninfo, *text; } bad[] = {
		{ "host=a password=s3cret", "keyword password" }, { "host=a passwor=s3cret", "not valid" },
		{ "host=a password = 's3cret", "not valid" }, { "passwd s3cret", "not valid" }, { "postgresql://u:s3cret@h/db", "URI" },
		{ "postgres://u:s3cret@h/db?nonsense=1", "URI" }, { "sslpassword=s3cret", "keyword sslpassword" },
		{ "service=s3cret", "keyword service" }, { "options='-c role=s3cret'", "keyword options" }, { "passfile=/s3cret", "keyword passfile" },
		{ "application_name=s3cret", "keyword application_name" }, { "sslmode=s3cret", "sslmode a value" }, { "port=s3cret", "port" },
		{ "port=0", "port" }, { "port=65536", "port" }, { "port=1,2", "different numbers" }, { "host=a,b hostaddr=1.2.3.4", "different numbers" },
		{ "connect_timeout=s3cret", "connect_timeout" }, { "gssencmode=prefer", "GSSAPI" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct error err;

		error_clear(&err);
		if (conninfo_check(good[i], &err) != 0)
			fail_msg("\"%s\": %s", good[i], err.text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;

		error_clear(&err);
		if (conninfo_check(bad[i].conninfo, &err) != 1)
			fail_msg("\"%s\" was accepted", bad[i].conninfo);
		if (!strstr(err.text, bad[i].text))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].text, err.text);
		assert_null(strstr(err.text, "s3cret"));
		assert_null(strstr(err.hint, "s3cret"));
	}
	assert_string_equal(conninfo_get(*state, "host=a user='b c'", "user"), "b c");
	assert_null(conninfo_get(*state, "host=a", "user"));
	assert_null(conninfo_get(*state, "nonsense", "user"));
}

/* Failures */

static void test_failures(void **state)
{
	static const struct { const char *sqlstate, *message, *name; bool transient; } v[] = {
		{ "28P01", "", "auth", false }, { "28000", "", "auth", false }, { "53300", "", "too_many_connections", true },
		{ "57P03", "", "starting", true }, { "57P01", "", "starting", true }, { "42501", "", "permission", false },
		{ "55P03", "", "lock", true }, { "40P01", "", "lock", true }, { "40001", "", "conflict", true },
		{ "XX000", "tuple concurrently updated", "conflict", true }, { "XX000", "tuple concurrently deleted", "conflict", true },
		{ "XX000", "cache lookup failed for relation 1", "conflict", true }, { "XX000", "other", "sql", false },
		{ "23505", "duplicate key value violates unique constraint \"pg_authid_rolname_index\"", "conflict", true },
		{ "23505", "duplicate key value violates unique constraint \"users_pkey\"", "sql", false },
		{ "3D000", "", "no_database", false }, { "42601", "", "sql", false }, { "", "", "connect", true }, { NULL, NULL, "connect", true },
		{ "08P01", "unsupported startup parameter: options", "identity", false }, { "08006", "", "connect", true },
		{ "25006", "", "identity", false }, { "57014", "canceling statement due to statement timeout", "timeout", true },
		{ "57014", "canceling statement due to user request", "sql", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		const enum failure failure = failure_from_sqlstate(v[i].sqlstate, v[i].message);

		assert_string_equal(failure_name(failure), v[i].name);
		assert_int_equal(failure_is_transient(failure), v[i].transient);
	}
	for (int f = FAILURE_NONE; f <= FAILURE_INTERNAL; f++)
		assert_true(failure_name((enum failure)f)[0] != '\0');
	assert_string_equal(failure_name((enum failure)99), "internal");
}

static void test_connect_messages(void **state)
{
	static const struct { const char *message, *text, *sqlstate; enum failure failure; } v[] = {
		{ "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication failed for user \"x\"\n"
		  "LOCATION:  auth_failed, auth.c:338\n",
		  "connection to server at \"10.0.0.1\", port 5432 failed: FATAL: password authentication failed for user \"x\"", "28P01",
		  FAILURE_AUTH },
		{ "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the server running locally?\n",
		  "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: No such file or directory; Is the server running locally?", "",
		  FAILURE_CONNECT },
		{ "connection to server failed: fe_sendauth: no password supplied\n", "connection to server failed: fe_sendauth: no password supplied",
		  "", FAILURE_AUTH },
		{ "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while\n",
		  "server closed the connection unexpectedly", "", FAILURE_CONNECT },
		{ "FATAL:  \x1b[31mnot:  a code: \x07\n", "FATAL:  \\x1B[31mnot:  a code: \\x07", "", FAILURE_CONNECT },
		{ "", "", "", FAILURE_CONNECT },
	};
	char *large = talloc_array(*state, char, 2000000);
	struct error err;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(message_from_connect(v[i].message, &err), v[i].failure);
		if (v[i].text[0] && strcasecmp(err.text, v[i].text) != 0)
			fail_msg("\"%s\" instead of \"%s\"", err.text, v[i].text);
		assert_string_equal(err.sqlstate, v[i].sqlstate);
		assert_true(error_is_set(&err));
		assert_true(err.hint[0] != '\0');
	}
	memset(large, '\n', 1000000);
	memset(large + 1000000, 'x', 999999);
	large[1999999] = '\0';
	message_from_connect(large, &err);
	assert_true(strlen(err.text) < ERROR_TEXT_MAX);
}

/* Look-ups */

static void test_lookup(void **state)
{
	struct lookup *lookup;
	const char *reason = NULL;
	char **addresses;
	unsigned n;
	struct pollfd p;

	assert_int_equal(lookup_start(*state, "localhost", &lookup), 0);
	p = (struct pollfd){ .fd = lookup_fd(lookup), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(lookup_result(lookup, *state, &addresses, &n, &reason), 0);
	assert_true(n >= 1);
	assert_true(strcmp(addresses[0], "127.0.0.1") == 0 || strcmp(addresses[0], "::1") == 0);

	assert_int_equal(lookup_start(*state, "no-such-host.invalid", &lookup), 0);
	p.fd = lookup_fd(lookup);
	assert_int_equal(poll(&p, 1, 60000), 1);
	assert_int_equal(lookup_result(lookup, *state, &addresses, &n, &reason), 2);
	assert_non_null(reason);
}

/* An abandoned lookup may still be inside glibc's resolver when this program ends: its buffer is nobody's leak. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:res_context_send\nleak:res_context_query\n";
}

/* The thread outlives who asked. */
static void test_lookup_abandoned(void **state)
{
	for (unsigned i = 0; i < 50; i++) {
		struct lookup *lookup;

		assert_int_equal(lookup_start(*state, "localhost", &lookup), 0);
		talloc_free(lookup);
	}
}

/* Rows: a result made by hand. */
static void test_rows(void **state)
{
	PGresAttDesc columns[2] = { { .name = (char *)"a" }, { .name = (char *)"b" } };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	struct rows *rows = rows_new(*state, 2), *narrow = rows_new(*state, 1);
	struct rowset set;
	size_t len;

	PQsetResultAttrs(res, 2, columns);
	PQsetvalue(res, 0, 0, (char *)"one", 3);
	PQsetvalue(res, 0, 1, NULL, -1);
	PQsetvalue(res, 1, 0, (char *)"", 0);
	PQsetvalue(res, 1, 1, (char *)"b\0c", 3);
	assert_int_equal(rows_add(rows, res, 0), 0);
	assert_int_equal(rows_add(rows, res, 1), 0);
	assert_int_equal(rows_add(narrow, res, 0), 1);
	PQclear(res);
	rows_view(rows, &set);
	assert_int_equal(set.rows, 2);
	assert_int_equal(set.columns, 2);
	assert_string_equal(set.cell(&set, 0, 0, &len), "one");
	assert_int_equal(len, 3);
	assert_null(set.cell(&set, 0, 1, NULL));
	assert_string_equal(set.cell(&set, 1, 0, &len), "");
	assert_memory_equal(set.cell(&set, 1, 1, &len), "b\0c", 4);
	assert_int_equal(len, 3);
	assert_null(set.cell(&set, 2, 0, &len));
	assert_null(set.cell(&set, 0, 2, &len));
}

/* Pins: what belongs to which server and role. */
static bool is_pinned(void *parent, int version, bool superuser, bool migrations, const char *name, const char *shown)
{
	const struct session_config config = { .conninfo = "", .version_num = version, .superuser = superuser,
		.for_migrations = migrations, .lock_timeout = migrations ? 0 : 90000, .statement_timeout = 1500 };
	struct session *s = session_new(parent, &config);
	unsigned n;
	const struct pinned_setting *v = session_pinned(s, &n);
	bool found = false;

	for (unsigned i = 0; i < n; i++)
		found |= strcmp(v[i].name, name) == 0 && (!shown || (v[i].shown && strcmp(v[i].shown, shown) == 0));
	talloc_free(s);
	return found;
}

static void test_pins(void **state)
{
	assert_true(is_pinned(*state, 0, false, false, "search_path", "pg_catalog,pg_temp"));
	assert_true(is_pinned(*state, 0, false, false, "lock_timeout", "90s"));
	assert_true(is_pinned(*state, 0, false, false, "statement_timeout", "1500ms"));
	assert_false(is_pinned(*state, 0, false, false, "transaction_timeout", NULL));
	assert_false(is_pinned(*state, 160009, false, false, "transaction_timeout", NULL));
	assert_true(is_pinned(*state, 170000, false, false, "transaction_timeout", NULL));
	assert_false(is_pinned(*state, 170000, false, false, "event_triggers", NULL));
	assert_true(is_pinned(*state, 170000, true, false, "event_triggers", "off"));
	assert_false(is_pinned(*state, 160000, true, false, "event_triggers", NULL));
	assert_false(is_pinned(*state, 150007, true, false, "restrict_nonsystem_relation_kind", NULL));
	assert_true(is_pinned(*state, 150008, true, false, "restrict_nonsystem_relation_kind", NULL));
	assert_false(is_pinned(*state, 180000, true, true, "search_path", NULL));
	assert_true(is_pinned(*state, 0, true, true, "standard_conforming_strings", "on"));
	assert_false(is_pinned(*state, 0, true, true, "lock_timeout", NULL));
	assert_true(is_pinned(*state, 0, true, true, "statement_timeout", "1500ms"));
}

static void test_environment(void **state)
{
	(void)state;
	setenv("PGHOST", "elsewhere", 1);
	setenv("PGPASSWORD", "x", 1);
	setenv("PGTZ", "Mars", 1);
	setenv("OTHER_PGHOST", "stays", 1);
	session_environment_clear();
	assert_null(getenv("PGHOST"));
	assert_null(getenv("PGPASSWORD"));
	assert_null(getenv("PGTZ"));
	assert_string_equal(getenv("OTHER_PGHOST"), "stays");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_rfc7677), cmocka_unit_test(test_scram_postgresql), cmocka_unit_test(test_scram_round_trip),
		cmocka_unit_test(test_scram_damaged), cmocka_unit_test(test_md5), cmocka_unit_test(test_secret_file),
		cmocka_unit_test(test_secret_file_refused), cmocka_unit_test(test_secret_file_odd), cmocka_unit_test(test_secret_credential),
		cmocka_unit_test(test_split), cmocka_unit_test(test_command), cmocka_unit_test(test_command_fails),
		cmocka_unit_test(test_command_too_slow), cmocka_unit_test(test_conninfo), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_connect_messages), cmocka_unit_test(test_lookup), cmocka_unit_test(test_lookup_abandoned),
		cmocka_unit_test(test_rows), cmocka_unit_test(test_pins),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_client_environment),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
