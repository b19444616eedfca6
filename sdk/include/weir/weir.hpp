/* SPDX-License-Identifier: MIT */
/*
 * Modules in C++17: a class a kind, from whose members the tables of hooks are made.
 *
 *     #include <weir/weir.hpp>
 *
 *     struct idle : weir::balancer {
 *         double cost(const weir::candidate &server) { return server.load(); }
 *     };
 *     WEIR_CPP_MODULE("balance_idle", "1.0", "MIT", "Takes the idlest server", idle);
 *
 * A class derives from weir::balancer, weir::filter or weir::router, whose comments list the
 * members that are looked for; a module may have several. Common to all of them, each optional:
 *
 *     struct options { ... };                      what the table of options fills
 *     static const weir_options table;             that table, see option.h
 *     struct shared { ... };                       what `prepare` makes: all workers read it
 *     static std::unique_ptr<shared> prepare(weir::check &check, const options &conf);
 *     static void validate(weir::check &check, const options &conf);     instead of `prepare`
 *     T(weir::context ctx, const options &conf, const shared &prepared);
 *                                                  or the first two, the first, or none
 *
 * (Of several classes the first has options, table, shared and prepare for all.) An instance is made
 * by the constructor, and its destructor is `destroy`: what it holds goes with it.
 *
 * No exception leaves a hook. What a hook throws is a fault of the module, as in C: a hook with a
 * status fails (std::bad_alloc: WEIR_NO_MEMORY), `pick` and `cost` give what is none, and others
 * call weir_fault; what() is in the log. Lifetimes and threads are those of the C headers: a
 * std::string_view of a request is valid for the callback.
 *
 * Compiled into the module: no ABI of its own.
 */
#ifndef WEIR_WEIR_HPP
#define WEIR_WEIR_HPP

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <weir/weir.h>

namespace weir
{

inline std::string_view view(weir_str text)
{
    return text.len > 0 ? std::string_view(text.ptr, text.len) : std::string_view();
}

inline weir_str str(std::string_view text)
{
    return {text.data(), text.size()};
}

/** The items of an option that is a LIST or BLOCK:
 *     for (const rule &each : weir::list<rule>(conf.rules)) */
template <class T> class list
{
  public:
    explicit list(const weir_list &raw)
        : first_(static_cast<const T *>(raw.items)), count_(raw.count)
    {
    }
    const T *begin() const
    {
        return first_;
    }
    const T *end() const
    {
        return first_ + count_;
    }
    std::size_t size() const
    {
        return count_;
    }
    const T &operator[](std::size_t index) const
    {
        return first_[index];
    }

  private:
    const T *first_;
    std::size_t count_;
};

/* ---- services ---- */

/** Where an instance is; copied freely, valid as long as the instance. */
class context
{
  public:
    explicit context(weir_context *raw) : raw_(raw) {}
    weir_context *raw() const
    {
        return raw_;
    }
    std::uint64_t now_ns() const
    {
        return weir_now_ns(raw_);
    }
    std::uint64_t wall_ms() const
    {
        return weir_wall_ms(raw_);
    }
    std::uint32_t worker_index() const
    {
        return weir_worker_index(raw_);
    }
    std::uint32_t worker_count() const
    {
        return weir_worker_count(raw_);
    }
    std::string_view pool_name() const
    {
        return view(weir_pool_name(raw_));
    }
    std::uint64_t random() const
    {
        std::uint64_t number;
        weir_random(raw_, &number, sizeof(number));
        return number;
    }
    void log(weir_log_level level, std::string_view line) const
    {
        weir_log(raw_, level, "%.*s", static_cast<int>(line.size()), line.data());
    }
    void fault(const char *what) const
    {
        weir_fault(raw_, what);
    }
    /** Metrics, by number of row: see metric.h. */
    void count(std::uint32_t metric, std::uint64_t n = 1) const
    {
        weir_count(raw_, metric, n);
    }
    void gauge_add(std::uint32_t metric, std::int64_t n) const
    {
        weir_gauge_add(raw_, metric, n);
    }

  private:
    weir_context *raw_;
};

namespace detail
{

/* How a failure is told: by the log, where what the hook returns says that it has failed, or else
 * by weir_fault, which is a line of the log as well. */
enum class by { log, fault };

inline void tell(weir_context *ctx, by how, const char *what) noexcept
{
    char line[256];
    std::size_t len = 0;
    for (; what[len] != '\0' && len < sizeof(line) - 1; len++) {
        line[len] = what[len] == '\n' || what[len] == '\r' ? ' ' : what[len];
    }
    line[len] = '\0';
    if (how == by::log) {
        weir_log(ctx, WEIR_LOG_ERROR, "%s", line);
    } else {
        weir_fault(ctx, line);
    }
}

/* What `body` returns; where it throws, that is told, and one of the other two is returned. */
template <class R, class Body>
R guarded(weir_context *ctx, by how, R failed, R no_memory, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        tell(ctx, how, "there is no memory left");
        return no_memory;
    } catch (const std::exception &error) {
        tell(ctx, how, error.what());
    } catch (...) {
        tell(ctx, how, "an exception that is no std::exception");
    }
    return failed;
}

template <class Body> weir_status with_status(weir_context *ctx, Body body) noexcept
{
    return guarded(ctx, by::log, WEIR_ERROR, WEIR_NO_MEMORY, body);
}

template <class Body> void without_status(weir_context *ctx, Body body) noexcept
{
    guarded(ctx, by::fault, 0, 0, [&] {
        body();
        return 0;
    });
}

} // namespace detail

/** A timer of the instance's loop; freed with its owner. What `fn` throws is a fault. */
class timer
{
  public:
    timer(context ctx, std::function<void()> fn) : ctx_(ctx), fn_(std::move(fn))
    {
        raw_ = weir_timer_new(ctx_.raw(), fire, this);
        if (raw_ == nullptr) {
            throw std::bad_alloc();
        }
    }
    ~timer()
    {
        weir_timer_free(ctx_.raw(), raw_);
    }
    timer(const timer &) = delete;
    timer &operator=(const timer &) = delete;
    /** Once, in `delay_ns` at the earliest; replaces an earlier setting. */
    void set(std::uint64_t delay_ns)
    {
        weir_timer_set(ctx_.raw(), raw_, delay_ns);
    }
    void cancel()
    {
        weir_timer_cancel(ctx_.raw(), raw_);
    }

  private:
    static void fire(void *arg) noexcept
    {
        timer *self = static_cast<timer *>(arg);
        context ctx = self->ctx_;
        std::function<void()> *fn = &self->fn_;
        detail::without_status(ctx.raw(), [&] { (*fn)(); });
    }
    context ctx_;
    std::function<void()> fn_;
    weir_timer *raw_;
};

/** A file for appending, closed with its owner; see weir_file_open. */
class file
{
  public:
    file(context ctx, std::string_view path) : ctx_(ctx), raw_(weir_file_open(ctx.raw(), str(path)))
    {
        if (raw_ == nullptr) {
            throw std::runtime_error("the file cannot be opened: " + std::string(path));
        }
    }
    ~file()
    {
        weir_file_close(ctx_.raw(), raw_);
    }
    file(const file &) = delete;
    file &operator=(const file &) = delete;
    bool write(std::string_view data)
    {
        return weir_file_write(ctx_.raw(), raw_, data.data(), data.size());
    }

  private:
    context ctx_;
    weir_file *raw_;
};

/** Checking of a configuration: what `prepare` and `validate` get. */
class check
{
  public:
    check(weir_context *ctx, weir_check *raw) : ctx_(ctx), raw_(raw) {}
    /** `field` is the address of the wrong field: the host finds its file and line. */
    void error(const void *field, const std::string &text)
    {
        weir_check_error(ctx_, raw_, field, "%s", text.c_str());
    }
    weir_pool_ref pool(const weir_str &name)
    {
        return weir_check_pool(ctx_, raw_, &name);
    }
    weir_route_ref route(const void *field, weir_str name)
    {
        return weir_check_route(ctx_, raw_, field, name);
    }
    bool file(const weir_str &path)
    {
        return weir_check_file(ctx_, raw_, &path);
    }
    context ctx() const
    {
        return context(ctx_);
    }

  private:
    weir_context *ctx_;
    weir_check *raw_;
};

/* ---- requests and responses; valid for the callback, as all that they give ---- */

class request
{
  public:
    explicit request(weir_request *raw) : raw_(raw) {}
    weir_request *raw() const
    {
        return raw_;
    }
    std::string_view text(enum weir_request_str which) const
    {
        return view(raw_->host->request_str(raw_, which));
    }
    std::string_view method() const
    {
        return text(WEIR_REQUEST_METHOD);
    }
    std::string_view path() const
    {
        return text(WEIR_REQUEST_PATH);
    }
    std::string_view query() const
    {
        return text(WEIR_REQUEST_QUERY);
    }
    std::string_view host() const
    {
        return text(WEIR_REQUEST_HOST);
    }
    std::string_view address() const
    {
        return view(weir_request_peer(raw_).address);
    }
    bool tls() const
    {
        return weir_request_tls(raw_);
    }
    std::optional<std::string_view> header(std::string_view name) const
    {
        weir_str value;
        return raw_->host->request_header(raw_, str(name), &value) ? std::optional(view(value))
                                                                   : std::nullopt;
    }
    std::optional<std::string_view> cookie(std::string_view name) const
    {
        weir_str value;
        return weir_request_cookie(raw_, str(name), &value) ? std::optional(view(value))
                                                            : std::nullopt;
    }
    weir_status set_header(std::string_view name, std::string_view value)
    {
        return weir_request_set_header(raw_, str(name), str(value));
    }
    std::size_t remove_header(std::string_view name)
    {
        return weir_request_remove_header(raw_, str(name));
    }
    weir_status set_path(std::string_view path)
    {
        return weir_request_set_path(raw_, str(path));
    }
    /** Whole answers; a filter's on_request returns what they do. */
    weir_status reply(std::uint32_t status, std::string_view type, std::string_view body)
    {
        return done(weir_reply(raw_, status, str(type), str(body)));
    }
    weir_status reply_error(std::uint32_t status)
    {
        return done(weir_reply_error(raw_, status, nullptr, 0));
    }

  private:
    static weir_status done(weir_status status)
    {
        return status == WEIR_OK ? WEIR_DONE : status;
    }
    weir_request *raw_;
};

class response
{
  public:
    explicit response(weir_response *raw) : raw_(raw) {}
    weir_response *raw() const
    {
        return raw_;
    }
    std::uint32_t status() const
    {
        return weir_response_status(raw_);
    }
    std::int64_t content_length() const
    {
        return weir_response_content_length(raw_);
    }
    std::optional<std::string_view> header(std::string_view name) const
    {
        weir_str value;
        return raw_->host->response_header(raw_, str(name), &value) ? std::optional(view(value))
                                                                    : std::nullopt;
    }
    weir_status set_header(std::string_view name, std::string_view value)
    {
        return weir_response_set_header(raw_, str(name), str(value));
    }
    weir_status add_header(std::string_view name, std::string_view value)
    {
        return weir_response_add_header(raw_, str(name), str(value));
    }
    std::size_t remove_header(std::string_view name)
    {
        return weir_response_remove_header(raw_, str(name));
    }
    /** The filter transforms the body; `body` is of its class `body`, and goes with the response.
     * What weir_response_transform says. */
    template <class Body> weir_status transform(std::unique_ptr<Body> body)
    {
        weir_status status = weir_response_transform(raw_, body.get());
        if (status == WEIR_OK) {
            body.release(); /* on_response_close has it */
        }
        return status;
    }

  private:
    weir_response *raw_;
};

/** Where a filter's output goes. */
class output
{
  public:
    explicit output(weir_transform *raw) : raw_(raw) {}
    void write(std::string_view data)
    {
        weir_transform_write(raw_, data.data(), data.size());
    }

  private:
    weir_transform *raw_;
};

/* ---- balancers ---- */

/** A server that may be picked; valid until the next on_members. */
class candidate
{
  public:
    explicit candidate(const weir_candidate *raw) : raw_(raw) {}
    const weir_candidate *raw() const
    {
        return raw_;
    }
    weir_server_id id() const
    {
        return raw_->id;
    }
    std::string_view name() const
    {
        return view(raw_->name);
    }
    std::uint32_t in_flight() const
    {
        return weir_candidate_in_flight(raw_);
    }
    std::uint32_t limit() const
    {
        return raw_->limit;
    }
    double weight() const
    {
        return weir_candidate_weight(raw_);
    }
    double load() const
    {
        return weir_candidate_load(raw_);
    }
    /** The memory of a balancer that has a type `slot`, which is to be named here. */
    template <class Slot> Slot &slot() const
    {
        return *static_cast<Slot *>(raw_->slot);
    }

  private:
    const weir_candidate *raw_;
};

class candidates
{
  public:
    explicit candidates(const weir_candidates *raw) : raw_(raw) {}
    std::uint32_t size() const
    {
        return raw_->count;
    }
    candidate operator[](std::uint32_t index) const
    {
        return candidate(weir_candidate_at(raw_, index));
    }

  private:
    const weir_candidates *raw_;
};

/** One choice. */
class pick
{
  public:
    explicit pick(const weir_pick *raw) : raw_(raw) {}
    weir::candidates candidates() const
    {
        return weir::candidates(raw_->candidates);
    }
    bool usable(std::uint32_t index) const
    {
        return weir_pick_usable(raw_, index);
    }
    std::uint32_t attempt() const
    {
        return raw_->attempt;
    }
    bool dry_run() const
    {
        return raw_->dry_run;
    }
    weir::request request() const
    {
        return weir::request(raw_->request);
    }

  private:
    const weir_pick *raw_;
};

/** The slot of a feedback's server; NULL: it has none any more. */
template <class Slot> Slot *slot_of(const weir_feedback &feedback)
{
    return static_cast<Slot *>(feedback.slot);
}

/**
 * The base of balancers. One of these three:
 *
 *     double cost(const weir::candidate &server);                       the lowest is taken
 *     double cost(const weir::candidate &server, const weir::pick &p);  depends on the request
 *     std::optional<std::uint32_t> pick(const weir::pick &p);           an index that is usable
 *     static constexpr bool turns = true;                               servers take turns
 *
 * and what is wanted of:
 *
 *     struct slot { ... };             memory for each server: zeroed, plain data
 *     static constexpr std::uint32_t slot_version = 1;    slots pass over to the module's next copy
 *     static std::uint32_t choices(const options &conf);  how many are drawn; without options: ()
 *     void on_members(const weir::candidates &all);
 *     void on_sent(const weir::candidate &server);        (where the host ranks or picks)
 *     void on_head(const weir_feedback &how);
 *     void on_complete(const weir_feedback &how);
 *     void score(const weir::pick &p, std::uint32_t index, weir_score &out);
 */
struct balancer {
};

/**
 * The base of filters: what is wanted of
 *
 *     weir_status on_request(weir::request &req);      WEIR_OK, or what reply or reply_error return
 *     void on_response(weir::request &req, weir::response &resp);
 *     void explain(weir::request &req, weir_filter_verdict &verdict);
 *     struct body {                                    for response::transform
 *         void data(weir::output &out, std::string_view bytes, weir_flow flow);
 *     };
 */
struct filter {
};

/**
 * The base of routers:
 *
 *     bool route(weir::request &req, weir_route_result &out);         false: no rule of mine
 *     void explain(weir::request &req, const weir_rule_sink &sink);   optional
 */
struct router {
};

} // namespace weir

#include <weir/weir_tables.hpp>

/** Defines the descriptor and the exported symbol; write it once. After the texts (see weir_module)
 * come the module's classes. */
#define WEIR_CPP_MODULE(name_, version_, license_, summary_, ...)                         \
    static const struct weir_module weir_module_ =                                        \
        weir::detail::describe<__VA_ARGS__>((name_), (version_), (license_), (summary_)); \
    WEIR_MODULE(weir_module_)

#endif
