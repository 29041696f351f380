/* SPDX-License-Identifier: PostgreSQL */
/*
 * measure: the floor and the daemon in turns, and what one costs in terms of the other. Run by tools/bench.
 *
 *   measure FLOOR.SQL DRIFT.SQL CONNINFO CONTROL-SOCKET SERVER DATABASE DAEMON-PID RUNS
 *
 * The floor reads with prepared, pipelined queries over a kept connection and throws the rows away. The daemon is ordered
 * to pass over the server and its database, over a kept connection to its control socket; its wall clock is ours, from the
 * order to the answer, and its CPU time is the whole process's by the kernel's count.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUERIES_MAX 32
#define RUNS_MAX 999
#define REPAIR_FLOOR_MS 3.0      /* sending a hundred grants over a kept connection: one message, one transaction, and air */

enum series {
	FLOOR_WALL, FLOOR_CPU, LOOK_WALL, LOOK_CPU, LOOK_WALL_RATIO, LOOK_CPU_RATIO, SERVER_PASS, SERVER_CPU, DATABASE_PASS, DATABASE_CPU,
	COMPARED_WALL, COMPARED_CPU, COMPARED_WALL_RATIO, COMPARED_CPU_RATIO, REPAIR_FLOOR, REPAIR_APPLIED, REPAIR_RATIO, REPAIR_PASS, SERIES
};

struct bench {
	PGconn *conn;
	CURL *curl;
	char *queries[QUERIES_MAX], *drift;
	int n_queries;
	const char *server, *database, *pid;
	double v[SERIES][RUNS_MAX + 1];
	int n[SERIES];
};

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("measure: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static double clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (!file || !text || fread(text, 1, 65535, file) == 0)
		die("cannot read %s", path);
	fclose(file);
	return text;
}

static void load_queries(struct bench *b, const char *path)
{
	char *line = read_file(path), *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (strncmp(line, "SELECT", 6) == 0 && b->n_queries < QUERIES_MAX)
			b->queries[b->n_queries++] = line;
	}
}

/* ---- the floor ---- */

static void check(struct bench *b, PGresult *res, ExecStatusType wanted)
{
	if (PQresultStatus(res) != wanted)
		die("the server: %s", PQerrorMessage(b->conn));
	PQclear(res);
}

static void connect_server(struct bench *b, const char *conninfo)
{
	char name[16];

	b->conn = PQconnectdb(conninfo);
	if (PQstatus(b->conn) != CONNECTION_OK)
		die("%s", PQerrorMessage(b->conn));
	for (int i = 0; i < b->n_queries; i++) {
		snprintf(name, sizeof(name), "q%d", i);
		check(b, PQprepare(b->conn, name, b->queries[i], 0, NULL), PGRES_COMMAND_OK);
	}
}

static void floor_read(struct bench *b)
{
	char name[16];

	PQenterPipelineMode(b->conn);
	for (int i = 0; i < b->n_queries; i++) {
		snprintf(name, sizeof(name), "q%d", i);
		if (!PQsendQueryPrepared(b->conn, name, 0, NULL, NULL, NULL, 0))
			die("the server: %s", PQerrorMessage(b->conn));
	}
	PQpipelineSync(b->conn);
	for (int i = 0; i < b->n_queries; i++) {
		check(b, PQgetResult(b->conn), PGRES_TUPLES_OK);
		PQgetResult(b->conn);
	}
	check(b, PQgetResult(b->conn), PGRES_PIPELINE_SYNC);
	PQexitPipelineMode(b->conn);
}

static void floor_run(struct bench *b, double *ret_wall, double *ret_cpu)
{
	double wall = clock_ms(CLOCK_MONOTONIC), cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);

	floor_read(b);
	*ret_wall = clock_ms(CLOCK_MONOTONIC) - wall;
	*ret_cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

/* ---- the daemon ---- */

struct body {
	char *text;
	size_t len;
};

static size_t take_body(char *data, size_t size, size_t n, void *to)
{
	struct body *body = to;

	body->text = realloc(body->text, body->len + size * n + 1);
	memcpy(body->text + body->len, data, size * n);
	body->len += size * n;
	return size * n;
}

static json_t *request(struct bench *b, bool post, const char *path)
{
	struct body body = { NULL, 0 };
	char url[512];
	long code = 0;
	json_t *json;

	snprintf(url, sizeof(url), "http://localhost%s", path);
	curl_easy_setopt(b->curl, CURLOPT_URL, url);
	curl_easy_setopt(b->curl, post ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
	if (post)
		curl_easy_setopt(b->curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(b->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(b->curl, CURLOPT_WRITEDATA, &body);
	if (curl_easy_perform(b->curl) != CURLE_OK)
		die("the daemon does not answer %s", path);
	curl_easy_getinfo(b->curl, CURLINFO_RESPONSE_CODE, &code);
	json = body.text ? json_loadb(body.text, body.len, 0, NULL) : NULL;
	if (code != 200 || !json)
		die("the daemon answers %s with %ld: %.*s", path, code, (int)body.len, body.text);
	free(body.text);
	return json;
}

/* Nanoseconds on a processor, of all threads there are: the first number of each schedstat. */
static double daemon_cpu(const struct bench *b)
{
	char path[64], text[128] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", b->pid);
	file = fopen(path, "r");
	if (!file || !fgets(text, sizeof(text), file))
		die("cannot read %s", path);
	fclose(file);
	return strtod(text, NULL) / 1e6;
}

static void daemon_pass(struct bench *b, double *ret_wall, double *ret_cpu)
{
	double wall = clock_ms(CLOCK_MONOTONIC), cpu = daemon_cpu(b);
	json_t *answer = request(b, true, "/v1/reconcile?wait=1&timeout=60s"), *row;
	size_t i;

	*ret_wall = clock_ms(CLOCK_MONOTONIC) - wall;
	*ret_cpu = daemon_cpu(b) - cpu;
	json_array_foreach(json_object_get(answer, "targets"), i, row) {
		const char *state = json_string_value(json_object_get(row, "state"));

		if (!state || strcmp(state, "in_sync") != 0)
			die("%s is %s: %s", json_string_value(json_object_get(row, "target")), state ? state : "unknown",
			    json_string_value(json_object_get(row, "message")));
	}
	json_decref(answer);
}

struct pass {
	double duration, cpu, applied;
};

static double milliseconds(json_t *document, const char *key)
{
	return json_number_value(json_object_get(document, key)) * 1e3;
}

static struct pass last_pass(struct bench *b, const char *target)
{
	char path[512];
	json_t *document;
	struct pass pass;

	snprintf(path, sizeof(path), "/v1/targets/%s", target);
	document = request(b, false, path);
	pass = (struct pass){ .duration = milliseconds(document, "last_duration_seconds"), .cpu = milliseconds(document, "last_cpu_seconds"),
			      .applied = milliseconds(document, "last_applied_seconds") };
	json_decref(document);
	return pass;
}

static void connect_daemon(struct bench *b, const char *socket)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	b->curl = curl_easy_init();
	if (!b->curl || curl_easy_setopt(b->curl, CURLOPT_UNIX_SOCKET_PATH, socket) != CURLE_OK)
		die("libcurl does not work");
}

/* ---- the two in turns ---- */

static void add(struct bench *b, enum series series, double value)
{
	b->v[series][b->n[series]++] = value;
}

static char *database_target(const struct bench *b)
{
	static char name[256];

	snprintf(name, sizeof(name), "%s%%2F%s", b->server, b->database);
	return name;
}

/* One pass more than is counted: the first one warms up. */
static void measure_look(struct bench *b, int runs)
{
	for (int i = -1; i < runs; i++) {
		double floor_wall, floor_cpu, wall, cpu;
		struct pass server, database;

		floor_run(b, &floor_wall, &floor_cpu);
		daemon_pass(b, &wall, &cpu);
		server = last_pass(b, b->server);
		database = last_pass(b, database_target(b));
		if (i < 0)
			continue;
		add(b, FLOOR_WALL, floor_wall);
		add(b, FLOOR_CPU, floor_cpu);
		add(b, LOOK_WALL, wall);
		add(b, LOOK_CPU, cpu);
		add(b, LOOK_WALL_RATIO, wall / floor_wall);
		add(b, LOOK_CPU_RATIO, cpu / floor_cpu);
		add(b, SERVER_PASS, server.duration);
		add(b, SERVER_CPU, server.cpu);
		add(b, DATABASE_PASS, database.duration);
		add(b, DATABASE_CPU, database.cpu);
	}
}

/* What nobody declared comes or goes before each look: it is in sync all the same, but every answer has to be compared. */
static void measure_compared(struct bench *b, int runs)
{
	static const char *const changes[] = { "CREATE ROLE bench_other; CREATE TABLE public.bench_other ()",
					       "DROP TABLE public.bench_other; DROP ROLE bench_other" };

	for (int i = 0; i < 2 * ((runs + 1) / 2); i++) {
		double floor_wall, floor_cpu, wall, cpu;

		check(b, PQexec(b->conn, changes[i % 2]), PGRES_COMMAND_OK);
		floor_run(b, &floor_wall, &floor_cpu);
		daemon_pass(b, &wall, &cpu);
		add(b, COMPARED_WALL, wall);
		add(b, COMPARED_CPU, cpu);
		add(b, COMPARED_WALL_RATIO, wall / floor_wall);
		add(b, COMPARED_CPU_RATIO, cpu / floor_cpu);
	}
}

/* How many grants a hundred are: both privileges of 50 tables. */
static long drifted(struct bench *b)
{
	static const char sql[] = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,"
		" LATERAL (VALUES (n.nspname || '_ro', 'SELECT'), (n.nspname || '_rw', 'INSERT')) AS w(role, privilege)"
		" WHERE n.nspname ~ '^s[0-9]+$' AND c.relkind = 'r' AND NOT has_table_privilege(w.role, c.oid, w.privilege)";
	PGresult *res = PQexec(b->conn, sql);
	long n = PQresultStatus(res) == PGRES_TUPLES_OK ? strtol(PQgetvalue(res, 0, 0), NULL, 10) : -1;

	PQclear(res);
	return n;
}

/* A pass that repairs looks twice: before, and after to see that it worked. What counts for the goal ends with COMMIT. */
static void measure_repair(struct bench *b, int runs)
{
	for (int i = -1; i < runs; i++) {
		double floor_wall, floor_cpu, wall, cpu, applied;
		struct pass server, database;

		check(b, PQexec(b->conn, b->drift), PGRES_COMMAND_OK);
		if (drifted(b) != 100)
			die("the drift is not of 100 grants");
		floor_run(b, &floor_wall, &floor_cpu);
		daemon_pass(b, &wall, &cpu);
		server = last_pass(b, b->server);
		database = last_pass(b, database_target(b));
		if (database.applied <= 0 || drifted(b) != 0)
			die("the drift was not repaired");
		applied = database.applied > server.duration ? database.applied : server.duration;
		if (i < 0)
			continue;
		add(b, REPAIR_FLOOR, floor_wall + REPAIR_FLOOR_MS);
		add(b, REPAIR_APPLIED, applied);
		add(b, REPAIR_RATIO, applied / (floor_wall + REPAIR_FLOOR_MS));
		add(b, REPAIR_PASS, wall);
	}
}

/* ---- what comes out ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct bench *b, const char *name, enum series series, double goal)
{
	double *v = b->v[series];
	int n = b->n[series];

	qsort(v, (size_t)n, sizeof(*v), compare);
	printf("  %-46s %9.2f %9.2f %9.2f", name, v[n / 2], v[0], v[n - 1]);
	if (goal > 0)
		printf("   <= %.2f  %s", goal, v[n / 2] <= goal ? "met" : "MISSED");
	putchar('\n');
}

static void print_memory(const struct bench *b, double goal)
{
	char path[64], line[256];
	double mib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/status", b->pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "VmHWM:", 6) == 0)
			mib = strtod(line + 6, NULL) / 1024;
	if (file)
		fclose(file);
	printf("  %-46s %9.2f %20s   <= %.2f  %s\n", "daemon, peak resident memory, MiB", mib, "", goal, mib <= goal ? "met" : "MISSED");
}

static void report(struct bench *b)
{
	printf("  %-46s %9s %9s %9s   goal\n", "no drift", "median", "min", "max");
	print(b, "floor, wall ms", FLOOR_WALL, 0);
	print(b, "floor, client CPU ms", FLOOR_CPU, 0);
	print(b, "daemon, order to answer, wall ms", LOOK_WALL, 0);
	print(b, "daemon, whole process, CPU ms", LOOK_CPU, 0);
	print(b, "  of that the server's pass, wall ms", SERVER_PASS, 0);
	print(b, "  of that the server's pass, CPU ms", SERVER_CPU, 0);
	print(b, "  of that the database's pass, wall ms", DATABASE_PASS, 0);
	print(b, "  of that the database's pass, CPU ms", DATABASE_CPU, 0);
	print(b, "wall, daemon / floor", LOOK_WALL_RATIO, 1.25);
	print(b, "client CPU, daemon / floor", LOOK_CPU_RATIO, 2.5);
	printf("  no drift, but something else changed: every answer is compared\n");
	print(b, "daemon, order to answer, wall ms", COMPARED_WALL, 0);
	print(b, "daemon, whole process, CPU ms", COMPARED_CPU, 0);
	print(b, "wall, daemon / floor", COMPARED_WALL_RATIO, 1.25);
	print(b, "client CPU, daemon / floor", COMPARED_CPU_RATIO, 0);
	printf("  100 drifted grants\n");
	print(b, "floor + 3, wall ms", REPAIR_FLOOR, 0);
	print(b, "daemon, until COMMIT, wall ms", REPAIR_APPLIED, 0);
	print(b, "daemon, with the look that verifies, wall ms", REPAIR_PASS, 0);
	print(b, "daemon until COMMIT / (floor + 3 ms)", REPAIR_RATIO, 1.3);
	print_memory(b, 24);
}

int main(int argc, char **argv)
{
	static struct bench b;
	int runs;

	if (argc != 9)
		die("usage: measure FLOOR.SQL DRIFT.SQL CONNINFO CONTROL-SOCKET SERVER DATABASE DAEMON-PID RUNS");
	runs = (int)strtol(argv[8], NULL, 10);
	if (runs < 1 || runs > RUNS_MAX)
		die("RUNS is a number from 1 to %d", RUNS_MAX);
	b.server = argv[5];
	b.database = argv[6];
	b.pid = argv[7];
	load_queries(&b, argv[1]);
	b.drift = read_file(argv[2]);
	connect_server(&b, argv[3]);
	connect_daemon(&b, argv[4]);
	measure_look(&b, runs);
	measure_compared(&b, runs);
	measure_repair(&b, runs);
	report(&b);
	PQfinish(b.conn);
	curl_easy_cleanup(b.curl);
	return 0;
}
