// The picture, its boxes and keypoints on a canvas, with zoom. Places are in pixels of the original picture, with the
// origin at the centre of the top left pixel; "screen" is CSS pixels from the canvas's top left corner.

const INK = "#1c2330", PAPER = "#ffffff", BOX = "#d55e00", MISSING = "#e8ecf1";

// An element of the page.
export function make(tag, properties = {}, ...children) {
  const { style, data, ...rest } = properties, element = document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  if (style) element.style.cssText = style;
  element.append(...children);
  return element;
}

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.zoom = 1; // screen pixels per picture pixel
    this.left = this.top = 0; // the screen place of the picture's corner
    this.fitted = true;
    this.picture = null; // {image, width, height}
  }

  get size() { return [this.canvas.clientWidth, this.canvas.clientHeight]; }

  toScreen([x, y]) { return [(x + 0.5) * this.zoom + this.left, (y + 0.5) * this.zoom + this.top]; }

  toPicture([x, y]) { return [(x - this.left) / this.zoom - 0.5, (y - this.top) / this.zoom - 0.5]; }

  // Into the picture, and to 0.01 pixels.
  inside([x, y]) {
    const clip = (v, size) => Math.round(Math.min(Math.max(v, 0), size - 1) * 100) / 100;
    return [clip(x, this.picture.width), clip(y, this.picture.height)];
  }

  // Whether a screen place is in the picture, or so near that its border is meant.
  isNear(place) {
    const [x, y] = place, [right, bottom] = [this.picture.width * this.zoom, this.picture.height * this.zoom];
    return x > this.left - 8 && y > this.top - 8 && x < this.left + right + 8 && y < this.top + bottom + 8;
  }

  smallest() { return Math.min(this.size[0] / this.picture.width, this.size[1] / this.picture.height); }

  fit() {
    if (!this.picture) return;
    this.fitted = true;
    this.zoom = this.smallest();
    this.settle();
  }

  // Zoom by a factor and keep what is at this screen place.
  zoomAt(factor, [x, y]) {
    const zoom = Math.min(Math.max(this.zoom * factor, this.smallest()), Math.max(40, this.smallest()));
    this.left = x - (x - this.left) * zoom / this.zoom;
    this.top = y - (y - this.top) * zoom / this.zoom;
    this.zoom = zoom;
    this.fitted = zoom <= this.smallest() * 1.0001;
    this.settle();
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.settle();
  }

  // Show a place that is outside the part that is seen.
  reveal(place) {
    const [x, y] = this.toScreen(place), [width, height] = this.size, margin = 30;
    this.pan(Math.min(0, width - margin - x) + Math.max(0, margin - x),
             Math.min(0, height - margin - y) + Math.max(0, margin - y));
  }

  // Centre a picture that is smaller than the canvas; let no larger one leave a gap.
  settle() {
    const settled = (start, room, length) =>
      length <= room ? (room - length) / 2 : Math.min(0, Math.max(start, room - length));
    this.left = settled(this.left, this.size[0], this.picture.width * this.zoom);
    this.top = settled(this.top, this.size[1], this.picture.height * this.zoom);
  }

  // Make the canvas as dense as the screen; returns a context in screen pixels with the picture drawn.
  begin() {
    const [width, height] = this.size, dense = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    const context = this.canvas.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.fillStyle = MISSING;
    context.fillRect(0, 0, width, height);
    if (this.picture) {
      const { image, width: w, height: h } = this.picture;
      context.imageSmoothingEnabled = this.zoom * w / image.width < 6; // show pixels when they are large
      context.drawImage(image, this.left, this.top, w * this.zoom, h * this.zoom);
    }
    return context;
  }
}

export function drawBox(context, view, [x, y, width, height], chosen) {
  const [left, top] = view.toScreen([x, y]), [right, bottom] = view.toScreen([x + width, y + height]);
  for (const [color, line] of [[PAPER, chosen ? 4 : 3], [BOX, chosen ? 2 : 1]]) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.setLineDash(chosen || color === PAPER ? [] : [5, 4]);
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.setLineDash([]);
}

export function drawLimb(context, view, a, b, color) {
  for (const [shade, line] of [[PAPER, 4], [color, 2]]) {
    context.strokeStyle = shade;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(...view.toScreen(a));
    context.lineTo(...view.toScreen(b));
    context.stroke();
  }
}

// A visible keypoint is a disc, a hidden one a ring; a proposed one has a dashed rim.
export function drawPoint(context, view, [x, y, v], color, label, { chosen, guess }) {
  const [px, py] = view.toScreen([x, y]), radius = chosen ? 7 : 5;
  const circle = (r, style, line) => {
    context.beginPath();
    context.arc(px, py, r, 0, 2 * Math.PI);
    if (line) { context.strokeStyle = style; context.lineWidth = line; context.stroke(); }
    else { context.fillStyle = style; context.fill(); }
  };
  if (v === 2) {
    circle(radius + 1.5, PAPER);
    circle(radius, color);
    circle(1.2, PAPER);
  } else {
    circle(radius, PAPER, 5);
    circle(radius, color, 2.5);
  }
  if (guess) {
    context.setLineDash([3, 3]);
    circle(radius + 4, INK, 1.5);
    context.setLineDash([]);
  }
  if (chosen) circle(radius + (guess ? 6.5 : 3), INK, 2);
  drawText(context, label, px + radius + 5, py - radius - 1, chosen);
}

function drawText(context, text, x, y, bold) {
  context.font = `${bold ? "bold 13px" : "11px"} sans-serif`;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.strokeStyle = PAPER;
  context.lineWidth = 3.5;
  context.strokeText(text, x, y);
  context.fillStyle = INK;
  context.fillText(text, x, y);
}

// Where a click by the keyboard goes.
export function drawCursor(context, view, place, color) {
  const [x, y] = view.toScreen(place);
  for (const [shade, line] of [[PAPER, 4], [color || INK, 2]]) {
    context.strokeStyle = shade;
    context.lineWidth = line;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 16 * dx, y + 16 * dy);
    }
    context.stroke();
  }
}

// Thin lines through the pointer, to see where a box's border will be.
export function drawRulers(context, view, [x, y]) {
  const [width, height] = view.size;
  for (const [shade, dash] of [[PAPER, []], [INK, [4, 4]]]) {
    context.strokeStyle = shade;
    context.lineWidth = 1;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }
  context.setLineDash([]);
}
