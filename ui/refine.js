/* Refining a search: marking a part of a picture, opening copies, and keeping the keyboard where it was while results
   change. No markup is made from data here. */
(() => {
  "use strict";
  if (window.retrievalRefine) return;
  window.retrievalRefine = true;

  const words = window.retrievalWords;
  const ask = (detail) => document.dispatchEvent(new CustomEvent("retrieval:do", { detail }));

  // -- marking a part ---------------------------------------------------------------------------------------------

  const CROPPER = `
    <h2 class="crop-title"></h2>
    <p class="crop-how"></p>
    <div class="crop-stage">
      <img class="crop-image" alt="" draggable="false">
      <div class="crop-box" tabindex="0" role="group"></div>
    </div>
    <p class="crop-missing" hidden></p>
    <p class="crop-place" role="status"></p>
    <div class="crop-buttons">
      <button type="button" class="crop-cancel"></button>
      <button type="button" class="crop-search"></button>
    </div>`;
  const LEAST = 0.03;
  const STEP = 0.02;
  const START = { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 };
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const within = (value, low, high) => Math.min(high, Math.max(low, value));

  class Cropper {
    constructor() {
      this.dialog = document.createElement("dialog");
      this.dialog.id = "cropper";
      this.dialog.setAttribute("aria-modal", "true");
      this.dialog.setAttribute("aria-label", words.cropTitle);
      this.dialog.innerHTML = CROPPER;
      this.part("title").textContent = words.cropTitle;
      this.part("how").textContent = words.cropHow;
      this.part("missing").textContent = words.cropMissing;
      this.part("search").textContent = words.cropSearch;
      this.part("cancel").textContent = words.cropCancel;
      this.box = this.part("box");
      this.box.setAttribute("aria-label", words.cropBox);
      this.image = this.part("image");
      this.area = { ...START };
      document.body.append(this.dialog);
      this.listen();
    }

    part(name) {
      return this.dialog.querySelector(".crop-" + name);
    }

    listen() {
      this.part("cancel").addEventListener("click", () => this.dialog.close());
      this.part("search").addEventListener("click", () => this.search());
      this.image.addEventListener("load", () => {
        this.showMissing(false);
        this.fit();
      });
      window.addEventListener("resize", () => this.fit());
      this.image.addEventListener("error", () => this.showMissing(true));
      this.box.addEventListener("keydown", (event) => this.onKey(event));
      const stage = this.part("stage");
      stage.addEventListener("pointerdown", (event) => this.begin(event));
      stage.addEventListener("pointermove", (event) => this.drag(event));
      for (const end of ["pointerup", "pointercancel"]) {
        stage.addEventListener(end, () => {
          this.from = null;
        });
      }
    }

    open(address) {
      this.area = { ...START };
      this.image.src = address;
      this.showMissing(false);
      this.draw();
      this.dialog.showModal();
      this.fit();
      this.box.focus();
    }

    showMissing(isMissing) {
      this.part("stage").hidden = isMissing;
      this.part("place").hidden = isMissing;
      this.part("missing").hidden = !isMissing;
      this.part("search").disabled = isMissing;
    }

    // As large as there is room, small pictures too: a part of a thumbnail is hard to mark.
    fit() {
      const { naturalWidth: width, naturalHeight: height } = this.image;
      if (!width || !this.dialog.open) return;
      const style = getComputedStyle(this.dialog);
      const room = this.dialog.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      const scale = Math.min(room / width, Math.max(160, window.innerHeight - 300) / height);
      this.image.style.width = `${Math.floor(width * scale)}px`;
      this.image.style.height = `${Math.floor(height * scale)}px`;
    }

    at(event) {
      const frame = this.image.getBoundingClientRect();
      return {
        x: within((event.clientX - frame.left) / frame.width, 0, 1),
        y: within((event.clientY - frame.top) / frame.height, 0, 1),
      };
    }

    begin(event) {
      if (event.button !== 0) return;
      event.preventDefault();
      this.from = this.at(event);
      this.part("stage").setPointerCapture(event.pointerId);
      this.box.focus();
    }

    drag(event) {
      if (!this.from) return;
      const to = this.at(event);
      const area = {
        left: Math.min(this.from.x, to.x),
        right: Math.max(this.from.x, to.x),
        top: Math.min(this.from.y, to.y),
        bottom: Math.max(this.from.y, to.y),
      };
      // A click is no drag: what was marked before stays.
      if (area.right - area.left < LEAST || area.bottom - area.top < LEAST) return;
      this.area = area;
      this.draw();
    }

    onKey(event) {
      if (event.key === "Enter") {
        event.preventDefault();
        this.search();
        return;
      }
      const move = MOVES[event.key];
      if (!move) return;
      event.preventDefault();
      const area = this.area;
      const [x, y] = move.map((by) => by * STEP);
      if (event.shiftKey) {
        area.right = within(area.right + x, area.left + LEAST, 1);
        area.bottom = within(area.bottom + y, area.top + LEAST, 1);
      } else {
        const byX = within(x, -area.left, 1 - area.right);
        const byY = within(y, -area.top, 1 - area.bottom);
        this.area = { left: area.left + byX, right: area.right + byX, top: area.top + byY, bottom: area.bottom + byY };
      }
      this.draw();
    }

    draw() {
      const percent = (share) => `${(share * 100).toFixed(2)}%`;
      this.box.style.left = percent(this.area.left);
      this.box.style.top = percent(this.area.top);
      this.box.style.width = percent(this.area.right - this.area.left);
      this.box.style.height = percent(this.area.bottom - this.area.top);
      let place = words.cropPlace;
      for (const side of Object.keys(this.area)) place = place.replace(`{${side}}`, String(Math.round(this.area[side] * 100)));
      this.part("place").textContent = place;
    }

    search() {
      if (this.part("search").disabled) return;
      this.dialog.close();
      document.dispatchEvent(new Event("retrieval:await-focus"));
      ask({ do: "crop", ...this.area });
    }
  }

  // -- copies -------------------------------------------------------------------------------------------------------

  function toggleCopies(button) {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    for (const copy of document.querySelectorAll(`#results li[data-copy-of="${CSS.escape(button.dataset.copies)}"]`)) {
      copy.hidden = !open;
    }
  }

  // -- the gallery's pictures ---------------------------------------------------------------------------------------

  // Gradio draws them some time after the click that asked for them.
  function awaitBrowsed() {
    const watch = new MutationObserver(() => {
      const section = document.querySelector("#browse section");
      if (!section) return;
      watch.disconnect();
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      section.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
      section.querySelector("h2")?.focus({ preventScroll: true });
    });
    watch.observe(document.querySelector("#browse"), { childList: true, subtree: true, characterData: true });
    setTimeout(() => watch.disconnect(), 10_000);
  }

  // -- where the keyboard is while the order changes ----------------------------------------------------------------

  // The address names the search that is shown: reloading it, or passing it on, gives the same one, and Back leads to
  // the one before. The first answer to an address that names a search is no step: it is where the visit began.
  const search = () => location.pathname + location.search;
  let named = search();
  let arriving = location.search.includes("like=");
  document.addEventListener("retrieval:results", () => {
    const link = document.querySelector("#results a[data-link]");
    if (!link && !location.search.includes("like=")) return;
    const before = location.href;
    const address = new URL(link ? link.getAttribute("href") : location.pathname, document.baseURI);
    if (address.href !== before) history[arriving || !link ? "replaceState" : "pushState"](null, "", address);
    arriving = false;
    named = search();
  });
  // Also asked where only what follows a # has changed.
  addEventListener("popstate", () => {
    if (search() !== named) location.reload();
  });

  // Where a page may write to the clipboard, the link is copied; elsewhere it leads to the same search, to be copied.
  async function copyLink(event, link) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !navigator.clipboard) return;
    event.preventDefault();
    link.dataset.text ??= link.textContent;
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = link.dataset.copied;
    } catch {
      location.href = link.href;
    }
    setTimeout(() => (link.textContent = link.dataset.text), 2000);
  }

  let lastThumb = null;
  document.addEventListener("retrieval:results", () => {
    if (!lastThumb) return;
    const { id, value } = lastThumb;
    lastThumb = null;
    const selector = `#results [data-do="judge"][data-id="${CSS.escape(id)}"][data-value="${CSS.escape(value)}"]`;
    document.querySelector(selector)?.focus({ preventScroll: true });
  });

  function start() {
    const cropper = new Cropper();
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("#results a[data-link]");
      if (link) copyLink(event, link);
      const button = event.target.closest?.("[data-crop], [data-copies], [data-do]");
      if (!button) return;
      if (button.dataset.crop) cropper.open(button.dataset.crop);
      else if (button.dataset.copies) toggleCopies(button);
      else if (button.dataset.do === "browse") awaitBrowsed();
      else if (button.dataset.do === "judge") lastThumb = { ...button.dataset };
      else if (button.closest("#results")) document.dispatchEvent(new Event("retrieval:await-focus"));
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
