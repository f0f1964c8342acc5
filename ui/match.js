/* Where two pictures match: a view over the large one, in which a part of one picture shows what it matches in the other.
   Its markup comes from the server, with the numbers in its data; here they are drawn. */
(() => {
  "use strict";
  if (window.retrievalMatch) return;
  window.retrievalMatch = true;

  const words = window.retrievalWords;
  const PATIENCE = 60_000;
  const DOTS = 24; // a cell is drawn with so many a side
  const FAINT = 0.2; // what a part has to do with others is shown on its own scale, unless all of it is faint
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const FRAME = `
    <div class="match-top"><h2 class="match-title" tabindex="-1"></h2>
      <button type="button" class="viewer-close match-close"></button></div>
    <div class="match-body"></div>`;

  const unpacked = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

  // -- one picture --------------------------------------------------------------------------------------------------

  class Pane {
    constructor(frame, ramp) {
      this.frame = frame;
      this.ramp = ramp;
      this.rows = Number(frame.dataset.rows);
      this.columns = Number(frame.dataset.columns);
      this.levels = [...unpacked(frame.dataset.levels)].map((level) => level / 255);
      this.seen = frame.querySelector(".match-seen");
      this.canvas = frame.querySelector("canvas");
      this.canvas.width = this.columns * DOTS;
      this.canvas.height = this.rows * DOTS;
      this.mark = frame.querySelector(".match-cell");
      const image = frame.querySelector("img");
      image.addEventListener("error", () => {
        if (image.dataset.spare && !image.src.endsWith(image.dataset.spare)) image.src = image.dataset.spare;
        else frame.querySelector(".match-missing").hidden = false;
      });
      this.draw(this.levels);
    }

    // Between the middles of cells levels go over into each other.
    draw(levels) {
      const { width, height } = this.canvas;
      const context = this.canvas.getContext("2d");
      const image = context.createImageData(width, height);
      for (let y = 0; y < height; y += 1) {
        const [above, below, down] = this.between((y + 0.5) / DOTS - 0.5, this.rows);
        for (let x = 0; x < width; x += 1) {
          const [before, after, right] = this.between((x + 0.5) / DOTS - 0.5, this.columns);
          const at = (row, column) => levels[row * this.columns + column];
          const upper = at(above, before) * (1 - right) + at(above, after) * right;
          const lower = at(below, before) * (1 - right) + at(below, after) * right;
          image.data.set(this.colour(upper * (1 - down) + lower * down), (y * width + x) * 4);
        }
      }
      context.putImageData(image, 0, 0);
    }

    between(place, count) {
      const first = Math.floor(place);
      const inside = (cell) => Math.min(count - 1, Math.max(0, cell));
      return [inside(first), inside(first + 1), place - first];
    }

    colour(level) {
      let n = 1;
      while (n < this.ramp.length - 1 && level > this.ramp[n][0]) n += 1;
      const [[low, from], [high, to]] = [this.ramp[n - 1], this.ramp[n]];
      const share = Math.min(1, Math.max(0, (level - low) / (high - low)));
      const mixed = from.map((value, channel) => value * (1 - share) + to[channel] * share);
      return [mixed[0], mixed[1], mixed[2], mixed[3] * 255];
    }

    strongest(levels) {
      return levels.reduce((best, level, cell) => (level > levels[best] ? cell : best), 0);
    }

    cellAt(event) {
      const box = this.seen.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.columns);
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.rows);
      const inside = column >= 0 && column < this.columns && row >= 0 && row < this.rows;
      return inside ? row * this.columns + column : null;
    }

    outline(cell) {
      this.mark.hidden = cell === null;
      if (cell === null) return;
      this.mark.style.width = `${100 / this.columns}%`;
      this.mark.style.height = `${100 / this.rows}%`;
      this.mark.style.left = `${((cell % this.columns) * 100) / this.columns}%`;
      this.mark.style.top = `${(Math.floor(cell / this.columns) * 100) / this.rows}%`;
    }
  }

  // -- both ---------------------------------------------------------------------------------------------------------

  class Match {
    constructor(section) {
      const { ramp, texts, pairs } = section.dataset;
      this.texts = JSON.parse(texts);
      this.panes = [...section.querySelectorAll(".match-frame")].map((frame) => new Pane(frame, JSON.parse(ramp)));
      this.pairs = unpacked(pairs);
      this.says = section.querySelector(".match-says");
      this.how = this.says.textContent;
      this.pinned = null;
      this.chosen = null;
      this.panes.forEach((pane, side) => this.listen(pane, side));
      section.querySelector(".match-strength input").addEventListener("input", (event) => {
        section.style.setProperty("--strength", String(event.target.value / 100));
      });
    }

    listen(pane, side) {
      const { frame } = pane;
      frame.addEventListener("pointermove", (event) => {
        if (event.pointerType !== "touch") this.point(side, pane.cellAt(event));
      });
      frame.addEventListener("pointerleave", () => this.release());
      frame.addEventListener("click", (event) => {
        const cell = pane.cellAt(event);
        const again = this.pinned && this.pinned.side === side && this.pinned.cell === cell;
        this.pinned = again || cell === null ? null : { side, cell };
        this.point(side, this.pinned ? cell : null);
      });
      frame.addEventListener("focus", () => {
        if (frame.matches(":focus-visible") && !this.pinned) this.choose(side, pane.strongest(pane.levels));
      });
      frame.addEventListener("blur", () => this.release());
      frame.addEventListener("keydown", (event) => this.onKey(event, pane, side));
    }

    onKey(event, pane, side) {
      const move = MOVES[event.key];
      if (!move) return;
      event.preventDefault();
      this.pinned = null;
      const cell = this.chosen?.side === side ? this.chosen.cell : pane.strongest(pane.levels);
      const row = Math.min(pane.rows - 1, Math.max(0, Math.floor(cell / pane.columns) + move[0]));
      const column = Math.min(pane.columns - 1, Math.max(0, (cell % pane.columns) + move[1]));
      this.choose(side, row * pane.columns + column);
    }

    point(side, cell) {
      const { chosen } = this;
      if (cell === null) this.release();
      else if (!chosen || chosen.side !== side || chosen.cell !== cell) this.choose(side, cell);
    }

    release() {
      if (this.pinned) {
        this.choose(this.pinned.side, this.pinned.cell);
        return;
      }
      if (!this.chosen) return;
      this.chosen = null;
      for (const pane of this.panes) {
        pane.outline(null);
        pane.draw(pane.levels);
      }
      this.says.textContent = this.how;
    }

    // What a cell has to do with each of the other picture's.
    row(side, cell) {
      const across = this.panes[1].levels.length;
      return this.panes[1 - side].levels.map(
        (_, other) => (side === 0 ? this.pairs[cell * across + other] : this.pairs[other * across + cell]) / 255,
      );
    }

    choose(side, cell) {
      this.chosen = { side, cell };
      const [pane, other] = [this.panes[side], this.panes[1 - side]];
      const row = this.row(side, cell);
      const best = other.strongest(row);
      pane.outline(cell);
      pane.draw(pane.levels);
      other.outline(row[best] > 0 ? best : null);
      other.draw(row.map((level) => level / Math.max(row[best], FAINT)));
      this.say(pane, cell, other, row[best] > 0 ? best : null);
    }

    say(pane, cell, other, best) {
      const place = (of, one) => [Math.floor(one / of.columns) + 1, (one % of.columns) + 1];
      const [row, column] = place(pane, cell);
      const values = { row, column, rows: pane.rows, columns: pane.columns, share: Math.round(pane.levels[cell] * 100) };
      if (best !== null) [values.other_row, values.other_column] = place(other, best);
      const text = best === null ? this.texts.none : this.texts.part;
      this.says.textContent = text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
    }
  }

  // -- the view -----------------------------------------------------------------------------------------------------

  class Matcher {
    constructor() {
      this.dialog = document.createElement("dialog");
      this.dialog.id = "matcher";
      this.dialog.setAttribute("aria-modal", "true");
      this.dialog.setAttribute("aria-label", words.matchTitle);
      this.dialog.innerHTML = FRAME;
      this.body = this.dialog.querySelector(".match-body");
      this.dialog.querySelector(".match-title").textContent = words.matchTitle;
      const close = this.dialog.querySelector(".match-close");
      close.setAttribute("aria-label", words.matchClose);
      close.addEventListener("click", () => this.dialog.close());
      this.dialog.addEventListener("click", (event) => {
        if (event.target === this.dialog) this.dialog.close();
      });
      this.dialog.addEventListener("keydown", (event) => this.keepFocusInside(event));
      this.asked = 0;
      document.body.append(this.dialog);
    }

    open(id) {
      this.asked += 1;
      const token = String(this.asked);
      this.say(words.matchBusy);
      this.body.setAttribute("aria-busy", "true");
      this.dialog.showModal();
      this.dialog.querySelector(".match-title").focus();
      this.await(token);
      document.dispatchEvent(new CustomEvent("retrieval:do", { detail: { do: "match", id, n: token } }));
    }

    say(text) {
      const line = document.createElement("p");
      line.className = "match-busy";
      line.setAttribute("role", "status");
      line.textContent = text;
      this.body.replaceChildren(line);
    }

    // Gradio draws the answer into the page, some time after the question.
    await(token) {
      const found = () => document.querySelector(`#match [data-match="${CSS.escape(token)}"]`);
      const watch = new MutationObserver(() => {
        const answer = found();
        if (!answer) return;
        done();
        if (this.dialog.open && this.asked === Number(token)) this.show(answer);
      });
      const late = setTimeout(() => {
        done();
        if (this.asked === Number(token)) this.settle(() => this.say(words.matchLost));
      }, PATIENCE);
      const done = () => {
        watch.disconnect();
        clearTimeout(late);
      };
      watch.observe(document.querySelector("#match"), { childList: true, subtree: true, characterData: true, attributes: true });
    }

    settle(fill) {
      this.body.removeAttribute("aria-busy");
      fill();
    }

    show(answer) {
      this.settle(() => {
        const copy = answer.cloneNode(true);
        this.body.replaceChildren(copy);
        if (copy.matches("section.match")) new Match(copy);
      });
    }

    keepFocusInside(event) {
      if (event.key !== "Tab") return;
      const stops = [...this.dialog.querySelectorAll("button, input, [tabindex='0']")];
      const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
      if (document.activeElement !== edge) return;
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }
  }

  function start() {
    const matcher = new Matcher();
    document.addEventListener("retrieval:match", (event) => {
      if (document.querySelector("#match")) matcher.open(event.detail.id);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
