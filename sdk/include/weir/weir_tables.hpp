/* SPDX-License-Identifier: MIT */
/*
 * How classes become tables of hooks. Included by weir.hpp, and by nobody else.
 */
#ifndef WEIR_WEIR_TABLES_HPP
#define WEIR_WEIR_TABLES_HPP

#include <cstring>
#include <limits>
#include <type_traits>

namespace weir::detail
{

/* ---- which members there are ---- */

#define WEIR_HAS_(name)                                                                         \
    template <class T, class = void> struct has_##name : std::false_type {                      \
    };                                                                                          \
    template <class T> struct has_##name<T, std::void_t<decltype(&T::name)>> : std::true_type { \
    }
WEIR_HAS_(table);
WEIR_HAS_(metrics);
WEIR_HAS_(prepare);
WEIR_HAS_(validate);
WEIR_HAS_(pick);
WEIR_HAS_(turns);
WEIR_HAS_(slot_version);
WEIR_HAS_(choices);
WEIR_HAS_(on_members);
WEIR_HAS_(on_sent);
WEIR_HAS_(on_head);
WEIR_HAS_(on_complete);
WEIR_HAS_(score);
WEIR_HAS_(on_request);
WEIR_HAS_(on_response);
WEIR_HAS_(explain);
#undef WEIR_HAS_

#define WEIR_TYPE_OF_(name)                                                 \
    template <class T, class = void> struct name##_of {                     \
        struct type {                                                       \
        };                                                                  \
        static constexpr bool is_there = false;                             \
    };                                                                      \
    template <class T> struct name##_of<T, std::void_t<typename T::name>> { \
        using type = typename T::name;                                      \
        static constexpr bool is_there = true;                              \
    }
WEIR_TYPE_OF_(options);
WEIR_TYPE_OF_(shared);
WEIR_TYPE_OF_(slot);
WEIR_TYPE_OF_(body);
#undef WEIR_TYPE_OF_

template <class T, class = void> struct has_cost : std::false_type {
};
template <class T>
struct has_cost<T,
                std::void_t<decltype(std::declval<T &>().cost(std::declval<const candidate &>()))>>
    : std::true_type {
};
template <class T, class = void> struct has_cost_by_request : std::false_type {
};
template <class T>
struct has_cost_by_request<
    T, std::void_t<decltype(std::declval<T &>().cost(std::declval<const candidate &>(),
                                                     std::declval<const weir::pick &>()))>>
    : std::true_type {
};

/* ---- instances ---- */

template <class T> T &self(void *instance)
{
    return *static_cast<T *>(instance);
}

/* The options; a module without a table has none, and gets NULL. */
template <class T> const typename options_of<T>::type &conf_of(const void *conf)
{
    if constexpr (options_of<T>::is_there) {
        return *static_cast<const typename T::options *>(conf);
    } else {
        static const typename options_of<T>::type none{};
        (void)conf;
        return none;
    }
}

template <class T> T *construct(weir_context *raw, const void *conf_ptr, const void *prepared)
{
    using options = typename options_of<T>::type;
    using shared = typename shared_of<T>::type;
    context ctx(raw);
    const options &conf = conf_of<T>(conf_ptr);

    if constexpr (std::is_constructible_v<T, context, const options &, const shared &>) {
        if (prepared == nullptr) {
            throw std::runtime_error("prepare has made nothing");
        }
        return new T(ctx, conf, *static_cast<const shared *>(prepared));
    } else if constexpr (std::is_constructible_v<T, context, const options &>) {
        return new T(ctx, conf);
    } else if constexpr (std::is_constructible_v<T, context>) {
        return new T(ctx);
    } else {
        return new T();
    }
}

template <class T> struct life {
    static weir_status create(weir_context *ctx, const void *conf, void *prepared,
                              void **instance) noexcept
    {
        return with_status(ctx, [&] {
            *instance = construct<T>(ctx, conf, prepared);
            return WEIR_OK;
        });
    }
    static void destroy(weir_context *, void *instance) noexcept
    {
        delete static_cast<T *>(instance);
    }
};

/* ---- balancers ---- */

template <class T> struct balancer_hooks {
    using slot = typename slot_of<T>::type;

    static double cost(weir_context *ctx, void *instance, const weir_candidate *raw,
                       const weir_pick *pick_raw) noexcept
    {
        constexpr double none = std::numeric_limits<double>::quiet_NaN();
        return guarded(ctx, by::log, none, none, [&]() -> double {
            if constexpr (has_cost_by_request<T>::value) {
                return self<T>(instance).cost(candidate(raw), weir::pick(pick_raw));
            } else {
                (void)pick_raw;
                return self<T>(instance).cost(candidate(raw));
            }
        });
    }

    /* What is thrown is told by an index that is none. */
    static std::uint32_t pick(weir_context *ctx, void *instance, const weir_pick *raw) noexcept
    {
        std::uint32_t none = raw->candidates->count;
        return guarded(ctx, by::log, none, none, [&]() -> std::uint32_t {
            return self<T>(instance).pick(weir::pick(raw)).value_or(WEIR_PICK_NONE);
        });
    }

    static std::uint32_t choices(weir_context *ctx, const void *conf) noexcept
    {
        return guarded(ctx, by::fault, std::uint32_t(0), std::uint32_t(0), [&]() -> std::uint32_t {
            using options = typename options_of<T>::type;
            if constexpr (std::is_invocable_v<decltype(&T::choices), const options &>) {
                return T::choices(conf_of<T>(conf));
            } else {
                return T::choices();
            }
        });
    }

    static weir_status on_members(weir_context *ctx, void *instance,
                                  const weir_candidates *all) noexcept
    {
        return with_status(ctx, [&] {
            self<T>(instance).on_members(candidates(all));
            return WEIR_OK;
        });
    }

    static void on_sent(weir_context *ctx, void *instance, const weir_candidate *raw) noexcept
    {
        without_status(ctx, [&] { self<T>(instance).on_sent(candidate(raw)); });
    }

    static void on_head(weir_context *ctx, void *instance, const weir_feedback *how) noexcept
    {
        without_status(ctx, [&] { self<T>(instance).on_head(*how); });
    }

    static void on_complete(weir_context *ctx, void *instance, const weir_feedback *how) noexcept
    {
        without_status(ctx, [&] { self<T>(instance).on_complete(*how); });
    }

    static weir_status score(weir_context *ctx, void *instance, const weir_pick *raw,
                             std::uint32_t index, weir_score *out) noexcept
    {
        return with_status(ctx, [&] {
            self<T>(instance).score(weir::pick(raw), index, *out);
            return WEIR_OK;
        });
    }

    /* Slots are plain data. */
    static weir_status save(weir_context *, void *, weir_state *state) noexcept
    {
        if (state->slot == nullptr) {
            return WEIR_DECLINED;
        }
        state->version = T::slot_version;
        state->len = sizeof(slot);
        std::memcpy(state->data, state->slot, sizeof(slot));
        return WEIR_OK;
    }
    static weir_status restore(weir_context *, void *, const weir_state *state) noexcept
    {
        if (state->slot == nullptr || state->version != T::slot_version ||
            state->len != sizeof(slot)) {
            return WEIR_DECLINED;
        }
        std::memcpy(state->slot, state->data, sizeof(slot));
        return WEIR_OK;
    }

    static constexpr weir_balancer make()
    {
        constexpr bool costs = has_cost<T>::value || has_cost_by_request<T>::value;
        static_assert(costs || has_pick<T>::value || has_turns<T>::value,
                      "a balancer has cost, pick, or turns");
        weir_balancer made{};
        made.size = sizeof(made);
        made.create = life<T>::create;
        made.destroy = life<T>::destroy;
        if constexpr (costs) {
            made.cost = cost;
            made.flags |= has_cost<T>::value ? 0u : std::uint32_t(WEIR_BALANCER_BY_REQUEST);
        } else if constexpr (has_pick<T>::value) {
            made.pick = pick;
        } else {
            made.flags |= WEIR_BALANCER_TURNS;
        }
        if constexpr (slot_of<T>::is_there) {
            static_assert(std::is_trivially_copyable_v<slot> &&
                              std::is_trivially_destructible_v<slot>,
                          "a slot is plain data, which is all zero at first");
            static_assert(sizeof(slot) <= WEIR_SLOT_SIZE_MAX, "the slot is too large");
            made.slot_size = sizeof(slot);
        }
        if constexpr (has_slot_version<T>::value) {
            static_assert(slot_of<T>::is_there && sizeof(slot) <= WEIR_STATE_SLOT_MAX,
                          "there is no slot, or it is too large to pass over");
            made.save = save;
            made.restore = restore;
        }
        if constexpr (has_choices<T>::value) {
            made.choices = choices;
        }
        if constexpr (has_on_members<T>::value) {
            made.on_members = on_members;
        }
        if constexpr (has_on_sent<T>::value) {
            made.on_sent = on_sent;
        }
        if constexpr (has_on_head<T>::value) {
            made.on_head = on_head;
        }
        if constexpr (has_on_complete<T>::value) {
            made.on_complete = on_complete;
        }
        if constexpr (has_score<T>::value) {
            made.score = score;
        }
        return made;
    }
    static constexpr weir_balancer value = make();
};

/* ---- filters ---- */

template <class T> struct filter_hooks {
    using body = typename body_of<T>::type;

    static weir_status on_request(weir_context *ctx, void *instance, weir_request *raw) noexcept
    {
        return with_status(ctx, [&] {
            request req(raw);
            return self<T>(instance).on_request(req);
        });
    }

    static void on_response(weir_context *ctx, void *instance, weir_request *req_raw,
                            weir_response *resp_raw) noexcept
    {
        without_status(ctx, [&] {
            request req(req_raw);
            response resp(resp_raw);
            self<T>(instance).on_response(req, resp);
        });
    }

    static weir_status on_response_data(weir_context *ctx, void *, void *state,
                                        weir_transform *transform, const void *data,
                                        std::size_t len, weir_flow flow, std::size_t *) noexcept
    {
        return with_status(ctx, [&] {
            output out(transform);
            static_cast<body *>(state)->data(
                out, len > 0 ? std::string_view(static_cast<const char *>(data), len) : "", flow);
            return WEIR_OK;
        });
    }

    static void on_response_close(weir_context *, void *, void *state) noexcept
    {
        delete static_cast<body *>(state);
    }

    static weir_status explain(weir_context *ctx, void *instance, weir_request *raw,
                               weir_filter_verdict *verdict) noexcept
    {
        return with_status(ctx, [&] {
            request req(raw);
            self<T>(instance).explain(req, *verdict);
            return WEIR_OK;
        });
    }

    static constexpr weir_filter make()
    {
        weir_filter made{};
        made.size = sizeof(made);
        made.create = life<T>::create;
        made.destroy = life<T>::destroy;
        if constexpr (has_on_request<T>::value) {
            made.on_request = on_request;
        }
        if constexpr (has_on_response<T>::value) {
            made.on_response = on_response;
        }
        if constexpr (body_of<T>::is_there) {
            made.on_response_data = on_response_data;
            made.on_response_close = on_response_close;
        }
        if constexpr (has_explain<T>::value) {
            made.explain = explain;
        }
        return made;
    }
    static constexpr weir_filter value = make();
};

/* ---- routers ---- */

template <class T> struct router_hooks {
    static weir_status route(weir_context *ctx, void *instance, weir_request *raw,
                             weir_route_result *out) noexcept
    {
        return with_status(ctx, [&] {
            request req(raw);
            return self<T>(instance).route(req, *out) ? WEIR_OK : WEIR_DECLINED;
        });
    }

    static void explain(weir_context *ctx, void *instance, weir_request *raw,
                        const weir_rule_sink *sink) noexcept
    {
        without_status(ctx, [&] {
            request req(raw);
            self<T>(instance).explain(req, *sink);
        });
    }

    static constexpr weir_router make()
    {
        weir_router made{};
        made.size = sizeof(made);
        made.create = life<T>::create;
        made.destroy = life<T>::destroy;
        made.route = route;
        if constexpr (has_explain<T>::value) {
            made.explain = explain;
        }
        return made;
    }
    static constexpr weir_router value = make();
};

/* ---- the descriptor ---- */

template <class T> struct conf_hooks {
    using options = typename options_of<T>::type;
    using shared = typename shared_of<T>::type;

    static weir_status create(weir_context *ctx, weir_check *raw, const void *conf_ptr,
                              void **prepared) noexcept
    {
        weir_status status = with_status(ctx, [&] {
            check checking(ctx, raw);
            const options &conf = conf_of<T>(conf_ptr);
            if constexpr (has_prepare<T>::value) {
                std::unique_ptr<shared> made = T::prepare(checking, conf);
                *prepared = made.release();
            } else {
                (void)prepared;
                T::validate(checking, conf);
            }
            return WEIR_OK;
        });
        if (status != WEIR_OK) {
            weir_check_error(ctx, raw, nullptr,
                             "the module has failed, and its line in the log says how");
        }
        return status;
    }
    static void free(weir_context *, void *prepared) noexcept
    {
        delete static_cast<shared *>(prepared);
    }
};

template <class T> constexpr void add_kind(weir_module &made)
{
    static_assert(std::is_base_of_v<balancer, T> || std::is_base_of_v<filter, T> ||
                      std::is_base_of_v<router, T>,
                  "it derives from weir::balancer, weir::filter or weir::router");
    if constexpr (std::is_base_of_v<balancer, T>) {
        made.balancer = &balancer_hooks<T>::value;
    } else if constexpr (std::is_base_of_v<filter, T>) {
        made.filter = &filter_hooks<T>::value;
    } else {
        made.router = &router_hooks<T>::value;
    }
}

template <class First, class... Others>
constexpr weir_module describe(const char *name, const char *version, const char *license,
                               const char *summary)
{
    weir_module made{};
    made.size = sizeof(made);
    made.abi_major = WEIR_ABI_MAJOR;
    made.abi_minor = WEIR_ABI_MINOR;
    made.name = name;
    made.version = version;
    made.license = license;
    made.summary = summary;
    if constexpr (has_table<First>::value) {
        made.options = &First::table;
    }
    if constexpr (has_metrics<First>::value) {
        made.metrics = &First::metrics;
    }
    if constexpr (has_prepare<First>::value) {
        made.conf_create = conf_hooks<First>::create;
        made.conf_free = conf_hooks<First>::free;
    } else if constexpr (has_validate<First>::value) {
        made.conf_create = conf_hooks<First>::create;
    }
    add_kind<First>(made);
    (add_kind<Others>(made), ...);
    return made;
}

} // namespace weir::detail

#endif
