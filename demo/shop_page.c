/* SPDX-License-Identifier: MIT */
/* The frame of the shop's pages, its style sheet and its pictures. */
#include "shop.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fbfaf7;--card:#fff;--ink:#1d2421;--soft:#5d6963;"
    "--line:#e2e0d8;--accent:#0b6b57;--on-accent:#fff;--warn:#a33a12;--shade:0 1px 2px #0001,"
    "0 6px 20px #0000000d}\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#141917;--card:#1c2320;--ink:#e8ece9;"
    "--soft:#9daaa3;--line:#2d3733;--accent:#5fd0b2;--on-accent:#08211a;--warn:#ff9c73;"
    "--shade:none}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif}\n"
    "a{color:inherit;text-decoration-color:var(--accent);text-underline-offset:.2em}\n"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}\n"
    "header,main,footer{max-width:72rem;margin:auto;padding:0 1.25rem}\n"
    "header{display:flex;flex-wrap:wrap;gap:.75rem 1.5rem;align-items:center;padding-block:1rem;"
    "border-bottom:1px solid var(--line)}\n"
    "header a{text-decoration:none}\n"
    ".brand{font-size:1.35rem;font-weight:750;letter-spacing:-.02em}\n"
    ".brand i{font-style:normal;color:var(--accent)}\n"
    "header form{flex:1 1 14rem;display:flex;gap:.5rem}\n"
    "header nav{display:flex;gap:1.1rem;align-items:center}\n"
    "nav.shelves{max-width:72rem;margin:auto;padding:.75rem 1.25rem;display:flex;flex-wrap:wrap;"
    "gap:.5rem}\n"
    "nav.shelves a{border:1px solid var(--line);border-radius:99px;padding:.2rem .9rem;"
    "text-decoration:none;background:var(--card)}\n"
    "nav.shelves a[aria-current]{background:var(--accent);color:var(--on-accent);"
    "border-color:var(--accent)}\n"
    "main{padding-block:1rem 3rem;min-height:60vh}\n"
    "h1{font-size:1.8rem;line-height:1.2;letter-spacing:-.02em;margin:.5rem 0 1rem}\n"
    "ul.goods{list-style:none;padding:0;margin:0;display:grid;gap:1.1rem;"
    "grid-template-columns:repeat(auto-fill,minmax(13rem,1fr))}\n"
    "ul.goods a{display:block;height:100%;background:var(--card);border:1px solid var(--line);"
    "border-radius:14px;overflow:hidden;text-decoration:none;box-shadow:var(--shade)}\n"
    "ul.goods a:hover{border-color:var(--accent)}\n"
    "ul.goods img{display:block;width:100%;height:auto}\n"
    "ul.goods span{display:block;padding:.7rem .9rem 0;font-weight:600}\n"
    "ul.goods b{display:block;padding:.1rem .9rem .9rem;font-weight:400;color:var(--soft)}\n"
    ".product{display:grid;gap:2rem;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));"
    "align-items:start}\n"
    ".product img{width:100%;height:auto;border-radius:18px;border:1px solid var(--line)}\n"
    ".price{font-size:1.5rem;font-weight:650}\n"
    ".soft,.count,footer{color:var(--soft)}\n"
    "input,select,button{font:inherit;color:inherit;border:1px solid var(--line);"
    "border-radius:10px;padding:.5rem .8rem;background:var(--card);min-width:0}\n"
    "header input{flex:1}\n"
    "button{background:var(--accent);border-color:var(--accent);color:var(--on-accent);"
    "font-weight:600;cursor:pointer}\n"
    "button.quiet{background:none;border-color:var(--line);color:inherit;font-weight:400}\n"
    "form.inline{display:inline-flex;gap:.5rem;align-items:center;flex-wrap:wrap}\n"
    "form.stack{display:grid;gap:1rem;max-width:26rem}\n"
    "form.stack label{display:grid;gap:.25rem}\n"
    "input[type=number]{width:5.5rem}\n"
    ".scroll{overflow-x:auto}\n"
    "table{border-collapse:collapse;width:100%;background:var(--card);border-radius:14px;"
    "box-shadow:var(--shade)}\n"
    "th,td{text-align:left;padding:.7rem .9rem;border-bottom:1px solid var(--line)}\n"
    "td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}\n"
    "tfoot td{font-weight:650;border:0}\n"
    ".notice{border-left:4px solid var(--accent);background:var(--card);padding:.7rem 1rem;"
    "border-radius:8px}\n"
    ".notice.bad{border-color:var(--warn)}\n"
    ".pages{display:flex;gap:1rem;margin-top:1.5rem}\n"
    "footer{border-top:1px solid var(--line);padding-block:1.2rem 2rem;font-size:.9rem}\n";

void page_text(struct evbuffer *page, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const as[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    while (*text != '\0') {
        size_t plain = strcspn(text, special);
        evbuffer_add(page, text, plain);
        text += plain;
        if (*text != '\0') {
            const char *entity = as[strchr(special, *text) - special];
            evbuffer_add(page, entity, strlen(entity));
            text++;
        }
    }
}

void page_query(struct evbuffer *page, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (isalnum(*p) || strchr("-._~", *p) != NULL) {
            evbuffer_add(page, p, 1);
        } else {
            evbuffer_add_printf(page, "%%%02X", *p);
        }
    }
}

void page_price(struct evbuffer *page, uint64_t cents)
{
    evbuffer_add_printf(page, "\xe2\x82\xac\xc2\xa0%llu.%02llu", (unsigned long long)(cents / 100),
                        (unsigned long long)(cents % 100));
}

static void add_header(struct shop_request *rq, struct evbuffer *page)
{
    evbuffer_add_printf(
        page, "<header><a class=\"brand\" href=\"/\">Mill<i>race</i></a>\n"
              "<form action=\"/search\" role=\"search\"><input type=\"search\" name=\"q\" "
              "maxlength=\"100\" aria-label=\"Search the shop\" placeholder=\"Search\" value=\"");
    if (strcmp(rq->path, "/search") == 0) {
        page_text(page, shop_value(&rq->query, "q"));
    }
    evbuffer_add_printf(page, "\"><button>Search</button></form>\n<nav aria-label=\"You\">");
    if (rq->session != NULL && *rq->session->user != '\0') {
        evbuffer_add_printf(page, "<span class=\"soft\">Hello, <b id=\"user\">");
        page_text(page, rq->session->user);
        evbuffer_add_printf(page, "</b></span><form class=\"inline\" method=\"post\" "
                                  "action=\"/logout\"><button class=\"quiet\">Log out</button>"
                                  "</form>");
    } else {
        evbuffer_add_printf(page, "<a href=\"/login\">Log in</a>");
    }
    unsigned pieces = rq->session != NULL ? cart_pieces(&rq->session->cart) : 0;
    evbuffer_add_printf(page, "<a href=\"/cart\">Cart (%u)</a></nav></header>\n", pieces);
}

struct evbuffer *page_begin(struct shop_request *rq, const char *title)
{
    struct evbuffer *page = shop_buffer();
    evbuffer_add_printf(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                              "<meta name=\"viewport\" content=\"width=device-width, "
                              "initial-scale=1\">\n<title>");
    page_text(page, title);
    evbuffer_add_printf(page, " \xc2\xb7 Millrace</title>\n<link rel=\"stylesheet\" "
                              "href=\"/style.css\"><link rel=\"icon\" href=\"/favicon.svg\">\n"
                              "</head><body>\n");
    add_header(rq, page);
    evbuffer_add_printf(page, "<nav class=\"shelves\" aria-label=\"Shelves\">");
    const char *here =
        strcmp(rq->path, "/products") == 0 ? shop_value(&rq->query, "category") : NULL;
    for (const char *const *name = catalogue_categories(); *name != NULL; name++) {
        bool current = here != NULL && strcmp(here, *name) == 0;
        evbuffer_add_printf(page, "<a href=\"/products?category=%s\"%s>%s</a>\n", *name,
                            current ? " aria-current=\"page\"" : "", *name);
    }
    evbuffer_add_printf(page, "</nav>\n<main>");
    return page;
}

void page_end(struct shop_request *rq, int status, struct evbuffer *page)
{
    evbuffer_add_printf(page,
                        "</main>\n<footer>Millrace is the demo shop of Weir. This page was served "
                        "by <b>%s</b>.</footer>\n</body></html>\n",
                        rq->shop->name);
    shop_add_header(rq, "Cache-Control", "no-store");
    shop_add_header(rq, "Referrer-Policy", "same-origin");
    shop_add_header(rq, "Content-Security-Policy",
                    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                    "base-uri 'none'; frame-ancestors 'none'");
    shop_answer(rq, status, "text/html; charset=utf-8", page);
}

/* Answers with what seldom changes: browsers keep it for a minute and then ask whether it is still
 * the same. */
static void answer_kept(struct shop_request *rq, const char *type, struct evbuffer *body)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t len = evbuffer_get_length(body);
    const unsigned char *bytes = evbuffer_pullup(body, -1);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    char tag[24];
    snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)hash);
    shop_add_header(rq, "ETag", tag);
    shop_add_header(rq, "Cache-Control", "public, max-age=60");
    const char *known = shop_value(evhttp_request_get_input_headers(rq->http), "If-None-Match");
    if (strstr(known, tag) != NULL) {
        evbuffer_free(body);
        shop_answer(rq, 304, NULL, NULL);
    } else {
        shop_answer(rq, 200, type, body);
    }
}

void page_style(struct shop_request *rq)
{
    struct evbuffer *body = shop_buffer();
    evbuffer_add(body, style, sizeof style - 1);
    answer_kept(rq, "text/css; charset=utf-8", body);
}

void page_icon(struct shop_request *rq)
{
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(
        body, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" "
              "height=\"32\" rx=\"8\" fill=\"#0b6b57\"/><path d=\"M4 12q4-4 8 0t8 0 8 0M4 20q4-4 8 "
              "0t8 0 8 0\" fill=\"none\" stroke=\"#fff\" stroke-width=\"3\" "
              "stroke-linecap=\"round\"/></svg>\n");
    answer_kept(rq, "image/svg+xml", body);
}

/* A picture for each product: rings and waves in the colours of its shelf, laid out by its id. */
void page_picture(struct shop_request *rq)
{
    char slug[64];
    size_t len = strlen(rq->tail);
    const struct product *product = NULL;
    if (len > 4 && len < sizeof slug && strcmp(rq->tail + len - 4, ".svg") == 0) {
        memcpy(slug, rq->tail, len - 4);
        slug[len - 4] = '\0';
        product = catalogue_by_slug(slug);
    }
    if (product == NULL) {
        shop_error(rq, 404, "There is no such picture.");
        return;
    }
    unsigned hue = 0;
    const char *const *names = catalogue_categories();
    for (unsigned i = 0; names[i] != NULL; i++) {
        hue = strcmp(names[i], product->category) == 0 ? 25 + i * 67 : hue;
    }
    hue += product->id * 5 % 30;
    struct evbuffer *body = shop_buffer();
    evbuffer_add_printf(body,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 320 240\">"
                        "<rect width=\"320\" height=\"240\" fill=\"hsl(%u 45%% 82%%)\"/>\n",
                        hue);
    for (unsigned i = 0; i < 3; i++) {
        evbuffer_add_printf(
            body,
            "<circle cx=\"%u\" cy=\"%u\" r=\"%u\" fill=\"none\" "
            "stroke=\"hsl(%u 40%% %u%%)\" stroke-width=\"%u\"/>\n",
            60 + product->id * 37 * (i + 1) % 200, 50 + product->id * 53 * (i + 2) % 110,
            24 + (product->id + i * 3) % 5 * 9, hue + i * 14, 62 - i * 9, 10 + i * 5);
    }
    unsigned level = 150 + product->id * 7 % 45;
    evbuffer_add_printf(body,
                        "<path d=\"M0 %uq40-26 80 0t80 0 80 0 80 0V240H0Z\" "
                        "fill=\"hsl(%u 42%% 46%%)\" opacity=\".85\"/></svg>\n",
                        level, hue + 12);
    answer_kept(rq, "image/svg+xml", body);
}
