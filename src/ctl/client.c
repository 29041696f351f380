/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <talloc.h>

#include <curl/curl.h>

#include "ctl/client.h"
#include "ctl/refusal.h"

#define ANSWER_MAX (256u * 1024 * 1024)
#define LINE_MAX_BYTES (4u * 1024 * 1024)
#define AT_A_TIME 16                   /* the daemon serves DBR_CLIENTS_MAX at most, and not only us */
#define REQUEST_TIMEOUT_MS 30000

struct client {
	CURLM *multi;
	struct curl_slist *headers;
};

/* A request under way. */
struct transfer {
	struct ctl *ctl;
	const struct request *request;
	struct answer *answer;
	void *parent;                  /* the array of answers */
	CURL *easy;
	struct text *body;
	bool too_large, stopped;
};

int client_start(struct ctl *ctl)
{
	ctl->client = talloc_zero(NULL, struct client);
	if (!ctl->client || curl_global_init(CURL_GLOBAL_NOTHING) != 0)
		return ctl_complain(DBR_EXIT_INTERNAL, "libcurl cannot start");
	ctl->client->multi = curl_multi_init();
	ctl->client->headers = curl_slist_append(NULL, "Expect:");
	if (!ctl->client->multi || !ctl->client->headers)
		return ctl_complain(DBR_EXIT_INTERNAL, "libcurl cannot start");
	return 0;
}

void client_stop(struct ctl *ctl)
{
	if (!ctl->client)
		return;
	curl_multi_cleanup(ctl->client->multi);
	curl_slist_free_all(ctl->client->headers);
	curl_global_cleanup();
	talloc_free(ctl->client);
	ctl->client = NULL;
}

const char *client_library(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

struct text *client_path(struct ctl *ctl, const char *base, const char *segment, const char *suffix)
{
	struct text *path = text_new(ctl->scratch);
	char *encoded;

	text_add(path, base);
	if (segment) {
		encoded = curl_easy_escape(NULL, segment, (int)strlen(segment));
		text_add_char(path, '/');
		text_add(path, encoded ? encoded : "");
		curl_free(encoded);
	}
	if (suffix) {
		text_add_char(path, '/');
		text_add(path, suffix);
	}
	return path;
}

void client_query(struct text *path, const char *name, const char *value)
{
	char *encoded = curl_easy_escape(NULL, value, (int)strlen(value));

	text_addf(path, "%c%s=%s", strchr(path->s, '?') ? '&' : '?', name, encoded ? encoded : "");
	curl_free(encoded);
}

/* Hands whole lines of a stream to the request; false when it wants no more. */
static bool feed_lines(struct transfer *t)
{
	size_t start = 0;
	const char *end;

	while (!t->stopped && (end = memchr(t->body->s + start, '\n', t->body->len - start)) != NULL) {
		size_t len = (size_t)(end - t->body->s) - start;

		t->stopped = len > 0 && !t->request->line(t->request->data, t->body->s + start, len);
		start += len + 1;
	}
	memmove(t->body->s, t->body->s + start, t->body->len - start + 1);
	t->body->len -= start;
	return !t->stopped;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	long http = 0;

	t->too_large = t->body->len + size * n > (t->request->line ? LINE_MAX_BYTES : ANSWER_MAX);
	if (t->too_large)
		return 0;
	text_add_len(t->body, bytes, size * n);
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
	if (t->request->line && http == 200 && !feed_lines(t))
		return 0;
	return size * n;
}

static long time_limit(const struct ctl *ctl, const struct request *request)
{
	msec_t left;

	if (ctl->deadline != MSEC_NEVER) {
		left = ctl->deadline - clock_monotonic();
		return left > 0 ? (long)left : 1;
	}
	return request->unlimited ? 0 : REQUEST_TIMEOUT_MS;
}

static const char *socket_of(const struct ctl *ctl, const struct request *request)
{
	return request->metrics ? ctl->metrics_socket : ctl->socket;
}

static int begin(struct transfer *t)
{
	struct ctl *ctl = t->ctl;
	char *url = talloc_asprintf(t->parent, "http://localhost%s", t->request->path);
	const char *path = socket_of(ctl, t->request);

	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return refusal_set(t->answer, DBR_EXIT_USAGE, "the path of the socket is too long for a Unix socket", NULL);
	t->easy = curl_easy_init();
	t->body = text_new(t->parent);
	if (!t->easy || !url)
		return refusal_set(t->answer, DBR_EXIT_INTERNAL, "out of memory", NULL);
	curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, path);
	curl_easy_setopt(t->easy, CURLOPT_PROXY, "");          /* http_proxy is not meant for us */
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_PATH_AS_IS, 1L);     /* a target may be called ".." */
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, ctl->client->headers);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "dbreconcilectl/" PACKAGE_VERSION);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, time_limit(ctl, t->request));
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	if (strcmp(t->request->method, "POST") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, "");
	}
	return curl_multi_add_handle(ctl->client->multi, t->easy) == CURLM_OK ? 0 :
	       refusal_set(t->answer, DBR_EXIT_INTERNAL, "libcurl refuses the request", NULL);
}

static void end(struct transfer *t)
{
	if (t->easy) {
		curl_multi_remove_handle(t->ctl->client->multi, t->easy);
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
	}
}

static void judge_failure(struct transfer *t, CURLcode code)
{
	const char *path = socket_of(t->ctl, t->request);
	long os_errno = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT || os_errno == EACCES || os_errno == EPERM)
		refusal_connect(t->answer, path, (int)os_errno);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		refusal_set(t->answer, DBR_EXIT_TIMEOUT, "timed out waiting for the daemon",
			    "a longer time can be given with --timeout; `journalctl -u dbreconciled` says what it does");
	else if (t->too_large)
		refusal_set(t->answer, DBR_EXIT_INTERNAL, "the answer of the daemon is too large", "ask for fewer targets");
	else
		refusal_lost(t->answer, path, curl_easy_strerror(code));
}

static void judge(struct transfer *t, CURLcode code)
{
	struct answer *answer = t->answer;
	size_t flags = JSON_REJECT_DUPLICATES;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &answer->http);
	if (code != CURLE_OK && !t->stopped) {
		judge_failure(t, code);
		return;
	}
	answer->body = t->body->s;
	answer->len = t->body->len;
	if (t->request->format || answer->http >= 400)
		answer->doc = json_loadb(answer->body, answer->len, flags, NULL);
	if (answer->http >= 400)
		refusal_http(answer, socket_of(t->ctl, t->request));
	else if (t->request->format)
		refusal_format(answer, t->request->format);
}

/* Judges what has finished; returns how many. */
static unsigned reap(struct client *client)
{
	unsigned done = 0;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		judge(t, msg->data.result);
		end(t);
		done++;
	}
	return done;
}

static void run(struct ctl *ctl, struct transfer *transfers, unsigned n)
{
	unsigned begun = 0, active = 0;
	int still;

	while (begun < n || active > 0) {
		for (; begun < n && active < AT_A_TIME; begun++) {
			if (begin(&transfers[begun]) == 0)
				active++;
			else
				end(&transfers[begun]);
		}
		curl_multi_perform(ctl->client->multi, &still);
		active -= reap(ctl->client);
		if (active > 0)
			curl_multi_poll(ctl->client->multi, NULL, 0, 200, NULL);
		if (transfers[0].request->tick)
			transfers[0].request->tick(ctl, transfers[0].request->data);
	}
}

static int answers_destroy(struct answer *answers)
{
	for (size_t i = 0; i < talloc_array_length(answers); i++)
		json_decref(answers[i].doc);
	return 0;
}

static struct answer *send_all(struct ctl *ctl, const struct request *requests, unsigned n)
{
	struct answer *answers = talloc_zero_array(ctl->scratch, struct answer, n ? n : 1);
	struct transfer *transfers = talloc_zero_array(answers, struct transfer, n ? n : 1);

	talloc_set_destructor(answers, answers_destroy);
	for (unsigned i = 0; i < n; i++)
		transfers[i] = (struct transfer){ .ctl = ctl, .request = &requests[i], .answer = &answers[i], .parent = answers };
	if (n > 0)
		run(ctl, transfers, n);
	return answers;
}

struct answer *client_send(struct ctl *ctl, const struct request *request)
{
	return send_all(ctl, request, 1);
}

struct answer *client_get_all(struct ctl *ctl, const char *const *paths, unsigned n, const char *format)
{
	struct request *requests = talloc_zero_array(ctl->scratch, struct request, n ? n : 1);

	for (unsigned i = 0; i < n; i++)
		requests[i] = (struct request){ .method = "GET", .path = paths[i], .format = format };
	return send_all(ctl, requests, n);
}

void answer_free(struct answer *answer)
{
	talloc_free(answer);
}

static int ask(struct ctl *ctl, const char *method, const char *path, const char *format, json_t **ret)
{
	struct answer *answer = client_send(ctl, &(struct request){ .method = method, .path = path, .format = format });
	int code = answer->exit;

	*ret = NULL;
	if (code == 0)
		*ret = json_incref(answer->doc);
	else
		answer_complain(answer);
	answer_free(answer);
	return code;
}

int client_get(struct ctl *ctl, const char *path, const char *format, json_t **ret)
{
	return ask(ctl, "GET", path, format, ret);
}

int client_post(struct ctl *ctl, const char *path, const char *format, json_t **ret)
{
	return ask(ctl, "POST", path, format, ret);
}
