/* The library page: the focus goes to what asks something and on to the next doubt, and the line about the gallery
   follows what changes here. */
(() => {
  "use strict";
  if (window.retrievalLibrary) return;
  window.retrievalLibrary = true;

  let asked = null;
  let folders = null;
  let answered = null;

  /* The doubt that takes the place of the one that was answered; after the last one the card itself. */
  function follow() {
    if (!answered || answered.control.isConnected) return;
    const { place, right, until = Date.now() + 2000 } = answered;
    answered = null;
    if (document.activeElement !== document.body || Date.now() > until) return;
    const doubts = document.querySelectorAll("#library-doubts .lib-doubt-list > li");
    const next = doubts[Math.min(place, doubts.length - 1)];
    const controls = (next ?? document.querySelector("#library-doubts"))?.querySelectorAll("button[data-do]") ?? [];
    const control = next ? controls[right ? 1 : 0] : controls[0];
    if (!control) return;
    control.focus();
    // One answer draws the card several times.
    answered = { control, place, right, until };
  }

  function note(event) {
    const control = event.target.closest?.("#library-doubts .lib-doubt-list button[data-do]");
    if (!control) return;
    const item = control.closest("li");
    const place = [...item.parentElement.children].indexOf(item);
    answered = { control, place, right: control.dataset.do === "confirm" };
  }

  function look() {
    const ask = document.querySelector("#library [data-focus]");
    if (ask !== asked) {
      const before = asked;
      asked = ask;
      if (ask) ask.focus();
      // What was asked is answered: the focus must not fall out of the page.
      else if (before && document.activeElement === document.body) document.getElementById("page")?.focus();
    }
    follow();
    const now = document.querySelector("#library-folders .html-container, #library-folders")?.textContent ?? null;
    if (now !== folders) {
      if (folders !== null) document.dispatchEvent(new Event("retrieval:changed"));
      folders = now;
    }
  }

  function start() {
    const page = document.querySelector("#page");
    if (!page) return;
    document.addEventListener("click", note);
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
