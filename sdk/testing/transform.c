/* SPDX-License-Identifier: MIT */
/*
 * Filters that transform a response's body: one stage, whose output is gathered for the test.
 */
#include "fake.h"

#include <stdlib.h>

/* A struct weir_transform is a fake_response's member. */
static struct fake_response *response_of(struct weir_transform *transform)
{
    return (struct fake_response *)(void *)((char *)transform -
                                            offsetof(struct fake_response, transform));
}

/* ---- the module's side ---- */

int64_t fake_response_content_length(const struct weir_response *resp)
{
    return fake_response(resp)->content_length;
}

enum weir_status fake_response_transform(struct weir_response *resp, void *state)
{
    struct fake_response *fake = fake_response(resp);

    if (!fake->open || fake->filter == NULL || fake->transformed ||
        fake->host->filter.on_response_data == NULL) {
        fake_problem(fake->host,
                     "weir_response_transform was called outside on_response, twice, or "
                     "by a filter without on_response_data");
        return WEIR_INVALID;
    }
    if (fake->status < 200 || fake->status == 204 || fake->status == 304) {
        return WEIR_DECLINED;
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    fake->transformed = true;
    fake->state = state;
    return WEIR_OK;
}

size_t fake_transform_write(struct weir_transform *transform, const void *data, size_t len)
{
    struct fake_response *fake = response_of(transform);

    if (!fake->in_data) {
        fake_problem(fake->host, "weir_transform_write was called outside on_response_data");
        return 0;
    }
    fake_buffer_append(&fake->output, data, len);
    fake->waiting = fake->held ? fake->waiting + len : 0;
    return fake->waiting;
}

/* ---- the test's side ---- */

void weir_test_response_set_length(struct weir_response *resp, int64_t content_length)
{
    fake_response(resp)->content_length = content_length;
}

bool weir_test_transformed(const struct weir_response *resp)
{
    return fake_response(resp)->transformed;
}

static enum weir_status give(struct fake_response *fake, const void *data, size_t len,
                             enum weir_flow flow)
{
    struct weir_test_instance *filter = fake->filter;
    size_t used = len, before = fake->output.len;
    /* A copy of its own, so that reading beyond it, or later, is found. */
    char *copy = fake_lend_copy(data, len, "a piece of a body that was read");
    FAKE_HOOK("on_response_data");

    fake->in_data = true;
    enum weir_status status = filter->host->filter.on_response_data(
        &filter->ctx.base, filter->data, fake->state, &fake->transform, copy, len, flow, &used);
    fake->in_data = false;
    if (status == WEIR_DECLINED) {
        if (used > len) {
            fake_problem(fake->host, "a filter took %zu of %zu bytes", used, len);
            used = len;
        }
        if (used == 0 && fake->output.len == before) {
            fake_problem(fake->host, "a filter declined, and neither took nor wrote anything");
        }
        fake_buffer_append(&fake->kept, copy + used, len - used);
        fake->kept_flow = flow;
        fake->blocked = true;
    } else {
        fake->ended = flow == WEIR_FLOW_END;
    }
    fake_take_back(copy);
    return status;
}

enum weir_status weir_test_filter_data(struct weir_response *resp, const void *data, size_t len,
                                       enum weir_flow flow)
{
    struct fake_response *fake = fake_response(resp);

    FAKE_REQUIRE(fake->transformed, "no filter has said that it transforms this response");
    FAKE_REQUIRE(!fake->ended, "the body has ended");
    if (fake->blocked) {
        fake_buffer_append(&fake->kept, data, len);
        fake->kept_flow = flow > fake->kept_flow ? flow : fake->kept_flow;
        return WEIR_DECLINED;
    }
    return give(fake, data, len, flow);
}

enum weir_status weir_test_filter_hold(struct weir_response *resp, bool hold)
{
    struct fake_response *fake = fake_response(resp);
    enum weir_status status = WEIR_OK;

    fake->held = hold;
    fake->waiting = hold ? fake->waiting : 0;
    while (!hold && fake->blocked) {
        struct fake_buffer kept = fake->kept;
        fake->kept = (struct fake_buffer){0};
        fake->blocked = false;
        status = give(fake, kept.data, kept.len, fake->kept_flow);
        fake_buffer_free(&kept);
        if (status != WEIR_OK && (status != WEIR_DECLINED || fake->host->problem_count > 0)) {
            break;
        }
    }
    return status;
}

const char *weir_test_filter_output(const struct weir_response *resp, size_t *len)
{
    const struct fake_response *fake = fake_response(resp);
    if (len != NULL) {
        *len = fake->output.len;
    }
    return fake_buffer_text(&fake->output);
}

void fake_transform_end(struct fake_response *fake)
{
    struct weir_test_instance *filter = fake->filter;

    if (fake->transformed && !fake->closed && filter->host->filter.on_response_close != NULL) {
        FAKE_HOOK("on_response_close");
        filter->host->filter.on_response_close(&filter->ctx.base, filter->data, fake->state);
    }
    fake->closed = true;
}
