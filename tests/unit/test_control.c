/* SPDX-License-Identifier: PostgreSQL */
/* The parts of control/ that need no socket: the table of routes, paths, arguments. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "control/internal.h"

/* The rule of the whole API in one place: POST changes something and demands authority, GET never does. */
static void every_writing_route_demands_authority(void **arg)
{
	(void)arg;
	for (unsigned i = 0; i < n_routes; i++) {
		const struct route *route = &routes[i];
		bool post = strcmp(route->method, "POST") == 0;

		assert_true(post || strcmp(route->method, "GET") == 0);
		assert_int_equal(route->writes, post);
		assert_non_null(route->handler);
		assert_non_null(route->verb);
		assert_false(route->writes && route->on_metrics);
		if (route->on_metrics)
			assert_null(strstr(route->path, "/v1/"));
		for (unsigned j = 0; j < i; j++)
			assert_false(strcmp(routes[j].path, route->path) == 0 && strcmp(routes[j].method, route->method) == 0);
	}
}

static const struct route *look_up(void *parent, const char *method, const char *path, char **segment, const char **allow,
				   struct error *err)
{
	error_clear(err);
	return route_find(routes, n_routes, method, path, parent, segment, allow, err);
}

static void paths_find_their_route(void **arg)
{
	static const struct { const char *method, *path, *verb, *segment, *allow; bool malformed; } cases[] = {
		{ "GET", "/v1/status", "status", NULL, NULL, false },
		{ "GET", "/v1/targets", "targets", NULL, NULL, false },
		{ "GET", "/v1/targets/prod", "target", "prod", NULL, false },
		{ "GET", "/v1/targets/prod%2Forders", "target", "prod/orders", NULL, false },
		{ "GET", "/v1/targets/prod%2forders/plan", "plan", "prod/orders", NULL, false },
		{ "POST", "/v1/targets/a+b/suspend", "suspend", "a+b", NULL, false },
		{ "GET", "/v1/targets/prod/orders", NULL, NULL, NULL, false },
		{ "GET", "/v1/targets/", NULL, NULL, NULL, false },
		{ "GET", "/v1/targets//plan", NULL, NULL, NULL, false },
		{ "GET", "/v1/status/", NULL, NULL, NULL, false },
		{ "GET", "/v1/statu", NULL, NULL, NULL, false },
		{ "GET", "/v1/statuses", NULL, NULL, NULL, false },
		{ "GET", "", NULL, NULL, NULL, false },
		{ "GET", "/", NULL, NULL, NULL, false },
		{ "POST", "/v1/status", NULL, NULL, "GET, HEAD", false },
		{ "GET", "/v1/reload", NULL, NULL, "POST", false },
		{ "", "/v1/reload", NULL, NULL, "POST", false },
		{ "GET", "/v1/targets/prod/approve", NULL, NULL, "POST", false },
		{ "GET", "/v1/targets/%", NULL, NULL, NULL, true },
		{ "GET", "/v1/targets/%2", NULL, NULL, NULL, true },
		{ "GET", "/v1/targets/%zz", NULL, NULL, NULL, true },
		{ "GET", "/v1/targets/a%00b", NULL, NULL, NULL, true },
		{ "GET", "/v1/targets/%ff", NULL, NULL, NULL, true },
	};
	void *parent = talloc_new(NULL);

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *allow;
		char *segment;
		struct error err;
		const struct route *route = look_up(parent, cases[i].method, cases[i].path, &segment, &allow, &err);

		print_message("%s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(route != NULL, cases[i].verb != NULL);
		if (route)
			assert_string_equal(route->verb, cases[i].verb);
		assert_string_equal(segment ? segment : "", cases[i].segment ? cases[i].segment : "");
		assert_string_equal(allow ? allow : "", cases[i].allow ? cases[i].allow : "");
		assert_int_equal(error_is_set(&err), cases[i].malformed);
	}
	talloc_free(parent);
}

static void queries_are_decoded(void **arg)
{
	void *parent = talloc_new(NULL);
	struct request request = { 0 };
	struct error err = { 0 };
	unsigned cursor = 0;

	(void)arg;
	assert_int_equal(params_parse_query(parent, "target=prod%2Forders&target=b&&reason=a+b%21&wait", &request.params,
					    &request.n_params, &err), 0);
	assert_int_equal(request.n_params, 4);
	assert_string_equal(request_param_next(&request, "target", &cursor), "prod/orders");
	assert_string_equal(request_param_next(&request, "target", &cursor), "b");
	assert_null(request_param_next(&request, "target", &cursor));
	assert_string_equal(request_param(&request, "reason"), "a b!");
	assert_true(request_flag(&request, "wait"));
	assert_false(request_flag(&request, "other"));
	assert_int_equal(params_check("target* reason wait ", request.params, request.n_params, &err), 0);
	assert_int_equal(params_check("target reason wait ", request.params, request.n_params, &err), 1);
	assert_non_null(strstr(err.text, "given twice"));
	error_clear(&err);
	assert_int_equal(params_check("target* wait ", request.params, request.n_params, &err), 1);
	assert_string_equal(err.text, "unknown argument 'reason'");
	error_clear(&err);
	assert_int_equal(params_parse_query(parent, "a=%4", &request.params, &request.n_params, &err), 1);
	assert_true(error_is_set(&err));
	assert_int_equal(params_parse_query(parent, NULL, &request.params, &request.n_params, &err), 0);
	talloc_free(parent);
}

static int parse_json(void *parent, const char *body, struct param **v, unsigned *n)
{
	struct error err = { 0 };
	int r;

	*v = NULL;
	*n = 0;
	r = params_parse_json(parent, body, strlen(body), v, n, &err);
	assert_int_equal(r != 0, error_is_set(&err));
	return r;
}

static void bodies_are_json_objects(void **arg)
{
	static const char *const refused[] = {
		"[]", "{", "{\"a\":1,\"a\":2}", "{\"a\":{}}", "{\"a\":1.5}", "{\"a\":[[1]]}", "{\"a\":\"\\u0000\"}", "{\"a\":1}x",
		"{\"a\":\"\xff\"}", "{\"a\":[[[[[[[[[[1]]]]]]]]]]}", "{\"\\u0000\":1}",
	};
	void *parent = talloc_new(NULL);
	struct param *v;
	unsigned n;

	(void)arg;
	assert_int_equal(parse_json(parent, " {\"target\":[\"a\",\"b\"],\"wait\":30,\"dry_run\":true,\"x\":null}", &v, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(v[1].value, "b");
	assert_string_equal(v[2].key, "wait");
	assert_string_equal(v[2].value, "30");
	assert_string_equal(v[3].value, "1");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		print_message("%s\n", refused[i]);
		assert_int_equal(parse_json(parent, refused[i], &v, &n), 1);
	}
	talloc_free(parent);
}

static void deep_bodies_cost_nothing(void **arg)
{
	void *parent = talloc_new(NULL);
	char *body = talloc_array(parent, char, 60001);
	struct param *v;
	unsigned n;

	(void)arg;
	memset(body, '[', 60000);
	memcpy(body, "{\"a\":", 5);
	body[60000] = '\0';
	assert_int_equal(parse_json(parent, body, &v, &n), 1);
	talloc_free(parent);
}

static void spans(void **arg)
{
	msec_t ms;

	(void)arg;
	assert_int_equal(parse_span("90", &ms), 0);
	assert_int_equal(ms, 90000);
	assert_int_equal(parse_span("2h", &ms), 0);
	assert_int_equal(ms, 7200000);
	assert_int_equal(parse_span("", &ms), 1);
	assert_int_equal(parse_span("-1", &ms), 1);
	assert_int_equal(parse_span("1.5", &ms), 1);
	assert_int_equal(parse_span("99999999999999999999999999999999999999", &ms), 1);
}

static void texts_become_utf8(void **arg)
{
	json_t *value = json_text("a\xff\nb");

	(void)arg;
	assert_non_null(strstr(json_string_value(value), "a\\xff"));
	json_decref(value);
	value = json_text("Grüße\n");
	assert_string_equal(json_string_value(value), "Grüße\n");
	json_decref(value);
	assert_true(json_is_null(json_text(NULL)));
	assert_true(json_is_null(json_time(0)));
	value = json_time(INT64_C(1795253400000));
	assert_string_equal(json_string_value(value), "2026-11-21T09:30:00Z");
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_writing_route_demands_authority), cmocka_unit_test(paths_find_their_route),
		cmocka_unit_test(queries_are_decoded), cmocka_unit_test(bodies_are_json_objects),
		cmocka_unit_test(deep_bodies_cost_nothing), cmocka_unit_test(spans), cmocka_unit_test(texts_become_utf8),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
