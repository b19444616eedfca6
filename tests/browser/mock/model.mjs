// SPDX-License-Identifier: MIT
// A pretended Weir for tests of the pages alone: pools whose numbers move, a journal, undo. It
// stands in for states that are hard to make with a real one (1,000 servers, an expired session).
// Nothing of it is installed.

import { Modules } from "./modules.mjs";

const REASONS = {
    up: "probe: status 200",
    down: "probe: 3 of 3 refused the connection",
    unknown: "no probe has answered yet",
};
const HISTORY_SECONDS = 3600;
const METRICS = ["requests", "rate", "errors_rate", "in_flight", "p50", "p95", "p99"];

/** A repeatable source of numbers, so that screenshots of two runs can be compared. */
function randomSource(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

/** Sends all to the first server. */
function shadowView(balancer, servers) {
    const asked = 100 * servers.length;
    const inFlight = servers.reduce((sum, server) => sum + server.in_flight, 0);
    return {
        balancer,
        out: false,
        since: Date.now() - 60e3,
        asked,
        agreed: 100,
        none: 0,
        wait_ms: 12,
        predicted_wait_ms: 8,
        servers: servers.map((server, index) => ({
            id: server.id,
            picked: 100,
            chosen: index === 0 ? asked : 0,
            in_flight: server.in_flight,
            predicted_in_flight: index === 0 ? inFlight : 0,
            wait_ms: 12,
            predicted_wait_ms: index === 0 ? 16 : 12,
        })),
    };
}

export class Model {
    constructor({ pools, seed = 7 }) {
        this.random = randomSource(seed);
        this.startedAt = Date.now() - 3 * 3600e3;
        this.generation = 4;
        this.journal = [];
        this.nextJournal = 1;
        this.listeners = new Set();
        this.modules = new Modules(this);
        this.pools = new Map();
        for (const pool of pools) this.addPool(pool);
        this.history = new Map();
        this.fillHistory();
    }

    addPool({ name, servers, policy = "least_conn", sticky = null, rate = 20, base = 3000, protocol, shadow }) {
        const pool = { name, policy, sticky, protocol, shadow, health_check: "http", servers: new Map(), queued: 0 };
        this.pools.set(name, pool);
        for (let i = 1; i <= servers; i++) {
            const id = `${name.replace(/_servers$/, "")}-${i}`;
            pool.servers.set(
                id,
                this.newServer(pool, {
                    id,
                    url: `http://10.1.${base % 250}.${i % 250}:${base + i}`,
                    origin: "file",
                    busy: rate * (0.6 + 0.8 * this.random()),
                }),
            );
        }
    }

    newServer(
        pool,
        {
            id,
            url,
            origin,
            weight = 1,
            max_requests = 0,
            backup = false,
            busy = 20,
            state = "ready",
        },
    ) {
        const now = Date.now();
        return {
            id,
            pool: pool.name,
            url,
            origin,
            drift: [],
            state,
            state_since: now - 3600e3,
            drain_deadline: null,
            health: {
                status: "up",
                reason: REASONS.up,
                since: now - 5400e3,
                probes: Array.from({ length: 20 }, (_, i) => ({
                    at: now - (20 - i) * 2000,
                    ok: true,
                    ms: 0.8 + this.random() * 1.6,
                    reason: REASONS.up,
                })),
            },
            weight,
            effective_weight: weight,
            configured_weight: origin === "file" ? weight : null,
            max_requests,
            backup,
            in_flight: 0,
            sessions: pool.sticky ? 12 : null,
            requests: origin === "file" ? Math.floor(busy * 3600) : 0,
            responses: { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, none: 0 },
            errors: {},
            error_share: 0,
            retries: 0,
            bytes_in: 0,
            bytes_out: 0,
            connections: 4,
            protocols: { "HTTP/2": Math.floor(busy * 3000) },
            http2: { connections: 2, streams: 0, opened: 4 },
            rates: { requests: 0, errors: 0, bytes_in: 0, bytes_out: 0 },
            latency_ms: { p50: 4, p95: 12, p99: 30 },
            ejected_until: null,
            busy,
            base: 2 + this.random() * 6,
        };
    }

    eligible(pool) {
        return [...pool.servers.values()].filter(
            (s) => s.state === "ready" && s.health.status === "up" && s.weight > 0,
        );
    }

    /** One second goes by. */
    tick(quiet = false) {
        const now = Date.now();
        for (const pool of this.pools.values()) {
            const able = this.eligible(pool);
            const whole = [...pool.servers.values()].reduce((sum, s) => sum + s.busy, 0);
            const weights = able.reduce((sum, s) => sum + s.weight * s.busy, 0) || 1;
            const swell = 1 + 0.3 * Math.sin(now / 40e3);
            for (const server of pool.servers.values())
                this.tickServer(
                    server,
                    able.includes(server)
                        ? (whole * swell * server.weight * server.busy) / weights
                        : 0,
                    now,
                );
        }
        this.modules.tick();
        if (!quiet) {
            this.remember();
            this.emit("statistics", this.stats());
        }
    }

    tickServer(server, share, now) {
        const draining = server.state === "drain" && server.health.status === "up";
        const rate = draining ? server.rates.requests * 0.7 : share * (0.85 + 0.3 * this.random());
        server.rates.requests = rate < 0.05 ? 0 : rate;
        server.rates.errors =
            server.health.status === "up" && this.random() < 0.04 ? rate * 0.02 : 0;
        server.rates.bytes_in = rate * 420;
        server.rates.bytes_out = rate * 5200;
        const done = Math.round(rate);
        server.requests += done;
        server.responses["2xx"] += done;
        server.responses["5xx"] += Math.round(server.rates.errors);
        server.bytes_in += done * 420;
        server.bytes_out += done * 5200;
        server.in_flight = Math.round(((rate * server.base) / 100) * (0.5 + this.random()));
        if (server.sessions !== null && draining)
            server.sessions = Math.max(0, server.sessions - 1);
        const base = server.base * (1 + rate / 400);
        server.latency_ms =
            rate === 0
                ? { p50: null, p95: null, p99: null }
                : {
                      p50: base * (0.9 + 0.2 * this.random()),
                      p95: base * 3 * (0.8 + 0.4 * this.random()),
                      p99: base * 7 * (0.7 + 0.6 * this.random()),
                  };
        server.error_share = rate > 0 ? server.rates.errors / rate : 0;
        if (Math.floor(now / 1000) % 2 === 0) this.probe(server, now);
    }

    probe(server, now) {
        const ok = server.health.status !== "down";
        server.health.probes.push({
            at: now,
            ok,
            ms: ok ? 0.8 + this.random() * 1.6 : null,
            reason: ok ? REASONS.up : "connection refused",
        });
        if (server.health.probes.length > 20) server.health.probes.shift();
    }

    setHealth(pool, id, status) {
        const server = this.pools.get(pool).servers.get(id);
        server.health.status = status;
        server.health.reason = REASONS[status];
        server.health.since = Date.now();
        if (status === "down") {
            for (let i = 0; i < 3; i++) this.probe(server, Date.now());
            server.errors = { connect_refused: 3 };
        }
        this.emit("server", { pool, server: id, health: status, reason: REASONS[status] });
    }

    // --- What the API shows ------------------------------------------------------------------

    serverView(server) {
        const { busy, base, ...view } = server;
        return view;
    }

    poolView(pool) {
        const servers = [...pool.servers.values()];
        const sum = (of) => servers.reduce((total, server) => total + of(server), 0);
        const busiest = servers.filter((s) => s.latency_ms.p50 !== null);
        const mean = (p) =>
            busiest.length
                ? busiest.reduce((t, s) => t + s.latency_ms[p], 0) / busiest.length
                : null;
        const responses = {};
        for (const kind of ["1xx", "2xx", "3xx", "4xx", "5xx", "none"])
            responses[kind] = sum((s) => s.responses[kind]);
        return {
            name: pool.name,
            policy: pool.policy,
            swap: pool.swap ?? null,
            shadow: pool.shadow ? shadowView(pool.shadow, servers) : null,
            sticky: pool.sticky,
            health_check: pool.health_check,
            protocol: pool.protocol ?? "http/1.1",
            h2_streams: 1000,
            h2_window: 262144,
            connection_age: pool.protocol ? 3600e3 : 0,
            servers: servers.map((server) => this.serverView(server)),
            up: servers.filter((s) => s.health.status === "up").length,
            total: servers.length,
            in_flight: sum((s) => s.in_flight),
            queued: pool.queued,
            totals: {
                requests: sum((s) => s.requests),
                responses,
                errors: {},
                protocols: spread(sum((s) => s.requests)),
                grpc: pool.protocol ? { OK: 1200, UNAVAILABLE: 7, NOT_FOUND: 3 } : {},
                retries: 0,
                bytes_in: sum((s) => s.bytes_in),
                bytes_out: sum((s) => s.bytes_out),
            },
            rates: {
                requests: sum((s) => s.rates.requests),
                errors: sum((s) => s.rates.errors),
                bytes_in: sum((s) => s.rates.bytes_in),
                bytes_out: sum((s) => s.rates.bytes_out),
            },
            latency_ms: { p50: mean("p50"), p95: mean("p95"), p99: mean("p99") },
        };
    }

    stats() {
        const pools = {};
        const total = { requests: 0, rate: 0, errors_rate: 0, in_flight: 0, connections: 42 };
        for (const pool of this.pools.values()) {
            const view = this.poolView(pool);
            const servers = {};
            for (const s of view.servers)
                servers[s.id] = {
                    requests: s.requests,
                    rate: s.rates.requests,
                    errors_rate: s.rates.errors,
                    in_flight: s.in_flight,
                    ...s.latency_ms,
                    health: s.health.status,
                    state: s.state,
                    weight: s.weight,
                };
            pools[pool.name] = {
                requests: view.totals.requests,
                rate: view.rates.requests,
                errors_rate: view.rates.errors,
                in_flight: view.in_flight,
                queued: view.queued,
                protocols: view.totals.protocols,
                ...view.latency_ms,
                servers,
            };
            total.requests += view.totals.requests;
            total.rate += view.rates.requests;
            total.errors_rate += view.rates.errors;
            total.in_flight += view.in_flight;
        }
        total.protocols = spread(total.requests);
        return {
            time: Date.now(),
            total,
            listeners: {
                https: { requests: total.requests, rate: total.rate, in_flight: total.in_flight },
            },
            pools,
        };
    }

    status() {
        const { total } = this.stats();
        return {
            version: "0.2.0-mock",
            started_at: this.startedAt,
            uptime_ms: Date.now() - this.startedAt,
            pid: 4242,
            generation: this.generation,
            workers: 2,
            connections: 42,
            requests: total.requests,
            rates: { requests: total.rate },
            in_flight: total.in_flight,
            config_file: "/etc/weir/weir.conf",
            state_dir: "/var/lib/weir",
            store: { kind: "sqlite", state: "ok", detail: "" },
            reload: this.reload ?? null,
            journal_pending: this.journal
                .filter((e) => e.state === "pending")
                .map((e) => ({ id: e.id, until: e.confirm_until })),
            alarms: this.modules.alarms(),
            health: "ok",
        };
    }

    // --- History -----------------------------------------------------------------------------

    remember() {
        const stats = this.stats();
        const at = Math.floor(stats.time / 1000);
        const put = (name, values) => {
            for (const metric of METRICS) {
                if (values[metric] === undefined) continue;
                const key = `${name}.${metric}`;
                let ring = this.history.get(key);
                if (!ring) this.history.set(key, (ring = new Map()));
                ring.set(at, values[metric]);
                if (ring.size > HISTORY_SECONDS) ring.delete(ring.keys().next().value);
            }
        };
        put("total", stats.total);
        for (const [pool, values] of Object.entries(stats.pools)) {
            put(`pool:${pool}`, values);
            for (const [id, server] of Object.entries(values.servers))
                put(`server:${pool}/${id}`, server);
        }
    }

    /** Ten minutes that look as if they had been, for small set-ups. */
    fillHistory() {
        const servers = [...this.pools.values()].reduce((n, p) => n + p.servers.size, 0);
        for (let i = 0; i < 8; i++) this.tick(true);
        if (servers > 50) return;
        const real = Date.now;
        const start = real();
        for (let back = 600; back > 0; back--) {
            Date.now = () => start - back * 1000;
            this.tick(true);
            this.remember();
        }
        Date.now = real;
    }

    historyOf(names, seconds) {
        const step = seconds <= 900 ? 1 : 5;
        const end = Math.floor(Date.now() / 1000 / step) * step;
        const count = Math.ceil(seconds / step);
        const start = end - (count - 1) * step;
        const series = {};
        for (const name of names) {
            const ring = this.history.get(name);
            series[name] = Array.from(
                { length: count },
                (_, i) => ring?.get(start + i * step) ?? null,
            );
        }
        return { step_ms: step * 1000, start: start * 1000, series };
    }

    // --- Changes -----------------------------------------------------------------------------

    record(entry) {
        const whole = {
            id: this.nextJournal++,
            time: Date.now(),
            before: null,
            after: null,
            state: "done",
            confirm_until: null,
            undo_of: null,
            ...entry,
        };
        this.journal.unshift(whole);
        this.emit("change", whole);
        return whole;
    }

    emit(type, data) {
        for (const listener of this.listeners) listener(type, data);
    }
}

/** Requests by protocol: three of four speak HTTP/2. */
const spread = (requests) => ({
    "HTTP/1.1": Math.floor(requests / 4),
    "HTTP/2": requests - Math.floor(requests / 4),
});

/** Settings of a server that the journal keeps. */
export const settingsOf = (server) => ({
    url: server.url,
    weight: server.weight,
    max_requests: server.max_requests,
    state: server.state,
    backup: server.backup,
});
