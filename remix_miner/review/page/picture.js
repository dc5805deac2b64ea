// The picture of an item: spectrogram above, probabilities of silence below, time from context to context.

const SOURCES = ["drums", "bass", "other", "vocals"];
const RANGE = 128; // of the levels shown, in steps of 140 / 255 dB: 70 dB
const AXIS = 34; // CSS pixels on the left for numbers
const TIME_HEIGHT = 19;
const MEL_TICKS = [[100, "100"], [500, "500"], [2000, "2k"], [8000, "8k"]];

// Slaney's mel scale, as librosa has it.
const mel = (hertz) => (hertz < 1000 ? hertz * 3 / 200 : 15 + Math.log(hertz / 1000) / (Math.log(6.4) / 27));

const MAGMA = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97],
  [254, 194, 135], [252, 253, 191]];

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (MAGMA.length - 1);
  const low = Math.min(Math.floor(place), MAGMA.length - 2);
  return MAGMA[low].map((value, channel) => value + (MAGMA[low + 1][channel] - value) * (place - low));
}

export class Picture {
  constructor(box) {
    this.box = box;
    this.spectrogramCanvas = box.querySelector("#spectrogram");
    this.curvesCanvas = box.querySelector("#curves");
    this.mark = box.querySelector("#mark");
    this.head = box.querySelector("#playhead");
    this.clear();
    new ResizeObserver(() => this.draw()).observe(box);
  }

  clear(item = null) {
    this.item = item;
    this.parts = {};
    this.curves = null;
    this.stretch = null;
    this.draw();
  }

  setSpectrogram(part, data) { this.parts[part] = { ...data, image: null }; this.draw(); }
  setCurves(curves) { this.curves = curves; this.draw(); }
  setStretch(stretch) { this.stretch = stretch; this.#place(); }

  get start() { return this.item ? -this.item.before_seconds : 0; }
  get end() { return this.item ? this.item.seconds + this.item.after_seconds : 1; }
  get width() { return this.box.clientWidth; }
  x(seconds) { return AXIS + (seconds - this.start) / (this.end - this.start) * (this.width - AXIS); }
  seconds(x) { return this.start + (x - AXIS) / (this.width - AXIS) * (this.end - this.start); }

  setHead(seconds) {
    this.head.style.transform = `translateX(${this.x(seconds)}px)`;
    this.box.setAttribute("aria-valuenow", seconds.toFixed(1));
  }

  draw() {
    if (!this.width) return;
    this.#drawSpectrogram();
    this.#drawCurves();
    this.#place();
  }

  #place() {
    this.mark.hidden = !this.stretch;
    if (this.stretch) {
      const left = this.x(this.stretch[0]);
      this.mark.style.left = `${left}px`;
      this.mark.style.width = `${Math.max(this.x(this.stretch[1]) - left, 2)}px`;
    }
  }

  #prepare(canvas) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.box);
    pen.font = `11px ${style.fontFamily}`;
    this.ink = style.getPropertyValue("--quiet");
    this.style = style;
    return pen;
  }

  #drawSpectrogram() {
    const pen = this.#prepare(this.spectrogramCanvas);
    const height = this.spectrogramCanvas.clientHeight;
    pen.fillStyle = "#000";
    pen.fillRect(AXIS, 0, this.width - AXIS, height);
    if (!this.item) return;
    const top = this.parts.excerpt ? this.parts.excerpt.levels.reduce((most, level) => Math.max(most, level), 0) : 255;
    const places = {
      before: [this.start, 0], excerpt: [0, this.item.seconds], after: [this.item.seconds, this.end],
    };
    for (const [part, data] of Object.entries(this.parts)) {
      data.image ??= paint(data, Math.max(top, RANGE), part !== "excerpt");
      const [from, to] = places[part].map((seconds) => this.x(seconds));
      pen.imageSmoothingEnabled = false;
      if (data.image && to > from) pen.drawImage(data.image, from, 0, to - from, height);
    }
    pen.textAlign = "right";
    pen.fillStyle = this.ink;
    for (const [hertz, text] of MEL_TICKS) {
      const y = height * (1 - mel(hertz) / mel(8000));
      pen.fillText(text, AXIS - 4, Math.min(Math.max(y + 4, 10), height - 2));
    }
    pen.fillText("Hz", AXIS - 4, 24);
    this.#edges(pen, height);
  }

  #drawCurves() {
    const pen = this.#prepare(this.curvesCanvas);
    const height = this.curvesCanvas.clientHeight - TIME_HEIGHT;
    if (height < 40) { // an audit shows no probabilities
      pen.fillStyle = this.ink;
      if (this.item) this.#timeAxis(pen, height);
      return;
    }
    const y = (probability) => 6 + (1 - probability) * (height - 12);
    pen.strokeStyle = this.style.getPropertyValue("--line");
    pen.fillStyle = this.ink;
    pen.textAlign = "right";
    for (const tick of [0, 0.5, 1]) {
      pen.beginPath(); pen.moveTo(AXIS, y(tick)); pen.lineTo(this.width, y(tick)); pen.stroke();
      pen.fillText(`${tick}`, AXIS - 4, y(tick) + 4);
    }
    if (!this.item) return;
    this.#timeAxis(pen, height);
    if (this.curves?.sources) {
      const first = this.curves.first_seconds - this.curves.item_start_seconds;
      const ordered = SOURCES.filter((name) => name !== this.item.source).concat(this.item.source);
      for (const source of ordered) {
        const values = this.curves.sources[source] ?? [];
        pen.strokeStyle = this.style.getPropertyValue(`--${source}`);
        pen.lineWidth = source === this.item.source ? 2.2 : 1.1;
        pen.globalAlpha = source === this.item.source ? 1 : 0.75;
        pen.beginPath();
        let joined = false;
        values.forEach((value, at) => {
          if (value !== null) pen[joined ? "lineTo" : "moveTo"](this.x(first + at * this.curves.hop_seconds), y(value));
          joined = value !== null;
        });
        pen.stroke();
      }
      pen.globalAlpha = 1;
      const threshold = this.curves.thresholds?.[this.item.source];
      if (threshold !== undefined && threshold !== null) {
        pen.strokeStyle = this.style.getPropertyValue(`--${this.item.source}`);
        pen.lineWidth = 1;
        pen.setLineDash([5, 4]);
        pen.beginPath(); pen.moveTo(AXIS, y(threshold)); pen.lineTo(this.width, y(threshold)); pen.stroke();
        pen.setLineDash([]);
      }
    }
    this.#edges(pen, height);
  }

  #timeAxis(pen, height) {
    const offset = this.item.start_seconds ?? 0;
    const span = this.end - this.start;
    const step = [1, 2, 5, 10, 20, 30, 60, 120].find((seconds) => span / seconds <= this.width / 70) ?? 300;
    pen.textAlign = "center";
    pen.fillStyle = this.ink;
    for (let tick = Math.ceil((this.start + offset) / step) * step; tick <= this.end + offset; tick += step) {
      const x = this.x(tick - offset);
      if (x > AXIS + 10 && x < this.width - 14) pen.fillText(clock(tick), x, height + 14);
    }
  }

  // Context is greyed, and the excerpt's ends are lines.
  #edges(pen, height) {
    for (const [from, to] of [[this.start, 0], [this.item.seconds, this.end]]) {
      if (to - from < 0.05) continue;
      pen.fillStyle = "rgb(128 128 128 / .28)";
      pen.fillRect(this.x(from), 0, this.x(to) - this.x(from), height);
      pen.fillStyle = this.ink;
      pen.fillRect(this.x(from === this.start ? to : from) - 0.5, 0, 1, height);
    }
  }
}

function paint({ columns, bands, levels }, top, grey) {
  if (!columns) return null;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = bands;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, bands);
  for (let column = 0; column < columns; column += 1) {
    for (let band = 0; band < bands; band += 1) {
      let pixel = colour((levels[column * bands + band] - top + RANGE) / RANGE);
      if (grey) {
        const light = 0.3 * pixel[0] + 0.59 * pixel[1] + 0.11 * pixel[2];
        pixel = [light, light, light];
      }
      image.data.set([...pixel, 255], ((bands - 1 - band) * columns + column) * 4);
    }
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

export function clock(seconds, tenths = false) {
  const sign = seconds < 0 ? "-" : "";
  const rounded = tenths ? Math.round(Math.abs(seconds) * 10) / 10 : Math.round(Math.abs(seconds));
  const rest = (rounded % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return `${sign}${Math.floor(rounded / 60)}:${rest}`;
}
