// SPDX-License-Identifier: MIT
// The row of large numbers at the top of a page.

import { h, setAttr, setText } from "./dom.js";

/**
 * specs: [{label, unit, value(data) -> text, tone(data) -> "bad" | "warn" | null}].
 * Returns a function that shows data.
 */
export function makeFigures(list, specs) {
    const cells = specs.map((spec) => {
        const value = h("span", { text: "–" });
        const box = h(
            "div",
            {},
            h("dt", { text: spec.label }),
            h("dd", {}, value, spec.unit && h("small", { text: spec.unit })),
        );
        list.append(box);
        return { spec, value, box };
    });
    return (data) => {
        for (const { spec, value, box } of cells) {
            setText(value, spec.value(data));
            setAttr(box, "data-tone", spec.tone?.(data) ?? null);
        }
    };
}
