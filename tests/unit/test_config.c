/* SPDX-License-Identifier: PostgreSQL */
/* Configuration: what the golden cases cannot show (defaults of the build, every cut of a file, times, the environment, levels). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <talloc.h>

#include "config/levels.h"
#include "config/load.h"
#include "config/option.h"
#include "config/reader.h"

static struct settings *accepted(void *mem, const char *text, bool manifest)
{
	struct config_errors *errors;
	struct settings *settings;
	int rc = config_load_text(mem, text, strlen(text), manifest, &settings, &errors);

	if (rc != 0)
		config_errors_print(errors, stderr);
	assert_int_equal(rc, 0);
	return settings;
}

static bool refused(const char *text, size_t len, bool manifest)
{
	void *mem = talloc_new(NULL);
	char *copy = talloc_strndup(mem, text, len);
	struct config_errors *errors;
	struct settings *settings;
	int rc = config_load_text(mem, copy, len, manifest, &settings, &errors);

	assert_true(rc == 0 || rc == 1);
	assert_int_equal(rc == 1, errors->n > 0);
	assert_int_equal(rc == 1, settings == NULL);
	talloc_free(mem);
	return rc == 1;
}

static void defaults(void **state)
{
	void *mem = talloc_new(NULL);
	struct settings *s = accepted(mem, "servers: ( { name = \"s\"; conninfo = \"host=/tmp\"; } );\n", false);

	(void) state;
	assert_int_equal(s->mode, MODE_OBSERVE);
	assert_int_equal(s->interval, 60000);
	assert_int_equal(s->full_interval, 600000);
	assert_int_equal(s->max_connections, 64);
	assert_int_equal(s->connect_timeout, 10000);
	assert_int_equal(s->statement_timeout, 60000);
	assert_int_equal(s->lock_timeout, 2000);
	assert_int_equal(s->pass_timeout, 600000);
	assert_int_equal(s->backoff_max, 300000);
	assert_int_equal(s->guard.max_revokes, 20);
	assert_int_equal(s->guard.max_drops, 0);
	assert_int_equal(s->guard.max_percent, 10);
	assert_false(s->guard.allow_privileged);
	assert_string_equal(s->manifests_dir, SYSCONFDIR "/dbreconcile/manifests");
	assert_string_equal(s->migrations_dir, SYSCONFDIR "/dbreconcile/migrations");
	assert_string_equal(s->state_file, LOCALSTATEDIR "/lib/dbreconcile/state.db");
	assert_string_equal(s->control.socket, RUNSTATEDIR "/dbreconcile/control.sock");
	assert_string_equal(s->control.metrics_socket, RUNSTATEDIR "/dbreconcile/metrics.sock");
	assert_string_equal(s->control.metrics_listen, "");
	assert_int_equal(s->control.n_admin_groups, 1);
	assert_int_equal(s->servers[0].max_connections, 8);
	assert_int_equal(s->servers[0].guard.max_revokes, 20);
	assert_int_equal(s->servers[0].mode, MODE_OBSERVE);
	talloc_free(mem);
}

static const char manifest[] =
	"authority = \"exact\";\n"
	"roles: ( { name = \"app\"; }, { name = \"owner\"; settings: { lock_timeout = \"5s\"; }; } );\n"
	"memberships: ( { role = \"owner\"; members = [ \"app\" ]; } );\n"
	"schemas: ( { name = \"app\"; owner = \"owner\"; } );   /* a comment */\n"
	"grants: (\n  { to = \"app\"; level = \"read-write\"; schema = \"app\"; },\n"
	"  { to = \"PUBLIC\"; privileges = [ ]; on = \"schema public\"; }\n);\n"
	"extensions: ( { name = \"citext\"; } );\n"
	"# the last words\n";

/* Where the last setting of the first `cut` bytes ends, when it is complete: behind its ';' or its outermost bracket. */
static size_t complete_until(size_t cut)
{
	const size_t words = (size_t) (strstr(manifest, "# the last") - manifest);
	int depth = 0;

	/* a comment to the end of the line may be cut too */
	if (cut > words)
		cut = words;
	while (cut > 0 && strchr(" \n", manifest[cut - 1]))
		cut--;
	for (size_t i = 0; i < cut; i++)
		depth += (strchr("{([", manifest[i]) != NULL) - (strchr("})]", manifest[i]) != NULL);
	return cut > 0 && depth == 0 && strchr(";)/", manifest[cut - 1]) ? cut : 0;
}

/* Behind a complete setting at the top nothing tells a cut file from a shorter one; everywhere else it is refused. */
static void cut_at_every_byte(void **state)
{
	const size_t len = sizeof(manifest) - 1, schemas = (size_t) (strstr(manifest, "schemas") - manifest),
		     grants = (size_t) (strstr(manifest, "grants") - manifest);
	size_t survivors = 0, last = 0;

	(void) state;
	assert_false(refused(manifest, len, true));
	assert_false(refused(manifest, len - 1, true));        /* an editor that ends no last line */
	for (size_t cut = 0; cut < len; cut++) {
		size_t until = complete_until(cut);

		if (refused(manifest, cut, true))
			continue;
		if (!until)
			print_error("accepted when cut at %zu\n", cut);
		assert_true(until > 0);
		survivors += last == 0 || memchr(manifest + last, '=', until - last) != NULL;
		last = until;
		/* never an exact manifest that names schemas and grants nothing any more */
		assert_true(cut <= schemas || cut > grants);
	}
	assert_int_equal(survivors, 4);        /* after roles, memberships, grants, extensions */
}

static void cut_with_end_marker(void **state)
{
	void *mem = talloc_new(NULL);
	char *text = talloc_asprintf(mem, "end_marker = true;\n%s# end\n", manifest);

	(void) state;
	assert_false(refused(text, strlen(text), true));
	assert_false(refused(text, strlen(text) - 1, true));
	for (size_t cut = 0; cut < strlen(text) - 1; cut++)
		assert_true(refused(text, cut, true));
	talloc_free(mem);
}

static void times(void **state)
{
	static const struct {
		const char *in, *out;      /* NULL = refused */
	} cases[] = {
		{ "2027-01-01", "2027-01-01T00:00:00.000000Z" },
		{ "2028-02-29", "2028-02-29T00:00:00.000000Z" },
		{ "2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000000Z" },
		{ "2027-01-01t10:20:30.5z", "2027-01-01T10:20:30.500000Z" },
		{ "2027-01-01 01:00:00+02:00", "2026-12-31T23:00:00.000000Z" },
		{ "2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z" },
		{ "2027-01-01T00:00:00.1234567Z", "2027-01-01T00:00:00.123456Z" },
		{ "infinity", "" }, { "Infinity", "" },
		{ "2027-02-29", NULL }, { "1900-02-29", NULL }, { "2027-13-01", NULL }, { "2027-00-01", NULL }, { "2027-1-1", NULL },
		{ "2027-01-01T24:00:00Z", NULL }, { "2027-01-01T10:00Z", NULL }, { "2027-01-01T10:00:00", NULL },
		{ "2027-01-01T10:00:00.Z", NULL }, { "2027-01-01T10:00:00+24:00", NULL }, { "2027-01-01x", NULL }, { "", NULL },
		{ "-infinity", NULL }, { "tomorrow", NULL }, { "0000-01-01", NULL }, { "0001-01-01T00:00:00+01:00", NULL },
	};
	char out[32];

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = timestamp_parse(cases[i].in, out);

		if ((rc == 0) != (cases[i].out != NULL))
			print_error("%s\n", cases[i].in);
		assert_int_equal(rc, cases[i].out ? 0 : 1);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
}

/* No reason quotes what stands there: it may be a secret. */
static void conninfo(void **state)
{
	static const char *const good[] = {
		"", "host=db1.internal user=dbreconcile sslmode=verify-full", "host='/var/run/post gres' port=5433", "gssencmode=disable sslmode=''",
		"host=a,b port=1,2 target_session_attrs=primary", "hostaddr=10.0.0.1,::1 host=a,b", "connect_timeout=5", "host=a,b port=,5433",
		"host = a\\,b sslmode = 'verify\\-full'",
	};
	static const struct { const char *conninfo, *text; } bad[] = {
		{ "host=a password=s3cret", "'password'" }, { "host=a passwor=s3cret", "libpq does not have" }, { "usr=s3cret", "mean 'user'" }, { "host=a password = 's3cret", "'password'" },
		{ "host='s3cret", "does not end" }, { "passwd s3cret", "not \"keyword=value" }, { "postgresql://u:s3cret@h/db", "URI" },
		{ "postgres://u:s3cret@h/db?nonsense=1", "URI" }, { "sslpassword=s3cret", "'sslpassword'" }, { "service=s3cret", "'service'" },
		{ "options='-c role=s3cret'", "'options'" }, { "passfile=/s3cret", "'passfile'" }, { "application_name=s3cret", "'application_name'" },
		{ "sslmode=s3cret", "'sslmode'" }, { "port=s3cret", "'port'" }, { "port=0", "'port'" }, { "port=65536", "'port'" },
		{ "port=1,2", "different numbers" }, { "host=a,b hostaddr=1.2.3.4", "different numbers" }, { "connect_timeout=s3cret", "'connect_timeout'" },
		{ "gssencmode=prefer", "'gssencmode'" }, { "host=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "16 hosts" },
	};
	const char *reason;

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		void *mem = talloc_new(NULL);

		if (conninfo_check(mem, good[i], &reason) != 0)
			fail_msg("\"%s\": %s", good[i], reason);
		talloc_free(mem);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *mem = talloc_new(NULL);

		if (conninfo_check(mem, bad[i].conninfo, &reason) != 1)
			fail_msg("\"%s\" was accepted", bad[i].conninfo);
		if (!strstr(reason, bad[i].text))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].text, reason);
		assert_null(strstr(reason, "s3cret"));
		talloc_free(mem);
	}
}

static void environment(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain $ {x} $$", "plain $ {x} $$" }, { "a${DBR_X}b", "axb" }, { "${DBR_UNSET:-d e}", "d e" }, { "${DBR_EMPTY:-d}", "d" },
		{ "${DBR_EMPTY}", "" }, { "$${DBR_X}", "${DBR_X}" }, { "${CONFIG_DIR}/m", "/here/m" }, { "${DBR_UNSET:-}", "" },
		{ "${DBR_UNSET}", NULL }, { "${", NULL }, { "${}", NULL }, { "${DBR_X", NULL }, { "${1X}", NULL }, { "${DBR_X:+y}", NULL },
		{ "${PGHOST}", NULL }, { "${PGHOST:-/tmp}", NULL },
	};
	void *mem = talloc_new(NULL);

	(void) state;
	setenv("DBR_X", "x", 1);
	setenv("DBR_EMPTY", "", 1);
	unsetenv("DBR_UNSET");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };
		char *out = env_expand(mem, cases[i].in, "/here", &err);

		assert_int_equal(out == NULL, cases[i].out == NULL);
		assert_int_equal(out == NULL, error_is_set(&err));
		if (out) {
			assert_string_equal(out, cases[i].out);
			assert_string_equal(env_expand(mem, env_protect(mem, out), "/here", &err), out);
		}
	}
	talloc_free(mem);
}

static void levels(void **state)
{
	void *mem = talloc_new(NULL);
	struct settings *s = accepted(mem, "roles: ( { name = \"app\"; } );\n"
				      "levels: ( { name = \"b\"; extends = \"a\"; routine = \"ALL\"; },\n"
				      "          { name = \"a\"; extends = \"read-only\"; table = \"UPDATE\"; } );\n"
				      "grants: ( { to = \"app\"; level = \"b\"; schema = \"x\"; },\n"
				      "          { to = \"app\"; level = \"admin\"; schema = \"y\"; } );\n", true);
	const struct level *b = s->manifests[0].grants[0].level, *admin = s->manifests[0].grants[1].level;

	(void) state;
	assert_string_equal(b->name, "b");
	assert_int_equal(b->schema, PRIV_USAGE);
	assert_int_equal(b->table, PRIV_SELECT | PRIV_UPDATE);
	assert_int_equal(b->sequence, PRIV_SELECT);
	assert_int_equal(b->routine, PRIV_EXECUTE);
	assert_int_equal(admin->table, object_kind_info(OBJECT_TABLE)->privs);
	assert_int_equal(admin->schema, object_kind_info(OBJECT_SCHEMA)->privs);
	assert_int_equal(admin->sequence, object_kind_info(OBJECT_SEQUENCE)->privs);
	assert_int_equal(level_builtin("read-write")->table, PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE);
	assert_int_equal(level_builtin("read-write")->sequence, PRIV_SELECT | PRIV_USAGE);
	talloc_free(mem);
}

/* Rows that would silently read nothing, or write over one another. */
static void check_rows(const struct option_group *group, unsigned depth)
{
	assert_true(depth < 8);
	for (size_t i = 0; i < group->n; i++) {
		const struct option *o = &group->rows[i];

		assert_non_null(o->type);
		assert_non_null(o->type->expected);
		assert_true(o->help && *o->help);
		assert_true(o->offset < group->size || group->size == 0);
		assert_true(o->extra < group->size || o->extra == 0);
		if (o->fallback)
			assert_true(o->type == &type_list || o->type->set);
		if (o->type == &type_count || o->type == &type_limit || o->type == &type_duration)
			assert_true(o->min < o->max);
		if (o->type == &type_word || o->type == &type_letter || o->type == &type_flag || o->type == &type_ensure)
			assert_non_null(o->words);
		if (o->type == &type_list || o->type == &type_group || o->type == &type_database_settings)
			check_rows(o->group, depth + 1);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(group->rows[k].key, o->key);
	}
}

static void tables(void **state)
{
	(void) state;
	check_rows(&config_root, 0);
	check_rows(&manifest_root, 0);
}

static void many_errors(void **state)
{
	void *mem = talloc_new(NULL);
	char *text = talloc_strdup(mem, "");
	struct config_errors *errors;
	struct settings *settings;

	(void) state;
	for (unsigned i = 0; i < 400; i++)
		text = talloc_asprintf_append(text, "setting%u = 1;\n", i);
	assert_int_equal(config_load_text(mem, text, strlen(text), false, &settings, &errors), 1);
	assert_int_equal(errors->n, 200);
	assert_true(errors->more);
	for (uint32_t i = 1; i < errors->n; i++)
		assert_true(errors->v[i - 1].line < errors->v[i].line);
	talloc_free(mem);
}

/* Somebody else's file is refused even when only they can write it. */
static void foreign_owner(void **state)
{
	char path[] = "/tmp/test_config.XXXXXX";
	void *mem = talloc_new(NULL);
	struct config_errors *errors;
	struct settings *settings;
	int fd = mkstemp(path);

	(void) state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "daemon: { };\n", 13), 13);
	assert_int_equal(config_load(mem, &(struct config_paths) { .file = path }, &settings, &errors), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchown(fd, 12345, -1), 0);
		assert_int_equal(config_load(mem, &(struct config_paths) { .file = path }, &settings, &errors), 1);
		assert_non_null(strstr(errors->v[0].text, "belongs to user 12345"));
		assert_int_equal(seteuid(65534), 0);
		assert_int_equal(config_load(mem, &(struct config_paths) { .file = path }, &settings, &errors), 1);
		assert_int_equal(seteuid(0), 0);
		assert_non_null(strstr(errors->v[0].hint, "the daemon's user must be able to read it"));
	}
	close(fd);
	unlink(path);
	talloc_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(cut_at_every_byte), cmocka_unit_test(cut_with_end_marker), cmocka_unit_test(times),
		cmocka_unit_test(environment), cmocka_unit_test(levels), cmocka_unit_test(tables), cmocka_unit_test(many_errors),
		cmocka_unit_test(foreign_owner), cmocka_unit_test(conninfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
