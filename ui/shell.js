/* What every page shares: colours, language, the line about the gallery. It runs before Gradio does. */
(() => {
  "use strict";
  if (window.retrievalShell) return;
  window.retrievalShell = true;

  const words = window.retrievalWords;

  // -- language -----------------------------------------------------------------------------------------------------

  // Gradio's own texts follow the browser's language; here they follow the page's.
  for (const [name, value] of [["language", words.language], ["languages", [words.language]]]) {
    Object.defineProperty(navigator, name, { configurable: true, get: () => value });
  }
  if (window.gradio_config) window.gradio_config.title = words.title;

  // A few of its labels are English in every language.
  const phrases = Object.entries(words.gradio);

  function translate(element) {
    for (const name of ["aria-label", "title"]) {
      const text = element.getAttribute(name);
      const known = text && phrases.find(([from]) => text === from || (from.endsWith(" ") && text.startsWith(from)));
      if (known) element.setAttribute(name, known[1] + text.slice(known[0].length));
    }
  }

  function translateGradio() {
    if (!phrases.length) return;
    const all = (root) => root.querySelectorAll("[aria-label], [title]").forEach(translate);
    const watch = { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label", "title"] };
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === "attributes") translate(change.target);
        else change.addedNodes.forEach((node) => node instanceof Element && (translate(node), all(node)));
      }
    }).observe(document.body, watch);
    all(document.body);
  }

  const home = () => new URL("./", document.baseURI).pathname;

  function chooseLanguage(code) {
    document.cookie = `language=${code}; path=${home()}; max-age=31536000; SameSite=Lax`;
    location.reload();
  }

  // -- colours ------------------------------------------------------------------------------------------------------

  const KEY = "retrieval-colours";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const colours = {
    // A word in the address counts for this view, a choice until it is taken back, and otherwise the system's.
    get wanted() {
      const named = new URL(location.href).searchParams.get("__theme");
      if (named === "dark" || named === "light") return named;
      return this.chosen ?? (system.matches ? "dark" : "light");
    },
    get chosen() {
      try {
        const kept = localStorage.getItem(KEY);
        return kept === "dark" || kept === "light" ? kept : null;
      } catch {
        return null;
      }
    },
    choose(name) {
      const isOwn = name === (system.matches ? "dark" : "light");
      try {
        if (isOwn) localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, name);
      } catch {
        // A browser that keeps nothing shows the choice on this page only.
      }
      const address = new URL(location.href);
      address.searchParams.delete("__theme");
      history.replaceState(null, "", address);
      this.apply();
    },
    apply() {
      const isDark = this.wanted === "dark";
      if (document.body.classList.contains("dark") !== isDark) document.body.classList.toggle("dark", isDark);
      document.documentElement.style.colorScheme = isDark ? "dark" : "light";
      const button = document.getElementById("colours");
      if (!button) return;
      const label = isDark ? words.toLight : words.toDark;
      button.setAttribute("aria-label", label);
      button.title = label;
    },
  };
  window.retrievalColours = colours;

  // -- the line about the gallery -----------------------------------------------------------------------------------

  let asked = 0;

  async function refreshState() {
    const mine = (asked += 1);
    try {
      const answer = await fetch(new URL("shell/state", document.baseURI), { headers: { Accept: "text/html" } });
      if (!answer.ok || mine !== asked) return;
      const html = await answer.text();
      const state = document.getElementById("state");
      // Nothing is read out, or drawn, that was there before.
      if (state && state.dataset.shown !== html) {
        state.innerHTML = html;
        state.dataset.shown = html;
      }
    } catch {
      // The server is gone for a moment: what was said stays.
    }
  }

  // -- start --------------------------------------------------------------------------------------------------------

  function start() {
    document.documentElement.lang = words.language;
    colours.apply();
    translateGradio();
    // Gradio sets the class by the system's colours, when it starts and whenever they change.
    new MutationObserver(() => colours.apply()).observe(document.body, { attributeFilter: ["class"] });
    system.addEventListener("change", () => colours.apply());
    document.getElementById("language")?.addEventListener("change", (event) => chooseLanguage(event.target.value));
    document.getElementById("colours")?.addEventListener("click", () => {
      colours.choose(colours.wanted === "dark" ? "light" : "dark");
    });
    document.addEventListener("retrieval:changed", refreshState);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") refreshState();
    });
    document.addEventListener("click", (event) => {
      if (event.target.closest?.('[data-action="reload"]')) location.reload();
    });
    const current = document.querySelector('.shell-pages [aria-current="page"]');
    current?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
