/* SPDX-License-Identifier: MIT */
/*
 * What is around a block and outlives it: its listener, and memory that later generations find
 * again.
 */
#include "fake.h"

#include <stdlib.h>

static void listener_clear(struct weir_listener *listener)
{
    for (size_t i = 0; i < listener->bind_count; i++) {
        free((void *)(uintptr_t)listener->binds[i].address.ptr);
    }
    free((void *)(uintptr_t)listener->binds);
    *listener = (struct weir_listener){{NULL, 0}, NULL, 0, false};
}

void weir_test_set_listener(struct weir_test *host, const char *const *addresses, bool tls)
{
    struct weir_bind *binds = NULL;
    size_t count = 0;

    listener_clear(&host->listener);
    for (; addresses[count] != NULL; count++) {
        const char *text = addresses[count];
        binds = fake_grow(binds, count + 1, sizeof(*binds));
        binds[count].address = fake_str(fake_str_copy(text));
        binds[count].unix_socket = strncmp(text, "unix:", 5) == 0;
        binds[count].loopback = strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]", 5) == 0;
    }
    host->listener = (struct weir_listener){fake_str("public"), binds, count, tls};
}

bool fake_check_listener(struct weir_check *check, struct weir_listener *out)
{
    static const char *const addresses[] = {"127.0.0.1:8080", NULL};

    if (check->block->context != WEIR_CONTEXT_LISTENER) {
        return false;
    }
    if (check->host->listener.bind_count == 0) {
        weir_test_set_listener(check->host, addresses, false);
    }
    *out = check->host->listener;
    return true;
}

void *fake_shared(struct weir_context *ctx, const char *name, size_t size)
{
    struct weir_test *host = fake_context(ctx)->host;

    if (!fake_context(ctx)->checking) {
        fake_problem(host, "weir_shared was called outside conf_create");
    }
    for (struct fake_shared *shared = host->shared; shared != NULL; shared = shared->next) {
        if (shared->size == size && strcmp(shared->name, name) == 0) {
            return shared->bytes;
        }
    }
    struct fake_shared *shared = fake_alloc(sizeof(*shared));
    *shared = (struct fake_shared){host->shared, fake_str_copy(name), size, fake_alloc(size)};
    host->shared = shared;
    return shared->bytes;
}

void fake_outside_free(struct weir_test *host)
{
    while (host->shared != NULL) {
        struct fake_shared *shared = host->shared;
        host->shared = shared->next;
        free(shared->name);
        free(shared->bytes);
        free(shared);
    }
    listener_clear(&host->listener);
}
