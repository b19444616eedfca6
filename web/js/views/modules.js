// SPDX-License-Identifier: MIT
// Loaded modules: what each costs, which are out, and the page of one (#modules/NAME).

import { api } from "../api.js";
import { h, setAttr, setText } from "../dom.js";
import { count, micros, NONE, plural, rate, sentence, share, when } from "../format.js";
import { icon } from "../icons.js";
import {
    alarmCause,
    backWord,
    blockWord,
    bringBack,
    faultWords,
    insteadWords,
    isOut,
    mayBringBack,
    moduleLink,
    moduleState,
    strikesClass,
    strikesOf,
} from "../modules.js";
import { badge } from "../state.js";
import { compare, DataTable } from "../table.js";
import { ModuleView } from "./module.js";

const EVERY_MS = 2000;

const num = (id, label, value, form) => ({
    id,
    label,
    num: true,
    value,
    text: (row) => form(value(row)),
});

function nameCell() {
    const link = h("a", { class: "module-name" });
    const below = h("span", { class: "sub" });
    return {
        node: h("div", {}, link, below),
        update: (module) => {
            setText(link, module.name);
            setAttr(link, "href", moduleLink(module.name));
            setText(below, module.summary ?? "");
        },
    };
}

/** How it stands; of one that is out why, since when and what goes on instead, and the way back. */
function stateCell(made) {
    const mark = badge();
    const button = h("button", {
        class: "button small",
        type: "button",
        on: { click: () => bringBack(made.row) },
    });
    const cause = h("span", { class: "sub" });
    const instead = h("span", { class: "sub" });
    return {
        node: h(
            "div",
            {},
            h("div", { class: "state-line" }, mark.node, button),
            cause,
            instead,
        ),
        update: (module) => {
            mark.update(...moduleState(module));
            button.hidden = !mayBringBack(module);
            setText(button, backWord(module));
            setAttr(button, "aria-label", `${backWord(module)}: ${module.name}`);
            const [first, ...more] = module.alarms ?? [];
            setText(
                cause,
                first
                    ? `${blockWord(first)}: ${alarmCause(first)}, ${when(first.since)}`
                    : sentence(faultWords(module)[0] ?? ""),
            );
            setText(
                instead,
                first
                    ? sentence(insteadWords(first)) +
                          (more.length > 0 ? `; ${plural(more.length, "more block")} out` : "")
                    : "",
            );
        },
    };
}

/** The end of a path says more than its beginning, so the beginning is cut. */
function fileCell() {
    const path = h("bdi");
    const node = h("span", { class: "mono ellipsis path" }, path);
    return {
        node,
        update: (module) => {
            setText(path, module.path ?? NONE);
            setAttr(node, "title", module.path);
        },
    };
}

function copyCell() {
    const generation = h("span");
    const version = h("span", { class: "sub" });
    return {
        node: h("div", {}, generation, version),
        update: (module) => {
            setText(generation, count(module.generation));
            setText(version, module.version ?? "");
        },
    };
}

function strikesCell() {
    const node = h("span");
    return {
        node,
        update: (module) => {
            setText(node, count(strikesOf(module)));
            setAttr(node, "class", strikesClass(module, isOut(module)));
        },
    };
}

// What is out sorts before what has struck.
const severity = (module) => (isOut(module) ? 0 : module.state === "active" ? 2 : 1);

const COLUMNS = [
    { id: "name", label: "Module", head: "row", value: (row) => row.name, cell: nameCell },
    { id: "state", label: "State", value: severity, cell: stateCell },
    {
        id: "kinds",
        label: "Kinds",
        value: (row) => (row.kinds ?? []).join(", "),
        text: (row) => (row.kinds ?? []).join(", ") || NONE,
    },
    num("rate", "Calls/s", (row) => row.rates?.calls, rate),
    num("request", "Per request", (row) => row.rates?.request_us, micros),
    num("p50", "p50", (row) => (row.calls > 0 ? row.time_us?.p50 : null), micros),
    num("p99", "p99", (row) => (row.calls > 0 ? row.time_us?.p99 : null), micros),
    num("cpu", "CPU", (row) => row.rates?.cpu_share, share),
    { id: "strikes", label: "Strikes", num: true, value: strikesOf, cell: strikesCell },
    {
        id: "generation",
        label: "Generation",
        num: true,
        value: (row) => row.generation,
        cell: copyCell,
    },
    { id: "path", label: "File", value: (row) => row.path, cell: fileCell },
];

/** Copies of one name have nothing that tells them apart for good but their order, that of loading. */
function numbered(modules) {
    const copies = new Map();
    return modules.map((module) => {
        const copy = (copies.get(module.name) ?? 0) + 1;
        copies.set(module.name, copy);
        return { ...module, copy };
    });
}

class ModuleList {
    constructor() {
        this.table = new DataTable({
            caption: "Modules",
            columns: COLUMNS,
            key: (module) => `${module.name} ${module.copy}`,
            empty: "Loading…",
            rowState: (module) => (isOut(module) ? "down" : null),
            sort: { column: "name", descending: false },
        });
        this.search = h("input", {
            type: "search",
            "aria-label": "Search modules",
            placeholder: "Name, kind or file",
            autocomplete: "off",
            spellcheck: "false",
            on: { input: () => this.render() },
        });
        this.total = h("span", { class: "hint", role: "status" });
        this.problem = h("p", { class: "form-error", role: "alert", hidden: true });
        this.node = h(
            "div",
            {},
            h(
                "div",
                { class: "toolbar" },
                h("div", { class: "search" }, icon("search"), this.search),
                this.total,
            ),
            h(
                "section",
                { class: "panel cards modules", "aria-label": "Modules" },
                this.problem,
                this.table.node,
            ),
            h("p", {
                class: "hint below",
                text:
                    "Calls, time per request of Weir and share of the workers' CPU: the last ten seconds. " +
                    "p50 and p99 of a call, strikes: since the copy was loaded.",
            }),
        );
    }

    async load() {
        try {
            this.rows = numbered((await api.get("/modules")).data.entries);
            this.problem.hidden = true;
            this.render();
        } catch (problem) {
            setText(this.problem, sentence(problem.message));
            this.problem.hidden = false;
            if (!this.rows) setText(this.table.emptyLine, "Nothing is known yet.");
        }
    }

    /** Back from the page of that module. */
    focus(name) {
        const links = [...this.node.querySelectorAll(".module-name")];
        links.find((link) => link.textContent === name)?.focus();
    }

    render() {
        if (!this.rows) return;
        const wanted = this.search.value.trim().toLowerCase();
        const shown = this.rows.filter((module) =>
            [module.name, module.path, ...(module.kinds ?? [])].some((text) =>
                (text ?? "").toLowerCase().includes(wanted),
            ),
        );
        const out = this.rows.filter(isOut).length;
        setText(
            this.total,
            `${wanted ? `${shown.length} of ` : ""}${this.rows.length} loaded` +
                (out > 0 ? `, ${out} out` : ""),
        );
        setText(
            this.table.emptyLine,
            wanted ? `No module has “${wanted}” in its name, kind or file.` : "No module is loaded.",
        );
        this.table.setRows(shown.sort((a, b) => compare(a.name, b.name)));
    }
}

/** The list, or the page of the module that the address names. */
export class ModulesView {
    constructor(model) {
        this.list = new ModuleList();
        this.one = new ModuleView();
        this.node = h("div", { class: "modules-view" });
        for (const type of ["module", "journal", "reload"])
            model.addEventListener(type, () => this.shown?.load());
    }

    /** moved: somebody came from another part of this section. */
    start(name, { moved = false } = {}) {
        this.shown = name ? this.one : this.list;
        if (name) this.one.show(name);
        this.node.replaceChildren(this.shown.node);
        if (moved && name) this.one.heading.focus();
        else if (moved) this.list.focus(this.one.name);
        this.shown.load();
        this.timer = setInterval(() => document.hidden || this.shown.load(), EVERY_MS);
    }

    stop() {
        clearInterval(this.timer);
        this.shown = null;
    }
}
