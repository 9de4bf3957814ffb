// What report.html looks like and how its charts behave. The script writes text only as text, never
// as markup.
#include "core/report/report_page.h"

namespace veomni {

const char* const kReportStyle = R"css(
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1a1d23; --soft: #667085;
  --line: #e3e6eb; --grid: #eceef2; --c0: #2563eb; --c1: #d9622b; --c2: #12926a; --c3: #a23fb5;
  --c4: #b7890b; --c5: #0e8fa8; --c6: #cf3a5f; --c7: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1216; --card: #171b21; --ink: #e8eaee;
  --soft: #98a1af; --line: #2a3039; --grid: #222831; --c0: #6ea1ff; --c1: #f2935f; --c2: #45c99a;
  --c3: #d589e6; --c4: #e0b842; --c5: #4cc3da; --c6: #f2819c; --c7: #a3abb8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); -webkit-font-smoothing: antialiased;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
header h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -.02em;
  overflow-wrap: anywhere; }
header p { margin: 6px 0 0; color: var(--soft); }
h2 { margin: 44px 0 14px; font-size: 19px; letter-spacing: -.01em; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1px;
  margin: 26px 0 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.fact { padding: 14px 16px; box-shadow: 1px 1px 0 var(--line); }
.fact dt { color: var(--soft); font-size: 12.5px; }
.fact dd { margin: 2px 0 0; font-size: 20px; font-weight: 600; letter-spacing: -.01em;
  white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(460px, 100%), 1fr));
  gap: 16px; }
.chart { position: relative; margin: 0; padding: 14px 16px 10px; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; min-width: 0; }
.chart .head { display: flex; align-items: baseline; gap: 8px; }
.chart .head b { font-weight: 600; flex: 1; overflow-wrap: anywhere; }
.chart .head small { color: var(--soft); }
.chart button { font: inherit; font-size: 12px; color: var(--soft); background: none;
  border: 1px solid var(--line);
  border-radius: 6px; padding: 1px 8px; cursor: pointer; }
.chart button[aria-pressed=true] { color: var(--card); background: var(--soft);
  border-color: var(--soft); }
.chart .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin-top: 4px;
  font-size: 12.5px; color: var(--soft); }
.legend i, .tip i { display: inline-block; width: 9px; height: 9px; border-radius: 3px;
  margin-right: 6px; }
.legend i.dot, .tip i.dot { border-radius: 50%; }
.chart svg { display: block; width: 100%; height: 232px; margin-top: 4px; touch-action: pan-y; }
.chart text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.chart .grid { stroke: var(--grid); } .chart .axis { stroke: var(--line); }
.chart .raw { fill: none; stroke-width: 1; opacity: .28; } .chart .smooth { fill: none;
  stroke-width: 2; }
.chart .join { fill: none; stroke-width: 1.5; opacity: .7; } .chart .dots { stroke: var(--card);
  stroke-width: 1.5; }
.chart .cross { stroke: var(--soft); stroke-dasharray: 3 3; }
.tip { position: absolute; z-index: 1; pointer-events: none; background: var(--card);
  border: 1px solid var(--line);
  border-radius: 8px; padding: 7px 10px; font-size: 12.5px;
  box-shadow: 0 4px 16px rgb(0 0 0 / .16); width: max-content;
  font-variant-numeric: tabular-nums; }
.tip div { display: flex; gap: 14px; justify-content: space-between; white-space: nowrap; }
.tip .when { color: var(--soft); }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 16px; vertical-align: top; }
th { font-weight: 500; color: var(--soft); font-size: 12.5px;
  border-bottom: 1px solid var(--line); }
tr.first + tr td, td { border: 0;
  } tbody tr.first:not(:first-child) td { border-top: 1px solid var(--line); }
.n { text-align: right; } .strong { font-weight: 600; } .soft { color: var(--soft); }
.pairs td:first-child { color: var(--soft); width: 34%;
  } .pairs tr + tr td { border-top: 1px solid var(--grid); }
.pairs td { overflow-wrap: anywhere; }
.sample, details { margin: 0 0 14px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.sample figcaption { padding: 10px 16px; font-weight: 600; border-bottom: 1px solid var(--line); }
.sample figcaption span { float: right; font-weight: 400; color: var(--soft); }
summary { padding: 10px 16px; cursor: pointer; }
pre { margin: 0; padding: 12px 16px;
  font: 13px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.sample pre { max-height: 26em; overflow-y: auto; }
.none { color: var(--soft); }
.experts { width: 60%; } .experts i { display: inline-block; width: 14px; height: 18px; margin: 0 1px 1px 0;
  background: var(--c0); border-radius: 2px; }
details .wide { border: 0; border-top: 1px solid var(--line); border-radius: 0; }
@media print { body { background: none; } .chart, .sample { break-inside: avoid; } }
)css";

const char* const kReportScript = R"js(
"use strict";
const LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 24, HEIGHT = 232;
const color = i => `var(--c${i % 8})`;

function add(parent, tag, className, text) {
  const node = parent.appendChild(document.createElement(tag));
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
function draw(parent, tag, attributes, text) {
  const node = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
}
function say(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return value.toExponential(2);
  for (const [unit, name] of [[1e6, "M"], [1e4, "k"]]) {
    if (size >= unit) return +(value / (name === "k" ? 1e3 : unit)).toPrecision(4) + name;
  }
  return size !== 0 && size < 1e-3 ? value.toExponential(2).replace(/\.?0+e/, "e") : String(+value.toPrecision(4));
}
function ticks(low, high, count) {
  const rough = (high - low) / count, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(k => k * unit).find(s => s >= rough);
  const result = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) result.push(k * step);
  return result;
}
function logTicks(low, high) {
  const few = Math.log10(high / low) < 2, result = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) {
    for (const k of few ? [1, 2, 5] : [1]) {
      const value = k * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) result.push(value);
    }
  }
  return result.length > 8 ? result.filter((_, i) => i % Math.ceil(result.length / 8) === 0) : result;
}
function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle; else high = middle;
  }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
}

class Chart {
  constructor(parent, spec) {
    this.spec = spec;
    this.log = false;
    this.box = add(parent, "figure", "chart");
    const head = add(this.box, "div", "head");
    add(head, "b", "", spec.title);
    if (spec.unit) add(head, "small", "", spec.unit);
    if (!spec.shares) this.addToggle(head);
    if (spec.series.length > 1) {
      const legend = add(this.box, "div", "legend");
      spec.series.forEach((s, i) => {
        const item = add(legend, "span");
        add(item, "i", s.points ? "dot" : "").style.background = color(i);
        item.append(s.name);
      });
    }
    this.svg = draw(this.box, "svg", { role: "img", "aria-label": spec.title });
    this.svg.addEventListener("pointermove", e => this.hover(e));
    this.svg.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.render()).observe(this.box);
  }
  addToggle(head) {
    const button = add(head, "button", "", "log");
    button.type = "button";
    button.title = "logarithmic scale";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      this.log = !this.log;
      button.setAttribute("aria-pressed", this.log);
      this.render();
    });
  }
  /* The range shows all smooth lines and dots; of raw values, one in a hundred may stand outside. */
  findRange() {
    const usable = v => v !== null && (!this.log || v > 0);
    let all = [], steps = [];
    for (const s of this.spec.series) {
      const raw = s.raw.y.filter(usable).sort((a, b) => a - b);
      const spare = s.points ? 0 : Math.floor(raw.length / 100);
      all = all.concat(s.smooth.y.filter(usable), raw.slice(spare, raw.length - spare));
      steps = steps.concat(s.raw.x, s.smooth.x);
    }
    const least = list => list.reduce((a, b) => Math.min(a, b), Infinity);
    const most = list => list.reduce((a, b) => Math.max(a, b), -Infinity);
    this.first = least(steps);
    this.last = Math.max(most(steps), this.first + 1);
    if (this.spec.shares) return [0, 100];
    if (!all.length) return this.log ? [0.1, 1] : [0, 1];
    let low = least(all), high = most(all);
    if (this.log) return low < high ? [low / 1.05, high * 1.05] : [low / 2, high * 2];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }
  render() {
    this.leave();
    const width = this.svg.clientWidth, [low, high] = this.findRange();
    if (!width) return;
    this.width = width;
    const bend = this.log ? Math.log10 : v => v;
    this.x = step => LEFT + (step - this.first) / (this.last - this.first) * (width - LEFT - RIGHT);
    this.y = v => HEIGHT - BOTTOM - (bend(v) - bend(low)) / (bend(high) - bend(low)) * (HEIGHT - TOP - BOTTOM);
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const v of this.log ? logTicks(low, high) : ticks(low, high, 7)) {
      draw(this.svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: this.y(v), y2: this.y(v) });
      draw(this.svg, "text", { x: LEFT - 8, y: this.y(v) + 4, "text-anchor": "end" }, say(v));
    }
    for (const step of ticks(this.first, this.last, Math.max(2, width / 110)).filter(Number.isInteger)) {
      const anchor = this.x(step) > width - RIGHT - 14 ? "end" : "middle";
      draw(this.svg, "text", { x: this.x(step), y: HEIGHT - 6, "text-anchor": anchor }, say(step));
    }
    draw(this.svg, "line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM });
    const clip = "clip" + Chart.count++;
    const shape = draw(draw(this.svg, "defs", {}), "clipPath", { id: clip });
    draw(shape, "rect", { x: LEFT - 6, y: TOP - 6, width: width - LEFT - RIGHT + 12, height: HEIGHT - TOP - BOTTOM + 6 });
    this.plot = draw(this.svg, "g", { "clip-path": `url(#${clip})` });
    if (this.spec.shares) this.drawShares(); else this.drawLines();
  }
  path(curve) {
    let result = "", pen = "M";
    curve.y.forEach((v, i) => {
      if (v === null || (this.log && v <= 0)) { pen = "M"; return; }
      result += `${pen}${this.x(curve.x[i]).toFixed(1)} ${this.y(v).toFixed(1)}`;
      pen = "L";
    });
    return result;
  }
  drawLines() {
    this.spec.series.forEach((s, i) => {
      if (!s.points) draw(this.plot, "path", { class: "raw", d: this.path(s.raw), stroke: color(i) });
    });
    this.spec.series.forEach((s, i) => {
      if (!s.points) { draw(this.plot, "path", { class: "smooth", d: this.path(s.smooth), stroke: color(i) }); return; }
      draw(this.plot, "path", { class: "join", d: this.path(s.raw), stroke: color(i) });
      s.raw.y.forEach((v, k) => {
        if (v === null || (this.log && v <= 0)) return;
        draw(this.plot, "circle", { class: "dots", cx: this.x(s.raw.x[k]), cy: this.y(v), r: 4, fill: color(i) });
      });
    });
  }
  drawShares() {
    const xs = this.spec.series[0].smooth.x;
    let below = xs.map(() => 0);
    this.spec.series.forEach((s, i) => {
      const above = below.map((v, k) => v + s.smooth.y[k]);
      const edge = (list, k) => `${this.x(xs[k]).toFixed(1)} ${this.y(list[k]).toFixed(1)}`;
      const up = xs.map((_, k) => edge(above, k)), down = xs.map((_, k) => edge(below, k)).reverse();
      draw(this.plot, "path", { d: "M" + up.concat(down).join("L") + "Z", fill: color(i), opacity: 0.75 });
      below = above;
    });
  }
  hover(event) {
    const place = this.svg.getBoundingClientRect(), px = event.clientX - place.left;
    const guide = this.spec.series.map(s => s.smooth.x.length ? s.smooth.x : s.raw.x).find(x => x.length);
    if (!guide || !this.x) return;
    const wanted = this.first + (px - LEFT) / (this.width - LEFT - RIGHT) * (this.last - this.first);
    const step = guide[nearest(guide, wanted)];
    this.leave();
    this.cross = draw(this.svg, "line", { class: "cross", x1: this.x(step), x2: this.x(step), y1: TOP, y2: HEIGHT - BOTTOM });
    this.tip = add(this.box, "div", "tip");
    add(this.tip, "div", "when", "step " + step);
    this.spec.series.forEach((s, i) => this.addReading(s, i, step));
    const box = this.box.getBoundingClientRect(), left = place.left - box.left + this.x(step);
    const right = this.x(step) < this.width / 2;
    this.tip.style.left = (right ? left + 12 : left - 12 - this.tip.offsetWidth) + "px";
    this.tip.style.top = place.top - box.top + 12 + "px";
  }
  addReading(series, i, step) {
    const curve = series.points ? series.raw : series.smooth;
    if (!curve.x.length) return;
    const k = nearest(curve.x, step), row = add(this.tip, "div"), name = add(row, "span");
    add(name, "i", series.points ? "dot" : "").style.background = color(i);
    name.append(series.points && curve.x[k] !== step ? `${series.name} (step ${curve.x[k]})` : series.name);
    add(row, "b", "", say(curve.y[k]) + (this.spec.shares ? " %" : ""));
    if (!series.points && series.raw.x.length) {
      const raw = add(this.tip, "div", "when");
      add(raw, "span", "", "unsmoothed");
      add(raw, "span", "", say(series.raw.y[nearest(series.raw.x, step)]));
    }
  }
  leave() {
    if (this.cross) this.cross.remove();
    if (this.tip) this.tip.remove();
    this.cross = this.tip = null;
  }
}
Chart.count = 0;
const charts = document.getElementById("charts");
if (charts) JSON.parse(document.getElementById("data").textContent).forEach(spec => new Chart(charts, spec));
)js";

}  // namespace veomni
