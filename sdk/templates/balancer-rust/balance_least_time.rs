// SPDX-License-Identifier: MIT
//! Takes the server that is expected to answer soonest: the smoothed time of its requests, times how
//! many it would have then, divided by its weight.
#![forbid(unsafe_code)]

use weir::{Balancer, Candidate, Check, Context, Error, Feedback, Module, Outcome, Pick};

weir::options! {
    /// What the configuration says.
    pub struct Options: POOL {
        /// How many requests a server's time is smoothed over.
        smoothing: i64 = "8" in "1"..="1000",
    }
}

weir::plain! {
    /// What is known of a server; zeroed at first.
    pub struct Known {
        /// Smoothed; 0: nothing yet.
        seconds: f64,
    }
}

struct LeastTime;

impl Module for LeastTime {
    type Options = Options;
    type Shared = ();
    fn prepare(_check: &Check<'_>, _options: &Options) -> Result<(), Error> {
        Ok(())
    }
}

struct Instance {
    share: f64,
}

impl Balancer for Instance {
    type Of = LeastTime;
    type Slot = Known;
    // What was learnt passes over when the module is exchanged.
    const SLOT_VERSION: Option<u32> = Some(1);

    fn new(_ctx: &Context<'_>, options: &Options, _shared: &()) -> Result<Self, Error> {
        Ok(Instance { share: 1.0 / options.smoothing as f64 })
    }

    // The lowest is taken.
    fn cost(&self, server: &Candidate<'_, Known>, _pick: Option<&Pick<'_, Known>>) -> f64 {
        server.slot().get().seconds * f64::from(server.in_flight() + 1) / server.weight()
    }

    fn on_complete(&self, _ctx: &Context<'_>, how: &Feedback<'_, Known>) {
        if let (Some(slot), Outcome::Success) = (how.slot(), how.outcome()) {
            slot.set(smoothed(slot.get(), how.total_ns() as f64 / 1e9, self.share));
        }
    }

    // The cost in words, for an operator who asks where a request would go.
    fn describe(&self, server: &Candidate<'_, Known>) -> Option<String> {
        let seconds = server.slot().get().seconds;
        Some(format!("{:.1} ms, {} in flight", seconds * 1000.0, server.in_flight()))
    }
}

fn smoothed(known: Known, seconds: f64, share: f64) -> Known {
    let change = if known.seconds > 0.0 { (seconds - known.seconds) * share } else { seconds };
    Known { seconds: known.seconds + change }
}

weir::module! {
    "balance_least_time", "1.0", "MIT", "the server that is expected to answer soonest", LeastTime,
    balancer: Instance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_smoothed() {
        let first = smoothed(Known { seconds: 0.0 }, 0.1, 0.125);
        assert_eq!(first.seconds, 0.1);
        let second = smoothed(first, 0.9, 0.125);
        assert!((second.seconds - 0.2).abs() < 1e-9);
    }
}
