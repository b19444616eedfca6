// SPDX-License-Identifier: MIT
//! A module of three kinds that panics where its options say, and is a good one where they say
//! nothing: for the tests of this crate.
#![forbid(unsafe_code)]

use weir::{
    Balancer, Candidate, Check, Context, Error, Feedback, Filter, How, List, Module, Next, Pick,
    PoolRef, Request, Response, Route, RouteRef, Router, Str,
};

weir::options! {
    /// What the configuration says.
    pub struct Options: LISTENER | POOL {
        /// Where it panics.
        hook: Str = "nowhere",
        /// Where requests go; empty: it routes nothing.
        pool: Str,
        /// What the field says behind the server's name.
        words: List<Str> = "{\"a\", \"b\"}",
        /// A rest of each type: what they say is logged.
        share: weir::Percentage = "20%",
        /// A time.
        time: weir::Duration = "2s" in "1s"..="1h",
        /// A size.
        size: weir::Size = "16k",
        /// A number.
        real: f64 = "1.5",
        /// Whether the rest is logged.
        told: bool = "off",
    }
}

struct Panics;
struct Shared {
    target: Option<(PoolRef, Option<RouteRef>)>,
    words: String,
}

fn maybe(hook: &str, at: &str) {
    if hook == at {
        panic!("100% of {} panics", at);
    }
}

impl Module for Panics {
    type Options = Options;
    type Shared = Shared;
    fn prepare(check: &Check<'_>, options: &Options) -> Result<Shared, Error> {
        maybe(&options.hook.to_text(), "prepare");
        if options.hook.as_bytes() == b"refuse" {
            check.error(&options.hook, "\"refuse\" is 100% refused");
        }
        let mut target = None;
        if !options.pool.as_bytes().is_empty() && check.is_module_block() {
            let route = check.route(&options.pool, "panics");
            target = check.pool(&options.pool).map(|pool| (pool, route));
        }
        if options.told {
            let line = format!(
                "{} {} {} {}",
                options.share.0, options.time.0, options.size.0, options.real
            );
            check.context().log(weir::Level::Notice, &line);
        }
        let words = options.words.as_slice().iter().map(|word| format!(" {}", word.to_text()));
        Ok(Shared { target, words: words.collect() })
    }
}

struct Balances {
    hook: String,
}

impl Balancer for Balances {
    type Of = Panics;
    type Slot = u64;
    const HOW: How = How::CostByRequest;
    const SLOT_VERSION: Option<u32> = Some(7);
    fn new(_ctx: &Context<'_>, options: &Options, _shared: &Shared) -> Result<Self, Error> {
        let hook = options.hook.to_text();
        maybe(&hook, "create");
        if hook == "fail" {
            return Err("it fails".into());
        }
        Ok(Balances { hook })
    }
    fn cost(&self, server: &Candidate<'_, u64>, pick: Option<&Pick<'_, u64>>) -> f64 {
        maybe(&self.hook, "cost");
        assert!(pick.expect("a pick").count() > 0);
        server.load()
    }
    fn on_sent(&self, _ctx: &Context<'_>, server: &Candidate<'_, u64>) {
        server.slot().set(server.slot().get() + 1);
        maybe(&self.hook, "on_sent");
    }
    fn on_head(&self, _ctx: &Context<'_>, _how: &Feedback<'_, u64>) {
        maybe(&self.hook, "on_head");
    }
    fn on_complete(&self, _ctx: &Context<'_>, _how: &Feedback<'_, u64>) {
        maybe(&self.hook, "on_complete");
    }
    fn describe(&self, server: &Candidate<'_, u64>) -> Option<String> {
        maybe(&self.hook, "score");
        Some(format!("{} so far", server.slot().get()))
    }
}

struct Filters {
    hook: String,
    words: String,
}

impl Filter for Filters {
    type Of = Panics;
    fn new(_ctx: &Context<'_>, options: &Options, shared: &Shared) -> Result<Self, Error> {
        Ok(Filters { hook: options.hook.to_text(), words: shared.words.clone() })
    }
    fn on_request(&self, _ctx: &Context<'_>, req: &mut Request<'_>) -> Result<Next, Error> {
        maybe(&self.hook, "on_request");
        if self.hook == "error" {
            return Err("an error".into());
        }
        req.set_header("X-Seen", b"yes")?;
        Ok(match req.path() {
            b"/refused" => Next::Refuse(403),
            b"/hello" => Next::Reply(200, "text/plain".to_string(), b"hello".to_vec()),
            _ => Next::GoOn,
        })
    }
    fn on_response(&self, _ctx: &Context<'_>, req: &Request<'_>, resp: &mut Response<'_>) {
        maybe(&self.hook, "on_response");
        let value = [req.server(), self.words.as_bytes()].concat();
        // Where there is no memory, the response goes without.
        let _ = resp.set_header("X-Panics", &value);
    }
}

struct Routes {
    hook: String,
    target: Option<(PoolRef, Option<RouteRef>)>,
}

impl Router for Routes {
    type Of = Panics;
    fn new(_ctx: &Context<'_>, options: &Options, shared: &Shared) -> Result<Self, Error> {
        Ok(Routes { hook: options.hook.to_text(), target: shared.target })
    }
    fn route(&self, _ctx: &Context<'_>, req: &Request<'_>) -> Result<Route, Error> {
        maybe(&self.hook, "route");
        Ok(match (req.path(), self.target) {
            (b"/moved", _) => Route::Redirect(308, "/".to_string()),
            (b"/gone", _) => Route::Status(410),
            (_, Some((pool, route))) => Route::Pool(pool, route),
            _ => Route::Declined,
        })
    }
}

weir::module! {
    "balance_panics", "1.0", "MIT", "panics", Panics,
    balancer: Balances, filter: Filters, router: Routes
}
