// SPDX-License-Identifier: MIT
// The stream of server-sent events, kept open: when it breaks or falls silent it is opened again,
// at growing intervals. Dispatches "statistics", "change", "server", "module" and "reload" with the
// data in detail, "state" when the connection changes between "connecting", "live" and "lost", and "again"
// when it is back after a break, however short: something may have been missed.

import { api, goToLogin } from "./api.js";

const TYPES = ["statistics", "change", "server", "module", "reload"];
// Statistics come each second; what is silent for so long is dead, whatever the socket says.
const SILENCE_MS = 5000;
const RETRY_MS = [200, 1000, 2000, 3000, 5000];
// A reload ends the stream for a moment; only what lasts longer is worth a word.
const GRACE_MS = 1500;

export class LiveEvents extends EventTarget {
    constructor() {
        super();
        this.state = "connecting";
        this.tries = 0;
        this.lastAt = 0;
        this.graceTimer = 0;
    }

    open() {
        this.source?.close();
        this.source = new EventSource("/api/v1/events");
        for (const type of TYPES)
            this.source.addEventListener(type, (event) => this.receive(type, event));
        this.source.addEventListener("error", () => this.lose());
        this.watch(SILENCE_MS * 2);
    }

    receive(type, event) {
        this.lastAt = Date.now();
        this.tries = 0;
        this.watch(SILENCE_MS);
        clearTimeout(this.graceTimer);
        this.graceTimer = 0;
        this.setState("live");
        if (this.broken) {
            this.broken = false;
            this.dispatchEvent(new Event("again"));
        }
        let data;
        try {
            data = JSON.parse(event.data);
        } catch {
            return;
        }
        this.dispatchEvent(new CustomEvent(type, { detail: data }));
    }

    watch(delay) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.lose(), delay);
    }

    lose() {
        this.source.close();
        this.broken = true;
        this.graceTimer ||= setTimeout(() => this.setState("lost"), GRACE_MS);
        const delay = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)];
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.retry(), delay);
    }

    /** An EventSource does not tell a refusal from a dead server, so the session is asked first. */
    async retry() {
        try {
            await api.get("/session", { login: false });
        } catch (problem) {
            if (problem.status === 401) goToLogin();
            else this.lose();
            return;
        }
        this.open();
    }

    setState(state) {
        if (this.state === state) return;
        const before = this.state;
        this.state = state;
        this.dispatchEvent(new CustomEvent("state", { detail: { state, before } }));
    }
}
