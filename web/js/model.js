// SPDX-License-Identifier: MIT
// What the control panel knows of the running Weir: whole objects asked for now and then, with the
// numbers of each second laid over them. Dispatches "pools" when membership or settings may have
// changed, "tick" when only numbers did, "status", "journal" with a new entry, "module" when a block of
// one is out, and "reload".

import { api } from "./api.js";

const KEEP = 60;
// A whole answer for 1,000 servers is megabytes, so it is asked for less often.
const reloadDelay = (servers) => (servers > 400 ? 15000 : servers > 100 ? 8000 : 4000);
const STATUS_MS = 10000;

export class Model extends EventTarget {
    constructor(events) {
        super();
        this.pools = [];
        this.status = null;
        this.stats = null;
        this.trends = new Map();
        events.addEventListener("statistics", ({ detail }) => this.takeStatistics(detail));
        events.addEventListener("change", ({ detail }) => {
            this.dispatchEvent(new CustomEvent("journal", { detail }));
            this.refreshSoon(50);
            this.loadStatus();
        });
        events.addEventListener("server", () => this.refreshSoon(150));
        events.addEventListener("module", () => {
            this.dispatchEvent(new Event("module"));
            this.loadStatus();
        });
        events.addEventListener("reload", ({ detail }) => {
            this.dispatchEvent(new CustomEvent("reload", { detail }));
            this.refreshSoon(50);
            this.loadStatus();
        });
        events.addEventListener("again", () => this.load());
        document.addEventListener("visibilitychange", () => {
            if (!document.hidden) this.refreshSoon(0);
        });
        setInterval(() => document.hidden || this.loadStatus(), STATUS_MS);
    }

    load() {
        return Promise.all([this.loadPools(), this.loadStatus()]);
    }

    /** The last minute of each pool, so that its line is there at once. */
    async loadTrends() {
        try {
            const names = this.pools.map((pool) => pool.name);
            const { data } = await api.get("/stats/history", {
                query: {
                    seconds: KEEP,
                    series: names.map((name) => `pool:${name}.rate`).join(","),
                },
            });
            for (const name of names)
                this.trends.set(
                    name,
                    (data.series[`pool:${name}.rate`] ?? [])
                        .filter((value) => value !== null)
                        .slice(-KEEP),
                );
        } catch {
            // The lines grow from now on instead.
        }
    }

    servers() {
        return this.pools.flatMap((pool) => pool.servers);
    }

    pool(name) {
        return this.pools.find((pool) => pool.name === name);
    }

    server(pool, id) {
        return this.pool(pool)?.servers.find((server) => server.id === id);
    }

    refreshSoon(delay) {
        const at = Date.now() + delay;
        if (this.timer && this.dueAt <= at) return;
        clearTimeout(this.timer);
        this.dueAt = at;
        this.timer = setTimeout(() => {
            this.timer = 0;
            if (document.hidden) this.refreshSoon(reloadDelay(this.servers().length));
            else this.loadPools();
        }, delay);
    }

    async loadPools() {
        if (this.loading) {
            this.again = true;
            return this.loading;
        }
        this.loading = this.fetchPools();
        await this.loading;
        this.loading = null;
        const servers = this.servers().length;
        this.refreshSoon(this.again ? Math.min(1000, 50 + servers) : reloadDelay(servers));
        this.again = false;
        return undefined;
    }

    async fetchPools() {
        try {
            this.pools = (await api.get("/pools")).data.entries;
            this.failed = null;
            this.dispatchEvent(new Event("pools"));
        } catch (problem) {
            // The event stream tells that the connection is lost; what was known stays.
            this.failed = problem;
            this.dispatchEvent(new Event("pools"));
        }
    }

    async loadStatus() {
        try {
            this.status = (await api.get("/status")).data;
            this.dispatchEvent(new Event("status"));
        } catch {
            // Asked again soon; the event stream tells about the connection.
        }
    }

    takeStatistics(stats) {
        this.stats = stats;
        let strange = false;
        for (const pool of this.pools) {
            const now = stats.pools?.[pool.name];
            if (!now) {
                strange = true;
                continue;
            }
            layOver(pool, now);
            pool.queued = now.queued ?? pool.queued;
            pool.totals.requests = now.requests;
            this.follow(pool.name, now.rate);
            strange ||= Object.keys(now.servers).length !== pool.servers.length;
            for (const server of pool.servers)
                strange = layServer(server, now.servers[server.id]) || strange;
        }
        if (strange) this.refreshSoon(100);
        this.dispatchEvent(new Event("tick"));
    }

    follow(name, rate) {
        const values = this.trends.get(name) ?? [];
        values.push(rate ?? 0);
        if (values.length > KEEP) values.shift();
        this.trends.set(name, values);
    }
}

/** How many values a trend holds when full. */
export const TREND_LENGTH = KEEP;

function layOver(object, now) {
    object.rates.requests = now.rate;
    object.rates.errors = now.errors_rate;
    object.in_flight = now.in_flight;
    object.latency_ms = { p50: now.p50, p95: now.p95, p99: now.p99 };
}

/** Whether something differs that only the whole object explains: its reason, its deadline. */
function layServer(server, now) {
    if (!now) return true;
    layOver(server, now);
    server.requests = now.requests;
    const strange = now.health !== server.health.status || now.state !== server.state;
    server.health.status = now.health;
    server.state = now.state;
    return strange;
}
