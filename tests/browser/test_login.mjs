// SPDX-License-Identifier: MIT
// The login page: each way in, refusals, and where it leads afterwards. Against the mock.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { closePage, findings, live, logIn, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { MockWeir } from "./mock/server.mjs";

// Chromium writes a refused request to the console by itself.
const refused = (text) => text.includes("status of 401");

describe("login", () => {
    let mock;
    let browser;
    before(async () => {
        mock = await new MockWeir().listen();
        browser = await startBrowser();
    });
    after(async () => {
        await browser?.close();
        await mock?.close();
    });

    it("asks who comes without a session, and returns to the page", async () => {
        const page = await openPage(browser, { origin: mock.url });
        await page.goto(`${mock.url}/traffic`);
        await page.waitForURL(/\/login/);
        await shoot(page, "login");
        assert.deepEqual(await findings(page), []);
        await page.goto(`${mock.url}/login?next=${encodeURIComponent("/traffic")}`);
        await page.getByLabel("Name", { exact: true }).fill("viewer");
        await page.getByLabel("Password", { exact: true }).fill("viewer");
        await page.keyboard.press("Enter");
        await page.waitForURL(`${mock.url}/traffic*`);
        await live(page);
        await closePage(page);
    });

    it("refuses a wrong password and says so", async () => {
        const page = await openPage(browser, { origin: mock.url, allow: refused });
        await page.goto(`${mock.url}/login`);
        await page.getByLabel("Name", { exact: true }).fill("admin");
        await page.getByLabel("Password", { exact: true }).fill("wrong");
        await page.getByRole("button", { name: "Log in" }).click();
        await page.getByRole("alert").filter({ hasText: "not right" }).waitFor();
        await closePage(page);
    });

    it("takes a token, and the one-time link of the first start", async () => {
        const page = await openPage(browser, { origin: mock.url });
        await page.goto(`${mock.url}/login`);
        await page.getByRole("radio", { name: "Token" }).check();
        await page
            .getByLabel("Token", { exact: true })
            .and(page.locator("[name=token]"))
            .fill("weir_admin");
        await page.getByRole("button", { name: "Log in" }).click();
        await page.waitForURL(`${mock.url}/`);
        await live(page);
        await page.getByRole("button", { name: "Log out" }).click();
        await page.waitForURL(/\/login/);
        await page.goto(`${mock.url}/login?link=one-time`);
        await page.waitForURL(`${mock.url}/`);
        await live(page);
        await closePage(page);
    });

    it("never leads to another site", async () => {
        const page = await openPage(browser, { origin: mock.url });
        for (const next of ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]) {
            await page.goto(`${mock.url}/login?next=${encodeURIComponent(next)}`);
            await page.getByLabel("Name", { exact: true }).fill("admin");
            await page.getByLabel("Password", { exact: true }).fill("admin");
            await page.keyboard.press("Enter");
            await page.waitForURL(`${mock.url}/`);
            await live(page);
        }
        await closePage(page);
    });

    it("is asked again when the session has ended", async () => {
        const page = await openPage(browser, {
            origin: mock.url,
            allow: (text) => refused(text) || text.includes("ERR_INCOMPLETE_CHUNKED"),
        });
        await logIn(page, mock.url);
        mock.expireSessions();
        await page.waitForURL(/\/login\?next=/);
        await page.getByText("The session has ended").waitFor();
        await closePage(page);
    });
});
