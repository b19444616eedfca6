// SPDX-License-Identifier: MIT
// Calls of the REST API. Each call gives the body and the headers that matter, or throws a Problem
// whose text can be shown as it is. A session that has ended leads to the login page.

const BASE = "/api/v1";
const TIMEOUT_MS = 20000;
const RANK = { viewer: 0, operator: 1, admin: 2 };

/** What went wrong, in the server's own words (RFC 9457) or, with status 0, that it is away. */
export class Problem extends Error {
    constructor({ status = 0, title = "", detail = "", errors = [], mistakes = [] }) {
        super(detail || title || `the answer had status ${status}`);
        this.status = status;
        this.errors = errors;
        this.mistakes = mistakes;
    }
}

/** Who is logged in: {author, role, csrf}; filled by loadSession. */
export const session = { author: "", role: "viewer", csrf: "" };

/** Whether the session's role reaches this one. */
export const may = (role) => (RANK[session.role] ?? 0) >= RANK[role];

export async function loadSession() {
    Object.assign(session, (await api.get("/session")).data);
    document.body.dataset.role = session.role;
    return session;
}

/** Leaves for the login page, which comes back to here. */
export function goToLogin() {
    const here = location.pathname + location.hash;
    location.assign(`/login?next=${encodeURIComponent(here)}`);
}

async function problemOf(response) {
    const body = await response.json().catch(() => ({}));
    return new Problem({ title: response.statusText, ...body, status: response.status });
}

async function call(method, path, { body, etag, query, login = true } = {}) {
    const address = new URL(BASE + path, location.origin);
    for (const [name, value] of Object.entries(query ?? {}))
        if (value !== undefined && value !== null && value !== "")
            address.searchParams.set(name, value);
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET" && session.csrf) headers["X-CSRF-Token"] = session.csrf;
    if (etag) headers["If-Match"] = etag;
    let response;
    try {
        response = await fetch(address, {
            method,
            headers,
            credentials: "same-origin",
            cache: "no-store",
            redirect: "error",
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: AbortSignal.timeout(TIMEOUT_MS),
        });
    } catch (error) {
        throw new Problem({
            detail:
                error.name === "TimeoutError"
                    ? "Weir did not answer in time; look at the journal whether it was done"
                    : "Weir cannot be reached",
        });
    }
    if (response.status === 401 && login) {
        goToLogin();
        throw new Problem({ status: 401, detail: "the session has ended; log in again" });
    }
    if (!response.ok) throw await problemOf(response);
    const text = await response.text();
    return {
        data: text ? JSON.parse(text) : null,
        etag: response.headers.get("ETag"),
        journal: response.headers.get("Weir-Journal"),
        status: response.status,
    };
}

export const api = {
    get: (path, options) => call("GET", path, options),
    post: (path, body, options) => call("POST", path, { body: body ?? {}, ...options }),
    patch: (path, body, options) => call("PATCH", path, { body, ...options }),
    remove: (path, options) => call("DELETE", path, options),
};

export const poolPath = (pool) => `/pools/${encodeURIComponent(pool)}`;

/** The path of a server, or of the servers of its pool. */
export function serverPath(pool, id) {
    const base = `${poolPath(pool)}/servers`;
    return id === undefined ? base : `${base}/${encodeURIComponent(id)}`;
}
