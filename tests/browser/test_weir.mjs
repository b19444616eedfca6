// SPDX-License-Identifier: MIT
// The pages against a real weir with backends that die and return: what an operator does in a day.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { closePage, findings, live, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { Backend, Weir } from "./lib/weir.mjs";

// Without a build there is nothing to test; tests/run always gives one.
const skip = process.env.WEIR_BIN ? false : "WEIR_BIN is not set";

describe("pages of a real weir", { skip }, () => {
    let browser;
    let weir;
    let page;
    before(async () => {
        browser = await startBrowser();
    });
    after(() => browser?.close());
    beforeEach(async () => {
        weir = await new Weir().start();
        page = await openPage(browser, { origin: weir.url });
        await logIn();
    });
    afterEach(async () => {
        await page?.context().close();
        await weir?.stop();
    });

    async function logIn() {
        await page.goto(`${weir.url}/login`);
        await page.getByRole("radio", { name: "Token" }).check();
        await page.locator("[name=token]").fill(await weir.token());
        await page.getByRole("button", { name: "Log in" }).click();
        await page.waitForURL(`${weir.url}/`);
        await live(page);
    }

    const row = (id) =>
        page.locator("tr.row").filter({
            has: page.getByRole("button", { name: id, exact: true }),
        });
    const dialog = () => page.getByRole("dialog");
    const notice = (text) => page.locator(".notice").filter({ hasText: text });
    const badge = (id, text) => row(id).locator(".badge").filter({ hasText: text }).waitFor();

    async function choose(id, action) {
        await page.getByRole("button", { name: `More actions for ${id}` }).click();
        await page.getByRole("menuitem", { name: action }).click();
        await dialog().waitFor();
    }

    it("shows numbers that move, and every section without a mistake", async () => {
        await badge("web-1", "Up");
        const cell = await row("web-1").locator(".col-requests").elementHandle();
        const earlier = await cell.innerText();
        await page.waitForFunction(([node, text]) => node.innerText !== text, [cell, earlier]);
        await shoot(page, "weir-panel");
        assert.deepEqual(await findings(page), []);
        const expected = {
            Routes: "web_servers",
            Listeners: "public",
            Journal: "Nothing has been changed",
            Modules: "balance_least_conn",
            Certificates: "No listener uses TLS",
            Configuration: "state_dir",
        };
        for (const [section, text] of Object.entries(expected)) {
            await page.getByRole("link", { name: section, exact: true }).click();
            await page.getByText(text).first().waitFor();
            assert.deepEqual(await findings(page), [], section);
            await shoot(page, `weir-${section.toLowerCase()}`);
        }
        await closePage(page);
    });

    it("adds a server, which serves, and removes it; undo brings it back", async () => {
        const backend = await new Backend().start();
        await page.getByRole("button", { name: "Add server to web_servers" }).click();
        await dialog().getByLabel("URL").fill(backend.url);
        await dialog().getByLabel("Name").fill("extra");
        await dialog().getByRole("button", { name: "Add server" }).click();
        await badge("extra", "Up");
        await page.waitForFunction(() =>
            [...document.querySelectorAll("tr.row")].some(
                (node) =>
                    node.querySelector(".open-row").innerText === "extra" &&
                    Number(node.querySelector(".col-requests").innerText) > 0,
            ),
        );
        await choose("extra", "Remove…");
        await dialog()
            .getByRole("radio", { name: /At once/ })
            .check();
        await dialog().getByRole("button", { name: "Remove" }).click();
        await row("extra").waitFor({ state: "detached" });
        await notice("extra is removed").getByRole("button", { name: "Undo" }).click();
        await badge("extra", "Up");
        await closePage(page);
        await backend.stop();
    });

    it("drains, weighs and keeps what was changed over a crash", async () => {
        await page.getByRole("button", { name: "Drain web-2" }).click();
        await dialog().getByText("New requests go to web-1, web-3").waitFor();
        await dialog().getByRole("button", { name: "Drain" }).click();
        await badge("web-2", "Draining");
        await choose("web-1", "Weight…");
        await dialog().getByLabel("Weight").fill("3");
        await dialog().getByRole("button", { name: "Set weight" }).click();
        await row("web-1").getByText("differs: weight").waitFor();
        await shoot(page, "weir-changed");
        page.expectMistakes();
        await weir.end("SIGKILL");
        await page.getByText("Connection lost").waitFor();
        await shoot(page, "weir-lost");
        await weir.run();
        // A restart ends sessions: the page asks for a login by itself.
        await page.waitForURL(/\/login\?next=/);
        await logIn();
        await badge("web-2", "Draining");
        await row("web-1").getByText("differs: weight").waitFor();
        await page.getByRole("link", { name: "Journal" }).click();
        await page.getByRole("button", { name: /^Undo 1:/ }).click();
        await page.getByText("undid 1").waitFor();
        await shoot(page, "weir-journal-undone");
    });

    it("keeps a change that takes itself back only when told to", async () => {
        await choose("web-1", "Maintenance…");
        await dialog()
            .getByLabel(/Take it back by itself/)
            .check();
        await dialog().getByRole("button", { name: "Start maintenance" }).click();
        await badge("web-1", "Maintenance");
        const bar = page.locator(".pending-line");
        await bar.getByText(/takes itself back in \d+ s/).waitFor();
        await bar.getByRole("button", { name: "Take back now" }).click();
        await badge("web-1", "Up");
        await bar.waitFor({ state: "detached" });
        await closePage(page);
    });

    it("tells where a request would go", async () => {
        await badge("web-1", "Up");
        await page.getByRole("link", { name: "Route tester" }).click();
        await page.getByRole("textbox", { name: "URL" }).fill("http://shop.example/items");
        await page.getByRole("button", { name: "Test", exact: true }).click();
        await page.getByText(/The request goes to web-\d of web_servers/).waitFor();
        await page.locator(".tried li", { hasText: "the longest prefix" }).waitFor();
        const candidates = page.locator(".tester tbody tr");
        assert.equal(await candidates.getByText(/\d in flight over weight 1/).count(), 3);
        assert.deepEqual(await findings(page), []);
        await shoot(page, "weir-tester");
        await closePage(page);
    });

    it("stays live over a reload of the configuration", async () => {
        await page.getByRole("link", { name: "Configuration" }).click();
        await page.getByRole("button", { name: "Reload…" }).click();
        await dialog().getByRole("button", { name: "Reload" }).click();
        await page.getByRole("heading", { name: "Generation 2 runs" }).waitFor();
        await page.getByText("generation 2").last().waitFor();
        const figure = page.locator("#figures dd").last();
        const earlier = await figure.innerText();
        await page.waitForFunction(
            ([node, text]) => node.innerText !== text,
            [await figure.elementHandle(), earlier],
        );
        await live(page);
        assert.deepEqual(
            page.mistakes.filter((text) => !text.includes("ERR_INCOMPLETE_CHUNKED")),
            [],
        );
    });

    it("draws bars that follow a server that dies and returns", async () => {
        await page.goto(`${weir.url}/traffic`);
        const bar = (state) =>
            page
                .getByRole("button", { name: /^web-3 / })
                .and(page.locator(`[data-state="${state}"]`))
                .waitFor();
        await bar("up");
        await page.locator(".legend b").filter({ hasText: /\d/ }).first().waitFor();
        await weir.backends[2].stop();
        await bar("down");
        await page.getByRole("button", { name: /^web-3 Down/ }).waitFor();
        await shoot(page, "weir-traffic-down", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        await weir.backends[2].start();
        await bar("up");
        await shoot(page, "weir-traffic", { fullPage: true });
        await closePage(page);
    });
});

describe("a shadow of a real weir", { skip }, () => {
    it("agrees with its like, and is counted while the page is open", async () => {
        const browser = await startBrowser();
        const weir = await new Weir({
            change: (text) =>
                text
                    .replace('balance "least_conn" {}', 'balance "least_conn" {}\n  shadow "least_conn" {}')
                    .replace('sticky "cookie" { ttl = 1h }', ""),
        }).start();
        const page = await openPage(browser, { origin: weir.url });
        await page.goto(`${weir.url}/login`);
        await page.getByRole("radio", { name: "Token" }).check();
        await page.locator("[name=token]").fill(await weir.token());
        await page.getByRole("button", { name: "Log in" }).click();
        await page.waitForURL(`${weir.url}/`);
        await live(page);
        const part = page.getByRole("region", { name: "Shadow of pool web_servers" });
        await part.getByText(/^Agrees with \d+ % of [1-9]/).waitFor();
        await part
            .locator("tr.row", { hasText: "web-2" })
            .locator(".col-shadow-share", { hasText: /[1-9]/ })
            .waitFor();
        assert.deepEqual(await findings(page), []);
        await closePage(page);
        await weir.stop();
        await browser.close();
    });
});
