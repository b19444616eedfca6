/* SPDX-License-Identifier: MIT */
/* The shop's web side: pages with forms, which work without any script. */
#include "shop.h"

#include <stdio.h>
#include <string.h>

static void redirect(struct shop_request *rq, const char *where)
{
    shop_add_header(rq, "Location", where);
    shop_answer(rq, 303, NULL, NULL);
}

void shop_web_error(struct shop_request *rq, int status, const char *detail)
{
    struct evbuffer *page = page_begin(rq, "Something is wrong");
    evbuffer_add_printf(page, "<h1>%s</h1><p class=\"notice bad\">",
                        status == 404 ? "Not found" : "That did not work");
    page_text(page, detail);
    evbuffer_add_printf(page, "</p><p><a href=\"/\">Back to the shop</a></p>");
    page_end(rq, status, page);
}

static void add_goods(struct evbuffer *page, const struct product **goods, size_t count)
{
    evbuffer_add_printf(page, "<ul class=\"goods\">\n");
    for (size_t i = 0; i < count; i++) {
        evbuffer_add_printf(page,
                            "<li><a href=\"/product/%s\"><img src=\"/img/%s.svg\" alt=\"\" "
                            "width=\"320\" height=\"240\" loading=\"lazy\"><span>",
                            goods[i]->slug, goods[i]->slug);
        page_text(page, goods[i]->name);
        evbuffer_add_printf(page, "</span><b>");
        page_price(page, goods[i]->price_cents);
        evbuffer_add_printf(page, "</b></a></li>\n");
    }
    evbuffer_add_printf(page, "</ul>\n");
}

static void handle_home(struct shop_request *rq)
{
    const struct product *goods[8];
    for (unsigned i = 0; i < 8; i++) {
        goods[i] = catalogue_by_id(1 + i * 5 % (unsigned)catalogue_size());
    }
    struct evbuffer *page = page_begin(rq, "Things that last");
    evbuffer_add_printf(page,
                        "<h1>Things that last</h1><p class=\"soft\">%zu things for kitchen, "
                        "desk and the world outside. <a href=\"/products\">See them all</a>."
                        "</p>\n",
                        catalogue_size());
    add_goods(page, goods, 8);
    page_end(rq, 200, page);
}

static void add_page_link(struct shop_request *rq, struct evbuffer *page, unsigned number,
                          const char *text)
{
    evbuffer_add_printf(page, "<a href=\"%s?page=%u", rq->path, number);
    static const char *const kept[] = {"category", "q"};
    for (size_t i = 0; i < 2; i++) {
        const char *value = shop_value(&rq->query, kept[i]);
        if (*value != '\0') {
            evbuffer_add_printf(page, "&amp;%s=", kept[i]);
            page_query(page, value);
        }
    }
    evbuffer_add_printf(page, "\">%s</a>", text);
}

/* One page of a list: the shelves and the search look the same. */
static void answer_list(struct shop_request *rq, const char *title, const char *category,
                        const char *words)
{
    const struct product *found[CATALOGUE_MAX];
    size_t count = catalogue_find(category, words, found);
    unsigned pages = count == 0 ? 1 : (unsigned)((count + CATALOGUE_PAGE - 1) / CATALOGUE_PAGE);
    unsigned number = 1;
    const char *wanted = shop_value(&rq->query, "page");
    if (*wanted != '\0' && (!shop_number(wanted, pages, &number) || number == 0)) {
        shop_error(rq, 404, "There is no such page of this list.");
        return;
    }
    size_t first = (size_t)(number - 1) * CATALOGUE_PAGE;
    size_t shown = count - first < CATALOGUE_PAGE ? count - first : CATALOGUE_PAGE;
    struct evbuffer *page = page_begin(rq, title);
    evbuffer_add_printf(page, "<h1>");
    page_text(page, title);
    evbuffer_add_printf(page, "</h1><p class=\"count\">%zu found</p>\n", count);
    add_goods(page, found + first, shown);
    if (pages > 1) {
        evbuffer_add_printf(page, "<nav class=\"pages\" aria-label=\"Pages\">");
        if (number > 1) {
            add_page_link(rq, page, number - 1, "Back");
        }
        evbuffer_add_printf(page, "<span class=\"soft\">Page %u of %u</span>", number, pages);
        if (number < pages) {
            add_page_link(rq, page, number + 1, "More");
        }
        evbuffer_add_printf(page, "</nav>\n");
    }
    page_end(rq, 200, page);
}

static void handle_products(struct shop_request *rq)
{
    const char *category = shop_value(&rq->query, "category");
    const char *const *known = catalogue_categories();
    while (*category != '\0' && *known != NULL && strcmp(*known, category) != 0) {
        known++;
    }
    if (*known == NULL) {
        shop_error(rq, 404, "The shop has no such shelf.");
        return;
    }
    answer_list(rq, *category != '\0' ? category : "All our things", category, "");
}

static void handle_search(struct shop_request *rq)
{
    const char *words = shop_value(&rq->query, "q");
    char title[200];
    if (strlen(words) > 100) {
        shop_error(rq, 400, "That is too much to search for: at most 100 bytes.");
        return;
    }
    snprintf(title, sizeof title, "Search: %s", words);
    answer_list(rq, title, "", words);
}

static void handle_product(struct shop_request *rq)
{
    const struct product *product = catalogue_by_slug(rq->tail);
    if (product == NULL) {
        shop_error(rq, 404, "The shop does not have this.");
        return;
    }
    struct evbuffer *page = page_begin(rq, product->name);
    evbuffer_add_printf(page,
                        "<div class=\"product\"><img src=\"/img/%s.svg\" alt=\"\" width=\"320\" "
                        "height=\"240\"><div><p class=\"soft\"><a href=\"/products?category=%s\">"
                        "%s</a></p><h1>",
                        product->slug, product->category, product->category);
    page_text(page, product->name);
    evbuffer_add_printf(page, "</h1><p>");
    page_text(page, product->about);
    evbuffer_add_printf(page, "</p><p class=\"price\">");
    page_price(page, product->price_cents);
    evbuffer_add_printf(page,
                        "</p><form class=\"inline\" method=\"post\" action=\"/cart/add\">"
                        "<input type=\"hidden\" name=\"product\" value=\"%u\"><label>Pieces "
                        "<input type=\"number\" name=\"quantity\" value=\"1\" min=\"1\" "
                        "max=\"%d\"></label><button>Put into the cart</button></form></div></div>",
                        product->id, CART_QUANTITY);
    page_end(rq, 200, page);
}

static void add_cart_table(struct evbuffer *page, const struct cart *cart, bool can_change)
{
    evbuffer_add_printf(page, "<div class=\"scroll\"><table><thead><tr><th>Thing</th>"
                              "<th>Pieces</th><th class=\"number\">Price</th></tr></thead>"
                              "<tbody>\n");
    for (size_t i = 0; i < cart->count; i++) {
        const struct product *product = cart->lines[i].product;
        unsigned quantity = cart->lines[i].quantity;
        evbuffer_add_printf(page,
                            "<tr data-product=\"%u\" data-quantity=\"%u\"><td>"
                            "<a href=\"/product/%s\">",
                            product->id, quantity, product->slug);
        page_text(page, product->name);
        evbuffer_add_printf(page, "</a></td><td>");
        if (can_change) {
            evbuffer_add_printf(page,
                                "<form class=\"inline\" method=\"post\" action=\"/cart/set\">"
                                "<input type=\"hidden\" name=\"product\" value=\"%u\">"
                                "<input type=\"number\" name=\"quantity\" value=\"%u\" min=\"0\" "
                                "max=\"%d\" aria-label=\"Pieces\"><button class=\"quiet\">Change"
                                "</button></form>",
                                product->id, quantity, CART_QUANTITY);
        } else {
            evbuffer_add_printf(page, "%u", quantity);
        }
        evbuffer_add_printf(page, "</td><td class=\"number\">");
        page_price(page, (uint64_t)product->price_cents * quantity);
        evbuffer_add_printf(page, "</td></tr>\n");
    }
    evbuffer_add_printf(page,
                        "</tbody><tfoot><tr><td colspan=\"2\">Together</td>"
                        "<td class=\"number\" id=\"total\" data-cents=\"%llu\">",
                        (unsigned long long)cart_total(cart));
    page_price(page, cart_total(cart));
    evbuffer_add_printf(page, "</td></tr></tfoot></table></div>\n");
}

static void handle_cart(struct shop_request *rq)
{
    struct evbuffer *page = page_begin(rq, "Your cart");
    evbuffer_add_printf(page, "<h1>Your cart</h1>");
    if (rq->session == NULL || rq->session->cart.count == 0) {
        evbuffer_add_printf(page, "<p class=\"notice\">Your cart is empty.</p>");
    } else {
        add_cart_table(page, &rq->session->cart, true);
        evbuffer_add_printf(page, "<p><a href=\"/checkout\">To the checkout</a></p>");
    }
    page_end(rq, 200, page);
}

/* Reads product and quantity from the form of a request that changes the cart; false after an
 * error answer. */
static bool read_change(struct shop_request *rq, const struct product **product, unsigned *quantity)
{
    struct evkeyvalq form = {0};
    unsigned id = 0;
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This form was sent from another site.");
        return false;
    }
    if (!shop_form(rq, &form)) {
        return false;
    }
    bool well = shop_number(shop_value(&form, "product"), CATALOGUE_MAX, &id) &&
                shop_number(shop_value(&form, "quantity"), CART_QUANTITY, quantity);
    evhttp_clear_headers(&form);
    *product = catalogue_by_id(id);
    if (!well || *product == NULL) {
        shop_error(rq, 422, "Wanted: a product of the shop, and 0 to 99 pieces of it.");
        return false;
    }
    return true;
}

static void answer_changed(struct shop_request *rq, enum cart_result result)
{
    switch (result) {
    case CART_OK: redirect(rq, "/cart"); break;
    case CART_NOT_THERE: shop_error(rq, 404, "This is not in your cart."); break;
    case CART_TOO_MANY_PIECES: shop_error(rq, 422, "At most 99 pieces of each thing."); break;
    case CART_TOO_MANY_LINES: shop_error(rq, 422, "At most 32 different things."); break;
    }
}

static void handle_cart_add(struct shop_request *rq)
{
    const struct product *product;
    unsigned quantity = 0;
    if (!read_change(rq, &product, &quantity)) {
        return;
    }
    if (quantity == 0) {
        shop_error(rq, 422, "At least one piece goes into a cart.");
    } else if (shop_need_session(rq) != NULL) {
        answer_changed(rq, cart_add(&rq->session->cart, product, quantity));
    }
}

static void handle_cart_set(struct shop_request *rq)
{
    const struct product *product;
    unsigned quantity = 0;
    if (read_change(rq, &product, &quantity)) {
        answer_changed(rq, rq->session == NULL ? CART_NOT_THERE
                                               : cart_set(&rq->session->cart, product, quantity));
    }
}

static void handle_checkout(struct shop_request *rq)
{
    if (rq->session == NULL || rq->session->cart.count == 0) {
        redirect(rq, "/cart");
        return;
    }
    struct evbuffer *page = page_begin(rq, "Checkout");
    evbuffer_add_printf(page, "<h1>Checkout</h1>");
    add_cart_table(page, &rq->session->cart, false);
    evbuffer_add_printf(page,
                        "<h2>Who gets it?</h2><form class=\"stack\" method=\"post\" "
                        "action=\"/checkout\"><label>Name <input name=\"name\" required "
                        "maxlength=\"%d\" autocomplete=\"name\" value=\"",
                        ORDER_NAME_LEN);
    page_text(page, rq->session->user);
    evbuffer_add_printf(page, "\"></label><button>Order</button></form>");
    page_end(rq, 200, page);
}

static void handle_order_now(struct shop_request *rq)
{
    struct evkeyvalq form = {0};
    char where[sizeof "/order/" + ORDER_NUMBER_LEN];
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This form was sent from another site.");
        return;
    }
    if (!shop_form(rq, &form)) {
        return;
    }
    const char *name = shop_value(&form, "name");
    if (rq->session == NULL || rq->session->cart.count == 0) {
        shop_error(rq, 409, "There is nothing in your cart to be ordered.");
    } else if (*name == '\0' || strlen(name) > ORDER_NAME_LEN) {
        shop_error(rq, 422, "A name of 1 to 80 bytes is needed.");
    } else {
        const struct order *order = session_order(rq->session, name);
        if (order == NULL) {
            shop_error(rq, 500, "The order got no number; nothing was ordered.");
        } else {
            snprintf(where, sizeof where, "/order/%s", order->number);
            redirect(rq, where);
        }
    }
    evhttp_clear_headers(&form);
}

static void handle_order(struct shop_request *rq)
{
    const struct order *order =
        rq->session != NULL ? session_find_order(rq->session, rq->tail) : NULL;
    if (order == NULL) {
        shop_error(rq, 404, "You have no such order.");
        return;
    }
    struct evbuffer *page = page_begin(rq, "Thank you");
    evbuffer_add_printf(page, "<h1>Thank you, ");
    page_text(page, order->name);
    evbuffer_add_printf(page,
                        "</h1><p class=\"notice\">Order <b id=\"order\">%s</b> is on its "
                        "way.</p>\n",
                        order->number);
    add_cart_table(page, &order->goods, false);
    page_end(rq, 200, page);
}

static void answer_login_page(struct shop_request *rq, int status, const char *problem)
{
    struct evbuffer *page = page_begin(rq, "Log in");
    evbuffer_add_printf(page, "<h1>Log in</h1>");
    if (*problem != '\0') {
        evbuffer_add_printf(page, "<p class=\"notice bad\">%s</p>", problem);
    }
    evbuffer_add_printf(page,
                        "<form class=\"stack\" method=\"post\" action=\"/login\">"
                        "<label>Name <input name=\"user\" required maxlength=\"%d\" "
                        "autocomplete=\"username\"></label><label>Password <input "
                        "type=\"password\" name=\"password\" required "
                        "autocomplete=\"current-password\"></label>"
                        "<button>Log in</button></form><p class=\"soft\">This is a demo: "
                        "<b>ada</b>, <b>grace</b>, <b>edsger</b> and <b>barbara</b> have the "
                        "password <b>millrace</b>.</p>",
                        SESSION_USER_LEN);
    page_end(rq, status, page);
}

static void handle_login_page(struct shop_request *rq)
{
    answer_login_page(rq, 200, "");
}

static void handle_login(struct shop_request *rq)
{
    struct evkeyvalq form = {0};
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This form was sent from another site.");
        return;
    }
    if (!shop_form(rq, &form)) {
        return;
    }
    if (!shop_account_ok(shop_value(&form, "user"), shop_value(&form, "password"))) {
        answer_login_page(rq, 401, "Name and password do not belong together.");
    } else if (shop_log_in(rq, shop_value(&form, "user"))) {
        redirect(rq, "/");
    }
    evhttp_clear_headers(&form);
}

static void handle_logout(struct shop_request *rq)
{
    if (!shop_same_site(rq)) {
        shop_error(rq, 403, "This form was sent from another site.");
        return;
    }
    shop_log_out(rq);
    redirect(rq, "/");
}

const struct shop_route shop_web_routes[] = {
    {"/", EVHTTP_REQ_GET, handle_home},
    {"/products", EVHTTP_REQ_GET, handle_products},
    {"/search", EVHTTP_REQ_GET, handle_search},
    {"/product/*", EVHTTP_REQ_GET, handle_product},
    {"/img/*", EVHTTP_REQ_GET, page_picture},
    {"/style.css", EVHTTP_REQ_GET, page_style},
    {"/favicon.svg", EVHTTP_REQ_GET, page_icon},
    {"/cart", EVHTTP_REQ_GET, handle_cart},
    {"/cart/add", EVHTTP_REQ_POST, handle_cart_add},
    {"/cart/set", EVHTTP_REQ_POST, handle_cart_set},
    {"/checkout", EVHTTP_REQ_GET, handle_checkout},
    {"/checkout", EVHTTP_REQ_POST, handle_order_now},
    {"/order/*", EVHTTP_REQ_GET, handle_order},
    {"/login", EVHTTP_REQ_GET, handle_login_page},
    {"/login", EVHTTP_REQ_POST, handle_login},
    {"/logout", EVHTTP_REQ_POST, handle_logout},
    {"/health", EVHTTP_REQ_GET, shop_handle_health},
    {NULL, EVHTTP_REQ_GET, NULL},
};
