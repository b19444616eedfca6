/* SPDX-License-Identifier: MIT */
/*
 * Takes the server that is expected to answer soonest: the smoothed time of its requests, times how
 * many it would have then, divided by its weight.
 */
#include <weir/weir.hpp>

#include <cstdio>

namespace
{

struct options {
    std::int64_t smoothing;
};

const weir_option rows[] = {
    WEIR_OPTION_RANGE(options, smoothing, INTEGER, "8", "1", "1000",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
                      "How many requests a server's time is smoothed over."),
};

class least_time : public weir::balancer
{
  public:
    using options = ::options;
    static constexpr weir_options table = WEIR_OPTIONS(options, rows);

    /* What is known of a server, all zero at first, and passed on when the module is exchanged. */
    struct slot {
        double seconds; /* smoothed; 0: nothing yet */
    };
    static constexpr std::uint32_t slot_version = 1;

    least_time(weir::context, const options &conf)
        : share_(1.0 / static_cast<double>(conf.smoothing))
    {
    }

    /* The lowest is taken. */
    double cost(const weir::candidate &server)
    {
        return server.slot<slot>().seconds * (server.in_flight() + 1) / server.weight();
    }

    void on_complete(const weir_feedback &how)
    {
        slot *known = weir::slot_of<slot>(how);
        if (known != nullptr && how.outcome == WEIR_OUTCOME_SUCCESS) {
            double seconds = static_cast<double>(how.total_ns) / 1e9;
            known->seconds += known->seconds > 0 ? (seconds - known->seconds) * share_ : seconds;
        }
    }

    /* The cost in words, for an operator who asks where a request would go. */
    void score(const weir::pick &pick, std::uint32_t index, weir_score &out)
    {
        weir::candidate server = pick.candidates()[index];
        std::snprintf(out.text, sizeof(out.text), "%.1f ms, %u in flight",
                      server.slot<slot>().seconds * 1000, server.in_flight());
    }

  private:
    double share_;
};

} // namespace

WEIR_CPP_MODULE("balance_least_time", "1.0", "MIT", "the server that is expected to answer soonest",
                least_time);
