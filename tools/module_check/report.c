/* SPDX-License-Identifier: MIT */
/*
 * What was found: facts, checks, and what is wrong, for people and as JSON. What is wrong in the
 * same way again is counted.
 */
#include "check.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_symbols(const struct report *report, cJSON *to)
{
    cJSON *exported = cJSON_AddArrayToObject(to, "exports");
    cJSON *undefined = cJSON_AddArrayToObject(to, "undefined");
    cJSON *needed = cJSON_AddArrayToObject(to, "needs");

    for (size_t i = 0; i < report->elf->dynamic_count; i++) {
        const struct elf_symbol *symbol = &report->elf->symbols[i];
        if (symbol->exported || symbol->undefined) {
            cJSON_AddItemToArray(symbol->exported ? exported : undefined,
                                 cJSON_CreateString(symbol->name));
        }
    }
    for (size_t i = 0; i < report->elf->needed_count; i++) {
        cJSON_AddItemToArray(needed, cJSON_CreateString(report->elf->needed[i]));
    }
}

void report_begin(struct report *report, const struct command *command, const struct elf_file *elf)
{
    *report = (struct report){
        .command = command,
        .elf = elf,
        .facts = cJSON_CreateObject(),
        .checks = cJSON_CreateArray(),
        .findings = cJSON_CreateArray(),
    };
    add_symbols(report, report->facts);
}

/* ---- findings ---- */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
    return text != NULL ? text : "";
}

/* The same but for numbers. */
static bool alike(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            a += strspn(a, "0123456789");
            b += strspn(b, "0123456789");
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return *a == *b;
}

static void add(struct report *report, const char *check, const char *what, const char *where,
                const char *right, double seed)
{
    cJSON *finding;

    cJSON_ArrayForEach(finding, report->findings)
    {
        if (strcmp(text_of(finding, "check"), check) == 0 &&
            alike(text_of(finding, "what"), what) &&
            strcmp(text_of(finding, "where"), where) == 0) {
            cJSON *times = cJSON_GetObjectItem(finding, "times");
            cJSON_SetNumberValue(times, times->valuedouble + 1);
            return;
        }
    }
    finding = cJSON_CreateObject();
    cJSON_AddStringToObject(finding, "check", check);
    cJSON_AddStringToObject(finding, "what", what);
    cJSON_AddStringToObject(finding, "where", where);
    cJSON_AddStringToObject(finding, "right", right);
    if (seed > 0) {
        cJSON_AddNumberToObject(finding, "seed", seed);
    }
    cJSON_AddNumberToObject(finding, "times", 1);
    cJSON_AddItemToArray(report->findings, finding);
}

void report_add(struct report *report, const char *check, const char *what, const char *where,
                const char *right)
{
    add(report, check, what, where, right, 0);
}

/* ---- a child that did not end well ---- */

static void place(const struct report *report, const struct child *child, char *out, size_t size)
{
    const struct elf_symbol *function = elf_function(report->elf, child->offset);
    int len = snprintf(out, size, "%s%s", child->in_hook ? "" : "after ",
                       child->hook != NULL ? child->hook : "its start");

    if (len > 0 && (size_t)len < size && child->offset != 0) {
        if (function != NULL) {
            snprintf(out + len, size - (size_t)len, ", at %s+0x%zx (0x%zx of the file)",
                     function->name, (size_t)(child->offset - function->from),
                     (size_t)child->offset);
        } else {
            snprintf(out + len, size - (size_t)len, ", at 0x%zx of the file",
                     (size_t)child->offset);
        }
    }
}

/* Copies the rest of the line. */
static void line_from(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

/* What a sanitizer has written, and the first frame that has a source file of the module. */
static bool sanitizer_report(const struct child *child, char *what, size_t what_size, char *where,
                             size_t where_size)
{
    const char *report = strstr(child->errors, "ERROR: AddressSanitizer: ");
    const char *undefined = strstr(child->errors, "runtime error: ");
    char frame[512];

    if (report == NULL && undefined == NULL) {
        return false;
    }
    line_from(report != NULL ? report + strlen("ERROR: ") : undefined, what, what_size);
    if (report == NULL) { /* file:line:column stands before it */
        const char *begin = undefined;
        while (begin > child->errors && begin[-1] != '\n') {
            begin--;
        }
        line_from(begin, what, what_size);
    }
    for (const char *line = report != NULL ? report : undefined; line != NULL;
         line = strchr(line + 1, '\n')) {
        line_from(line + (*line == '\n' ? 1 : 0), frame, sizeof(frame));
        const char *in = strstr(frame, " in ");
        if (in != NULL && strstr(in, ".so+") == NULL && strstr(in, ".c:") != NULL &&
            strstr(in, "libsanitizer") == NULL) {
            size_t len = strlen(where);
            snprintf(where + len, where_size - len, ": %s", in + 4);
            break;
        }
    }
    return true;
}

/* The last line that begins so; NULL: there is none. */
static const char *last_line(const char *text, const char *begin)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, begin)) != NULL; at++) {
        last = at;
    }
    return last;
}

static void add_end(struct report *report, const char *name, const struct child *child)
{
    char what[1024], where[512];
    const char *right = "no fault: --sanitize SOURCE.c tells more";
    const char *abort_text = last_line(child->errors, "weir-testing: ");

    place(report, child, where, sizeof(where));
    if (child->end == CHILD_HUNG) {
        snprintf(what, sizeof(what), "it did not come back within %g s",
                 (double)report->command->timeout_ms / 1000);
        right = "each call ends at once: no endless loop, no waiting (--timeout gives more time)";
    } else if (sanitizer_report(child, what, sizeof(what), where, sizeof(where))) {
        right = "no report of a sanitizer";
    } else if (child->signal == 0) {
        snprintf(what, sizeof(what), "it ended the process");
        right = "no exit, whatever happens";
    } else if (child->lent != NULL) {
        snprintf(what, sizeof(what), "it crashed (%s): it used %s", strsignal(child->signal),
                 child->lent);
        right = "what the host lends is used in its time alone: copy it, or ask for it anew";
    } else {
        int len = snprintf(what, sizeof(what), "it crashed: %s", strsignal(child->signal));
        if (child->signal == SIGSEGV || child->signal == SIGBUS) {
            snprintf(what + len, sizeof(what) - (size_t)len, " at the address %p", child->address);
        }
        if (child->signal == SIGABRT && abort_text != NULL) {
            line_from(abort_text, what, sizeof(what));
        }
    }
    add(report, name, what, where, right, (double)child->seed);
}

bool report_take(struct report *report, const char *name, struct child *child)
{
    int before = cJSON_GetArraySize(report->findings);
    cJSON *line;

    cJSON_ArrayForEach(line, child->lines)
    {
        const char *fact = cJSON_GetStringValue(cJSON_GetObjectItem(line, "fact"));
        if (fact != NULL) {
            cJSON_DeleteItemFromObject(report->facts, fact);
            cJSON_AddItemToObject(report->facts, fact, cJSON_DetachItemFromObject(line, "value"));
        } else {
            cJSON *seed = cJSON_GetObjectItem(line, "seed");
            add(report, name, text_of(line, "what"), text_of(line, "where"), text_of(line, "right"),
                seed != NULL ? seed->valuedouble : 0);
        }
    }
    if (child->end != CHILD_DONE) {
        add_end(report, name, child);
    }
    bool good = cJSON_GetArraySize(report->findings) == before;
    cJSON *check = cJSON_CreateObject();
    cJSON_AddStringToObject(check, "name", name);
    cJSON_AddBoolToObject(check, "good", good);
    cJSON_AddItemToArray(report->checks, check);
    child_clear(child);
    return good;
}

/* ---- printing ---- */

/* Texts of an array, or an object's names with their numbers, in one line. */
static void print_list(const char *name, const cJSON *list)
{
    const cJSON *item;
    const char *comma = "";

    printf("  %-9s ", name);
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item)) {
            printf("%s%s", comma, cJSON_GetStringValue(item));
        } else {
            printf("%s%s %.0f", comma, item->string, item->valuedouble);
        }
        comma = ", ";
    }
    printf("\n");
}

static void print_options(const cJSON *module)
{
    const cJSON *option;

    cJSON_ArrayForEach(option, cJSON_GetObjectItem(module, "options"))
    {
        const char *least = text_of(option, "minimum"), *most = text_of(option, "maximum");
        printf("  option    %s: %s", text_of(option, "name"), text_of(option, "type"));
        if (text_of(option, "default")[0] != '\0') {
            printf(", default %s", text_of(option, "default"));
        } else if (cJSON_IsTrue(cJSON_GetObjectItem(option, "required"))) {
            printf(", required");
        }
        if (least[0] != '\0' || most[0] != '\0') {
            printf(", %s to %s", least[0] != '\0' ? least : "any", most[0] != '\0' ? most : "any");
        }
        printf("; %s\n", text_of(option, "document"));
    }
}

static void print_facts(const struct report *report)
{
    const cJSON *module = cJSON_GetObjectItem(report->facts, "module"), *item;

    if (module != NULL) {
        printf("%s %s (%s), ABI %s\n", text_of(module, "name"), text_of(module, "version"),
               text_of(module, "license"), text_of(module, "abi"));
        print_list("kinds", cJSON_GetObjectItem(module, "kinds"));
        print_list("sizes", cJSON_GetObjectItem(module, "sizes"));
        print_options(module);
    }
    print_list("exports", cJSON_GetObjectItem(report->facts, "exports"));
    print_list("needs", cJSON_GetObjectItem(report->facts, "needs"));
    print_list("undefined", cJSON_GetObjectItem(report->facts, "undefined"));
    cJSON_ArrayForEach(item, report->checks)
    {
        printf("  %-9s %s\n", cJSON_IsTrue(cJSON_GetObjectItem(item, "good")) ? "good" : "WRONG",
               text_of(item, "name"));
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(report->facts, "calls"))
    {
        const cJSON *other = cJSON_GetObjectItem(item, "least_conn_ns");
        printf("  pick      %5.0f servers: %.0f ns",
               cJSON_GetObjectItem(item, "servers")->valuedouble,
               cJSON_GetObjectItem(item, "ns")->valuedouble);
        if (other != NULL) {
            printf(" (least_conn %.0f)", other->valuedouble);
        }
        printf("\n");
    }
}

static void print_findings(const struct report *report)
{
    const cJSON *finding;

    cJSON_ArrayForEach(finding, report->findings)
    {
        double times = cJSON_GetObjectItem(finding, "times")->valuedouble;
        const cJSON *seed = cJSON_GetObjectItem(finding, "seed");
        printf("%s: %s: %s; in %s", report->command->name, text_of(finding, "check"),
               text_of(finding, "what"), text_of(finding, "where"));
        if (times > 1) {
            printf(", %.0f times", times);
        }
        if (seed != NULL) {
            printf(", --seed %.0f", seed->valuedouble);
        }
        printf("; right: %s\n", text_of(finding, "right"));
    }
}

static void print_json(struct report *report, bool good)
{
    cJSON *all = cJSON_CreateObject(), *fact;

    cJSON_AddStringToObject(all, "file", report->command->name);
    cJSON_AddBoolToObject(all, "good", good);
    cJSON_ArrayForEach(fact, report->facts)
    {
        if (strcmp(fact->string, "conf") != 0) {
            cJSON_AddItemReferenceToObject(all, fact->string, fact);
        }
    }
    cJSON_AddItemReferenceToObject(all, "checks", report->checks);
    cJSON_AddItemReferenceToObject(all, "findings", report->findings);
    char *text = cJSON_Print(all);
    puts(text != NULL ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(all);
}

int report_end(struct report *report)
{
    bool good = cJSON_GetArraySize(report->findings) == 0;

    if (report->command->json) {
        print_json(report, good);
    } else {
        print_facts(report);
        print_findings(report);
    }
    cJSON_Delete(report->facts);
    cJSON_Delete(report->checks);
    cJSON_Delete(report->findings);
    return good ? 0 : 1;
}
