// SPDX-License-Identifier: MIT
// A real weir with backends of its own, for the tests of the pages: $WEIR_BIN with the modules of
// $WEIR_MODULE_DIR and the pages of this checkout.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const WEB = path.resolve(fileURLToPath(import.meta.url), "../../../../web");
const START_MS = 20000;

async function freePort() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

/** Waits until check() gives something true; errors count as not yet. */
export async function until(check, what, milliseconds = START_MS) {
    const deadline = Date.now() + milliseconds;
    let last;
    while (Date.now() < deadline) {
        try {
            const value = await check();
            if (value) return value;
        } catch (error) {
            last = error;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${what}: not within ${milliseconds} ms${last ? ` (${last.message})` : ""}`);
}

const sayOk = (req, res) => {
    req.resume();
    res.end("ok\n");
};

/** A backend: answers "ok", or as it is told; can be taken down and brought back on its port. */
export class Backend {
    constructor({ answer = sayOk, upgrade } = {}) {
        this.answer = answer;
        this.upgrade = upgrade;
    }

    async start(port = 0) {
        this.server = http.createServer(this.answer);
        if (this.upgrade) this.server.on("upgrade", this.upgrade);
        await new Promise((resolve, reject) =>
            this.server.once("error", reject).listen(port || this.port || 0, "127.0.0.1", resolve),
        );
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}`;
        return this;
    }

    async stop() {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

const configuration = ({
    folder,
    modules,
    web,
    admin,
    backends,
    tls,
}) => `
state_dir = "${folder}/state"
module_dir = "${modules}"
module "admin" {}
module "balance_least_conn" {}
module "health_http" {}
module "route_path" { route "/" { pool = "web_servers" } }
module "sticky_cookie" {}
module "store_sqlite" {}
listener "public" { bind = {"127.0.0.1:${web}"} ${tls} }
listener "admin" {
  bind = {"127.0.0.1:${admin}"}
  ${tls}
  handler "admin" { web_dir = "${WEB}" }
}
pool "web_servers" {
  balance "least_conn" {}
  sticky "cookie" { ttl = 1h }
  health "http" { path = "/health"  interval = 300ms  timeout = 200ms  rise = 1  fall = 2 }
${backends.map(({ url }, i) => `  server "web-${i + 1}" { url = "${url}" }`).join("\n")}
}
`;

/** A certificate for localhost that only who ignores who signed it takes. */
function certificate(folder) {
    const [key, chain] = ["key", "crt"].map((end) => path.join(folder, `localhost.${end}`));
    execFileSync(
        "openssl",
        [
            ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
            ...["-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", chain],
            ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        ],
        { stdio: "ignore" },
    );
    return `tls { certificate "localhost" { chain = "${chain}"  key = "${key}" } }`;
}

/** GET of a URL whose certificate nobody vouches for. */
const get = (url, options = {}) =>
    new Promise((resolve, reject) => {
        const { get: ask } = url.startsWith("https:") ? https : http;
        ask(url, { rejectUnauthorized: false, agent: false, ...options }, (answer) => {
            let text = "";
            answer.on("data", (piece) => (text += piece));
            answer.on("end", () => resolve({ status: answer.statusCode, text }));
        }).on("error", reject);
    });

/**
 * `tls`: both listeners have it. `answer` and `upgrade` are what the backends do; without them, they say
 * "ok" and are visited all the time. `change` makes another configuration of the usual one; `extra` names
 * modules of the tests that it may have, beside the built ones.
 */
export class Weir {
    constructor({ tls = false, answer, upgrade, change = (text) => text, extra = [] } = {}) {
        this.tls = tls;
        this.change = change;
        this.extra = extra;
        this.answers = { answer, upgrade };
    }

    async start() {
        this.folder = await fs.mkdtemp(path.join(os.tmpdir(), "weir-browser-"));
        await fs.mkdir(path.join(this.folder, "state"));
        this.backends = [
            await new Backend(this.answers).start(),
            await new Backend(this.answers).start(),
            await new Backend(this.answers).start(),
        ];
        this.ports = { web: await freePort(), admin: await freePort() };
        const scheme = this.tls ? "https" : "http";
        this.url = `${scheme}://127.0.0.1:${this.ports.admin}`;
        this.site = `${scheme}://127.0.0.1:${this.ports.web}`;
        this.configFile = path.join(this.folder, "weir.conf");
        await fs.writeFile(
            this.configFile,
            this.change(
                configuration({
                    ...this.ports,
                    folder: this.folder,
                    modules: await this.modules(),
                    backends: this.backends,
                    tls: this.tls ? certificate(this.folder) : "",
                }),
                this.folder,
            ),
        );
        await this.run();
        if (!this.answers.answer) this.traffic = setInterval(() => this.visit(), 30);
        return this;
    }

    /** The folder of modules: the build's own, or one with the tests' modules as well. */
    async modules() {
        const built = path.resolve(process.env.WEIR_MODULE_DIR);
        if (this.extra.length === 0) return built;
        const tests = path.resolve(built, "../../tests/modules/built");
        const folder = path.join(this.folder, "modules");
        await fs.mkdir(folder);
        for (const name of await fs.readdir(built))
            await fs.symlink(path.join(built, name), path.join(folder, name));
        for (const name of this.extra)
            await fs.symlink(path.join(tests, `${name}.so`), path.join(folder, `${name}.so`));
        return folder;
    }

    async run() {
        const log = await fs.open(path.join(this.folder, "weir.log"), "a");
        this.process = spawn(process.env.WEIR_BIN, ["-c", this.configFile], {
            stdio: ["ignore", log.fd, log.fd],
        });
        await log.close();
        this.ended = new Promise((resolve) => this.process.once("exit", resolve));
        await until(
            async () => (await get(`${this.url}/login`)).status === 200,
            "weir's start",
        ).catch(async (error) => {
            throw new Error(`${error.message}\n${await this.log()}`);
        });
    }

    log() {
        return fs.readFile(path.join(this.folder, "weir.log"), "utf8");
    }

    /** The admin token that the first start writes. */
    async token() {
        return (await fs.readFile(path.join(this.folder, "state", "admin.token"), "utf8")).trim();
    }

    /** What the API says to the administrator. */
    async api(target) {
        const headers = { Authorization: `Bearer ${await this.token()}` };
        return JSON.parse((await get(`${this.url}/api/v1${target}`, { headers })).text);
    }

    visit() {
        http.get({ port: this.ports.web, host: "127.0.0.1", agent: false }, (answer) =>
            answer.resume(),
        ).on("error", () => {});
    }

    async end(signal = "SIGKILL") {
        this.process.kill(signal);
        await this.ended;
    }

    async stop() {
        clearInterval(this.traffic);
        await this.end("SIGINT");
        await Promise.all(this.backends.map((backend) => backend.stop()));
        await fs.rm(this.folder, { recursive: true, force: true });
    }
}
