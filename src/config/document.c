/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "config/document.h"
#include "config/scan.h"

#define FILE_MAX (16 * 1024 * 1024)

static int document_destroy(struct document *doc)
{
	config_destroy(&doc->config);
	return 0;
}

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Whoever can write the file can make a superuser do what they like. Links are followed (that is how containers mount
   configuration); what counts is the file that was opened. */
static bool trusted(const char *file, const struct stat *st, struct config_errors *errors)
{
	struct error *err;

	if (!S_ISREG(st->st_mode)) {
		config_errors_add(errors, file, 0, "this is not a regular file");
		return false;
	}
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		err = config_errors_add(errors, file, 0, "the file belongs to user %u", (unsigned) st->st_uid);
		if (err)
			error_hint(err, "it must belong to root or to the daemon's user: chown root %s", file);
		return false;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		err = config_errors_add(errors, file, 0, "%s can write the file (mode %04o)",
					st->st_mode & S_IWOTH ? "everybody" : "its group", (unsigned) (st->st_mode & 07777));
		if (err)
			error_hint(err, "chmod go-w %s", file);
		return false;
	}
	if (st->st_size > FILE_MAX) {
		config_errors_add(errors, file, 0, "the file is larger than 16 MiB");
		return false;
	}
	return true;
}

/* Everything up to the end, which must be where fstat() said. NULL with errno. */
static char *read_whole(void *parent, int fd, size_t size)
{
	char *text = talloc_array(parent, char, size + 2);
	size_t got = 0;

	while (text && got < size + 1) {
		ssize_t n = read(fd, text + got, size + 1 - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		if (n == 0)
			break;
		got += (size_t) n;
	}
	if (text && got != size) {
		errno = EBUSY;
		return NULL;
	}
	if (text)
		text[size] = '\0';
	return text;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LEAK_CHECK
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_LEAK_CHECK
#endif
#ifdef WITH_LEAK_CHECK
/* libconfig 1.5 forgets the string at which a syntax error was found; its leak, not ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
#endif

static void add_parse_error(struct document *doc, struct config_errors *errors)
{
	const char *text = config_error_text(&doc->config);
	struct error *err = config_errors_add(errors, doc->file, (unsigned) config_error_line(&doc->config), "%s",
					      text ? text : "syntax error");

	if (!err)
		return;
	if (!text || !strstr(text, "duplicate"))
		error_hint(err, "settings are written 'name = value;', groups { }, lists ( ), arrays [ ]; the mistake may stand before this line");
}

/* A file may promise its last line, so that a file cut between two settings is noticed as well. */
static void check_end_marker(struct document *doc, const char *text, size_t len, struct config_errors *errors)
{
	static const char marker[] = "\n# end";
	const config_setting_t *s = config_setting_get_member(config_root_setting(&doc->config), "end_marker");

	if (!s || config_setting_type(s) != CONFIG_TYPE_BOOL || !config_setting_get_bool(s))
		return;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(marker) - 1 && memcmp(text + len - (sizeof(marker) - 1), marker, sizeof(marker) - 1) == 0)
		return;
	doc->ok = false;
	struct error *err = config_errors_add(errors, doc->file, config_setting_source_line(s),
					      "setting 'end_marker': the last line of the file is not '# end'");
	if (err)
		error_hint(err, "the file looks cut");
}

struct document *document_parse(void *parent, const char *file, const char *text, size_t len, struct config_errors *errors)
{
	struct document *doc = talloc_zero(parent, struct document);

	if (!doc)
		return NULL;
	config_init(&doc->config);
	talloc_set_destructor(doc, document_destroy);
	doc->file = talloc_strdup(doc, file);
	int scanned = config_scan(file, text, len, errors);
	if (scanned == 2)
		return doc;
	/* libconfig takes a comment for one only when a newline ends it */
	if (len > 0 && text[len - 1] != '\n') {
		text = talloc_asprintf(doc, "%s\n", text);
		if (!text)
			return NULL;
		len++;
	}
	if (config_read_string(&doc->config, text) != CONFIG_TRUE) {
		add_parse_error(doc, errors);
		return doc;
	}
	doc->parsed = true;
	doc->ok = scanned == 0;
	check_end_marker(doc, text, len, errors);
	return doc;
}

int document_read(void *parent, const char *file, struct config_errors *errors, struct document **ret)
{
	/* O_NONBLOCK: a FIFO in place of the file must not stop the daemon. */
	int fd __attribute__((cleanup(close_fd))) = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	const int why = errno;
	char *text = NULL;

	if (fd < 0 && why == ENOENT)
		return -ENOENT;
	*ret = talloc_zero(parent, struct document);
	if (!*ret)
		return -ENOMEM;
	(*ret)->file = talloc_strdup(*ret, file);
	if (fd < 0 || fstat(fd, &st) < 0) {
		struct error *err = config_errors_add(errors, file, 0, "the file cannot be opened: %s", strerror(fd < 0 ? why : errno));

		if (err && fd < 0 && why == EACCES)
			error_hint(err, "the daemon's user must be able to read it: owner root, the group of that user, mode 0640");
		return 0;
	}
	if (!trusted(file, &st, errors))
		return 0;
	text = read_whole(*ret, fd, (size_t) st.st_size);
	if (!text) {
		config_errors_add(errors, file, 0, "the file cannot be read: %s",
				  errno == EBUSY ? "it changed meanwhile, try again" : strerror(errno));
		return 0;
	}
	struct document *doc = document_parse(parent, file, text, (size_t) st.st_size, errors);
	talloc_free(*ret);
	*ret = doc;
	return doc ? 0 : -ENOMEM;
}
