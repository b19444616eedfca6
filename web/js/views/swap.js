// SPDX-License-Identifier: MIT
// The last swap of a module's copy or of a pool's balancer: both sides while one is tried, and the
// ways to end that.

import { api, may, poolPath } from "../api.js";
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

/** The balancer with its options, as a command line has them. */
const balancerWord = ({ balance, options } = {}) =>
    [balance ?? NONE, ...Object.entries(options ?? {}).map(([name, value]) => `${name}=${value}`)].join(" ");

const num = (id, label, value, form) => ({
    id,
    label,
    num: true,
    value,
    text: (row) => form(value(row)),
});
const text = (id, label, of, more = {}) => ({ id, label, value: of, text: of, ...more });

const FIGURES = [
    num("picks", "Picks", (row) => row.picks, count),
    num("requests", "Requests", (row) => row.requests, count),
    num("errors", "Errors", (row) => row.errors, count),
    num("ratio", "Of them", (row) => (row.requests > 0 ? row.errors / row.requests : null), share),
    num("p50", "p50", (row) => row.first_byte_ms?.p50, latency),
    num("p99", "p99", (row) => row.first_byte_ms?.p99, latency),
];

/** What modules and pools differ in here. */
export const OF_MODULE = {
    title: () => "Its last swap",
    caption: () => "What both copies do",
    side: copyWord,
    columns: [
        text("pool", "Pool", (row) => row.pool, { head: "row" }),
        text("copy", "Copy", (row) => row.side),
        ...FIGURES,
    ],
    empty: "No pool that uses it has had a request since.",
    path: modulePath,
    ask: {
        promote: (name) => `Promote the copy of ${name} that is tried?`,
        rollback: (name) => `Roll ${name} back?`,
    },
    where: " in every pool",
    done: {
        promote: (name) => `The new copy of ${name} is in force.`,
        rollback: (name) => `The old copy of ${name} is in force.`,
    },
};
export const OF_POOL = {
    title: (name) => `Last trial in ${name}`,
    caption: (name) => `What both balancers of ${name} do`,
    side: balancerWord,
    columns: [text("copy", "Balancer", (row) => row.side, { head: "row" }), ...FIGURES],
    empty: "It has had no request since.",
    path: poolPath,
    ask: {
        promote: (name) => `Promote the balancer of ${name} that is tried?`,
        rollback: (name) => `Give ${name} the balancer before back?`,
    },
    where: "",
    done: {
        promote: (name) => `${name} has the new balancer.`,
        rollback: (name) => `${name} has the balancer before.`,
    },
};

/** In a line: which of the two is in force, and why. */
function swapWords(swap, side) {
    const { state, until, ended, began, author, canary, reason } = swap;
    const [old, now] = [side(swap.old), side(swap.new)];
    const by = author ? ` by ${author}` : "";
    const why = reason ? `: ${reason}` : "";
    switch (state) {
        case "trying":
            return (
                `Since ${when(began)}${by}, ${now} has ${canary} % of the picks; ` +
                `${old} has the rest. Promoted at ${when(until)}, if it does no worse.`
            );
        case "promoted":
            return `${now} is in force instead of ${old}, since ${when(ended ?? began)}${by}${why}.`;
        default:
            return `${old} is in force again, instead of ${now}, since ${when(ended)}${by}${why}.`;
    }
}

/** Two rows a pool: what was in force, and what is tried. */
const rowsOf = ({ pools, old, new: now }, side) =>
    (pools ?? []).flatMap((pool) => [
        { ...pool.old, pool: pool.pool, side: `in force, ${side(old)}`, order: 0 },
        { ...pool.new, pool: pool.pool, side: `on trial, ${side(now)}`, order: 1 },
    ]);

const WORDS = { promote: "Promote", rollback: "Roll back" };

/** What the end of a swap puts in the place of what. */
const takes = (how, { old, new: now }, { side, where }) =>
    how === "promote"
        ? `${side(now)} takes the place of ${side(old)}${where}.`
        : `${side(old)} takes the place of ${side(now)}.`;

export class SwapPart {
    /** `changed` is called when the swap of that subject has been ended here. */
    constructor(changed, subject, name = "") {
        this.changed = changed;
        this.subject = subject;
        this.mark = badge();
        this.words = h("p", { class: "hint" });
        this.buttons = Object.fromEntries(
            Object.entries(WORDS).map(([how, word]) => [
                how,
                h("button", { class: "button small", type: "button", on: { click: () => this.end(how) } }, word),
            ]),
        );
        this.table = new DataTable({
            caption: subject.caption(name),
            columns: subject.columns,
            key: (row) => `${row.pool} ${row.order}`,
            empty: subject.empty,
            sort: { column: subject.columns[0].id, descending: false },
        });
        this.node = h(
            "section",
            { class: "panel cards module-part", "aria-label": subject.title(name), hidden: true },
            h("div", { class: "panel-head" }, h("h3", { text: subject.title(name) })),
            h(
                "div",
                { class: "facts" },
                h("div", { class: "state-line" }, this.mark.node, Object.values(this.buttons)),
                this.words,
            ),
            this.table.node,
        );
    }

    update(shown) {
        const { swap } = shown;
        const { side } = this.subject;
        this.shown = shown;
        this.node.hidden = !swap;
        if (!swap) return;
        this.mark.update(...(STATES[swap.state] ?? ["unknown", swap.state]));
        setText(this.words, swapWords(swap, side));
        this.buttons.promote.hidden = !may("operator") || swap.state !== "trying";
        this.buttons.rollback.hidden = !may("operator") || swap.state === "rolled_back";
        this.table.node.hidden = swap.state !== "trying";
        this.table.setRows(rowsOf(swap, side));
    }

    async end(how) {
        const { name, swap } = this.shown;
        const { subject } = this;
        const good = await ask({
            title: subject.ask[how](name),
            confirm: WORDS[how],
            content: h(
                "ul",
                { class: "what" },
                consequence(takes(how, swap, subject)),
                consequence("No request and no connection is lost; what was learnt passes over.", {
                    symbol: "info",
                }),
            ),
            submit: () => api.post(`${subject.path(name)}/${how}`),
        });
        if (good) {
            notify(subject.done[how](name));
            await this.changed();
        }
    }
}
