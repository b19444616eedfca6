// SPDX-License-Identifier: MIT
// A module's last swap: both copies side by side while one is tried, and the ways to end that.

import { api, may } from "../api.js";
import { ask, consequence } from "../dialog.js";
import { h, setText } from "../dom.js";
import { count, latency, NONE, share, when } from "../format.js";
import { modulePath } from "../modules.js";
import { notify } from "../notice.js";
import { badge } from "../state.js";
import { DataTable } from "../table.js";

const STATES = {
    trying: ["drain", "On trial"],
    promoted: ["up", "Promoted"],
    rolled_back: ["down", "Rolled back"],
};

const copyWord = (copy) => `version ${copy?.version ?? NONE}`;

/** In a line: which copy is in force, and why. */
function swapWords({ state, old, new: copy, until, ended, began, author, canary, reason }) {
    const by = author ? ` by ${author}` : "";
    const why = reason ? `: ${reason}` : "";
    switch (state) {
        case "trying":
            return (
                `Since ${when(began)}${by}, ${copyWord(copy)} has ${canary} % of the picks; ` +
                `${copyWord(old)} has the rest. Promoted at ${when(until)}, if it does no worse.`
            );
        case "promoted":
            return `${copyWord(copy)} is in force instead of ${copyWord(old)}, since ${when(ended ?? began)}${by}${why}.`;
        default:
            return `${copyWord(old)} is in force again, instead of ${copyWord(copy)}, since ${when(ended)}${by}${why}.`;
    }
}

const num = (id, label, value, form) => ({
    id,
    label,
    num: true,
    value,
    text: (row) => form(value(row)),
});

const COLUMNS = [
    { id: "pool", label: "Pool", head: "row", value: (row) => row.pool, text: (row) => row.pool },
    { id: "copy", label: "Copy", value: (row) => row.copy, text: (row) => row.copy },
    num("picks", "Picks", (row) => row.picks, count),
    num("requests", "Requests", (row) => row.requests, count),
    num("errors", "Errors", (row) => row.errors, count),
    num("ratio", "Of them", (row) => (row.requests > 0 ? row.errors / row.requests : null), share),
    num("p50", "p50", (row) => row.first_byte_ms?.p50, latency),
    num("p99", "p99", (row) => row.first_byte_ms?.p99, latency),
];

/** Two rows a pool: the copy that was in force, and the one that is tried. */
const rowsOf = ({ pools, old, new: copy }) =>
    (pools ?? []).flatMap((pool) => [
        { ...pool.old, pool: pool.pool, copy: `in force, ${copyWord(old)}`, order: 0 },
        { ...pool.new, pool: pool.pool, copy: `on trial, ${copyWord(copy)}`, order: 1 },
    ]);

const END = {
    promote: {
        word: "Promote",
        title: (name) => `Promote the copy of ${name} that is tried?`,
        what: ({ old, new: copy }) =>
            `${copyWord(copy)} takes the place of ${copyWord(old)} in every pool.`,
        done: (name) => `The new copy of ${name} is in force.`,
    },
    rollback: {
        word: "Roll back",
        title: (name) => `Roll ${name} back?`,
        what: ({ old, new: copy }) => `${copyWord(old)} takes the place of ${copyWord(copy)}.`,
        done: (name) => `The old copy of ${name} is in force.`,
    },
};

export class SwapPart {
    /** `changed` is called when the swap has been ended here. */
    constructor(changed) {
        this.changed = changed;
        this.mark = badge();
        this.words = h("p", { class: "hint" });
        this.buttons = Object.fromEntries(
            Object.entries(END).map(([how, { word }]) => [
                how,
                h("button", { class: "button small", type: "button", on: { click: () => this.end(how) } }, word),
            ]),
        );
        this.table = new DataTable({
            caption: "What both copies do",
            columns: COLUMNS,
            key: (row) => `${row.pool} ${row.order}`,
            empty: "No pool that uses it has had a request since.",
            sort: { column: "pool", descending: false },
        });
        this.node = h(
            "section",
            { class: "panel cards module-part", "aria-labelledby": "module-swap", hidden: true },
            h("div", { class: "panel-head" }, h("h3", { id: "module-swap", text: "Its last swap" })),
            h(
                "div",
                { class: "facts" },
                h("div", { class: "state-line" }, this.mark.node, Object.values(this.buttons)),
                this.words,
            ),
            this.table.node,
        );
    }

    update(module) {
        const { swap } = module;
        this.module = module;
        this.node.hidden = !swap;
        if (!swap) return;
        this.mark.update(...(STATES[swap.state] ?? ["unknown", swap.state]));
        setText(this.words, swapWords(swap));
        this.buttons.promote.hidden = !may("operator") || swap.state !== "trying";
        this.buttons.rollback.hidden = !may("operator") || swap.state === "rolled_back";
        this.table.node.hidden = swap.state !== "trying";
        this.table.setRows(rowsOf(swap));
    }

    async end(how) {
        const { name, swap } = this.module;
        const { word, title, what, done } = END[how];
        const good = await ask({
            title: title(name),
            confirm: word,
            content: h(
                "ul",
                { class: "what" },
                consequence(what(swap)),
                consequence("No request and no connection is lost; what was learnt passes over.", {
                    symbol: "info",
                }),
            ),
            submit: () => api.post(`${modulePath(name)}/${how}`),
        });
        if (good) {
            notify(done(name));
            await this.changed();
        }
    }
}
