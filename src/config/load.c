/* SPDX-License-Identifier: PostgreSQL */
#include "config/load.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/checks.h"
#include "config/levels.h"

struct files {
	char **names;
	struct document **docs;
	uint32_t n;
};

static void enter(struct reader *r, const struct document *doc)
{
	r->doc = doc;
	r->file = reader_strdup(r, doc->file);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool is_conf(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The main file, then conf.d in the order of bytes (C locale). */
static void list_files(void *parent, struct reader *r, const struct config_paths *paths, const char *conf_d, struct files *files)
{
	DIR *dir __attribute__((cleanup(close_dir))) = opendir(conf_d);
	struct dirent *entry;

	files->names = talloc_array(parent, char *, 1);
	files->names[0] = talloc_strdup(parent, paths->file);
	files->n = 1;
	if (!dir && (errno != ENOENT || paths->conf_d))
		config_errors_add(r->errors, conf_d, 0, "the directory cannot be read: %s", strerror(errno));
	while (dir && (entry = readdir(dir))) {
		if (!is_conf(entry->d_name))
			continue;
		files->names = talloc_realloc(parent, files->names, char *, files->n + 1);
		files->names[files->n++] = talloc_asprintf(parent, "%s/%s", conf_d, entry->d_name);
	}
	qsort(files->names + 1, files->n - 1, sizeof(char *), name_compare);
}

static int read_files(void *parent, struct reader *r, struct files *files)
{
	files->docs = talloc_zero_array(parent, struct document *, files->n);
	for (uint32_t i = 0; i < files->n; i++) {
		int rc = document_read(parent, files->names[i], r->errors, &files->docs[i]);

		if (rc == -ENOENT) {
			struct error *err = config_errors_add(r->errors, files->names[i], 0, "there is no such file");

			if (err)
				error_hint(err, "name another one, or begin with one of the examples that are installed with the program");
		} else if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* Scalars of later files win, so servers, which inherit them, come when all of them are known. */
static void read_root(struct reader *r, const struct files *files, unsigned wanted)
{
	for (uint32_t i = 0; i < files->n; i++) {
		const struct document *doc = files->docs[i];

		if (!doc || !doc->parsed)
			continue;
		enter(r, doc);
		const config_setting_t *root = config_root_setting(&doc->config);
		if (wanted == 0)
			reader_unknown_keys(r, &config_root, root);
		for (size_t k = 0; k < config_root.n; k++) {
			const struct option *o = &config_root.rows[k];
			const config_setting_t *s = config_setting_get_member(root, o->key);

			if (s && (o->flags & OPT_PER_SERVER) == wanted)
				o->type->read(r, o, s, r->settings);
		}
	}
}

static struct manifest *manifest_named(const struct settings *settings, const char *name)
{
	for (uint32_t i = 0; i < settings->n_manifests; i++)
		if (strcmp(settings->manifests[i].name, name) == 0)
			return &settings->manifests[i];
	return NULL;
}

/* A role that could not be read is an error by itself; those who name it are none. */
static bool roles_are_missing(const struct manifest *m, const config_setting_t *roles)
{
	int named = 0;

	for (uint32_t i = 0; i < m->n_roles; i++)
		named += m->roles[i].name != NULL;
	return roles != NULL && (config_setting_type(roles) != CONFIG_TYPE_LIST || config_setting_length(roles) != named);
}

static void fill_manifest(struct reader *r, struct manifest *m, const struct document *doc)
{
	enter(r, doc);
	m->file = r->file;
	m->doubtful = !doc->parsed;
	if (!doc->parsed)
		return;
	r->manifest = m;
	option_group_defaults(r, &manifest_root, m);
	reader_group(r, &manifest_root, config_root_setting(&doc->config), m);
	r->manifest = NULL;
	m->doubtful = roles_are_missing(m, config_setting_get_member(config_root_setting(&doc->config), "roles"));
}

static int read_manifest(void *parent, struct reader *r, struct manifest *m, const struct reference *ref)
{
	struct document *doc = NULL;
	int rc = document_read(parent, m->file, r->errors, &doc);

	m->doubtful = true;
	if (rc == -ENOENT) {
		struct error *err = reader_error_at(r, &ref->source, ref->path, "there is no manifest \"%s\"", ref->name);

		if (err)
			error_hint(err, "it would be the file %s", m->file);
		return 0;
	}
	if (rc == 0)
		fill_manifest(r, m, doc);
	return rc;
}

/* Each manifest that is named is read once, whoever names it. */
static int read_manifests_named(void *parent, struct reader *r)
{
	struct settings *settings = r->settings;
	uint32_t n = 0;

	for (const struct reference *ref = r->manifests; ref; ref = ref->next)
		n++;
	settings->manifests = reader_keep(r, sizeof(struct manifest) * (n + 1));
	for (const struct reference *ref = r->manifests; ref; ref = ref->next) {
		struct manifest *m = manifest_named(settings, ref->name);

		if (!m) {
			m = &settings->manifests[settings->n_manifests++];
			m->name = ref->name;
			m->file = talloc_asprintf(settings, "%s/%s.conf", settings->manifests_dir, ref->name);
			int rc = read_manifest(parent, r, m, ref);
			if (rc < 0)
				return rc;
		}
		*(const struct manifest **) ref->slot = m;
	}
	return 0;
}

static void add_manifest(struct reader *r, struct server_settings *server, const struct manifest *m)
{
	for (uint32_t i = 0; i < server->n_all_manifests; i++)
		if (server->all_manifests[i] == m)
			return;
	server->all_manifests = reader_grow(r, server->all_manifests, sizeof(m), server->n_all_manifests);
	server->all_manifests[server->n_all_manifests++] = m;
}

static void collect_manifests(struct reader *r)
{
	for (uint32_t i = 0; i < r->settings->n_servers; i++) {
		struct server_settings *server = &r->settings->servers[i];

		for (uint32_t k = 0; k < server->n_manifests; k++)
			add_manifest(r, server, server->manifests[k]);
		for (uint32_t d = 0; d < server->n_databases; d++)
			for (uint32_t k = 0; k < server->databases[d].n_manifests; k++)
				add_manifest(r, server, server->databases[d].manifests[k]);
	}
}

static int build(void *scratch, struct reader *r, const struct files *files)
{
	int rc;

	read_root(r, files, 0);
	read_root(r, files, OPT_PER_SERVER);
	rc = read_manifests_named(scratch, r);
	if (rc < 0)
		return rc;
	levels_resolve(r);
	collect_manifests(r);
	check_fleet(r);
	return 0;
}

static int load(void *scratch, struct reader *r, const struct config_paths *paths)
{
	char *dir = talloc_strdup(scratch, paths->file), real[PATH_MAX];
	char *slash = strrchr(dir, '/');
	struct files files = { 0 };
	int rc;

	if (slash)
		*slash = '\0';
	dir = slash && slash != dir ? dir : talloc_strdup(scratch, slash ? "/" : ".");
	r->config_dir = realpath(dir, real) ? talloc_strdup(scratch, real) : dir;
	list_files(scratch, r, paths, paths->conf_d ? paths->conf_d : talloc_asprintf(scratch, "%s/conf.d", dir), &files);
	rc = read_files(scratch, r, &files);
	return rc < 0 ? rc : build(scratch, r, &files);
}

static void begin(struct reader *r, void *parent, const char *file, struct config_errors **ret_errors)
{
	*r = (struct reader) { 0 };
	r->errors = *ret_errors = talloc_zero(parent, struct config_errors);
	r->settings = talloc_zero(parent, struct settings);
	if (!r->errors || !r->settings)
		abort();
	r->manifests_tail = &r->manifests;
	r->levels_tail = &r->levels;
	r->settings->file = reader_strdup(r, file);
	option_group_defaults(r, &config_root, r->settings);
}

static int finish(struct reader *r, int rc, struct settings **ret)
{
	if (rc == 0 && r->errors->n == 0) {
		*ret = r->settings;
		return 0;
	}
	*ret = NULL;
	talloc_free(r->settings);
	config_errors_sort(r->errors);
	return rc < 0 ? rc : 1;
}

int config_load(void *parent, const struct config_paths *paths, struct settings **ret, struct config_errors **ret_errors)
{
	void *scratch = talloc_new(NULL);
	struct reader r;
	int rc;

	begin(&r, parent, paths->file, ret_errors);
	rc = load(scratch, &r, paths);
	talloc_free(scratch);
	return finish(&r, rc, ret);
}

/* A server with one database that uses the manifest. */
static void build_around_manifest(struct reader *r, const struct document *doc)
{
	struct settings *settings = r->settings;
	const struct manifest **slot = reader_keep(r, sizeof(struct manifest *));

	settings->servers = reader_keep(r, sizeof(*settings->servers));
	settings->servers->databases = reader_keep(r, sizeof(*settings->servers->databases));
	settings->manifests = reader_keep(r, sizeof(*settings->manifests));
	settings->n_servers = settings->servers->n_databases = settings->n_manifests = 1;
	settings->servers->name = settings->servers->databases->name = settings->manifests->name = "manifest";
	settings->servers->conninfo = "";
	settings->servers->guard.allow_privileged = true;
	*slot = settings->manifests;
	settings->servers->databases->manifests = slot;
	settings->servers->databases->n_manifests = 1;
	fill_manifest(r, settings->manifests, doc);
	levels_resolve(r);
	collect_manifests(r);
	check_fleet(r);
}

int config_load_text(void *parent, const char *text, size_t len, bool manifest, struct settings **ret, struct config_errors **ret_errors)
{
	void *scratch = talloc_new(NULL);
	struct reader r;
	int rc = 0;

	begin(&r, parent, "text", ret_errors);
	r.config_dir = "/nowhere";
	struct document *doc = document_parse(scratch, "text", text, len, r.errors);
	struct files files = { .docs = &doc, .n = 1 };
	if (manifest)
		build_around_manifest(&r, doc);
	else
		rc = build(scratch, &r, &files);
	talloc_free(scratch);
	return finish(&r, rc, ret);
}

char *config_print(void *parent, const struct settings *settings)
{
	struct text *out = text_new(parent);

	option_group_print(out, &config_root, settings, 0);
	return out->s;
}

char *manifest_print(void *parent, const struct manifest *manifest)
{
	struct text *out = text_new(parent);

	option_group_print(out, &manifest_root, manifest, 0);
	return out->s;
}

const struct manifest *settings_manifest(const struct settings *settings, const char *name)
{
	return manifest_named(settings, name);
}

const struct server_settings *settings_server(const struct settings *settings, const char *name)
{
	for (uint32_t i = 0; i < settings->n_servers; i++)
		if (strcmp(settings->servers[i].name, name) == 0)
			return &settings->servers[i];
	return NULL;
}

/* An exact name wins over a glob, the first glob over later ones; a glob never means the template databases. */
const struct database_settings *settings_database(const struct server_settings *server, const char *database, bool *ret_match)
{
	*ret_match = false;
	for (uint32_t i = 0; i < server->n_databases; i++)
		if (server->databases[i].name != NULL && strcmp(server->databases[i].name, database) == 0)
			return &server->databases[i];
	if (strcmp(database, "template0") == 0 || strcmp(database, "template1") == 0)
		return NULL;
	*ret_match = true;
	for (uint32_t i = 0; i < server->n_databases; i++)
		if (server->databases[i].match != NULL && glob_match(server->databases[i].match, database))
			return &server->databases[i];
	return NULL;
}
