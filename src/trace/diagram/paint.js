// Paints the canvas: shades, lanes, frames, arrows, points, axis; then the map.

const canvas = $("canvas"), map = $("map"), stage = $("stage");
const LEFT = 118, TOP = 34, RIGHT = 18;
let ink = {}, size = { width: 0, height: 0 }, chosen = null, hovered = null;

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  ink = Object.fromEntries(["paper", "panel", "ink", "muted", "rule", "faint", "bad", "warn", "good", "choice"].map((it) => [it, get(it)]));
  ink.sides = [0, 1, 2].map((n) => get(`side-${n}`));
  ink.origins = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => get(`o${n}`));
};
const origin = (at) => ink.origins[at % ink.origins.length];
const pitch = () => (size.height - TOP - 12) / Math.max(lanes.length, 1);
const laneY = (at) => TOP + pitch() * (at + 0.5);
const timeX = (at) => LEFT + ((at - view.from) / (view.until - view.from)) * (size.width - LEFT - RIGHT);
const xTime = (x) => view.from + ((x - LEFT) / (size.width - LEFT - RIGHT)) * (view.until - view.from);
const inView = (a, b) => a <= view.until && b >= view.from;

const fitCanvas = (element) => {
  const { width, height } = element.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  if (element.width !== Math.round(width * scale)) element.width = Math.round(width * scale);
  if (element.height !== Math.round(height * scale)) element.height = Math.round(height * scale);
  const draw = element.getContext("2d");
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  draw.clearRect(0, 0, width, height);
  return [draw, { width, height }];
};

const tickStep = () => {
  const least = (view.until - view.from) / Math.max((size.width - LEFT - RIGHT) / 110, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
};

function paintAxis(draw) {
  const step = tickStep();
  draw.lineWidth = 1;
  draw.font = "12px system-ui, sans-serif";
  draw.textBaseline = "middle";
  for (let at = Math.ceil(Math.max(view.from, 0) / step) * step; at <= view.until && at <= data.end + step; at += step) {
    const x = Math.round(timeX(at)) + 0.5;
    draw.strokeStyle = ink.rule;
    draw.beginPath(); draw.moveTo(x, TOP - 6); draw.lineTo(x, size.height); draw.stroke();
    draw.fillStyle = ink.muted;
    draw.textAlign = "center";
    if (x > LEFT + 14 && x < size.width - 20) draw.fillText(time(at, step), x, TOP - 18);
  }
  draw.textAlign = "right";
  draw.fillStyle = ink.muted;
  draw.fillText(data.clock === "virtual" ? "virtual time" : "since the start", LEFT - 16, TOP - 18);
}

function paintShades(draw) {
  const half = pitch() / 2;
  if (shown.partition) {
    for (const part of partitions) {
      if (!inView(part.from, part.until)) continue;
      const [from, until] = [Math.max(timeX(part.from), LEFT), Math.min(timeX(part.until), size.width)];
      part.sides.forEach((side, n) => side.forEach((at) => {
        const touched = part.sides.length > 1 || part.pairs.some(([a, b]) => a === at || b === at);
        if (!touched) return;
        draw.fillStyle = part.sides.length > 1 ? ink.sides[Math.min(n, 2)] : ink.sides[0];
        draw.fillRect(from, laneY(at) - half, Math.max(until - from, 1), pitch());
      }));
    }
  }
  if (shown.pause) {
    for (const [at, from, until] of data.pauses) {
      if (!inView(from, until)) continue;
      const [a, b] = [Math.max(timeX(from), LEFT), Math.min(timeX(until), size.width)];
      draw.save();
      draw.beginPath(); draw.rect(a, laneY(at) - 11, Math.max(b - a, 2), 22); draw.clip();
      draw.strokeStyle = ink.warn; draw.globalAlpha = 0.5; draw.lineWidth = 1;
      draw.beginPath();
      for (let x = a - 22; x < b; x += 6) { draw.moveTo(x, laneY(at) + 11); draw.lineTo(x + 22, laneY(at) - 11); }
      draw.stroke();
      draw.restore();
    }
  }
}

function paintLanes(draw) {
  lanes.forEach((it, at) => {
    const y = Math.round(laneY(at)) + 0.5;
    draw.strokeStyle = ink.faint; draw.lineWidth = 1.5; draw.setLineDash([2, 5]);
    draw.beginPath(); draw.moveTo(LEFT, y); draw.lineTo(size.width - RIGHT, y); draw.stroke();
    draw.setLineDash([]);
    for (const life of laneLives[at]) {
      if (life.end === "unrecorded" || !inView(life.from, life.until)) continue;
      const [from, until] = [Math.max(timeX(life.from), LEFT), Math.min(timeX(life.until), size.width - RIGHT)];
      draw.strokeStyle = ink.ink; draw.lineWidth = 2;
      draw.beginPath(); draw.moveTo(from, y); draw.lineTo(Math.max(until, from + 1), y); draw.stroke();
    }
  });
}

// Names stand over whatever reaches into the margin.
function paintNames(draw) {
  draw.fillStyle = ink.paper;
  draw.fillRect(0, TOP - 4, LEFT - 6, size.height);
  lanes.forEach((it, at) => {
    const y = laneY(at);
    draw.fillStyle = origin(at);
    draw.beginPath(); draw.arc(24, y, 4.5, 0, 7); draw.fill();
    draw.textAlign = "left"; draw.textBaseline = "middle";
    draw.fillStyle = ink.ink; draw.font = "600 13px system-ui, sans-serif";
    draw.fillText(it.name.length > 11 ? `${it.name.slice(0, 10)}…` : it.name, 36, y - (laneLives[at].length > 1 || !it.voter ? 7 : 0));
    draw.fillStyle = ink.muted; draw.font = "11px system-ui, sans-serif";
    const told = [!it.voter && "listener", laneLives[at].length > 1 && `${laneLives[at].length} lives`].filter(Boolean).join(", ");
    if (told) draw.fillText(told, 36, y + 9);
  });
}

// Lines of one look, stroked at once.
const strokes = (draw, lines, colour, alpha, width, dash = []) => {
  if (!lines.length) return;
  draw.strokeStyle = colour; draw.globalAlpha = alpha; draw.lineWidth = width; draw.setLineDash(dash);
  draw.beginPath();
  for (const [x1, y1, x2, y2] of lines) { draw.moveTo(x1, y1); draw.lineTo(x2, y2); }
  draw.stroke();
  draw.setLineDash([]); draw.globalAlpha = 1;
};

function paintFrames(draw) {
  if (filtered()) return;
  const passed = [], lost = [];
  for (const it of frames) {
    const until = it.arrived ?? it.sent;
    if (!inView(it.sent, until)) continue;
    const [x1, y1, y2] = [timeX(it.sent), laneY(lane(it.from)), laneY(lane(it.to))];
    if (it.arrived !== null) passed.push([x1, y1, timeX(it.arrived), y2]);
    else if (it.lost) lost.push([x1, y1, x1 + 9, y1 + Math.sign(y2 - y1) * Math.min(26, pitch() * 0.4)]);
  }
  if (shown.frame) strokes(draw, passed, ink.muted, passed.length > 2000 ? 0.06 : passed.length > 300 ? 0.13 : 0.32, 1);
  if (shown.lost) {
    strokes(draw, lost, ink.bad, lost.length > 800 ? 0.25 : 0.6, 1, [3, 3]);
    const crosses = lost.length > 800 ? [] : lost.flatMap(([, , x, y]) => [[x - 2.5, y - 2.5, x + 2.5, y + 2.5], [x + 2.5, y - 2.5, x - 2.5, y + 2.5]]);
    strokes(draw, crosses, ink.bad, 0.8, 1);
  }
}

// One message's way to one node: [x1, y1, x2, y2], or null where it has none.
const arrow = (message, delivery) => {
  if (message.at === null || !inView(Math.min(message.at, delivery.at), Math.max(message.at, delivery.at))) return null;
  return [timeX(message.at), laneY(lane(message.life)), timeX(delivery.at), laneY(lane(delivery.life))];
};

const head = (draw, [x1, y1, x2, y2]) => {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
  const [x, y] = [x2 - dx * 4.5, y2 - dy * 4.5];
  draw.moveTo(x, y);
  draw.lineTo(x - dx * 7 + dy * 3, y - dy * 7 - dx * 3);
  draw.lineTo(x - dx * 7 - dy * 3, y - dy * 7 + dx * 3);
};

function paintMessages(draw, focus) {
  if (!shown.delivery) return;
  const groups = lanes.map(() => ({ lines: [], own: [], faint: [] }));
  let count = 0;
  for (const message of messages) {
    if (message === focus) continue;
    const group = groups[lane(message.life)];
    for (const delivery of message.deliveries) {
      const line = arrow(message, delivery);
      if (!line) continue;
      if (!message.wanted) group.faint.push(line);
      else if (line[1] === line[3]) group.own.push(line);
      else { group.lines.push(line); count += 1; }
    }
  }
  canvas.dataset.arrows = count + groups.reduce((sum, { own }) => sum + own.length, 0); // what stands there, for who cannot see it
  const alpha = (count > 4000 ? 0.14 : count > 1200 ? 0.3 : count > 300 ? 0.5 : 0.8) * (focus ? 0.3 : 1);
  groups.forEach(({ lines, own, faint }, at) => {
    strokes(draw, faint, ink.muted, 0.05, 1);
    strokes(draw, lines, origin(at), alpha, count > 300 ? 1 : 1.3);
    arcs(draw, own, origin(at), alpha * 0.8);
    if (count <= 1200) heads(draw, lines, origin(at), Math.min(1, alpha + 0.1));
  });
}
const heads = (draw, lines, colour, alpha) => {
  draw.fillStyle = colour; draw.globalAlpha = alpha;
  draw.beginPath(); lines.forEach((line) => head(draw, line)); draw.fill();
  draw.globalAlpha = 1;
};
const arcs = (draw, lines, colour, alpha) => {
  draw.strokeStyle = colour; draw.globalAlpha = alpha; draw.lineWidth = 1;
  draw.beginPath();
  for (const [x1, y, x2] of lines) {
    if (x2 - x1 < 5) continue;
    draw.moveTo(x1, y); draw.quadraticCurveTo((x1 + x2) / 2, y - Math.min(26, 7 + (x2 - x1) / 5), x2, y);
  }
  draw.stroke();
  draw.globalAlpha = 1;
};

const glyphs = {
  broadcast: (draw, x, y, colour) => { draw.fillStyle = colour; draw.beginPath(); draw.arc(x, y, 4, 0, 7); draw.fill(); },
  delivery: (draw, x, y, colour) => {
    draw.fillStyle = ink.paper; draw.strokeStyle = colour; draw.lineWidth = 1.6;
    draw.beginPath(); draw.arc(x, y, 3.2, 0, 7); draw.fill(); draw.stroke();
  },
  start: (draw, x, y) => { draw.fillStyle = ink.ink; draw.fillRect(x - 1, y - 9, 2, 18); },
  crash: (draw, x, y) => {
    for (const [colour, width] of [[ink.paper, 6], [ink.bad, 2.4]]) strokes(draw, [[x - 5.5, y - 5.5, x + 5.5, y + 5.5], [x + 5.5, y - 5.5, x - 5.5, y + 5.5]], colour, 1, width);
  },
  stop: (draw, x, y) => { draw.fillStyle = ink.ink; draw.fillRect(x - 4, y - 4, 8, 8); },
  suspected: (draw, x, y) => triangle(draw, x, y + 15, ink.warn, true),
  restored: (draw, x, y) => triangle(draw, x, y + 15, ink.good, false),
  missing: (draw, x, y) => { draw.strokeStyle = ink.warn; draw.lineWidth = 1.5; draw.setLineDash([2, 2]); draw.strokeRect(x - 4, y - 27, 8, 8); draw.setLineDash([]); },
  note: (draw, x, y) => { draw.fillStyle = ink.muted; draw.beginPath(); draw.arc(x, y - 13, 1.8, 0, 7); draw.fill(); },
};
const triangle = (draw, x, y, colour, full) => {
  draw.beginPath(); draw.moveTo(x, y - 5); draw.lineTo(x + 4.8, y + 3.5); draw.lineTo(x - 4.8, y + 3.5); draw.closePath();
  if (full) { draw.fillStyle = colour; draw.fill(); } else { draw.strokeStyle = colour; draw.lineWidth = 1.5; draw.stroke(); }
};
const offsets = { suspected: 15, restored: 15, missing: -23, note: -13 };
const paintPoint = (draw, point) => glyphs[point.kind](draw, timeX(point.at), laneY(point.lane), point.item.body === undefined ? ink.ink : origin(lane(point.item.life)));

// Where points of one kind are closer than this many pixels on average, they
// are ticks; where closer than two, one stands for all.
const ROOM = 9;
const tickColours = { crash: "bad", suspected: "warn", restored: "good", missing: "warn", start: "ink", stop: "ink", note: "faint" };
const ORDER = ["note", "start", "delivery", "broadcast", "missing", "restored", "suspected", "stop", "crash"];
function paintPoints(draw, focus) {
  const seen = points.filter((point) => visible(point) && inView(point.at, point.at));
  for (const kind of ORDER) {
    const rows = lanes.map((_, at) => seen.filter((point) => point.kind === kind && point.lane === at));
    rows.forEach((row, at) => {
      const tight = row.length * ROOM > size.width - LEFT;
      let last = -9;
      for (const point of row) {
        const x = timeX(point.at);
        if (tight && x - last < 2) continue;
        last = x;
        draw.globalAlpha = focus && point.item !== focus && point.item.body !== undefined ? 0.35 : 1;
        if (!tight) { paintPoint(draw, point); continue; }
        const y = laneY(at) + (offsets[kind] || 0), half = kind === "crash" ? 8 : 5;
        strokes(draw, [[x, y - half, x, y + half]], ink[tickColours[kind]] || origin(lane(point.item.life)), 1, 1);
      }
    });
    draw.globalAlpha = 1;
  }
  canvas.dataset.points = seen.length;
  draw.font = "11px system-ui, sans-serif"; draw.textAlign = "left"; draw.textBaseline = "alphabetic"; draw.fillStyle = ink.muted;
  draw.strokeStyle = ink.paper; draw.lineWidth = 4;
  const labelled = lanes.map(() => -99);
  for (const point of seen) {
    const x = timeX(point.at) + 5;
    if (point.kind !== "start" || laneLives[point.lane].length < 2 || x - labelled[point.lane] < 46) continue;
    labelled[point.lane] = x;
    const told = [`life ${point.item.number}`, x, laneY(point.lane) - 8];
    draw.strokeText(...told); draw.fillText(...told);
  }
}

function paintFocus(draw, point) {
  const message = point.item.body === undefined ? null : point.item;
  if (message) {
    const lines = message.deliveries.map((delivery) => arrow(message, delivery)).filter(Boolean);
    const colour = origin(lane(message.life));
    const across = lines.filter((line) => line[1] !== line[3]);
    strokes(draw, across, colour, 1, 2.2);
    heads(draw, across, colour, 1);
    arcs(draw, lines.filter((line) => line[1] === line[3]), colour, 1);
    points.filter((it) => it.item === message && shown[it.kind]).forEach((it) => paintPoint(draw, it));
  }
  draw.strokeStyle = ink.choice; draw.lineWidth = 2;
  draw.beginPath(); draw.arc(timeX(point.at), laneY(point.lane) + (offsets[point.kind] || 0), 8.5, 0, 7); draw.stroke();
}

function paintMap() {
  const [draw, { width, height }] = fitCanvas(map);
  const x = (at) => LEFT + ((at - whole.from) / (whole.until - whole.from)) * (width - LEFT - RIGHT);
  const columns = new Array(Math.max(1, Math.floor((width - LEFT - RIGHT) / 3))).fill(0);
  for (const point of points) {
    if (point.kind !== "note") columns[Math.min(columns.length - 1, Math.floor((x(point.at) - LEFT) / 3))] += 1;
  }
  const most = Math.max(1, ...columns);
  draw.fillStyle = ink.faint;
  columns.forEach((count, n) => { if (count) { const h = 3 + (height - 14) * Math.sqrt(count / most); draw.fillRect(LEFT + n * 3, height - 5 - h, 2, h); } });
  draw.fillStyle = ink.bad;
  points.filter((it) => it.kind === "crash").forEach((it) => draw.fillRect(x(it.at) - 1, 3, 2, 6));
  draw.fillStyle = ink.sides[1];
  partitions.forEach((it) => draw.fillRect(x(it.from), 3, Math.max(1, x(it.until) - x(it.from)), height - 6));
  draw.fillStyle = ink.choice; draw.globalAlpha = 0.1;
  draw.fillRect(x(view.from), 1, x(view.until) - x(view.from), height - 2);
  draw.globalAlpha = 1; draw.strokeStyle = ink.choice; draw.lineWidth = 1.5;
  draw.strokeRect(x(view.from), 1.5, x(view.until) - x(view.from), height - 3);
  draw.fillStyle = ink.muted; draw.font = "12px system-ui, sans-serif"; draw.textAlign = "right"; draw.textBaseline = "middle";
  draw.fillText("whole run", LEFT - 16, height / 2);
}

let planned = false;
function paint() {
  planned = false;
  const [draw, now] = fitCanvas(canvas);
  size = now;
  const point = hovered || chosen;
  const focus = point && point.item.body !== undefined ? point.item : null;
  paintShades(draw);
  paintAxis(draw);
  paintFrames(draw);
  paintLanes(draw);
  paintMessages(draw, focus);
  paintPoints(draw, focus);
  if (point) paintFocus(draw, point);
  paintNames(draw);
  paintMap();
}
const repaint = () => { if (!planned) { planned = true; requestAnimationFrame(paint); } };
