// SPDX-License-Identifier: MIT
// The login page: a name with its password, a token, or the one-time link that the first start
// prints (/login?link=...).

import { api } from "./api.js";
import { byId } from "./dom.js";

const form = byId("login");
const query = new URLSearchParams(location.search);

/** Where to go afterwards: a page of ours, never another site. */
function nextPage() {
    const wanted = new URL(query.get("next") ?? "/", location.origin);
    const ours = wanted.origin === location.origin && ["/", "/traffic"].includes(wanted.pathname);
    return ours ? wanted.pathname + wanted.hash : "/";
}

function showError(problem) {
    const text =
        problem.status === 401
            ? "That is not right; nothing was changed. Try again."
            : problem.status === 429
              ? `Too many tries. ${problem.message}.`
              : `${problem.message}.`;
    byId("error").textContent = text;
    byId("error").hidden = false;
}

async function logIn(credentials) {
    byId("error").hidden = true;
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
        await api.post("/session", credentials, { login: false });
        location.replace(nextPage());
    } catch (problem) {
        button.disabled = false;
        if (credentials.link)
            byId("reason").textContent =
                "This link was used already or is too old. Log in another way.";
        else showError(problem);
    }
}

function showWay() {
    const byToken = form.elements.way.value === "token";
    byId("by-token").hidden = !byToken;
    byId("by-password").hidden = byToken;
    form.elements[byToken ? "token" : "name"].focus();
}

byId("ways").addEventListener("change", showWay);
form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { way, token, name, password } = form.elements;
    logIn(
        way.value === "token"
            ? { token: token.value.trim() }
            : { name: name.value.trim(), password: password.value },
    );
});

if (query.has("next"))
    byId("reason").textContent = "The session has ended, or there was none. Log in to go on.";
if (query.has("link")) logIn({ link: query.get("link") });
