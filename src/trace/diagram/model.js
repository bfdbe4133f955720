"use strict";
// What is in the trace, what of it is wanted, and which span of time is shown.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { lanes, lives, messages, frames, marks } = data;
const lane = (life) => lives[life].lane;
const laneLives = lanes.map((_, at) => lives.filter((life) => life.lane === at));

const lifeName = (at) => {
  const { lane, number } = lives[at];
  return laneLives[lane].length > 1 ? `${lanes[lane].name}, life ${number}` : lanes[lane].name;
};

// Points: everything that happens to one life at one moment, in its order.
// `item` is the message, frame, mark or life; `kind` a name of the legend.
const points = [];
const add = (kind, life, at, item, more) => points.push({ kind, life, at, item, lane: lane(life), ...more });
messages.forEach((message) => {
  if (message.at !== null) add("broadcast", message.life, message.at, message);
  message.deliveries.forEach((delivery) => add("delivery", delivery.life, delivery.at, message, { delivery }));
});
const markKinds = { suspected: "suspected", restored: "restored", missing: "missing", dropped: "missing", full: "missing" };
marks.forEach((mark) => add(markKinds[mark.what] || "note", mark.life, mark.at, mark));
const endKinds = { crashed: "crash", failed: "crash", "ended by its peers": "crash", cut: "crash", stopped: "stop" };
lives.forEach((life, at) => {
  if (life.end !== "unrecorded") add("start", at, life.from, life);
  if (endKinds[life.end]) add(endKinds[life.end], at, life.until, life);
});
points.sort((a, b) => a.at - b.at);

// Spans in which the same lanes can reach one another: which of them form a
// side of their own, the largest side first; `halves` lists lanes that are cut
// off one way.
const partitions = (() => {
  const cuts = [...new Set(data.parts.flatMap(([, , from, until]) => [from, until]))].sort((a, b) => a - b);
  const spans = [];
  cuts.slice(1).forEach((until, n) => {
    const from = cuts[n];
    const now = data.parts.filter((part) => part[2] <= from && part[3] >= until);
    if (!now.length) return;
    const cut = (a, b) => now.some(([x, y]) => x === a && y === b);
    const side = lanes.map(() => -1);
    const sides = [];
    lanes.forEach((_, start) => {
      if (side[start] >= 0) return;
      const members = [start];
      side[start] = sides.length;
      for (const one of members) {
        lanes.forEach((_, other) => {
          if (side[other] < 0 && (!cut(one, other) || !cut(other, one))) { side[other] = sides.length; members.push(other); }
        });
      }
      sides.push(members);
    });
    sides.sort((a, b) => b.length - a.length);
    const key = JSON.stringify([sides, now.map(([a, b]) => [a, b])]);
    const last = spans[spans.length - 1];
    if (last && last.key === key && last.until === from) last.until = until;
    else spans.push({ from, until, sides, key, pairs: now });
  });
  return spans;
})();

const legend = [
  ["broadcast", "broadcasts", messages.filter((it) => it.at !== null).length],
  ["delivery", "deliveries", messages.reduce((sum, it) => sum + it.deliveries.length, 0)],
  ["frame", "frames", frames.length],
  ["lost", "frames lost", frames.filter((it) => it.lost).length],
  ["start", "lives", lives.filter((it) => it.end !== "unrecorded").length],
  ["crash", "crashes and ends", points.filter((it) => it.kind === "crash").length],
  ["stop", "stops", points.filter((it) => it.kind === "stop").length],
  ["suspected", "suspicions", points.filter((it) => it.kind === "suspected").length],
  ["restored", "taken back", points.filter((it) => it.kind === "restored").length],
  ["partition", "partitions", partitions.length],
  ["pause", "pauses", data.pauses.length],
  ["missing", "gaps", points.filter((it) => it.kind === "missing").length],
  ["note", "notes", points.filter((it) => it.kind === "note").length],
];
const shown = Object.fromEntries(legend.map(([kind]) => [kind, kind !== "note"]));

// Which messages are wanted.
const filter = { text: "", origin: "", via: "" };
const matches = (message) => {
  const { text, origin, via } = filter;
  if (origin !== "" && lane(message.life) !== Number(origin)) return false;
  if (via !== "" && message.via !== via) return false;
  return !text || `${message.id || ""} ${message.body}`.toLowerCase().includes(text);
};
const refilter = () => messages.forEach((message) => { message.wanted = matches(message); });
refilter();
const filtered = () => filter.text || filter.origin !== "" || filter.via !== "";
const visible = (point) => shown[point.kind] && (point.item.wanted !== false || !("wanted" in point.item));

// The span that is shown. At first where most happens: quiet stretches longer
// than a sixth of the run part it.
const whole = { from: -0.02 * (data.end || 1), until: 1.02 * (data.end || 1) };
const view = { ...whole };
{
  const busy = points.filter((it) => ["broadcast", "delivery", "crash", "suspected"].includes(it.kind));
  const stretches = [];
  for (const { at } of busy) {
    const last = stretches[stretches.length - 1];
    if (last && at - last.until < data.end / 6) { last.until = at; last.count += 1; }
    else stretches.push({ from: at, until: at, count: 1 });
  }
  const most = stretches.reduce((a, b) => (!a || b.count > a.count ? b : a), null);
  if (most && most.until > most.from) {
    const margin = (most.until - most.from) * 0.05;
    view.from = Math.max(most.from - margin, whole.from);
    view.until = Math.min(most.until + margin, whole.until);
  }
}
const look = (from, until) => {
  const room = whole.until - whole.from;
  const span = Math.min(Math.max(until - from, 1000), room);
  const start = Math.min(Math.max(from, whole.from), whole.until - span);
  [view.from, view.until] = [start, start + span];
};
const zoom = (factor, around = (view.from + view.until) / 2) =>
  look(around - (around - view.from) * factor, around + (view.until - around) * factor);
const pan = (part) => {
  const by = (view.until - view.from) * part;
  look(view.from + by, view.until + by);
};

// Times for people; `step` says how finely.
const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
const span = (ns) => {
  const [size, unit] = units.find(([size]) => Math.abs(ns) >= size) || units[2];
  const value = ns / size;
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`;
};
const time = (ns, step = 1000) => `${(ns / 1e9).toFixed(Math.min(6, Math.max(0, Math.ceil(9 - Math.log10(step) - 1e-9))))} s`;
const wall = (ns) => new Date(data.epoch_unix_ns / 1e6 + ns / 1e6).toISOString().replace("T", " ").replace("Z", " UTC");
