// SPDX-License-Identifier: MIT
// The live traffic monitor against the mock: bars, charts, pause, range, loss, sizes.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { axis } from "../../web/js/chart.js";
import { tick } from "../../web/js/format.js";
import { closePage, findings, live, logIn, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { MockWeir, SHOP } from "./mock/server.mjs";

let browser;
before(async () => {
    browser = await startBrowser();
});
after(() => browser?.close());

const bar = (page, id) => page.getByRole("button", { name: new RegExp(`\\b${id} `) });
const chart = (page, title) => page.getByRole("img", { name: title, exact: true });

/** Waits until a line has been drawn: the chart's legend has a value. */
const drawn = (page) => page.locator(".legend b").filter({ hasText: /\d/ }).first().waitFor();

describe("traffic monitor", () => {
    let mock;
    let page;
    beforeEach(async () => {
        mock = await new MockWeir().listen();
        page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url);
        await page.goto(`${mock.url}/traffic`);
        await drawn(page);
    });
    afterEach(async () => {
        await page?.context().close();
        await mock?.close();
    });

    it("draws a bar a server that follows its health", async () => {
        await bar(page, "web-2").and(page.locator('[data-state="up"]')).waitFor();
        mock.model.setHealth("web_servers", "web-2", "down");
        await bar(page, "web-2").and(page.locator('[data-state="down"]')).waitFor();
        await page.getByRole("button", { name: /web-2 Down/ }).waitFor();
        await shoot(page, "traffic-light", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        mock.model.setHealth("web_servers", "web-2", "up");
        await bar(page, "web-2").and(page.locator('[data-state="up"]')).waitFor();
        await page.getByRole("button", { name: "Use dark colours" }).click();
        await shoot(page, "traffic-dark", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        await closePage(page);
    });

    it("shows totals and orders the bars", async () => {
        await page.getByRole("radio", { name: "Total" }).check();
        await page.getByText(/full width: .* requests$/).waitFor();
        mock.model.setHealth("web_servers", "web-4", "down");
        await bar(page, "web-4").and(page.locator('[data-state="down"]')).waitFor();
        await page.getByLabel("Order").selectOption("health");
        await page.waitForFunction(() => document.querySelector(".bar").dataset.state === "down");
        await closePage(page);
    });

    it("shows values under the pointer, by keys, and as a table", async () => {
        await chart(page, "Requests").hover({ position: { x: 300, y: 90 } });
        await page.locator(".tip").first().getByText("web_servers").waitFor();
        await chart(page, "Requests").focus();
        await page.keyboard.press("Home");
        await page.keyboard.press("ArrowRight");
        await page.locator("#rate-said").filter({ hasText: "web_servers" }).waitFor();
        await page.getByRole("button", { name: "Latency as a table" }).click();
        const table = page.getByRole("region", { name: "Latency, as a table" });
        await table.getByRole("columnheader", { name: "web_servers" }).waitFor();
        assert.ok((await table.getByRole("row").count()) > 60);
        await page.getByRole("button", { name: "Requests by server as a table" }).click();
        await page.getByRole("table", { name: "Requests by server" }).getByText("api-3").waitFor();
        assert.deepEqual(await findings(page), []);
        await closePage(page);
    });

    it("draws lines by server, of one pool or of chosen servers", async () => {
        await page.locator("select[name=pool]").selectOption("api_servers");
        await page.locator("#charts .legend").last().getByText("p99").waitFor();
        await page.getByRole("radio", { name: "By server" }).check();
        await page.locator("#charts .legend").first().getByText("api-2").waitFor();
        await bar(page, "api-2").click();
        await page.waitForFunction(
            () => document.querySelectorAll("#charts .legend")[0].children.length === 1,
        );
        assert.match(page.url(), /server=api_servers%2Fapi-2/);
        await page.reload();
        await bar(page, "api-2").and(page.locator('[aria-pressed="true"]')).waitFor();
        await page.getByRole("button", { name: "Clear choice" }).click();
        await closePage(page);
    });

    it("changes the range", async () => {
        for (const [label, seconds] of [
            ["1 min", 60],
            ["15 min", 900],
            ["1 h", 3600],
        ]) {
            const asked = page.waitForRequest(
                (request) =>
                    request.url().includes("/stats/history") &&
                    new URL(request.url()).searchParams.get("seconds") === String(seconds),
            );
            await page.getByRole("radio", { name: label, exact: true }).check();
            await asked;
        }
        await closePage(page);
    });

    it("pauses and goes on", async () => {
        await page.getByRole("button", { name: "Pause" }).click();
        const figures = () => page.locator("#figures").innerText();
        const held = await figures();
        const beats = mock.eventId + 3;
        while (mock.eventId < beats)
            await page.waitForResponse(() => true, { timeout: 300 }).catch(() => {});
        assert.equal(await figures(), held);
        await page.getByRole("button", { name: "Go on" }).click();
        await page.waitForFunction(
            (text) => document.getElementById("figures").innerText !== text,
            held,
        );
        await closePage(page);
    });

    it("says when the connection is lost, and comes back by itself", async () => {
        page.expectMistakes();
        const { port } = mock;
        await mock.close();
        await page.getByText("Connection lost").waitFor();
        await shoot(page, "traffic-lost");
        await mock.listen(port);
        await live(page);
        await page.getByText("numbers are live again").waitFor();
    });
});

describe("traffic monitor, sizes", () => {
    it("labels axes with what they stand for", () => {
        for (const value of [0.03, 1, 4, 5, 7, 25, 60, 99, 150, 12345]) {
            const { step, count } = axis(value);
            assert.ok(step * count >= value * 0.999 && count >= 3 && count <= 5, `${value}`);
            for (let i = 0; i <= count; i++)
                assert.equal(Number(tick(i * step).replace(/,/g, "").replace(" k", "e3")),
                    Number((i * step).toPrecision(6)));
            assert.ok(value < 4 || Number.isInteger(step), `${value}: no parts of a request`);
        }
    });

    it("fits a screen of 320 pixels, bars and all", async () => {
        const mock = await new MockWeir().listen();
        const page = await openPage(browser, { origin: mock.url, width: 320, height: 740 });
        await logIn(page, mock.url);
        await page.goto(`${mock.url}/traffic`);
        await drawn(page);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
        const track = await page.locator(".bar-track").first().boundingBox();
        assert.ok(track.width > 60, `a bar has ${track.width} pixels`);
        await shoot(page, "traffic-narrow", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        await closePage(page);
        await mock.close();
    });

    it("stays smooth with 200 servers, and usable with 1,000", async () => {
        for (const servers of [200, 1000]) {
            const mock = await new MockWeir({
                pools: [{ name: "web_servers", servers, rate: 6 }, ...SHOP.slice(1)],
            }).listen();
            const page = await openPage(browser, { origin: mock.url });
            await logIn(page, mock.url);
            await page.goto(`${mock.url}/traffic`);
            await drawn(page);
            await page.getByRole("radio", { name: "By server" }).check();
            const blocked = await longestTasks(page);
            await shoot(page, `traffic-${servers}`, { fullPage: true });
            // Headless Chromium here shares two slow cores with everything else.
            assert.ok(blocked < 500, `${servers} servers: the page stood still for ${blocked} ms`);
            await closePage(page);
            await mock.close();
        }
    });
});

/** The longest task of the page's thread while five statistics events are shown, in ms. */
const longestTasks = (page) =>
    page.evaluate(
        () =>
            new Promise((resolve) => {
                let longest = 0;
                new PerformanceObserver((list) => {
                    for (const entry of list.getEntries())
                        longest = Math.max(longest, entry.duration);
                }).observe({ type: "longtask" });
                const source = new EventSource("/api/v1/events");
                let beats = 0;
                source.addEventListener("statistics", () => {
                    if (++beats === 5) {
                        source.close();
                        resolve(longest);
                    }
                });
            }),
    );
