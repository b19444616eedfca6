// SPDX-License-Identifier: MIT
// Bars of requests, one a server, coloured by how it stands, with a pattern and an icon beside the
// colour. A bar is also the switch that puts its server's lines into the charts.

import { h, setAttr, setChildren, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { icon, setIcon } from "./icons.js";
import { niceTop } from "./chart.js";
import { standing, STANDINGS, standingWord } from "./state.js";
import { compare, DataTable } from "./table.js";

const PAGE = 240;
// Up to so many servers, bars are long and thick.
const ROOMY = 16;
// Who is busiest changes all the time: bars find their new places now and then, not each second.
const RESORT_MS = 5000;

const ORDERS = [
    ["name", "Name"],
    ["busy", "Most requests"],
    ["health", "Worst health"],
];
const LEGEND = ["up", "down", "drain", "maintenance", "unknown"];

const byName = (a, b) => compare(a.pool, b.pool) || compare(a.id, b.id);

class Bar {
    constructor(onPick) {
        this.symbol = icon("unknown");
        this.pool = h("span", { class: "bar-pool" });
        this.id = h("span");
        this.name = h("span", { class: "bar-name" }, this.pool, this.id);
        this.value = h("span", { class: "bar-value num" });
        this.word = h("span", { class: "visually-hidden" });
        this.unit = h("span", { class: "visually-hidden" });
        this.fill = h("span", { class: "bar-fill" });
        this.node = h(
            "button",
            { class: "bar", type: "button", on: { click: () => onPick(this.server) } },
            this.symbol,
            this.name,
            this.word,
            h("span", { class: "bar-track", "aria-hidden": "true" }, this.fill),
            this.value,
            this.unit,
        );
        this.item = h("li", {}, this.node);
    }

    update(server, { top, metric, picked, several }) {
        this.server = server;
        const name = standing(server);
        const shown = server[metric];
        setAttr(this.node, "data-state", name);
        setAttr(this.node, "aria-pressed", picked);
        setIcon(this.symbol, name);
        setText(this.id, server.id);
        setText(this.pool, several ? `${server.pool}/` : "");
        setText(this.value, metric === "rate" ? rate(shown) : count(shown));
        setText(this.word, standingWord(name));
        setText(this.unit, metric === "rate" ? "requests per second" : "requests");
        setAttr(
            this.node,
            "title",
            `${server.id} · ${server.pool}\n${standingWord(name)} · ` +
                `${rate(server.rate)} requests/s · ${count(server.requests)} requests`,
        );
        const scale = `scaleX(${(Math.max(0, shown ?? 0) / top).toFixed(4)})`;
        if (this.scale !== scale) {
            this.scale = scale;
            this.fill.style.transform = scale;
        }
    }
}

export class Bars {
    /** picked: a set of "pool/id"; onPick(server): its bar was pressed. */
    constructor(node, { picked, onPick }) {
        Object.assign(this, { node, picked, onPick });
        this.bars = new Map();
        this.metric = "rate";
        this.order = "name";
        this.page = 0;
        this.servers = [];
        this.orderedAt = 0;
        this.makeFrame();
    }

    makeFrame() {
        const choice = (value, label) =>
            h(
                "label",
                {},
                h("input", {
                    type: "radio",
                    name: "bars",
                    value,
                    checked: value === this.metric,
                    on: {
                        change: () => {
                            this.metric = value;
                            this.reorder();
                        },
                    },
                }),
                h("span", {}, label),
            );
        const order = h(
            "select",
            {
                on: {
                    change: () => {
                        this.order = order.value;
                        this.reorder();
                    },
                },
            },
            ORDERS.map(([value, label]) => h("option", { value }, label)),
        );
        this.counts = new Map(LEGEND.map((name) => [name, h("b", { text: "0" })]));
        this.legend = h(
            "ul",
            { class: "bar-legend", "aria-label": "Health" },
            LEGEND.map((name) =>
                h(
                    "li",
                    { data: { state: name } },
                    icon(name),
                    h("span", { class: "bar-swatch" }),
                    h("span", {}, `${standingWord(name)} `, this.counts.get(name)),
                ),
            ),
        );
        this.scale = h("span", { class: "hint" });
        this.asTable = h(
            "button",
            {
                class: "icon-button",
                type: "button",
                "aria-pressed": "false",
                "aria-label": "Requests by server as a table",
                title: "Table",
                on: { click: () => this.toggleTable() },
            },
            icon("table"),
        );
        this.list = h("ul", { class: "bars" });
        this.nothing = h("p", { class: "empty", text: "No server yet.", hidden: true });
        this.table = this.makeTable();
        this.table.node.hidden = true;
        this.pageText = h("span");
        const step = (label, by) =>
            h(
                "button",
                {
                    class: "button small",
                    type: "button",
                    on: {
                        click: () => {
                            this.page += by;
                            this.show();
                        },
                    },
                },
                label,
            );
        this.pager = h(
            "nav",
            { class: "pager", "aria-label": "Pages of the bars", hidden: true },
            this.pageText,
            step("Previous", -1),
            step("Next", 1),
        );
        this.node.append(
            h(
                "div",
                { class: "panel-head" },
                h("h2", { id: "bars-title", text: "Requests by server" }),
                this.scale,
                h("span", { class: "grow" }),
                h(
                    "fieldset",
                    { class: "segmented" },
                    h("legend", { class: "visually-hidden", text: "What the bars show" }),
                    choice("rate", "Per second"),
                    choice("requests", "Total"),
                ),
                h("label", { class: "inline" }, "Order", order),
                this.asTable,
            ),
            this.legend,
            this.list,
            this.nothing,
            this.table.node,
            this.pager,
        );
    }

    makeTable() {
        return new DataTable({
            caption: "Requests by server",
            pageSize: 100,
            key: (server) => `${server.pool}/${server.id}`,
            sort: { column: "id", descending: false },
            columns: [
                { id: "id", label: "Server", head: "row", value: (s) => s.id, text: (s) => s.id },
                { id: "pool", label: "Pool", value: (s) => s.pool, text: (s) => s.pool },
                {
                    id: "health",
                    label: "State",
                    value: (s) => STANDINGS.indexOf(standing(s)),
                    text: (s) => standingWord(standing(s)),
                },
                {
                    id: "rate",
                    label: "Per second",
                    num: true,
                    value: (s) => s.rate,
                    text: (s) => rate(s.rate),
                },
                {
                    id: "requests",
                    label: "Total",
                    num: true,
                    value: (s) => s.requests,
                    text: (s) => count(s.requests),
                },
            ],
        });
    }

    toggleTable() {
        const shown = this.table.node.hidden;
        this.table.node.hidden = !shown;
        this.list.hidden = shown;
        setAttr(this.asTable, "aria-pressed", shown);
        this.show();
    }

    reorder() {
        this.orderedAt = 0;
        this.page = 0;
        this.show();
    }

    /** servers: [{pool, id, health, state, rate, requests}] as they are now. */
    setServers(servers) {
        this.servers = servers;
        this.show();
    }

    ordered() {
        const key = (server) => `${server.pool}/${server.id}`;
        const inUse = this.list.matches(":hover") || this.list.contains(document.activeElement);
        const due = Date.now() - this.orderedAt > RESORT_MS && !inUse;
        if (
            this.places &&
            this.orderedAt &&
            !due &&
            this.places.size === this.servers.length &&
            this.servers.every((server) => this.places.has(key(server)))
        )
            return [...this.servers].sort(
                (a, b) => this.places.get(key(a)) - this.places.get(key(b)),
            );
        const by = {
            name: byName,
            busy: (a, b) => b[this.metric] - a[this.metric] || byName(a, b),
            health: (a, b) =>
                STANDINGS.indexOf(standing(a)) - STANDINGS.indexOf(standing(b)) || byName(a, b),
        }[this.order];
        const sorted = [...this.servers].sort(by);
        this.places = new Map(sorted.map((server, i) => [key(server), i]));
        this.orderedAt = Date.now();
        return sorted;
    }

    show() {
        this.showLegend();
        this.nothing.hidden = this.servers.length > 0;
        if (!this.table.node.hidden) {
            this.pager.hidden = true;
            this.table.setRows(this.servers);
            return;
        }
        const top = niceTop(Math.max(0, ...this.servers.map((server) => server[this.metric] ?? 0)));
        setText(
            this.scale,
            `full width: ${
                this.metric === "rate" ? `${rate(top)} requests/s` : `${count(top)} requests`
            }`,
        );
        const ordered = this.ordered();
        const pages = Math.max(1, Math.ceil(ordered.length / PAGE));
        this.page = Math.min(Math.max(0, this.page), pages - 1);
        const shown = ordered.slice(this.page * PAGE, (this.page + 1) * PAGE);
        const roomy = ordered.length <= ROOMY;
        setAttr(this.list, "data-density", roomy ? "roomy" : "dense");
        const namesPool = roomy ? this.poolsDiffer() : this.sharedNames();
        const before = this.bars;
        this.bars = new Map();
        const items = shown.map((server) => {
            const key = `${server.pool}/${server.id}`;
            const bar = before.get(key) ?? new Bar(this.onPick);
            this.bars.set(key, bar);
            bar.update(server, {
                top,
                metric: this.metric,
                picked: this.picked.has(key),
                several: namesPool(server),
            });
            return bar.item;
        });
        setChildren(this.list, items);
        this.pager.hidden = pages === 1;
        setText(
            this.pageText,
            `${this.page * PAGE + 1} to ${this.page * PAGE + shown.length} of ` +
                `${ordered.length}`,
        );
    }

    /** Where there is room, a bar says its pool when there are several of them. */
    poolsDiffer() {
        const several = this.servers.some((server) => server.pool !== this.servers[0].pool);
        return () => several;
    }

    /** Where there is little, only a server whose name another pool has too says its pool. */
    sharedNames() {
        const seen = new Map();
        for (const { id } of this.servers) seen.set(id, (seen.get(id) ?? 0) + 1);
        return ({ id }) => seen.get(id) > 1;
    }

    showLegend() {
        const counts = Object.fromEntries(LEGEND.map((name) => [name, 0]));
        for (const server of this.servers) counts[standing(server)]++;
        for (const name of LEGEND) setText(this.counts.get(name), counts[name]);
    }
}
