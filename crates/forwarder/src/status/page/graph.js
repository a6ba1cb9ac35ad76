// Graphs of the last minutes, drawn as SVG.

import { by, compact, rate, round } from "/live.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 72, RIGHT = 8, TOP = 10, BOTTOM = 24;

/** Round numbers for an axis, such that half of each is one too. */
const BYTES = { base: 1024, factors: [1, 2, 5, 10, 20, 50, 100, 200, 500], least: 1024 };
const COUNTS = { base: 10, factors: [2, 4, 10], least: 4 };

function ceiling(most, { base, factors, least }) {
  for (let unit = 1; ; unit *= base)
    for (const factor of factors)
      if (Math.max(most, least) <= unit * factor) return unit * factor;
}

function node(tag, attributes, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

class Graph {
  /**
   * `series` are `{ key, label, name, format }`: the history's field, the text, and the class
   * that gives the colour. `axis` writes the round numbers of `scale`.
   */
  constructor(svg, series, axis, scale) {
    Object.assign(this, { svg, series, axis, scale, span: 60, history: null, cursor: null });
    this.grid = node("g", {}, svg);
    this.lines = series.map(({ name }) => ({
      area: node("path", { class: `area ${name}` }, svg),
      line: node("path", { class: name }, svg),
    }));
    this.tip = node("g", { class: "tip", visibility: "hidden" }, svg);
    new ResizeObserver(() => this.draw()).observe(svg);
    svg.addEventListener("pointermove", event => this.point(event.clientX - svg.getBoundingClientRect().left));
    svg.addEventListener("pointerleave", () => this.point(null));
    svg.addEventListener("blur", () => this.point(null));
    svg.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const seconds = (this.cursor ?? 0) - step * this.span / 60;
      this.cursor = Math.min(Math.max(seconds, 0), this.span);
      this.draw();
    });
  }

  show(history) {
    this.history = history;
    this.draw();
  }

  /** How many seconds are shown. */
  set seconds(span) {
    this.span = span;
    this.draw();
  }

  point(x) {
    const width = this.svg.clientWidth - LEFT - RIGHT;
    this.cursor = x === null ? null : Math.min(Math.max(this.span * (1 - (x - LEFT) / width), 0), this.span);
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    if (!this.history || !width) return;
    const { ago } = this.history;
    // One more than fits, so that the line comes in from outside.
    const first = Math.max(ago.findIndex(it => it <= this.span) - 1, 0);
    const values = this.series.map(({ key }) => this.history[key].slice(first));
    const top = ceiling(Math.max(...values.flat()), this.scale);
    const bottom = height - BOTTOM, tall = bottom - TOP, wide = width - LEFT - RIGHT;
    const x = seconds => LEFT + wide * (1 - seconds / this.span);
    const y = value => bottom - tall * value / top;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.drawGrid(x, y, top, bottom, width);
    values.forEach((line, index) => {
      const points = line.map((value, at) =>
        `${Math.max(x(ago[first + at]), LEFT).toFixed(1)},${y(value).toFixed(1)}`);
      const path = points.length ? `M${points.join("L")}` : "";
      const { area, line: stroke } = this.lines[index];
      stroke.setAttribute("d", path);
      const [from, to] = [points[0], points.at(-1)].map(it => it?.split(",")[0]);
      area.setAttribute("d", path && `${path}L${to},${bottom}L${from},${bottom}Z`);
    });
    this.drawTip(x, width, bottom);
    const now = this.series.map(({ label, format }, index) => `${label} ${format(values[index].at(-1) ?? 0)}`);
    this.svg.setAttribute("aria-label", `${now.join(", ")}; the last ${this.span} seconds as a graph`);
  }

  drawGrid(x, y, top, bottom, width) {
    const parts = [];
    for (const share of [0, .25, .5, .75, 1]) {
      const at = y(top * share);
      parts.push(node("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
      if (share % .5) continue;
      const text = node("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" });
      text.textContent = share ? this.axis(top * share) : "0";
      parts.push(text);
    }
    const step = width < 420 ? this.span / 2 : this.span > 60 ? 60 : 15;
    for (let seconds = 0; seconds <= this.span; seconds += step) {
      const anchor = seconds === 0 ? "end" : seconds === this.span ? "start" : "middle";
      const text = node("text", { x: x(seconds), y: bottom + 18, "text-anchor": anchor });
      text.textContent = seconds === 0 ? "now" : this.span > 60 ? `−${seconds / 60} min` : `−${seconds} s`;
      parts.push(text);
    }
    this.grid.replaceChildren(...parts);
  }

  /** The values at the cursor. */
  drawTip(x, width, bottom) {
    const { ago } = this.history;
    const hidden = this.cursor === null || !ago.length;
    this.tip.setAttribute("visibility", hidden ? "hidden" : "visible");
    if (hidden) return;
    const away = index => Math.abs(ago[index] - this.cursor);
    let nearest = 0;
    for (let index = 1; index < ago.length; index += 1) if (away(index) <= away(nearest)) nearest = index;
    const at = Math.max(x(ago[nearest]), LEFT);
    const rows = [`${Math.round(ago[nearest])} s ago`,
      ...this.series.map(({ key, label, format }) => `${label} ${format(this.history[key][nearest])}`)];
    const wide = 22 + 7.2 * Math.max(...rows.map(row => row.length));
    const left = at + 10 + wide > width ? at - 10 - wide : at + 10;
    const line = node("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: bottom });
    const box = node("rect", { x: left, y: TOP, width: wide, height: 12 + 18 * rows.length, rx: 6 });
    const texts = rows.map((row, index) => {
      const text = node("text", { x: left + 10, y: TOP + 20 + 18 * index });
      text.textContent = row;
      return text;
    });
    this.tip.replaceChildren(line, box, ...texts);
  }
}

// The two graphs of a page.
export const throughput = new Graph(by("bytes-graph"), [
  { key: "bytes_up", label: "up", name: "up", format: rate },
  { key: "bytes_down", label: "down", name: "down", format: rate },
], it => `${round(it)}/s`, BYTES);
export const connecting = new Graph(by("connections-graph"), [
  { key: "open", label: "open", name: "open", format: compact },
  { key: "accepted", label: "new", name: "new", format: compact },
], compact, COUNTS);
