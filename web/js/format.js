// SPDX-License-Identifier: MIT
// Numbers, times and durations for people. One form each, so that columns keep their width.

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const round = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const missing = (value) => value === null || value === undefined || Number.isNaN(value);

function scaled(value, step, units) {
    let unit = 0;
    let rest = value;
    while (rest >= step && unit < units.length - 1) {
        rest /= step;
        unit++;
    }
    return [rest, units[unit], unit];
}

/** A counter: 1,234 and, from a million on, 1.23 M. */
export function count(value) {
    if (missing(value)) return NONE;
    if (Math.abs(value) < 1e6) return whole.format(value);
    const [rest, unit] = scaled(value / 1e6, 1000, ["M", "G", "T"]);
    return `${two.format(rest)} ${unit}`;
}

/** Something per second, without the unit: 0.0, 12.5, 1,234, 12.3 k. */
export function rate(value) {
    if (missing(value)) return NONE;
    if (value < 100) return one.format(value);
    if (value < 10000) return whole.format(value);
    const [rest, unit] = scaled(value / 1000, 1000, ["k", "M", "G"]);
    return `${one.format(rest)} ${unit}`;
}

/** A round number of an axis: 0.25, 50, 1,500, 20 k. */
export function tick(value) {
    return value < 10000 ? round.format(value) : `${round.format(value / 1000)} k`;
}

/** Milliseconds without the unit: 0.85, 12.3, 1,234. */
export function ms(value) {
    if (missing(value)) return NONE;
    return value < 10 ? two.format(value) : value < 100 ? one.format(value) : whole.format(value);
}

/** Milliseconds with the unit. */
export const latency = (value) => (missing(value) ? NONE : `${ms(value)} ms`);

/** Microseconds, in the unit that fits: 0 µs, 0.21 µs, 12.3 µs, 50.1 ms, 1.20 s. */
export function micros(value) {
    if (missing(value)) return NONE;
    if (value === 0) return "0 µs";
    const [rest, unit] = scaled(value, 1000, ["µs", "ms", "s"]);
    return `${ms(rest)} ${unit}`;
}

export function bytes(value) {
    if (missing(value)) return NONE;
    const [rest, unit, steps] = scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
    return `${steps === 0 ? whole.format(rest) : one.format(rest)} ${unit}`;
}

/** A share of one as a percentage. */
export function share(value) {
    if (missing(value)) return NONE;
    const percent = value * 100;
    if (percent === 0) return "0 %";
    return percent < 0.1
        ? "< 0.1 %"
        : `${percent < 10 ? one.format(percent) : whole.format(percent)} %`;
}

/** A length of time in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 4 d 3 h. */
export function duration(milliseconds) {
    if (missing(milliseconds)) return NONE;
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return pair(minutes, "min", seconds % 60, "s");
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return pair(hours, "h", minutes % 60, "min");
    return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(large, largeUnit, small, smallUnit) {
    return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

const clockForm = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dayForm = new Intl.DateTimeFormat("en-CA", { dateStyle: "short" });

/** 14:03:22, in the reader's own time zone. */
export const clock = (at) => clockForm.format(at);

/** 2026-11-26. */
export const day = (at) => dayForm.format(at);

/** The clock time today, else the day and the time. */
export function when(at) {
    if (missing(at)) return NONE;
    return day(at) === day(Date.now()) ? clock(at) : `${day(at)} ${clock(at)}`;
}

export const ago = (at) => (missing(at) ? NONE : `${duration(Date.now() - at)} ago`);

/** plural(1, "server") is "1 server", plural(3, "server") is "3 servers". */
export function plural(number, word) {
    const text =
        number > 0 && number < 10 && number % 1 !== 0 ? one.format(number) : whole.format(number);
    return `${text} ${word}${number === 1 ? "" : "s"}`;
}

/** A text as the beginning of a sentence. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
