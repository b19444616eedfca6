// SPDX-License-Identifier: MIT
// Series over the shown range: the past from the API, then each second's statistics at the end.

import { api } from "./api.js";

/** Where a subject's numbers are in a statistics object. subject: {kind, pool, id}. */
export function valuesOf(stats, { kind, pool, id }) {
    if (kind === "total") return stats.total;
    const found = stats.pools?.[pool];
    return kind === "pool" ? found : found?.servers?.[id];
}

export function seriesName({ kind, pool, id }, metric) {
    if (kind === "total") return `total.${metric}`;
    return kind === "pool" ? `pool:${pool}.${metric}` : `server:${pool}/${id}.${metric}`;
}

export class History {
    constructor() {
        this.series = new Map();
        this.subjects = [];
        this.metrics = [];
        this.load_number = 0;
    }

    /** Takes other subjects, metrics or range. What an older call still brings is dropped. */
    async load(subjects, metrics, seconds) {
        const number = ++this.load_number;
        const answers = await Promise.all(
            metrics.map((metric) =>
                subjects.length === 0
                    ? null
                    : api.get("/stats/history", {
                          query: {
                              seconds,
                              series: subjects
                                  .map((subject) => seriesName(subject, metric))
                                  .join(","),
                          },
                      }),
            ),
        );
        if (number !== this.load_number) return false;
        const data = answers.filter(Boolean).map((answer) => answer.data);
        this.subjects = subjects;
        this.metrics = metrics;
        this.step = data[0]?.step_ms ?? 1000;
        this.length = Math.round((seconds * 1000) / this.step);
        this.phase = undefined;
        this.start = data[0]?.start ?? Date.now() - seconds * 1000;
        this.series = new Map();
        for (const { series, start } of data)
            for (const [name, values] of Object.entries(series))
                this.series.set(name, this.aligned(values, start));
        return true;
    }

    /** Answers of one load may begin a step apart; the range is as long as was asked for. */
    aligned(values, start) {
        const shift = Math.round((start - this.start) / this.step);
        const whole = [
            ...Array(Math.max(0, shift)).fill(null),
            ...values.slice(Math.max(0, -shift)),
        ];
        while (whole.length < this.length) whole.push(null);
        return whole.slice(0, this.length);
    }

    /**
     * The place of a time among the steps. Statistics come each second, but at any point of a step
     * and with some jitter: where they fall within a step is followed, so that none lands beside.
     */
    slotOf(time) {
        const exact = (time - this.start) / this.step;
        if (this.step > 1000) return Math.floor(exact);
        this.phase ??= exact - Math.floor(exact);
        const slot = Math.round(exact - this.phase);
        this.phase += (exact - this.phase - slot) * 0.1;
        return slot;
    }

    push(stats) {
        if (this.subjects.length === 0) return;
        let at = this.slotOf(stats.time);
        const move = at - (this.length - 1);
        if (move > 0) {
            this.start += move * this.step;
            at = this.length - 1;
        }
        for (const subject of this.subjects) {
            const values = valuesOf(stats, subject);
            for (const metric of this.metrics) {
                const series = this.series.get(seriesName(subject, metric));
                if (!series || at < 0) continue;
                shift(series, move);
                series[at] = values?.[metric] ?? null;
            }
        }
    }

    /** A copy of one series, which stays as it is. */
    values(subject, metric) {
        return (this.series.get(seriesName(subject, metric)) ?? []).slice();
    }
}

function shift(series, move) {
    if (move <= 0) return;
    const gone = Math.min(move, series.length);
    series.splice(0, gone);
    for (let i = 0; i < gone; i++) series.push(null);
}
