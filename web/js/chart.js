// SPDX-License-Identifier: MIT
// Lines over time on a canvas: axes, lines with gaps where nothing is known, and a crosshair. It
// draws once a change, and never by itself.

import { lineStyle, themeColour } from "./palette.js";
import { clock, tick } from "./format.js";

const PAD = { left: 52, right: 12, top: 8, bottom: 22 };
const TICK_STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/** The smallest of 1, 2, 2.5, 5 times a power of ten that is not below value. */
export function niceTop(value) {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((top) => top >= value * 0.999);
}

/** Three to five steps of 1, 2 or 5 times a power of ten that reach value: its labels are exact. */
export function axis(value) {
    const least = value / 5;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10]
        .map((factor) => factor * power)
        .find((one) => one >= least * 0.999);
    return { step, count: Math.ceil((value / step) * 0.999) };
}

export class TimeChart {
    /**
     * least: the axis reaches at least so far; onHover(index | null): the pointer or the keys moved
     * the crosshair.
     */
    constructor(canvas, { least = 1, onHover }) {
        this.canvas = canvas;
        this.least = least;
        this.data = null;
        this.hover = null;
        this.context = canvas.getContext("2d");
        new ResizeObserver(() => this.resize()).observe(canvas);
        document.addEventListener("weir-theme", () => this.draw());
        canvas.addEventListener("pointermove", (event) => onHover(this.indexAt(event.offsetX)));
        canvas.addEventListener("pointerleave", () => onHover(null));
        canvas.addEventListener("keydown", (event) => this.onKey(event, onHover));
        canvas.addEventListener("blur", () => onHover(null));
    }

    onKey(event, onHover) {
        const last = (this.data?.length ?? 1) - 1;
        const at = this.hover ?? last;
        const far = Math.max(1, Math.round(last / 10));
        const to = {
            ArrowLeft: at - 1,
            ArrowRight: at + 1,
            PageUp: at - far,
            PageDown: at + far,
            Home: 0,
            End: last,
        }[event.key];
        if (event.key === "Escape") onHover(null);
        if (to === undefined) return;
        event.preventDefault();
        onHover(Math.min(last, Math.max(0, to)));
    }

    resize() {
        const ratio = devicePixelRatio || 1;
        this.width = this.canvas.clientWidth;
        this.height = this.canvas.clientHeight;
        this.canvas.width = Math.round(this.width * ratio);
        this.canvas.height = Math.round(this.height * ratio);
        this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
        this.draw();
    }

    /** data: {start, step, length, lines: [{label, values, width?}]}; it is not changed after. */
    setData(data) {
        this.data = data;
        this.draw();
    }

    setHover(index) {
        if (this.hover === index) return;
        this.hover = index;
        this.draw();
    }

    timeAt(index) {
        return this.data.start + index * this.data.step;
    }

    x(index) {
        return PAD.left + (index / (this.data.length - 1)) * (this.width - PAD.left - PAD.right);
    }

    indexAt(x) {
        if (!this.data) return null;
        const part = (x - PAD.left) / (this.width - PAD.left - PAD.right);
        return Math.min(
            this.data.length - 1,
            Math.max(0, Math.round(part * (this.data.length - 1))),
        );
    }

    draw() {
        if (!this.data || !this.width) return;
        const { context } = this;
        context.clearRect(0, 0, this.width, this.height);
        let greatest = this.least;
        for (const { values } of this.data.lines)
            for (const value of values) if (value > greatest) greatest = value;
        const { step, count } = axis(greatest);
        const top = step * count;
        const floor = this.height - PAD.bottom;
        const y = (value) => floor - (value / top) * (floor - PAD.top);
        this.drawAxes(step, count, y);
        this.data.lines.forEach((line, i) => this.drawLine(line, lineStyle(i), y));
        if (this.hover !== null) this.drawCrosshair(y);
    }

    drawAxes(step, count, y) {
        const { context } = this;
        context.font = "11px Inter, system-ui, sans-serif";
        context.fillStyle = themeColour("--muted");
        context.strokeStyle = themeColour("--grid");
        context.lineWidth = 1;
        context.setLineDash([]);
        context.textBaseline = "middle";
        context.textAlign = "right";
        for (let i = 0; i <= count; i++) {
            const value = step * i;
            const at = Math.round(y(value)) + 0.5;
            context.beginPath();
            context.moveTo(PAD.left, at);
            context.lineTo(this.width - PAD.right, at);
            context.stroke();
            context.fillText(tick(value), PAD.left - 8, at);
        }
        this.drawTimes();
    }

    drawTimes() {
        const { context } = this;
        const seconds = (this.data.length * this.data.step) / 1000;
        const most = Math.max(2, Math.floor((this.width - PAD.left) / 84));
        const step = 1000 * (TICK_STEPS_S.find((one) => seconds / one <= most) ?? 3600);
        const end = this.timeAt(this.data.length - 1);
        context.textAlign = "center";
        for (let at = Math.ceil(this.data.start / step) * step; at <= end; at += step) {
            const x = this.x((at - this.data.start) / this.data.step);
            if (x > PAD.left + 24 && x < this.width - 24)
                context.fillText(clock(at), x, this.height - PAD.bottom + 13);
        }
    }

    drawLine({ values, width = 1.6 }, { colour, dash }, y) {
        const { context } = this;
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.lineJoin = "round";
        context.setLineDash(dash);
        context.beginPath();
        let before = -Infinity;
        const known = (i) => values[i] !== null && values[i] !== undefined;
        values.forEach((value, i) => {
            if (!known(i)) return;
            const x = this.x(i);
            // One missing second is jitter of the clock; more are a gap, and shown as one.
            if (i - before <= 2) context.lineTo(x, y(value));
            else context.moveTo(x, y(value));
            // A lone point between gaps is drawn as a short dash.
            if (i - before > 2 && !known(i + 1) && !known(i + 2)) {
                context.moveTo(x - 1, y(value));
                context.lineTo(x + 1, y(value));
            }
            before = i;
        });
        context.stroke();
    }

    drawCrosshair(y) {
        const { context } = this;
        const x = Math.round(this.x(this.hover)) + 0.5;
        context.setLineDash([]);
        context.strokeStyle = themeColour("--line-strong");
        context.lineWidth = 1;
        context.beginPath();
        context.moveTo(x, PAD.top);
        context.lineTo(x, this.height - PAD.bottom);
        context.stroke();
        this.data.lines.forEach(({ values }, i) => {
            const value = values[this.hover];
            if (value === null || value === undefined) return;
            context.fillStyle = lineStyle(i).colour;
            context.strokeStyle = themeColour("--surface");
            context.lineWidth = 1.5;
            context.beginPath();
            context.arc(x, y(value), 4, 0, 7);
            context.fill();
            context.stroke();
        });
    }
}
