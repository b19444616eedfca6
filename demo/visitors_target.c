/* SPDX-License-Identifier: MIT */
/* Where the visitors go: the URL, its addresses, and what is trusted there. */
#include "visitors_channel.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

/* OpenSSL gives a session that can be resumed; taking it means owning it. The connection's app data
 * points to where its channel keeps it. */
static int keep_session(SSL *tls, SSL_SESSION *session)
{
    SSL_SESSION **place = SSL_get_app_data(tls);
    SSL_SESSION_free(*place);
    *place = session;
    return 1;
}

static bool open_tls(struct target *target, const char *ca_file)
{
    target->tls_context = SSL_CTX_new(TLS_client_method());
    if (target->tls_context == NULL) {
        fputs("weir-visitors: no memory for TLS\n", stderr);
        return false;
    }
    SSL_CTX_set_min_proto_version(target->tls_context, TLS1_2_VERSION);
    SSL_CTX_set_verify(target->tls_context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(target->tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(target->tls_context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(target->tls_context, keep_session);
    if (ca_file == NULL ? SSL_CTX_set_default_verify_paths(target->tls_context) != 1
                        : SSL_CTX_load_verify_file(target->tls_context, ca_file) != 1) {
        fprintf(stderr, "weir-visitors: --ca \"%s\" cannot be read as PEM certificates\n",
                ca_file != NULL ? ca_file : "(the system's)");
        return false;
    }
    return true;
}

static bool split_url(struct target *target, const char *url)
{
    target->tls = strncmp(url, "https://", 8) == 0;
    if (!target->tls && strncmp(url, "http://", 7) != 0) {
        return false;
    }
    const char *authority = url + (target->tls ? 8 : 7);
    size_t len = strcspn(authority, "/?#");
    if (strcmp(authority + len, "") != 0 && strcmp(authority + len, "/") != 0) {
        return false;
    }
    const char *host = authority;
    const char *end = authority + len;
    const char *host_end = memchr(authority, *authority == '[' ? ']' : ':', len);
    if (*authority == '[') {
        if (host_end == NULL) {
            return false;
        }
        host++;
    }
    host_end = host_end != NULL ? host_end : end;
    const char *port = host_end + (*host_end == ']');
    size_t port_len = port < end ? (size_t)(end - port - 1) : 0;
    if (host_end == host || (size_t)(host_end - host) >= sizeof target->host ||
        (port < end && *port != ':') || port_len >= sizeof target->port ||
        (port < end && (port_len == 0 || strspn(port + 1, "0123456789") != port_len))) {
        return false;
    }
    snprintf(target->host, sizeof target->host, "%.*s", (int)(host_end - host), host);
    snprintf(target->authority, sizeof target->authority, "%.*s", (int)len, authority);
    if (port_len > 0) {
        snprintf(target->port, sizeof target->port, "%.*s", (int)port_len, port + 1);
    } else {
        snprintf(target->port, sizeof target->port, "%s", target->tls ? "443" : "80");
    }
    return true;
}

bool target_open(struct target *target, const char *url, const char *ca_file)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (!split_url(target, url)) {
        fprintf(stderr, "weir-visitors: --url \"%s\": wanted https://HOST:PORT\n", url);
        return false;
    }
    int error = getaddrinfo(target->host, target->port, &hints, &target->addresses);
    if (error != 0) {
        fprintf(stderr, "weir-visitors: %s: %s\n", target->host, gai_strerror(error));
        return false;
    }
    return !target->tls || open_tls(target, ca_file);
}

void target_close(struct target *target)
{
    if (target->addresses != NULL) {
        freeaddrinfo(target->addresses);
        target->addresses = NULL;
    }
    SSL_CTX_free(target->tls_context);
    target->tls_context = NULL;
}
