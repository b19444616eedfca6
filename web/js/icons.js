// SPDX-License-Identifier: MIT
// The icons, as SVG paths in a 24 by 24 box. They are decoration: a label says the same.

import { svg } from "./dom.js";

const PATHS = {
    up: "M20 6 9 17l-5-5",
    down: "M6 6l12 12M18 6 6 18",
    drain: "M12 3v12M6 10l6 6 6-6M5 21h14",
    maintenance:
        "M14.5 6.5a4 4 0 0 1 5-1l-3 3 1.5 2.5 3-.5a4 4 0 0 1-5.5 3.5L8 21.5 3.5 17 11 9.5a4 4 0 0 1 3.5-3",
    unknown: "M9 9a3 3 0 1 1 4 2.8c-.7.3-1 .8-1 1.7M12 17.5v.2",
    limit: "M4 17a8 8 0 1 1 16 0M12 17l4-6",
    weight: "M12 4v16M5 20h14M6 8h12M6 8l-3 6h6zM18 8l-3 6h6z",
    search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M20 20l-4-4",
    close: "M6 6l12 12M18 6 6 18",
    more: "M4 12h1.4M11.3 12h1.4M18.6 12H20",
    plus: "M12 5v14M5 12h14",
    minus: "M6 12h12",
    remove: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
    sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
    moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5",
    pause: "M8 5v14M16 5v14",
    play: "M7 4l13 8-13 8z",
    chevron: "M9 6l6 6-6 6",
    table: "M4 5h16v14H4zM4 10h16M10 5v14",
    chart: "M4 4v16h16M7 15l4-5 3 3 5-7",
    undo: "M4 9h10a5 5 0 0 1 0 10h-3M4 9l4-4M4 9l4 4",
    clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3 2",
    warning: "M12 4 2.5 20h19zM12 10v4M12 17v.2",
    info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 11v5M12 8v.1",
    arrow: "M5 12h14M13 6l6 6-6 6",
};

export function icon(name) {
    return svg(
        "svg",
        { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
        svg("path", { d: PATHS[name] }),
    );
}

/** Shows another icon in an svg that icon() made. */
export function setIcon(node, name) {
    if (node.iconName !== name) {
        node.iconName = name;
        node.firstChild.setAttribute("d", PATHS[name]);
    }
}
