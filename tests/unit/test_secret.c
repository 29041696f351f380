/* SPDX-License-Identifier: PostgreSQL */
/* Secrets: verifiers, and where a password comes from: a file, a credential, a command. */
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

/* One command for several roles and servers, one run; but each is told where it stands itself. */
static void test_command_of_several(void **state)
{
	struct secret_commands *all = secret_commands_new(*state, 0);
	const struct secret_source other = { .kind = SECRET_COMMAND, .value = "sh -c 'exit 3'", .source = { "other.conf", 27 } };
	char *secret = NULL;
	struct error err;

	assert_int_equal(fetch(all, *state, other.value, 0, &secret, &err), 1);
	assert_string_equal(err.file, "some.conf");
	assert_int_equal(err.line, 9);
	error_clear(&err);
	assert_int_equal(secret_get(all, *state, &other, clock_monotonic(), &secret, &err), 1);
	assert_non_null(strstr(err.text, "exit code 3"));
	assert_string_equal(err.file, "other.conf");
	assert_int_equal(err.line, 27);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_rfc7677), cmocka_unit_test(test_scram_postgresql), cmocka_unit_test(test_scram_round_trip),
		cmocka_unit_test(test_scram_damaged), cmocka_unit_test(test_md5), cmocka_unit_test(test_secret_file),
		cmocka_unit_test(test_secret_file_refused), cmocka_unit_test(test_secret_file_odd), cmocka_unit_test(test_secret_credential),
		cmocka_unit_test(test_split), cmocka_unit_test(test_command), cmocka_unit_test(test_command_fails),
		cmocka_unit_test(test_command_of_several), cmocka_unit_test(test_command_too_slow),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
