// SPDX-License-Identifier: MIT
// The control panel: figures, the sections and which of them is shown (by the address's #part).

import { keepChange, undo } from "./actions.js";
import { may } from "./api.js";
import { byId, h, setAttr, setText } from "./dom.js";
import { makeFigures } from "./figures.js";
import { count, duration, latency, plural, rate, when } from "./format.js";
import { Model } from "./model.js";
import { alarmsLine, moduleLink } from "./modules.js";
import { startShell } from "./shell.js";
import { isUnhealthy, isWell } from "./state.js";
import { ConfigurationView } from "./views/configuration.js";
import { JournalView } from "./views/journal.js";
import { LISTS, ListView } from "./views/lists.js";
import { ModulesView } from "./views/modules.js";
import { ServersView } from "./views/servers.js";
import { TesterView } from "./views/tester.js";

const FIGURES = [
    { label: "Requests", unit: "/s", value: ({ stats }) => rate(stats?.total.rate) },
    {
        label: "Errors",
        unit: "/s",
        value: ({ stats }) => rate(stats?.total.errors_rate),
        tone: ({ stats }) => (stats?.total.errors_rate >= 0.05 ? "bad" : null),
    },
    { label: "In flight", value: ({ stats }) => count(stats?.total.in_flight) },
    { label: "Connections", value: ({ stats }) => count(stats?.total.connections) },
    { label: "Highest p95", value: slowest },
    {
        label: "Servers up",
        value: (model) => {
            const all = model.servers();
            return all.length
                ? `${all.filter(isWell).length} / ${all.length}`
                : "–";
        },
        tone: (model) => (model.servers().some(isUnhealthy) ? "bad" : null),
    },
    {
        label: "Store",
        value: ({ status }) => (status ? storeWord(status.store) : "–"),
        tone: ({ status }) =>
            status && !["ok", "none"].includes(status.store?.state) ? "bad" : null,
    },
    {
        label: "Running for",
        value: ({ status }) => (status ? duration(Date.now() - status.started_at) : "–"),
    },
];

function slowest({ pools }) {
    const known = pools.map((pool) => pool.latency_ms?.p95).filter((value) => value > 0);
    return known.length ? latency(Math.max(...known)) : "–";
}

function storeWord(store) {
    return (
        { ok: "Durable", failed: "Failed", read_only: "Read-only", none: "None" }[store?.state] ??
        "None"
    );
}

const SECTIONS = [
    { id: "servers", label: "Servers", make: (model) => new ServersView(model) },
    { id: "routes", label: "Routes", make: () => new ListView(LISTS.routes) },
    { id: "listeners", label: "Listeners", make: () => new ListView(LISTS.listeners) },
    { id: "tester", label: "Route tester", role: "operator", make: () => new TesterView() },
    { id: "journal", label: "Journal", make: (model) => new JournalView(model) },
    { id: "modules", label: "Modules", make: (model) => new ModulesView(model) },
    { id: "certificates", label: "Certificates", make: () => new ListView(LISTS.certificates) },
    {
        id: "configuration",
        label: "Configuration",
        role: "admin",
        make: (model) => new ConfigurationView(model),
    },
];

/** A part of the address as it was before it was encoded; what nobody encoded stays as it is. */
function nameOf(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

class Sections {
    constructor(model) {
        this.model = model;
        this.allowed = SECTIONS.filter((section) => may(section.role ?? "viewer"));
        this.views = new Map();
        this.links = new Map(
            this.allowed.map((section) => [
                section.id,
                h("a", { href: `#${section.id}` }, section.label),
            ]),
        );
        byId("tabs").append(...this.links.values());
        addEventListener("hashchange", () => this.show());
        this.show();
    }

    /** The address's #SECTION, or #SECTION/PART: what a part is, its view knows. */
    show() {
        const [wanted, part] = location.hash.slice(1).split("/");
        const section = this.allowed.find((one) => one.id === wanted) ?? this.allowed[0];
        const moved = section.id === this.shown;
        if (moved && part === this.part) return;
        this.views.get(this.shown)?.stop();
        this.shown = section.id;
        this.part = part;
        for (const [id, link] of this.links)
            setAttr(link, "aria-current", id === section.id ? "true" : null);
        this.links.get(section.id).scrollIntoView({ block: "nearest", inline: "nearest" });
        let view = this.views.get(section.id);
        if (!view) this.views.set(section.id, (view = section.make(this.model)));
        byId("view").replaceChildren(view.node);
        const name = part && nameOf(part);
        document.title = `${name ? `${name} · ` : ""}${section.label} · Weir`;
        view.start(name, { moved });
    }
}

/** Changes that take themselves back unless kept, with how long they have. */
class PendingBar {
    constructor(model) {
        this.model = model;
        this.lines = new Map();
        setInterval(() => this.render(), 1000);
        model.addEventListener("status", () => this.render());
    }

    render() {
        const pending = (this.model.status?.journal_pending ?? []).filter(
            (one) => one.until > Date.now(),
        );
        const ids = new Set(pending.map((one) => one.id));
        for (const [id, line] of this.lines)
            if (!ids.has(id)) {
                line.node.remove();
                this.lines.delete(id);
            }
        for (const { id, until } of pending) {
            let line = this.lines.get(id);
            if (!line) this.lines.set(id, (line = this.makeLine(id)));
            setText(
                line.text,
                `Change ${id} takes itself back in ${duration(until - Date.now())}.`,
            );
        }
    }

    makeLine(id) {
        const text = h("span");
        const node = h(
            "p",
            { class: "pending-line" },
            text,
            may("operator") && [
                h(
                    "button",
                    { class: "button small", type: "button", on: { click: () => keepChange(id) } },
                    "Keep",
                ),
                h(
                    "button",
                    {
                        class: "button small",
                        type: "button",
                        on: { click: () => undo(id) },
                    },
                    "Take back now",
                ),
            ],
        );
        byId("pending").append(node);
        return { node, text };
    }
}

/** Says so for as long as the files are not what runs, since the last reload was refused. */
class ReloadBar {
    constructor(model) {
        this.text = h("span");
        this.node = h(
            "p",
            { class: "pending-line" },
            this.text,
            may("admin") && h("a", { href: "#configuration" }, "Configuration"),
        );
        model.addEventListener("status", () => this.render(model.status.reload));
    }

    render(reload) {
        if (reload?.result !== "refused") {
            this.node.remove();
            return;
        }
        const more = reload.mistake_count - 1;
        setText(
            this.text,
            `The reload of ${when(reload.time)} was refused, and what ran before goes on: ` +
                `${reload.detail}${more > 0 ? ` (and ${plural(more, "more mistake")})` : ""}`,
        );
        if (!this.node.isConnected) byId("pending").append(this.node);
    }
}

/** Says which modules are out, for as long as they are. */
class AlarmBar {
    constructor(model) {
        this.text = h("span");
        this.link = h("a", { href: "#modules" });
        this.node = h("p", { class: "pending-line", data: { tone: "down" } }, this.text, this.link);
        this.box = h("div", { role: "alert" });
        byId("pending").append(this.box);
        model.addEventListener("status", () => this.render(model.status.alarms ?? []));
    }

    render(alarms) {
        if (alarms.length === 0) {
            this.node.remove();
            return;
        }
        const names = new Set(alarms.map(({ module }) => module));
        setText(this.text, alarmsLine(alarms));
        setText(this.link, names.size === 1 ? "Look at it" : "Modules");
        setAttr(this.link, "href", names.size === 1 ? moduleLink([...names][0]) : "#modules");
        if (!this.node.isConnected) this.box.append(this.node);
    }
}

function showVersion(model) {
    const { status } = model;
    document.body.dataset.version = status.version;
    byId("footer").textContent =
        `Weir ${status.version} · generation ${status.generation} · ` +
        `${status.workers} workers · pid ${status.pid} · ${status.config_file}`;
}

async function main() {
    const events = await startShell();
    const model = new Model(events);
    const showFigures = makeFigures(byId("figures"), FIGURES);
    for (const type of ["tick", "pools", "status"])
        model.addEventListener(type, () => showFigures(model));
    model.addEventListener("status", () => showVersion(model));
    new PendingBar(model);
    new ReloadBar(model);
    new AlarmBar(model);
    await model.load();
    await model.loadTrends();
    new Sections(model);
}

main();
