/* SPDX-License-Identifier: MIT */
/*
 * Which certificate serves which name, by hash.
 */
#include "net/tls_names.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <weir/text.h>

/* Longest DNS name, and a dot at its end. */
#define NAME_MAX_LEN 254u

struct tls_name {
    struct table_named by_name;
    struct list all;
    unsigned certificate;
    char text[]; /* lower case; "*.example.com" as it stands */
};

void tls_names_init(struct tls_names *names)
{
    names->table = (struct table){0};
    list_init(&names->all);
}

static int find(const struct tls_names *names, struct weir_str name)
{
    struct table_named *found = table_find(&names->table, name);
    return found != NULL ? (int)container_of(found, struct tls_name, by_name)->certificate : -1;
}

/* Lower case, in `out`. */
static struct weir_str fold(struct weir_str name, char *out)
{
    for (size_t i = 0; i < name.len; i++) {
        out[i] = weir_lower(name.ptr[i]);
    }
    return (struct weir_str){out, name.len};
}

static void add(struct tls_names *names, struct weir_str text, unsigned index)
{
    if (text.len == 0 || text.len > NAME_MAX_LEN || memchr(text.ptr, '\0', text.len) != NULL) {
        return;
    }
    struct tls_name *name = base_zalloc(sizeof(*name) + text.len);
    struct weir_str folded = fold(text, name->text);
    if (find(names, folded) != -1) {
        free(name);
        return;
    }
    name->certificate = index;
    table_add_named(&names->table, &name->by_name, folded);
    list_push_back(&names->all, &name->all);
}

static struct weir_str string_of(const ASN1_STRING *text)
{
    return (struct weir_str){(const char *)ASN1_STRING_get0_data(text),
                             (size_t)ASN1_STRING_length(text)};
}

static struct weir_str common_name(X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0) {
        return (struct weir_str){0};
    }
    return string_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

void tls_names_add(struct tls_names *names, X509 *certificate, unsigned index)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == GEN_DNS) {
            found = true;
            add(names, string_of(name->d.dNSName), index);
        }
    }
    GENERAL_NAMES_free(all);
    if (!found) {
        add(names, common_name(certificate), index);
    }
}

int tls_names_find(const struct tls_names *names, struct weir_str name)
{
    char text[NAME_MAX_LEN + 1];

    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        return -1;
    }
    name = fold(name, text);
    int index = find(names, name);
    char *dot = memchr(text, '.', name.len);
    if (index != -1 || dot == NULL || dot == text) {
        return index;
    }
    dot[-1] = '*';
    return find(names, weir_str_skip(name, (size_t)(dot - text) - 1));
}

void tls_names_free(struct tls_names *names)
{
    list_each(link, &names->all)
    {
        struct tls_name *name = container_of(link, struct tls_name, all);
        table_remove(&name->by_name.link);
        free(name);
    }
    list_init(&names->all);
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
            part = string_of(name->d.dNSName);
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
