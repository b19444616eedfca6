// SPDX-License-Identifier: MIT
// What an opened row tells of a server or listener: everything that the API says of it.

import { h, setText } from "../dom.js";
import { ago, bytes, clock, count, duration, latency, NONE, plural, rate, share, when } from "../format.js";
import { drainLeft } from "../actions.js";

const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/** What an object of counts says: `HTTP/1.1: 12, HTTP/2: 3,400`. */
const counts = (object, word = (name) => name) =>
    Object.entries(object ?? {})
        .map(([name, number]) => `${word(name)}: ${count(number)}`)
        .join(", ") || "none";
const errorWords = (errors) => counts(errors, (name) => name.replaceAll("_", " "));

/** HTTP/2's connections of a server or listener: `2 connections, 14 requests`. */
const http2Now = ({ http2 }) =>
    http2?.connections > 0
        ? `${plural(http2.connections, "connection")}, ${plural(http2.streams, "request")}`
        : "no connection";

const GROUPS = [
    [
        "Health",
        [
            ["Status", (s) => `${s.health.status}: ${s.health.reason}`],
            ["Since", (s) => `${when(s.health.since)} (${ago(s.health.since)})`],
            [
                "Set aside",
                (s) =>
                    (s.ejected_until ?? 0) > Date.now()
                        ? `for ${duration(s.ejected_until - Date.now())} more`
                        : "no",
            ],
            ["State", (s) => `${s.state} since ${when(s.state_since)}`],
            ["Drain", (s) => drainLeft(s) || NONE],
            ["Sessions", (s) => (s.sessions === null ? "not sticky" : count(s.sessions))],
        ],
    ],
    [
        "Settings",
        [
            ["URL", (s) => s.url],
            ["Origin", (s) => (s.origin === "file" ? "the files" : "added while running")],
            ["Differs", (s) => ((s.drift ?? []).length > 0 ? s.drift.join(", ") : "no")],
            [
                "Weight",
                (s) =>
                    s.configured_weight === null
                        ? String(s.weight)
                        : `${s.weight} (files: ${s.configured_weight})`,
            ],
            ["Effective", (s) => String(Number(s.effective_weight.toFixed(2)))],
            [
                "Limit",
                (s) => (s.max_requests > 0 ? `${count(s.max_requests)} requests at once` : "none"),
            ],
            ["Backup", (s) => (s.backup ? "yes" : "no")],
        ],
    ],
    [
        "Traffic",
        [
            ["Requests", (s) => `${count(s.requests)} (${rate(s.rates.requests)}/s)`],
            [
                "Responses",
                (s) =>
                    CLASSES.filter((name) => s.responses?.[name] > 0)
                        .map((name) => `${name}: ${count(s.responses[name])}`)
                        .join(", ") || "none",
            ],
            ["Errors", (s) => errorWords(s.errors)],
            ["Failed, last min", (s) => share(s.error_share)],
            ["Retries", (s) => count(s.retries)],
            ["Received", (s) => `${bytes(s.bytes_in)} (${bytes(s.rates.bytes_in)}/s)`],
            ["Sent", (s) => `${bytes(s.bytes_out)} (${bytes(s.rates.bytes_out)}/s)`],
            ["Connections", (s) => `${count(s.connections)} opened`],
            ["Spoken to it", (s) => counts(s.protocols)],
            ["HTTP/2 now", http2Now],
            ["Ended for abuse", (s) => count(s.abusive)],
        ],
    ],
];

function group(title, rows) {
    const cells = rows.map(([label, text]) => ({ label, text, value: h("dd") }));
    return {
        node: h(
            "div",
            { class: "facts" },
            h("h3", { text: title }),
            h(
                "dl",
                {},
                cells.map(({ label, value }) => [h("dt", { text: label }), value]),
            ),
        ),
        update: (server) => {
            for (const { text, value } of cells) setText(value, text(server));
        },
    };
}

function probeList() {
    const list = h("ol", { class: "probe-list", tabindex: "0", "aria-label": "Last probes" });
    return {
        node: h("div", { class: "facts" }, h("h3", { text: "Last probes" }), list),
        update: (server) => {
            const probes = (server.health.probes ?? []).toReversed();
            const key = `${server.id} ${probes[0]?.at} ${probes.length}`;
            if (list.shown === key) return;
            list.shown = key;
            list.replaceChildren(
                ...probes.map((probe) =>
                    h(
                        "li",
                        { class: probe.ok ? null : "bad-number" },
                        h("span", { text: clock(probe.at) }),
                        h("span", { class: "num", text: latency(probe.ms) }),
                        h("span", { text: `${probe.ok ? "" : "failed: "}${probe.reason ?? ""}` }),
                    ),
                ),
                ...(probes.length ? [] : [h("li", { text: "none yet" })]),
            );
        },
    };
}

const LISTENER_GROUPS = [
    [
        "Protocols",
        [
            ["Offered", offered],
            ["Requests", (l) => counts(l.protocols)],
            ["HTTP/2 now", http2Now],
            ["gRPC calls", (l) => counts(l.grpc)],
        ],
    ],
    [
        "Abuse of HTTP/2",
        [
            ["Odd points", (l) => count(l.odd_points)],
            ["Connections ended", (l) => count(l.abusive)],
        ],
    ],
    [
        "Traffic",
        [
            ["Connections", (l) => `${count(l.connections)} open`],
            ["Requests", (l) => `${count(l.requests)} (${rate(l.rates?.requests)}/s)`],
            ["Errors", (l) => errorWords(l.errors)],
            ["Received", (l) => bytes(l.bytes_in)],
            ["Sent", (l) => bytes(l.bytes_out)],
        ],
    ],
];

/** What clients may speak to a listener: `h2, http/1.1`, and `h2c, http/1.1` for a plain one. */
export function offered({ alpn, h2c }) {
    if (alpn?.length > 0) return alpn.join(", ");
    return h2c ? "h2c, http/1.1" : "http/1.1";
}

function detailOf(parts) {
    return {
        node: h(
            "div",
            { class: "detail-grid" },
            parts.map((part) => part.node),
        ),
        update: (object) => parts.forEach((part) => part.update(object)),
    };
}

const groups = (list) => list.map(([title, rows]) => group(title, rows));

export const serverDetail = () => detailOf([...groups(GROUPS), probeList()]);
export const listenerDetail = () => detailOf(groups(LISTENER_GROUPS));
