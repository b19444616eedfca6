// SPDX-License-Identifier: MIT
// Takes the pictures of docs/PLUGINS.md from a real weir under traffic, with a balancer of the tests
// that becomes slow. It takes four minutes, since charts want to be filled.
//
//   WEIR_BIN=weir WEIR_MODULE_DIR=modules/built node tests/browser/pictures.mjs [FOLDER]
//
// Without a folder they go to docs/img.

import fs from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { live, openPage, startBrowser } from "./lib/browser.mjs";
import { Weir } from "./lib/weir.mjs";

const OUT = process.argv[2] ?? path.resolve(fileURLToPath(import.meta.url), "../../../docs/img");
const SECONDS = 200;
const WIDTH = 1180;
const MARGIN = 8;

/** Two pools: one with balance_ewma as a shadow, one whose balancer is slow while the file `bad` is there. */
const twoPools = (text, folder) => {
    const servers = text.match(/ {2}server .*\n/g).join("");
    return `${text
        .replace('balance "least_conn" {}', 'balance "least_conn" {}\n  shadow "ewma" {}')
        .replace('sticky "cookie" { ttl = 1h }', "")
        .replace('route "/"', 'route "/api" { pool = "api_servers" }\n  route "/"')
        .replace('listener "public" {', 'listener "public" {\n  filter "headers" { response_set = {"X-Shop: {host}"} }')}
module "access_log" { path = "${folder}/access.log" }
module "balance_ewma" {}
module "balance_strikes" { strikes = 20 }
module "headers" {}
pool "api_servers" {
  balance "strikes" { at = pick_slow  file = "${folder}/bad" }
${servers}}
`;
};

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
/** One server, the first that is asked, takes four times as long. */
let slowPort = 0;
const answerAfter = (milliseconds) => (req, res) => {
    req.resume();
    slowPort ||= req.socket.localPort;
    const factor = req.socket.localPort === slowPort ? 4 : 1;
    setTimeout(() => res.end("ok\n"), factor * milliseconds * (0.5 + Math.random()));
};

const weir = await new Weir({
    extra: ["balance_strikes"],
    answer: answerAfter(4),
    change: twoPools,
}).start();
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const visit = (where) =>
    http
        .get({ agent, port: weir.ports.web, host: "127.0.0.1", path: where }, (answer) =>
            answer.resume(),
        )
        .on("error", () => {});
const traffic = setInterval(() => {
    visit("/");
    if (Math.random() < 0.4) visit("/api/items");
}, 8);
const browser = await startBrowser();
try {
    const page = await openPage(browser, { origin: weir.url, width: WIDTH, height: 1800 });
    await page.goto(`${weir.url}/login`);
    await page.getByRole("radio", { name: "Token" }).check();
    await page.locator("[name=token]").fill(await weir.token());
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(`${weir.url}/`);
    await live(page);
    /** From one element's top to another's end. */
    const shoot = async (name, from, to) => {
        const y = (await page.locator(from).boundingBox()).y - MARGIN;
        const end = await page.locator(to).last().boundingBox();
        const clip = { x: 0, y, width: WIDTH, height: end.y + end.height + MARGIN - y };
        await page.screenshot({ path: path.join(OUT, `${name}.png`), clip });
    };

    await page.goto(`${weir.url}/#modules/balance_ewma`);
    await pause(SECONDS);
    await page.getByRole("button", { name: "cost" }).click();
    await page.mouse.move(0, 0);
    await page.locator(":focus").blur();
    await shoot("plugin", ".module", ".module-part:has(#module-blocks)");

    await fs.writeFile(path.join(weir.folder, "bad"), "");
    await page.locator('.pending-line[data-tone="down"]').waitFor();
    await page.goto(`${weir.url}/`);
    const card = page.getByRole("region", { name: "Pool web_servers", exact: true });
    await card.getByText(/^Agrees with/).waitFor();
    await pause(6);
    await card.screenshot({ path: path.join(OUT, "shadow.png") });

    await page.goto(`${weir.url}/#modules`);
    await page.locator(".badge").filter({ hasText: "Out" }).waitFor();
    await pause(3);
    await shoot("plugins", "#pending", ".below");

    await page.goto(`${weir.url}/#modules/balance_strikes`);
    await page.locator(".alarms li").waitFor();
    await pause(3);
    await shoot("plugin-out", "#pending", ".module .charts");
} finally {
    clearInterval(traffic);
    agent.destroy();
    await browser.close();
    await weir.stop();
}
