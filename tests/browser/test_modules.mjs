// SPDX-License-Identifier: MIT
// Modules in the panel: what they cost, who is out and why, trying again; against the mock, and
// against a real weir with a balancer that is slow while a file is there.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { closePage, findings, live, logIn, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { Weir } from "./lib/weir.mjs";
import { MockWeir } from "./mock/server.mjs";

const skip = process.env.WEIR_BIN ? false : "WEIR_BIN is not set";

let browser;
before(async () => {
    browser = await startBrowser();
});
after(() => browser?.close());

const dialog = (page) => page.getByRole("dialog");
const notice = (page, text) => page.locator(".notice").filter({ hasText: text });
const alarmBar = (page) => page.locator('.pending-line[data-tone="down"]');
const row = (page, name) =>
    page.locator("tr.row").filter({ has: page.getByRole("link", { name, exact: true }) });
const figure = (page, label) =>
    page
        .locator('dl[aria-label="What it costs"] > div')
        .filter({ has: page.getByText(label, { exact: true }) })
        .locator("dd");
const standsAs = (page, name, word) =>
    row(page, name).locator(".badge").filter({ hasText: word }).waitFor();

async function moves(locator) {
    const earlier = await locator.innerText();
    await locator.page().waitForFunction(
        ([node, text]) => node.innerText !== text,
        [await locator.elementHandle(), earlier],
    );
}

async function openModules(page) {
    await page.getByRole("link", { name: "Modules", exact: true }).click();
    await page.getByText(/^\d+ loaded/).waitFor();
}

async function fits(page) {
    const [whole, window] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        document.documentElement.clientWidth,
    ]);
    assert.ok(whole <= window, `the page is ${whole} pixels wide in a window of ${window}`);
}

describe("modules in the panel", () => {
    let mock;
    let page;
    async function open({ modules, role = "operator", ...options } = {}) {
        mock = await new MockWeir({ modules }).listen();
        page = await openPage(browser, { origin: mock.url, ...options });
        await logIn(page, mock.url, role);
    }
    afterEach(async () => {
        await page?.context().close();
        await mock?.close();
    });

    it("lists what each costs, and the figures move", async () => {
        await open();
        await openModules(page);
        await standsAs(page, "route_path", "Active");
        await moves(row(page, "route_path").locator(".col-rate"));
        assert.match(await row(page, "route_path").locator(".col-p99").innerText(), /^[\d.]+ µs$/);
        await page.getByRole("searchbox").fill("sticky");
        await page.getByText("1 of 9 loaded").waitFor();
        assert.equal(await page.locator("tr.row").count(), 1);
        await page.getByRole("searchbox").fill("nothing has this");
        await page.getByText("No module has “nothing has this”").waitFor();
        assert.deepEqual(await findings(page), []);
        await closePage(page);
    });

    it("shows what is out in every section, and on its page why and what goes on", async () => {
        await open();
        mock.model.modules.out("headers", "failed");
        await alarmBar(page).getByText("Module headers is out (listener https filter 1)").waitFor();
        mock.model.modules.out("balance_round_robin");
        await alarmBar(page).getByText("2 modules are out").waitFor();
        await alarmBar(page).getByRole("link", { name: "Modules" }).click();
        await standsAs(page, "headers", "Out");
        await row(page, "headers").getByText("on_request failed").waitFor();
        await row(page, "headers").getByText("Its requests get 503").waitFor();
        await standsAs(page, "balance_round_robin", "Out");
        await standsAs(page, "route_path", "Active");
        await page.getByText("9 loaded, 2 out").waitFor();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "modules-out");
        await page.getByRole("link", { name: "balance_round_robin", exact: true }).click();
        await page.waitForFunction(() => document.title === "balance_round_robin · Modules · Weir");
        const alarm = page.locator(".alarms li");
        await alarm.getByText("pool web_servers balance 1 is out.").waitFor();
        await alarm.getByText("pick took 50.1 ms, more than its budget").waitFor();
        await alarm.getByText("Weir itself chooses the servers (least_conn)").waitFor();
        const block = page
            .getByRole("table", { name: "Blocks of the configuration that use it" })
            .locator("tr.row");
        await block.getByText("Out", { exact: true }).waitFor();
        await page.getByText("100 over budget").waitFor();
        await page.locator(".chart .legend b").filter({ hasText: /\d/ }).first().waitFor();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "module-out", { fullPage: true });
        await page.getByRole("button", { name: "Use dark colours" }).click();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "module-out-dark", { fullPage: true });
        await closePage(page);
    });

    it("tries again, after asking, and shows a refusal where it was asked", async () => {
        await open();
        page.expectMistakes();
        await openModules(page);
        mock.model.modules.out("balance_round_robin");
        await page.getByRole("button", { name: "Try again: balance_round_robin" }).click();
        await dialog(page).getByText("pool web_servers balance 1 uses it again").waitFor();
        await dialog(page).getByText("what they have learnt is gone").waitFor();
        mock.failNext("POST", "/api/v1/modules", 503, "Service Unavailable", "the store is full");
        await dialog(page).getByRole("button", { name: "Try again" }).click();
        await dialog(page).getByText("The store is full").waitFor();
        assert.deepEqual(await findings(page), []);
        await standsAs(page, "balance_round_robin", "Out");
        await dialog(page).getByRole("button", { name: "Try again" }).click();
        await notice(page, "balance_round_robin is tried again").waitFor();
        await standsAs(page, "balance_round_robin", "Active");
        await alarmBar(page).waitFor({ state: "detached" });
        assert.equal(mock.model.journal[0].command, "modules.retry");
        await page.getByRole("link", { name: "balance_round_robin", exact: true }).click();
        mock.model.modules.out("balance_round_robin", "no_server");
        await page.getByText("pick chose no server where one was usable").waitFor();
        await page.getByRole("button", { name: "Try again", exact: true }).click();
        await dialog(page).getByRole("button", { name: "Cancel" }).click();
        await page.locator(".alarms li").waitFor();
        await page.getByRole("button", { name: "Try again", exact: true }).click();
        await dialog(page).getByRole("button", { name: "Try again" }).click();
        await page.locator(".alarms li").waitFor({ state: "detached" });
        await page.getByRole("button", { name: "Try again", exact: true }).waitFor({ state: "hidden" });
    });

    it("says what is in quarantine and why, and lets an administrator release it", async () => {
        await open({ role: "admin" });
        await openModules(page);
        mock.model.modules.hold("balance_round_robin");
        await standsAs(page, "balance_round_robin", "In quarantine");
        await page.getByText("Weir has died in pick twice").waitFor();
        assert.equal(await page.getByRole("button", { name: /Try again/ }).count(), 0);
        await page.getByRole("link", { name: "balance_round_robin", exact: true }).click();
        await page.getByText(/since .*: SIGSEGV in pick, .*; stall in pick/).waitFor();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "module-quarantine", { fullPage: true });
        await page.getByRole("button", { name: "Release", exact: true }).click();
        await dialog(page).getByText("it is in quarantine again").waitFor();
        await dialog(page).getByRole("button", { name: "Release" }).click();
        await notice(page, "balance_round_robin is released").waitFor();
        assert.equal(mock.model.journal[0].command, "modules.release");
        await page.locator(".alarms li").waitFor({ state: "detached" });
        await page.getByRole("button", { name: "Release", exact: true }).waitFor({ state: "hidden" });
        await closePage(page);
    });

    it("shows both copies of a trial side by side, and ends it either way", async () => {
        await open();
        mock.model.modules.tryCopy("balance_round_robin");
        await page.goto(`${mock.url}/#modules/balance_round_robin`);
        const table = page.getByRole("table", { name: "What both copies do" });
        await table.getByText("on trial, version 0.3.0").first().waitFor();
        const tried = table.locator("tr.row").filter({ hasText: "on trial" }).first();
        for (const figure of ["100", "1.0 %", "44.0 ms"])
            await tried.getByText(figure, { exact: true }).first().waitFor();
        await page.getByText("version 0.3.0 has 5 % of the picks").waitFor();
        assert.deepEqual(await findings(page), []);
        await shoot(page, "module-trial", { fullPage: true });
        await page.getByRole("button", { name: "Promote", exact: true }).click();
        await dialog(page).getByText("version 0.3.0 takes the place of version 0.2.0").waitFor();
        await dialog(page).getByRole("button", { name: "Promote" }).click();
        await notice(page, "The new copy of balance_round_robin is in force").waitFor();
        await page.getByText("Promoted", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Promote", exact: true }).waitFor({ state: "hidden" });
        await table.waitFor({ state: "hidden" });
        await page.getByRole("button", { name: "Roll back", exact: true }).click();
        await dialog(page).getByRole("button", { name: "Roll back" }).click();
        await page.getByText("Rolled back", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Roll back", exact: true }).waitFor({ state: "hidden" });
        assert.deepEqual(
            mock.model.journal.slice(0, 2).map(({ command }) => command),
            ["modules.rollback", "modules.promote"],
        );
        await closePage(page);
    });

    it("leaves a release to administrators", async () => {
        await open();
        await openModules(page);
        mock.model.modules.hold("balance_round_robin");
        await standsAs(page, "balance_round_robin", "In quarantine");
        assert.equal(await page.getByRole("button", { name: /Release|Try again/ }).count(), 0);
        await closePage(page);
    });

    it("gives a viewer no button", async () => {
        await open({ role: "viewer" });
        await openModules(page);
        mock.model.modules.out("balance_round_robin");
        await standsAs(page, "balance_round_robin", "Out");
        assert.equal(await page.getByRole("button", { name: /Try again/ }).count(), 0);
        await page.getByRole("link", { name: "balance_round_robin", exact: true }).click();
        await page.locator(".alarms li").waitFor();
        assert.equal(await page.getByRole("button", { name: /Try again/ }).count(), 0);
        await closePage(page);
    });

    it("goes to a module and back by keyboard and by address", async () => {
        await open();
        await openModules(page);
        await page.getByRole("link", { name: "sticky_cookie", exact: true }).press("Enter");
        await page.locator("h2:focus").filter({ hasText: "sticky_cookie" }).waitFor();
        await moves(figure(page, "Calls"));
        await page.getByRole("button", { name: "lookup" }).press("Enter");
        await page.getByText("Worker 0").waitFor();
        await page.getByText("Control", { exact: true }).waitFor();
        const chart = page.getByRole("img", { name: "Time per request of Weir" });
        await chart.press("ArrowLeft");
        await page
            .locator("[aria-live]")
            .filter({ hasText: /sticky_cookie [\d.]+ µs/ })
            .waitFor({ state: "attached" });
        await page.getByRole("button", { name: "Calls as a table" }).press("Enter");
        await page.getByRole("region", { name: "Calls, as a table" }).getByRole("row").nth(3).waitFor();
        await page.goBack();
        await page.locator("a:focus").filter({ hasText: "sticky_cookie" }).waitFor();
        page.expectMistakes();
        await page.goto(`${mock.url}/#modules/nobody`);
        await page.getByText('There is no module "nobody"').waitFor();
        await page.getByRole("link", { name: "All modules" }).click();
        await standsAs(page, "sticky_cookie", "Active");
    });

    it("shows both copies while one drains", async () => {
        await open();
        mock.model.modules.exchange("sticky_cookie");
        await page.goto(`${mock.url}/#modules/sticky_cookie`);
        const copies = page.getByRole("table", { name: "Copies" });
        await copies.getByText("Draining").waitFor();
        assert.equal(await copies.locator("tr.row").count(), 2);
        await closePage(page);
    });

    it("says when nothing can be asked, and goes on by itself", async () => {
        await open();
        page.expectMistakes();
        await page.goto(`${mock.url}/#modules/route_path`);
        await moves(figure(page, "Calls"));
        const { port } = mock;
        await mock.close();
        await page.getByText("Weir cannot be reached").waitFor();
        await mock.listen(port);
        await live(page);
        await page.getByText("Weir cannot be reached").waitFor({ state: "hidden" });
        await moves(figure(page, "Calls"));
    });

    it("has room for many modules with long names, on every width", async () => {
        await open({ modules: 50 });
        await openModules(page);
        await page.getByText("59 loaded").waitFor();
        const name = "balance_of_a_team_that_likes_names_which_say_everything_7";
        mock.model.modules.out(name, "wrong_answer");
        const button = page.getByRole("button", { name: `Try again: ${name}` });
        for (const width of [360, 600, 960, 961, 1100, 1440, 2000]) {
            await page.setViewportSize({ width, height: 800 });
            await fits(page);
            const box = await button.boundingBox();
            assert.ok(box.x >= 0 && box.x + box.width <= width - 8, `${width}: at ${box.x}`);
        }
        assert.deepEqual(await findings(page), []);
        await shoot(page, "modules-many");
        await page.getByRole("link", { name, exact: true }).click();
        await page.locator(".alarms li").waitFor();
        for (const width of [360, 960, 1440]) {
            await page.setViewportSize({ width, height: 800 });
            await fits(page);
        }
        await page.setViewportSize({ width: 360, height: 800 });
        assert.deepEqual(await findings(page), []);
        await shoot(page, "module-narrow", { fullPage: true });
        await closePage(page);
    });
});

describe("modules of a real weir", { skip }, () => {
    let weir;
    let page;
    let bad;
    beforeEach(async () => {
        weir = await new Weir({
            extra: ["balance_strikes"],
            change: (text, folder) =>
                `${text}\nmodule "balance_strikes" { strikes = 5 }\n`.replace(
                    'balance "least_conn" {}',
                    `balance "strikes" { at = pick_slow  file = "${folder}/bad" }`,
                ),
        }).start();
        bad = path.join(weir.folder, "bad");
        page = await openPage(browser, { origin: weir.url });
        await page.goto(`${weir.url}/login`);
        await page.getByRole("radio", { name: "Token" }).check();
        await page.locator("[name=token]").fill(await weir.token());
        await page.getByRole("button", { name: "Log in" }).click();
        await page.waitForURL(`${weir.url}/`);
        await live(page);
    });
    afterEach(async () => {
        await page?.context().close();
        await weir?.stop();
    });

    it("turns red when a balancer is slow, and the button brings it back", async () => {
        await openModules(page);
        await standsAs(page, "balance_strikes", "Active");
        await row(page, "balance_strikes").locator(".col-rate", { hasText: /[1-9]/ }).waitFor();
        await fs.writeFile(bad, "");
        await standsAs(page, "balance_strikes", "Out");
        await alarmBar(page).getByText("Module balance_strikes is out").waitFor();
        await row(page, "balance_strikes").getByText("Weir itself chooses the servers").waitFor();
        assert.deepEqual(await findings(page), []);
        await alarmBar(page).getByRole("link").click();
        await page.locator(".alarms li").getByText(/pick took [\d.]+ ms, more than its budget/).waitFor();
        await page.getByText(/\d+ over budget/).first().waitFor();
        await shoot(page, "weir-module-out", { fullPage: true });
        assert.deepEqual(await findings(page), []);
        await fs.rm(bad);
        await page.getByRole("button", { name: "Try again", exact: true }).click();
        await dialog(page).getByRole("button", { name: "Try again" }).click();
        await page.locator(".module-head .badge").filter({ hasText: "Active" }).waitFor();
        await alarmBar(page).waitFor({ state: "detached" });
        const calls = page.getByRole("table", { name: "Hooks" }).locator("tr.row", { hasText: "pick" });
        await moves(calls.locator(".col-calls"));
        const { entries } = await weir.api("/journal");
        assert.equal(entries[0].command, "modules.retry");
        await closePage(page);
    });

    it("shows the time per request of what routes and chooses", async () => {
        await page.goto(`${weir.url}/#modules/route_path`);
        await figure(page, "Time per request").filter({ hasText: /[1-9].* [µm]s/ }).waitFor();
        await figure(page, "Share of CPU").filter({ hasText: /[1-9].*%/ }).waitFor();
        await page.locator(".chart .legend b").filter({ hasText: /[1-9]/ }).nth(1).waitFor();
        const blocks = page.getByRole("table", { name: "Blocks of the configuration that use it" });
        await blocks.getByText("its own block").waitFor();
        await blocks.getByText("its requests get 503").waitFor();
        await shoot(page, "weir-module");
        assert.deepEqual(await findings(page), []);
        await closePage(page);
    });
});
