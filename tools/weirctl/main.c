/* SPDX-License-Identifier: MIT */
/*
 * weirctl: shows and changes a running Weir, by its API.
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define WORD_LIMIT 16

/* ---- the command line ---- */

/* Words and options as given; which options there are is known once the command is. */
struct line {
    const char *words[WORD_LIMIT];
    size_t count;
    bool extra; /* there were more words than any command takes */
};

/* An option of this command, or of all; before the command is known, of any. */
static const struct option_row *find_row(const struct call *call, const char *name, size_t len)
{
    const struct option_row *row = NULL;

    if (call->command != NULL) {
        row = find_option(call->command->options, name, len);
    }
    if (row == NULL) {
        row = find_option(global_options, name, len);
    }
    for (size_t i = 0; i < command_count && row == NULL && call->command == NULL; i++) {
        row = find_option(commands[i].options, name, len);
    }
    return row;
}

static enum outcome unknown_option(const struct call *call, const char *argument)
{
    const char *names[64];
    size_t count = 0;
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    for (const struct option_row *row = global_options; row->name != NULL; row++) {
        names[count++] = row->name;
    }
    const struct option_row *own = call->command != NULL ? call->command->options : NULL;
    for (; own != NULL && own->name != NULL; own++) {
        names[count++] = own->name;
    }
    const char *near = argument[1] == '-' ? nearest_word(name, names, count) : NULL;
    if (near != NULL) {
        return call_misused(call, "there is no option %s; did you mean --%s?", argument, near);
    }
    return call_misused(call, "there is no option %s", argument);
}

/* Takes the option at argv[*i], and its value. */
static enum outcome take_option(struct call *call, char **argv, int argc, int *i)
{
    const char *argument = argv[*i];
    bool is_long = argument[1] == '-';
    const char *name = argument + (is_long ? 2 : 1);
    size_t len = is_long ? strcspn(name, "=") : 1;
    const struct option_row *row = is_long && len == 1 ? NULL : find_row(call, name, len);
    const char *value = is_long && name[len] == '=' ? name + len + 1 : NULL;

    if (!is_long && name[1] != '\0') {
        value = name + 1;
    }
    if (row == NULL) {
        return unknown_option(call, argument);
    }
    if (row->value == NULL && value != NULL) {
        return call_misused(call, "--%s takes no value", row->name);
    }
    if (row->value != NULL && value == NULL) {
        if (*i + 1 >= argc) {
            return call_misused(call, "--%s wants a value: --%s %s", row->name, row->name,
                                row->value);
        }
        value = argv[++*i];
    }
    if (call->given_count == CALL_OPTIONS) {
        return call_misused(call, "there are too many options");
    }
    call->given[call->given_count++] = (struct given){row, value != NULL ? value : ""};
    return DONE;
}

/* Goes through the arguments once: words into `line`, options into the call. */
static enum outcome walk(struct call *call, struct line *line, char **argv, int argc)
{
    bool options = true;

    line->count = 0;
    call->given_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (options && strcmp(argument, "--") == 0) {
            options = false;
        } else if (options && argument[0] == '-' && argument[1] != '\0' &&
                   strchr("0123456789", argument[1]) == NULL) {
            enum outcome outcome = take_option(call, argv, argc, &i);
            if (outcome != DONE) {
                return outcome;
            }
        } else if (line->count < WORD_LIMIT) {
            line->words[line->count++] = argument;
        } else {
            line->extra = true;
        }
    }
    return DONE;
}

static enum outcome unknown_command(const struct call *call, const struct line *line)
{
    const char *names[64];
    char whole[128];
    size_t in_group = 0;
    size_t len = strlen(line->words[0]);

    for (size_t i = 0; i < command_count; i++) {
        names[i] = commands[i].name;
        in_group += strncmp(names[i], line->words[0], len) == 0 && names[i][len] == ' ';
    }
    snprintf(whole, sizeof(whole), "%s%s%s", line->words[0],
             in_group > 0 && line->count > 1 ? " " : "",
             in_group > 0 && line->count > 1 ? line->words[1] : "");
    if (in_group > 0 && line->count == 1) {
        complain("\"%s\" wants one more word:", line->words[0]);
        for (size_t i = 0; i < command_count; i++) {
            if (strncmp(names[i], line->words[0], len) == 0 && names[i][len] == ' ') {
                fprintf(stderr, "  weirctl %s %s\n", names[i], commands[i].arguments);
            }
        }
        return MISUSED;
    }
    const char *near = nearest_word(whole, names, command_count);
    if (near != NULL) {
        return call_misused(call, "there is no command \"%s\"; did you mean \"%s\"?", whole, near);
    }
    return call_misused(call, "there is no command \"%s\"; weirctl --help lists them", whole);
}

/* Finds the command, then reads the arguments again: its options are its own. */
static enum outcome parse(struct call *call, char **argv, int argc)
{
    struct line line = {0};
    size_t used = 0;

    enum outcome outcome = walk(call, &line, argv, argc);
    if (outcome != DONE || line.count == 0) {
        return outcome;
    }
    const struct command *command = find_command(line.words, line.count, &used);
    if (command == NULL) {
        return call_option(call, "help") != NULL && line.count == 0 ? DONE
                                                                    : unknown_command(call, &line);
    }
    call->command = command;
    outcome = walk(call, &line, argv, argc);
    if (outcome != DONE || call_option(call, "help") != NULL) {
        return outcome;
    }
    call->count = (int)(line.count - used);
    if (call->count < command->minimum) {
        return call_misused(call, "\"%s\" wants %s", command->name, command->arguments);
    }
    if (call->count > command->maximum || line.extra) {
        return call_misused(call, "\"%s\" is one argument too many",
                            line.words[used + (size_t)command->maximum]);
    }
    for (int i = 0; i < call->count; i++) {
        call->words[i] = line.words[used + (size_t)i];
    }
    if (call_option(call, "confirm") != NULL && !command->writes) {
        return call_misused(call, "--confirm is for changes of servers and users, and undo");
    }
    return DONE;
}

/* ---- where Weir is ---- */

/* Reads a token: the first line of a file. */
static char *read_token(const char *path)
{
    char line[1026] = "";
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool failed = file == NULL || (fgets(line, sizeof(line), file) == NULL && ferror(file));
    size_t end = 0;

    if (failed) {
        complain("the token file %s: %s", path, strerror(errno));
    }
    if (file != NULL && file != stdin) {
        fclose(file);
    }
    while (line[end] > ' ' && line[end] < 0x7f) {
        end++;
    }
    if (!failed && (end == 0 || end > 1024 || strchr(" \t\r\n", line[end]) == NULL)) {
        complain("the token file %s has no token in its first line", path);
        failed = true;
    }
    return failed ? NULL : copy_slice(line, end);
}

/* The socket of this installation, or else the one that weir.conf's example has. */
static const char *default_socket(void)
{
    static const char *const places[] = {WEIR_RUNDIR "/admin.sock", "/run/weir/admin.sock"};

    for (size_t i = 0; i < COUNT(places); i++) {
        if (access(places[i], F_OK) == 0) {
            return places[i];
        }
    }
    return places[1];
}

static enum outcome find_weir(struct call *call)
{
    char error[4600];
    struct endpoint *endpoint = &call->api.endpoint;
    const char *path = call_option(call, "socket");
    const char *url = call_option(call, "url");
    const char *token = call_option(call, "token-file");
    const char *timeout = find_option(call->command->options, "timeout", 7) == NULL
                              ? call_option(call, "timeout")
                              : NULL;

    if (path != NULL && url != NULL) {
        return call_misused(call, "--socket and --url name two places");
    }
    if (path == NULL && url == NULL) {
        path = getenv("WEIR_SOCKET");
        url = path == NULL ? getenv("WEIR_URL") : NULL;
    }
    token = token != NULL ? token : getenv("WEIR_TOKEN_FILE");
    bool good = url != NULL && path == NULL
                    ? endpoint_from_url(endpoint, url, error, sizeof(error))
                    : endpoint_from_socket(endpoint, path != NULL ? path : default_socket(), error,
                                           sizeof(error));
    if (!good) {
        return call_misused(call, "%s", error);
    }
    double seconds = timeout != NULL ? strtod(timeout, NULL) : 30;
    if (!(seconds > 0 && seconds <= 86400)) {
        return call_misused(call, "--timeout wants seconds, such as 30");
    }
    endpoint->read_ms = (int)(seconds * 1000);
    endpoint->connect_ms = endpoint->read_ms < 10000 ? endpoint->read_ms : 10000;
    endpoint->ca = call_option(call, "ca");
    if (token != NULL && (call->api.token = read_token(token)) == NULL) {
        return MISUSED;
    }
    call->api.confirm = call_option(call, "confirm");
    call->api.json = call_option(call, "json") != NULL;
    return DONE;
}

int main(int argc, char **argv)
{
    struct call call = {0};
    bool completing = argc > 1 && strcmp(argv[1], "--complete") == 0;

    setlocale(LC_CTYPE, "");
    if (display_width("\xc3\xa9") != 1) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    signal(SIGPIPE, SIG_DFL);
    if (completing) {
        complete_words(&call, (const char *const *)argv + 2, (size_t)argc - 2);
        return DONE;
    }
    enum outcome outcome = parse(&call, argv, argc);
    if (outcome != DONE) {
        return outcome;
    }
    if (call_option(&call, "version") != NULL) {
        printf("weirctl %s\n", PACKAGE_VERSION);
        return DONE;
    }
    if (call_option(&call, "help") != NULL) {
        if (call.command != NULL) {
            print_command_usage(stdout, call.command);
        } else {
            print_usage(stdout);
        }
        return DONE;
    }
    if (call.command == NULL) {
        print_usage(stderr);
        return MISUSED;
    }
    outcome = call.command->run == run_help ? DONE : find_weir(&call);
    if (outcome == DONE) {
        outcome = call.command->run(&call);
    }
    endpoint_clear(&call.api.endpoint);
    free(call.api.token);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output: %s", strerror(errno));
        return outcome == DONE ? REFUSED : outcome;
    }
    return outcome;
}
