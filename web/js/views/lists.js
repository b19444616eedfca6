// SPDX-License-Identifier: MIT
// The plain lists: routes, listeners, certificates. Each is asked for again while shown.

import { api } from "../api.js";
import { h, setText } from "../dom.js";
import { bytes, count, day, ms, NONE, plural, rate } from "../format.js";
import { badge } from "../state.js";
import { DataTable, openButton } from "../table.js";
import { listenerDetail, offered } from "./detail.js";

const SOON_DAYS = 21;

const failed = (row) => (row.responses?.["5xx"] ?? 0) + (row.responses?.none ?? 0);
const text = (id, label, of) => ({ id, label, value: of, text: (row) => of(row) ?? NONE });
const num = (id, label, of, form) => ({
    id,
    label,
    num: true,
    value: of,
    text: (row) => form(of(row)),
});

/** A cell with a second, quieter line. */
const twoLines = (first, second) => () => {
    const top = h("span", { class: "strong" });
    const below = h("span", { class: "sub" });
    return {
        node: h("div", {}, top, below),
        update: (row) => {
            setText(top, first(row));
            setText(below, second(row) ?? "");
        },
    };
};

const badgeCell = (of) => () => {
    const mark = badge();
    return { node: mark.node, update: (row) => mark.update(...of(row)) };
};

/** The name of a row that can be opened, with a second, quieter line. */
const opened = (second) => (made) => {
    const name = openButton(made, (row) => row.name);
    const below = h("span", { class: "sub" });
    return {
        node: h("div", { class: "name" }, name.node, below),
        update: (row) => {
            name.update(row);
            setText(below, second(row));
        },
    };
};

function certificateState(row) {
    if (row.days_left < 0) return ["down", "Expired"];
    if (row.not_before > Date.now()) return ["down", "Not yet valid"];
    return row.days_left <= SOON_DAYS ? ["drain", "Expires soon", "warning"] : ["up", "Valid"];
}

function daysLeft(row) {
    const days = Math.abs(Math.floor(row.days_left));
    return row.days_left < 0 ? `${plural(days, "day")} ago` : `in ${plural(days, "day")}`;
}

export const LISTS = {
    routes: {
        path: "/routes",
        caption: "Routes",
        every: 3000,
        key: (row) => row.name,
        empty: "There is no route: every request gets 404.",
        columns: [
            {
                id: "name",
                label: "Route",
                head: "row",
                value: (row) => row.name,
                cell: twoLines(
                    (row) => row.name,
                    (row) => row.match,
                ),
            },
            text("host", "Host", (row) => row.host || "any"),
            text("path", "Path", (row) => row.path),
            text("pool", "Pool", (row) => (row.redirect ? `→ ${row.redirect}` : row.pool)),
            num("rate", "Req/s", (row) => row.rates?.requests, rate),
            num("errors", "Errors/s", (row) => row.rates?.errors, rate),
            num("p50", "p50", (row) => row.latency_ms?.p50, ms),
            num("p95", "p95", (row) => row.latency_ms?.p95, ms),
            num("p99", "p99", (row) => row.latency_ms?.p99, ms),
            num("requests", "Requests", (row) => row.requests, count),
            num("failed", "Failed", failed, count),
        ],
    },
    listeners: {
        path: "/listeners",
        caption: "Listeners",
        every: 3000,
        key: (row) => row.name,
        empty: "There is no listener.",
        detail: listenerDetail,
        columns: [
            {
                id: "name",
                label: "Listener",
                head: "row",
                value: (row) => row.name,
                cell: opened((row) => (row.addresses ?? []).join(", ")),
            },
            text("tls", "TLS", (row) => (row.tls ? "yes" : "no")),
            text("handler", "Answers", (row) => row.handler ?? "proxy"),
            text("offers", "Offers", offered),
            num("connections", "Connections", (row) => row.connections, count),
            num("h2", "HTTP/2", (row) => row.http2?.connections, count),
            num("streams", "Streams", (row) => row.http2?.streams, count),
            num("odd", "Odd points", (row) => row.odd_points, count),
            num("abusive", "Abusive", (row) => row.abusive, count),
            num("rate", "Req/s", (row) => row.rates?.requests, rate),
            num("errors", "Errors/s", (row) => row.rates?.errors, rate),
            num("in", "Received", (row) => row.bytes_in, bytes),
            num("out", "Sent", (row) => row.bytes_out, bytes),
            num("requests", "Requests", (row) => row.requests, count),
        ],
    },
    certificates: {
        path: "/certificates",
        caption: "Certificates",
        every: 60000,
        key: (row) => `${row.listener} ${row.name} ${row.serial}`,
        empty: "No listener uses TLS, so there is no certificate.",
        columns: [
            {
                id: "name",
                label: "Certificate",
                head: "row",
                value: (row) => row.name,
                cell: twoLines(
                    (row) => row.subject ?? row.name,
                    (row) => (row.names ?? []).join(", "),
                ),
            },
            {
                id: "state",
                label: "State",
                value: (row) => row.days_left,
                cell: badgeCell(certificateState),
            },
            {
                id: "expires",
                label: "Expires",
                value: (row) => row.not_after,
                cell: twoLines((row) => day(row.not_after), daysLeft),
            },
            text("listener", "Listener", (row) => row.listener),
            text("issuer", "Issuer", (row) => row.issuer),
            text("serial", "Serial", (row) => row.serial),
        ],
    },
};

export class ListView {
    constructor({ path, caption, every, key, columns, empty, detail }) {
        this.path = path;
        this.every = every;
        this.table = new DataTable({
            caption,
            columns,
            key,
            empty,
            detail,
            sort: { column: columns[0].id, descending: false },
        });
        this.problem = h("p", { class: "form-error", role: "alert", hidden: true });
        this.node = h(
            "section",
            { class: "panel", "aria-label": caption },
            this.problem,
            this.table.node,
        );
        this.table.emptyLine.textContent = "Loading…";
        this.emptyText = empty;
    }

    start() {
        this.load();
        this.timer = setInterval(() => document.hidden || this.load(), this.every);
    }

    stop() {
        clearInterval(this.timer);
    }

    async load() {
        try {
            const { data } = await api.get(this.path);
            this.table.emptyLine.textContent = this.emptyText;
            this.table.setRows(data.entries);
            this.problem.hidden = true;
        } catch (problem) {
            setText(this.problem, problem.message);
            this.problem.hidden = false;
        }
    }
}
