/* SPDX-License-Identifier: MIT */
/*
 * A module in C++ of three kinds, which throws where its options say, and is a good one where they
 * say nothing: it takes the idlest server, names it in a field, makes bodies upper-case where
 * `upper` says so, and routes to the pool `pool` what comes to /.
 */
#include <weir/weir.hpp>

#include <cstdio>

namespace
{

enum hook {
    NOWHERE,
    PREPARE,
    CREATE,
    COST,
    ON_MEMBERS,
    ON_SENT,
    ON_HEAD,
    ON_COMPLETE,
    SCORE,
    ON_REQUEST,
    ON_RESPONSE,
    ON_RESPONSE_DATA,
    ROUTE,
    EXPLAIN,
    TIMER,
};
const char *const hooks[] = {"nowhere",    "prepare",    "create",      "cost",
                             "on_members", "on_sent",    "on_head",     "on_complete",
                             "score",      "on_request", "on_response", "on_response_data",
                             "route",      "explain",    "timer",       nullptr};
enum what { RUNTIME_ERROR, NO_MEMORY, NUMBER };
const char *const whats[] = {"runtime_error", "no_memory", "number", nullptr};

struct conf {
    std::int32_t hook;
    std::int32_t what;
    weir_str pool;
    bool upper;
    weir_list words;
};

constexpr unsigned EVERYWHERE = WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_POOL;
const weir_option rows[] = {
    WEIR_OPTION_ENUM(conf, hook, hooks, "nowhere", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                     "Where it throws."),
    WEIR_OPTION_ENUM(conf, what, whats, "runtime_error", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                     "What it throws."),
    WEIR_OPTION(conf, pool, STRING, nullptr, WEIR_CONTEXT_MODULE, WEIR_OPTION_RELOADABLE,
                "Where requests for / go; empty: it routes nothing."),
    WEIR_OPTION(conf, upper, BOOLEAN, "off", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                "Whether bodies become upper-case."),
    WEIR_OPTION_LIST(conf, words, STRING, "{\"a\", \"b\"}", EVERYWHERE, WEIR_OPTION_RELOADABLE,
                     "What the field says behind the server's name."),
};

/* What conf_create prepares. */
struct ready {
    weir_pool_ref pool = WEIR_NO_REF;
    weir_route_ref route = WEIR_NO_REF;
    std::string words;
};

void maybe(const conf &given, hook where)
{
    if (given.hook == where && given.what == RUNTIME_ERROR) {
        throw std::runtime_error("thrown\nhere");
    }
    if (given.hook == where && given.what == NO_MEMORY) {
        throw std::bad_alloc();
    }
    if (given.hook == where) {
        throw 42;
    }
}

/* What the three have in common. */
struct common {
    using options = conf;
    using shared = ready;
    const conf &options_;
    const ready &ready_;
};

struct balances : common, weir::balancer {
    static constexpr weir_options table = WEIR_OPTIONS(conf, rows);
    struct slot {
        std::uint64_t requests;
    };
    static constexpr std::uint32_t slot_version = 3;

    static std::unique_ptr<ready> prepare(weir::check &check, const conf &given)
    {
        auto made = std::make_unique<ready>();
        maybe(given, PREPARE);
        if (given.pool.len > 0 && weir_block_name(check.ctx().raw()).len == 0) {
            made->pool = check.pool(given.pool);
            made->route = check.route(&given.pool, weir_str_of("throws"));
        }
        for (weir_str word : weir::list<weir_str>(given.words)) {
            made->words += " " + std::string(weir::view(word));
        }
        return made;
    }

    balances(weir::context ctx, const conf &given, const ready &prepared)
        : common{given, prepared}, timer_(ctx, [this] { maybe(options_, TIMER); })
    {
        maybe(given, CREATE);
        timer_.set(1000000);
    }
    double cost(const weir::candidate &server)
    {
        maybe(options_, COST);
        return server.load();
    }
    void on_members(const weir::candidates &)
    {
        maybe(options_, ON_MEMBERS);
    }
    void on_sent(const weir::candidate &server)
    {
        server.slot<slot>().requests++;
        maybe(options_, ON_SENT);
    }
    void on_head(const weir_feedback &)
    {
        maybe(options_, ON_HEAD);
    }
    void on_complete(const weir_feedback &)
    {
        maybe(options_, ON_COMPLETE);
    }
    void score(const weir::pick &pick, std::uint32_t index, weir_score &out)
    {
        maybe(options_, SCORE);
        std::snprintf(out.text, sizeof(out.text), "%llu so far",
                      (unsigned long long)pick.candidates()[index].slot<slot>().requests);
    }

  private:
    weir::timer timer_;
};

struct filters : common, weir::filter {
    filters(weir::context, const conf &given, const ready &prepared) : common{given, prepared} {}
    weir_status on_request(weir::request &req)
    {
        maybe(options_, ON_REQUEST);
        return req.path() == "/refused" ? req.reply_error(403) : WEIR_OK;
    }
    void on_response(weir::request &req, weir::response &resp)
    {
        maybe(options_, ON_RESPONSE);
        std::string served(req.text(WEIR_REQUEST_SERVER));
        resp.set_header("X-Throws", served + ready_.words);
        if (options_.upper) {
            auto made = std::make_unique<body>();
            made->options = &options_;
            resp.transform(std::move(made));
        }
    }
    void explain(weir::request &req, weir_filter_verdict &verdict)
    {
        maybe(options_, EXPLAIN);
        verdict.status = req.path() == "/refused" ? 403 : 0;
    }
    struct body {
        const conf *options;
        void data(weir::output &out, std::string_view bytes, weir_flow)
        {
            maybe(*options, ON_RESPONSE_DATA);
            std::string upper(bytes);
            for (char &c : upper) {
                c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            }
            out.write(upper);
        }
    };
};

struct routes : common, weir::router {
    routes(weir::context, const conf &given, const ready &prepared) : common{given, prepared} {}
    bool route(weir::request &, weir_route_result &out)
    {
        maybe(options_, ROUTE);
        out.pool = ready_.pool;
        out.route = ready_.route;
        return ready_.pool != WEIR_NO_REF;
    }
    void explain(weir::request &, const weir_rule_sink &sink)
    {
        maybe(options_, EXPLAIN);
        if (ready_.pool != WEIR_NO_REF) {
            weir_rule rule{sizeof(weir_rule), WEIR_RULE_WINS, weir_str_of("throws"),
                           weir_str_of("all"), ready_.route};
            weir_rule_tell(&sink, &rule);
        }
    }
};

} // namespace

WEIR_CPP_MODULE("balance_throws", "1.0", "MIT", "throws", balances, filters, routes);
