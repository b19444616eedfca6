// SPDX-License-Identifier: MIT
// Makes elements without any HTML text, so that no name from the API can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === undefined || value === null || value === false) continue;
        if (name === "on") {
            for (const [type, listener] of Object.entries(value))
                node.addEventListener(type, listener);
        } else if (name === "data") {
            for (const [key, text] of Object.entries(value))
                if (text !== undefined && text !== null) node.dataset[key] = text;
        } else if (name === "text") {
            node.textContent = value;
        } else if (name === "value") {
            node.value = value;
        } else {
            node.setAttribute(name, value === true ? "" : value);
        }
    }
    node.append(
        ...children
            .flat(3)
            .filter((child) => child !== null && child !== undefined && child !== false),
    );
    return node;
}

/** An element: h("td", {class: "num", on: {click}}, "text", node, [nodes]). */
export function h(tag, props, ...children) {
    return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

/** Sets a node's text when it differs: what stays the same costs no layout. */
export function setText(node, text) {
    const wanted = String(text);
    if (node.lastText !== wanted) {
        node.lastText = wanted;
        node.textContent = wanted;
    }
}

/** Sets an attribute, or removes it where the value is null, when it differs. */
export function setAttr(node, name, value) {
    if (value === null || value === undefined) {
        if (node.hasAttribute(name)) node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(value)) {
        node.setAttribute(name, value);
    }
}

/** Makes parent's children be exactly these, moving as few as possible. */
export function setChildren(parent, children) {
    let at = parent.firstChild;
    for (const child of children) {
        if (child === at) at = at.nextSibling;
        else parent.insertBefore(child, at);
    }
    while (at) {
        const next = at.nextSibling;
        at.remove();
        at = next;
    }
}

export const byId = (id) => document.getElementById(id);

/** True while somebody types into a field, so that a letter is no shortcut. */
export function isTyping(target) {
    return Boolean(
        target.closest?.(
            "input:not([type=radio], [type=checkbox]), select, textarea, " +
                "dialog, [contenteditable]",
        ),
    );
}
