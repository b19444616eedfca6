// SPDX-License-Identifier: MIT
// The live traffic monitor: bars by server, and lines over time by pool or by server.

import { Bars } from "./bars.js";
import { ChartCard } from "./chartcard.js";
import { byId, h, setAttr, setChildren, setText } from "./dom.js";
import { makeFigures } from "./figures.js";
import { clock, count, latency, ms, rate, share } from "./format.js";
import { History, valuesOf } from "./history.js";
import { icon, setIcon } from "./icons.js";
import { notifyProblem } from "./notice.js";
import { startShell } from "./shell.js";
import { isWell } from "./state.js";
import { compare } from "./table.js";

const RANGES = [
    [60, "1 min"],
    [300, "5 min"],
    [900, "15 min"],
    [3600, "1 h"],
];
const PERCENTILES = ["p50", "p95", "p99"];
const MOST_LINES = 8;
const SHARE_SECONDS = 5;

const CHARTS = [
    { id: "rate", title: "Requests", unit: "per second", metrics: ["rate"], format: rate },
    { id: "errors", title: "Errors", unit: "per second", metrics: ["errors_rate"], format: rate },
    {
        id: "in-flight",
        title: "In flight",
        unit: "requests",
        metrics: ["in_flight"],
        format: count,
        least: 4,
    },
    { id: "latency", title: "Latency", unit: "ms", metrics: PERCENTILES, format: ms },
];

const FIGURES = [
    { label: "Requests", unit: "/s", value: ({ now }) => rate(now?.rate) },
    {
        label: "Errors",
        unit: "/s",
        value: ({ now }) => rate(now?.errors_rate),
        tone: ({ now }) => (now?.errors_rate >= 0.05 ? "bad" : null),
    },
    { label: "In flight", value: ({ now }) => count(now?.in_flight) },
    { label: "Requests, all", value: ({ now }) => count(now?.requests) },
    { label: "HTTP/2", value: ({ http2 }) => share(http2) },
    {
        label: "p95",
        value: ({ now, pools }) =>
            latency(
                now?.p95 !== undefined
                    ? now.p95
                    : Math.max(...pools.map((pool) => pool.p95 ?? 0)) || null,
            ),
    },
    {
        label: "Servers up",
        value: ({ servers }) =>
            servers.length === 0
                ? "–"
                : `${servers.filter(isWell).length} / ${servers.length}`,
        tone: ({ servers }) => (servers.every(isWell) ? null : "bad"),
    },
];

const keyOf = ({ pool, id }) => `${pool}/${id}`;

class TrafficPage {
    constructor(events) {
        this.history = new History();
        this.picked = new Set();
        this.lately = []; // statistics of the last seconds, the oldest first
        this.view = { pool: "", by: "pool", percentile: "p95", seconds: 300 };
        this.restore();
        this.makeToolbar();
        this.showFigures = makeFigures(byId("figures"), FIGURES);
        this.bars = new Bars(byId("bars"), {
            picked: this.picked,
            onPick: (server) => this.pick(server),
        });
        this.cards = CHARTS.map((chart) => this.makeCard(chart));
        events.addEventListener("statistics", ({ detail }) => this.take(detail));
        events.addEventListener("again", () => this.stats && this.reload());
    }

    /** The address keeps the view, so that it can be bookmarked and sent to a colleague. */
    restore() {
        const query = new URLSearchParams(location.hash.slice(1));
        const seconds = Number(query.get("range"));
        if (RANGES.some(([one]) => one === seconds)) this.view.seconds = seconds;
        if (PERCENTILES.includes(query.get("percentile")))
            this.view.percentile = query.get("percentile");
        if (query.get("by") === "server") this.view.by = "server";
        this.view.pool = query.get("pool") ?? "";
        for (const key of query.getAll("server")) this.picked.add(key);
    }

    keep() {
        const { pool, by, percentile, seconds } = this.view;
        const query = new URLSearchParams({
            range: seconds,
            by,
            percentile,
            ...(pool && { pool }),
        });
        for (const key of this.picked) query.append("server", key);
        history.replaceState(null, "", `#${query}`);
    }

    makeToolbar() {
        const radio = (name, value, label) =>
            h(
                "label",
                {},
                h("input", {
                    type: "radio",
                    name,
                    value,
                    checked: String(this.view[name]) === String(value),
                }),
                h("span", {}, label),
            );
        const segmented = (legend, ...choices) =>
            h(
                "fieldset",
                { class: "segmented" },
                h("legend", { class: "visually-hidden", text: legend }),
                choices,
            );
        this.poolSelect = h("select", { name: "pool" }, h("option", { value: "" }, "All pools"));
        this.pauseIcon = icon("pause");
        this.pauseWord = h("span", { text: "Pause" });
        this.pauseButton = h(
            "button",
            {
                class: "button",
                type: "button",
                "aria-pressed": "false",
                on: { click: () => this.togglePause() },
            },
            this.pauseIcon,
            this.pauseWord,
        );
        this.pausedAt = h("span", { class: "hint", role: "status" });
        this.clear = h(
            "button",
            {
                class: "button quiet",
                type: "button",
                hidden: true,
                on: {
                    click: () => {
                        this.picked.clear();
                        this.changed();
                    },
                },
            },
            "Clear choice",
        );
        const form = byId("toolbar");
        form.append(
            h("label", { class: "inline" }, "Pool", this.poolSelect),
            segmented(
                "Lines by",
                radio("by", "pool", "By pool"),
                radio("by", "server", "By server"),
            ),
            this.clear,
            h("span", { class: "grow" }),
            this.pausedAt,
            this.pauseButton,
            segmented(
                "Range",
                RANGES.map(([value, label]) => radio("seconds", value, label)),
            ),
        );
        form.addEventListener("submit", (event) => event.preventDefault());
        form.addEventListener("change", () => {
            this.view.pool = this.poolSelect.value;
            this.view.by = form.elements.by.value;
            this.view.seconds = Number(form.elements.seconds.value);
            this.changed();
        });
    }

    makeCard(chart) {
        const controls = [];
        if (chart.id === "latency") {
            const select = h(
                "select",
                { "aria-label": "Percentile", class: "small-select" },
                PERCENTILES.map((name) =>
                    h("option", { selected: name === this.view.percentile }, name),
                ),
            );
            select.addEventListener("change", () => {
                this.view.percentile = select.value;
                this.changed();
            });
            this.percentileSelect = select;
            controls.push(select);
        }
        const card = new ChartCard({
            ...chart,
            controls,
            onHover: (index) => this.cards.forEach((one) => one.setHover(index)),
        });
        byId("charts").append(card.node);
        return card;
    }

    // --- What is shown -----------------------------------------------------------------------

    servers(stats = this.stats) {
        const list = [];
        for (const [pool, values] of Object.entries(stats.pools ?? {})) {
            if (this.view.pool && this.view.pool !== pool) continue;
            for (const [id, server] of Object.entries(values.servers))
                list.push({ ...server, pool, id });
        }
        return list;
    }

    /** Whose lines the charts draw; with more than fit, the busiest. */
    subjects() {
        const { pool, by } = this.view;
        if (by === "pool") {
            const names = pool ? [pool] : Object.keys(this.stats.pools ?? {});
            return busiest(
                names.map((name) => ({
                    kind: "pool",
                    pool: name,
                    label: name,
                    rate: this.stats.pools[name]?.rate ?? 0,
                })),
            );
        }
        const servers = this.servers();
        const chosen = servers.filter((server) => this.picked.has(keyOf(server)));
        // A name says its pool only where another pool has a server of that name.
        const shared = new Set();
        const seen = new Set();
        for (const { id } of servers) (seen.has(id) ? shared : seen).add(id);
        return busiest(
            (chosen.length ? chosen : servers).map((server) => ({
                kind: "server",
                pool: server.pool,
                id: server.id,
                rate: server.rate,
                label: shared.has(server.id) ? `${server.pool}/${server.id}` : server.id,
            })),
        );
    }

    pick(server) {
        const key = keyOf(server);
        if (!this.picked.delete(key)) this.picked.add(key);
        this.view.by = "server";
        byId("toolbar").elements.by.value = "server";
        this.changed();
    }

    changed() {
        this.clear.hidden = this.picked.size === 0;
        this.keep();
        if (!this.stats) return;
        this.showNow();
        this.reload();
    }

    async reload() {
        const subjects = this.subjects();
        const single = subjects.length === 1;
        this.percentileSelect.hidden = single;
        const percentiles = single ? PERCENTILES : [this.view.percentile];
        try {
            const fresh = await this.history.load(
                subjects,
                ["rate", "errors_rate", "in_flight", ...percentiles],
                this.view.seconds,
            );
            if (!fresh) return;
        } catch (problem) {
            if (problem.status !== 0) notifyProblem("The past could not be loaded", problem);
            return;
        }
        this.members = Object.keys(this.stats.pools ?? {}).join() + this.servers().length;
        this.showCharts();
    }

    // --- Each second -------------------------------------------------------------------------

    take(stats) {
        const first = !this.stats;
        this.history.push(stats);
        this.latest = stats;
        if (this.paused) return;
        this.stats = stats;
        this.lately = [...this.lately, stats].slice(-SHARE_SECONDS - 1);
        if (first) this.changed();
        if (
            this.members !== undefined &&
            this.members !== Object.keys(stats.pools ?? {}).join() + this.servers().length
        )
            this.reload();
        // A hidden page draws nothing; it is up to date again one second after it is shown.
        if (document.hidden) return;
        this.showNow();
        this.showCharts();
    }

    showNow() {
        this.showPools();
        const servers = this.servers();
        const now = this.view.pool
            ? valuesOf(this.stats, { kind: "pool", pool: this.view.pool })
            : this.stats.total;
        this.showFigures({ now, http2: this.http2Share(), servers, pools: Object.values(this.stats.pools ?? {}) });
        this.bars.setServers(servers);
    }

    /** The share of HTTP/2 in the requests of the last seconds; null: there was none. */
    http2Share() {
        const of = (stats) =>
            (this.view.pool ? stats.pools?.[this.view.pool] : stats.total)?.protocols ?? {};
        const [before, now] = [of(this.lately[0]), of(this.lately.at(-1))];
        const grown = (name) => Math.max(0, now[name] - (before[name] ?? 0));
        const all = Object.keys(now).reduce((sum, name) => sum + grown(name), 0);
        return all > 0 ? grown("HTTP/2") / all || 0 : null;
    }

    showPools() {
        const names = Object.keys(this.stats.pools ?? {}).sort(compare);
        const key = names.join("\n");
        if (this.poolKey === key) return;
        this.poolKey = key;
        if (this.view.pool && !names.includes(this.view.pool)) this.view.pool = "";
        setChildren(this.poolSelect, [
            this.poolSelect.firstElementChild,
            ...names.map((name) => h("option", { value: name }, name)),
        ]);
        this.poolSelect.value = this.view.pool;
    }

    showCharts() {
        const { history: past } = this;
        if (!past.length) return;
        const single = past.subjects.length === 1;
        CHARTS.forEach((chart, i) => {
            const metrics = chart.metrics.filter((metric) => past.metrics.includes(metric));
            const lines = past.subjects.flatMap((subject) =>
                metrics.map((metric) => ({
                    label: single && metrics.length > 1 ? metric : subject.label,
                    values: past.values(subject, metric),
                })),
            );
            this.cards[i].setData({
                start: past.start,
                step: past.step,
                length: past.length,
                lines,
            });
        });
    }

    togglePause() {
        this.paused = !this.paused;
        setAttr(this.pauseButton, "aria-pressed", this.paused);
        setText(this.pauseWord, this.paused ? "Go on" : "Pause");
        setIcon(this.pauseIcon, this.paused ? "play" : "pause");
        setText(this.pausedAt, this.paused ? `Paused at ${clock(Date.now())}` : "");
        document.body.classList.toggle("paused", this.paused);
        if (!this.paused && this.latest) this.take(this.latest);
    }
}

function busiest(subjects) {
    if (subjects.length <= MOST_LINES) return subjects;
    return subjects
        .toSorted((a, b) => b.rate - a.rate)
        .slice(0, MOST_LINES)
        .sort((a, b) => compare(a.label, b.label));
}

const events = await startShell();
new TrafficPage(events);
