/* The search page: the large view of a picture, its keyboard, and small things Gradio does not do. No markup is made from data here:
   facts are cloned from what the server rendered, everything else is set as text. */
(() => {
  "use strict";
  if (window.retrievalPage) return;
  window.retrievalPage = true;

  const NARROW = "(max-width: 767px)";
  const words = window.retrievalWords;

  // -- the large view ---------------------------------------------------------------------------------------------

  const VIEWER = `
    <div class="viewer-stage">
      <img class="viewer-image" alt="">
      <p class="viewer-missing" hidden></p>
      <button type="button" class="viewer-step viewer-previous"></button>
      <button type="button" class="viewer-step viewer-next"></button>
    </div>
    <div class="viewer-side">
      <div class="viewer-top">
        <p class="viewer-count" aria-live="polite"></p>
        <button type="button" class="viewer-close"></button>
      </div>
      <div class="viewer-facts"></div>
      <button type="button" class="viewer-match"></button>
      <div class="viewer-examples">
        <button type="button" class="viewer-more"></button>
        <button type="button" class="viewer-less"></button>
      </div>
      <button type="button" class="viewer-similar"></button>
    </div>`;

  class Viewer {
    constructor() {
      this.dialog = document.createElement("dialog");
      this.dialog.id = "viewer";
      this.dialog.setAttribute("role", "dialog");
      this.dialog.setAttribute("aria-modal", "true");
      this.dialog.setAttribute("aria-label", words.viewer);
      this.dialog.innerHTML = VIEWER;
      this.part("missing").textContent = words.viewerMissing;
      this.part("similar").textContent = words.viewerSimilar;
      this.part("match").textContent = words.viewerMatch;
      this.part("more").textContent = words.viewerMore;
      this.part("less").textContent = words.viewerLess;
      this.part("previous").setAttribute("aria-label", words.viewerPrevious);
      this.part("next").setAttribute("aria-label", words.viewerNext);
      this.part("close").setAttribute("aria-label", words.viewerClose);
      this.part("facts").setAttribute("role", "group");
      this.part("facts").setAttribute("aria-label", words.viewerFacts);
      document.body.append(this.dialog);
      window.addEventListener("resize", () => this.letScroll());
      this.image = this.part("image");
      this.cards = [];
      this.place = 0;
      this.returnFocus = true;
      this.listen();
    }

    part(name) {
      return this.dialog.querySelector(".viewer-" + name);
    }

    listen() {
      this.part("close").addEventListener("click", () => this.dialog.close());
      this.part("previous").addEventListener("click", () => this.step(-1));
      this.part("next").addEventListener("click", () => this.step(1));
      this.part("similar").addEventListener("click", () => this.ask("similar"));
      this.part("match").addEventListener("click", () => {
        const { id } = this.cards[this.place].dataset;
        document.dispatchEvent(new CustomEvent("retrieval:match", { detail: { id: Number(id) } }));
      });
      this.part("more").addEventListener("click", () => this.ask("more"));
      this.part("less").addEventListener("click", () => this.ask("less"));
      this.image.addEventListener("load", () => this.image.classList.add("is-loaded"));
      this.image.addEventListener("error", () => this.showMissing(true));
      this.dialog.addEventListener("keydown", (event) => this.onKey(event));
      this.dialog.addEventListener("click", (event) => {
        if (event.target === this.dialog) this.dialog.close();
      });
      this.dialog.addEventListener("close", () => {
        document.documentElement.classList.remove("viewer-is-open");
        const card = this.cards[this.place];
        if (this.returnFocus && card && card.isConnected) card.focus();
      });
    }

    open(card) {
      this.cards = [...document.querySelectorAll("#results li:not([hidden]) > button.card")];
      this.returnFocus = true;
      this.show(this.cards.indexOf(card));
      document.documentElement.classList.add("viewer-is-open");
      this.dialog.showModal();
      this.letScroll();
      this.part("close").focus();
    }

    show(place) {
      this.place = place;
      const card = this.cards[place];
      const facts = card.parentElement.querySelector(".facts");
      this.part("count").textContent = words.viewerCount
        .replace("{place}", String(place + 1))
        .replace("{all}", String(this.cards.length));
      this.part("facts").replaceChildren(...[...facts.cloneNode(true).childNodes]);
      this.letScroll();
      this.part("previous").disabled = place === 0;
      this.part("next").disabled = place === this.cards.length - 1;
      this.showMissing(false);
      this.image.classList.remove("is-loaded");
      this.image.alt = card.getAttribute("aria-label");
      this.image.src = card.dataset.full;
    }

    // What does not fit is scrolled, also by who has only a keyboard.
    letScroll() {
      const facts = this.part("facts");
      if (facts.scrollHeight > facts.clientHeight) facts.tabIndex = 0;
      else facts.removeAttribute("tabindex");
    }

    showMissing(isMissing) {
      this.image.hidden = isMissing;
      this.part("missing").hidden = !isMissing;
    }

    step(by) {
      const place = this.place + by;
      if (place < 0 || place >= this.cards.length) return;
      const focused = document.activeElement;
      this.show(place);
      // A button that has just been switched off loses the focus, and the keyboard with it.
      if (focused && focused.disabled) this.part("close").focus();
    }

    onKey(event) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) {
        event.preventDefault();
        this.step(by);
      } else if (event.key === "Home") {
        this.show(0);
      } else if (event.key === "End") {
        this.show(this.cards.length - 1);
      } else if (event.key === "Tab") {
        this.keepFocusInside(event);
      }
    }

    // Modal dialogs let Tab out into the browser's own bars; here it goes round.
    keepFocusInside(event) {
      const stops = [...this.dialog.querySelectorAll("button:not([disabled])")];
      const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
      if (document.activeElement !== edge) return;
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }

    ask(what) {
      this.returnFocus = false;
      const id = Number(this.cards[this.place].dataset.id);
      this.dialog.close();
      results.awaitFocus();
      document.dispatchEvent(new CustomEvent("retrieval:do", { detail: { do: what, id } }));
    }
  }

  // -- results that arrive ----------------------------------------------------------------------------------------

  const results = {
    wantsFocus: false,
    section: null,
    searching: false,
    search: "",
    awaitFocus() {
      this.wantsFocus = true;
    },
    // Gradio may exchange the section or change it in place; either is a change of what is shown.
    look() {
      const section = document.querySelector("#results section");
      const searching = Boolean(section?.classList.contains("searching"));
      const search = section?.dataset.search ?? "";
      if (section === this.section && searching === this.searching && search === this.search) return;
      this.section = section;
      this.search = search;
      this.searching = searching;
      if (section) this.onChange();
    },
    onChange() {
      // On a phone the answer lies below the options: bring it into view.
      if (this.searching) {
        if (matchMedia(NARROW).matches || this.wantsFocus) this.reveal();
        return;
      }
      // What was refused was so at once, without a search that would have brought it into view.
      if (this.section.matches(".notice.error") && matchMedia(NARROW).matches) this.reveal();
      // Another process may have indexed since the line about the gallery was written.
      document.dispatchEvent(new Event("retrieval:changed"));
      document.dispatchEvent(new Event("retrieval:results"));
      if (!this.wantsFocus) return;
      this.wantsFocus = false;
      const heading = this.section.querySelector("h2[tabindex]");
      if (heading) heading.focus({ preventScroll: true });
    },
    reveal() {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.section.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
    },
  };

  function watchResults() {
    const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "data-search"] };
    new MutationObserver(() => results.look()).observe(document.body, changes);
  }

  // -- pictures that cannot be shown --------------------------------------------------------------------------------

  // "error" does not bubble; it can be caught on its way down.
  document.addEventListener(
    "error",
    (event) => {
      const image = event.target;
      if (!(image instanceof HTMLImageElement)) return;
      const thumb = image.closest(".thumb, .sample, .example");
      if (thumb) thumb.classList.add("is-missing");
      const photo = image.closest("#photo");
      if (photo) photo.classList.add("no-preview");
    },
    true,
  );
  document.addEventListener(
    "load",
    (event) => {
      const photo = event.target instanceof HTMLImageElement && event.target.closest("#photo");
      if (photo) photo.classList.remove("no-preview");
    },
    true,
  );

  // -- pasting and dropping -----------------------------------------------------------------------------------------

  // Gradio hides the input while a photo is shown, and shows it again once the photo is cleared.
  async function photoInput() {
    const find = () => document.querySelector('#photo input[type="file"]');
    if (!find()) {
      const clear = document.querySelector("#photo .icon-button-wrapper button");
      if (clear) clear.click();
      for (let n = 0; n < 20 && !find(); n += 1) await new Promise((done) => setTimeout(done, 25));
    }
    return find();
  }

  async function give(image) {
    // Before anything is cleared for it.
    if (isTooLarge([image])) return tellTooLarge();
    const input = await photoInput();
    if (!input) return;
    const files = new DataTransfer();
    files.items.add(image);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
    if (!image) return;
    event.preventDefault();
    event.stopPropagation();
    give(image);
  });

  // Many systems have no media type for HEIC, AVIF or TIFF, and Gradio refuses a dropped file without one.
  const UNNAMED = /\.(heic|heif|avif|tiff?)$/i;
  document.addEventListener(
    "drop",
    (event) => {
      const file = event.dataTransfer?.files?.[0];
      const ending = file && !file.type && file.name.match(UNNAMED);
      if (!ending || !event.target.closest?.("#photo")) return;
      event.preventDefault();
      // Also of the listener below, which would tell a second time that the file is too large.
      event.stopImmediatePropagation();
      give(new File([file], file.name, { type: `image/${ending[1].toLowerCase()}` }));
    },
    true,
  );

  // -- files that are too large -------------------------------------------------------------------------------------

  // Gradio would say so in English, in a corner: here they are not sent, and the page says it where results are.
  const isTooLarge = (files) => [...(files ?? [])].some((file) => file.size > words.mostBytes);

  const tellTooLarge = () => document.dispatchEvent(new CustomEvent("retrieval:too-large"));

  function refuse(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    tellTooLarge();
  }

  document.addEventListener(
    "change",
    (event) => {
      const input = event.target;
      if (!(input instanceof HTMLInputElement) || input.type !== "file" || !isTooLarge(input.files)) return;
      refuse(event);
      // The same file may have become smaller when it is chosen once more.
      input.value = "";
    },
    true,
  );
  document.addEventListener(
    "drop",
    (event) => {
      if (!isTooLarge(event.dataTransfer?.files) || !event.target.closest?.("#photo")) return;
      refuse(event);
      event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    },
    true,
  );

  // -- start --------------------------------------------------------------------------------------------------------

  // Gradio may draw the options anew while it starts, so one click is not always enough.
  async function foldOptionsOnPhones() {
    if (!matchMedia(NARROW).matches) return;
    let folded = 0;
    for (let n = 0; n < 100 && folded < 3; n += 1) {
      const label = document.querySelector("#options button.label-wrap");
      if (label?.classList.contains("open")) label.click();
      folded = label && !label.classList.contains("open") ? folded + 1 : 0;
      await new Promise((done) => setTimeout(done, 60));
    }
  }

  function start() {
    const viewer = new Viewer();
    document.addEventListener("click", (event) => {
      const card = event.target.closest?.("#results button.card");
      if (card) viewer.open(card);
    });
    // A page that was turned begins at its top, and with its heading.
    document.addEventListener("retrieval:await-focus", () => results.awaitFocus());
    watchResults();
    foldOptionsOnPhones();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
