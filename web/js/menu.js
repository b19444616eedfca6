// SPDX-License-Identifier: MIT
// A menu under a button: one at a time, with the arrow keys, Escape and a click elsewhere.

import { h } from "./dom.js";
import { icon } from "./icons.js";

let open = null;

function close(refocus = false) {
    if (!open) return;
    const { node, button } = open;
    open = null;
    node.remove();
    button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus();
}

function place(node, button) {
    const at = button.getBoundingClientRect();
    const below = at.bottom + node.offsetHeight + 8 < innerHeight;
    node.style.top = `${below ? at.bottom + 4 : Math.max(4, at.top - node.offsetHeight - 4)}px`;
    node.style.left = `${Math.max(
        8,
        Math.min(at.right - node.offsetWidth, innerWidth - node.offsetWidth - 8),
    )}px`;
}

function onKey(event) {
    const items = [...open.node.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    const go = {
        ArrowDown: at + 1,
        ArrowUp: at - 1 + items.length,
        Home: 0,
        End: items.length - 1,
    };
    if (event.key in go) {
        event.preventDefault();
        items[go[event.key] % items.length].focus();
    } else if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        close(true);
    } else if (event.key === "Tab") {
        close(true);
    }
}

/** Opens or closes the menu of this button. items: {label, symbol, danger, run}; null is a line. */
export function toggleMenu(button, label, items) {
    const again = open?.button === button;
    close();
    if (again) return;
    const node = h(
        "div",
        { class: "menu", role: "menu", "aria-label": label, on: { keydown: onKey } },
        items.map((item) =>
            item === null
                ? h("hr", { role: "separator" })
                : h(
                      "button",
                      {
                          type: "button",
                          role: "menuitem",
                          tabindex: "-1",
                          class: item.danger ? "danger" : null,
                          on: {
                              click: () => {
                                  close(true);
                                  item.run();
                              },
                          },
                      },
                      icon(item.symbol),
                      item.label,
                  ),
        ),
    );
    document.body.append(node);
    button.setAttribute("aria-expanded", "true");
    open = { node, button };
    place(node, button);
    node.querySelector("button").focus({ preventScroll: true });
}

document.addEventListener("pointerdown", (event) => {
    if (open && !open.node.contains(event.target) && !open.button.contains(event.target)) close();
});
addEventListener("scroll", () => close(), { passive: true, capture: true });
addEventListener("resize", () => close());
