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

  // -- the jobs ------------------------------------------------------------------------------------------------------

  const OFTEN = 2000;
  const RARELY = 30000;
  let looking = 0;
  let nextLook = 0;

  async function refreshJobs() {
    const mine = (looking += 1);
    clearTimeout(nextLook);
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(new URL("shell/jobs", document.baseURI), { headers: { Accept: "text/html" } });
        if (mine !== looking) return;
        if (answer.ok) showJobs(await answer.text());
      } catch {
        // The server is gone for a moment: what was said stays.
      }
      refreshView();
    }
    if (mine === looking) lookAgain();
  }

  function lookAgain() {
    clearTimeout(nextLook);
    nextLook = setTimeout(refreshJobs, document.querySelector(".jobs-now[data-busy]") ? OFTEN : RARELY);
  }

  function showJobs(html) {
    const jobs = document.getElementById("jobs");
    const before = jobs.querySelector(".jobs-now");
    const now = document.createRange().createContextualFragment(html).querySelector(".jobs-now");
    if (!now) return;
    if (before && before.dataset.key === now.dataset.key) {
      // Only numbers are new: whoever has a button of it focused keeps it.
      for (const slot of now.querySelectorAll("[data-slot]")) showSlot(before, slot);
      return;
    }
    const held = jobs.contains(document.activeElement);
    jobs.replaceChildren(now);
    if (held) (jobs.querySelector("a, button") ?? document.getElementById("page"))?.focus();
    const known = before?.dataset.said.split("|") ?? [];
    const news = now.dataset.said.split("|").filter((line) => line && !known.includes(line));
    if (news.length) document.getElementById("jobs-said").textContent = news.join(" ");
    if (before?.dataset.busy) document.dispatchEvent(new CustomEvent("retrieval:changed", { detail: "job" }));
  }

  function showSlot(before, slot) {
    const old = before.querySelector(`[data-slot="${slot.dataset.slot}"]`);
    if (!old) return;
    if (slot.localName !== "progress") {
      if (old.textContent !== slot.textContent) old.textContent = slot.textContent;
    } else if (slot.hasAttribute("value")) {
      old.max = slot.max;
      old.value = slot.value;
    } else {
      old.removeAttribute("value");
    }
  }

  // One job above the content, where the address names it.
  const viewed = () => new URL(location.href).searchParams.get("job");

  async function refreshView() {
    const place = document.getElementById("job-view");
    const number = viewed();
    if (!place?.firstElementChild || !number) return;
    try {
      const address = new URL(`shell/job?job=${encodeURIComponent(number)}`, document.baseURI);
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (answer.ok && number === viewed()) showView(place, await answer.text());
    } catch {
      // The server is gone for a moment: what was said stays.
    }
  }

  function showView(place, html) {
    const now = document.createRange().createContextualFragment(html).firstElementChild;
    const before = place.firstElementChild;
    if (!now || !before) return;
    const parts = (view) => [...view.querySelectorAll("details")].map((one) => one.dataset.part).join();
    if (before.dataset.key === now.dataset.key && parts(before) === parts(now)) {
      for (const slot of now.querySelectorAll("[data-slot]")) showSlot(before, slot);
      return;
    }
    const held = place.contains(document.activeElement);
    for (const one of before.querySelectorAll("details[open]")) {
      now.querySelector(`details[data-part="${one.dataset.part}"]`)?.setAttribute("open", "");
    }
    place.replaceChildren(now);
    if (held) (now.querySelector("button") ?? document.getElementById("page"))?.focus();
  }

  function hideView() {
    const address = new URL(location.href);
    address.searchParams.delete("job");
    history.replaceState(null, "", address);
    document.getElementById("job-view").replaceChildren();
    document.getElementById("page")?.focus();
  }

  async function resumeJob(button) {
    button.disabled = true;
    const address = new URL(location.href);
    try {
      const answer = await fetch(new URL(`shell/jobs/${button.dataset.jobResume}/resume`, document.baseURI), {
        method: "POST",
      });
      if (!answer.ok) throw new Error();
      address.searchParams.set("job", (await answer.json()).id);
      history.replaceState(null, "", address);
    } catch {
      button.disabled = false;
      const view = button.closest(".job-view");
      if (view) view.querySelector("[data-told]").textContent = view.dataset.failed;
    }
    refreshJobs();
  }

  async function cancelJob(button) {
    button.disabled = true;
    try {
      await fetch(new URL(`shell/jobs/${button.dataset.jobCancel}/cancel`, document.baseURI), { method: "POST" });
    } catch {
      button.disabled = false;
    }
    refreshJobs();
  }

  function closeJob(button) {
    document.cookie = `job=${button.dataset.jobSeen}; path=${home()}; max-age=31536000; SameSite=Lax`;
    refreshJobs();
  }

  // Work that a page shows and the strip does not was begun there a moment ago.
  let shownWork = "";

  function lookForWork() {
    const numbers = [...document.querySelectorAll("[data-work]")].map((one) => one.dataset.work);
    if (numbers.join() === shownWork) return;
    shownWork = numbers.join();
    const known = (document.querySelector(".jobs-now")?.dataset.key ?? "").split(" ");
    if (numbers.some((number) => !known.some((key) => key.startsWith(`${number}-`)))) refreshJobs();
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
    document.addEventListener("retrieval:jobs", refreshJobs);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      refreshState();
      refreshJobs();
    });
    document.getElementById("jobs")?.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.jobCancel) cancelJob(button);
      else if (button?.dataset.jobSeen) closeJob(button);
    });
    document.getElementById("job-view")?.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.jobCancel) cancelJob(button);
      else if (button?.dataset.jobResume) resumeJob(button);
      else if (button && "jobHide" in button.dataset) hideView();
    });
    if (document.querySelector(".jobs-now")) lookAgain();
    new MutationObserver(lookForWork).observe(document.body, {
      subtree: true,
      childList: true,
      attributeFilter: ["data-work"],
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
