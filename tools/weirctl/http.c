/* SPDX-License-Identifier: MIT */
/*
 * Asking by libcurl. Where libcurl is lenient, answers are checked again: a truncated one, or one
 * that is not HTTP/1, is an error.
 */
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <time.h>

#include <curl/curl.h>

#define BODY_LIMIT ((size_t)256 * 1024 * 1024)

/* ---- endpoints ---- */

bool endpoint_from_socket(struct endpoint *endpoint, const char *path, char *error, size_t size)
{
    struct sockaddr_un address;

    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, size, "\"%s\" is no path of a Unix socket: 1 to %zu bytes", path,
                 sizeof(address.sun_path) - 1);
        return false;
    }
    endpoint->socket_path = copy_string(path);
    endpoint->url = copy_string("http://localhost");
    snprintf(endpoint->display, sizeof(endpoint->display), "unix:%s", path);
    return true;
}

/* A part of a URL; NULL: it has none. The caller frees it with curl_free. */
static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* Takes the parts of a URL that are good for us. */
static bool take_url(struct endpoint *endpoint, CURLU *url)
{
    char *user = url_part(url, CURLUPART_USER), *query = url_part(url, CURLUPART_QUERY);
    char *fragment = url_part(url, CURLUPART_FRAGMENT), *host = url_part(url, CURLUPART_HOST);
    char *scheme = url_part(url, CURLUPART_SCHEME), *whole = url_part(url, CURLUPART_URL);
    bool web = scheme != NULL && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    bool good =
        web && whole != NULL && host != NULL && user == NULL && query == NULL && fragment == NULL;

    if (good) {
        size_t len = strlen(whole);
        while (whole[len - 1] == '/') {
            len--;
        }
        bool brackets = host[0] == '[';
        endpoint->url = copy_slice(whole, len);
        endpoint->host = copy_slice(host + brackets, strlen(host) - 2 * brackets);
    }
    char *const parts[] = {user, query, fragment, host, scheme, whole};
    for (size_t i = 0; i < COUNT(parts); i++) {
        curl_free(parts[i]);
    }
    return good;
}

bool endpoint_from_url(struct endpoint *endpoint, const char *text, char *error, size_t size)
{
    if (strncmp(text, "unix:", 5) == 0) {
        return endpoint_from_socket(endpoint, text + 5, error, size);
    }
    CURLU *url = curl_url();
    size_t end = strcspn(text, "?#");
    bool good = url != NULL && strlen(text) <= 4000 && text[end] == '\0' &&
                text[end > 0 ? end - 1 : 0] != ':' &&
                curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && take_url(endpoint, url);
    curl_url_cleanup(url);
    if (!good) {
        snprintf(error, size,
                 "\"%s\" is no URL of Weir: http://HOST:PORT, https://HOST:PORT or unix:PATH",
                 text);
    } else {
        snprintf(endpoint->display, sizeof(endpoint->display), "%s", text);
    }
    return good;
}

void endpoint_clear(struct endpoint *endpoint)
{
    free(endpoint->socket_path);
    free(endpoint->host);
    free(endpoint->url);
    memset(endpoint, 0, sizeof(*endpoint));
}

/* ---- what comes ---- */

struct transfer {
    CURL *curl;
    const struct endpoint *endpoint;
    const struct http_request *request;
    struct http_answer *answer;
    bool headed;         /* the final response's head is whole */
    bool ended;          /* by the caller's wish */
    bool progress;       /* something came or went since the last look */
    const char *refused; /* what is wrong with the answer */
    char detail[CURL_ERROR_SIZE];
};

static bool has_name(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0;
}

/* Checks and takes one line of the head, without its line break. What is wrong; NULL: nothing. */
static const char *take_line(struct transfer *transfer, const char *line)
{
    struct http_answer *answer = transfer->answer;
    const char *value = strchr(line, ':');

    if (strncmp(line, "HTTP/", 5) == 0) {
        bool good = strncmp(line, "HTTP/1.", 7) == 0 && isdigit((unsigned char)line[7]) &&
                    line[8] == ' ' && strspn(line + 9, "0123456789") == 3;
        answer->status = good ? atoi(line + 9) : 0;
        return good ? NULL : "its answer is not HTTP/1: is this Weir's admin listener?";
    }
    if (*line == '\0') {
        transfer->headed = answer->status >= 200;
    }
    if (value == NULL) {
        return NULL;
    }
    value += 1 + strspn(value + 1, " \t");
    if (has_name(line, "Content-Length:")) {
        size_t digits = strspn(value, "0123456789");
        return digits > 0 && digits < 19 && value[digits] == '\0'
                   ? NULL
                   : "its answer has a length that is no number";
    }
    if (has_name(line, "Transfer-Encoding:") && strcasecmp(value, "chunked") != 0) {
        return "its answer has a transfer coding that is not known";
    }
    if (has_name(line, "Weir-Journal:")) {
        snprintf(answer->journal, sizeof(answer->journal), "%s", value);
    }
    return NULL;
}

static size_t on_header(char *bytes, size_t unit, size_t len, void *arg)
{
    struct transfer *transfer = arg;
    char *line = copy_slice(bytes, len * unit);
    size_t end = strlen(line);

    while (end > 0 && strchr(" \t\r\n", line[end - 1]) != NULL) {
        end--;
    }
    line[end] = '\0';
    transfer->progress = true;
    if (!transfer->headed) { /* what comes behind the body is nothing to us */
        transfer->refused = take_line(transfer, line);
    }
    free(line);
    return transfer->refused == NULL ? len * unit : 0;
}

static size_t on_body(char *bytes, size_t unit, size_t len, void *arg)
{
    struct transfer *transfer = arg;
    const struct http_request *request = transfer->request;

    transfer->progress = true;
    if (request->take != NULL && transfer->answer->status / 100 == 2) {
        transfer->ended = !request->take(request->arg, bytes, len * unit);
        return transfer->ended ? 0 : len * unit;
    }
    text_add(&transfer->answer->body, bytes, len * unit);
    if (transfer->answer->body.len > BODY_LIMIT) {
        transfer->refused = "its answer is too large";
        return 0;
    }
    return len * unit;
}

/* ---- asking ---- */

/* What went wrong, in the words of an operator. */
static void explain(const struct transfer *transfer, CURLcode code, char *error, size_t size)
{
    const char *words = transfer->detail[0] != '\0' ? transfer->detail : curl_easy_strerror(code);
    long failed = 0;

    curl_easy_getinfo(transfer->curl, CURLINFO_OS_ERRNO, &failed);
    if (transfer->refused != NULL) {
        words = transfer->refused;
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        bool other_name = strstr(transfer->detail, "subject name") != NULL;
        snprintf(error, size, "its certificate is not trusted: %s (--ca FILE names an authority)",
                 other_name ? "hostname mismatch" : transfer->detail);
        return;
    } else if (code == CURLE_SSL_CACERT_BADFILE) {
        snprintf(error, size, "%s cannot be read as PEM certificates", transfer->endpoint->ca);
        return;
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        words = strerror(ETIMEDOUT);
    } else if (code == CURLE_OUT_OF_MEMORY && !transfer->headed) {
        words = "its answer is not HTTP: an endless line";
    } else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY) {
        words = "its answer is not HTTP/1: is this Weir's admin listener?";
    } else if (strstr(transfer->detail, "chunk") != NULL) {
        words = "its answer's chunks are malformed";
    } else if (code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE) {
        words = "it closed the connection in the middle of its answer";
    } else if (failed != 0) {
        words = strerror((int)failed);
    }
    snprintf(error, size, "%s", words);
}

/* Runs the transfer to its end, or until the peer was silent for too long. */
static CURLcode run(struct transfer *transfer, CURLM *multi)
{
    const struct http_request *request = transfer->request;
    uint64_t since = now_ms();
    int running = 1;

    while (curl_multi_perform(multi, &running) == CURLM_OK && running > 0) {
        bool streams = request->take != NULL && transfer->headed;
        uint64_t limit = (uint64_t)(streams ? request->stream_ms : transfer->endpoint->read_ms);
        uint64_t now = now_ms();
        if (transfer->progress) {
            transfer->progress = false;
            since = now;
        }
        if (now - since >= limit) {
            return CURLE_OPERATION_TIMEDOUT;
        }
        curl_multi_poll(multi, NULL, 0, (int)(limit - (now - since)), NULL);
    }
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    CURLcode code = message != NULL ? message->data.result : CURLE_RECV_ERROR;
    return code == CURLE_OK && !transfer->headed ? CURLE_PARTIAL_FILE : code;
}

static struct curl_slist *fields_of(const struct http_request *request)
{
    /* No type of a form's, no question whether a body is welcome. */
    struct curl_slist *list = curl_slist_append(NULL, "Connection: close");

    list = curl_slist_append(list, "Expect:");
    list = curl_slist_append(list, request->body != NULL ? "Content-Type: application/json"
                                                         : "Content-Type:");
    for (const char *at = request->fields; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1) {
        char *line = copy_slice(at, strcspn(at, "\n"));
        list = curl_slist_append(list, line);
        free(line);
    }
    return list;
}

/* Sets everything that the environment or libcurl's defaults could change. */
static void set_up(struct transfer *transfer, const char *url, struct curl_slist *fields)
{
    const struct endpoint *endpoint = transfer->endpoint;
    const struct http_request *request = transfer->request;
    CURL *curl = transfer->curl;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, endpoint->socket_path);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (endpoint->ca != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, endpoint->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)endpoint->connect_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "weirctl/" PACKAGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    if (strcmp(request->method, "GET") != 0) {
        const char *body = request->body != NULL ? request->body : "";
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->detail);
}

bool http_ask(const struct endpoint *endpoint, const struct http_request *request,
              struct http_answer *answer, char *error, size_t size)
{
    struct transfer transfer = {.endpoint = endpoint, .request = request, .answer = answer};
    struct text url = {0};
    CURLcode code = CURLE_FAILED_INIT;
    CURLM *multi = curl_multi_init();

    transfer.curl = curl_easy_init();
    memset(answer, 0, sizeof(*answer));
    if (multi == NULL || transfer.curl == NULL) {
        snprintf(error, size, "libcurl does not start");
        curl_easy_cleanup(transfer.curl);
        curl_multi_cleanup(multi);
        return false;
    }
    text_printf(&url, "%s%s", endpoint->url, request->path);
    struct curl_slist *fields = fields_of(request);
    set_up(&transfer, text_get(&url), fields);
    curl_multi_add_handle(multi, transfer.curl);
    code = run(&transfer, multi);
    if (code != CURLE_OK && !transfer.ended) {
        explain(&transfer, code, error, size);
    }
    curl_multi_remove_handle(multi, transfer.curl);
    curl_easy_cleanup(transfer.curl);
    curl_multi_cleanup(multi);
    curl_slist_free_all(fields);
    text_clear(&url);
    return code == CURLE_OK || transfer.ended;
}
