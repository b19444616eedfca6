// SPDX-License-Identifier: MIT
// The page of one module: why it is out, what its hooks cost, where it is used, what it has counted.

import { api } from "../api.js";
import { ChartCard } from "../chartcard.js";
import { h, setAttr, setChildren, setText } from "../dom.js";
import { makeFigures } from "../figures.js";
import { ago, bytes, count, micros, ms, NONE, rate, sentence, share, when } from "../format.js";
import { icon } from "../icons.js";
import {
    alarmReason,
    backWord,
    blockWord,
    bringBack,
    faultWords,
    insteadWords,
    isOut,
    mayBringBack,
    modulePath,
    moduleState,
    strikesClass,
    strikesOf,
    strikeWords,
} from "../modules.js";
import { badge } from "../state.js";
import { DataTable, openButton } from "../table.js";
import { OF_MODULE, SwapPart } from "./swap.js";

// Other copies of a module are in the list of all alone, which is asked for less often.
const COPIES_EVERY = 5;

const timed = (row, name) => (row.calls > 0 ? row.time_us?.[name] : null);
const called = (name, form) => (row) => form(timed(row, name));

const FIGURES = [
    { label: "Calls", unit: "/s", value: ({ rates }) => rate(rates?.calls) },
    { label: "Time per request", value: ({ rates }) => micros(rates?.request_us) },
    { label: "Share of CPU", value: ({ rates }) => share(rates?.cpu_share) },
    { label: "p50 a call", value: called("p50", micros) },
    { label: "p99 a call", value: called("p99", micros) },
    { label: "Worst call", value: called("worst", micros) },
    {
        label: "Strikes",
        value: (module) => count(strikesOf(module)),
        tone: (module) => (isOut(module) ? "bad" : strikesOf(module) > 0 ? "warn" : null),
    },
    { label: "Allocated", value: (module) => bytes(module.allocated_bytes) },
];

const CHARTS = [
    { id: "module-time", title: "Time per request of Weir", unit: "µs", series: "request_us", format: ms, least: 1 },
    { id: "module-calls", title: "Calls", unit: "per second", series: "calls", format: rate, least: 1 },
];

const num = (id, label, value, form) => ({
    id,
    label,
    num: true,
    value,
    text: (row) => form(value(row)),
});
const text = (id, label, of) => ({ id, label, value: of, text: (row) => of(row) ?? NONE });

// --- Hooks ---------------------------------------------------------------------------------------

function hookCell(made) {
    const name = openButton(made, (row) => row.hook);
    return { node: h("div", { class: "name mono" }, name.node), update: (row) => name.update(row) };
}

function strikesCell() {
    const node = h("span");
    return {
        node,
        update: (row) => {
            setText(node, strikeWords(row) || "none");
            setAttr(node, "class", strikesClass(row, row.out));
        },
    };
}

const HOOKS = [
    { id: "hook", label: "Hook", head: "row", value: (row) => row.hook, cell: hookCell },
    num("calls", "Calls", (row) => row.calls, count),
    num("p50", "p50", (row) => timed(row, "p50"), micros),
    num("p99", "p99", (row) => timed(row, "p99"), micros),
    num("worst", "Worst", (row) => timed(row, "worst"), micros),
    num("share", "Of its time", (row) => row.share, share),
    num("bytes", "Allocated", (row) => row.allocated_bytes, bytes),
    { id: "strikes", label: "Strikes", value: strikesOf, cell: strikesCell },
];

const workerWord = ({ worker }) => (worker === null ? "Control" : `Worker ${worker}`);

/** What an opened hook tells: the same by worker. */
function hookDetail() {
    const list = h("dl", {});
    return {
        node: h(
            "div",
            { class: "detail-grid" },
            h("div", { class: "facts" }, h("h3", { text: "By worker" }), list),
        ),
        update: (row) => {
            const lines = (row.workers ?? []).map((one) => [
                workerWord(one),
                `${count(one.calls)} calls, p50 ${called("p50", micros)(one)}, ` +
                    `p99 ${called("p99", micros)(one)}, worst ${called("worst", micros)(one)}` +
                    (strikesOf(one) > 0 ? `; ${strikeWords(one)}` : ""),
            ]);
            const key = JSON.stringify(lines);
            if (list.shown === key) return;
            list.shown = key;
            list.replaceChildren(
                ...lines.flatMap(([name, words]) => [
                    h("dt", { text: name }),
                    h("dd", { text: words }),
                ]),
            );
        },
    };
}

// --- Blocks --------------------------------------------------------------------------------------

function blockState() {
    const mark = badge();
    const since = h("span", { class: "sub" });
    return {
        node: h("div", {}, mark.node, since),
        update: (block) => {
            mark.update(...(block.out ? ["down", "Out"] : ["up", "In use"]));
            setText(since, block.alarm ? `since ${when(block.alarm.since)}` : "");
        },
    };
}

const BLOCKS = [
    { id: "block", label: "Block", head: "row", value: blockWord, text: blockWord },
    text("kind", "As", (block) => block.kind),
    { id: "state", label: "State", value: (block) => (block.out ? 0 : 1), cell: blockState },
    text("instead", "While it is out", (block) => insteadWords(block) ?? "is never out"),
    num("budget", "Budget of a call", (block) => block.call_budget_us, (value) =>
        value > 0 ? micros(value) : "none",
    ),
    num("limit", "Strikes in 10 s", (block) => block.strikes_limit, (value) =>
        value > 0 ? count(value) : "no limit",
    ),
];

const COPIES = [
    num("generation", "Generation", (copy) => copy.generation, count),
    {
        id: "state",
        label: "State",
        value: (copy) => copy.state,
        cell: () => {
            const mark = badge();
            return { node: mark.node, update: (copy) => mark.update(...moduleState(copy)) };
        },
    },
    text("version", "Version", (copy) => copy.version),
    num("rate", "Calls/s", (copy) => copy.rates?.calls, rate),
    num("request", "Per request", (copy) => copy.rates?.request_us, micros),
    num("p50", "p50", (copy) => timed(copy, "p50"), micros),
    num("p99", "p99", (copy) => timed(copy, "p99"), micros),
    num("strikes", "Strikes", strikesOf, count),
    text("path", "File", (copy) => copy.path),
];

// --- Alarms, facts, numbers of its own -----------------------------------------------------------

function alarmLine() {
    const what = h("b");
    const why = h("span");
    const instead = h("span");
    return {
        node: h("li", {}, icon("warning"), h("div", {}, what, why, instead)),
        update: (alarm) => {
            setText(what, `${blockWord(alarm)} is out.`);
            setText(why, ` ${when(alarm.since)} (${ago(alarm.since)}): ${alarmReason(alarm)}.`);
            setText(instead, ` Meanwhile ${insteadWords(alarm)}.`);
        },
    };
}

/** A keyed list of nodes that are made once and updated. */
function keyed(list, make, keyOf) {
    const made = new Map();
    return (rows) => {
        const keys = rows.map(keyOf);
        for (const key of made.keys()) if (!keys.includes(key)) made.delete(key);
        setChildren(
            list,
            rows.map((row, i) => {
                if (!made.has(keys[i])) made.set(keys[i], make());
                const { node, update } = made.get(keys[i]);
                update(row);
                return node;
            }),
        );
    };
}

const FACTS = [
    ["Version", (module) => module.version],
    ["Interface", (module) => `ABI ${module.abi}`],
    ["Licence", (module) => module.license],
    ["Generation", (module) => `${module.generation}, the newest in force with this copy`],
    ["Share of CPU", (module) => `${share(module.cpu_share)} since the start`],
    ["File", (module) => module.path],
    [
        "Quarantine",
        (module) =>
            module.quarantine &&
            `since ${when(module.quarantine.since)}: ${faultWords(module).join("; ")}`,
    ],
];

function ownNumber() {
    const name = h("dt", { class: "mono" });
    const value = h("dd", { class: "num" });
    const help = h("dd", { class: "sub" });
    return {
        node: h("div", {}, name, value, help),
        update: (metric) => {
            setText(name, metric.name);
            setText(value, (metric.name.endsWith("_bytes") ? bytes : count)(metric.value));
            setText(help, metric.help ?? "");
        },
    };
}

// --- The page ------------------------------------------------------------------------------------

const panel = (id, title, ...content) =>
    h(
        "section",
        { class: "panel cards module-part", "aria-labelledby": id },
        h("div", { class: "panel-head" }, h("h3", { id, text: title })),
        content,
    );

export class ModuleView {
    constructor() {
        this.heading = h("h2", { tabindex: "-1" });
        this.mark = badge();
        this.kinds = h("span", { class: "chips" });
        this.summary = h("p", { class: "hint" });
        this.backButton = h("button", {
            class: "button primary",
            type: "button",
            hidden: true,
            on: { click: () => this.bringBack() },
        });
        this.problem = h("p", { class: "form-error", role: "alert", hidden: true });
        const alarms = h("ul", { class: "alarms" });
        this.alarms = h("div", { role: "alert" }, alarms);
        this.showAlarms = keyed(alarms, alarmLine, ({ block, kind }) => `${kind} ${block}`);
        const figures = h("dl", { class: "figures", "aria-label": "What it costs" });
        this.showFigures = makeFigures(figures, FIGURES);
        this.cards = CHARTS.map(
            (chart) =>
                new ChartCard({
                    ...chart,
                    onHover: (index) => this.cards.forEach((card) => card.setHover(index)),
                }),
        );
        this.makeTables();
        this.makeFacts();
        this.swapPart = new SwapPart(() => this.load(), OF_MODULE);
        this.content = h(
            "div",
            { class: "module-content" },
            this.alarms,
            figures,
            h("div", { class: "charts" }, this.cards.map((card) => card.node)),
            this.swapPart.node,
            this.copiesPart,
            panel("module-hooks", "Hooks, since this copy was loaded", this.hooks.node),
            panel("module-blocks", "Where it is used", this.blocks.node),
            h("div", { class: "module-pair" }, this.factsPart, this.numbersPart),
        );
        this.node = h(
            "article",
            { class: "module" },
            h("p", { class: "back" }, h("a", { href: "#modules" }, "All modules")),
            h(
                "header",
                { class: "module-head" },
                this.heading,
                this.mark.node,
                this.kinds,
                this.backButton,
            ),
            this.summary,
            this.problem,
            this.content,
        );
    }

    makeTables() {
        this.hooks = new DataTable({
            caption: "Hooks",
            columns: HOOKS,
            key: (row) => row.hook,
            empty: "None of its hooks has been called yet.",
            detail: hookDetail,
            sort: { column: "share", descending: true },
        });
        this.blocks = new DataTable({
            caption: "Blocks of the configuration that use it",
            columns: BLOCKS,
            key: (block) => `${block.kind} ${block.block}`,
            empty: "No block of the configuration in force uses this copy.",
            rowState: (block) => (block.out ? "down" : null),
            sort: { column: "block", descending: false },
        });
        this.copies = new DataTable({
            caption: "Copies",
            columns: COPIES,
            key: (copy) => copy.copy,
            sort: { column: "generation", descending: true },
        });
        this.copiesPart = panel("module-copies", "Copies that are loaded", this.copies.node);
    }

    makeFacts() {
        this.facts = FACTS.map(([label, of]) => ({ label, of, value: h("dd") }));
        this.factsPart = panel(
            "module-facts",
            "This copy",
            h(
                "div",
                { class: "facts" },
                h(
                    "dl",
                    {},
                    this.facts.map(({ label, value }) => [h("dt", { text: label }), value]),
                ),
            ),
        );
        const numbers = h("dl", { class: "metrics" });
        this.showNumbers = keyed(numbers, ownNumber, ({ name }) => name);
        this.noNumbers = h("p", { class: "hint", text: "It has none." });
        this.numbersPart = panel(
            "module-numbers",
            "Numbers of its own",
            h("div", { class: "facts" }, numbers, this.noNumbers),
        );
    }

    /** Turns to another module, or to the same again. */
    show(name) {
        if (name === this.name) return;
        this.name = name;
        this.module = null;
        this.round = 0;
        this.others = [];
        setText(this.heading, name);
        setText(this.summary, "Loading…");
        this.kinds.replaceChildren();
        this.mark.node.hidden = true;
        this.backButton.hidden = true;
        this.problem.hidden = true;
        this.content.hidden = true;
        this.hooks.opened.clear();
    }

    async bringBack() {
        if (await bringBack(this.module)) await this.load();
    }

    async load() {
        const { name } = this;
        const wantsCopies = this.round++ % COPIES_EVERY === 0;
        try {
            const [one, all] = await Promise.all([
                api.get(modulePath(name)),
                wantsCopies ? api.get("/modules") : null,
            ]);
            if (name !== this.name) return;
            if (all)
                this.others = all.data.entries
                    .filter((copy) => copy.name === name)
                    .map((copy, i) => ({ ...copy, copy: i }));
            this.module = one.data;
            this.problem.hidden = true;
            this.render();
        } catch (problem) {
            if (name !== this.name) return;
            setText(this.problem, sentence(problem.message));
            this.problem.hidden = false;
            if (!this.module || problem.status === 404) {
                setText(this.summary, "");
                this.mark.node.hidden = true;
                this.backButton.hidden = true;
                this.content.hidden = true;
            }
        }
    }

    render() {
        const { module } = this;
        const alarms = module.alarms ?? [];
        this.mark.node.hidden = false;
        this.mark.update(...moduleState(module));
        if (this.kinds.textContent !== (module.kinds ?? []).join(""))
            this.kinds.replaceChildren(
                ...(module.kinds ?? []).map((kind) => h("span", { class: "chip", text: kind })),
            );
        setText(this.summary, module.summary ?? "");
        this.backButton.hidden = !mayBringBack(module);
        setText(this.backButton, backWord(module));
        this.showAlarms(alarms);
        this.alarms.hidden = alarms.length === 0;
        this.content.hidden = false;
        this.showFigures(module);
        this.showCharts(module.recent);
        const sum = module.time_us?.sum;
        this.hooks.setRows(
            (module.hooks ?? []).map((hook) => ({
                ...hook,
                out: alarms.some((alarm) => alarm.hook === hook.hook),
                share: sum > 0 ? (hook.time_us?.sum ?? 0) / sum : null,
            })),
        );
        this.blocks.setRows(
            (module.blocks ?? []).map((block) => ({
                ...block,
                alarm: alarms.find(
                    (alarm) => alarm.block === block.block && alarm.kind === block.kind,
                ),
            })),
        );
        this.swapPart.update(module);
        this.copiesPart.hidden = this.others.length < 2;
        this.copies.setRows(this.others);
        for (const { of, value } of this.facts) setText(value, of(module) ?? NONE);
        this.showNumbers(module.metrics ?? []);
        this.noNumbers.hidden = (module.metrics ?? []).length > 0;
    }

    showCharts(recent) {
        if (!recent) return;
        this.cards.forEach((card, i) => {
            const values = recent[CHARTS[i].series] ?? [];
            card.setData({
                start: recent.start,
                step: recent.step_ms,
                length: values.length,
                lines: [{ label: this.name, values }],
            });
        });
    }
}
