// SPDX-License-Identifier: MIT
// A chart with its title, its legend (which shows the values under the crosshair), and the same
// numbers as a table.

import { TimeChart } from "./chart.js";
import { h, setAttr, setText, svg } from "./dom.js";
import { clock } from "./format.js";
import { icon } from "./icons.js";
import { lineStyle } from "./palette.js";

const TABLE_ROWS = 90;

function swatch(i) {
    const { colour, dash } = lineStyle(i);
    return svg(
        "svg",
        { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" },
        svg("path", {
            d: "M1 4h20",
            stroke: colour,
            "stroke-width": 2.4,
            "stroke-dasharray": dash.map((part) => part * 0.8).join(" ") || null,
        }),
    );
}

const lastKnown = (values) => values.findLast((value) => value !== null && value !== undefined);

export class ChartCard {
    /** controls: nodes beside the title; onHover(index | null) for all charts of the page. */
    constructor({ id, title, unit, format, least, controls = [], onHover }) {
        Object.assign(this, { format, unit });
        this.canvas = h("canvas", {
            class: "chart-canvas",
            tabindex: "0",
            role: "img",
            "aria-label": title,
            "aria-describedby": `${id}-said`,
        });
        this.said = h("p", { class: "visually-hidden", id: `${id}-said`, "aria-live": "polite" });
        this.at = h("span", { class: "hint chart-time" });
        this.legend = h("ul", { class: "legend" });
        this.tableBox = h("div", {
            class: "chart-table",
            tabindex: "0",
            hidden: true,
            role: "region",
            "aria-label": `${title}, as a table`,
        });
        this.switch = h(
            "button",
            {
                class: "icon-button",
                type: "button",
                "aria-pressed": "false",
                "aria-label": `${title} as a table`,
                title: "Table",
                on: { click: () => this.toggleTable() },
            },
            icon("table"),
        );
        this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
        this.node = h(
            "section",
            { class: "panel chart", "aria-labelledby": `${id}-title` },
            h(
                "div",
                { class: "panel-head" },
                h("h2", { id: `${id}-title`, text: title }),
                h("span", { class: "hint", text: unit }),
                this.at,
                controls,
                this.switch,
            ),
            h("div", { class: "chart-area" }, this.canvas, this.tip, this.tableBox),
            this.legend,
            this.said,
        );
        this.chart = new TimeChart(this.canvas, { least, onHover });
        document.addEventListener("weir-theme", () => this.makeLegend());
    }

    toggleTable() {
        const shown = this.tableBox.hidden;
        this.tableBox.hidden = !shown;
        this.canvas.hidden = shown;
        setAttr(this.switch, "aria-pressed", shown);
        this.showTable();
    }

    setData(data) {
        this.data = data;
        const labels = data.lines.map((line) => line.label).join("\n");
        if (labels !== this.labels) {
            this.labels = labels;
            this.makeLegend();
        }
        this.chart.setData(data);
        this.showValues();
        this.showTable();
    }

    makeLegend() {
        if (!this.data) return;
        this.values = this.data.lines.map(() => h("b"));
        this.legend.replaceChildren(
            ...this.data.lines.map(({ label }, i) =>
                h("li", {}, swatch(i), h("span", { text: label }), this.values[i]),
            ),
        );
        this.showValues();
    }

    setHover(index) {
        this.chart.setHover(index);
        this.showValues();
    }

    showValues() {
        if (!this.data) return;
        const { hover } = this.chart;
        this.data.lines.forEach(({ values }, i) =>
            setText(
                this.values[i],
                this.format(hover === null ? lastKnown(values) : values[hover]),
            ),
        );
        setText(this.at, hover === null ? "" : clock(this.chart.timeAt(hover)));
        this.showTip(hover);
        if (hover !== null && document.activeElement === this.canvas)
            setText(
                this.said,
                `${clock(this.chart.timeAt(hover))}: ${this.data.lines
                    .map((line) => `${line.label} ${this.format(line.values[hover])} ${this.unit}`)
                    .join(", ")}`,
            );
    }

    showTip(hover) {
        this.tip.hidden = hover === null || this.canvas.hidden || this.data.lines.length === 0;
        if (this.tip.hidden) return;
        const lines = this.data.lines
            .map((line, i) => ({ i, label: line.label, value: line.values[hover] }))
            .sort((a, b) => (b.value ?? -1) - (a.value ?? -1));
        this.tip.replaceChildren(
            h("time", { text: clock(this.chart.timeAt(hover)) }),
            ...lines.map((line) =>
                h(
                    "div",
                    {},
                    swatch(line.i),
                    h("span", { text: line.label }),
                    h("b", { text: this.format(line.value) }),
                ),
            ),
        );
        const x = this.chart.x(hover);
        const left = x > this.chart.width / 2;
        this.tip.style.left = `${left ? Math.max(0, x - 12 - this.tip.offsetWidth) : x + 12}px`;
    }

    showTable() {
        if (this.tableBox.hidden || !this.data) return;
        const { lines, length } = this.data;
        const every = Math.max(1, Math.ceil(length / TABLE_ROWS));
        const rows = [];
        for (let i = length - 1; i >= 0; i -= every)
            rows.push(
                h(
                    "tr",
                    {},
                    h("th", { scope: "row", text: clock(this.chart.timeAt(i)) }),
                    lines.map(({ values }) =>
                        h("td", { class: "num", text: this.format(values[i]) }),
                    ),
                ),
            );
        const { scrollTop } = this.tableBox;
        this.tableBox.replaceChildren(
            h(
                "table",
                { class: "data" },
                h("caption", { class: "visually-hidden", text: `${this.unit}, newest first` }),
                h(
                    "thead",
                    {},
                    h(
                        "tr",
                        {},
                        h("th", { scope: "col", text: "Time" }),
                        lines.map(({ label }) =>
                            h("th", { scope: "col", class: "num", text: label }),
                        ),
                    ),
                ),
                h("tbody", {}, rows),
            ),
        );
        this.tableBox.scrollTop = scrollTop;
    }
}
