/* SPDX-License-Identifier: MIT */
/*
 * What the command line says of servers and arrivals.
 */
#include "sim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX 100000u

/* Takes a duration off `*text`: a number, and ms where no unit is there. */
static bool take_duration(const char **text, uint64_t *ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
    char *end;
    double value = strtod(*text, &end);
    size_t len = strspn(end, "nusmh");

    if (end == *text || !(value >= 0)) {
        return false;
    }
    double scale = len == 0 ? 1e6 : 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (len == strlen(units[i].name) && strncmp(end, units[i].name, len) == 0) {
            scale = units[i].ns;
        }
    }
    if (scale == 0 || value * scale > 1e18) {
        return false;
    }
    *ns = (uint64_t)(value * scale);
    *text = end + len;
    return true;
}

const char *read_duration(const char *text, uint64_t *ns)
{
    return take_duration(&text, ns) && *text == '\0' ? NULL : "a duration is like 10ms or 5s";
}

static bool take(const char **text, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*text, word, len) != 0) {
        return false;
    }
    *text += len;
    return true;
}

static const char *read_spread(const char *text, struct spread *spread)
{
    static const char wrong[] =
        "a time is like 10ms, exp:10ms, uniform:10ms, uniform:5ms-10ms or lognormal:10ms:0.5";
    uint64_t from, to;
    char *end;

    spread->kind = take(&text, "exp:")         ? EXPONENTIAL
                   : take(&text, "uniform:")   ? UNIFORM
                   : take(&text, "lognormal:") ? LOGNORMAL
                                               : CONSTANT;
    if (!take_duration(&text, &from)) {
        return wrong;
    }
    spread->from = (double)from;
    if (spread->kind == UNIFORM) {
        spread->to = (double)from;
        spread->from = 0;
        if (*text == '-') {
            text++;
            if (!take_duration(&text, &to) || to < from) {
                return wrong;
            }
            spread->from = (double)from;
            spread->to = (double)to;
        }
    } else if (spread->kind == LOGNORMAL) {
        spread->sigma = *text == ':' ? strtod(text + 1, &end) : 1;
        text = *text == ':' ? end : text;
        if (!(spread->sigma >= 0 && spread->sigma <= 10)) {
            return wrong;
        }
    }
    return *text == '\0' ? NULL : wrong;
}

/* "@FROM+FOR", or nothing: always. */
static bool take_phase(const char *text, struct phase *phase)
{
    uint64_t length;

    phase->from = 0;
    phase->until = NEVER;
    if (*text == '\0') {
        return true;
    }
    if (*text++ != '@' || !take_duration(&text, &phase->from) || *text++ != '+' ||
        !take_duration(&text, &length)) {
        return false;
    }
    phase->until = phase->from + length;
    return *text == '\0';
}

/* `scale`: of a percentage. */
static const char *add_phase(const char *text, struct phase *phases, uint32_t *count, bool part)
{
    char *end;
    struct phase phase = {.factor = strtod(text, &end)};

    if (end == text || !(phase.factor >= 0)) {
        return part ? "fails is like 50% or 100%@5s+2s" : "slow is like 3 or 3@5s+2s";
    }
    if (part) {
        phase.factor /= *end == '%' ? 100 : 1;
        end += *end == '%';
    }
    if ((part && phase.factor > 1) || (!part && phase.factor == 0) || !take_phase(end, &phase)) {
        return part ? "fails is like 50% or 100%@5s+2s" : "slow is like 3 or 3@5s+2s";
    }
    if (*count == PHASES_MAX) {
        return "there are too many phases";
    }
    phases[(*count)++] = phase;
    return NULL;
}

static const char *add_freeze(const char *text, struct server_model *model)
{
    struct phase phase = {.factor = INFINITY};
    char whole[64];

    snprintf(whole, sizeof(whole), "@%s", text);
    if (!take_phase(whole, &phase) || phase.until == NEVER) {
        return "freeze is like 5s+2s";
    }
    if (model->phase_count == PHASES_MAX) {
        return "there are too many phases";
    }
    model->phases[model->phase_count++] = phase;
    return NULL;
}

static const char *read_hiccups(const char *text, struct server_model *model)
{
    bool good = take_duration(&text, &model->hiccup_every) && *text++ == '+' &&
                take_duration(&text, &model->hiccup) && *text == '\0' && model->hiccup_every > 0;
    return good ? NULL : "hiccups are like 1s+5ms";
}

static const char *read_number(const char *text, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || *text == '-' || value > most) {
        return "a number is missing, or out of range";
    }
    *out = (uint32_t)value;
    return NULL;
}

static const char *set(struct server_model *model, uint32_t *count, uint64_t *cold,
                       const char *name, const char *value)
{
    const char *wrong = NULL;

    if (strcmp(name, "count") == 0) {
        wrong = read_number(value, SERVERS_MAX, count);
    } else if (strcmp(name, "name") == 0) {
        wrong = strlen(value) < sizeof(model->name) - 8 ? NULL : "a name is too long";
        snprintf(model->name, sizeof(model->name), "%s", value);
    } else if (strcmp(name, "weight") == 0) {
        wrong = read_number(value, 65535, &model->weight);
        wrong = wrong == NULL && model->weight == 0 ? "a weight is from 1 on" : wrong;
    } else if (strcmp(name, "time") == 0) {
        model->timed = true;
        wrong = read_spread(value, &model->time);
    } else if (strcmp(name, "body") == 0) {
        wrong = read_spread(value, &model->body);
    } else if (strcmp(name, "concurrency") == 0) {
        wrong = read_number(value, UINT32_MAX, &model->concurrency);
    } else if (strcmp(name, "max_requests") == 0) {
        wrong = read_number(value, UINT32_MAX, &model->max_requests);
    } else if (strcmp(name, "slow") == 0) {
        wrong = add_phase(value, model->phases, &model->phase_count, false);
    } else if (strcmp(name, "freeze") == 0) {
        wrong = add_freeze(value, model);
    } else if (strcmp(name, "hiccups") == 0) {
        wrong = read_hiccups(value, model);
    } else if (strcmp(name, "fails") == 0) {
        wrong = add_phase(value, model->failures, &model->failure_count, true);
    } else if (strcmp(name, "fail_time") == 0) {
        wrong = read_spread(value, &model->failure_time);
    } else if (strcmp(name, "status") == 0) {
        wrong = read_number(value, 599, &model->failure_status);
    } else if (strcmp(name, "retry_after") == 0) {
        wrong = read_duration(value, &model->retry_after);
    } else if (strcmp(name, "joins") == 0) {
        wrong = read_duration(value, &model->joins);
    } else if (strcmp(name, "leaves") == 0) {
        wrong = read_duration(value, &model->leaves);
    } else if (strcmp(name, "slow_start") == 0) {
        wrong = read_duration(value, &model->slow_start);
    } else if (strcmp(name, "cold") == 0) { /* for so long after it joins; `slow` before it says
                                             * how much */
        wrong = read_duration(value, cold);
    } else {
        return "there is no such word; there are count, name, weight, time, body, concurrency, "
               "max_requests, slow, freeze, hiccups, cold, fails, fail_time, status, retry_after, "
               "joins, slow_start and leaves";
    }
    return wrong;
}

const char *read_servers(const char *text, struct server_model **servers, uint32_t *server_count)
{
    struct server_model model = {.weight = 1,
                                 .time = {.from = 1e7},
                                 .failure_time = {.from = 1e6},
                                 .failure_status = 503,
                                 .leaves = NEVER};
    uint64_t cold = 0;
    uint32_t count = 1;
    char *copy = need(strdup(text)), *rest = copy, *word;
    const char *wrong = NULL;

    while (wrong == NULL && (word = strtok_r(rest, " \t\n", &rest)) != NULL) {
        char *value = strchr(word, '=');
        if (value == NULL) {
            wrong = "servers are words like count=4 time=exp:10ms";
            break;
        }
        *value++ = '\0';
        wrong = set(&model, &count, &cold, word, value);
    }
    free(copy);
    if (wrong != NULL) {
        return wrong;
    }
    if (*server_count + count > SERVERS_MAX) {
        return "there are too many servers";
    }
    for (uint32_t i = 0; cold > 0 && i < model.phase_count; i++) {
        if (model.phases[i].until == NEVER) {
            model.phases[i].from = model.joins;
            model.phases[i].until = model.joins + cold;
        }
    }
    *servers = need(realloc(*servers, (*server_count + count + 1) * sizeof(**servers)));
    for (uint32_t i = 0; i < count; i++) {
        struct server_model *made = &(*servers)[(*server_count)++];
        *made = model;
        if (model.name[0] == '\0') {
            snprintf(made->name, sizeof(made->name), "s%u", *server_count);
        } else if (count > 1) {
            snprintf(made->name, sizeof(made->name), "%.50s%u", model.name, i + 1);
        }
    }
    return NULL;
}

/* ---- arrivals ---- */

static bool take_rate(const char **text, double *rate)
{
    char *end;
    *rate = strtod(*text, &end);
    bool good = end != *text && *rate > 0 && *rate <= 1e9;
    *text = end;
    return good;
}

static const char *read_steps(const char *text, struct scenario *scenario)
{
    static const char wrong[] = "steps are like steps:100@10s,500@10s,100";
    struct rate_step steps[64];
    size_t count = 0;
    uint64_t at = 0, length;

    for (;;) {
        if (count == 64 || !take_rate(&text, &steps[count].per_second)) {
            return wrong;
        }
        steps[count].until = NEVER;
        if (*text == '@') {
            text++;
            if (!take_duration(&text, &length)) {
                return wrong;
            }
            steps[count].until = at += length;
        }
        count++;
        if (*text == '\0') {
            break;
        }
        if (*text++ != ',' || steps[count - 1].until == NEVER) {
            return wrong;
        }
    }
    scenario->arrivals =
        poisson_arrivals(steps, count, scenario->requests, scenario->clients, scenario->seed);
    return NULL;
}

/* Times in seconds, one a line. */
static const char *read_file(const char *path, size_t limit, struct scenario *scenario)
{
    FILE *file = fopen(path, "r");
    struct arrival *arrivals = NULL;
    size_t count = 0, room = 0;
    double last = 0, at;
    const char *wrong = NULL;
    int read;

    if (file == NULL) {
        return strerror(errno);
    }
    while ((read = fscanf(file, "%lf", &at)) == 1) {
        if (!(at >= last && at < 1e9)) {
            wrong = "its times are not in order";
            break;
        }
        if (count == room) {
            room = room > 0 ? 2 * room : 1024;
            arrivals = need(realloc(arrivals, room * sizeof(*arrivals)));
        }
        arrivals[count] = (struct arrival){
            .at = (uint64_t)(at * 1e9),
            .client = (uint32_t)(draw(scenario->seed, count, 1) * scenario->clients),
            .sample = -1};
        last = at;
        count++;
    }
    wrong = wrong == NULL && (read != EOF || count == 0) ? "it has a line that is no number of "
                                                           "seconds"
                                                         : wrong;
    fclose(file);
    if (wrong != NULL) {
        free(arrivals);
        return wrong;
    }
    scenario->arrivals = arrivals;
    scenario->requests = limit > 0 && limit < count ? limit : count;
    return NULL;
}

const char *read_arrivals(const char *text, size_t limit, struct scenario *scenario)
{
    scenario->requests = limit > 0 ? limit : DEFAULT_REQUESTS;
    if (take(&text, "file:")) {
        return read_file(text, limit, scenario);
    }
    if (take(&text, "closed:")) {
        const char *wrong = read_number(text, 1000000, &scenario->closed);
        return wrong != NULL || scenario->closed == 0 ? "a closed loop is like closed:50" : NULL;
    }
    if (take(&text, "poisson:")) {
        return strchr(text, '@') != NULL || read_steps(text, scenario) != NULL
                   ? "a Poisson process is like poisson:500, requests a second"
                   : NULL;
    }
    if (take(&text, "steps:")) {
        return read_steps(text, scenario);
    }
    return "arrivals are poisson:RATE, steps:RATE@FOR,..., closed:CLIENTS or file:PATH";
}
