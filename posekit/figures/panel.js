// The page's half of panel.py: a picture, controls below it, and messages to Python, one at a time.

class Panel {
  constructor(model, root) {
    this.model = model;
    this.inputs = {}; // by the control's name: what shows its value and its limits
    this.build(root);
    this.live = new Live(root);
    this.onShown = () => this.receive();
    model.on("change:shown", this.onShown);
    this.onKey = event => root.contains(event.target) && this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which has commands for single keys
    this.show();
  }

  close() {
    this.model.off("change:shown", this.onShown);
    window.removeEventListener("keydown", this.onKey, true);
    URL.revokeObjectURL(this.image.src);
    this.live.close();
  }

  build(root) {
    root.classList.add("pk-label", "pk-panel");
    this.image = make("img", { draggable: false });
    this.said = make("div", { className: "pk-said", role: "status", "aria-live": "polite" });
    const rows = this.model.get("rows").map(row => make("div", { className: "pk-row" }, ...row.map(each => this.control(each))));
    root.append(this.image, this.said, ...rows);
    const on = (name, act) => this.image.addEventListener(name, act);
    on("pointerdown", event => { if (this.drag && !event.button) { this.image.setPointerCapture(event.pointerId); this.pull(event); } });
    on("pointermove", event => { if (this.drag && event.buttons & 1) this.pull(event); });
  }

  // Controls: each sets its value here, and shows a value and a limit that come from Python

  control(each) {
    const made = this[each.kind](each);
    this.inputs[each.name] = made;
    return made.root;
  }

  slider({ name, min, max, step, of }) {
    const move = by => () => this.set(name, this.rounded(Number(number.value) + by * step, Number(range.min), Number(range.max), step));
    const range = make("input", { type: "range", min, max, step, "aria-label": name, oninput: () => this.set(name, Number(range.value)) });
    const number = make("input", { type: "number", min, max, step, "aria-label": `${name}, a number`, onchange: () =>
      this.set(name, this.rounded(Number(number.value) || min, Number(range.min), Number(range.max), step)) });
    const arrow = (text, word, by) => make("button", { type: "button", textContent: text, "aria-label": `${word} ${name}`, onclick: move(by) });
    const buttons = [arrow("◀", "previous", -1), arrow("▶", "next", 1)], last = make("span", { className: "pk-quiet" });
    const show = (value, limit = max) => {
      range.max = number.max = limit;
      range.value = value;
      if (document.activeElement !== number || Number(number.value) !== value) number.value = value;
      for (const part of [range, number, ...buttons]) part.disabled = limit < min;
      buttons[0].disabled ||= value <= min;
      buttons[1].disabled ||= value >= limit;
      last.textContent = of ? `of ${limit.toLocaleString("en")}` : "";
    };
    const root = make("div", { className: "pk-control pk-slider", role: "group", "aria-label": name },
      make("span", { className: "pk-name", textContent: name }), buttons[0], range, buttons[1], number, last);
    return { root, show };
  }

  number({ name, min, max }) {
    const input = make("input", { type: "number", min, max, step: 1, onchange: () =>
      this.set(name, this.rounded(Number(input.value) || 0, min, max, 1)) });
    return { root: this.labelled(name, input), show: value => { input.value = value; } };
  }

  choice({ name, options }) {
    const input = make("select", { onchange: () => this.set(name, options[input.selectedIndex]) });
    input.append(...options.map(option => make("option", { textContent: option })));
    return { root: this.labelled(name, input), show: value => { input.selectedIndex = options.indexOf(value); } };
  }

  text({ name, hint }) {
    const input = make("input", { type: "text", placeholder: hint, oninput: () => this.set(name, input.value) });
    return { root: this.labelled(name, input), show: value => { if (document.activeElement !== input) input.value = value; } };
  }

  tick({ name }) {
    const input = make("input", { type: "checkbox", onchange: () => this.set(name, input.checked) });
    return { root: make("label", { className: "pk-control" }, input, name), show: value => { input.checked = value; } };
  }

  press({ name }) {
    const root = make("button", { type: "button", textContent: name, onclick: () => this.set(name, (this.values[name] || 0) + 1) });
    return { root, show: () => {} };
  }

  labelled(name, input) {
    return make("label", { className: "pk-control" }, make("span", { className: "pk-name", textContent: name }), input);
  }

  rounded(value, min, max, step) {
    const places = (String(step).split(".")[1] || "").length;
    return Number(Math.min(Math.max(value, min), max).toFixed(places));
  }

  // Where the picture is pressed, in the units of the two controls that this moves.
  pull(event) {
    event.preventDefault();
    const frame = this.image.getBoundingClientRect(), { x, y, zoom, left, top, min, max, page } = this.drag;
    const scale = page / frame.width, place = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    const [across, down] = [(place[0] - left) / zoom, (place[1] - top) / zoom];
    this.put({ [x]: this.rounded(across, min[0], max[0], 0.1), [y]: this.rounded(down, min[1], max[1], 0.1) });
  }

  // Messages: while Python draws, only the newest change waits

  set(name, value) { this.put({ [name]: value }); }

  put(changes) {
    Object.assign(this.values, changes);
    this.showValues();
    this.late = true;
    if (!this.live.waiting || !this.live.note.hidden) this.send();
  }

  send() {
    this.late = false;
    this.live.asked(); // first: without Python, sending is an error
    this.model.send({ do: "set", values: this.values });
  }

  receive() {
    this.live.answered();
    if (this.late) this.send();
    this.show();
  }

  show() {
    const { values, limits, said, caption, width, drag } = this.model.get("shown");
    if (!this.late) this.values = { ...values };
    Object.assign(this, { limits, drag });
    const before = this.image.src;
    this.image.src = URL.createObjectURL(new Blob([this.model.get("picture")]));
    if (before) URL.revokeObjectURL(before);
    Object.assign(this.image, { alt: caption, width });
    this.image.classList.toggle("pk-drag", !!drag);
    this.said.replaceChildren(said, make("span", { className: "pk-heard", textContent: ` ${caption}` }));
    this.showValues();
  }

  showValues() {
    for (const [name, { show }] of Object.entries(this.inputs)) show(this.values[name], this.limits[name]);
  }

  key(event) {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && !["Tab", "Escape"].includes(event.key)) event.stopPropagation();
  }
}

export default {
  render({ model, el }) {
    const page = new Panel(model, el);
    return () => page.close();
  },
};
