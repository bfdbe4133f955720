// What people do: legend, filter, mouse, keys.

const shapes = {
  broadcast: '<circle cx="10" cy="7" r="4" fill="currentColor"/>',
  delivery: '<path d="M1 1 14 6.5" stroke="var(--o0)" stroke-width="1.4"/><circle cx="16" cy="7.5" r="3" fill="none" stroke="var(--o0)" stroke-width="1.6"/>',
  frame: '<path d="M2 1 18 13" stroke="var(--muted)" opacity=".7"/>',
  lost: '<path d="M2 1 12 9" stroke="var(--bad)" stroke-dasharray="3 2"/><path d="m11 7 5 5m0-5-5 5" stroke="var(--bad)"/>',
  start: '<path d="M4 0V14M4 7H20" stroke="currentColor" stroke-width="2"/>',
  crash: '<path d="m5 2 10 10m0-10L5 12" stroke="var(--bad)" stroke-width="2.4"/>',
  stop: '<rect x="6" y="3" width="8" height="8" fill="currentColor"/>',
  suspected: '<path d="m10 2 5 9H5z" fill="var(--warn)"/>',
  restored: '<path d="m10 2 5 9H5z" fill="none" stroke="var(--good)" stroke-width="1.5"/>',
  partition: '<rect width="20" height="7" fill="var(--side-0)" stroke="var(--faint)" stroke-width=".5"/><rect y="7" width="20" height="7" fill="var(--side-1)" stroke="var(--faint)" stroke-width=".5"/>',
  pause: '<path d="m1 13 6-12m0 12L13 1m0 12 6-12" stroke="var(--warn)"/>',
  missing: '<rect x="5" y="3" width="8" height="8" fill="none" stroke="var(--warn)" stroke-dasharray="2 2" stroke-width="1.5"/>',
  note: '<circle cx="10" cy="7" r="2" fill="var(--muted)"/>',
};

for (const [kind, name, count] of legend) {
  const button = make("button", { type: "button", "aria-pressed": String(shown[kind]), "data-kind": kind, "data-count": count });
  button.innerHTML = `<svg viewBox="0 0 20 14" aria-hidden="true">${shapes[kind]}</svg>`; // of this file, not of the trace
  button.append(name, make("span", { class: "count" }, count.toLocaleString("en")));
  button.disabled = count === 0;
  button.addEventListener("click", () => {
    shown[kind] = !shown[kind];
    button.setAttribute("aria-pressed", String(shown[kind]));
    repaint();
  });
  $("legend").append(make("li", {}, button));
}

lanes.forEach((it, at) => $("origin").append(make("option", { value: at }, it.name)));
[...new Set(messages.map((it) => it.via))].sort().forEach((via) => $("via").append(make("option", { value: via }, via)));
$("about").textContent = data.about;
document.title = `${data.about || "run"}: space-time diagram`;

function applyFilter() {
  filter.text = $("filter").value.trim().toLowerCase();
  filter.origin = $("origin").value;
  filter.via = $("via").value;
  refilter();
  const wanted = messages.filter((it) => it.wanted).length;
  $("matches").textContent = filtered() ? `${wanted} of ${messages.length} messages` : "";
  repaint();
}
["filter", "origin", "via"].forEach((id) => $(id).addEventListener("input", applyFilter));

const choose = (point) => { chosen = point; tell(point); repaint(); };
function zoomTo({ item, at }) {
  const ends = item.body === undefined ? [] : item.deliveries.map((it) => it.at);
  const [from, until] = [Math.min(at, ...ends), Math.max(at, ...ends)];
  const room = Math.max((until - from) * 0.6, (view.until - view.from) * (ends.length ? 0 : 0.1), 1e5);
  look(from - room, until + room);
  repaint();
}

// What is under the mouse: the nearest point, else the nearest arrow.
function under(x, y) {
  let best = null, least = 11;
  for (const point of points) {
    if (!visible(point) || !inView(point.at, point.at)) continue;
    const away = Math.hypot(timeX(point.at) - x, laneY(point.lane) + (offsets[point.kind] || 0) - y);
    if (away < least) [best, least] = [point, away];
  }
  if (best || !shown.delivery) return best;
  least = 5;
  for (const message of messages) {
    if (!message.wanted) continue;
    for (const delivery of message.deliveries) {
      const line = arrow(message, delivery);
      if (!line) continue;
      const [x1, y1, x2, y2] = line;
      const square = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1;
      const part = Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / square));
      const away = Math.hypot(x1 + part * (x2 - x1) - x, y1 + part * (y2 - y1) - y);
      if (away < least) [best, least] = [{ message, delivery }, away];
    }
  }
  return best && points.find((it) => it.item === best.message && it.delivery === best.delivery);
}

function tip(point, x, y) {
  const box = $("tip");
  box.hidden = !point;
  if (!point) return;
  const lines = [make("b", {}, headline(point)), make("span", {}, moment(point.at))];
  if (point.item.body !== undefined) {
    const times = point.delivery ? point.delivery.times : point.item.times;
    lines.push(make("span", {}, point.item.id || "never delivered"), make("span", {}, `Lamport ${times[0]}  ·  ${vector(times)}`));
  } else if (point.item.text || point.item.why) lines.push(make("span", {}, point.item.text || point.item.why));
  box.replaceChildren(...lines);
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.min(x + 14, size.width - width - 8)}px`;
  box.style.top = `${y + height + 24 > size.height ? y - height - 12 : y + 16}px`;
}

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  drag = { x: event.offsetX, from: view.from, until: view.until, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (drag) {
    const by = ((event.offsetX - drag.x) / (size.width - LEFT - RIGHT)) * (drag.until - drag.from);
    drag.moved ||= Math.abs(event.offsetX - drag.x) > 3;
    if (drag.moved) { canvas.classList.add("drag"); tip(null); look(drag.from - by, drag.until - by); repaint(); }
    return;
  }
  const point = under(event.offsetX, event.offsetY);
  canvas.classList.toggle("over", Boolean(point));
  tip(point, event.offsetX, event.offsetY);
  if (point !== hovered) { hovered = point; repaint(); }
});
canvas.addEventListener("pointerup", (event) => {
  if (drag && !drag.moved) choose(under(event.offsetX, event.offsetY));
  drag = null;
  canvas.classList.remove("drag");
});
canvas.addEventListener("pointercancel", () => { drag = null; canvas.classList.remove("drag"); });
canvas.addEventListener("pointerleave", () => { hovered = null; tip(null); repaint(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 1000);
  else zoom(1.0018 ** event.deltaY, xTime(event.offsetX));
  repaint();
}, { passive: false });

const onMap = (event) => {
  if (event.type === "pointermove" && !event.buttons) return;
  const at = whole.from + ((event.offsetX - LEFT) / (size.width - LEFT - RIGHT)) * (whole.until - whole.from);
  const half = (view.until - view.from) / 2;
  look(at - half, at + half);
  repaint();
};
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); onMap(event); });
map.addEventListener("pointermove", onMap);

// The next event in a direction of time, or the nearest on another lane.
function step(by, otherLane = 0) {
  const seen = points.filter(visible);
  if (!seen.length) return;
  let next;
  if (otherLane && chosen) {
    const there = seen.filter((it) => it.lane === chosen.lane + otherLane);
    next = there.reduce((best, it) => (!best || Math.abs(it.at - chosen.at) < Math.abs(best.at - chosen.at) ? it : best), null);
  } else {
    const at = chosen ? seen.indexOf(chosen) : by > 0 ? seen.findIndex((it) => it.at >= view.from) - 1 : seen.length;
    next = seen[at + by];
  }
  if (!next) return;
  if (!inView(next.at, next.at)) { const half = (view.until - view.from) / 2; look(next.at - half, next.at + half); }
  choose(next);
}

const dark = (on) => { document.documentElement.classList.toggle("dark", on); colours(); tell(chosen); repaint(); };
const keys = {
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7),
  0: () => look(whole.from, whole.until), Home: () => look(whole.from, whole.until),
  n: () => step(1), p: () => step(-1), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
  Enter: () => chosen && zoomTo(chosen), Escape: () => { choose(null); $("keys").hidden = true; },
  "/": () => $("filter").focus(), d: () => dark(!document.documentElement.classList.contains("dark")), "?": () => $("help").click(),
};
document.addEventListener("keydown", (event) => {
  const field = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (field && event.key === "Escape") canvas.focus();
  const pressed = event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ");
  if (field || pressed || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
  repaint();
});

const press = (id, act) => $(id).addEventListener("click", () => { act(); repaint(); });
press("in", () => zoom(0.6));
press("out", () => zoom(1 / 0.6));
press("fit", () => look(whole.from, whole.until));
press("theme", keys.d);
press("help", () => { $("keys").hidden = !$("keys").hidden; $("help").setAttribute("aria-expanded", String(!$("keys").hidden)); });

// `#from=1.5&to=2&dark` opens a span of seconds.
const wanted = new URLSearchParams(location.hash.slice(1));
if (wanted.has("from") && wanted.has("to")) look(Number(wanted.get("from")) * 1e9, Number(wanted.get("to")) * 1e9);
dark(wanted.has("dark") || (!wanted.has("light") && matchMedia("(prefers-color-scheme: dark)").matches));
if (wanted.has("find")) { $("filter").value = wanted.get("find"); applyFilter(); const found = points.find((it) => it.item.wanted && it.kind === "broadcast"); if (found) choose(found); }
new ResizeObserver(repaint).observe(stage);
paint();
