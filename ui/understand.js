/* The map of the Understand page: draws the points with WebGL 2 (or, without it, on a plain canvas), moves, picks, selects. No
   markup is made from data here: everything that came from the server is set as text. */
(() => {
  "use strict";
  if (window.retrievalMapStarted) return;
  window.retrievalMapStarted = true;

  const COLOURS = 10;
  const [NONE, OTHERS] = [0, COLOURS + 1];
  const LISTED = 24;
  const CHOICES = 500;
  const NEAR = 14;
  const address = (path) => new URL(path, document.baseURI);

  // -- drawing --------------------------------------------------------------------------------------------------------

  const VERTEX = `#version 300 es
    in vec2 place; in vec2 look;
    uniform vec2 centre; uniform vec2 zoom; uniform float size; uniform vec4 colours[${COLOURS + 2}];
    out vec4 colour; out float chosen;
    void main() {
      float dim = look.y >= 2.0 ? 1.0 : 0.0;
      chosen = look.y - 2.0 * dim;
      colour = colours[int(look.x)];
      colour.a = dim > 0.5 ? 0.12 : 0.92;
      gl_Position = vec4((place - centre) * zoom, 0.0, 1.0);
      gl_PointSize = chosen > 0.5 ? size + 5.0 : size;
    }`;
  const FRAGMENT = `#version 300 es
    precision highp float;
    in vec4 colour; in float chosen;
    uniform vec4 ink; uniform float size;
    out vec4 given;
    void main() {
      float radius = length(gl_PointCoord - 0.5) * 2.0;
      float edge = 1.5 / size;
      float cover = 1.0 - smoothstep(1.0 - 2.0 * edge, 1.0, radius);
      float ring = chosen * smoothstep(0.62 - edge, 0.62 + edge, radius);
      vec4 mixed = mix(colour, ink, ring);
      given = vec4(mixed.rgb, mixed.a * cover);
    }`;

  class Cards {
    constructor(canvas) {
      const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: false, alpha: true });
      if (!gl) throw new Error("webgl2");
      this.gl = gl;
      this.program = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(this.program, shader);
      }
      gl.linkProgram(this.program);
      if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error("link");
      this.buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
      const at = (name) => gl.getAttribLocation(this.program, name);
      gl.enableVertexAttribArray(at("place"));
      gl.vertexAttribPointer(at("place"), 2, gl.FLOAT, false, 12, 0);
      gl.enableVertexAttribArray(at("look"));
      gl.vertexAttribPointer(at("look"), 2, gl.UNSIGNED_BYTE, false, 12, 8);
    }

    // One buffer: x and y as floats, colour and state as bytes, two bytes of nothing.
    load(points, slots, states) {
      const content = new ArrayBuffer(points.count * 12);
      const view = new DataView(content);
      for (let n = 0; n < points.count; n += 1) {
        view.setFloat32(n * 12, points.x[n], true);
        view.setFloat32(n * 12 + 4, points.y[n], true);
        view.setUint8(n * 12 + 8, slots[n]);
        view.setUint8(n * 12 + 9, states[n]);
      }
      this.count = points.count;
      this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffer);
      this.gl.bufferData(this.gl.ARRAY_BUFFER, content, this.gl.DYNAMIC_DRAW);
    }

    draw(view, palette, ink) {
      const gl = this.gl;
      const uniform = (name) => gl.getUniformLocation(this.program, name);
      gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.enable(gl.BLEND);
      gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.useProgram(this.program);
      gl.uniform2f(uniform("centre"), view.x, view.y);
      gl.uniform2f(uniform("zoom"), (2 * view.scale) / view.width, (2 * view.scale) / view.height);
      gl.uniform1f(uniform("size"), view.dot * view.ratio);
      gl.uniform4fv(uniform("colours"), palette.flat().map((part) => part / 255));
      gl.uniform4fv(uniform("ink"), ink.map((part) => part / 255));
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
  }

  class Plain {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
    }

    load(points, slots, states) {
      Object.assign(this, { points, slots, states });
    }

    draw(view, palette, ink) {
      const { context, canvas, points } = this;
      context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      for (let n = 0; n < points.count; n += 1) {
        const [x, y] = view.toScreen(points.x[n], points.y[n]);
        if (x < -9 || y < -9 || x > view.width + 9 || y > view.height + 9) continue;
        const [red, green, blue] = palette[this.slots[n]];
        context.globalAlpha = this.states[n] & 2 ? 0.12 : 0.92;
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        context.beginPath();
        context.arc(x, y, view.dot / 2, 0, 7);
        context.fill();
        if (!(this.states[n] & 1)) continue;
        context.strokeStyle = `rgb(${ink[0]} ${ink[1]} ${ink[2]})`;
        context.lineWidth = 2;
        context.stroke();
      }
      context.globalAlpha = 1;
    }
  }

  // -- the points -----------------------------------------------------------------------------------------------------

  function unpacked(buffer) {
    const view = new DataView(buffer);
    const long = view.getUint32(4, true);
    const count = view.getUint32(8, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 12, long)));
    let at = 12 + long;
    const take = (Kind, number) => {
      const found = new Kind(buffer, at, number);
      at += number * Kind.BYTES_PER_ELEMENT;
      return found;
    };
    const [x, y] = [take(Float32Array, count), take(Float32Array, count)];
    return { count, x, y, ids: take(Uint32Array, count), labels: take(Uint16Array, count), names: header.labels };
  }

  // Points by place, so that the nearest one to the pointer is found among a few.
  class Cells {
    constructor(points) {
      this.points = points;
      this.side = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(points.count / 4))));
      this.members = new Map();
      for (let n = 0; n < points.count; n += 1) {
        const key = this.cell(points.y[n]) * this.side + this.cell(points.x[n]);
        if (!this.members.has(key)) this.members.set(key, []);
        this.members.get(key).push(n);
      }
    }

    cell(value) {
      return Math.max(0, Math.min(this.side - 1, Math.floor(((value + 1) / 2) * this.side)));
    }

    within(left, bottom, right, top) {
      const found = [];
      for (let row = this.cell(bottom); row <= this.cell(top); row += 1) {
        for (let column = this.cell(left); column <= this.cell(right); column += 1) {
          for (const n of this.members.get(row * this.side + column) ?? []) {
            const [x, y] = [this.points.x[n], this.points.y[n]];
            if (x >= left && x <= right && y >= bottom && y <= top) found.push(n);
          }
        }
      }
      return found;
    }

    nearest(x, y, reach) {
      let [best, least] = [-1, reach * reach];
      for (const n of this.within(x - reach, y - reach, x + reach, y + reach)) {
        const apart = (this.points.x[n] - x) ** 2 + (this.points.y[n] - y) ** 2;
        if (apart <= least) [best, least] = [n, apart];
      }
      return best;
    }
  }

  function isInside(polygon, x, y) {
    let inside = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
      const [ax, ay] = polygon[i];
      const [bx, by] = polygon[j];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    return inside;
  }

  class View {
    constructor() {
      Object.assign(this, { x: 0, y: 0, scale: 1, width: 1, height: 1, ratio: 1, dot: 6 });
    }

    get whole() {
      return (Math.min(this.width, this.height) / 2) * 0.93;
    }

    toScreen(x, y) {
      return [(x - this.x) * this.scale + this.width / 2, this.height / 2 - (y - this.y) * this.scale];
    }

    toMap(x, y) {
      return [(x - this.width / 2) / this.scale + this.x, (this.height / 2 - y) / this.scale + this.y];
    }

    zoom(by, x = this.width / 2, y = this.height / 2) {
      const [mapX, mapY] = this.toMap(x, y);
      this.scale = Math.max(this.whole * 0.6, Math.min(this.whole * 400, this.scale * by));
      this.x = mapX - (x - this.width / 2) / this.scale;
      this.y = mapY - (this.height / 2 - y) / this.scale;
      this.bound();
    }

    pan(byX, byY) {
      this.x -= byX / this.scale;
      this.y += byY / this.scale;
      this.bound();
    }

    bound() {
      this.x = Math.max(-1.1, Math.min(1.1, this.x));
      this.y = Math.max(-1.1, Math.min(1.1, this.y));
    }
  }

  // -- the map --------------------------------------------------------------------------------------------------------

  class PictureMap {
    constructor(root, before) {
      this.root = root;
      this.words = JSON.parse(root.dataset.words);
      this.stage = this.part("stage");
      this.canvas = this.part("canvas");
      this.view = before?.view ?? new View();
      this.moved = before?.moved ?? false;
      this.chosen = new Set();
      this.shown = null;
      this.current = -1;
      this.pinned = false;
      this.lassoing = false;
      this.fingers = new Map();
      this.known = new Map();
      this.open();
      this.listen();
      this.fetch();
    }

    part(name) {
      return this.root.querySelector(`.und-${name}`);
    }

    open() {
      try {
        this.drawer = new Cards(this.canvas);
      } catch {
        // A canvas that was asked for one kind of drawing gives no other.
        const fresh = this.canvas.cloneNode(true);
        this.canvas.replaceWith(fresh);
        this.canvas = fresh;
        this.drawer = new Plain(fresh);
        this.part("simple").hidden = false;
      }
      this.root.dataset.drawn = this.drawer instanceof Cards ? "webgl" : "plain";
    }

    async fetch() {
      try {
        const answer = await fetch(address("understand/map.bin"));
        if (!answer.ok) throw new Error(String(answer.status));
        this.points = unpacked(await answer.arrayBuffer());
      } catch {
        this.part("wait").textContent = this.words.notLoaded;
        return;
      }
      this.part("wait").hidden = true;
      this.cells = new Cells(this.points);
      this.place = new Map();
      this.points.ids.forEach((id, n) => this.place.set(id, n));
      for (const id of [...this.chosen]) if (!this.place.has(id)) this.chosen.delete(id);
      this.slots = Uint8Array.from(this.points.labels, (label) => (label > COLOURS ? OTHERS : label));
      this.legend();
      this.fit();
      this.restate();
      this.root.dataset.ready = String(this.points.count);
    }

    // -- what it looks like

    fit() {
      const box = this.stage.getBoundingClientRect();
      if (!box.width) return;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      Object.assign(this.view, { width: box.width, height: box.height, ratio });
      this.canvas.width = Math.round(box.width * ratio);
      this.canvas.height = Math.round(box.height * ratio);
      if (!this.moved) Object.assign(this.view, { x: 0, y: 0, scale: this.view.whole });
      this.redraw();
    }

    redraw() {
      if (this.waiting || !this.points) return;
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        const many = this.points.count;
        const base = many > 50000 ? 2.5 : many > 10000 ? 3.5 : many > 2000 ? 5 : 8;
        this.view.dot = Math.min(14, base * Math.sqrt(Math.max(1, this.view.scale / this.view.whole)));
        const style = getComputedStyle(this.root);
        const of = (name) => rgb(style.getPropertyValue(name));
        const palette = [of("--und-none")];
        for (let n = 1; n <= COLOURS; n += 1) palette.push(of(`--und-${n}`));
        palette.push(of("--und-others"));
        this.drawer.draw(this.view, palette, of("--und-ink"));
        this.over();
      });
    }

    over() {
      const parts = [];
      if (this.line?.length > 1) {
        const path = shape("path", { class: "und-line" });
        path.setAttribute("d", `M${this.line.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`);
        parts.push(path);
      }
      if (this.current >= 0) {
        const [cx, cy] = this.view.toScreen(this.points.x[this.current], this.points.y[this.current]);
        parts.push(shape("circle", { class: "und-here", cx, cy, r: this.view.dot / 2 + 5 }));
      }
      this.part("over").replaceChildren(...parts);
      if (!this.part("pin").hidden) this.putPin();
    }

    // 1: selected; 2: not among the label that is looked at.
    restate() {
      const states = new Uint8Array(this.points.count);
      for (let n = 0; n < this.points.count; n += 1) {
        states[n] = (this.chosen.has(this.points.ids[n]) ? 1 : 0) | (this.isShown(n) ? 0 : 2);
      }
      this.drawer.load(this.points, this.slots, states);
      this.redraw();
      this.selection();
    }

    isShown(n) {
      if (this.shown === null) return true;
      const label = this.points.labels[n];
      return this.shown === "others" ? label > COLOURS : label === this.shown;
    }

    // -- the legend

    legend() {
      const counts = new Map();
      for (const label of this.points.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
      const chips = this.points.names
        .slice(0, COLOURS)
        .map(([name, images], n) => this.chip(n + 1, name, images, `--und-${n + 1}`));
      const rest = this.points.names.slice(COLOURS).reduce((sum, [, images]) => sum + images, 0);
      if (rest) chips.push(this.chip("others", this.words.others, rest, "--und-others"));
      if (counts.get(NONE)) chips.push(this.chip(NONE, this.words.noLabel, counts.get(NONE), "--und-none"));
      this.part("chips").replaceChildren(...chips);
      const select = this.part("one").querySelector("select");
      const names = this.points.names.slice(0, CHOICES);
      select.replaceChildren(
        new Option(this.words.allLabels, ""),
        ...names.map(([name, images], n) => new Option(`${name} (${images.toLocaleString()})`, String(n + 1))),
      );
      this.part("one").hidden = names.length <= COLOURS;
      const list = this.root.querySelector("datalist");
      list?.replaceChildren(...names.map(([name]) => new Option(name, name)));
    }

    chip(value, name, images, colour) {
      const button = make("button", "und-chip");
      button.type = "button";
      button.dataset.label = String(value);
      button.setAttribute("aria-pressed", "false");
      const dot = make("i");
      dot.style.background = `var(${colour})`;
      const text = make("span");
      text.textContent = name;
      const number = make("b");
      number.textContent = images.toLocaleString();
      button.append(dot, text, number);
      return button;
    }

    show(value) {
      this.shown = this.shown === value ? null : value;
      for (const chip of this.root.querySelectorAll(".und-chip")) {
        chip.setAttribute("aria-pressed", String(this.shown !== null && chip.dataset.label === String(this.shown)));
      }
      const select = this.part("one").querySelector("select");
      select.value = typeof this.shown === "number" && this.shown > 0 ? String(this.shown) : "";
      this.restate();
    }

    // -- one picture

    name(n) {
      const label = this.points.labels[n];
      return label ? this.points.names[label - 1]?.[0] ?? "" : this.words.noLabel;
    }

    picture(id, kind) {
      return address(`images/${id}/${kind}?v=${this.root.dataset.version}`);
    }

    point(n, { pin = false, say = false } = {}) {
      if (n === this.current && pin === this.pinned) return;
      this.current = n;
      this.pinned = pin && n >= 0;
      const card = this.part("pin");
      card.hidden = n < 0;
      card.classList.toggle("is-pinned", this.pinned);
      if (n >= 0) this.fillPin(n, say);
      this.redraw();
    }

    fillPin(n, say) {
      const id = this.points.ids[n];
      const image = this.part("pin").querySelector("img");
      image.src = this.picture(id, "thumbnail");
      this.part("pin-name").textContent = "";
      this.part("pin-labels").textContent = this.name(n);
      this.part("similar").href = `./?like=${id}`;
      this.part("large").href = this.picture(id, "full");
      clearTimeout(this.asking);
      if (say) this.part("heard").textContent = [this.words.picture, this.name(n)].join(": ");
      this.asking = setTimeout(() => this.facts(id), say || this.pinned ? 0 : 120);
    }

    async facts(id) {
      if (!this.known.has(id)) {
        try {
          const answer = await fetch(address(`api/v1/images/${id}`));
          if (!answer.ok) return;
          this.known.set(id, await answer.json());
        } catch {
          return;
        }
      }
      if (this.current < 0 || this.points.ids[this.current] !== id) return;
      const { labels, files } = this.known.get(id);
      this.part("pin-name").textContent = files[0]?.path.split(/[\\/]/).pop() ?? "";
      this.part("pin-labels").textContent = labels.length ? labels.join(" · ") : this.words.noLabel;
    }

    putPin() {
      const card = this.part("pin");
      if (matchMedia("(max-width: 767px)").matches) {
        card.style.transform = "";
        return;
      }
      const [x, y] = this.view.toScreen(this.points.x[this.current], this.points.y[this.current]);
      const [wide, high] = [card.offsetWidth, card.offsetHeight];
      const left = x + 18 + wide > this.view.width ? x - 18 - wide : x + 18;
      const top = Math.max(8, Math.min(this.view.height - high - 8, y - high / 2));
      card.style.transform = `translate(${Math.max(8, left).toFixed(0)}px, ${top.toFixed(0)}px)`;
    }

    // N and P: through the pictures in view, from left to right.
    walk(by) {
      const seen = this.inView().filter((n) => this.isShown(n));
      if (!seen.length) return;
      seen.sort((a, b) => this.points.x[a] - this.points.x[b] || a - b);
      const at = seen.indexOf(this.current);
      this.point(seen[at < 0 ? 0 : (at + by + seen.length) % seen.length], { pin: true, say: true });
    }

    // -- selecting

    inView() {
      const [left, top] = this.view.toMap(0, 0);
      const [right, bottom] = this.view.toMap(this.view.width, this.view.height);
      return this.cells.within(left, bottom, right, top);
    }

    choose(some) {
      for (const n of some) if (this.isShown(n)) this.chosen.add(this.points.ids[n]);
      this.restate();
    }

    toggle(n) {
      if (n < 0) return;
      const id = this.points.ids[n];
      if (!this.chosen.delete(id)) this.chosen.add(id);
      this.restate();
    }

    surround(line) {
      const polygon = line.map(([x, y]) => this.view.toMap(x, y));
      const xs = polygon.map(([x]) => x);
      const ys = polygon.map(([, y]) => y);
      const near = this.cells.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
      this.choose(near.filter((n) => isInside(polygon, this.points.x[n], this.points.y[n])));
    }

    clear() {
      this.chosen.clear();
      this.restate();
    }

    selection() {
      const number = this.chosen.size;
      const text = number === 1 ? this.words.selectedOne : this.words.selectedMany;
      const line = number ? text.replace("{n}", number.toLocaleString()) : this.words.selectedNone;
      if (this.part("count").textContent !== line) this.part("count").textContent = line;
      this.root.dataset.selected = String(number);
      this.root.querySelector('[data-tool="clear"]').disabled = !number;
      const ids = [...this.chosen].slice(0, LISTED);
      this.part("list").replaceChildren(...ids.map((id) => this.listed(id)));
      const rest = number - ids.length;
      this.part("rest").textContent = rest > 0 ? this.words.more.replace("{n}", rest.toLocaleString()) : "";
    }

    listed(id) {
      const item = make("li");
      const button = make("button");
      button.type = "button";
      button.dataset.out = String(id);
      button.setAttribute("aria-label", `${this.words.takeOut}: ${this.name(this.place.get(id))}`);
      button.title = this.words.takeOut;
      const image = make("img");
      image.alt = "";
      image.loading = "lazy";
      image.src = this.picture(id, "thumbnail");
      button.append(image);
      item.append(button);
      return item;
    }

    label(label) {
      const stamp = `${Date.now().toString(36)}-${this.chosen.size}`;
      this.sent = stamp;
      const detail = { do: "label", ids: [...this.chosen], label, stamp };
      document.dispatchEvent(new CustomEvent("retrieval:map", { detail }));
    }

    told(stamp, isDone) {
      if (isDone && stamp === this.sent) {
        this.chosen.clear();
        const field = this.part("form")?.querySelector("input");
        if (field) field.value = "";
      }
      this.known.clear();
      if (isDone) this.fetch();
    }

    // -- mouse, finger, keyboard

    listen() {
      const { canvas } = this;
      const at = (event) => {
        const box = this.canvas.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      canvas.addEventListener("pointerdown", (event) => this.press(event, at(event)));
      canvas.addEventListener("pointermove", (event) => this.move(event, at(event)));
      canvas.addEventListener("pointerup", (event) => this.release(event, at(event)));
      canvas.addEventListener("pointercancel", (event) => this.release(event, null));
      canvas.addEventListener("pointerleave", () => !this.pinned && !this.fingers.size && this.point(-1));
      canvas.addEventListener(
        "wheel",
        (event) => {
          event.preventDefault();
          this.moved = true;
          const lines = event.deltaMode === 1 ? 33 : 1;
          this.view.zoom(Math.exp((-event.deltaY * lines) / 500), ...at(event));
          this.redraw();
        },
        { passive: false },
      );
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
      canvas.addEventListener("webglcontextrestored", () => {
        this.open();
        this.restate();
      });
      this.root.addEventListener("click", (event) => this.click(event));
      this.part("one").querySelector("select").addEventListener("change", (event) => {
        this.shown = null;
        this.show(event.target.value ? Number(event.target.value) : null);
      });
      this.part("form")?.addEventListener("submit", (event) => {
        event.preventDefault();
        this.label(event.target.elements.label.value);
      });
      this.watching = new ResizeObserver(() => this.fit());
      this.watching.observe(this.stage);
    }

    press(event, place) {
      if (!this.points || event.button > 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, place);
      this.start = place;
      this.dragged = false;
      // Shift and a drag draw a line, too.
      this.line = this.fingers.size === 1 && (this.lassoing || event.shiftKey) ? [place] : null;
    }

    move(event, place) {
      if (!this.points) return;
      const before = this.fingers.get(event.pointerId);
      if (!before) {
        if (!this.pinned && event.pointerType === "mouse") this.point(this.near(place));
        return;
      }
      if (Math.hypot(place[0] - this.start[0], place[1] - this.start[1]) > 4) this.dragged = true;
      if (this.fingers.size === 2) this.pinch(event.pointerId, place);
      else if (this.line) this.line.push(place);
      else if (this.dragged) {
        this.moved = true;
        this.view.pan(place[0] - before[0], place[1] - before[1]);
      }
      this.fingers.set(event.pointerId, place);
      this.redraw();
    }

    pinch(moving, place) {
      const other = [...this.fingers].find(([id]) => id !== moving)[1];
      const before = this.fingers.get(moving);
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      this.moved = true;
      this.line = null;
      this.view.zoom(apart(place) / apart(before), (place[0] + other[0]) / 2, (place[1] + other[1]) / 2);
      this.view.pan((place[0] - before[0]) / 2, (place[1] - before[1]) / 2);
    }

    release(event, place) {
      if (!this.fingers.delete(event.pointerId)) return;
      const line = this.line;
      this.line = null;
      if (place && line && this.dragged) this.surround(line);
      else if (place && !this.dragged) {
        const n = this.near(place);
        this.point(n, { pin: true });
      }
      this.redraw();
    }

    near([x, y]) {
      return this.cells.nearest(...this.view.toMap(x, y), NEAR / this.view.scale);
    }

    key(event) {
      if (!this.points || event.ctrlKey || event.metaKey || event.altKey) return;
      const far = 60;
      const deeds = {
        ArrowLeft: () => this.view.pan(far, 0),
        ArrowRight: () => this.view.pan(-far, 0),
        ArrowUp: () => this.view.pan(0, far),
        ArrowDown: () => this.view.pan(0, -far),
        "+": () => this.view.zoom(1.4),
        "=": () => this.view.zoom(1.4),
        "-": () => this.view.zoom(1 / 1.4),
        0: () => this.all(),
        n: () => this.walk(1),
        p: () => this.walk(-1),
        " ": () => this.toggle(this.current),
        s: () => this.choose(this.inView()),
        l: () => this.part("form")?.querySelector("input").focus(),
        Enter: () => this.current >= 0 && this.part("similar").focus(),
        Escape: () => (this.pinned ? this.point(-1) : this.clear()),
      };
      const deed = deeds[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!deed) return;
      event.preventDefault();
      if (event.key.startsWith("Arrow") || "+=-".includes(event.key)) this.moved = true;
      deed();
      this.redraw();
    }

    all() {
      this.moved = false;
      this.fit();
    }

    click(event) {
      const button = event.target.closest("button");
      if (!button || !this.points) return;
      const { tool, label, out } = button.dataset;
      if (button.classList.contains("und-pin-close")) {
        this.point(-1);
        this.canvas.focus();
      } else if (label !== undefined) this.show(label === "others" ? label : Number(label));
      else if (out !== undefined) this.toggle(this.place.get(Number(out)));
      else if (tool) this.use(tool, button);
    }

    use(tool, button) {
      if (tool === "lasso") {
        this.lassoing = !this.lassoing;
        button.setAttribute("aria-pressed", String(this.lassoing));
        this.stage.classList.toggle("is-lassoing", this.lassoing);
        this.part("heard").textContent = this.lassoing ? this.words.lassoHelp : "";
      } else if (tool === "view") this.choose(this.inView());
      else if (tool === "clear") this.clear();
      else if (tool === "whole") this.all();
      else {
        this.moved = true;
        this.view.zoom(tool === "in" ? 1.6 : 1 / 1.6);
      }
      this.redraw();
    }

    end() {
      this.watching.disconnect();
    }
  }

  function make(tag, name) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    return made;
  }

  function shape(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
    return made;
  }

  function rgb(text) {
    const hex = text.trim().replace("#", "");
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) || 0).concat(255);
  }

  // -- start ----------------------------------------------------------------------------------------------------------

  let map = null;
  let heard = "";

  // A piece that shows progress is made anew every other second: whoever has its button focused keeps it.
  let held = null;

  function hold(event) {
    const button = event.target.closest?.("#understand [data-do]");
    held = button ? { button, piece: button.closest('[id^="understand-"]').id } : null;
  }

  function keepFocus() {
    if (!held || held.button.isConnected || document.activeElement !== document.body) return;
    const piece = document.getElementById(held.piece);
    const same = piece?.querySelector(`[data-do="${held.button.dataset.do}"]`) ?? piece?.querySelector("[data-do]");
    held = null;
    (same ?? document.getElementById("page"))?.focus();
  }

  function look() {
    keepFocus();
    const root = document.querySelector("#understand-map .und-map");
    if (root !== (map?.root ?? null)) {
      map?.end();
      map = root ? new PictureMap(root, map) : null;
      window.retrievalMap = map;
    }
    const told = document.querySelector("#understand-told .und-told");
    const stamp = told?.dataset.stamp ?? "";
    if (stamp === heard) return;
    heard = stamp;
    if (!stamp) return;
    map?.told(stamp, told.dataset.done === "yes");
    document.dispatchEvent(new Event("retrieval:changed"));
  }

  function start() {
    window.retrievalMap = null;
    document.addEventListener("focusin", hold);
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    new MutationObserver(() => map?.redraw()).observe(document.body, { attributeFilter: ["class"] });
    look();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
