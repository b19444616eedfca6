// SPDX-License-Identifier: MIT
// The journal: who changed what, when, from what to what; and undo.

import { api, may } from "../api.js";
import { keepChange, undo } from "../actions.js";
import { h, setAttr, setText } from "../dom.js";
import { ago, duration, when } from "../format.js";
import { badge } from "../state.js";
import { DataTable } from "../table.js";

const PAGE = 50;

function show(name, value) {
    if (value === null) return "none";
    if (typeof value === "number" && /_(at|deadline|until|since)$/.test(name)) return when(value);
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What differs between before and after, one text a member. */
function differences({ before, after }) {
    if (!before && !after) return [];
    if (!before || !after)
        return Object.entries(before ?? after)
            .filter(([, value]) => value !== null)
            .map(([name, value]) => [
                name,
                before ? show(name, value) : null,
                after ? show(name, value) : null,
            ]);
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
        .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
        .map((name) => [
            name,
            name in before ? show(name, before[name]) : null,
            name in after ? show(name, after[name]) : null,
        ]);
}

const STATES = {
    done: ["up", "Done"],
    undone: ["maintenance", "Undone", "undo"],
    expired: ["maintenance", "Taken back", "undo"],
    pending: ["drain", "Unconfirmed", "clock"],
    refused: ["down", "Refused"],
};

function changeCell() {
    const node = h("div", { class: "diff" });
    return {
        node,
        update: (entry) => {
            const parts = differences(entry);
            const key = JSON.stringify(parts);
            if (node.shown === key) return;
            node.shown = key;
            node.replaceChildren(
                ...parts.map(([name, before, after]) =>
                    h(
                        "span",
                        { class: "change" },
                        `${name} `,
                        before !== null && h("del", { text: before }),
                        before !== null && after !== null && " → ",
                        after !== null && h("ins", { text: after }),
                    ),
                ),
            );
        },
    };
}

function stateCell() {
    const mark = badge();
    const note = h("span", { class: "sub" });
    return {
        node: h("div", {}, mark.node, note),
        update: (entry) => {
            mark.update(...(STATES[entry.state] ?? ["unknown", entry.state]));
            setText(
                note,
                entry.state === "pending" && entry.confirm_until
                    ? `back in ${duration(entry.confirm_until - Date.now())}`
                    : entry.undo_of
                      ? `undid ${entry.undo_of}`
                      : "",
            );
        },
    };
}

// What cannot come back; the rest is up to Weir, which says why it refuses.
const isFinal = ({ command, after }) =>
    ["config.reload", "user.token.remove"].includes(command) || after?.password !== undefined;

function undoCell(made) {
    const back = h(
        "button",
        {
            class: "button small",
            type: "button",
            on: {
                click: () => {
                    const entry = made.row;
                    undo(entry.id, `${entry.command} ${entry.target}`);
                },
            },
        },
        "Undo",
    );
    const keep = h(
        "button",
        { class: "button small", type: "button", on: { click: () => keepChange(made.row.id) } },
        "Keep",
    );
    return {
        node: h("div", { class: "row-actions" }, keep, back),
        update: (entry) => {
            back.hidden = !["done", "pending"].includes(entry.state) || isFinal(entry);
            keep.hidden = entry.state !== "pending";
            setAttr(back, "aria-label", `Undo ${entry.id}: ${entry.command} ${entry.target}`);
            setAttr(keep, "aria-label", `Keep ${entry.id}: ${entry.command} ${entry.target}`);
        },
    };
}

function timeCell() {
    const at = h("span");
    const since = h("span", { class: "sub" });
    return {
        node: h("div", { class: "when" }, at, since),
        update: (entry) => {
            setText(at, when(entry.time));
            setText(since, ago(entry.time));
        },
    };
}

export class JournalView {
    constructor(model) {
        this.model = model;
        this.entries = new Map();
        this.cursor = null;
        const columns = [
            { id: "id", label: "No.", num: true, head: "row", text: (entry) => String(entry.id) },
            { id: "time", label: "When", cell: timeCell },
            { id: "author", label: "Who", text: (entry) => entry.author },
            { id: "command", label: "Command", text: (entry) => entry.command },
            { id: "target", label: "What", text: (entry) => entry.target ?? "" },
            { id: "change", label: "Change", cell: changeCell },
            { id: "state", label: "State", cell: stateCell },
        ];
        if (may("operator"))
            columns.push({ id: "undo", label: "Undo", hideLabel: true, cell: undoCell });
        this.table = new DataTable({
            caption: "Journal, newest first",
            columns,
            pageSize: 1000,
            key: (entry) => entry.id,
            empty: "Nothing has been changed at run time.",
        });
        this.older = h(
            "button",
            {
                class: "button",
                type: "button",
                hidden: true,
                on: { click: () => this.load(this.cursor) },
            },
            "Show older entries",
        );
        this.problem = h("p", { class: "form-error", role: "alert", hidden: true });
        this.node = h(
            "section",
            { class: "panel journal", "aria-label": "Journal" },
            this.problem,
            this.table.node,
            h("div", { class: "center" }, this.older),
        );
        this.onChange = () => this.load();
    }

    start() {
        this.model.addEventListener("journal", this.onChange);
        this.timer = setInterval(() => this.render(), 1000);
        this.load();
    }

    stop() {
        this.model.removeEventListener("journal", this.onChange);
        clearInterval(this.timer);
    }

    /** The newest entries, whose states an undo may have changed too, or those before one. */
    async load(before) {
        try {
            const { data } = await api.get("/journal", { query: { limit: PAGE, before } });
            for (const entry of data.entries) this.entries.set(entry.id, entry);
            if (before || this.cursor === null) this.cursor = data.cursor;
            this.problem.hidden = true;
        } catch (problem) {
            setText(this.problem, problem.message);
            this.problem.hidden = false;
        }
        this.render();
    }

    render() {
        this.older.hidden = this.cursor === null;
        this.table.setRows([...this.entries.values()].sort((a, b) => b.id - a.id));
    }
}
