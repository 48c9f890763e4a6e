
"use strict";
const drawings = JSON.parse(document.getElementById("drawings").textContent);
const canvas = document.getElementById("paths"), tip = document.getElementById("tip");
const which = document.getElementById("which"), pen = canvas.getContext("2d");
const START = { yaw: -0.6, pitch: 0.35 };
const REACH = 14; // pixels around a dot that count as pointing at it
let view = { ...START }, shown = drawings[0], dots = [], held = null, middle = [0, 0, 0], extent = 1;

function choose(index) {
  shown = drawings[index];
  const all = [...shown.trial, ...shown.control];
  middle = [0, 1, 2].map(axis => (Math.min(...all.map(p => p[axis])) + Math.max(...all.map(p => p[axis]))) / 2);
  extent = Math.max(1e-9, ...all.map(p => Math.hypot(...p.map((value, axis) => value - middle[axis]))));
  const parts = shown.shares.map((share, axis) => `component ${axis + 1}: ${(100 * share).toFixed(0)}%`);
  document.getElementById("shares").textContent = `Share of the variance of both paths: ${parts.join(", ")}.`;
  entries();
  draw();
}

function entries() {
  const list = document.getElementById("legend");
  list.replaceChildren();
  const add = (text, colour, kind) => {
    const item = document.createElement("li"), mark = document.createElement("span");
    mark.className = kind;
    mark.style.borderColor = colour;
    if (kind === "star") mark.textContent = "★";
    item.append(mark, text);
    list.append(item);
  };
  for (const [name, colour] of shown.legend) add(name, colour, "");
  add("trial", "#1c1c1a", "");
  add("control, nothing injected", "#1c1c1a", "dashed");
  add("injected here", "#1c1c1a", "star");
}

function turned(point) {
  const [x, y, z] = point.map((value, axis) => (value - middle[axis]) / extent);
  const across = x * Math.cos(view.yaw) + z * Math.sin(view.yaw), away = z * Math.cos(view.yaw) - x * Math.sin(view.yaw);
  return [across, y * Math.cos(view.pitch) - away * Math.sin(view.pitch)];
}

function draw() {
  const wide = canvas.clientWidth, high = canvas.clientHeight, fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(wide * fine);
  canvas.height = Math.round(high * fine);
  pen.setTransform(fine, 0, 0, fine, 0, 0);
  pen.clearRect(0, 0, wide, high);
  const size = 0.46 * Math.min(wide, high) * Math.min(1.6, Math.max(1, wide / high));
  const place = point => { const [x, y] = turned(point); return [wide / 2 + size * x, high / 2 - size * y]; };
  axes(place);
  dots = [];
  path("control", place, [5, 4], 0.6);
  path("trial", place, [], 1);
  for (const index of shown.injected) star(...place(shown.trial[index]));
}

function axes(place) {
  pen.globalAlpha = 1;
  pen.strokeStyle = "#cccccc";
  pen.fillStyle = "#777777";
  pen.lineWidth = 1;
  pen.setLineDash([]);
  pen.font = "12px system-ui, sans-serif";
  for (const axis of [0, 1, 2]) {
    const end = [...middle];
    end[axis] += 0.5 * extent;
    const [from, to] = [place(middle), place(end)];
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    pen.fillText(String(axis + 1), to[0] + 3, to[1] - 3);
  }
}

function path(kind, place, dashes, alpha) {
  const places = shown[kind].map(place);
  pen.lineWidth = 2;
  pen.globalAlpha = alpha;
  pen.setLineDash(dashes);
  for (let index = 1; index < places.length; index += 1) {
    pen.strokeStyle = shown.colours[index];
    pen.beginPath();
    pen.moveTo(...places[index - 1]);
    pen.lineTo(...places[index]);
    pen.stroke();
  }
  pen.setLineDash([]);
  places.forEach(([x, y], index) => {
    pen.fillStyle = shown.colours[index];
    pen.beginPath();
    pen.arc(x, y, 4, 0, 2 * Math.PI);
    pen.fill();
    dots.push({ x, y, kind, index });
  });
  pen.globalAlpha = 1;
}

function star(x, y) {
  pen.beginPath();
  for (let corner = 0; corner < 10; corner += 1) {
    const far = corner % 2 ? 4 : 10, angle = Math.PI * (corner / 5 - 0.5);
    pen.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
  }
  pen.closePath();
  pen.fillStyle = "#1c1c1a";
  pen.fill();
}

function point(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const near = dots.map(dot => ({ ...dot, far: Math.hypot(dot.x - x, dot.y - y) })).sort((a, b) => a.far - b.far)[0];
  tip.hidden = !near || near.far > REACH;
  if (tip.hidden) return;
  const step = near.index ? `\nstep ${shown.steps[near.kind][near.index - 1].toPrecision(3)}` : "";
  tip.textContent = `${shown.names[near.index]}, ${near.kind}${step}`;
  const left = Math.min(near.x + 12, canvas.clientWidth - tip.offsetWidth - 4);
  tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, near.y - tip.offsetHeight - 8)}px)`;
}

function turn(yaw, pitch) {
  view = { yaw: view.yaw + yaw, pitch: Math.max(-1.57, Math.min(1.57, view.pitch + pitch)) };
  tip.hidden = true;
  draw();
}

canvas.addEventListener("pointerdown", event => {
  held = [event.clientX, event.clientY];
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", event => {
  if (!held) { point(event); return; }
  turn((event.clientX - held[0]) * 0.01, (event.clientY - held[1]) * 0.01);
  held = [event.clientX, event.clientY];
});
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { held = null; });
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
canvas.addEventListener("keydown", event => {
  if (!KEYS[event.key]) return;
  event.preventDefault();
  turn(...KEYS[event.key]);
});
which.addEventListener("change", () => choose(Number(which.value)));
document.getElementById("reset").addEventListener("click", () => { view = { ...START }; draw(); });
window.addEventListener("resize", draw);
choose(0);
