// SPDX-License-Identifier: MIT
// Two small pictures: a server's last probes as bars, and a rate over the last minutes as a line.

import { setAttr, svg } from "./dom.js";
import { latency } from "./format.js";

const PROBES = 20;
const HEIGHT = 22;
const WIDTH = 104;

/** Height follows how long the probe took, on a scale of roots: slow ones show, fast ones too. */
const barHeight = (ms, slowest) => 4 + (HEIGHT - 6) * Math.sqrt((ms ?? 0) / slowest);

/** Bars of probes, newest on the right: a good one stands, a bad one is a full bar with a cross. */
export function probeBars() {
    const bars = Array.from({ length: PROBES }, () => svg("path", {}));
    const node = svg(
        "svg",
        { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
        bars,
    );
    return {
        node,
        update: (probes = []) => {
            const shown = probes.slice(-PROBES);
            const slowest = Math.max(1, ...shown.map((probe) => probe.ms ?? 0));
            const bad = shown.filter((probe) => !probe.ok).length;
            bars.forEach((bar, i) => {
                const probe = shown[i - (PROBES - shown.length)];
                const x = i * 5.2 + 0.4;
                if (!probe) {
                    setAttr(bar, "d", `M${x} ${HEIGHT - 1}h3.6v1h-3.6z`);
                    setAttr(bar, "class", "none");
                } else if (probe.ok) {
                    const tall = barHeight(probe.ms, slowest).toFixed(1);
                    setAttr(bar, "d", `M${x} ${HEIGHT}v-${tall}h3.6v${tall}z`);
                    setAttr(bar, "class", "ok");
                } else {
                    setAttr(bar, "d", `M${x} 0h3.6v8h-3.6zM${x} 11h3.6v11h-3.6z`);
                    setAttr(bar, "class", "bad");
                }
            });
            const last = shown.at(-1);
            setAttr(
                node,
                "aria-label",
                !last
                    ? "no probes yet"
                    : `last ${shown.length} probes: ${bad === 0 ? "all good" : `${bad} failed`}; the newest ` +
                          (last.ok ? `took ${latency(last.ms)}` : `failed: ${last.reason}`),
            );
        },
    };
}

/** A line of the last values, scaled to its own greatest. */
export function rateLine(label) {
    const area = svg("path", { class: "area" });
    const line = svg("path", { class: "line" });
    const node = svg(
        "svg",
        {
            class: "spark",
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
            role: "img",
            preserveAspectRatio: "none",
            "aria-label": label,
        },
        area,
        line,
    );
    return {
        node,
        update: (values, capacity) => {
            const top = Math.max(1e-9, ...values);
            const step = WIDTH / (capacity - 1);
            const start = WIDTH - (values.length - 1) * step;
            const points = values.map(
                (value, i) =>
                    `${(start + i * step).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`,
            );
            if (points.length < 2) return;
            setAttr(line, "d", `M${points.join("L")}`);
            setAttr(
                area,
                "d",
                `M${start.toFixed(1)} ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}z`,
            );
        },
    };
}
