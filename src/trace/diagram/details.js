// Says in words what was chosen. Everything of the trace becomes text nodes.

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  element.append(...children.filter((child) => child !== null));
  return element;
};
const swatch = (at) => {
  const dot = make("span", { class: "swatch" });
  dot.style.background = origin(at);
  return dot;
};
const facts = (rows) => make("table", { class: "facts" }, ...rows.filter(Boolean).map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))));
const moment = (at) => (data.clock === "virtual" ? time(at) : `${time(at)}, ${wall(at).slice(11, 23)} UTC`);
const vector = ([, counts]) => Object.entries(counts).map(([life, count]) => `${lifeName(life)} ${count}`).join(" · ");
const peerText = (mark) => (mark.peer === null ? "" : ` ${lifeName(mark.peer)}`);

const headlines = {
  broadcast: (it) => `${lifeName(it.life)} broadcasts “${it.item.body}”`,
  delivery: (it) => `${lifeName(it.life)} delivers “${it.item.body}” of ${lifeName(it.item.life)}`,
  start: (it) => `${lifeName(it.life)} starts`,
  crash: (it) => (it.item.end === "cut" ? `the recording of ${lifeName(it.life)} breaks off` : `${lifeName(it.life)} is over: ${it.item.end}`),
  stop: (it) => `${lifeName(it.life)} stops`,
  suspected: (it) => `${lifeName(it.life)} suspects${peerText(it.item)}`,
  restored: (it) => `${lifeName(it.life)} no longer suspects${peerText(it.item)}`,
  missing: (it) => `${lifeName(it.life)}: ${it.item.what}${peerText(it.item)}`,
  note: (it) => `${lifeName(it.life)}: ${it.item.what}${peerText(it.item)}`,
};
const headline = (point) => headlines[point.kind](point);

function tell(point) {
  const details = $("details");
  if (!point) {
    details.replaceChildren(
      make("h2", {}, "The run"),
      facts([
        [data.clock === "virtual" ? "virtual time" : "wall clock", span(data.end)],
        data.clock === "wall" ? ["began", wall(0).slice(0, 19) + " UTC"] : null,
        ["nodes", String(lanes.length)],
        ["messages", String(messages.length)],
      ]),
      ...partitionRows(),
      make("h3", {}, "Choose an event"),
      make("p", {}, "Point at it or press n for the next one. Drag to move along time, turn the wheel to zoom."),
    );
    return;
  }
  const { item } = point;
  const parts = [make("h2", {}, headline(point))];
  const times = point.delivery ? point.delivery.times : item.times;
  parts.push(facts([
    ["at", moment(point.at)],
    point.kind === "delivery" && item.at !== null ? ["after", span(point.at - item.at)] : null,
    ["life", `${lives[point.life].number}, incarnation ${lives[point.life].incarnation}`],
    times ? ["Lamport time", String(times[0])] : null,
    times ? ["vector time", vector(times)] : null,
    point.delivery && point.delivery.lamport !== null ? ["node's Lamport", String(point.delivery.lamport)] : null,
    point.delivery && point.delivery.vector.length ? ["node's vector", point.delivery.vector.map(([name, count]) => `${name} ${count}`).join(" · ")] : null,
    item.text ? ["what", item.text] : null,
    item.why ? ["why", item.why] : null,
  ]));
  if (item.body !== undefined) parts.push(...tellMessage(item));
  details.replaceChildren(...parts);
}

function tellMessage(message) {
  const only = make("button", { type: "button" }, "only this message");
  only.addEventListener("click", () => { $("filter").value = message.id || message.body; applyFilter(); });
  const near = make("button", { type: "button" }, "zoom to it");
  near.addEventListener("click", () => zoomTo({ item: message, at: message.at ?? message.deliveries[0].at }));
  const rows = lanes.flatMap((it, at) => {
    const here = message.deliveries.filter((delivery) => lane(delivery.life) === at);
    const dot = () => swatch(at);
    if (!here.length) {
      if (message.to !== null && message.to !== at) return [];
      return [make("tr", {}, make("th", { scope: "row" }, dot(), it.name), make("td", { class: "bad" }, "never"))];
    }
    return here.map((delivery) => make("tr", {}, make("th", { scope: "row" }, dot(), lifeName(delivery.life)), make("td", {}, message.at === null ? time(delivery.at) : `+ ${span(delivery.at - message.at)}`)));
  });
  return [
    make("h3", {}, "The message"),
    facts([
      ["id", message.id || "none: nobody delivered it"],
      ["from", make("span", {}, swatch(lane(message.life)), lifeName(message.life))],
      ["through", message.via],
      message.to !== null ? ["to", lanes[message.to].name] : null,
      ["broadcast", message.at === null ? "not in the trace" : moment(message.at)],
    ]),
    make("h3", {}, "Delivered"),
    make("table", {}, ...rows),
    make("div", { class: "buttons" }, near, only),
  ];
}

// Frames that pass in one direction alone.
function oneWay(pairs) {
  const all = lanes.length - 1;
  const mute = lanes.findIndex((_, at) => pairs.filter(([a]) => a === at).length === all);
  const deaf = lanes.findIndex((_, at) => pairs.filter(([, b]) => b === at).length === all);
  if (pairs.length === all && mute >= 0) return `${lanes[mute].name} reaches nobody`;
  if (pairs.length === all && deaf >= 0) return `nobody reaches ${lanes[deaf].name}`;
  return `one way: ${pairs.map(([a, b]) => `${lanes[a].name} to ${lanes[b].name}`).join(", ")}`;
}

function partitionRows() {
  if (!partitions.length) return [];
  const side = (members) => members.map((at) => lanes[at].name).join(", ");
  const rows = partitions.slice(0, 12).map((it) => {
    const told = it.sides.length > 1 ? it.sides.map(side).join(" | ") : oneWay(it.pairs);
    const button = make("button", { type: "button", title: "Show it" }, span(it.until - it.from));
    button.addEventListener("click", () => { const room = it.until - it.from; look(it.from - room / 2, it.until + room / 2); repaint(); });
    return make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, told));
  });
  const more = partitions.length - rows.length;
  return [make("h3", {}, "Partitions"), make("table", { class: "facts" }, ...rows), more > 0 ? make("p", {}, `${more} more`) : null].filter(Boolean);
}
