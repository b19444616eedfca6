// SPDX-License-Identifier: MIT
// How lines of a chart differ: by colour, from Okabe and Ito's set for colour-blind eyes, and by
// dashes, so that no two of the first 24 look alike even in grey.

const LIGHT = [
    "#0067a8",
    "#c4500b",
    "#00805f",
    "#a63f7c",
    "#8a6500",
    "#2f8fd0",
    "#5a5f6b",
    "#7a3fb0",
];
const DARK = [
    "#5db4f0",
    "#ff9a5c",
    "#3fd0a0",
    "#ec93c6",
    "#e6c04a",
    "#9bd0ff",
    "#b5bdca",
    "#c39bff",
];
const DASHES = [[], [7, 4], [2, 3]];

/** The look of the line number i: {colour, dash}. */
export function lineStyle(i) {
    const colours = document.documentElement.dataset.theme === "dark" ? DARK : LIGHT;
    return {
        colour: colours[i % colours.length],
        dash: DASHES[(i + Math.floor(i / colours.length)) % DASHES.length],
    };
}

/** A colour of the style sheet, by its custom property. */
export const themeColour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
