// What the page's halves of all widgets share: to be known as live, and to say so when Python doesn't answer.

const PATIENCE = 4000; // milliseconds

// The picture that is saved above a widget is for pages without Python: labelling.css hides it where a widget is live.
export class Live {
  constructor(root) {
    root.classList.add("pk-live");
    this.note = make("div", { className: "pk-note", role: "status", hidden: true, textContent:
      "Python doesn't answer. It may be busy with another cell; if it was restarted, run this cell again." });
    root.append(this.note);
  }

  asked() {
    this.waiting = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.note.hidden = false; }, PATIENCE);
  }

  answered() {
    this.waiting = false;
    clearTimeout(this.timer);
    this.note.hidden = true;
  }

  close() { clearTimeout(this.timer); }
}
