/* SPDX-License-Identifier: MIT */
/*
 * Completion: what could stand at the end of an unfinished command line, from the command table
 * and, for names, from the running Weir.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

/* The unfinished word, and what Weir is reached by. */
struct completion {
    struct call *call;
    const char *word;
};

static void offer(const struct completion *completion, const char *candidate)
{
    if (strncmp(candidate, completion->word, strlen(completion->word)) == 0) {
        puts(candidate);
    }
}

/* Offers the names in a list of the API; `second` is appended after a slash. */
static void offer_list(const struct completion *completion, const char *path, const char *first,
                       const char *second)
{
    struct answer answer;
    const cJSON *each = NULL;

    if (api_peek(&completion->call->api, path, &answer) == DONE) {
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            struct text name = {0};
            text_puts(&name, json_text(each, first, ""));
            if (second != NULL) {
                text_printf(&name, "/%s", json_text(each, second, ""));
            }
            /* A name is one word of the shell's. */
            if (name.len > 0 && strpbrk(name.data, " \t\n'\"\\$`") == NULL) {
                offer(completion, name.data);
            }
            text_clear(&name);
        }
    }
    answer_clear(&answer);
}

/* Kinds or languages of templates, each once. */
struct template_words {
    const struct completion *completion;
    bool languages;
    const char *offered[16];
    size_t count;
};

static void offer_template(void *arg, const char *kind, const char *language)
{
    struct template_words *words = arg;
    const char *word = words->languages ? language : kind;

    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->offered[i], word) == 0) {
            return;
        }
    }
    if (words->count < COUNT(words->offered)) {
        words->offered[words->count++] = word;
        offer(words->completion, word);
    }
}

static void offer_kind(const struct completion *completion, enum word_kind kind)
{
    static const char *const states[] = {"ready", "drain", "maintenance"};
    static const char *const roles[] = {"viewer", "operator", "admin"};

    switch (kind) {
    case WORD_FILE: puts(":files"); break;
    case WORD_POOL: offer_list(completion, "/pools", "name", NULL); break;
    case WORD_SERVER: offer_list(completion, "/servers", "pool", "id"); break;
    case WORD_MODULE: offer_list(completion, "/modules", "name", NULL); break;
    case WORD_USER: offer_list(completion, "/users", "name", NULL); break;
    case WORD_STATE:
    case WORD_ROLE:
        for (size_t i = 0; i < 3; i++) {
            offer(completion, kind == WORD_STATE ? states[i] : roles[i]);
        }
        break;
    case WORD_KIND:
    case WORD_LANGUAGE: {
        struct template_words words = {completion, kind == WORD_LANGUAGE, {NULL}, 0};
        each_template(offer_template, &words);
        break;
    }
    case WORD_NONE:
    case WORD_ANY:
    case WORD_COMMAND: break;
    }
}

/* First words of commands, each once; or second ones of the group `first`. */
static void offer_commands(const struct completion *completion, const char *first)
{
    const char *last = "";

    for (size_t i = 0; i < command_count; i++) {
        const char *name = commands[i].name;
        size_t len = strcspn(name, " ");
        if (first != NULL) {
            if (strlen(first) == len && strncmp(name, first, len) == 0 && name[len] == ' ') {
                offer(completion, name + len + 1);
            }
        } else if (strncmp(name, last, len) != 0 || last[len] != ' ') {
            struct text word = {0};
            text_add(&word, name, len);
            offer(completion, text_get(&word));
            text_clear(&word);
        }
        last = name;
    }
}

static void offer_options(const struct completion *completion, const struct option_row *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        struct text name = {0};
        text_printf(&name, "--%s", options->name);
        offer(completion, text_get(&name));
        text_clear(&name);
    }
}

/* The option of `word`, among the command's (where it is known) and all's. */
static const struct option_row *option_of(const struct command *command, const char *word)
{
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    size_t len = strlen(name);

    if (is_long == (len == 1)) {
        return NULL;
    }
    const struct option_row *row =
        find_option(command != NULL ? command->options : NULL, name, len);
    return row != NULL ? row : find_option(global_options, name, len);
}

/* Points the call at the Weir that the words before name. */
static void find_weir(struct call *call, const char *socket, const char *url)
{
    char error[4600];
    struct endpoint *endpoint = &call->api.endpoint;

    socket = socket != NULL ? socket : getenv("WEIR_SOCKET");
    if (url == NULL || !endpoint_from_url(endpoint, url, error, sizeof(error))) {
        endpoint_from_socket(endpoint, socket != NULL ? socket : "/run/weir/admin.sock", error,
                             sizeof(error));
    }
    /* The user is waiting for a key press to show. */
    endpoint->connect_ms = 1000;
    endpoint->read_ms = 1000;
}

void complete_words(struct call *call, const char *const *words, size_t count)
{
    struct completion completion = {call, count > 0 ? words[count - 1] : ""};
    const char *plain[8];
    size_t plain_count = 0;
    size_t used = 0;
    const char *socket = NULL;
    const char *url = NULL;
    const struct option_row *waiting = NULL; /* the option whose value comes next */
    const struct command *command = NULL;

    for (size_t i = 0; i + 1 < count; i++) {
        if (waiting != NULL) {
            socket = strcmp(waiting->name, "socket") == 0 ? words[i] : socket;
            url = strcmp(waiting->name, "url") == 0 ? words[i] : url;
            waiting = NULL;
        } else if (words[i][0] == '-') {
            const struct option_row *row = option_of(command, words[i]);
            waiting = row != NULL && row->value != NULL ? row : NULL;
        } else if (plain_count < 8) {
            plain[plain_count++] = words[i];
            command = find_command(plain, plain_count, &used);
        }
    }
    find_weir(call, socket, url);
    if (waiting != NULL) {
        offer_kind(&completion, waiting->kind);
    } else if (completion.word[0] == '-') {
        offer_options(&completion, command != NULL ? command->options : NULL);
        offer_options(&completion, global_options);
    } else if (command != NULL && command->words[0] == WORD_COMMAND) {
        offer_commands(&completion, plain_count - used > 0 ? plain[plain_count - 1] : NULL);
    } else if (command != NULL && plain_count - used < COMMAND_WORDS) {
        offer_kind(&completion, command->words[plain_count - used]);
    } else if (command == NULL && plain_count < 2) {
        offer_commands(&completion, plain_count == 1 ? plain[0] : NULL);
    }
    endpoint_clear(&call->api.endpoint);
}
