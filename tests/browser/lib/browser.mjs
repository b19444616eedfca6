// SPDX-License-Identifier: MIT
// A Chromium with an empty profile, and pages that remember what no page of ours may do: write
// errors to the console, break the Content-Security-Policy, ask another origin for anything.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const HERE = path.dirname(fileURLToPath(import.meta.url));
export const SHOTS = process.env.WEIR_SCREENSHOTS ?? path.join(HERE, "..", ".run", "screenshots");

/** launch() makes a new, empty profile each time. */
export const startBrowser = () =>
    chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ARGUMENTS,
    });

/**
 * A page in a context of its own. mistakes gathers what it did wrong; allow(text) says which of
 * that a test provokes on purpose, expectMistakes() that requests fail from now on.
 */
export async function openPage(
    browser,
    { origin, width = 1440, height = 900, colorScheme = "light", allow = () => false } = {},
) {
    const context = await browser.newContext({
        viewport: { width, height },
        colorScheme,
        ignoreHTTPSErrors: true,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.mistakes = [];
    let expecting = false;
    // Chromium itself writes each refused or broken request to the console.
    page.expectMistakes = () => {
        expecting = true;
    };
    const note = (text) =>
        allow(text) ||
        (expecting && text.includes("Failed to load resource")) ||
        page.mistakes.push(text);
    page.on(
        "console",
        (message) =>
            ["error", "warning"].includes(message.type()) &&
            note(`console: ${message.text()} (${message.location().url})`),
    );
    page.on("pageerror", (error) => note(`exception: ${error.stack}`));
    page.on("request", (request) => {
        const url = new URL(request.url());
        if (url.protocol !== "data:" && url.origin !== origin)
            note(`request to another origin: ${request.url()}`);
    });
    await page.addInitScript(() => {
        globalThis.violations = [];
        document.addEventListener("securitypolicyviolation", (event) =>
            globalThis.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
        );
    });
    return page;
}

export async function logIn(page, origin, name = "admin", password = name) {
    await page.goto(`${origin}/login`);
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(`${origin}/`);
    await live(page);
}

/** Waits until the page shows that its numbers are live. */
export const live = (page) => page.locator('#link-state[data-state="live"]').waitFor();

/** Fails when the page did anything that none of ours may do; then closes it. */
export async function closePage(page) {
    const violations = await page.evaluate(() => globalThis.violations ?? []);
    await page.context().close();
    assert.deepEqual([...page.mistakes, ...violations], []);
}

/** axe-core's serious and critical findings, as readable lines. Run outside the page's policy. */
export async function findings(page) {
    await page.evaluate(`{${axe.source}}`);
    const found = await page.evaluate(() =>
        globalThis.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    return found.violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .map(
            (one) =>
                `${one.id}: ${one.help}: ${one.nodes
                    .slice(0, 4)
                    .map((node) => `${node.target} (${node.failureSummary})`)
                    .join(" | ")}`,
        );
}

/** Keeps a picture of the page for people to look at. */
export async function shoot(page, name, options = {}) {
    await fs.mkdir(SHOTS, { recursive: true });
    await page.screenshot({ path: path.join(SHOTS, `${name}.png`), ...options });
}
