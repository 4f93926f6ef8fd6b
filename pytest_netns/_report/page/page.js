"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = id => document.getElementById(id);
  const CHUNK = 1000;  // rows that are drawn at once
  const MOST_LANES = 8;  // more are too narrow to be told apart
  const lanes = data.hosts.length > 1 && data.hosts.length <= MOST_LANES ? data.hosts : [];

  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const draw = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const hide = id => { if (!at(id).querySelector("svg, pre:not(:empty)")) at(id).hidden = true; };
  ["network", "changes", "failure"].forEach(hide);

  // The columns

  const LANE = Math.min(112, 544 / lanes.length), HEIGHT = 27, LEVEL = 14;  // pixels
  const middle = number => (number + 0.5) * LANE;
  if (lanes.length) {
    document.documentElement.style.setProperty("--lanes", `${lanes.length * LANE}px`);
    document.documentElement.style.setProperty("--lane", `${LANE}px`);
    at("timeline").classList.add("has-lanes");
    const names = make("div", {className: "names"});
    lanes.forEach((name, number) => {
      const head = make("span", {textContent: name, title: name});
      head.style.left = `${middle(number)}px`;
      names.append(head);
    });
    at("heads").append(make("span"), names);
  }

  const arrow = event => {
    const from = lanes.indexOf(event.from), to = lanes.indexOf(event.to);
    const picture = draw("svg", {width: lanes.length * LANE, height: HEIGHT, "aria-hidden": "true"});
    // As long as the row is high, whose end hides the rest.
    lanes.forEach((name, number) => picture.append(draw("line", {x1: middle(number), x2: middle(number), y1: 0, y2: 2000})));
    if (from >= 0 && to >= 0 && from !== to) {
      const start = middle(from), side = to > from ? -1 : 1;
      const isLost = event.marks.some(mark => mark.startsWith("lost"));
      const end = isLost ? (start + middle(to)) / 2 : middle(to);
      picture.append(draw("path", {class: "arrow", d: `M${start} ${LEVEL}H${end}`}));
      const head = isLost
        ? `M${end - 5} ${LEVEL - 5}l10 10m-10 0l10 -10`
        : `M${end + side * 7} ${LEVEL - 5}L${end} ${LEVEL}l${side * 7} 5`;
      picture.append(draw("path", {class: "arrow", d: head}));
    } else if (from >= 0) {
      picture.append(draw("circle", {class: "spot", cx: middle(from), cy: LEVEL, r: 4}));
    }
    return make("span", {className: "lanes"}, picture);
  };

  // A row, and what is behind it

  const seconds = time => (time < 0 ? "−" : "") + Math.abs(time).toFixed(6);
  const ends = event => event.to && event.to !== event.from ? `${event.from} → ${event.to}  ` : event.from ? `${event.from}  ` : "";

  const dump = hex => {
    const bytes = hex.match(/../g) || [];
    const lines = [];
    for (let start = 0; start < bytes.length; start += 16) {
      const part = bytes.slice(start, start + 16);
      const shown = part.map(byte => { const code = parseInt(byte, 16); return code > 31 && code < 127 ? String.fromCharCode(code) : "·"; });
      lines.push(`${start.toString(16).padStart(4, "0")}  ${part.join(" ").padEnd(48)} ${shown.join("")}`);
    }
    return lines.join("\n");
  };

  const decoding = event => {
    const found = make("div", {className: "decoding"});
    for (const [title, fields] of event.parts) {
      const list = make("dl");
      for (const [name, value] of fields) list.append(make("dt", {textContent: name}), make("dd", {textContent: value}));
      found.append(make("h3", {textContent: title}), list);
    }
    if (event.data) {
      const more = event.length - event.data.length / 2;
      const title = `${event.length} bytes${more ? `, of which the capture has ${more} more than this page` : ""}`;
      found.append(make("h3", {textContent: title}), make("pre", {textContent: dump(event.data)}));
    }
    if (!found.childElementCount) found.append(make("p", {textContent: "There is no more about this."}));
    return found;
  };

  const row = event => {
    const text = make("span", {className: "text"}, make("span", {className: "ends", textContent: ends(event)}), event.text);
    for (const mark of event.marks) text.append(make("span", {className: "mark", textContent: mark}));
    const summary = make("summary", {className: "row"}, make("span", {className: "time", textContent: seconds(event.t)}));
    if (lanes.length) summary.append(arrow(event));
    summary.append(text);
    const details = make("details", {className: `${event.kind}${event.bad ? " bad" : ""}`}, summary);
    details.addEventListener("toggle", () => { if (details.open && details.childElementCount === 1) details.append(decoding(event)); });
    return details;
  };

  // What is shown

  const kinds = new Map();
  for (const [kind, name] of Object.entries(data.kinds)) {
    const count = data.events.filter(event => event.kind === kind).length;
    if (!count) continue;
    const box = make("input", {type: "checkbox", checked: !data.hidden.includes(kind), name: kind});
    kinds.set(kind, box);
    at("kinds").append(make("label", {}, box, ` ${name} (${count})`));
  }
  for (const name of data.hosts) at("host").append(make("option", {textContent: name, value: name}));

  let shown = [], drawn = 0;
  const matches = event => {
    const host = at("host").value, wanted = at("search").value.toLowerCase();
    return kinds.get(event.kind)?.checked && (!host || event.from === host || event.to === host) &&
      (!wanted || `${ends(event)}${event.text} ${event.marks.join(" ")}`.toLowerCase().includes(wanted));
  };
  const drawMore = () => {
    at("rows").append(...shown.slice(drawn, drawn + CHUNK).map(row));
    drawn = Math.min(drawn + CHUNK, shown.length);
    at("more").hidden = drawn === shown.length;
    at("more").textContent = `show more (${shown.length - drawn} left)`;
  };
  const update = () => {
    shown = data.events.filter(matches);
    drawn = 0;
    at("rows").replaceChildren();
    at("count").textContent = shown.length === data.events.length ? `${shown.length}` : `${shown.length} of ${data.events.length}`;
    drawMore();
  };
  at("filter").addEventListener("input", update);
  at("filter").addEventListener("submit", event => event.preventDefault());
  at("more").addEventListener("click", drawMore);
  update();
})();
