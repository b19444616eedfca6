// SPDX-License-Identifier: MIT
// The route tester: a dry run of a request. It shows each decision on the way, and sends nothing.

import { api } from "../api.js";
import { field } from "../dialog.js";
import { h } from "../dom.js";
import { count, ms, NONE, sentence } from "../format.js";
import { icon } from "../icons.js";
import { badge } from "../state.js";
import { offered } from "./detail.js";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Header lines as an object; a line without a colon is refused with its number. */
function parseHeaders(text) {
    const headers = {};
    text.split("\n").forEach((line, i) => {
        if (line.trim() === "") return;
        const at = line.indexOf(":");
        if (at < 1) throw new Error(`line ${i + 1} of the headers has no colon`);
        headers[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    });
    return headers;
}

// A rule's verdict: the badge's tone, word and shape.
const VERDICTS = {
    wins: ["up", "wins", "up"],
    fits: ["maintenance", "fits", "minus"],
    differs: ["maintenance", "no", "minus"],
};

/** One rule that was looked at. `module` is said where there are several. */
function ruleLine(rule, several) {
    const verdict = rule.verdict ?? (rule.match ? "wins" : "differs");
    const mark = badge();
    mark.update(...VERDICTS[verdict]);
    return h(
        "li",
        { data: { verdict } },
        mark.node,
        h("b", { class: "mono", text: rule.name }),
        several && rule.module !== rule.name && h("span", { class: "chip", text: rule.module }),
        h("span", { class: "hint", text: rule.why ?? "" }),
    );
}

function ruleList({ tried, left_out: leftOut }) {
    const several = new Set(tried.map((rule) => rule.module)).size > 1;
    return [
        h("ol", { class: "tried" }, tried.map((rule) => ruleLine(rule, several))),
        leftOut > 0 &&
            h("p", {
                class: "hint",
                text: `and ${count(leftOut)} more, which are further from the request`,
            }),
    ];
}

// A filter's verdict, likewise.
const FILTER_VERDICTS = {
    passes: ["up", "passes", "up"],
    answers: ["down", "answers", "warning"],
    fails: ["down", "fails", "warning"],
    unknown: ["maintenance", "not asked", "minus"],
    out: ["down", "out", "warning"],
};

function filterLine(filter) {
    const mark = badge();
    mark.update(...(FILTER_VERDICTS[filter.verdict] ?? FILTER_VERDICTS.unknown));
    return h(
        "li",
        { data: { verdict: filter.verdict } },
        mark.node,
        h("b", { class: "mono", text: filter.module }),
        h("span", { class: "chip", text: `of the ${filter.in}` }),
        h("span", { class: "hint", text: filter.why ?? "" }),
    );
}

const step = (title, ...content) =>
    h("li", { class: "step" }, h("h3", { text: title }), h("div", {}, content));

const STICKY = {
    none: () => "Not a known user: the balancer picks.",
    known: (sticky) => `A known user of ${sticky.server}.`,
    lost: (sticky) =>
        `Was a user of ${sticky.server ?? "a server"} that can't take it now: the ` +
        "balancer picks.",
    out: () => "Its module is out: users are not known meanwhile.",
};

function scoreCell({ score, score_text: text }) {
    const known = score !== null && score !== undefined;
    return h(
        "td",
        { class: "num" },
        known ? String(Number(score.toFixed(3))) : NONE,
        text && h("span", { class: "sub", text }),
    );
}

function candidateTable(answer) {
    return h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Candidates" },
        h(
            "table",
            { class: "data" },
            h("caption", { class: "visually-hidden", text: "Candidates" }),
            h(
                "thead",
                {},
                h(
                    "tr",
                    {},
                    ["Server", "Eligible", "Protocol"].map((text) => h("th", { scope: "col", text })),
                    ["Score", "Weight", "In flight", "Latency"].map((text) =>
                        h("th", { scope: "col", class: "num", text }),
                    ),
                ),
            ),
            h(
                "tbody",
                {},
                answer.candidates.map((one) => {
                    const picked = one.id === answer.pick;
                    return h(
                        "tr",
                        { class: "row", data: { picked: picked ? "" : null } },
                        h(
                            "th",
                            { scope: "row" },
                            one.id,
                            picked && h("span", { class: "chip pick", text: "picked" }),
                        ),
                        h(
                            "td",
                            {},
                            one.eligible ? "yes" : "no",
                            one.why && h("span", { class: "sub", text: one.why }),
                        ),
                        h("td", { text: one.protocol ?? "as ALPN says" }),
                        scoreCell(one),
                        h("td", { class: "num", text: one.weight ?? NONE }),
                        h("td", { class: "num", text: count(one.in_flight) }),
                        h("td", { class: "num", text: ms(one.latency_ms) }),
                    );
                }),
            ),
        ),
    );
}

/** What scores are good for, where there are any. */
const scoreNote = ({ candidates }) =>
    candidates.some((one) => Number.isFinite(one.score)) &&
    h("p", {
        class: "hint",
        text:
            "The balancer takes the lowest score; equals take turns. Each worker keeps its own turns, " +
            "so a request may find another server's.",
    });

function verdict(answer) {
    if (answer.pick)
        return h(
            "p",
            { class: "verdict", data: { tone: "up" } },
            icon("arrow"),
            "The request goes to ",
            h("b", { text: answer.pick }),
            ` of ${answer.pool}.`,
        );
    const { status, reason } = answer.answer ?? {};
    return h(
        "p",
        { class: "verdict", data: { tone: "down" } },
        icon("warning"),
        status ? `Weir answers ${status} itself: ${reason}.` : "No server would be picked.",
    );
}

function result(answer) {
    return [
        verdict(answer),
        h(
            "ol",
            { class: "steps" },
            step(
                "Listener",
                h(
                    "p",
                    {},
                    `${answer.listener ?? NONE} `,
                    answer.protocol &&
                        h("span", { class: "chip", text: `offers ${offered(answer.protocol)}` }),
                ),
            ),
            answer.filters?.length > 0 &&
                step("Filters", h("ol", { class: "tried filters" }, answer.filters.map(filterLine))),
            step(
                "Routes",
                answer.route?.tried?.length
                    ? ruleList(answer.route)
                    : h("p", { text: "none was tried" }),
            ),
            answer.pool &&
                step(
                    "Pool",
                    h(
                        "p",
                        {},
                        `${answer.pool} `,
                        answer.protocol?.server &&
                            h("span", {
                                class: "chip",
                                text: `spoken to by ${answer.protocol.server}`,
                            }),
                    ),
                ),
            answer.sticky &&
                step(
                    "Sticky",
                    h("p", {
                        text: (STICKY[answer.sticky.verdict] ?? (() => answer.sticky.verdict))(
                            answer.sticky,
                        ),
                    }),
                ),
            answer.balancer?.out &&
                step(
                    "Balancer",
                    h("p", {
                        text:
                            `${answer.balancer.module} is out: Weir itself chooses meanwhile, ` +
                            `by ${answer.balancer.fallback}.`,
                    }),
                ),
            answer.candidates?.length > 0 &&
                step("Candidates", candidateTable(answer), scoreNote(answer)),
        ),
    ];
}

export class TesterView {
    constructor() {
        const url = h("input", {
            name: "url",
            required: true,
            autocomplete: "off",
            spellcheck: "false",
            inputmode: "url",
            placeholder: "https://shop.example/api/items",
        });
        const client = h("input", {
            name: "client",
            autocomplete: "off",
            spellcheck: "false",
            placeholder: "192.0.2.1",
        });
        this.listener = h("select", { name: "listener" }, h("option", { value: "" }, "by the URL"));
        const headers = h("textarea", {
            name: "headers",
            rows: 3,
            spellcheck: "false",
            placeholder: "Cookie: weir_session=…",
            class: "mono",
        });
        this.form = h(
            "form",
            { class: "panel tester-form", novalidate: true },
            h("h2", { text: "Where would this request go?" }),
            h(
                "div",
                { class: "tester-line" },
                field(
                    "Method",
                    h(
                        "select",
                        { name: "method" },
                        METHODS.map((name) => h("option", { text: name })),
                    ),
                ),
                field("URL", url),
            ),
            h(
                "div",
                { class: "row" },
                field("Client address", client),
                field("Listener", this.listener),
            ),
            field("Headers", headers, "One a line."),
            h("p", { class: "hint", text: "A dry run: no request is sent, nothing is counted." }),
            (this.error = h("p", { class: "form-error", role: "alert", hidden: true })),
            h("div", {}, h("button", { class: "button primary", type: "submit" }, "Test")),
        );
        this.output = h(
            "section",
            { class: "panel tester-result", "aria-label": "Result", "aria-live": "polite" },
            h("p", { class: "empty", text: "The decisions on the way will show here." }),
        );
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.run();
        });
        this.node = h("div", { class: "tester" }, this.form, this.output);
    }

    async start() {
        try {
            const { data } = await api.get("/listeners");
            const chosen = this.listener.value;
            this.listener.replaceChildren(
                h("option", { value: "" }, "by the URL"),
                ...data.entries
                    .filter((one) => !one.handler)
                    .map((one) => h("option", { value: one.name }, one.name)),
            );
            this.listener.value = chosen;
        } catch {
            // The choice by URL is there all the same.
        }
    }

    stop() {}

    async run() {
        const { method, url, client, listener, headers } = this.form.elements;
        this.error.hidden = true;
        try {
            const fields = parseHeaders(headers.value);
            const { data } = await api.post("/explain", {
                method: method.value,
                url: url.value.trim(),
                ...(Object.keys(fields).length > 0 && { headers: fields }),
                ...(client.value.trim() && { client: client.value.trim() }),
                ...(listener.value && { listener: listener.value }),
            });
            this.output.replaceChildren(...result(data));
        } catch (problem) {
            const more = (problem.errors ?? []).map((error) => error.detail).join("; ");
            this.error.textContent = sentence(
                more ? `${problem.message}: ${more}` : problem.message,
            );
            this.error.hidden = false;
        }
    }
}
