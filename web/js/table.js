// SPDX-License-Identifier: MIT
// A table of live rows: sorted by its headers, in pages, with rows that can open. Rows are made
// once and then only updated, so that 1,000 of them cost little each second and keep focus.

import { h, setAttr, setChildren, setText } from "./dom.js";
import { icon } from "./icons.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Compares what columns sort by: numbers, texts; what is missing comes last. */
export function compare(a, b) {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b);
}

/**
 * columns: [{id, label, num, head, value(row), text(row) | cell() -> {node, update(row)}}]; value
 *   is what the column sorts by, and a column without it is not sorted. head: "row" marks the cell
 *   that names its row.
 * key(row): its identity. rowState(row): data-state of the row, for its colour.
 * detail(): {node, update(row)}: what a row shows when opened.
 */
export class DataTable {
    constructor({
        caption,
        columns,
        key,
        empty = "Nothing here.",
        pageSize = 100,
        sort = null,
        rowState,
        detail,
        onSort,
    }) {
        Object.assign(this, { columns, key, pageSize, rowState, detail, onSort });
        this.sortBy = sort ?? { column: null, descending: false };
        this.rows = [];
        this.made = new Map();
        this.opened = new Set();
        this.page = 0;
        this.heads = new Map();
        this.body = h("tbody", { role: "rowgroup" });
        this.table = h(
            "table",
            { class: "data", role: "table" },
            h("caption", { class: "visually-hidden", text: caption }),
            h(
                "thead",
                { role: "rowgroup" },
                h(
                    "tr",
                    { role: "row" },
                    columns.map((column) => this.makeHead(column)),
                ),
            ),
            this.body,
        );
        this.emptyLine = h("p", { class: "empty", text: empty, hidden: true });
        this.pager = this.makePager();
        this.node = h(
            "div",
            { class: "table" },
            h("div", { class: "table-scroll" }, this.table),
            this.emptyLine,
            this.pager.node,
        );
        this.showSort();
    }

    makeHead(column) {
        const sortable = column.value !== undefined;
        const head = h(
            "th",
            {
                role: "columnheader",
                scope: "col",
                class: [column.num && "num", `col-${column.id}`].filter(Boolean).join(" "),
            },
            sortable
                ? h(
                      "button",
                      { type: "button", on: { click: () => this.clickHead(column) } },
                      column.label,
                  )
                : column.hideLabel
                  ? h("span", { class: "visually-hidden", text: column.label })
                  : column.label,
        );
        this.heads.set(column.id, head);
        return head;
    }

    makePager() {
        const text = h("span");
        const step = (label, by) =>
            h(
                "button",
                {
                    class: "button small",
                    type: "button",
                    on: {
                        click: () => {
                            this.page += by;
                            this.render();
                        },
                    },
                },
                label,
            );
        const back = step("Previous", -1);
        const on = step("Next", 1);
        return {
            text,
            back,
            on,
            node: h(
                "nav",
                { class: "pager", "aria-label": "Pages of this table", hidden: true },
                text,
                back,
                on,
            ),
        };
    }

    clickHead(column) {
        const same = this.sortBy.column === column.id;
        this.setSort({
            column: column.id,
            descending: same ? !this.sortBy.descending : Boolean(column.num),
        });
        this.onSort?.(this.sortBy);
    }

    setSort(sortBy) {
        this.sortBy = sortBy;
        this.page = 0;
        this.showSort();
        this.render(true);
    }

    showSort() {
        for (const [id, head] of this.heads)
            setAttr(
                head,
                "aria-sort",
                id !== this.sortBy.column
                    ? null
                    : this.sortBy.descending
                      ? "descending"
                      : "ascending",
            );
    }

    /** Shows these rows. What they sort by may have moved; the order follows unless in use. */
    setRows(rows) {
        this.rows = rows;
        this.render();
    }

    inUse() {
        return this.body.matches(":hover") || this.body.contains(document.activeElement);
    }

    /** Rows in their order. While somebody points into the table, known rows keep their places. */
    ordered(force) {
        const { column, descending } = this.sortBy;
        const by = this.columns.find((candidate) => candidate.id === column);
        if (!by) return this.rows;
        if (!force && this.inUse() && this.lastOrder) {
            const places = this.lastOrder;
            const place = (row) => places.get(this.key(row)) ?? Infinity;
            return [...this.rows].sort((a, b) => place(a) - place(b) || 0);
        }
        const sign = descending ? -1 : 1;
        const sorted = [...this.rows].sort((a, b) => {
            const [x, y] = [by.value(a), by.value(b)];
            const missing = (v) => v === null || v === undefined;
            return missing(x) || missing(y) ? compare(x, y) : sign * compare(x, y);
        });
        this.lastOrder = new Map(sorted.map((row, i) => [this.key(row), i]));
        return sorted;
    }

    render(force = false) {
        const ordered = this.ordered(force);
        const pages = Math.max(1, Math.ceil(ordered.length / this.pageSize));
        this.page = Math.min(Math.max(0, this.page), pages - 1);
        const first = this.page * this.pageSize;
        const shown = ordered.slice(first, first + this.pageSize);
        const nodes = [];
        const keys = new Set();
        for (const row of shown) {
            const made = this.rowOf(row);
            keys.add(this.key(row));
            nodes.push(made.node);
            if (made.detailRow) nodes.push(made.detailRow);
        }
        setChildren(this.body, nodes);
        for (const key of this.made.keys()) if (!keys.has(key)) this.made.delete(key);
        this.emptyLine.hidden = ordered.length > 0;
        this.table.parentNode.hidden = ordered.length === 0;
        this.showPager(first, shown.length, ordered.length, pages);
    }

    showPager(first, shown, total, pages) {
        const { node, text, back, on } = this.pager;
        node.hidden = pages === 1;
        setText(text, `${first + 1} to ${first + shown} of ${total}`);
        back.disabled = this.page === 0;
        on.disabled = this.page === pages - 1;
    }

    rowOf(row) {
        const key = this.key(row);
        let made = this.made.get(key);
        if (!made) this.made.set(key, (made = this.makeRow(row)));
        made.row = row;
        for (const update of made.updates) update(row);
        if (this.rowState) setAttr(made.node, "data-state", this.rowState(row));
        this.showDetail(made, key);
        return made;
    }

    makeRow() {
        const made = { updates: [] };
        made.node = h(
            "tr",
            { class: "row", role: "row" },
            this.columns.map((column) => {
                const { node, update } = column.cell ? column.cell(made) : textCell(column);
                made.updates.push(update);
                const head = column.head === "row";
                return h(
                    head ? "th" : "td",
                    {
                        role: head ? "rowheader" : "cell",
                        scope: head ? "row" : null,
                        "data-label": column.label,
                        class: [column.num && "num", `col-${column.id}`].filter(Boolean).join(" "),
                    },
                    node,
                );
            }),
        );
        made.toggle = () => this.toggle(this.key(made.row));
        return made;
    }

    toggle(key) {
        if (!this.opened.delete(key)) this.opened.add(key);
        this.render();
    }

    showDetail(made, key) {
        const open = this.opened.has(key);
        setAttr(made.node, "data-open", open ? "" : null);
        if (!open) {
            made.detailRow = null;
            return;
        }
        if (!made.detailRow) {
            const { node, update } = this.detail();
            made.detailUpdate = update;
            made.detailRow = h(
                "tr",
                { class: "detail", role: "row" },
                h("td", { colspan: this.columns.length, role: "cell" }, node),
            );
        }
        made.detailUpdate(made.row);
    }
}

function textCell(column) {
    const node = h("span");
    return { node, update: (row) => setText(node, column.text(row)) };
}

/** A small button that opens and closes a row; its label is the row's name. */
export function openButton(made, label) {
    const text = h("span", { class: "ellipsis" });
    const node = h(
        "button",
        {
            class: "open-row",
            type: "button",
            "aria-expanded": "false",
            on: { click: () => made.toggle() },
        },
        icon("chevron"),
        text,
    );
    return {
        node,
        update: (row) => {
            setText(text, label(row));
            setAttr(node, "aria-expanded", made.node.hasAttribute("data-open"));
        },
    };
}
