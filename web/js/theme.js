// SPDX-License-Identifier: MIT
// Sets light or dark before the first paint: what was chosen here, else what the system prefers.
// A classic script on purpose: a module would run after the page has been drawn.
(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const chosen = () => {
        try {
            return localStorage.getItem("weir-theme");
        } catch {
            return null;
        }
    };
    const apply = () => {
        document.documentElement.dataset.theme = chosen() ?? (system.matches ? "dark" : "light");
        document.dispatchEvent(new Event("weir-theme"));
    };
    system.addEventListener("change", apply);
    document.addEventListener("weir-theme-toggle", () => {
        const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
        try {
            localStorage.setItem("weir-theme", next);
        } catch {
            // Without storage the choice lasts as long as the page.
            document.documentElement.dataset.theme = next;
            document.dispatchEvent(new Event("weir-theme"));
            return;
        }
        apply();
    });
    apply();
})();
