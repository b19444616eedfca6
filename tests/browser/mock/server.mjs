// SPDX-License-Identifier: MIT
// Serves web/ and a pretended API (model.mjs) the way the admin module does: same paths, statuses,
// headers and Content-Security-Policy. For tests of the pages;
// `node mock/server.mjs` runs it alone.

import http from "node:http";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Model, settingsOf } from "./model.mjs";
import { endTrial } from "./modules.mjs";

const WEB = path.resolve(fileURLToPath(import.meta.url), "../../../../web");
const PAGES = { "/": "index.html", "/traffic": "traffic.html", "/login": "login.html" };
const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
};
const CSP =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; " +
    "frame-ancestors 'none'";
const USERS = { admin: "admin", operator: "operator", viewer: "viewer" };
const RANK = { viewer: 0, operator: 1, admin: 2 };

class Refusal extends Error {
    constructor(status, title, detail, errors) {
        super(detail);
        this.problem = { type: "about:blank", title, status, detail, ...(errors && { errors }) };
    }
}

export const SHOP = [
    { name: "web_servers", servers: 4, policy: "least_conn", rate: 40, base: 3000 },
    {
        name: "api_servers",
        servers: 3,
        policy: "round_robin",
        sticky: "cookie",
        protocol: "h2",
        rate: 22,
        base: 4000,
    },
];

export class MockWeir {
    constructor({ pools = SHOP, seed, modules } = {}) {
        this.model = new Model({ pools, seed });
        if (modules) this.model.modules.add(modules);
        this.sessions = new Map();
        this.streams = new Set();
        this.failing = new Map();
        this.model.listeners.add((type, data) => this.send(type, data));
        this.eventId = 0;
    }

    async listen(port = 0) {
        this.server = http.createServer((req, res) => this.handle(req, res));
        await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}`;
        this.timer = setInterval(() => this.model.tick(), 1000);
        return this;
    }

    /** Stops answering: as seen by a browser, the program has ended. listen() brings it back. */
    async close() {
        clearInterval(this.timer);
        for (const stream of this.streams) stream.destroy();
        this.streams.clear();
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }

    send(type, data) {
        const text = `id: ${++this.eventId}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
        for (const stream of this.streams) stream.write(text);
    }

    /** All sessions end, as after a restart or a long night. */
    expireSessions() {
        this.sessions.clear();
        for (const stream of this.streams) stream.destroy();
    }

    /** The next request of this method and path prefix gets this problem. */
    failNext(method, prefix, status, title, detail) {
        this.failing.set(`${method} ${prefix}`, new Refusal(status, title, detail));
    }

    async handle(req, res) {
        const url = new URL(req.url, "http://mock");
        res.setHeader("Content-Security-Policy", CSP);
        res.setHeader("X-Content-Type-Options", "nosniff");
        res.setHeader("Cache-Control", "no-cache");
        try {
            if (url.pathname.startsWith("/api/v1/")) await this.api(req, res, url);
            else await this.page(req, res, url);
        } catch (error) {
            const problem = error.problem ??
                (error.name === "Missing" && new Refusal(404, "Not Found", error.message).problem) ?? {
                type: "about:blank",
                title: "Error in the mock",
                status: 500,
                detail: String(error.stack),
            };
            res.writeHead(problem.status, { "Content-Type": "application/problem+json" });
            res.end(JSON.stringify(problem));
        }
    }

    async page(req, res, url) {
        let name = PAGES[url.pathname];
        if (name && url.pathname !== "/login" && !this.sessionOf(req)) {
            res.writeHead(303, { Location: "/login" }).end();
            return;
        }
        if (!name && url.pathname.startsWith("/web/") && !url.pathname.includes(".."))
            name = url.pathname.slice("/web/".length);
        const body = name && (await fs.readFile(path.join(WEB, name)).catch(() => null));
        if (!body) throw new Refusal(404, "Not Found", `there is no page ${url.pathname}`);
        res.setHeader("Content-Type", TYPES[path.extname(name)] ?? "application/octet-stream");
        res.end(body);
    }

    sessionOf(req) {
        const cookie = /(?:^|; )weir_admin=([^;]+)/.exec(req.headers.cookie ?? "");
        return cookie ? this.sessions.get(cookie[1]) : undefined;
    }

    async api(req, res, url) {
        const parts = url.pathname.slice("/api/v1/".length).split("/").map(decodeURIComponent);
        const body = await readJson(req);
        for (const [key, refusal] of this.failing) {
            const [method, prefix] = key.split(" ");
            if (req.method === method && url.pathname.startsWith(prefix)) {
                this.failing.delete(key);
                throw refusal;
            }
        }
        if (parts[0] === "session") return this.session(req, res, body);
        const session = this.sessionOf(req);
        if (!session) throw new Refusal(401, "Unauthorized", "log in first");
        if (req.method !== "GET" && req.headers["x-csrf-token"] !== session.csrf)
            throw new Refusal(403, "Forbidden", "the X-CSRF-Token is missing or wrong");
        const handler = ROUTES[`${req.method} ${parts[0]}`];
        if (!handler) throw new Refusal(404, "Not Found", `there is no ${url.pathname}`);
        if (RANK[session.role] < RANK[handler.role ?? "viewer"])
            throw new Refusal(403, "Forbidden", `${session.role} may not do this`);
        return handler.call(this, { req, res, url, parts, body, session, query: url.searchParams });
    }

    session(req, res, body) {
        const old = this.sessionOf(req);
        if (req.method === "GET") {
            if (!old) throw new Refusal(401, "Unauthorized", "log in first");
            return json(res, 200, old);
        }
        if (req.method === "DELETE") {
            for (const [key, value] of this.sessions) if (value === old) this.sessions.delete(key);
            res.writeHead(204).end();
            return undefined;
        }
        const author =
            body.link === "one-time"
                ? "admin"
                : body.token
                  ? body.token.replace(/^weir_/, "")
                  : body.name;
        if (!USERS[author] || (body.name && body.password !== USERS[author]))
            throw new Refusal(401, "Unauthorized", "the name or the password is wrong");
        const id = `s${Math.random().toString(36).slice(2)}`;
        const session = { author, role: author, csrf: `c${id}` };
        this.sessions.set(id, session);
        res.setHeader("Set-Cookie", `weir_admin=${id}; HttpOnly; SameSite=Strict; Path=/`);
        return json(res, 200, session);
    }

    find(pool, id) {
        const found = this.model.pools.get(pool);
        if (!found) throw new Refusal(404, "Not Found", `there is no pool ${pool}`);
        if (id === undefined) return { pool: found };
        const server = found.servers.get(id);
        if (!server) throw new Refusal(404, "Not Found", `pool ${pool} has no server ${id}`);
        return { pool: found, server };
    }

    /** Journals a change, and answers it. */
    changed(call, status, entry, value) {
        const confirm = /^(\d+)s$/.exec(call.query.get("confirm") ?? "");
        const kept = this.model.record({
            author: call.session.author,
            ...entry,
            ...(confirm && {
                state: "pending",
                confirm_until: Date.now() + Number(confirm[1]) * 1000,
            }),
        });
        if (confirm)
            setTimeout(
                () => kept.state === "pending" && this.undo(kept, "expired"),
                Number(confirm[1]) * 1000,
            ).unref();
        call.res.setHeader("Weir-Journal", String(kept.id));
        return json(call.res, status, value, value && etagOf(value));
    }

    undo(entry, state = "undone") {
        const [poolName, id] = entry.target.split("/");
        const { pool } = this.find(poolName);
        if (entry.before === null) pool.servers.delete(id);
        else if (!pool.servers.has(id))
            pool.servers.set(
                id,
                this.model.newServer(pool, { id, origin: "file", ...entry.before }),
            );
        else applySettings(pool.servers.get(id), entry.before);
        entry.state = state;
        return this.model.record({
            author: state === "expired" ? "weir" : "admin",
            command: "journal.undo",
            target: entry.target,
            before: entry.after,
            after: entry.before,
            undo_of: entry.id,
        });
    }
}

function applySettings(server, settings) {
    if (settings.state && settings.state !== server.state) server.state_since = Date.now();
    Object.assign(server, settings);
    server.effective_weight = server.weight;
    server.drift =
        server.origin === "file" && server.weight !== server.configured_weight ? ["weight"] : [];
    server.drain_deadline = server.state === "drain" ? Date.now() + 30e3 : null;
}

async function readJson(req) {
    let text = "";
    for await (const chunk of req) text += chunk;
    try {
        return text ? JSON.parse(text) : {};
    } catch {
        throw new Refusal(400, "Bad Request", "the body is not JSON");
    }
}

function json(res, status, value, etag) {
    if (etag) res.setHeader("ETag", etag);
    res.writeHead(status, { "Content-Type": "application/json" });
    res.end(status === 204 ? undefined : JSON.stringify(value));
}

const etagOf = (server) =>
    `"${[server.weight, server.max_requests, server.state, server.backup].join("-")}"`;
const entries = (list) => ({ entries: list });
const DAY = 86400e3;

function checkWeight(body) {
    if (body.weight !== undefined && !(body.weight >= 0 && body.weight <= 1000))
        throw new Refusal(422, "Unprocessable Content", "the server was not changed", [
            { pointer: "/weight", detail: "weight is from 0 to 1000" },
        ]);
}

function addServer(call) {
    const { pool } = this.find(call.parts[1]);
    const { body } = call;
    checkWeight(body);
    if (!/^(https?:\/\/|unix:)./.test(body.url ?? ""))
        throw new Refusal(422, "Unprocessable Content", "the server was not added", [
            { pointer: "/url", detail: "not a URL that starts with http://, https:// or unix:" },
        ]);
    const id = body.id ?? new URL(body.url).host.replace(":", "-");
    if (pool.servers.has(id))
        throw new Refusal(409, "Conflict", `pool ${pool.name} has a server ${id} already`);
    const server = this.model.newServer(pool, { ...body, id, origin: "runtime" });
    pool.servers.set(id, server);
    return this.changed(
        call,
        201,
        { command: "server.add", target: `${pool.name}/${id}`, after: settingsOf(server) },
        this.model.serverView(server),
    );
}

function patchServer(call) {
    const { pool, server } = this.find(call.parts[1], call.parts[3]);
    checkWeight(call.body);
    const match = call.req.headers["if-match"];
    if (match && match !== etagOf(server))
        throw new Refusal(412, "Precondition Failed", `${server.id} has been changed meanwhile`);
    const before = settingsOf(server);
    const { drain_timeout, ...settings } = call.body;
    applySettings(server, settings);
    return this.changed(
        call,
        200,
        {
            command: "server.patch",
            target: `${pool.name}/${server.id}`,
            before,
            after: settingsOf(server),
        },
        this.model.serverView(server),
    );
}

function removeServer(call) {
    const { pool, server } = this.find(call.parts[1], call.parts[3]);
    const others = [...pool.servers.values()].filter((one) => one !== server);
    if (
        call.query.get("force") !== "1" &&
        server.state === "ready" &&
        !others.some((one) => one.state === "ready")
    )
        throw new Refusal(409, "Conflict", `"${server.id}" is the last server that is ready`);
    const entry = {
        command: "server.remove",
        target: `${pool.name}/${server.id}`,
        before: settingsOf(server),
    };
    const gone = () => pool.servers.delete(server.id);
    if (call.query.get("now") === "1") {
        gone();
        return this.changed(call, 204, entry);
    }
    applySettings(server, { state: "drain" });
    setTimeout(gone, 2000).unref();
    return this.changed(call, 202, entry, this.model.serverView(server));
}

const operator = (fn) => Object.assign(fn, { role: "operator" });
const admin = (fn) => Object.assign(fn, { role: "admin" });

const rule = (name, verdict, why) => ({
    module: "route_path",
    name,
    match: verdict === "wins",
    verdict,
    why,
});

const ROUTES = {
    "GET pools"(call) {
        if (!call.parts[1])
            return json(
                call.res,
                200,
                entries([...this.model.pools.values()].map((p) => this.model.poolView(p))),
            );
        const { pool, server } = this.find(call.parts[1], call.parts[3]);
        const view = server ? this.model.serverView(server) : this.model.poolView(pool);
        return json(call.res, 200, view, server ? etagOf(server) : '"pool"');
    },
    "POST pools": operator(function addOrEnd(call) {
        const [, name, how] = call.parts;
        if (how === "servers") return addServer.call(this, call);
        const { pool } = this.find(name);
        endTrial(pool.swap, how === "promote" ? "promoted" : "rolled_back");
        pool.policy = pool.swap[how === "promote" ? "new" : "old"].balance;
        return this.changed(
            call,
            200,
            { command: `pool.${how}`, target: name },
            this.model.poolView(pool),
        );
    }),
    "PATCH pools": operator(patchServer),
    "DELETE pools": operator(removeServer),
    "GET status"(call) {
        return json(call.res, 200, this.model.status());
    },
    "GET stats"(call) {
        if (call.parts[1] !== "history") return json(call.res, 200, this.model.stats());
        return json(
            call.res,
            200,
            this.model.historyOf(
                call.query.get("series").split(","),
                Number(call.query.get("seconds")),
            ),
        );
    },
    "GET events"(call) {
        call.res.writeHead(200, { "Content-Type": "text/event-stream" });
        call.res.write(": hello\n\n");
        this.streams.add(call.res);
        call.res.on("close", () => this.streams.delete(call.res));
    },
    "GET routes"(call) {
        const list = [...this.model.pools.values()].map((pool, i) => {
            const view = this.model.poolView(pool);
            return {
                name: i === 0 ? "site" : pool.name.replace(/_servers$/, ""),
                host: i === 0 ? "" : "shop.example",
                path: i === 0 ? "/" : `/api/v${i}/`,
                match: "prefix",
                pool: pool.name,
                requests: view.totals.requests,
                responses: view.totals.responses,
                rates: view.rates,
                latency_ms: view.latency_ms,
            };
        });
        return json(call.res, 200, entries(list));
    },
    "GET listeners"(call) {
        const { total } = this.model.stats();
        const rates = {
            requests: total.rate,
            errors: total.errors_rate,
            bytes_in: 20000,
            bytes_out: 420000,
        };
        return json(
            call.res,
            200,
            entries([
                {
                    name: "https",
                    addresses: ["0.0.0.0:443", "[::]:443"],
                    tls: true,
                    handler: null,
                    alpn: ["h2", "http/1.1", "http/1.0"],
                    h2c: false,
                    connections: 42,
                    http2: { connections: 31, streams: 77, opened: 4100 },
                    odd_points: 1830,
                    abusive: 3,
                    requests: total.requests,
                    responses: {},
                    protocols: { "HTTP/1.0": 4, ...total.protocols },
                    grpc: { OK: 1200, UNAVAILABLE: 7 },
                    rates,
                    bytes_in: 5e8,
                    bytes_out: 9e9,
                },
                {
                    name: "admin",
                    addresses: ["127.0.0.1:9900"],
                    tls: false,
                    handler: "admin",
                    alpn: [],
                    h2c: false,
                    connections: 2,
                    http2: { connections: 0, streams: 0, opened: 0 },
                    odd_points: 0,
                    abusive: 0,
                    protocols: { "HTTP/1.1": 310 },
                    grpc: {},
                    requests: 310,
                    responses: {},
                    rates: { requests: 1.2, errors: 0, bytes_in: 400, bytes_out: 9000 },
                    bytes_in: 1e5,
                    bytes_out: 4e6,
                },
            ]),
        );
    },
    "GET modules"(call) {
        const [, name] = call.parts;
        return json(
            call.res,
            200,
            name ? this.model.modules.show(name) : entries(this.model.modules.list()),
        );
    },
    "POST modules": operator(function bringBack(call) {
        const [, name, how] = call.parts;
        const before = { alarms: this.model.modules.show(name).alarms };
        if (how === "release") this.model.modules.release(name);
        else if (how === "promote") this.model.modules.endSwap(name, "promoted");
        else if (how === "rollback") this.model.modules.endSwap(name, "rolled_back");
        else this.model.modules.retry(name);
        return this.changed(
            call,
            200,
            { command: `modules.${how}`, target: name, before },
            this.model.modules.show(name),
        );
    }),
    "GET certificates"(call) {
        const now = Date.now();
        const list = [
            ["shop.example", 61],
            ["api.shop.example", 12],
            ["old.example", -3],
        ];
        return json(
            call.res,
            200,
            entries(
                list.map(([name, days]) => ({
                    listener: "https",
                    name,
                    subject: `CN=${name}`,
                    issuer: "CN=Test CA",
                    serial: "0A:1F:33",
                    names: [name, `www.${name}`],
                    not_before: now - 29 * DAY,
                    not_after: now + days * DAY,
                    days_left: days,
                })),
            ),
        );
    },
    "GET journal"(call) {
        const limit = Number(call.query.get("limit") ?? 50);
        const before = Number(call.query.get("before") ?? Infinity);
        const list = this.model.journal.filter((entry) => entry.id < before);
        const shown = list.slice(0, limit);
        return json(call.res, 200, {
            entries: shown,
            cursor: list.length > limit ? shown.at(-1).id : null,
        });
    },
    "POST journal": operator(function journal(call) {
        const entry = this.model.journal.find((e) => e.id === Number(call.parts[1]));
        if (!entry)
            throw new Refusal(404, "Not Found", `the journal has no entry ${call.parts[1]}`);
        if (call.parts[2] === "confirm") {
            entry.state = "done";
            entry.confirm_until = null;
            return json(call.res, 200, entry);
        }
        if (entry.state !== "done" && entry.state !== "pending")
            throw new Refusal(409, "Conflict", `entry ${entry.id} has been undone already`);
        const later = this.model.journal.find(
            (e) =>
                e.id > entry.id &&
                e.state === "done" &&
                e.target === entry.target &&
                e.undo_of === null,
        );
        if (later)
            throw new Refusal(
                409,
                "Conflict",
                `entry ${later.id} changed ${entry.target} later; undo that first`,
            );
        return json(call.res, 200, { ...this.undo(entry), undone: entry });
    }),
    "POST explain": operator(function explain(call) {
        const url = new URL(call.body.url);
        const pools = [...this.model.pools.values()];
        const index = Math.max(
            0,
            pools.findIndex((p, i) => i > 0 && url.pathname.startsWith(`/api/v${i}/`)),
        );
        const pool = pools[index];
        const candidates = [...pool.servers.values()].map((s) => {
            const able = this.model.eligible(pool).includes(s);
            return {
                id: s.id,
                eligible: able,
                protocol: pool.protocol ? "HTTP/2" : "HTTP/1.1",
                weight: s.effective_weight,
                why: able ? "up and ready" : s.state !== "ready" ? s.state : s.health.reason,
                in_flight: s.in_flight,
                latency_ms: s.latency_ms.p50,
                score: able ? s.in_flight / s.weight : null,
                score_text: able ? `${s.in_flight} in flight over weight ${s.weight}` : null,
            };
        });
        const best = candidates.filter((c) => c.eligible).sort((a, b) => a.score - b.score)[0];
        return json(call.res, 200, {
            listener: "https",
            protocol: {
                alpn: ["h2", "http/1.1", "http/1.0"],
                h2c: false,
                server: pool.protocol ?? "http/1.1",
            },
            filters: [
                { module: "headers", in: "listener", verdict: "passes", status: null, why: "changes fields of the request" },
                { module: "gate", in: "pool", verdict: "unknown", status: null, why: "not asked: it may count what it sees" },
            ],
            route: {
                name: index ? "api" : "site",
                tried: [
                    rule("admin.example,*.internal.example/api", "differs", "host differs"),
                    index
                        ? rule("api", "wins", "the longest prefix")
                        : rule("api", "differs", "another path"),
                    index
                        ? rule("site", "fits", "a longer prefix won")
                        : rule("site", "wins", "the longest prefix"),
                ],
                left_out: index ? 9947 : 0,
            },
            pool: pool.name,
            sticky: { verdict: pool.sticky ? "none" : "none", server: null },
            candidates,
            pick: best?.id ?? null,
            answer: best ? null : { status: 503, reason: "no eligible server" },
        });
    }),
    "POST config": admin(function config(call) {
        if (call.parts[1] === "check") return json(call.res, 200, { ok: true });
        this.model.generation++;
        this.model.emit("reload", { generation: this.model.generation });
        return json(call.res, 200, { generation: this.model.generation, contradictions: [] });
    }),
    "GET config": admin(function config(call) {
        return json(call.res, 200, {
            files: [
                {
                    path: "/etc/weir/weir.conf",
                    text: 'state_dir = "/var/lib/weir"\ninclude "conf.d/*.conf"\n',
                },
            ],
        });
    }),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const count = Number(process.argv[3] ?? 0);
    const pools = count
        ? [{ name: "web_servers", servers: count, rate: 8 }, ...SHOP.slice(1)]
        : SHOP;
    const mock = await new MockWeir({ pools }).listen(Number(process.argv[2] ?? 9900));
    console.log(`a mock for tests, not Weir: ${mock.url} (log in as admin, password admin)`);
}
