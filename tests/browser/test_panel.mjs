// SPDX-License-Identifier: MIT
// The control panel against the mock: every change with its undo, refusals, roles, sizes.

import assert from "node:assert/strict";
import { afterEach, after, before, beforeEach, describe, it } from "node:test";
import { closePage, findings, live, logIn, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { trial } from "./mock/modules.mjs";
import { MockWeir, SHOP } from "./mock/server.mjs";

const SECTIONS = [
    "Servers",
    "Routes",
    "Listeners",
    "Route tester",
    "Journal",
    "Modules",
    "Certificates",
    "Configuration",
];

let browser;
before(async () => {
    browser = await startBrowser();
});
after(() => browser?.close());

const row = (page, id) =>
    page.locator("tr.row").filter({
        has: page.getByRole("button", { name: id, exact: true }),
    });
const dialog = (page) => page.getByRole("dialog");
const notice = (page, text) => page.locator(".notice").filter({ hasText: text });

async function choose(page, id, action) {
    await page.getByRole("button", { name: `More actions for ${id}` }).click();
    await page.getByRole("menuitem", { name: action }).click();
    await dialog(page).waitFor();
}

describe("control panel", () => {
    let mock;
    let page;
    beforeEach(async () => {
        mock = await new MockWeir().listen();
        page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url);
    });
    afterEach(async () => {
        await page?.context().close();
        await mock?.close();
    });

    it("shows pools and servers, and their numbers move", async () => {
        await row(page, "web-1").getByText("probe: status 200").waitFor();
        const cell = row(page, "web-1").locator(".col-requests");
        const earlier = await cell.innerText();
        await page.waitForFunction(
            ([node, text]) => node.innerText !== text,
            [await cell.elementHandle(), earlier],
        );
        await row(page, "web-1").getByRole("button", { name: "web-1", exact: true }).click();
        await page.getByText("Last probes").first().waitFor();
        await shoot(page, "panel-light");
        assert.deepEqual(await findings(page), []);
        await closePage(page);
    });

    it("shows both balancers of a pool's trial side by side, and ends it either way", async () => {
        const trialPart = page.getByRole("region", { name: "Last trial in web_servers" });
        mock.model.pools.get("web_servers").swap = trial(
            { balance: "least_conn", options: {}, from_files: true },
            { balance: "hash", options: { key: "path" } },
            ["web_servers"],
        );
        const table = page.getByRole("table", { name: "What both balancers of web_servers do" });
        const tried = table.locator("tr.row").filter({ hasText: "on trial, hash key=path" });
        for (const figure of ["100", "1.0 %", "44.0 ms"])
            await tried.getByText(figure, { exact: true }).first().waitFor();
        await trialPart.getByText("hash key=path has 5 % of the picks").waitFor();
        assert.equal(await page.getByRole("region", { name: /^Last trial/ }).count(), 1);
        assert.deepEqual(await findings(page), []);
        await shoot(page, "pool-trial");
        await trialPart.getByRole("button", { name: "Promote" }).click();
        await dialog(page).getByText("hash key=path takes the place of least_conn.").waitFor();
        await dialog(page).getByRole("button", { name: "Promote" }).click();
        await notice(page, "web_servers has the new balancer").waitFor();
        await trialPart.getByText("Promoted", { exact: true }).waitFor();
        await trialPart.getByRole("button", { name: "Promote" }).waitFor({ state: "hidden" });
        await table.waitFor({ state: "hidden" });
        await trialPart.getByRole("button", { name: "Roll back" }).click();
        await dialog(page).getByRole("button", { name: "Roll back" }).click();
        await trialPart.getByText("Rolled back", { exact: true }).waitFor();
        await trialPart.getByRole("button", { name: "Roll back" }).waitFor({ state: "hidden" });
        assert.deepEqual(
            mock.model.journal.slice(0, 2).map(({ command }) => command),
            ["pool.rollback", "pool.promote"],
        );
        mock.model.pools.get("web_servers").swap.ended -= 25 * 3600e3;
        await trialPart.waitFor({ state: "hidden" });
        await closePage(page);
    });

    it("adds a server, shows what is wrong with a bad one, and undoes it", async () => {
        page.expectMistakes();
        await page.getByRole("button", { name: "Add server to web_servers" }).click();
        await dialog(page).getByLabel("URL").fill("ftp://x");
        await dialog(page).getByRole("button", { name: "Add server" }).click();
        await dialog(page).getByText("Not a URL that starts").waitFor();
        await shoot(page, "panel-add-refused");
        assert.deepEqual(await findings(page), []);
        await dialog(page).getByLabel("URL").fill("http://localhost:3005");
        await dialog(page).getByRole("button", { name: "Add server" }).click();
        await row(page, "localhost-3005").waitFor();
        await row(page, "localhost-3005").getByText("runtime").waitFor();
        await notice(page, "localhost-3005 is added").getByRole("button", { name: "Undo" }).click();
        await row(page, "localhost-3005").waitFor({ state: "detached" });
    });

    it("drains with a deadline, and makes ready again", async () => {
        await page.getByRole("button", { name: "Drain api-1" }).click();
        await dialog(page).getByText("New requests go to api-2, api-3").waitFor();
        await dialog(page).getByText("12 sessions").waitFor();
        await shoot(page, "panel-drain");
        assert.deepEqual(await findings(page), []);
        await dialog(page).getByRole("button", { name: "Drain" }).click();
        await row(page, "api-1").getByText("Draining").waitFor();
        await row(page, "api-1")
            .getByText(/\d+ sessions? left, \d+ s to the deadline/)
            .waitFor();
        await page.getByRole("button", { name: "Ready api-1" }).click();
        await dialog(page).getByRole("button", { name: "Make ready" }).click();
        await row(page, "api-1").locator('.badge[data-tone="up"]').waitFor();
        await closePage(page);
    });

    it("warns before the last server goes, and puts it into maintenance", async () => {
        for (const id of ["api-1", "api-2"]) mock.model.setHealth("api_servers", id, "down");
        await row(page, "api-2").getByText("Down").waitFor();
        await choose(page, "api-3", "Maintenance…");
        await dialog(page).getByText("its requests get 503").waitFor();
        await dialog(page).getByRole("button", { name: "Start maintenance" }).click();
        await row(page, "api-3").getByText("Maintenance").waitFor();
        await closePage(page);
    });

    it("changes weight and limit, and says what a weight means", async () => {
        await choose(page, "web-1", "Weight…");
        await dialog(page).getByLabel("Weight").fill("3");
        await dialog(page).getByText("goes from 25 % to 50 %").waitFor();
        await dialog(page).getByRole("button", { name: "Set weight" }).click();
        await row(page, "web-1").getByText("differs: weight").waitFor();
        await choose(page, "web-1", "Limit…");
        await dialog(page).getByLabel("Requests at once").fill("50");
        await dialog(page).getByRole("button", { name: "Set limit" }).click();
        await row(page, "web-1").getByText("/ 50").waitFor();
        await closePage(page);
    });

    it("tells when somebody else changed the server meanwhile", async () => {
        page.expectMistakes();
        const fetched = page.waitForResponse(/servers\/web-1$/);
        await choose(page, "web-1", "Weight…");
        await fetched;
        mock.model.pools.get("web_servers").servers.get("web-1").weight = 9;
        await dialog(page).getByLabel("Weight").fill("2");
        await dialog(page).getByRole("button", { name: "Set weight" }).click();
        await dialog(page).getByText("changed meanwhile").waitFor();
        await dialog(page).getByRole("button", { name: "Set weight" }).click();
        await notice(page, "web-1 has weight 2").waitFor();
    });

    it("removes a server, and undo brings it back", async () => {
        await choose(page, "web-4", "Remove…");
        await dialog(page).getByText("stays removed over reloads").waitFor();
        await dialog(page)
            .getByRole("radio", { name: /At once/ })
            .check();
        await dialog(page).getByRole("button", { name: "Remove" }).click();
        await row(page, "web-4").waitFor({ state: "detached" });
        await notice(page, "web-4 is removed").getByRole("button", { name: "Undo" }).click();
        await row(page, "web-4").waitFor();
        await closePage(page);
    });

    it("removes the last server that is ready when that was said", async () => {
        const pool = mock.model.pools.get("web_servers");
        const ready = [...pool.servers.values()].filter((one) => one.state === "ready");
        for (const one of ready.slice(1)) one.state = "maintenance";
        mock.model.emit("server", {});
        const [last] = ready;
        await row(page, ready.at(-1).id).getByText("Maintenance").first().waitFor();
        await choose(page, last.id, "Remove…");
        await dialog(page).getByText("its requests get 503").waitFor();
        await dialog(page)
            .getByRole("radio", { name: /At once/ })
            .check();
        await dialog(page).getByRole("button", { name: "Remove" }).click();
        await row(page, last.id).waitFor({ state: "detached" });
        await notice(page, `${last.id} is removed`).getByRole("button", { name: "Undo" }).click();
        await row(page, last.id).waitFor();
        for (const one of ready.slice(1)) one.state = "ready";
        mock.model.emit("server", {});
    });

    it("says for as long as it is so that the last reload was refused", async () => {
        const line = page.locator(".pending-line").getByText(/weir\.conf:3: `nonsense`/);
        mock.model.reload = {
            generation: 1,
            time: Date.now(),
            author: "weir",
            result: "refused",
            detail: "/etc/weir/weir.conf:3: `nonsense` is no option",
            mistakes: ["/etc/weir/weir.conf:3: `nonsense` is no option", "and another"],
            mistake_count: 2,
        };
        mock.model.emit("reload", mock.model.reload);
        await line.waitFor();
        await page.getByText("and 1 more mistake)").waitFor();
        mock.model.reload = { ...mock.model.reload, result: "done", detail: null };
        mock.model.emit("reload", mock.model.reload);
        await line.waitFor({ state: "hidden" });
    });

    it("keeps a change that takes itself back only when told to", async () => {
        await page.getByRole("button", { name: "Drain web-2" }).click();
        await dialog(page)
            .getByLabel(/Take it back by itself/)
            .check();
        await dialog(page).getByRole("button", { name: "Drain" }).click();
        await page
            .locator(".pending-line")
            .getByText(/takes itself back in \d+ s/)
            .waitFor();
        await page.locator(".pending-line").getByRole("button", { name: "Keep" }).click();
        await notice(page, "The change is kept").waitFor();
        await closePage(page);
    });

    it("takes servers that nobody probes for what they are: in service", async () => {
        const pool = mock.model.pools.get("api_servers");
        pool.health_check = null;
        for (const id of pool.servers.keys()) mock.model.setHealth("api_servers", id, "unknown");
        await page.getByText("no health check").waitFor();
        await page.getByText("3 of 3 up").first().waitFor();
        await page.getByRole("radio", { name: "Unhealthy 0" }).waitFor();
        await page.getByRole("button", { name: "Drain api-1" }).click();
        await dialog(page).getByText("New requests go to api-2, api-3").waitFor();
        await page.keyboard.press("Escape");
        await closePage(page);
    });

    it("searches, filters to the unhealthy and sorts, by keyboard too", async () => {
        mock.model.setHealth("web_servers", "web-3", "down");
        await row(page, "web-3").getByText("Down").waitFor();
        await page.getByRole("radio", { name: /Unhealthy/ }).check();
        await row(page, "web-1").waitFor({ state: "detached" });
        await row(page, "web-3").waitFor();
        await page.getByRole("radio", { name: /All/ }).check();
        await page.locator("body").press("/");
        await page.keyboard.type("api");
        await row(page, "web-1").waitFor({ state: "detached" });
        assert.equal(await page.locator("tr.row").count(), 3);
        await page.getByRole("searchbox").fill("");
        const table = page.getByRole("table", { name: "Servers of pool web_servers" });
        await table.getByRole("button", { name: "State" }).focus();
        await page.keyboard.press("Enter");
        assert.match(await table.locator("tr.row").first().innerText(), /web-3/);
        await page.getByRole("button", { name: "More actions for web-1" }).focus();
        await page.keyboard.press("Enter");
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Escape");
        assert.equal(await page.getByRole("menu").count(), 0);
        await closePage(page);
    });

    it("says what is spoken to servers, and what clients spoke", async () => {
        const pool = (name) => page.getByRole("region", { name: `Pool ${name}` });
        await pool("web_servers").getByText("to servers: HTTP/1.1").waitFor();
        assert.equal(await pool("web_servers").getByText("gRPC failed").isVisible(), false);
        for (const text of [
            "to servers: HTTP/2",
            "1,000 streams a connection, 256.0 KiB each",
            "connections renewed after 1 h",
        ])
            await pool("api_servers").getByText(text).waitFor();
        const figures = await pool("api_servers").locator(".pool-figures").innerText();
        assert.match(figures.replaceAll("\n", " "), /HTTP\/2 75 % gRPC failed 10/);
        await page.getByRole("button", { name: "api-1", exact: true }).click();
        await page.getByText("2 connections, 0 requests").waitFor();
        await closePage(page);
    });

    it("shows routes, listeners, modules, certificates and the configuration", async () => {
        const expected = {
            Routes: "/api/v1/",
            Listeners: "0.0.0.0:443",
            Modules: "balance_least_conn",
            Certificates: "Expires soon",
            Configuration: "state_dir",
        };
        for (const [section, text] of Object.entries(expected)) {
            await page.getByRole("link", { name: section, exact: true }).click();
            await page.getByText(text).first().waitFor();
            if (section === "Listeners") {
                await page.getByRole("button", { name: "https", exact: true }).click();
                await page.getByText("31 connections, 77 requests").waitFor();
                await page.getByText("OK: 1,200, UNAVAILABLE: 7").waitFor();
                await page.getByText("1,830").last().waitFor();
            }
            if (section === "Modules") {
                await page.getByRole("link", { name: "sticky_cookie" }).click();
                await page.getByRole("definition").filter({ hasText: "1.23 M" }).waitFor();
                await page.getByRole("link", { name: "All modules" }).click();
                await page.getByRole("link", { name: "admin", exact: true }).click();
                await page.getByText("It has none.").filter({ visible: true }).waitFor();
            }
            await shoot(page, `section-${section.toLowerCase()}`);
        }
        await page.getByRole("button", { name: "Check the files" }).click();
        await page.getByText("The files are right").waitFor();
        await page.getByRole("button", { name: "Reload…" }).click();
        await dialog(page).getByRole("button", { name: "Reload" }).click();
        await page.getByRole("heading", { name: "Generation 5 runs" }).waitFor();
        await closePage(page);
    });

    it("has no serious accessibility finding in any section, light or dark", async () => {
        for (const section of SECTIONS) {
            await page.getByRole("link", { name: section, exact: true }).click();
            await page.waitForFunction(() => !document.body.innerText.includes("Loading"));
            assert.deepEqual(await findings(page), [], section);
        }
        await page.getByRole("button", { name: "Use dark colours" }).click();
        for (const section of SECTIONS) {
            await page.getByRole("link", { name: section, exact: true }).click();
            assert.deepEqual(await findings(page), [], `${section}, dark`);
        }
        await closePage(page);
    });

    it("tests a route", async () => {
        await page.getByRole("link", { name: "Route tester" }).click();
        await page.getByRole("textbox", { name: "URL" }).fill("https://shop.example/api/v1/items");
        await page.getByLabel("Headers").fill("X-Test: yes\nAccept: text/html");
        await page.getByRole("button", { name: "Test", exact: true }).click();
        await page.getByText(/The request goes to api-\d of api_servers/).waitFor();
        const filters = page.locator(".tried.filters li");
        assert.equal(await filters.count(), 2);
        await filters.nth(0).getByText("changes fields of the request").waitFor();
        await filters.nth(1).getByText("not asked", { exact: true }).waitFor();
        const rules = page.locator(".tried:not(.filters) li");
        assert.equal(await rules.count(), 3);
        await rules.nth(0).getByText("host differs").waitFor();
        await rules.nth(1).getByText("wins").waitFor();
        await rules.nth(2).getByText("a longer prefix won").waitFor();
        await page.getByText("and 9,947 more").waitFor();
        const picked = page.locator("tr[data-picked]");
        await picked.getByText(/in flight over weight/).waitFor();
        await page.getByText("takes the lowest score").waitFor();
        await shoot(page, "section-tester");
        await page.getByRole("button", { name: "Use dark colours" }).click();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "section-tester-dark");
        await page.setViewportSize({ width: 400, height: 900 });
        assert.deepEqual(await findings(page), []);
        assert.ok(
            await page.evaluate(
                () => document.documentElement.scrollWidth <= document.documentElement.clientWidth,
            ),
            "the page is wider than the window",
        );
        await shoot(page, "section-tester-narrow", { fullPage: true });
        await closePage(page);
    });

    it("undoes from the journal, and says what stands against it", async () => {
        page.expectMistakes();
        for (const weight of ["3", "5"]) {
            await choose(page, "web-1", "Weight…");
            await dialog(page).getByLabel("Weight").fill(weight);
            await dialog(page).getByRole("button", { name: "Set weight" }).click();
            await notice(page, `has weight ${weight}`).waitFor();
        }
        await page.getByRole("link", { name: "Journal" }).click();
        await page.getByRole("button", { name: /^Undo 1:/ }).click();
        await notice(page, "undo that first").waitFor();
        await shoot(page, "section-journal");
        await page.getByRole("button", { name: /^Undo 2:/ }).click();
        await page.getByText("undid 2").waitFor();
    });

    it("says when the connection is lost, and comes back by itself", async () => {
        page.expectMistakes();
        const { port } = mock;
        await mock.close();
        await page.getByText("Connection lost").waitFor();
        await page.locator('#link-state[data-state="lost"]').waitFor();
        await shoot(page, "panel-lost");
        await mock.listen(port);
        await live(page);
        await notice(page, "numbers are live again").waitFor();
        assert.ok(await page.locator("#lost").isHidden());
    });
});

describe("control panel, other readers and sizes", () => {
    it("shows a viewer no control that writes", async () => {
        const mock = await new MockWeir().listen();
        const page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url, "viewer");
        await row(page, "web-1").waitFor();
        for (const name of [/^Drain/, /^More actions/, /^Add server/])
            assert.equal(await page.getByRole("button", { name }).count(), 0);
        assert.equal(await page.getByRole("link", { name: "Configuration" }).count(), 0);
        await closePage(page);
        await mock.close();
    });

    it("shows a pool's shadow beside what really happens, also on a narrow screen", async () => {
        const mock = await new MockWeir({
            pools: [{ ...SHOP[0], shadow: "ewma" }, ...SHOP.slice(1)],
        }).listen();
        const page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url);
        const part = page.getByRole("region", { name: "Shadow of pool web_servers" });
        await part.getByText("Shadow: ewma").waitFor();
        await part.getByText(/^Agrees with 25 % of 400 choices since .* 12(\.0)? ms .* 8(\.00)? ms/).waitFor();
        const first = part.locator("tr.row").filter({ hasText: "web-1" });
        assert.equal(await first.locator(".col-real-share").innerText(), "25 %");
        assert.equal(await first.locator(".col-shadow-share").innerText(), "100 %");
        assert.match(await first.locator(".col-predicted-wait").innerText(), /^16/);
        assert.equal(await page.getByRole("region", { name: "Shadow of pool api_servers" }).count(), 0);
        await shoot(page, "panel-shadow");
        assert.deepEqual(await findings(page), []);
        await page.setViewportSize({ width: 320, height: 740 });
        await part.scrollIntoViewIfNeeded();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
        await shoot(page, "panel-shadow-narrow");
        assert.deepEqual(await findings(page), []);
        await closePage(page);
        await mock.close();
    });

    it("fits a screen of 320 pixels", async () => {
        const mock = await new MockWeir().listen();
        const page = await openPage(browser, {
            origin: mock.url,
            width: 320,
            height: 740,
            colorScheme: "dark",
        });
        await logIn(page, mock.url);
        await row(page, "web-1").waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
        await shoot(page, "panel-narrow-dark", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        await page.getByRole("button", { name: "Drain web-1" }).click();
        await dialog(page).waitFor();
        await shoot(page, "panel-narrow-drain");
        await closePage(page);
        await mock.close();
    });

    it("has what can be done in sight on every width", async () => {
        const mock = await new MockWeir().listen();
        const page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url);
        const drain = page.getByRole("button", { name: "Drain web-1" });
        const more = page.getByRole("button", { name: "More actions for web-1" });
        for (const width of [320, 600, 768, 900, 960, 961, 1024, 1060, 1061, 1280]) {
            await page.setViewportSize({ width, height: 800 });
            await drain.waitFor();
            for (const button of [drain, more]) {
                const box = await button.boundingBox();
                assert.ok(box.x >= 0 && box.x + box.width <= width - 8, `${width}: at ${box.x}`);
            }
        }
        await closePage(page);
        await mock.close();
    });

    it("stays quick with 1,000 servers", async () => {
        const mock = await new MockWeir({
            pools: [{ name: "web_servers", servers: 1000, rate: 5 }, ...SHOP.slice(1)],
        }).listen();
        const page = await openPage(browser, { origin: mock.url });
        await logIn(page, mock.url);
        await row(page, "web-1").waitFor();
        await page.getByText("1 to 50 of 1000").waitFor();
        const started = Date.now();
        await page.getByRole("searchbox").fill("web-987");
        await row(page, "web-987").waitFor();
        assert.ok(Date.now() - started < 3000, `search took ${Date.now() - started} ms`);
        await shoot(page, "panel-1000");
        await closePage(page);
        await mock.close();
    });
});
