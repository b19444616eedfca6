// SPDX-License-Identifier: MIT
// Pretended modules: calls that go on, blocks that go out and come back.

const STEPS = 150;
const STEP_MS = 2000;
const KINDS = [
    ["access_log", "logger", "log"],
    ["admin", "handler", "on_request"],
    ["balance_least_conn", "balancer", "pick", "pool api_servers balance 1"],
    ["balance_round_robin", "balancer", "pick", "pool web_servers balance 1"],
    ["headers", "filter", "on_request", "listener https filter 1", "pool api_servers filter 1"],
    ["health_http", "health", "judge", "pool web_servers health 1"],
    ["route_path", "router", "route", ""],
    ["sticky_cookie", "sticky", "lookup", "pool api_servers sticky 1"],
    ["store_sqlite", "store", "operation"],
];
const INSTEAD = { balancer: "least_conn", filter: "closed", router: "closed", sticky: "open" };

class Missing extends Error {
    name = "Missing";
}

const nobody = () => ({ over_budget: 0, wrong_answer: 0, no_server: 0, failed: 0 });
const times = (p50, calls) => ({
    p50,
    p99: p50 * 6,
    worst: p50 * 800,
    sum: Math.round(calls * p50 * 1.4),
});

const arm = (picks, errors, p99) => ({
    picks,
    requests: picks,
    errors,
    first_byte_ms: { p50: 3.1, p99 },
    classes: [],
});

/** A swap that is tried, of what in place of what, in those pools. */
export const trial = (old, now, pools) => ({
    state: "trying",
    old: { ...old, strikes: 0 },
    new: { ...now, strikes: 0 },
    began: Date.now(),
    until: Date.now() + 60000,
    author: "admin",
    canary: 5,
    max_error_ratio: 2,
    max_latency_ratio: 1.5,
    pools: pools.map((pool) => ({ pool, old: arm(1900, 2, 40), new: arm(100, 1, 44) })),
});

export const endTrial = (swap, state) =>
    Object.assign(swap, { state, ended: Date.now(), reason: "by hand", pools: undefined });

export class Modules {
    constructor(model) {
        this.model = model;
        this.copies = KINDS.map((row, i) => this.make(...row, i));
    }

    make(name, kind, hook, ...rest) {
        const number = rest.pop();
        return {
            name,
            kind,
            hook,
            blocks: rest,
            busy: 40 + 11 * (number % 9),
            p50: 0.12 + 0.04 * (number % 11),
            calls: 120000 + 1000 * number,
            strikes: nobody(),
            alarms: [],
            generation: 4,
            state: "active",
            recent: { calls: Array(STEPS).fill(null), request_us: Array(STEPS).fill(null) },
            at: 0,
        };
    }

    /** So many more, with long names. */
    add(number) {
        for (let i = 1; i <= number; i++)
            this.copies.push(
                this.make(
                    `balance_of_a_team_that_likes_names_which_say_everything_${i}`,
                    "balancer",
                    "pick",
                    `pool a_pool_with_a_name_that_is_nearly_as_long_as_that_of_its_balancer_${i} balance 1`,
                    i,
                ),
            );
    }

    /** Another copy of the module, beside which the old one drains. */
    exchange(name) {
        const old = this.find(name);
        old.state = "draining";
        const copy = this.make(name, old.kind, old.hook, ...old.blocks, 3);
        copy.generation = old.generation + 1;
        this.copies.push(copy);
    }

    find(name) {
        const found = this.copies.findLast((copy) => copy.name === name);
        if (!found) throw new Missing(`there is no module "${name}"`);
        return found;
    }

    tick() {
        for (const copy of this.copies) {
            if (copy.state !== "active" || copy.alarms.length > 0) copy.rate = 0;
            else copy.rate = copy.busy * (0.8 + 0.4 * this.model.random());
            copy.calls += Math.round(copy.rate);
            if (++copy.at % 2 !== 0) continue;
            copy.recent.calls.shift();
            copy.recent.calls.push(copy.rate);
            copy.recent.request_us.shift();
            copy.recent.request_us.push(copy.rate > 0 ? copy.p50 * (0.9 + 0.6 * this.model.random()) : 0);
        }
    }

    /** The module's first block is out, and an event says so. */
    out(name, strike = "over_budget") {
        const copy = this.find(name);
        const alarm = {
            block: copy.blocks[0] ?? "",
            kind: copy.kind,
            since: Date.now(),
            hook: copy.hook,
            strike,
            took_us: strike === "over_budget" ? 50100 : null,
            instead: INSTEAD[copy.kind],
        };
        if (strike in copy.strikes) copy.strikes[strike] += 100;
        copy.alarms = [alarm];
        this.model.emit("module", { ...alarm, module: name });
    }

    /** Another copy is tried. */
    tryCopy(name) {
        const copy = this.find(name);
        const file = `/usr/lib/weir/modules/${name}.so`;
        copy.swap = trial(
            { version: "0.2.0", path: file },
            { version: "0.3.0", path: file },
            copy.blocks.map((block) => block.split(" ")[1]),
        );
    }

    endSwap(name, state) {
        endTrial(this.find(name).swap, state);
    }

    /** Weir has died in it twice. */
    hold(name) {
        const copy = this.find(name);
        this.out(name, "quarantined");
        copy.quarantine = {
            module: name,
            since: Date.now(),
            faults: ["SIGSEGV", "stall"].map((what) => ({
                time: Date.now(),
                what,
                hook: copy.hook,
                place: copy.blocks[0] ?? "",
            })),
        };
    }

    release(name) {
        for (const copy of this.copies) if (copy.name === name) copy.quarantine = null;
        this.retry(name);
    }

    retry(name) {
        for (const copy of this.copies) if (copy.name === name) copy.alarms = [];
    }

    alarms() {
        return this.copies.flatMap((copy) =>
            copy.alarms.map((alarm) => ({ ...alarm, module: copy.name })),
        );
    }

    view(copy) {
        const { name, kind } = copy;
        return {
            name,
            version: "0.2.0",
            abi: "1.5",
            kinds: [kind],
            license: "MIT",
            summary: `The ${kind} ${name}`,
            path: `/usr/lib/weir/modules/${name}.so`,
            state: copy.state,
            generation: copy.generation,
            faults: 0,
            calls: copy.calls,
            time_us: times(copy.p50, copy.calls),
            strikes: copy.strikes,
            rates: {
                calls: copy.rate ?? 0,
                request_us: copy.rate > 0 ? copy.p50 * 1.4 : 0,
                cpu_share: (copy.rate * copy.p50) / 9000,
            },
            cpu_share: 0.012,
            allocated_bytes: 1234567,
            alarms: copy.alarms,
            quarantine: copy.quarantine ?? null,
            swap: copy.swap ?? null,
            metrics:
                name === "sticky_cookie"
                    ? [
                          ["kept", "counter", 1234567],
                          ["set_cookie_bytes", "counter", 48 * 1024],
                          ["waiting", "gauge", 3],
                      ].map(([metric, type, value]) => ({
                          name: metric,
                          type,
                          value,
                          help: `What ${name} counts, in a sentence that is longer than most.`,
                      }))
                    : [],
        };
    }

    list() {
        return this.copies.map((copy) => this.view(copy));
    }

    show(name) {
        const copy = this.find(name);
        const { strikes } = copy;
        const hook = (word, calls, p50, struck) => ({
            hook: word,
            calls,
            time_us: times(p50, calls),
            strikes: struck,
            allocated_bytes: word === copy.hook ? 1234567 : 0,
            workers: [
                { worker: 0, calls: calls / 2, time_us: times(p50, calls / 2), strikes: struck },
                { worker: null, calls: calls / 2, time_us: times(p50, calls / 2), strikes: nobody() },
            ],
        });
        return {
            ...this.view(copy),
            hooks: [
                hook("create", 6, 3.1, nobody()),
                hook(copy.hook, copy.calls - 6, copy.p50, strikes),
            ],
            blocks: copy.blocks.map((block) => ({
                block,
                kind: copy.kind,
                out: copy.alarms.some((alarm) => alarm.block === block),
                instead: INSTEAD[copy.kind] ?? null,
                call_budget_us: 1000,
                strikes_limit: 100,
            })),
            recent: {
                start: Date.now() - (STEPS - 1) * STEP_MS,
                step_ms: STEP_MS,
                ...copy.recent,
            },
        };
    }
}
