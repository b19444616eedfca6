// SPDX-License-Identifier: MIT
// A browser that speaks HTTP/2 to a real weir, whose servers speak HTTP/1.1: many requests at once, uploads,
// requests that are given up, server-sent events, WebSockets; and the panel by HTTP/2.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { live, openPage, shoot, startBrowser } from "./lib/browser.mjs";
import { until, Weir } from "./lib/weir.mjs";

const skip = process.env.WEIR_BIN ? false : "WEIR_BIN is not set";
const MANY = 200;
const ROUNDS = 3;
const EVENTS = 20;
const UPLOAD = 1 << 20;

/** The one right body of a number: text of a length that differs from number to number. */
const bodyOf = (number) => `${number}: ${"x".repeat((number * 7919) % 70000)}`;

/** Answers each of what the page asks for; `given up` counts requests whose client left. */
class Site {
    constructor() {
        this.gone = 0;
        this.waiting = 0;
    }

    answer(req, res) {
        const { pathname, searchParams } = new URL(req.url, "http://site");
        if (pathname === "/body") res.end(bodyOf(Number(searchParams.get("n"))));
        else if (pathname === "/upload") this.receipt(req, res);
        else if (pathname === "/wait") this.wait(res);
        else if (pathname === "/events") this.events(res);
        else res.setHeader("Content-Type", "text/html").end("<!doctype html><title>Site</title>ok");
    }

    receipt(req, res) {
        const hash = createHash("sha256");
        let length = 0;
        req.on("data", (piece) => {
            hash.update(piece);
            length += piece.length;
        });
        req.on("end", () => res.end(JSON.stringify({ length, hash: hash.digest("hex") })));
    }

    /** Never answers; the client must leave. */
    wait(res) {
        this.waiting++;
        res.on("close", () => this.gone++);
    }

    events(res) {
        res.writeHead(200, { "Content-Type": "text/event-stream" });
        let next = 0;
        const timer = setInterval(() => res.write(`data: ${next++}\n\n`), 5);
        res.on("close", () => clearInterval(timer));
    }

    /** A WebSocket server that says each frame as it came, unmasked. */
    upgrade(req, socket) {
        const proof = createHash("sha1")
            .update(`${req.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
            .digest("base64");
        socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
                `Sec-WebSocket-Accept: ${proof}\r\n\r\n`,
        );
        let kept = Buffer.alloc(0);
        socket.on("error", () => {});
        socket.on("end", () => socket.end());
        socket.on("data", (data) => {
            kept = Buffer.concat([kept, data]);
            for (let frame; (frame = takeFrame(kept)); kept = frame.rest) socket.write(frame.echo);
        });
    }
}

/** The first whole frame, if there is one: its echo, and what is behind it. */
function takeFrame(data) {
    if (data.length < 2) return null;
    const short = data[1] & 0x7f;
    const head = short < 126 ? 2 : 4;
    if (short > 126 || data.length < head + 4) return null;
    const length = short < 126 ? short : data.readUInt16BE(2);
    const end = head + 4 + length;
    if (data.length < end) return null;
    const payload = Buffer.from(data.subarray(head + 4, end));
    for (let i = 0; i < length; i++) payload[i] ^= data[head + (i % 4)];
    const front = Buffer.from(data.subarray(0, head));
    front[1] &= 0x7f;
    return { echo: Buffer.concat([front, payload]), rest: data.subarray(end) };
}

describe("a browser that speaks HTTP/2", { skip }, () => {
    const site = new Site();
    let browser;
    let weir;
    let page;
    before(async () => {
        browser = await startBrowser();
        weir = await new Weir({
            tls: true,
            answer: (req, res) => site.answer(req, res),
            upgrade: (req, socket) => site.upgrade(req, socket),
        }).start();
        page = await openPage(browser, { origin: weir.site });
        await page.goto(`${weir.site}/`);
    });
    after(async () => {
        await page?.context().close();
        await weir?.stop();
        await browser?.close();
    });

    const main = async () => {
        const answer = await weir.api("/listeners");
        return answer.entries.find(({ name }) => name === "public");
    };

    it(`gets ${MANY} answers at once, over and over, on one connection`, async () => {
        const before = (await main()).http2.opened;
        for (let round = 0; round < ROUNDS; round++) {
            const bodies = await page.evaluate(
                (many) =>
                    Promise.all(
                        Array.from({ length: many }, async (_, n) =>
                            (await fetch(`/body?n=${n}`, { cache: "no-store" })).text(),
                        ),
                    ),
                MANY,
            );
            bodies.forEach((body, n) => assert.ok(body === bodyOf(n), `body ${n} is wrong`));
        }
        const spoken = await page.evaluate(() => [
            ...new Set(performance.getEntriesByType("resource").map((one) => one.nextHopProtocol)),
        ]);
        assert.deepEqual(spoken, ["h2"]);
        const listener = await main();
        assert.ok(listener.http2.opened - before <= 1, `${listener.http2.opened} connections`);
        assert.ok(listener.protocols["HTTP/2"] >= MANY * ROUNDS);
        assert.equal(listener.abusive, 0);
    });

    it("uploads, many at once", async () => {
        const sent = randomBytes(UPLOAD);
        const receipts = await page.evaluate(
            async ([text, many]) => {
                const data = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
                return Promise.all(
                    Array.from({ length: many }, async () =>
                        (await fetch("/upload", { method: "POST", body: data })).json(),
                    ),
                );
            },
            [sent.toString("base64"), 12],
        );
        const hash = createHash("sha256").update(sent).digest("hex");
        assert.equal(receipts.length, 12);
        for (const receipt of receipts) assert.deepEqual(receipt, { length: UPLOAD, hash });
    });

    it("gives up requests, which ends them at the server; others go on", async () => {
        const outcome = page.evaluate(async (many) => {
            const control = new AbortController();
            const waits = Array.from({ length: many }, () =>
                fetch("/wait", { signal: control.signal, cache: "no-store" }).then(
                    () => "answered",
                    (error) => error.name,
                ),
            );
            await new Promise((resolve) => (globalThis.giveUp = resolve));
            control.abort();
            return { waits: await Promise.all(waits), after: await (await fetch("/body?n=5")).text() };
        }, 30);
        await until(() => site.waiting === 30, "the requests to come to the server");
        await page.evaluate(() => globalThis.giveUp());
        const { waits, after: next } = await outcome;
        assert.deepEqual([...new Set(waits)], ["AbortError"]);
        assert.equal(next, bodyOf(5));
        await until(() => site.gone === 30, "the requests to end at the server");
        await until(async () => (await main()).http2.streams === 0, "the streams to end");
    });

    it("hears server-sent events beside other requests", async () => {
        const heard = await page.evaluate(
            (count) =>
                new Promise((resolve, reject) => {
                    const source = new EventSource("/events");
                    const numbers = [];
                    source.onerror = () => reject(new Error("the events broke"));
                    source.onmessage = async ({ data }) => {
                        numbers.push(Number(data));
                        if (numbers.length === 3) await fetch("/body?n=9");
                        if (numbers.length === count) {
                            source.close();
                            resolve(numbers);
                        }
                    };
                }),
            EVENTS,
        );
        assert.deepEqual(heard, Array.from({ length: EVENTS }, (_, i) => i));
    });

    it("talks by WebSocket on the same connection", async () => {
        const before = await main();
        const echoes = await page.evaluate(
            () =>
                new Promise((resolve, reject) => {
                    const socket = new WebSocket(`wss://${location.host}/socket`);
                    const sizes = [1, 125, 126, 5000, 60000];
                    const got = [];
                    socket.onerror = () => reject(new Error("the WebSocket broke"));
                    socket.onopen = () => socket.send("y".repeat(sizes[0]));
                    socket.onmessage = ({ data }) => {
                        got.push(data.length);
                        if (got.length < sizes.length) socket.send("y".repeat(sizes[got.length]));
                        else {
                            resolve(got);
                            socket.close();
                        }
                    };
                }),
        );
        assert.deepEqual(echoes, [1, 125, 126, 5000, 60000]);
        const now = await until(async () => {
            const listener = await main();
            return listener.requests > before.requests && listener;
        }, "the WebSocket's end");
        assert.equal(now.http2.opened, before.http2.opened, "no connection of its own");
        assert.equal(now.protocols["HTTP/1.1"] ?? 0, before.protocols["HTTP/1.1"] ?? 0);
    });

    it("shows the panel by HTTP/2, with what was spoken", async () => {
        const panel = await openPage(browser, { origin: weir.url });
        await panel.goto(`${weir.url}/login`);
        await panel.getByRole("radio", { name: "Token" }).check();
        await panel.locator("[name=token]").fill(await weir.token());
        await panel.getByRole("button", { name: "Log in" }).click();
        await panel.waitForURL(`${weir.url}/`);
        await live(panel);
        const spoken = await panel.evaluate(() => [
            ...new Set(performance.getEntriesByType("resource").map((one) => one.nextHopProtocol)),
        ]);
        assert.deepEqual(spoken, ["h2"]);
        await panel.getByRole("link", { name: "Listeners", exact: true }).click();
        await panel.getByRole("button", { name: "public", exact: true }).click();
        await panel.getByText("h2, http/1.1, http/1.0").first().waitFor();
        await panel.getByText(/^HTTP\/2: [\d,]+$/).waitFor();
        await shoot(panel, "weir-http2-listener");
        await panel.goto(`${weir.url}/traffic`);
        await live(panel);
        await page.evaluate(() => {
            globalThis.asking = setInterval(() => fetch("/body?n=1", { cache: "no-store" }), 50);
        });
        await panel.getByText("100 %").waitFor();
        await page.evaluate(() => clearInterval(globalThis.asking));
        await shoot(panel, "weir-http2-traffic");
        assert.deepEqual(panel.mistakes, []);
        await panel.context().close();
    });
});
