// SPDX-License-Identifier: MIT
// Pools with their servers: search, the unhealthy alone, sort, and what may be done to each.

import { may } from "../api.js";
import { actionsOf, add, drain, drainLeft, ready } from "../actions.js";
import { h, isTyping, setAttr, setChildren, setText } from "../dom.js";
import { bytes, count, duration, latency, ms, rate, share } from "../format.js";
import { icon } from "../icons.js";
import { toggleMenu } from "../menu.js";
import { TREND_LENGTH } from "../model.js";
import { probeBars, rateLine } from "../sparkline.js";
import { badge, isUnhealthy, isWell, standing, STANDINGS } from "../state.js";
import { DataTable, openButton } from "../table.js";
import { serverDetail } from "./detail.js";
import { OF_POOL, SwapPart } from "./swap.js";
import { ShadowPart } from "./shadow.js";

const PAGE = 50;
const SAVED = "weir-sort";

function savedSort() {
    try {
        return JSON.parse(sessionStorage.getItem(SAVED)) ?? { column: "id", descending: false };
    } catch {
        return { column: "id", descending: false };
    }
}

// --- Cells ---------------------------------------------------------------------------------------

function nameCell(made) {
    const name = openButton(made, (server) => server.id);
    const url = h("span", { class: "sub ellipsis mono" });
    const chips = h("span", { class: "chips" });
    return {
        node: h("div", { class: "name" }, h("div", { class: "name-line" }, name.node, chips), url),
        update: (server) => {
            name.update(server);
            setText(url, server.url);
            setAttr(url, "title", server.url);
            const wanted = [
                server.origin === "runtime" && "runtime",
                (server.drift ?? []).length > 0 && `differs: ${server.drift.join(", ")}`,
                server.backup && "backup",
            ].filter(Boolean);
            if (chips.shown !== wanted.join()) {
                chips.shown = wanted.join();
                chips.replaceChildren(
                    ...wanted.map((text) =>
                        h("span", { class: "chip", title: CHIP_HELP[text.split(":")[0]] }, text),
                    ),
                );
            }
        },
    };
}

const CHIP_HELP = {
    runtime: "Added while running; it is not in the files",
    differs: "These settings are not what the files say",
    backup: "Only used when no other server can answer",
};

function stateCell() {
    const mark = badge();
    const reason = h("span", { class: "sub ellipsis" });
    return {
        node: h("div", { class: "standing" }, mark.node, reason),
        update: (server) => {
            const name = standing(server);
            mark.update(name, server.leaving ? "Leaving" : undefined);
            const ejected = (server.ejected_until ?? 0) > Date.now();
            const text =
                name === "drain"
                    ? drainLeft(server) || server.health.reason
                    : ejected
                      ? `set aside: ${server.health.reason}`
                      : server.health.reason;
            setText(reason, text ?? "");
            setAttr(reason, "title", text);
        },
    };
}

function probesCell() {
    const bars = probeBars();
    return { node: bars.node, update: (server) => bars.update(server.health.probes) };
}

function loadCell() {
    const now = h("span");
    const limit = h("span", { class: "of" });
    const fill = h("span", { class: "meter-fill" });
    const meter = h("span", { class: "meter", "aria-hidden": "true" }, fill);
    return {
        node: h("div", { class: "load" }, h("span", {}, now, limit), meter),
        update: (server) => {
            const most = server.max_requests;
            setText(now, count(server.in_flight));
            setText(limit, most > 0 ? ` / ${count(most)}` : "");
            meter.hidden = !(most > 0);
            const part = most > 0 ? Math.min(1, server.in_flight / most) : 0;
            fill.style.transform = `scaleX(${part})`;
            setAttr(meter, "data-full", part >= 0.9 ? "" : null);
        },
    };
}

function weightCell() {
    const set = h("span");
    const effective = h("span", { class: "sub" });
    return {
        node: h("div", {}, set, effective),
        update: (server) => {
            setText(set, server.weight);
            const differs = Math.abs(server.effective_weight - server.weight) > 1e-9;
            setText(effective, differs ? `now ${Number(server.effective_weight.toFixed(1))}` : "");
        },
    };
}

function errorsCell() {
    const node = h("span");
    return {
        node,
        update: (server) => {
            setText(node, share(server.error_share));
            setAttr(node, "class", server.error_share >= 0.01 ? "bad-number" : null);
        },
    };
}

function actionsCell(pools) {
    return (made) => {
        const primary = h("button", { class: "button small", type: "button" });
        const more = h(
            "button",
            {
                class: "icon-button",
                type: "button",
                "aria-haspopup": "menu",
                "aria-expanded": "false",
            },
            icon("more"),
        );
        const current = () => [pools(made.row.pool), made.row];
        primary.addEventListener("click", () => {
            const [pool, server] = current();
            (server.state === "ready" ? drain : ready)(pool, server);
        });
        more.addEventListener("click", () => {
            const [pool, server] = current();
            toggleMenu(more, `Actions for ${server.id}`, actionsOf(pool, server));
        });
        return {
            node: h("div", { class: "row-actions" }, primary, more),
            update: (server) => {
                const word = server.state === "ready" ? "Drain" : "Ready";
                setText(primary, word);
                setAttr(primary, "aria-label", `${word} ${server.id}`);
                setAttr(more, "aria-label", `More actions for ${server.id}`);
            },
        };
    };
}

const percentile = (id) => ({
    id,
    label: id,
    num: true,
    value: (s) => s.latency_ms?.[id] ?? null,
    text: (s) => ms(s.latency_ms?.[id]),
});

function columnsFor(pools) {
    const columns = [
        { id: "id", label: "Server", head: "row", value: (s) => s.id, cell: nameCell },
        {
            id: "state",
            label: "State",
            value: (s) => STANDINGS.indexOf(standing(s)),
            cell: stateCell,
        },
        { id: "probes", label: "Probes", cell: probesCell },
        {
            id: "rate",
            label: "Req/s",
            num: true,
            value: (s) => s.rates.requests,
            text: (s) => rate(s.rates.requests),
        },
        { id: "errors", label: "Errors", num: true, value: (s) => s.error_share, cell: errorsCell },
        { id: "load", label: "In flight", num: true, value: (s) => s.in_flight, cell: loadCell },
        { id: "weight", label: "Weight", num: true, value: (s) => s.weight, cell: weightCell },
        percentile("p50"),
        percentile("p95"),
        percentile("p99"),
        {
            id: "requests",
            label: "Requests",
            num: true,
            value: (s) => s.requests,
            text: (s) => count(s.requests),
        },
    ];
    if (may("operator"))
        columns.push({
            id: "actions",
            label: "Actions",
            hideLabel: true,
            cell: actionsCell(pools),
        });
    return columns;
}

// --- A pool --------------------------------------------------------------------------------------

const POOL_FIGURES = [
    ["Req/s", (pool) => rate(pool.rates.requests)],
    ["Errors/s", (pool) => rate(pool.rates.errors), (pool) => pool.rates.errors >= 0.05],
    ["In flight", (pool) => count(pool.in_flight)],
    ["Queued", (pool) => count(pool.queued), (pool) => pool.queued > 0],
    ["p50", (pool) => latency(pool.latency_ms?.p50)],
    ["p95", (pool) => latency(pool.latency_ms?.p95)],
    ["p99", (pool) => latency(pool.latency_ms?.p99)],
    ["Requests", (pool) => count(pool.totals.requests)],
    [
        "Failed",
        (pool) => count((pool.totals.responses?.["5xx"] ?? 0) + (pool.totals.responses?.none ?? 0)),
    ],
    ["HTTP/2", (pool) => share(partOf(pool.totals.protocols, "HTTP/2"))],
    ["gRPC failed", grpcFailed],
];

/** The share of one of an object's counts; null where all are 0. */
function partOf(counts, name) {
    const all = Object.values(counts ?? {}).reduce((sum, value) => sum + value, 0);
    return all > 0 ? (counts[name] ?? 0) / all : null;
}

/** Calls whose status is not OK; null where there was no call. */
function grpcFailed({ totals: { grpc } }) {
    const all = Object.values(grpc ?? {}).reduce((sum, value) => sum + value, 0);
    return all > 0 ? count(all - (grpc.OK ?? 0)) : null;
}

/** What is spoken to the servers, and what bounds their connections. */
function protocolWords({ protocol, h2_streams, h2_window, connection_age }) {
    const spoken = { "http/1.1": "HTTP/1.1", h2: "HTTP/2", auto: "HTTP/2 or 1.1" }[protocol];
    return [
        spoken && `to servers: ${spoken}`,
        spoken &&
            protocol !== "http/1.1" &&
            `${count(h2_streams)} streams a connection, ${bytes(h2_window)} each`,
        connection_age > 0 && `connections renewed after ${duration(connection_age)}`,
    ].filter(Boolean);
}

// An old trial is told for so long.
const TOLD_MS = 24 * 3600e3;

const isTold = ({ state, ended }) => state === "trying" || Date.now() - ended < TOLD_MS;

class PoolCard {
    constructor(name, { pools, sort, onSort, reload }) {
        this.swap = new SwapPart(reload, OF_POOL, name);
        this.title = h("h2", { text: name });
        this.up = badge();
        this.chips = h("span", { class: "chips" });
        this.trend = rateLine(`Requests per second of ${name} over the last minute`);
        this.figures = POOL_FIGURES.map(([label, text, isBad]) => ({
            text,
            isBad,
            value: h("dd"),
            label,
        }));
        this.table = new DataTable({
            caption: `Servers of pool ${name}`,
            columns: columnsFor(pools),
            pageSize: PAGE,
            key: (server) => server.id,
            rowState: standing,
            detail: serverDetail,
            sort,
            onSort,
            empty: "No server matches.",
        });
        this.shadow = new ShadowPart(name);
        this.node = h(
            "section",
            { class: "panel cards pool", "aria-label": `Pool ${name}` },
            h(
                "div",
                { class: "panel-head" },
                this.title,
                this.up.node,
                this.chips,
                h("span", { class: "pool-trend" }, this.trend.node),
                may("operator") &&
                    h(
                        "button",
                        {
                            class: "button small",
                            type: "button",
                            "aria-label": `Add server to ${name}`,
                            on: { click: () => add(pools(name)) },
                        },
                        icon("plus"),
                        "Add server",
                    ),
            ),
            h(
                "dl",
                { class: "pool-figures" },
                this.figures.map(({ label, value }) =>
                    h("div", {}, h("dt", { text: label }), value),
                ),
            ),
            this.table.node,
            this.shadow.node,
        );
    }

    update(pool, servers, trend) {
        const up = pool.servers.filter(isWell).length;
        const total = pool.servers.length;
        const some = up > 0 && up < total;
        this.up.update(
            some ? "drain" : up === 0 ? "down" : "up",
            `${up} of ${total} up`,
            some ? "warning" : undefined,
        );
        const chips = [
            pool.policy,
            pool.sticky ? `sticky: ${pool.sticky}` : "not sticky",
            pool.health_check ? `health: ${pool.health_check}` : "no health check",
            ...protocolWords(pool),
        ];
        if (this.chips.shown !== chips.join()) {
            this.chips.shown = chips.join();
            this.chips.replaceChildren(...chips.map((text) => h("span", { class: "chip", text })));
        }
        for (const { value, text, isBad } of this.figures) {
            const shown = text(pool);
            value.parentNode.hidden = shown === null;
            setText(value, shown ?? "");
            setAttr(value, "class", isBad?.(pool) ? "bad-number" : null);
        }
        if (trend) this.trend.update(trend, TREND_LENGTH);
        this.swap.update({ name: pool.name, swap: pool.swap && isTold(pool.swap) ? pool.swap : null });
        this.table.setRows(servers);
        this.shadow.update(pool);
    }
}

// --- The view ------------------------------------------------------------------------------------

export class ServersView {
    constructor(model) {
        this.model = model;
        this.cards = new Map();
        this.query = "";
        this.show = "all";
        this.sort = savedSort();
        this.node = h(
            "div",
            { class: "servers-view" },
            this.makeToolbar(),
            (this.list = h("div", { class: "pools" })),
            (this.nothing = h("p", { class: "panel empty", hidden: true })),
        );
        this.onTick = () => this.render();
        this.onKey = (event) => {
            if (event.key === "/" && !event.ctrlKey && !event.metaKey && !isTyping(event.target)) {
                event.preventDefault();
                this.search.focus();
            }
        };
    }

    start() {
        this.model.addEventListener("pools", this.onTick);
        this.model.addEventListener("tick", this.onTick);
        document.addEventListener("keydown", this.onKey);
        this.render();
    }

    stop() {
        this.model.removeEventListener("pools", this.onTick);
        this.model.removeEventListener("tick", this.onTick);
        document.removeEventListener("keydown", this.onKey);
    }

    makeToolbar() {
        this.search = h("input", {
            type: "search",
            name: "search",
            autocomplete: "off",
            "aria-label": "Search servers by name, address, state or pool",
            placeholder: "Search servers ( / )",
            on: {
                input: () => {
                    this.query = this.search.value.trim().toLowerCase();
                    this.render();
                },
            },
        });
        const option = (value, label) =>
            h(
                "label",
                {},
                h("input", {
                    type: "radio",
                    name: "show",
                    value,
                    checked: value === this.show,
                    on: {
                        change: () => {
                            this.show = value;
                            this.render();
                        },
                    },
                }),
                h("span", {}, label),
            );
        this.allCount = h("b");
        this.badCount = h("b");
        this.found = h("span", { class: "hint", role: "status" });
        return h(
            "div",
            { class: "toolbar", role: "search" },
            h("div", { class: "search" }, icon("search"), this.search),
            h(
                "fieldset",
                { class: "segmented" },
                h("legend", { class: "visually-hidden", text: "Which servers" }),
                option("all", ["All ", this.allCount]),
                option("unhealthy", ["Unhealthy ", this.badCount]),
            ),
            this.found,
        );
    }

    matches(pool, server) {
        if (this.show === "unhealthy" && !isUnhealthy(server)) return false;
        if (!this.query) return true;
        const text =
            `${server.id} ${server.url} ${pool.name} ${standing(server)} ` +
            `${server.health.reason}`.toLowerCase();
        return this.query.split(/\s+/).every((word) => text.toLowerCase().includes(word));
    }

    setSort(sort) {
        this.sort = sort;
        try {
            sessionStorage.setItem(SAVED, JSON.stringify(sort));
        } catch {
            // Without storage the order lasts as long as the page.
        }
        for (const card of this.cards.values()) card.table.setSort(sort);
    }

    cardOf(name) {
        let card = this.cards.get(name);
        if (!card)
            this.cards.set(
                name,
                (card = new PoolCard(name, {
                    sort: this.sort,
                    pools: (pool) => this.model.pool(pool),
                    onSort: (sort) => this.setSort(sort),
                    reload: () => this.model.loadPools(),
                })),
            );
        return card;
    }

    render() {
        const filtering = this.query !== "" || this.show !== "all";
        const nodes = [];
        let found = 0;
        for (const pool of this.model.pools) {
            const servers = pool.servers.filter((server) => this.matches(pool, server));
            found += servers.length;
            if (filtering && servers.length === 0) continue;
            const card = this.cardOf(pool.name);
            card.update(pool, servers, this.model.trends.get(pool.name));
            nodes.push(card.node, card.swap.node);
        }
        setChildren(this.list, nodes);
        const all = this.model.servers();
        setText(this.allCount, all.length);
        setText(this.badCount, all.filter(isUnhealthy).length);
        setText(this.found, filtering ? `${found} shown` : "");
        this.nothing.hidden = nodes.length > 0;
        setText(
            this.nothing,
            this.model.failed
                ? `${this.model.failed.message}.`
                : !filtering
                  ? "There are no pools yet; the configuration files make them."
                  : this.query
                    ? "No server matches the search."
                    : "No server is unhealthy.",
        );
    }
}
