// SPDX-License-Identifier: MIT
// A dialog with a form: says what will happen, takes what is needed, sends it, shows refusals
// beside the fields that they are about.

import { h } from "./dom.js";
import { sentence } from "./format.js";
import { icon } from "./icons.js";

/** A labelled field. The control's name is also the member that a problem's pointer names. */
export function field(label, control, hint) {
    return h(
        "label",
        { class: "field" },
        h("span", { text: label }),
        control,
        hint && h("span", { class: "hint", text: hint }),
    );
}

/** One line of what will happen; warn makes it stand out. */
export function consequence(text, { warn = false, symbol = warn ? "warning" : "arrow" } = {}) {
    return h("li", { class: warn ? "warn" : null }, icon(symbol), h("span", { text }));
}

function showErrors(form, problem) {
    const box = form.querySelector(".form-error");
    let first = null;
    const rest = [];
    for (const error of problem.errors ?? []) {
        const control = form.elements[String(error.pointer ?? "").replace(/^\//, "")];
        if (!control?.closest) {
            rest.push(error.detail);
            continue;
        }
        control.setAttribute("aria-invalid", "true");
        control
            .closest(".field")
            ?.append(h("span", { class: "field-error", text: sentence(error.detail) }));
        first ??= control;
    }
    box.textContent = [problem.message, ...rest].map(sentence).join(". ");
    box.hidden = false;
    (first ?? form.querySelector("[type=submit]")).focus();
}

function clearErrors(form) {
    form.querySelector(".form-error").hidden = true;
    for (const node of form.querySelectorAll(".field-error")) node.remove();
    for (const node of form.querySelectorAll("[aria-invalid]"))
        node.removeAttribute("aria-invalid");
}

/**
 * Opens a dialog and resolves with what submit(form) returned, or with undefined when it was left.
 * A Problem that submit throws is shown, and the dialog stays. content: nodes; danger: the button
 * does harm. update(form, {setContent}) runs at each input.
 */
export function ask({ title, content, confirm, danger = false, submit, update }) {
    const heading = h("h2", { id: "dialog-title", text: title });
    const send = h(
        "button",
        { class: `button ${danger ? "danger" : "primary"}`, type: "submit" },
        confirm,
    );
    const cancel = h("button", { class: "button", type: "button" }, "Cancel");
    const form = h(
        "form",
        { method: "dialog", novalidate: true },
        heading,
        content,
        h("p", { class: "form-error", role: "alert", hidden: true }),
        h("div", { class: "actions" }, cancel, send),
    );
    const dialog = h("dialog", { class: "box", "aria-labelledby": "dialog-title" }, form);
    document.body.append(dialog);
    return new Promise((resolve) => {
        let result;
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            clearErrors(form);
            send.disabled = true;
            try {
                result = (await submit(form)) ?? true;
                dialog.close();
            } catch (problem) {
                send.disabled = false;
                showErrors(form, problem);
            }
        });
        cancel.addEventListener("click", () => dialog.close());
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(result);
        });
        if (update) {
            form.addEventListener("input", () => update(form));
            update(form);
        }
        dialog.showModal();
        (form.querySelector("input:not([type=checkbox]), select, textarea") ?? send).focus();
    });
}
