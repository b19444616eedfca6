// SPDX-License-Identifier: MIT
// What is said of modules: how one stands, why a block of it is out, what goes on instead; and
// bringing it back.

import { api, may } from "./api.js";
import { ask, consequence } from "./dialog.js";
import { h } from "./dom.js";
import { micros, plural, sentence, when } from "./format.js";
import { notify } from "./notice.js";

const STRIKES = {
    over_budget: "over budget",
    wrong_answer: "wrong answer",
    no_server: "no server chosen",
    failed: "failed",
};

export const strikesOf = ({ strikes }) =>
    Object.values(strikes ?? {}).reduce((sum, number) => sum + number, 0);

/** Strikes by kind: `3 over budget, 1 failed`; empty: there was none. */
export const strikeWords = ({ strikes }) =>
    Object.entries(strikes ?? {})
        .filter(([, number]) => number > 0)
        .map(([kind, number]) => `${number} ${STRIKES[kind] ?? kind}`)
        .join(", ");

/** The class of a count of strikes: red is for what is out. */
export const strikesClass = (counted, out) =>
    strikesOf(counted) === 0 ? null : out ? "bad-number" : "warn-number";

/** Weir has died in it twice, and does not call it. */
export const isHeld = (module) => Boolean(module.quarantine);
export const isOut = (module) => isHeld(module) || (module.alarms ?? []).length > 0;

/** How a copy stands, for its badge: [tone, word]. */
export function moduleState(module) {
    if (isHeld(module)) return ["down", "In quarantine"];
    if (isOut(module)) return ["down", "Out"];
    return [module.state === "active" ? "up" : "drain", sentence(module.state)];
}

export const blockWord = ({ block }) => block || "its own block";

/** The strike that was too many, or why else it is out: `pick took 50.1 ms, more than its budget`. */
export function alarmCause({ hook, strike, took_us: took }) {
    switch (strike) {
        case "over_budget":
            return `${hook} took ${micros(took)}, more than its budget`;
        case "wrong_answer":
            return `${hook} gave a wrong answer`;
        case "no_server":
            return `${hook} chose no server where one was usable`;
        case "failed":
            return `${hook} failed`;
        case "quarantined":
            return `Weir has died in ${hook || "it"} twice`;
        default:
            return [strike, hook].filter(Boolean).join(", in ");
    }
}

export const alarmReason = (alarm) =>
    `${alarm.strike in STRIKES ? "too many strikes; the last: " : ""}${alarmCause(alarm)}`;

/** What goes on while a block is out; `null`: it never is. */
export function insteadWords({ kind, instead }) {
    if (!instead) return null;
    if (kind === "balancer") return `Weir itself chooses the servers (${instead})`;
    return instead === "closed" ? "its requests get 503" : "it is passed over";
}

export const modulePath = (name) => `/modules/${encodeURIComponent(name)}`;
export const moduleLink = (name) => `#modules/${encodeURIComponent(name)}`;

/** Asks, and uses the module's blocks that are out again. */
async function retry(module) {
    const alarms = module.alarms ?? [];
    const balancers = alarms.some(({ kind }) => kind === "balancer");
    const done = await ask({
        title: `Try ${module.name} again?`,
        confirm: "Try again",
        content: h(
            "ul",
            { class: "what" },
            alarms.map((alarm) =>
                consequence(`${blockWord(alarm)} uses it again; now ${insteadWords(alarm)}.`),
            ),
            balancers &&
                consequence("Balancers begin anew: what they have learnt is gone.", {
                    symbol: "info",
                }),
            consequence("If it strikes as before, it is out again.", { symbol: "info" }),
        ),
        submit: () => api.post(`${modulePath(module.name)}/retry`),
    });
    if (done) notify(`${module.name} is tried again.`);
    return Boolean(done);
}

/** Ways in which Weir has died in it, the newest first: `SIGSEGV in pick, 5 minutes ago`. */
export const faultWords = ({ quarantine }) =>
    (quarantine?.faults ?? []).map(
        ({ what, hook, time }) => `${what}${hook ? ` in ${hook}` : ""}, ${when(time)}`,
    );

/** Asks, and lets a module out of quarantine. */
async function release(module) {
    const done = await ask({
        title: `Release ${module.name} from quarantine?`,
        confirm: "Release",
        content: h(
            "ul",
            { class: "what" },
            faultWords(module).map((words) => consequence(`${words}.`)),
            consequence("Weir reads its configuration again, and uses the module as it says.", {
                symbol: "info",
            }),
            consequence("If Weir dies in it again, it is in quarantine again.", { symbol: "info" }),
        ),
        submit: () => api.post(`${modulePath(module.name)}/release`),
    });
    if (done) notify(`${module.name} is released.`);
    return Boolean(done);
}

export const backWord = (module) => (isHeld(module) ? "Release" : "Try again");
export const mayBringBack = (module) =>
    isOut(module) && may(isHeld(module) ? "admin" : "operator");
/** Asks, and brings back what is out. */
export const bringBack = (module) => (isHeld(module) ? release(module) : retry(module));

/** In a line: what is out, for a bar that all sections have. */
export function alarmsLine(alarms) {
    const names = [...new Set(alarms.map(({ module }) => module))];
    if (alarms.length === 1)
        return `Module ${names[0]} is out (${blockWord(alarms[0])}): ${insteadWords(alarms[0])}.`;
    if (names.length === 1)
        return `Module ${names[0]} is out in ${plural(alarms.length, "block")}.`;
    const shown = names.slice(0, 3).join(", ");
    const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
    return `${plural(names.length, "module")} are out: ${shown}${more}.`;
}
