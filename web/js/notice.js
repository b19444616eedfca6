// SPDX-License-Identifier: MIT
// Notices in the corner: what was done, with a way back, and what went wrong.

import { byId, h } from "./dom.js";
import { icon } from "./icons.js";

const SHOWN_MS = 9000;
const MAX_SHOWN = 4;

/**
 * Shows a notice. tone: "good", "bad" or "info"; bad ones stay until closed, the others go by
 * themselves, but not while the pointer or the focus is on them. actions: [{label, run}], of which
 * each closes the notice. Returns {close, setText}.
 */
export function notify(text, { tone = "good", actions = [], keep = tone === "bad" } = {}) {
    const line = h("p", { text });
    const node = h(
        "div",
        { class: "notice", data: { tone }, role: tone === "bad" ? "alert" : null },
        line,
    );
    let timer;
    const close = () => {
        clearTimeout(timer);
        node.remove();
    };
    const start = () => {
        clearTimeout(timer);
        if (!keep) timer = setTimeout(close, SHOWN_MS);
    };
    for (const { label, run } of actions)
        node.append(
            h(
                "button",
                {
                    class: "button small",
                    type: "button",
                    on: {
                        click: () => {
                            close();
                            run();
                        },
                    },
                },
                label,
            ),
        );
    node.append(
        h(
            "button",
            {
                class: "icon-button",
                type: "button",
                "aria-label": "Close this notice",
                on: { click: close },
            },
            icon("close"),
        ),
    );
    for (const type of ["pointerenter", "focusin"])
        node.addEventListener(type, () => clearTimeout(timer));
    for (const type of ["pointerleave", "focusout"]) node.addEventListener(type, start);
    const box = byId("notices");
    box.append(node);
    while (box.children.length > MAX_SHOWN) box.firstElementChild.remove();
    start();
    return {
        close,
        setText: (changed) => {
            line.textContent = changed;
        },
    };
}

/** Shows what a failed call said. */
export function notifyProblem(what, problem) {
    const more = (problem.errors ?? []).map((error) => error.detail).join("; ");
    notify(`${what}: ${problem.message}${more ? ` (${more})` : ""}`, { tone: "bad" });
}
