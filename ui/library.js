/* The library page: the focus goes to what asks something, and the line about the gallery follows what changes here. */
(() => {
  "use strict";
  if (window.retrievalLibrary) return;
  window.retrievalLibrary = true;

  let asked = null;
  let folders = null;

  function look() {
    const ask = document.querySelector("#library [data-focus]");
    if (ask !== asked) {
      const before = asked;
      asked = ask;
      if (ask) ask.focus();
      // What was asked is answered: the focus must not fall out of the page.
      else if (before && document.activeElement === document.body) document.getElementById("page")?.focus();
    }
    const now = document.querySelector("#library-folders .html-container, #library-folders")?.textContent ?? null;
    if (now !== folders) {
      if (folders !== null) document.dispatchEvent(new Event("retrieval:changed"));
      folders = now;
    }
  }

  function start() {
    const page = document.querySelector("#page");
    if (!page) return;
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
