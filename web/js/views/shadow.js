// SPDX-License-Identifier: MIT
// A pool's shadow: what another balancer would do, by server, beside what really happens.

import { h, setText } from "../dom.js";
import { count, latency, share, when } from "../format.js";
import { badge } from "../state.js";
import { DataTable } from "../table.js";

const part = (of, all) => (all > 0 ? of / all : null);

/** In a line: how often it agrees, and whether one would wait less. */
function words({ reason, asked, agreed, none, since, wait_ms, predicted_wait_ms }) {
    const out = reason ? ` It is out: ${reason}.` : "";
    if (asked === 0) return `Asked for no request yet, since ${when(since)}.${out}`;
    const nobody = none > 0 ? ` It named nobody for ${count(none)}.` : "";
    const wait =
        wait_ms === null
            ? ""
            : ` To the first byte it takes ${latency(wait_ms)} where requests go, and would take ` +
              `${latency(predicted_wait_ms)} where it sends them.`;
    return (
        `Agrees with ${share(agreed / asked)} of ${count(asked)} choices since ${when(since)}.` +
        nobody +
        wait +
        out
    );
}

const num = (id, label, value, form) => ({
    id,
    label,
    num: true,
    value,
    text: (row) => form(value(row)),
});

const COLUMNS = [
    { id: "id", label: "Server", head: "row", value: (row) => row.id, text: (row) => row.id },
    num("real-share", "Share", (row) => part(row.picked, row.asked), share),
    num("shadow-share", "By shadow", (row) => part(row.chosen, row.asked), share),
    num("now", "In flight", (row) => row.in_flight, count),
    num("predicted", "Predicted", (row) => row.predicted_in_flight, count),
    num("wait", "Wait", (row) => row.wait_ms, latency),
    num("predicted-wait", "Predicted wait", (row) => row.predicted_wait_ms, latency),
];

export class ShadowPart {
    constructor(pool) {
        this.title = h("h3");
        this.mark = badge();
        this.words = h("p", { class: "hint" });
        this.table = new DataTable({
            caption: `What the shadow of pool ${pool} would do`,
            columns: COLUMNS,
            key: (row) => row.id,
            pageSize: 10,
            empty: "The pool has no server.",
        });
        this.node = h(
            "section",
            { class: "module-part shadow", "aria-label": `Shadow of pool ${pool}`, hidden: true },
            h("div", { class: "panel-head" }, this.title, this.mark.node),
            h("div", { class: "facts" }, this.words),
            this.table.node,
        );
    }

    update({ shadow }) {
        this.node.hidden = !shadow;
        if (!shadow) return;
        setText(this.title, `Shadow: ${shadow.balancer}`);
        this.mark.update(shadow.out ? "down" : "up", shadow.out ? "Out, not asked" : "Asked");
        setText(this.words, words(shadow));
        this.table.setRows(shadow.servers.map((row) => ({ ...row, asked: shadow.asked })));
    }
}
