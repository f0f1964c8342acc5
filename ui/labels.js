/* The Labels page: selecting, the keyboard, and telling the server what a person wants. No markup is made from data here. */
(() => {
  "use strict";
  if (window.retrievalLabels) return;
  window.retrievalLabels = true;

  const view = () => document.querySelector("#labels-view .labels-page");
  const head = () => document.querySelector("#labels-head .labels-head");
  const all = (selector) => [...(view()?.querySelectorAll(selector) ?? [])];
  const look = () => JSON.parse(view()?.dataset.look ?? "{}");
  const recent = () => JSON.parse(document.getElementById("label-names")?.dataset.recent ?? "[]");

  // -- asking -------------------------------------------------------------------------------------------------------

  let count = 0;
  let wanted = null;
  const waiting = new Map();

  function send(kind, detail, after) {
    const stamp = `${Date.now().toString(36)}-${(count += 1)}`;
    if (after) waiting.set(stamp, after);
    if (kind === "look") wanted = detail;
    view()?.setAttribute("aria-busy", "true");
    document.dispatchEvent(new CustomEvent(`retrieval:${kind}`, { detail: { ...detail, stamp } }));
  }

  function goTo(change) {
    send("look", { look: { ...look(), ...change } });
  }

  // Where visitors may only look the server refuses; what would ask for a change is not even selected.
  const mayChange = () => !document.querySelector(".state-read-only");

  function change(action, answers, more) {
    if (mayChange()) send("change", { do: action, answers, look: look(), ...more?.detail }, more?.after);
  }

  // -- the grid -----------------------------------------------------------------------------------------------------

  let anchor = 0;
  let wantsFocus = null;

  // In a group only its own pictures count; those of groups that are done are gone.
  let group = null;
  const tiles = () => all(".tiles > .tile[data-id]").filter((tile) => !tile.closest(".is-done"));
  const picked = () =>
    tiles().filter((tile) => tile.getAttribute("aria-selected") === "true" && (!group || group.contains(tile)));
  const idOf = (element) => Number(element.dataset.id);

  function pick(tile, on) {
    if (mayChange()) tile.setAttribute("aria-selected", String(on));
  }

  function counted() {
    const number = picked().length;
    const line = view()?.querySelector(".dock-count");
    if (!line) return;
    const { none, one, many } = line.dataset;
    line.textContent = number === 0 ? none : number === 1 ? one : many.replace("#", number.toLocaleString());
    line.classList.toggle("is-some", number > 0);
  }

  function pickBetween(from, to, on) {
    const [low, high] = from < to ? [from, to] : [to, from];
    tiles().forEach((tile, place) => place >= low && place <= high && pick(tile, on));
  }

  function moveTo(items, place, extend) {
    const target = items[Math.max(0, Math.min(items.length - 1, place))];
    if (!target) return;
    items.forEach((item) => (item.tabIndex = item === target ? 0 : -1));
    target.focus();
    target.scrollIntoView({ block: "nearest" });
    if (!extend) return;
    pickBetween(anchor, items.indexOf(target), true);
    counted();
  }

  function columns(items) {
    const next = items.findIndex((item) => item.offsetTop > items[0].offsetTop + 4);
    return next < 1 ? items.length : next;
  }

  function step(items, place, key) {
    const own = group ? items.filter((item) => group.contains(item)) : items;
    const across = columns(own);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -place };
    if (key === "End") return items.length - 1;
    const wanted = place + (by[key] ?? 0);
    return wanted < 0 || wanted >= items.length ? (Math.abs(by[key]) > 1 && key !== "Home" ? place : wanted) : wanted;
  }

  // What a change is for: the selection, or else the picture that has the focus.
  function meant() {
    const some = picked();
    if (some.length) return some;
    const focused = document.activeElement?.closest?.(".tiles > .tile[data-id]");
    return focused ? [focused] : [];
  }

  function fieldOf() {
    return (group ?? view())?.querySelector(group ? ".group-form input" : ".dock-form input");
  }

  // Puts away what was answered; the last one comes back with an undo.
  const putAway = [];

  function finish(element, operation) {
    const items = tiles();
    const place = items.findIndex((tile) => element.contains(tile));
    element.classList.add("is-done");
    putAway.push({ element, operation });
    group = null;
    moveTo(tiles(), Math.max(0, place));
    enter(document.activeElement);
  }

  function bringBack() {
    const last = putAway.pop();
    if (last?.elements) {
      last.elements.forEach((one) => one.classList.remove("is-done"));
      return moveTo(questions(), questions().indexOf(last.elements[0]));
    }
    if (!last?.element.isConnected) return;
    last.element.classList.remove("is-done");
    last.element.scrollIntoView({ block: "nearest" });
    moveTo(tiles(), tiles().findIndex((tile) => last.element.contains(tile)));
    enter(document.activeElement);
  }

  function enter(element) {
    group = element?.closest?.(".group") ?? null;
  }

  document.addEventListener("focusin", (event) => enter(event.target));

  function give(label) {
    const some = meant();
    const field = fieldOf();
    const whole = group;
    if (label.trim() && some.length === 0) return flash();
    if (!label.trim()) return field?.focus();
    const place = tiles().indexOf(some[0]);
    wantsFocus = whole || document.activeElement === field ? null : place;
    change("label", some.map((tile) => [idOf(tile), label.trim()]), {
      after: (done) => {
        if (done && field) field.value = "";
        if (done && whole) finish(whole);
        else if (done) moveAfter(place);
      },
    });
  }

  // After a label the next picture is where the last one was, and the keyboard goes on from there.
  function moveAfter(place) {
    setTimeout(() => moveTo(tiles(), Math.max(0, place)), 0);
  }

  function flash() {
    const line = view()?.querySelector(".dock-count");
    line?.classList.remove("is-asking");
    void line?.offsetWidth;
    line?.classList.add("is-asking");
  }

  function take() {
    const some = meant();
    if (!some.length) return flash();
    const place = tiles().indexOf(some[0]);
    change("take", some.map((tile) => [idOf(tile), ""]), { after: (done) => done && moveAfter(place) });
  }

  function undo(operation) {
    change("undo", [], { detail: { operation: operation ?? 0 }, after: (done) => done && bringBack() });
  }

  function showRecent() {
    const place = view()?.querySelector(".dock-recent");
    if (!place) return;
    place.replaceChildren(
      ...recent().map((label, n) => {
        const button = document.createElement("button");
        const key = document.createElement("kbd");
        const name = document.createElement("span");
        button.type = "button";
        button.className = "chip";
        button.dataset.recent = label;
        key.textContent = String(n + 1);
        name.textContent = label;
        button.append(key, name);
        return button;
      }),
    );
  }

  // -- suggestions --------------------------------------------------------------------------------------------------

  const questions = () => all(".question:not(.is-done)");
  const valueOf = (question) => question.querySelector("input").value.trim();

  function putQuestionsAway(some) {
    const items = questions();
    const place = items.indexOf(some[0]);
    some.forEach((one) => one.classList.add("is-done"));
    moveTo(questions(), Math.max(0, Math.min(place, questions().length - 1)));
    // The last one was answered: the next ones are worth fetching.
    if (!questions().length) goTo({ page: (look().page ?? 1) + 1 });
  }

  function answer(some, label) {
    const answers = some.map((one) => [idOf(one), label ?? valueOf(one)]);
    if (answers.some(([, text]) => !text)) return some[0].querySelector("input").focus();
    some.forEach((one) => one.classList.add("is-waiting"));
    change("label", answers, {
      after: (done) => {
        some.forEach((one) => one.classList.remove("is-waiting"));
        if (!done) return;
        putAway.push({ elements: some });
        putQuestionsAway(some);
      },
    });
  }

  function onQuestionKey(event, question) {
    const items = questions();
    const place = items.indexOf(question);
    if (/^(Arrow|Home|End)/.test(event.key)) moveTo(items, step(items, place, event.key));
    else if (event.key === "Enter") answer([question]);
    else if (event.key === "c" || event.key === "l") question.querySelector("input").select();
    else if (event.key === "x") putQuestionsAway([question]);
    else if (/^[1-9]$/.test(event.key) && recent()[event.key - 1]) answer([question], recent()[event.key - 1]);
    else return false;
    return true;
  }

  // -- the mouse ----------------------------------------------------------------------------------------------------

  function onTile(event, tile) {
    const items = tiles();
    const place = items.indexOf(tile);
    if (event.shiftKey) {
      pickBetween(anchor, place, true);
    } else {
      pick(tile, tile.getAttribute("aria-selected") !== "true");
      anchor = place;
    }
    items.forEach((item) => (item.tabIndex = item === tile ? 0 : -1));
    tile.focus({ preventScroll: true });
    counted();
  }

  // Where the work shows is at the top.
  function afterBegun() {
    head().scrollIntoView({ block: "nearest" });
  }

  // Work that has changed labels can be undone, and nothing was put away for it.
  let changedBy = null;

  function worked() {
    const number = document.querySelector("#labels-work [data-changed]")?.dataset.changed ?? null;
    if (number !== null && number !== changedBy) putAway.push({ elements: [] });
    changedBy = number ?? changedBy;
  }

  const ACTIONS = {
    all: () => (tiles().forEach((tile) => pick(tile, true)), counted()),
    none: () => (tiles().forEach((tile) => pick(tile, false)), counted()),
    take,
    undo: (button) => undo(Number(button?.dataset.operation ?? 0)),
    skip: (button) => putQuestionsAway([button.closest(".question")]),
    "accept-all": () => questions().length && answer(questions()),
    folders: () => change("folders", []),
    auto: () => change("auto", [], { after: afterBegun }),
    keys: () => view()?.querySelector(".labels-keys")?.showModal(),
  };

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const inside = target?.closest("#labels-view, #labels-head");
    if (!inside) return;
    const tile = target.closest(".tiles > .tile[data-id]");
    const button = target.closest("button");
    if (tile) onTile(event, tile);
    if (!button || button.disabled) return;
    const { tab, page, near, show, recent: label, again, other } = button.dataset;
    const question = target.closest(".question");
    if (question && other) return answer([question], other);
    if (label && document.activeElement?.closest(".question")) {
      return answer([document.activeElement.closest(".question")], label);
    }
    if (again) goTo({ page: Number(again) });
    else if (tab) goTo({ tab, page: 1 });
    else if (page) goTo({ page: Number(page) });
    else if (near) goTo({ near: Number(near), page: 1 });
    else if (show) goTo({ tab: "pick", show: "label", label: show, page: 1, near: 0 });
    else if (label) give(label);
    else ACTIONS[button.dataset.do]?.(button);
  });

  document.addEventListener("mousedown", (event) => {
    // A range would select the text between as well.
    if (event.shiftKey && event.target.closest?.("#labels-view .tile")) event.preventDefault();
    // Which group is meant is where the focus is.
    if (event.target.closest?.("#labels-view [data-recent]")) event.preventDefault();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.closest("#labels-view") || form.method === "dialog") return;
    event.preventDefault();
    enter(form);
    if (form.dataset.do === "answer") answer([form.closest(".question")]);
    else if (form.dataset.do === "label") give(form.elements.label.value);
    else if (form.classList.contains("labels-filters")) filter(form);
  });

  function filter(form) {
    const chosen = form.elements.show.value;
    const isLabel = chosen.startsWith("label:");
    const label = isLabel ? chosen.slice(6) : "";
    goTo({ show: isLabel ? "label" : chosen, label, under: form.elements.under.value, page: 1 });
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("#labels-view .labels-filters");
    if (form) filter(form);
  });

  // -- the keyboard -------------------------------------------------------------------------------------------------

  const isTyping = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

  function onKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || !view()) return;
    const at = document.activeElement;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(at)) {
      if (event.key === "Escape" && at.closest("#labels-view")) leaveField(at);
      return;
    }
    const run = PAGE_KEYS[event.key] ?? (/^[1-9]$/.test(event.key) ? digit : null);
    const tile = at?.closest?.(".tiles > .tile[data-id]");
    const question = at?.matches?.(".question") ? at : null;
    if (question && onQuestionKey(event, question)) event.preventDefault();
    else if (tile && onTileKey(event, tile)) event.preventDefault();
    else if (run && !(event.key === "Enter" && at?.matches("button, a")) && run(event, tile) !== false) {
      event.preventDefault();
    }
  }

  function leaveField(field) {
    field.blur();
    const question = field.closest(".question");
    if (question) return moveTo(questions(), questions().indexOf(question));
    moveTo(tiles(), tiles().findIndex((tile) => tile.tabIndex === 0));
  }

  function onTileKey(event, tile) {
    const items = tiles();
    const place = items.indexOf(tile);
    if (/^(Arrow|Home|End)/.test(event.key)) {
      if (!event.shiftKey) anchor = step(items, place, event.key);
      moveTo(items, step(items, place, event.key), event.shiftKey);
      return true;
    }
    if (event.key !== " ") return false;
    onTile(event, tile);
    return true;
  }

  function digit(event) {
    const label = recent()[Number(event.key) - 1];
    if (!label || !tiles().length) return false;
    give(label);
    return true;
  }

  function toField() {
    const field = fieldOf();
    field?.focus();
    return Boolean(field);
  }

  const PAGE_KEYS = {
    l: toField,
    Enter: toField,
    u: () => undo(Number(head()?.querySelector('[data-do="undo"]')?.dataset.operation ?? 0)),
    "?": () => ACTIONS.keys(),
    A: () => (questions().length ? ACTIONS["accept-all"]() : false),
    a: () => (group ? false : ACTIONS.all()),
    Escape: () => (group ? false : ACTIONS.none()),
    x: () => (group ? false : take()),
    s: (event, tile) => (tile ? goTo({ near: idOf(tile), page: 1 }) : false),
    "[": () => turn(-1),
    "]": () => turn(1),
    ArrowDown: () => intoGrid(),
    ArrowRight: () => intoGrid(),
  };

  function turn(by) {
    const buttons = all(".labels-pager button");
    const button = buttons[by < 0 ? 0 : 1];
    if (!button || button.disabled) return false;
    wantsFocus = 0;
    button.click();
    return true;
  }

  // The first arrow leads in from wherever nothing has the focus.
  function intoGrid() {
    if (document.activeElement !== document.body) return false;
    if (questions().length) return moveTo(questions(), 0);
    if (!tiles().length) return false;
    moveTo(tiles(), tiles().findIndex((tile) => tile.tabIndex === 0));
    return true;
  }

  document.addEventListener("keydown", onKey);

  // -- what arrives -------------------------------------------------------------------------------------------------

  let shown = null;
  let named = null;

  function arrived() {
    const now = view();
    if (!now) return;
    const names = document.getElementById("label-names")?.dataset.recent;
    const what = `${now.dataset.stamp} ${now.dataset.look}`;
    if (what !== shown || names !== named) showRecent();
    named = names;
    if (what === shown) return;
    shown = what;
    // The first answer of all, which came after a person had asked for something else already.
    if (now.dataset.stamp === "opening" && wanted) return send("look", wanted);
    now.removeAttribute("aria-busy");
    anchor = 0;
    group = null;
    if (now.dataset.tab !== "pick") putAway.length = 0;
    all(".question input").forEach((one) => (one.value = one.getAttribute("value") ?? ""));
    const field = now.querySelector(".labels-filters input");
    if (field && document.activeElement !== field) field.value = field.getAttribute("value") ?? "";
    counted();
    if (wantsFocus !== null) moveTo(tiles(), wantsFocus);
    wantsFocus = null;
  }

  // Work that ended may have brought pictures. Whoever has begun to choose or to write is not disturbed.
  function workEnded(event) {
    if (event.detail !== "job" || isTyping(document.activeElement)) return;
    // An empty gallery has no page yet, only the way to the first folder.
    if (!view()) location.reload();
    else if (look().tab === "pick" && !picked().length && !view().hasAttribute("aria-busy")) {
      wantsFocus = document.activeElement?.closest?.(".tiles > .tile") ? tiles().indexOf(document.activeElement) : null;
      goTo({});
    }
  }

  document.addEventListener("retrieval:changed", workEnded);

  function answered() {
    const stamp = head()?.dataset.stamp;
    const after = waiting.get(stamp);
    if (head()) view()?.removeAttribute("aria-busy");
    if (!after) return;
    waiting.delete(stamp);
    const done = head().dataset.done === "yes";
    if (done) document.dispatchEvent(new CustomEvent("retrieval:changed"));
    // What went wrong is said at the top.
    else head().scrollIntoView({ block: "nearest" });
    after(done);
  }

  function start() {
    const watch = { subtree: true, childList: true, attributes: true };
    new MutationObserver(() => {
      arrived();
      answered();
      worked();
    }).observe(document.body, { ...watch, attributeFilter: ["data-stamp", "data-look", "data-recent"] });
    arrived();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
