/* SPDX-License-Identifier: MIT */
/*
 * Which certificate serves which name: a sorted table, searched by halves.
 */
#include "net/tls_names.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* Longest DNS name, and a dot at its end. */
#define NAME_MAX_LEN 254u

static void add(struct tls_names *names, const char *text, size_t len, unsigned index)
{
    if (len == 0 || len > NAME_MAX_LEN || memchr(text, '\0', len) != NULL) {
        return;
    }
    names->names = base_realloc(names->names, (names->count + 1) * sizeof(*names->names));
    struct tls_name *name = &names->names[names->count++];
    name->text = base_strndup(text, len);
    name->len = len;
    name->certificate = index;
    for (char *c = name->text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char)(*c - 'A' + 'a');
        }
    }
}

static struct weir_str common_name(X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0) {
        return (struct weir_str){0};
    }
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return (struct weir_str){(const char *)ASN1_STRING_get0_data(text),
                             (size_t)ASN1_STRING_length(text)};
}

void tls_names_add(struct tls_names *names, X509 *certificate, unsigned index)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS) {
            found = true;
            add(names, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                (size_t)ASN1_STRING_length(name->d.dNSName), index);
        }
    }
    GENERAL_NAMES_free(all);
    if (!found) {
        struct weir_str name = common_name(certificate);
        add(names, name.ptr, name.len, index);
    }
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int order = compare_text(x->text, x->len, y->text, y->len);
    return order != 0 ? order
                      : (x->certificate > y->certificate) - (x->certificate < y->certificate);
}

void tls_names_sort(struct tls_names *names)
{
    if (names->count > 1) {
        qsort(names->names, names->count, sizeof(*names->names), compare);
    }
}

static int find(const struct tls_names *names, const char *text, size_t len)
{
    size_t low = 0, high = names->count;

    /* The first one that is not below it. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tls_name *name = &names->names[middle];
        if (compare_text(name->text, name->len, text, len) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == names->count) {
        return -1;
    }
    const struct tls_name *name = &names->names[low];
    return compare_text(name->text, name->len, text, len) == 0 ? (int)name->certificate : -1;
}

int tls_names_find(const struct tls_names *names, struct weir_str name)
{
    char wildcard[NAME_MAX_LEN + 2];

    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        return -1;
    }
    int index = find(names, name.ptr, name.len);
    const char *dot = memchr(name.ptr, '.', name.len);
    if (index != -1 || dot == NULL || dot == name.ptr) {
        return index;
    }
    size_t rest = (size_t)(name.ptr + name.len - dot);
    wildcard[0] = '*';
    memcpy(wildcard + 1, dot, rest);
    return find(names, wildcard, rest + 1);
}

void tls_names_free(struct tls_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i].text);
    }
    free(names->names);
    *names = (struct tls_names){0};
}

char *tls_names_text(X509 *certificate)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char *text = base_strdup("");

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        char address[INET6_ADDRSTRLEN] = "";
        struct weir_str part = {0};
        if (name->type == GEN_DNS) {
            part.ptr = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
            part.len = (size_t)ASN1_STRING_length(name->d.dNSName);
        } else if (name->type == GEN_IPADD) {
            int len = ASN1_STRING_length(name->d.iPAddress);
            if (len == 4 || len == 16) {
                inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress),
                          address, sizeof(address));
            }
            part = str_from(address);
        }
        if (part.len > 0) {
            char *longer =
                base_printf("%s%s%.*s", text, text[0] != '\0' ? ", " : "", STR_ARGS(part));
            free(text);
            text = longer;
        }
    }
    GENERAL_NAMES_free(all);
    if (text[0] == '\0') {
        struct weir_str name = common_name(certificate);
        free(text);
        text = base_strndup(name.len > 0 ? name.ptr : "", name.len);
    }
    return text;
}
