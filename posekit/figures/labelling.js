// The page's half of labelling.py: buttons, keys and pointers, and messages to Python.

const SAVE_AFTER = 400, ASK_AGAIN = 5000; // milliseconds
const V_WORDS = ["", "hidden", "visible"];

class Page {
  constructor(model, root) {
    this.model = model;
    this.setup = model.get("setup");
    this.count = this.setup.points.length;
    this.labels = new Labels(this.count, [], true);
    this.number = -1; // of the picture
    this.states = [];
    this.dirty = false; // whether there are changes that weren't sent
    this.busy = true; // whether a picture was asked for
    this.cursor = null; // of the keyboard
    this.pointers = new Map();
    this.build(root);
    this.view = new View(this.canvas);
    this.resizes = new ResizeObserver(() => this.view.picture && (this.view.fitted ? this.view.fit() : this.view.settle(),
                                                                  this.draw()));
    this.resizes.observe(this.canvas);
    this.onMessage = (message, buffers) => this.receive(message, buffers);
    model.on("msg:custom", this.onMessage);
    this.live = new Live(root);
    this.ask();
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
    window.removeEventListener("keydown", this.onKey, true);
    this.resizes.disconnect();
    clearTimeout(this.asking);
    this.live.close();
  }

  // The page

  build(root) {
    const button = (text, act, properties = {}) =>
      make("button", { type: "button", textContent: text, onclick: () => { act(); this.canvas.focus({ preventScroll: true }); },
                       ...properties });
    this.bar = make("progress", { max: this.setup.pictures.length, "aria-hidden": "true" });
    this.progress = make("span", { textContent: "Waiting for Python…" });
    this.jump = make("select", { "aria-label": "Picture", onchange: () => this.go(this.jump.selectedIndex) });
    this.jump.append(...this.setup.pictures.map(name => make("option", { textContent: name })));
    const top = make("div", { className: "pk-row pk-top" },
      make("div", { className: "pk-progress" }, this.bar, this.progress), this.jump,
      button("‹ Previous", () => this.go("previous"), { title: "Page up" }),
      button("Next ›", () => this.go("next"), { title: "Page down" }),
      button("✓ Done, next", () => this.finish(), { className: "pk-main", title: "Enter" }));
    this.prompt = make("div", { className: "pk-prompt", role: "status", "aria-live": "polite" });
    this.canvas = make("canvas", { tabIndex: 0, role: "application" });
    this.scale = make("span");
    const middle = () => this.view.size.map(v => v / 2);
    const zoom = make("div", { className: "pk-row pk-zoom" }, this.scale,
      button("−", () => this.zoom(1 / 1.5, middle()), { "aria-label": "Zoom out" }),
      button("+", () => this.zoom(1.5, middle()), { "aria-label": "Zoom in" }),
      button("Fit", () => { this.view.fit(); this.draw(); }));
    const left = make("div", { className: "pk-left" }, this.prompt, make("div", { className: "pk-stage" }, this.canvas, zoom));
    this.chips = make("div", { className: "pk-row", role: "group", "aria-label": "Objects" });
    this.list = make("ol", { className: "pk-list", "aria-label": "Keypoints" });
    this.tools = {
      hide: button("Hidden", () => this.change(() => this.labels.toggleHidden()), { title: "H" }),
      remove: button("Delete", () => this.change(() => this.labels.remove()), { title: "Delete" }),
      undo: button("Undo", () => this.change(() => this.labels.undo()), { title: "U" }),
      box: button("New box", () => this.change(() => this.labels.startBox(true)), { title: "B" }),
      drop: button("Delete object", () => this.change(() => this.labels.removeObject())),
      propose: button("Propose", () => this.propose(), { title: "M", hidden: !this.setup.proposes }),
    };
    this.button = button;
    const side = make("div", { className: "pk-side" }, make("h4", { textContent: "Objects" }), this.chips,
      make("h4", { textContent: "Keypoints" }), this.list, make("div", { className: "pk-tools" }, ...Object.values(this.tools)));
    this.help = make("div", { className: "pk-help" });
    const keys = [["drag", "move"], ["H", "hidden"], ["Del", "delete or skip"], ["U", "undo"], ["N P", "next, previous keypoint"],
      ["A", "add object"], ["B", "new box"], ...(this.setup.proposes ? [["M", "propose"]] : []),
      ["wheel + −", "zoom"], ["0", "fit"], ["arrows, space", "move, click"], ["Page ↑↓", "picture"], ["Enter", "done"]];
    this.help.append(...keys.map(([key, what]) => make("span", {}, make("kbd", { textContent: key }), ` ${what}`)));
    this.error = make("div", { className: "pk-error", role: "alert", hidden: true });
    this.note = make("div", { className: "pk-note", hidden: true });
    root.classList.add("pk-label");
    root.append(top, this.error, make("div", { className: "pk-body" }, left, side), this.help, this.note);
    this.onKey = event => root.contains(event.target) && this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which has commands for single letters
    this.listen();
  }

  show() {
    const done = this.states.filter(state => state === "done").length, total = this.states.length;
    const bad = this.states.filter(state => state === "unreadable").length;
    this.bar.value = done;
    const saved = this.failed ? "not saved" : this.dirty || this.saving ? "saving…" : "saved";
    this.progress.textContent = `${done} of ${total} done${bad ? `, ${bad} unreadable` : ""} · ${saved}`;
    const marks = { done: "✓ ", unfinished: "… ", unreadable: "✗ " };
    [...this.jump.options].forEach((option, i) => {
      option.textContent = (marks[this.states[i]] || "") + this.setup.pictures[i];
    });
    this.progress.classList.toggle("pk-bad", !!this.failed);
    this.jump.selectedIndex = this.number;
    this.showPrompt();
    this.showObjects();
    this.showPoints();
    const { labels, tools } = this, now = labels.boxing ? null : labels.current;
    tools.hide.disabled = tools.remove.disabled = !now;
    tools.hide.setAttribute("aria-pressed", !!now && (now[2] ? now[2] === 1 : labels.hideNext));
    tools.remove.textContent = now && !now[2] ? "Skip" : "Delete";
    tools.undo.disabled = !labels.history.length && !labels.corner;
    tools.box.disabled = tools.drop.disabled = tools.propose.disabled = !labels.chosen || labels.boxing;
    this.canvas.setAttribute("aria-label", `${this.setup.pictures[this.number] || "Picture"}. ${this.prompt.textContent}`);
    this.draw();
  }

  showPrompt() {
    const { labels } = this, k = labels.point, now = labels.current;
    let title, text, color;
    if (this.number < 0) title = "Waiting for the picture…";
    else if (labels.boxing && labels.corner) [title, text] = ["Click the opposite corner", "of the object's box"];
    else if (labels.boxing) [title, text] = ["Draw a box around the object", "drag, or click two corners; if there is none: ✓ Done"];
    else if (now) {
      const { name, color: its } = this.setup.points[k];
      [title, color] = [`${k + 1}. ${name}`, its];
      const hidden = labels.hideNext ? "where it is, though it is hidden" : "it in the picture";
      text = now[2] ? `${V_WORDS[now[2]]} at ${now[0]}, ${now[1]}; drag it or press arrows` : `click ${hidden}; if it isn't there: Skip`;
    } else if (labels.chosen) {
      const placed = labels.chosen.points.filter(point => point[2]).length;
      [title, text] = [`${placed} of ${this.count} keypoints`, "✓ Done for the next picture, or add an object"];
    } else [title, text] = ["No object", "✓ Done for the next picture, or add an object"];
    this.say(title, text, color);
  }

  say(title, text = "", color = null) {
    const dot = color ? [make("span", { className: "pk-dot", style: `background:${color}` })] : [];
    this.prompt.replaceChildren(make("div", {}, ...dot, make("b", { textContent: title })),
      make("div", { className: "pk-quiet", textContent: text }));
  }

  showObjects() {
    const { labels } = this, adding = labels.boxing && !labels.again;
    this.chips.replaceChildren(...labels.objects.map((each, i) => this.button(`${i + 1}`, () => this.change(() => {
      labels.select(i, -1);
      labels.advance();
    }), { "aria-label": `Object ${i + 1}`, "aria-pressed": !adding && i === labels.object })),
      this.button("+ Add", () => this.change(() => labels.startBox(false)),
                  { title: "A", "aria-label": "Add object", "aria-pressed": adding, disabled: this.number < 0 }));
  }

  showPoints() {
    const { labels } = this, points = labels.boxing && !labels.again ? [] : labels.chosen?.points || [];
    const rows = this.setup.points.map(({ name, color }, k) => {
      const v = points[k]?.[2] || 0, current = !labels.boxing && k === labels.point;
      const word = labels.chosen?.guesses.includes(k) && v ? "proposed" : V_WORDS[v];
      const row = make("button", { type: "button", title: name, disabled: !points.length, style: `--color:${color}`,
        onclick: () => { this.change(() => labels.select(labels.object, k)); this.canvas.focus({ preventScroll: true }); } },
        make("span", { className: "pk-dot" }), make("span", { className: "pk-name", textContent: `${k + 1} ${name}` }),
        make("span", { className: "pk-quiet", textContent: word }));
      row.dataset.v = v;
      if (current) row.setAttribute("aria-current", "true");
      return make("li", {}, row);
    });
    const scrolled = this.list.scrollTop;
    this.list.replaceChildren(...rows);
    this.list.scrollTop = scrolled;
    const row = rows[labels.point];
    if (row && !labels.boxing) {
      const top = row.offsetTop - this.list.offsetTop, room = this.list.clientHeight - row.offsetHeight;
      this.list.scrollTop = Math.min(Math.max(this.list.scrollTop, top - room), top);
    }
  }

  draw() {
    const { view, labels } = this, context = view.begin();
    if (!view.picture) return;
    labels.objects.forEach((each, i) => {
      const chosen = i === labels.object;
      context.globalAlpha = chosen ? 1 : 0.55;
      if (!chosen || !labels.again) drawBox(context, view, each.box, chosen);
      for (const [a, b] of this.setup.limbs) {
        if (each.points[a][2] && each.points[b][2]) {
          drawLimb(context, view, each.points[a], each.points[b], this.setup.points[a].color);
        }
      }
      each.points.forEach((point, k) => point[2] && drawPoint(context, view, point, this.setup.points[k].color,
        chosen && k === labels.point ? `${k + 1} ${this.setup.points[k].name}` : `${k + 1}`,
        { chosen: chosen && k === labels.point && !labels.boxing, guess: each.guesses.includes(k) }));
    });
    context.globalAlpha = 1;
    if (labels.boxing) {
      const end = this.boxEnd || this.cursor;
      if (this.hover) drawRulers(context, view, this.hover);
      if (labels.corner && end) {
        const [[x1, y1], [x2, y2]] = [labels.corner, end];
        drawBox(context, view, [Math.min(x1, x2), Math.min(y1, y2), Math.abs(x1 - x2), Math.abs(y1 - y2)], true);
      }
    }
    if (this.cursor && (labels.boxing || labels.current?.[2] === 0)) {
      drawCursor(context, view, this.cursor, labels.boxing ? BOX : this.setup.points[labels.point].color);
    }
    this.scale.textContent = `${Math.round(view.zoom * 100)} %`;
  }

  zoom(factor, place) {
    if (!this.view.picture) return;
    this.view.zoomAt(factor, place);
    this.draw();
  }

  // Changes and messages

  // Do something to the labels; if it returns true, they are saved.
  change(act) {
    if (this.busy) return;
    const corner = this.labels.boxing, objects = this.labels.objects.length;
    if (act() === true) this.touch();
    if (this.setup.proposes && corner && this.labels.objects.length > objects) this.propose();
    this.show();
  }

  touch() {
    this.dirty = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(false, null), SAVE_AFTER);
  }

  save(finished, to) {
    if (this.busy) return;
    clearTimeout(this.timer);
    const objects = this.dirty || finished ? this.labels.objects.map(({ id, box, points }) => ({ id, box, points })) : null;
    if (objects) {
      [this.dirty, this.saving] = [false, true];
      this.live.asked();
    }
    this.model.send({ do: "save", picture: this.number, objects, finished, to });
    if (to !== null) this.wait();
    this.show();
  }

  go(to) { this.save(false, to); }

  finish() {
    this.labels.stopBox();
    this.save(true, "todo");
  }

  propose() {
    const { chosen } = this.labels;
    if (!this.setup.proposes || !chosen) return;
    this.model.send({ do: "propose", picture: this.number, id: chosen.id, box: chosen.box });
  }

  ask() {
    this.wait();
    this.model.send({ do: "open" });
  }

  // Wait for a picture; Jupyter may drop a message when there are many.
  wait() {
    this.busy = true;
    if (!this.live.waiting) this.live.asked();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.busy && this.ask(), ASK_AGAIN);
  }

  async receive(message, buffers) {
    this.live.answered();
    const problem = message.is === "error";
    if (problem) {
      this.error.textContent = message.text;
      if (this.saving) [this.failed, this.saving, this.dirty] = [true, false, true];
    }
    if (message.is === "saved") [this.failed, this.saving] = [false, false];
    this.error.hidden = !problem && !this.failed;
    if (message.states) {
      this.states = message.states;
      this.note.textContent = `Skipped: ${message.skipped}`;
      this.note.hidden = !message.skipped;
    }
    if (message.is === "picture" && (this.busy || message.picture !== this.number)) await this.open(message, buffers[0]);
    if (problem || message.is === "end") this.busy = this.number < 0;
    if (message.is === "proposal" && message.picture === this.number) {
      if (this.labels.accept(message.id, message.points)) this.touch();
    }
    this.show();
    if (message.is === "end") this.sayEnd(message.way);
  }

  async open({ picture, width, height, objects }, data) {
    const image = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
    clearTimeout(this.timer);
    this.number = picture;
    this.labels = new Labels(this.count, objects.map(each => ({ ...each, guesses: [] })), this.states[picture] === "done");
    Object.assign(this, { cursor: null, boxEnd: null, hover: null, dirty: false, saving: false, failed: false, busy: false });
    this.list.scrollTop = 0;
    this.view.picture = { image, width, height };
    this.view.fit();
  }

  sayEnd(way) {
    const text = { todo: "All pictures are done", next: "This is the last picture", previous: "This is the first picture" };
    this.say(text[way], way === "todo" ? `The labels are in ${this.setup.file}` : "");
  }

  // Pointers: mouse, pen and touch

  listen() {
    const on = (name, act) => this.canvas.addEventListener(name, act);
    on("pointerdown", event => this.down(event));
    on("pointermove", event => this.moved(event));
    on("pointerup", event => this.up(event));
    on("pointercancel", event => { this.pointers.delete(event.pointerId); this.action = null; });
    on("pointerleave", () => { this.hover = null; this.draw(); });
    on("wheel", event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.place(event));
    });
  }

  place(event) {
    const frame = this.canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  down(event) {
    if (this.busy || event.button > 1) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const start = this.place(event), touch = event.pointerType === "touch";
    this.pointers.set(event.pointerId, start);
    if (this.pointers.size > 1) { this.action = { kind: "pinch" }; this.labels.corner = null; return; }
    const reach = (touch ? 18 : 8) / this.view.zoom;
    const hit = this.labels.boxing ? null : this.labels.nearest(this.view.toPicture(start), reach);
    const kind = event.button === 1 ? "pan" : this.labels.boxing ? "box" : hit ? "point" : "tap";
    this.action = { kind, start, last: start, hit, still: true, hidden: event.shiftKey, reach: touch ? 9 : 3 };
    if (kind === "point") {
      this.action.grip = this.labels.objects[hit.object].points[hit.point];
      this.change(() => this.labels.select(hit.object, hit.point));
    }
  }

  moved(event) {
    const { action, view } = this, place = this.place(event);
    this.hover = event.pointerType === "touch" ? null : place;
    if (action && this.pointers.has(event.pointerId)) {
      if (action.kind === "pinch") this.pinch(event.pointerId, place);
      else {
        action.still &&= Math.hypot(place[0] - action.start[0], place[1] - action.start[1]) <= action.reach;
        if (!action.still) this.drag(action, place);
        action.last = place;
      }
      this.pointers.set(event.pointerId, place);
    }
    if (this.labels.boxing && view.picture) this.boxEnd = view.inside(view.toPicture(place));
    this.draw();
  }

  drag(action, place) {
    const { view, labels } = this, from = action.moved ? action.last : action.start;
    const [dx, dy] = [place[0] - from[0], place[1] - from[1]];
    if (action.kind === "tap" || action.kind === "pan") view.pan(dx, dy);
    if (action.kind === "box" && !labels.corner) labels.corner = view.inside(view.toPicture(action.start));
    if (action.kind === "point") {
      if (!action.moved) labels.remember();
      const [x, y] = action.grip; // the point keeps its distance to the pointer
      const [sx, sy] = [place[0] - action.start[0], place[1] - action.start[1]];
      labels.move(view.inside([x + sx / view.zoom, y + sy / view.zoom]));
      this.touch();
      this.showPrompt();
    }
    action.moved = true;
  }

  pinch(id, place) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1], before = this.pointers.get(id);
    if (!other) return;
    const distance = ([x, y]) => Math.max(10, Math.hypot(x - other[0], y - other[1]));
    const middle = ([x, y]) => [(x + other[0]) / 2, (y + other[1]) / 2];
    const [now, then] = [middle(place), middle(before)];
    this.view.pan(now[0] - then[0], now[1] - then[1]);
    this.zoom(distance(place) / distance(before), now);
  }

  up(event) {
    const { action } = this, place = this.place(event);
    if (!this.pointers.delete(event.pointerId) || !action) return;
    if (action.kind === "pinch") { if (!this.pointers.size) this.action = null; return; }
    this.action = null;
    if (action.kind === "box") this.clickBox(action.still ? action.start : place, action.still);
    else if (action.kind === "tap" && action.still) this.click(action.start, action.hidden);
    else this.show();
  }

  clickBox(place, still) {
    if (still && !this.view.isNear(place)) return;
    const at = this.view.inside(this.view.toPicture(place));
    this.corner(at);
  }

  corner(at) {
    this.change(() => {
      if (this.labels.corner) return this.labels.setBox(this.labels.corner, at);
      this.labels.corner = at;
      return false;
    });
  }

  click(place, hidden) {
    if (!this.labels.current || !this.view.isNear(place)) return;
    if (this.labels.current[2]) return; // it is dragged, not clicked elsewhere
    this.put(this.view.inside(this.view.toPicture(place)), hidden);
  }

  put(at, hidden) {
    this.change(() => { this.labels.place(at, hidden); return true; });
  }

  // Keys

  key(event) {
    const tag = event.target.tagName, name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { labels } = this, undo = (event.ctrlKey || event.metaKey) && name === "z";
    if ((event.ctrlKey || event.metaKey || event.altKey) && !undo) return;
    event.stopPropagation();
    if (tag === "SELECT" || (tag === "BUTTON" && ["Enter", " "].includes(name))) return;
    const middle = this.view.size.map(v => v / 2);
    const acts = {
      h: () => this.change(() => labels.toggleHidden()),
      Delete: () => this.change(() => labels.remove()),
      Backspace: () => this.change(() => labels.remove()),
      u: () => this.change(() => labels.undo()),
      n: () => this.change(() => labels.step(1)),
      p: () => this.change(() => labels.step(-1)),
      a: () => this.change(() => labels.startBox(false)),
      b: () => this.change(() => labels.chosen && labels.startBox(true)),
      m: () => this.propose(),
      Escape: () => this.change(() => labels.stopBox()),
      "+": () => this.zoom(1.5, middle),
      "=": () => this.zoom(1.5, middle),
      "-": () => this.zoom(1 / 1.5, middle),
      0: () => { this.view.fit(); this.draw(); },
      PageDown: () => this.go("next"),
      PageUp: () => this.go("previous"),
      Enter: () => this.finish(),
      " ": () => this.clickByKey(event.shiftKey),
      ArrowLeft: () => this.arrow(-1, 0, event.shiftKey),
      ArrowRight: () => this.arrow(1, 0, event.shiftKey),
      ArrowUp: () => this.arrow(0, -1, event.shiftKey),
      ArrowDown: () => this.arrow(0, 1, event.shiftKey),
    };
    const act = undo ? acts.u : acts[name];
    if (!act) return;
    event.preventDefault();
    if (!this.busy) act();
  }

  // Arrows move the chosen keypoint, or where the keyboard clicks: by a pixel of the picture, with shift by more.
  arrow(dx, dy, far) {
    const { labels, view } = this, step = far ? Math.max(10, Math.round(view.picture.width / 40)) : 1;
    const from = !labels.boxing && labels.current?.[2] ? labels.current : this.start();
    const to = view.inside([from[0] + dx * step, from[1] + dy * step]);
    view.reveal(to);
    if (from === labels.current) return this.change(() => { labels.remember(); labels.move(to); return true; });
    Object.assign(this, { cursor: to, boxEnd: to, hover: null });
    this.draw();
  }

  start() {
    return this.cursor || this.view.inside(this.view.toPicture(this.view.size.map(v => v / 2)).map(Math.round));
  }

  clickByKey(hidden) {
    this.cursor = this.start();
    if (this.labels.boxing) this.corner(this.cursor);
    else if (this.labels.current && !this.labels.current[2]) this.put(this.cursor, hidden);
  }
}

export default {
  render({ model, el }) {
    const page = new Page(model, el);
    return () => page.close();
  },
};
