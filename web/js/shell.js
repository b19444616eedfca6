// SPDX-License-Identifier: MIT
// What both pages share around their content: who is logged in, log out, light and dark, and
// whether what is shown is live.

import { api, loadSession, session } from "./api.js";
import { byId, h, setText } from "./dom.js";
import { LiveEvents } from "./events.js";
import { clock } from "./format.js";
import { icon } from "./icons.js";
import { notify, notifyProblem } from "./notice.js";

const LABELS = { connecting: "Connecting", live: "Live", lost: "Reconnecting" };

function setUpTheme() {
    const button = byId("theme");
    const show = () => {
        const dark = document.documentElement.dataset.theme === "dark";
        button.replaceChildren(icon(dark ? "sun" : "moon"));
        button.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
        button.title = button.getAttribute("aria-label");
    };
    button.addEventListener("click", () => document.dispatchEvent(new Event("weir-theme-toggle")));
    document.addEventListener("weir-theme", show);
    show();
}

function setUpLogout() {
    byId("logout").addEventListener("click", async () => {
        try {
            await api.remove("/session");
            location.assign("/login");
        } catch (problem) {
            notifyProblem("Not logged out", problem);
        }
    });
}

function showState(events, state, before) {
    const label = byId("link-state");
    label.dataset.state = state;
    setText(label, LABELS[state]);
    const lost = state === "lost";
    document.body.classList.toggle("stale", lost);
    const bar = byId("lost");
    bar.hidden = !lost;
    if (lost)
        setText(
            bar,
            `Connection lost${events.lastAt ? `; numbers are from ${clock(events.lastAt)}` : ""}. ` +
                "Trying again by itself…",
        );
    if (before === "lost" && state === "live")
        notify("The connection is back; numbers are live again.");
}

/**
 * Makes the page's frame work. Returns the open event stream, after the session is known; an
 * ended session leaves for the login page. Until Weir answers, it is asked again.
 */
export async function startShell() {
    setUpTheme();
    setUpLogout();
    const events = new LiveEvents();
    events.addEventListener("state", ({ detail }) =>
        showState(events, detail.state, detail.before),
    );
    for (;;) {
        try {
            await loadSession();
            break;
        } catch (problem) {
            if (problem.status === 401) return new Promise(() => {});
            events.setState("lost");
            await new Promise((resolve) => setTimeout(resolve, 2000));
        }
    }
    byId("who").replaceChildren(h("b", { text: session.author }), ` · ${session.role}`);
    events.open();
    return events;
}
