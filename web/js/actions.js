// SPDX-License-Identifier: MIT
// What an operator does to servers: each asks with what will happen, sends one change, and shows
// the result with a way back.

import { api, may, serverPath } from "./api.js";
import { ask, consequence, field } from "./dialog.js";
import { h } from "./dom.js";
import { count, duration, plural, rate, share } from "./format.js";
import { notify, notifyProblem } from "./notice.js";
import { isWell } from "./state.js";

const CONFIRM_SECONDS = 60;
const DEADLINES = [
    ["10s", "10 seconds"],
    ["30s", "30 seconds"],
    ["60s", "1 minute"],
    ["300s", "5 minutes"],
    ["1800s", "30 minutes"],
    ["3600s", "1 hour"],
];

/** Servers that take new requests now. */
const inService = (pool) =>
    pool.servers.filter(
        (server) =>
            server.state === "ready" && isWell(server) && server.weight > 0 && !server.backup,
    );

const weightSum = (servers) => servers.reduce((sum, server) => sum + server.weight, 0);

function select(name, options, value) {
    return h(
        "select",
        { name },
        options.map(([key, label]) => h("option", { value: key, selected: key === value }, label)),
    );
}

function number(name, value, max) {
    return h("input", {
        name,
        type: "number",
        min: 0,
        max,
        step: 1,
        value,
        required: true,
        inputmode: "numeric",
    });
}

/** The offer, on each change, that it takes itself back. */
function safeguard() {
    return h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "confirm" }),
        h("span", {}, `Take it back by itself after ${CONFIRM_SECONDS} s unless I keep it`),
    );
}

const confirmQuery = (form) => (form.elements.confirm?.checked ? `${CONFIRM_SECONDS}s` : undefined);

const takersOver = (pool, server) => inService(pool).filter((other) => other.id !== server.id);

/** Who takes over what this server carries, or that nobody can. */
function othersTakeOver(pool, server) {
    const others = takersOver(pool, server);
    if (others.length === 0)
        return consequence(`No other server of ${pool.name} is in service: its requests get 503.`, {
            warn: true,
        });
    const names =
        others.length <= 3
            ? others.map((other) => other.id).join(", ")
            : `the other ${plural(others.length, "server")} in service`;
    const load =
        server.rates.requests >= 0.1
            ? `about ${rate(server.rates.requests)} requests/s`
            : "its requests";
    return consequence(`New requests go to ${names}; ${load} move there.`);
}

function whatGoesOn(server) {
    const sessions = server.sessions > 0 ? ` and ${plural(server.sessions, "session")}` : "";
    return `${plural(server.in_flight, "request")} in flight${sessions}`;
}

// --- Sending, and what is said afterwards --------------------------------------------------------

export async function undo(id, what) {
    try {
        const { data } = await api.post(`/journal/${encodeURIComponent(id)}/undo`);
        notify(`Undone: ${what ?? `${data.undone.command} ${data.undone.target}`}`);
    } catch (problem) {
        notifyProblem(`Not undone: ${what ?? `change ${id}`}`, problem);
    }
}

export async function keepChange(id) {
    try {
        await api.post(`/journal/${encodeURIComponent(id)}/confirm`);
        notify("The change is kept.");
    } catch (problem) {
        notifyProblem("Not kept", problem);
    }
}

function told(text, answer, provisional) {
    if (!answer.journal) {
        notify(text);
        return;
    }
    const back = { label: "Undo", run: () => undo(answer.journal, text) };
    if (!provisional) {
        notify(text, { actions: [back] });
        return;
    }
    notify(`${text} It takes itself back in ${CONFIRM_SECONDS} s unless kept.`, {
        actions: [{ label: "Keep", run: () => keepChange(answer.journal) }, back],
    });
}

/**
 * Sends one PATCH made for the settings that were shown: if somebody changed the server meanwhile
 * (412), the form says so and the next try is made for what is there then.
 */
function patcher(server) {
    let etag = null;
    const fetchTag = async () => {
        etag = (await api.get(serverPath(server.pool, server.id))).etag;
    };
    const ready = fetchTag().catch(() => {});
    return async (body, form) => {
        await ready;
        try {
            return await api.patch(serverPath(server.pool, server.id), body, {
                etag,
                query: { confirm: confirmQuery(form) },
            });
        } catch (problem) {
            if (problem.status === 412) await fetchTag();
            throw problem;
        }
    };
}

async function change(server, { title, lines, fields = [], confirm, danger, body, done, update }) {
    const send = patcher(server);
    const list = h("ul", { class: "what" }, lines);
    const sent = await ask({
        title,
        confirm,
        danger,
        content: [list, fields, safeguard()],
        update: update && ((form) => list.replaceChildren(...update(form))),
        submit: async (form) => ({
            answer: await send(body(form), form),
            text: done(form),
            provisional: Boolean(confirmQuery(form)),
        }),
    });
    if (sent) told(sent.text, sent.answer, sent.provisional);
}

// --- The changes ---------------------------------------------------------------------------------

export function drain(pool, server) {
    const deadline = select("drain_timeout", DEADLINES, "30s");
    return change(server, {
        title: `Drain ${server.id}?`,
        confirm: "Drain",
        lines: [
            othersTakeOver(pool, server),
            consequence(`${whatGoesOn(server)} may go on to the end, or to the deadline.`),
            consequence("It stays in the pool; Ready brings it back."),
        ],
        fields: [field("Deadline", deadline, "Sessions that are left then move to other servers.")],
        body: () => ({ state: "drain", drain_timeout: deadline.value }),
        done: () => `${server.id} is draining.`,
    });
}

export function maintenance(pool, server) {
    return change(server, {
        title: `Put ${server.id} into maintenance?`,
        confirm: "Start maintenance",
        danger: inService(pool).length <= 1,
        lines: [
            othersTakeOver(pool, server),
            consequence(
                `It gets nothing new at once, sessions included; ${plural(
                    server.in_flight,
                    "request",
                )} in flight may end.`,
            ),
            consequence("It stays out until somebody makes it ready."),
        ],
        body: () => ({ state: "maintenance" }),
        done: () => `${server.id} is in maintenance.`,
    });
}

export function ready(pool, server) {
    const up = isWell(server);
    return change(server, {
        title: `Make ${server.id} ready?`,
        confirm: "Make ready",
        lines: [
            up
                ? consequence(
                      `It takes new requests again, beside ${plural(
                          inService(pool).filter((other) => other.id !== server.id).length,
                          "other server",
                      )}.`,
                  )
                : consequence(
                      `It is ${server.health.status} (${server.health.reason}), so it gets ` +
                          "requests only once its probes are good.",
                      { symbol: "info" },
                  ),
        ],
        body: () => ({ state: "ready" }),
        done: () => `${server.id} is ready.`,
    });
}

export function setWeight(pool, server) {
    const weight = number("weight", server.weight, 1000);
    const rest = weightSum(inService(pool).filter((other) => other.id !== server.id));
    const part = (value) => (value + rest > 0 ? value / (value + rest) : 0);
    return change(server, {
        title: `Weight of ${server.id}`,
        confirm: "Set weight",
        lines: [],
        fields: [
            field(
                "Weight",
                weight,
                server.configured_weight === null
                    ? "0 to 1000; 0 gives it no new requests."
                    : `0 to 1000; 0 gives it no new requests. The files say ${server.configured_weight}.`,
            ),
        ],
        update: () => {
            const value = Number(weight.value);
            return [
                consequence(
                    `Its part of ${pool.name} by weight goes from ` +
                        `${share(part(server.weight))} to ${share(part(value))}.`,
                ),
                value === 0 &&
                    consequence("With 0 it gets no new requests; what it has goes on.", {
                        symbol: "info",
                    }),
                value === 0 && rest === 0 && othersTakeOver(pool, server),
            ].filter(Boolean);
        },
        body: () => ({ weight: Number(weight.value) }),
        done: () => `${server.id} has weight ${weight.value}.`,
    });
}

export function setLimit(pool, server) {
    const limit = number("max_requests", server.max_requests, 1000000);
    return change(server, {
        title: `Limit of ${server.id}`,
        confirm: "Set limit",
        lines: [],
        fields: [field("Requests at once", limit, "0: no limit.")],
        update: () => {
            const value = Number(limit.value);
            return [
                consequence(
                    value === 0
                        ? "It takes as many requests at once as it is given."
                        : `At ${count(value)} at once it gets no more; others take them, or they wait in ` +
                              "the queue.",
                ),
                value > 0 &&
                    value < server.in_flight &&
                    consequence(`It has ${server.in_flight} now; those go on.`, { symbol: "info" }),
            ].filter(Boolean);
        },
        body: () => ({ max_requests: Number(limit.value) }),
        done: () =>
            limit.value === "0"
                ? `${server.id} has no limit.`
                : `${server.id} takes at most ${count(Number(limit.value))} at once.`,
    });
}

export async function remove(pool, server) {
    const how = h(
        "div",
        { class: "field" },
        h(
            "label",
            { class: "check" },
            h("input", { type: "radio", name: "how", value: "drain", checked: true }),
            h("span", {}, "Drain first: it goes when its last request and session " + "have ended"),
        ),
        h(
            "label",
            { class: "check" },
            h("input", { type: "radio", name: "how", value: "now" }),
            h("span", {}, "At once: sessions move now, requests in flight go on to the end"),
        ),
    );
    const deadline = select("timeout", DEADLINES, "30s");
    const deadlineField = field("Drain for at most", deadline);
    const list = h("ul", { class: "what" });
    const sent = await ask({
        title: `Remove ${server.id} from ${pool.name}?`,
        confirm: "Remove",
        danger: true,
        content: [list, how, deadlineField, safeguard()],
        update: (form) => {
            const now = form.elements.how.value === "now";
            deadlineField.hidden = now;
            list.replaceChildren(
                ...[
                    othersTakeOver(pool, server),
                    now
                        ? consequence(
                              `${plural(server.in_flight, "request")} in flight may go on to the end.`,
                          )
                        : consequence(`${whatGoesOn(server)} may end first.`),
                    server.origin === "file" &&
                        consequence(
                            "The files still have it; it stays " +
                                "removed over reloads until this is undone.",
                            { symbol: "info" },
                        ),
                ].filter(Boolean),
            );
        },
        submit: async (form) => {
            const now = form.elements.how.value === "now";
            const answer = await api.remove(serverPath(pool.name, server.id), {
                query: {
                    now: now ? 1 : undefined,
                    timeout: now ? undefined : deadline.value,
                    // That nobody takes over was said, and read.
                    force: takersOver(pool, server).length === 0 ? 1 : undefined,
                    confirm: confirmQuery(form),
                },
            });
            return {
                answer,
                provisional: Boolean(confirmQuery(form)),
                text:
                    answer.status === 204
                        ? `${server.id} is removed.`
                        : `${server.id} drains and is then removed.`,
            };
        },
    });
    if (sent) told(sent.text, sent.answer, sent.provisional);
}

export async function add(pool) {
    const url = h("input", {
        name: "url",
        type: "text",
        placeholder: "http://localhost:3005",
        autocomplete: "off",
        spellcheck: "false",
        inputmode: "url",
        required: true,
    });
    const id = h("input", {
        name: "id",
        autocomplete: "off",
        spellcheck: "false",
        placeholder: "from the URL",
    });
    const state = select(
        "state",
        [
            ["ready", "Ready"],
            ["drain", "Drain"],
            ["maintenance", "Maintenance"],
        ],
        "ready",
    );
    const weight = number("weight", 1, 1000);
    const limit = number("max_requests", 0, 1000000);
    const list = h("ul", { class: "what" });
    const sent = await ask({
        title: `Add a server to ${pool.name}`,
        confirm: "Add server",
        content: [
            field("URL", url, "http://, https:// or unix:/path"),
            h(
                "div",
                { class: "row" },
                field("Name", id),
                field("State", state),
                field("Weight", weight),
                field("Limit (0: none)", limit),
            ),
            h(
                "label",
                { class: "check" },
                h("input", { type: "checkbox", name: "backup" }),
                h("span", {}, "Backup: only used when no other server can answer"),
            ),
            list,
            safeguard(),
        ],
        update: () =>
            list.replaceChildren(
                state.value === "ready"
                    ? consequence(
                          pool.health_check
                              ? `It is probed first (${pool.health_check}) and gets requests once it is up.`
                              : "It gets requests at once: this pool has no health check.",
                      )
                    : consequence("It gets no requests until somebody makes it ready."),
            ),
        submit: async (form) => {
            const answer = await api.post(
                serverPath(pool.name),
                {
                    url: url.value.trim(),
                    ...(id.value.trim() && { id: id.value.trim() }),
                    weight: Number(weight.value),
                    max_requests: Number(limit.value),
                    state: state.value,
                    ...(form.elements.backup.checked && { backup: true }),
                },
                { query: { confirm: confirmQuery(form) } },
            );
            return {
                answer,
                provisional: Boolean(confirmQuery(form)),
                text: `${answer.data.id} is added to ${pool.name}.`,
            };
        },
    });
    if (sent) told(sent.text, sent.answer, sent.provisional);
    return Boolean(sent);
}

/** What may be done to this server now, for its menu. */
export function actionsOf(pool, server) {
    if (!may("operator")) return [];
    const run = (action) => () => action(pool, server);
    return [
        server.state !== "ready" && { label: "Make ready", symbol: "up", run: run(ready) },
        server.state !== "drain" && { label: "Drain…", symbol: "drain", run: run(drain) },
        server.state !== "maintenance" && {
            label: "Maintenance…",
            symbol: "maintenance",
            run: run(maintenance),
        },
        null,
        { label: "Weight…", symbol: "weight", run: run(setWeight) },
        { label: "Limit…", symbol: "limit", run: run(setLimit) },
        null,
        { label: "Remove…", symbol: "remove", danger: true, run: run(remove) },
    ].filter((item) => item !== false);
}

/** How long a drain has left, in words. */
export function drainLeft(server) {
    if (server.state !== "drain") return "";
    const sessions =
        server.sessions === null || server.sessions === undefined
            ? ""
            : `${plural(server.sessions, "session")} left`;
    const left = server.drain_deadline
        ? `${duration(server.drain_deadline - Date.now())} to the deadline`
        : "";
    return [sessions, left].filter(Boolean).join(", ");
}
