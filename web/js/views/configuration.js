// SPDX-License-Identifier: MIT
// The configuration, for admins: check the files, reload them, read them, and export what runs.

import { api } from "../api.js";
import { ask, consequence } from "../dialog.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { notify } from "../notice.js";

function fileList(files) {
    return files.map((file) =>
        h(
            "details",
            { class: "file", open: files.length === 1 },
            h("summary", { class: "mono", text: file.path }),
            h("pre", { tabindex: "0", "aria-label": file.path, text: file.text }),
        ),
    );
}

const mistakeList = (mistakes) =>
    h(
        "ul",
        { class: "mistakes mono" },
        mistakes.map((text) => h("li", { text })),
    );

function contradictionTable(list) {
    return h(
        "div",
        { class: "table-scroll" },
        h(
            "table",
            { class: "data" },
            h("caption", { class: "visually-hidden", text: "Where files and runtime differ" }),
            h(
                "thead",
                {},
                h(
                    "tr",
                    {},
                    ["Server", "Setting", "Files", "Runs with"].map((text) =>
                        h("th", { scope: "col", text }),
                    ),
                ),
            ),
            h(
                "tbody",
                {},
                list.map((one) =>
                    h(
                        "tr",
                        {},
                        h("th", { scope: "row", text: `${one.pool}/${one.server}` }),
                        h("td", { text: one.field }),
                        h("td", { text: JSON.stringify(one.file) }),
                        h("td", { text: JSON.stringify(one.runtime) }),
                    ),
                ),
            ),
        ),
    );
}

export class ConfigurationView {
    constructor(model) {
        this.model = model;
        const button = (label, run, kind = "") =>
            h("button", { class: `button ${kind}`, type: "button", on: { click: run } }, label);
        this.output = h("section", {
            class: "panel config-output",
            "aria-live": "polite",
            "aria-label": "Result",
        });
        this.node = h(
            "div",
            {},
            h(
                "div",
                { class: "toolbar" },
                button("Check the files", () => this.check()),
                button("Reload…", () => this.reload(), "primary"),
                button("Show the files", () => this.show("/config", "The configuration files")),
                button("Export what runs", () =>
                    this.show("/config/export", "Files that equal what runs now"),
                ),
            ),
            this.output,
        );
    }

    start() {
        this.show("/config", "The configuration files");
    }

    stop() {}

    say(title, ...content) {
        this.output.replaceChildren(
            h("div", { class: "panel-head" }, h("h2", { text: title })),
            h("div", { class: "config-body" }, content),
        );
    }

    sayProblem(title, problem) {
        this.say(
            title,
            h("p", { class: "form-error", text: problem.message }),
            problem.mistakes.length > 0 && mistakeList(problem.mistakes),
        );
    }

    async check() {
        try {
            const { data } = await api.post("/config/check");
            if (data.ok)
                this.say("The files are right", h("p", { text: "A reload would take them." }));
            else
                this.say(
                    `The files have ${plural(data.mistakes.length, "mistake")}`,
                    mistakeList(data.mistakes),
                );
        } catch (problem) {
            this.sayProblem("The files could not be checked", problem);
        }
    }

    async reload() {
        const sent = await ask({
            title: "Reload the files?",
            confirm: "Reload",
            content: [
                h(
                    "ul",
                    { class: "what" },
                    consequence(
                        "The files become the new configuration as a whole, or not at all if " +
                            "they have a mistake.",
                    ),
                    consequence("Connections, counters and health of what did not change stay."),
                    consequence("Changes made at run time stay and are laid over the files."),
                ),
            ],
            submit: async () => (await api.post("/config/reload")).data,
        });
        if (!sent) return;
        notify(`Reloaded: generation ${sent.generation} runs.`);
        const list = sent.contradictions ?? [];
        this.say(
            `Generation ${sent.generation} runs`,
            list.length === 0
                ? h("p", { text: "Nothing that was changed at run time contradicts the files." })
                : [
                      h("p", {
                          text:
                              "These settings were changed at run time and differ from the files; " +
                              "the runtime's hold:",
                      }),
                      contradictionTable(list),
                  ],
        );
    }

    async show(path, title) {
        try {
            const { data } = await api.get(path);
            this.say(title, fileList(data.files));
        } catch (problem) {
            this.sayProblem(title, problem);
        }
    }
}
