// The labels of one picture and what is being done to them. A point is [x, y, v]: v 0 not labelled, 1 hidden, 2 visible.

const VISIBLE = 2, HIDDEN = 1;

export class Labels {
  constructor(count, objects = [], finished = false) {
    this.count = count; // keypoints of an object
    this.objects = objects; // {id, box: [x, y, width, height], points, guesses: numbers of points not yet looked at}
    this.history = [];
    this.hideNext = false; // the next point placed is a hidden one
    this.object = objects.length - 1; // the chosen one
    this.boxing = !objects.length && !finished; // whether a box is being drawn: of `object`, or of a new one
    this.again = false; // whether that box takes the place of the chosen object's
    this.corner = null; // of that box, after its first click
    this.point = -1; // the chosen keypoint; -1 when all were placed or skipped
    if (objects.length && !finished) this.advance();
  }

  get chosen() { return this.objects[this.object]; }

  get current() { return this.chosen && this.point >= 0 ? this.chosen.points[this.point] : null; }

  remember() {
    const { objects, object, point, boxing } = this;
    this.history.push(JSON.stringify({ objects, object, point, boxing }));
    if (this.history.length > 200) this.history.shift();
  }

  // Take back the last change; returns whether there was one. A first corner counts as one.
  undo() {
    if (this.corner) { this.corner = null; return false; }
    if (!this.history.length) return false;
    Object.assign(this, JSON.parse(this.history.pop()), { hideNext: false, again: false });
    return true;
  }

  // Choose the next keypoint that isn't labelled.
  advance() {
    this.hideNext = false;
    const points = this.chosen.points;
    do this.point++; while (this.point < this.count && points[this.point][2]);
    if (this.point >= this.count) this.point = -1;
  }

  select(object, point) {
    Object.assign(this, { object, point, boxing: false, again: false, corner: null, hideNext: false });
  }

  step(by) {
    if (this.chosen) this.select(this.object, (Math.max(this.point, by > 0 ? -1 : 0) + by + this.count) % this.count);
  }

  setBox([x1, y1], [x2, y2]) {
    const round = v => Math.round(v * 100) / 100;
    const box = [Math.min(x1, x2), Math.min(y1, y2), round(Math.abs(x1 - x2)), round(Math.abs(y1 - y2))];
    this.corner = null;
    if (box[2] < 1 || box[3] < 1) return false;
    this.remember();
    this.boxing = false;
    if (this.again) {
      this.again = false;
      this.chosen.box = box;
      return true;
    }
    const points = Array.from({ length: this.count }, () => [0, 0, 0]);
    this.objects.push({ id: `new ${Math.random().toString(36).slice(2)}`, box, points, guesses: [] });
    this.object = this.objects.length - 1;
    this.point = -1;
    this.advance();
    return true;
  }

  // Begin a box: of a new object, or another one of the chosen object.
  startBox(again) {
    Object.assign(this, { boxing: true, corner: null, again });
  }

  stopBox() {
    if (this.objects.length) Object.assign(this, { boxing: false, corner: null, again: false });
  }

  place([x, y], hidden) {
    this.remember();
    const old = this.current;
    this.chosen.points[this.point] = [x, y, old[2] || (hidden || this.hideNext ? HIDDEN : VISIBLE)];
    this.looked();
    if (!old[2]) this.advance();
  }

  // Move a point without a step of undo, which the drag's beginning made.
  move([x, y]) {
    this.chosen.points[this.point] = [x, y, this.current[2]];
    this.looked();
  }

  looked() { this.chosen.guesses = this.chosen.guesses.filter(k => k !== this.point); }

  toggleHidden() {
    if (!this.current) return false;
    if (!this.current[2]) { this.hideNext = !this.hideNext; return false; }
    this.remember();
    this.current[2] = this.current[2] === VISIBLE ? HIDDEN : VISIBLE;
    this.looked();
    return true;
  }

  // Delete the chosen keypoint, or skip it if it isn't labelled.
  remove() {
    if (!this.current) return false;
    if (!this.current[2]) { this.advance(); return false; }
    this.remember();
    this.chosen.points[this.point] = [0, 0, 0];
    this.looked();
    return true;
  }

  removeObject() {
    if (!this.chosen) return false;
    this.remember();
    this.objects.splice(this.object, 1);
    const object = Math.min(this.object, this.objects.length - 1);
    Object.assign(this, { object, point: -1, boxing: !this.objects.length, corner: null, again: false });
    return true;
  }

  // Take proposed points where nothing is labelled yet.
  accept(id, points) {
    const object = this.objects.findIndex(each => each.id === id);
    if (object < 0) return false;
    this.remember();
    this.object = object;
    points.forEach((point, k) => {
      if (!point[2] || this.chosen.points[k][2]) return;
      this.chosen.points[k] = point;
      this.chosen.guesses.push(k);
    });
    this.point = -1;
    this.advance();
    return true;
  }

  // The keypoint nearest to a place, within a distance; {object, point} or null.
  nearest([x, y], within) {
    let best = null, closest = within;
    this.objects.forEach((each, object) => each.points.forEach(([px, py, v], point) => {
      const distance = Math.hypot(px - x, py - y);
      if (v && distance < closest) { closest = distance; best = { object, point }; }
    }));
    return best;
  }
}
