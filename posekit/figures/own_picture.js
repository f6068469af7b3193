// The page's half of own_picture.py: a file chooser, a picture to drag a box in, and messages to Python.

const PART = 2 ** 20; // bytes a message: a server may close the connection at 10 MB

class OwnPicture {
  constructor(model, root) {
    this.model = model;
    this.setup = model.get("setup");
    this.corner = this.end = this.cursor = null; // of the box that is being drawn; where the keyboard is
    this.busy = true; // whether Python was asked for something
    this.build(root);
    this.view = new View(this.canvas);
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(this.canvas);
    this.onShown = () => this.show();
    model.on("change:shown", this.onShown);
    this.live = new Live(root);
    this.show();
  }

  close() {
    this.model.off("change:shown", this.onShown);
    window.removeEventListener("keydown", this.onKey, true);
    this.resizes.disconnect();
    this.live.close();
  }

  build(root) {
    this.input = make("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "Picture file",
                                 onchange: () => this.choose(this.input.files[0]) });
    const button = (text, act, more) => make("button", { type: "button", textContent: text, onclick: act, ...more });
    this.buttons = [button("Choose a picture…", () => this.input.click(), { className: "pk-main" }),
                    button("Find it for me", () => this.ask({ do: "find" }, "Looking for the object…"))];
    this.name = make("span", { className: "pk-quiet" });
    this.error = make("div", { className: "pk-error", role: "alert", hidden: true });
    this.said = make("div", { className: "pk-prompt pk-line", role: "status", "aria-live": "polite" });
    this.canvas = make("canvas", { tabIndex: 0, role: "application" });
    const keys = [["drag", "or click two corners: the box"], ["arrows, space", "the same by keyboard"], ["Esc", "begin again"]];
    const help = make("div", { className: "pk-help" },
      ...keys.map(([key, what]) => make("span", {}, make("kbd", { textContent: key }), ` ${what}`)));
    const notes = this.setup.notes.map(textContent => make("div", { className: "pk-note", textContent }));
    root.classList.add("pk-label");
    root.append(make("div", { className: "pk-row pk-top" }, ...this.buttons, this.input, this.name), this.error,
                this.said, this.canvas, help, ...notes);
    this.onKey = event => event.target === this.canvas && this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which has commands for single letters
    const on = (name, act) => this.canvas.addEventListener(name, act);
    on("pointerdown", event => this.down(event));
    on("pointermove", event => { if (this.corner) { this.end = this.at(event); this.draw(); } });
    on("pointerup", event => this.up(event));
    on("pointercancel", () => this.stop());
    on("dragover", event => event.preventDefault());
    on("drop", event => { event.preventDefault(); event.stopPropagation(); this.choose(event.dataTransfer.files[0]); });
  }

  // What Python says

  async show() {
    const shown = this.model.get("shown"), { width, height, name, said, error } = shown;
    const image = await createImageBitmap(new Blob([this.model.get("picture")], { type: "image/jpeg" }));
    if (shown !== this.model.get("shown")) return; // there is news already
    this.view.picture = { image, width, height };
    this.fit();
    this.box = shown.box;
    this.name.textContent = name;
    this.cursor = null;
    this.canvas.setAttribute("aria-label", `${name}, ${width} × ${height} pixels. ${said}`);
    this.live.answered();
    this.wait(said, error, false);
    this.stop();
  }

  // As high as the picture needs at the page's width, up to a limit.
  fit() {
    const { picture } = this.view, { style } = this.canvas;
    if (picture) style.height = `min(520px, ${Math.round(this.canvas.clientWidth * picture.height / picture.width)}px)`;
    this.view.fit();
    this.draw();
  }

  wait(text, error = "", busy = true) {
    this.busy = busy;
    this.buttons.forEach(button => { button.disabled = busy; });
    this.said.textContent = text;
    this.error.textContent = error;
    this.error.hidden = !error;
  }

  ask(message, text) {
    if (this.busy) return;
    this.wait(text);
    this.live.asked(); // first: without Python, sending is an error
    this.model.send(message);
  }

  async choose(file) {
    if (!file || this.busy) return;
    const { said } = this.model.get("shown"), { name, size } = file;
    if (size > this.setup.largest) return this.wait(said, `${name}: ${size} bytes are too many; scale it down`, false);
    this.wait(`Reading ${name}…`);
    const data = await file.arrayBuffer().catch(() => null); // of a folder, or of a file that is gone
    this.input.value = ""; // the same file can be chosen again
    if (!data) return this.wait(said, `${name}: can't be read; choose a picture`, false);
    this.live.asked();
    for (let from = 0; from === 0 || from < size; from += PART) {
      const message = { do: "file", name, first: from === 0, last: from + PART >= size };
      this.model.send(message, undefined, [data.slice(from, from + PART)]);
    }
  }

  // The box: a corner, and the opposite one

  at(event) {
    const frame = this.canvas.getBoundingClientRect();
    return this.view.inside(this.view.toPicture([event.clientX - frame.left, event.clientY - frame.top]));
  }

  down(event) {
    if (this.busy || event.button) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.end = this.at(event);
    this.second = !!this.corner;
    this.corner ||= this.end;
    this.start = [event.clientX, event.clientY];
    this.draw();
  }

  up(event) {
    const moved = this.start && Math.hypot(event.clientX - this.start[0], event.clientY - this.start[1]) > 8;
    if (this.corner && (this.second || moved)) this.finish(this.at(event));
  }

  finish(at) {
    const box = this.between(at);
    this.stop();
    if (Math.max(box[2], box[3]) < 1) return;
    this.box = box;
    this.draw();
    this.ask({ do: "box", box }, "Predicting…");
  }

  stop() {
    this.corner = this.end = this.start = null;
    this.draw();
  }

  between([x, y]) {
    const [left, top] = this.corner;
    return [Math.min(left, x), Math.min(top, y), Math.abs(x - left), Math.abs(y - top)];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    event.stopPropagation();
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (!this.view.picture || !(dx || dy || [" ", "Enter", "Escape"].includes(event.key))) return;
    event.preventDefault();
    if (this.busy) return;
    const { width, height } = this.view.picture, far = event.shiftKey ? 1 : Math.max(1, Math.round(width / 40));
    const [x, y] = this.cursor || [Math.round(width / 2), Math.round(height / 2)];
    this.cursor = this.end = this.view.inside([x + far * dx, y + far * dy]);
    if (event.key === "Escape") this.stop();
    else if (!dx && !dy && this.corner) this.finish(this.cursor);
    else if (!dx && !dy) this.corner = this.cursor;
    this.draw();
  }

  draw() {
    const { view } = this, context = view.begin();
    if (!view.picture) return;
    const box = this.corner ? this.between(this.end) : this.box;
    if (box) drawBox(context, view, box, true);
    if (this.cursor) drawCursor(context, view, this.cursor, BOX);
  }
}

export default {
  render({ model, el }) {
    const page = new OwnPicture(model, el);
    return () => page.close();
  },
};
