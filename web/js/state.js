// SPDX-License-Identifier: MIT
// How a server stands, in one word, from its administrative state and its health; and the badge
// that shows it with colour, icon and word.

import { h, setAttr, setText } from "./dom.js";
import { icon, setIcon } from "./icons.js";

/** Worst first, as lists sort it. */
export const STANDINGS = ["down", "unknown", "drain", "maintenance", "up"];

const WORDS = {
    up: "Up",
    down: "Down",
    unknown: "Unknown",
    drain: "Draining",
    maintenance: "Maintenance",
};

// The events tell the status alone.
const statusOf = (health) => (typeof health === "string" ? health : health?.status);

/** Whether its health lets a server have requests: one of a pool without checks is not known, and serves. */
export const isWell = ({ health }) => statusOf(health) !== "down";

/** What counts most for a server: health where it is in service, else why it is not. */
export function standing({ state, health }) {
    const status = statusOf(health);
    if (state === "maintenance") return "maintenance";
    if (status === "down") return "down";
    if (state === "drain") return "drain";
    return status === "up" ? "up" : "unknown";
}

export const standingWord = (name) => WORDS[name];
export const isUnhealthy = (server) =>
    standing(server) === "down" || (server.ejected_until ?? 0) > Date.now();

/** A badge that follows a standing: {node, update(standing, word?, symbol?)}. */
export function badge() {
    const symbol = icon("unknown");
    const word = h("span");
    const node = h("span", { class: "badge" }, symbol, word);
    return {
        node,
        update: (name, text = WORDS[name], shape = name) => {
            setAttr(node, "data-tone", name);
            setIcon(symbol, shape);
            setText(word, text);
        },
    };
}
