"use strict";
// Walks through a recorded program, forward and backward.  All numbers were computed in Python; the page only shows them.
// The whole state is a few numbers, which the address holds.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const holder = byId("holder");
const forwardSteps = data.forward.length;
// k: step, v: picture, n: chosen node, z: element seen scalar by scalar (-1: none), o: which order of the backward pass.
const state = { k: 0, v: 0, n: "", z: -1, o: 0 };
const stepsNow = () => data.orders[state.o].steps;
const lastStep = () => forwardSteps + stepsNow().length;
let svg = null;
let home = null;

const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const name = (id) => data.nodes[id].symbol;
const inputsOf = (id) => data.edges.filter((e) => e[1] === id).map((e) => e[0]);
const usersOf = (id) => data.edges.filter((e) => e[0] === id).map((e) => e[1]);

// -- what is known after step k: a pure function of k, so going back costs nothing ----------------------------------------

const backwardIndex = (k) => k - forwardSteps - 1; // -1: nothing of the backward pass yet
function gradientsAt(k) {
  const known = new Map();
  if (k > forwardSteps) for (const [id, value] of Object.entries(data.seeds)) known.set(id, value);
  for (let i = 0; i <= backwardIndex(k); i += 1) for (const part of stepsNow()[i].parts) known.set(part.to, part.after);
  return known;
}

// -- the panel -------------------------------------------------------------------------------------------------------------

function heat(value) {
  if (!value.cells) return make("span", value.text);
  const last = value.shape.length > 1 ? value.shape[value.shape.length - 1] : 1;
  const columns = last > 1 ? last : Math.max(1, Math.min(8, value.cells.length)); // a single column lies down
  const grid = make("div", null, "heat");
  grid.style.gridTemplateColumns = `repeat(${columns}, auto)`;
  value.cells.forEach(([text, strength], i) => {
    const cell = make("span", text);
    const pale = Math.round(245 - 120 * Math.abs(strength));
    cell.style.backgroundColor = strength < 0 ? `rgb(250, ${pale + 5}, ${pale - 20})` : `rgb(${pale - 20}, ${pale + 5}, 250)`;
    if (strength === 0) cell.style.backgroundColor = "#f0f0f0";
    cell.title = String(value.exact[i]);
    grid.append(cell);
  });
  return grid;
}
function rows(pairs) {
  const table = make("table");
  for (const [label, content] of pairs) {
    const row = table.insertRow();
    const head = make("th", label);
    head.scope = "row";
    row.append(head);
    row.insertCell().append(content instanceof Node ? content : make("span", content));
  }
  return table;
}
function rule(markup) {
  const holder = make("span");
  const parsed = new DOMParser().parseFromString(markup, "text/html").body;
  holder.append(...parsed.childNodes);
  return holder;
}
function describeNode(id, gradients) {
  const node = data.nodes[id];
  const box = make("section");
  box.append(make("h2", node.formula ? `${node.symbol} = ${node.formula}` : node.symbol));
  const place = node.scope.join(" / ");
  const pairs = [["kind", node.kind]];
  if (place) pairs.push(["in", place]);
  pairs.push(["shape", node.shape], ["value", heat(node.value)]);
  if (node.wants) pairs.push(["gradient", gradients.has(id) ? heat(gradients.get(id)) : make("span", "not run yet", "note")]);
  if (node.site) pairs.push(["code", node.site]);
  const users = usersOf(id);
  if (users.length) pairs.push(["used by", users.map(name).join(", ") + (users.length > 1 ? ` (${users.length} uses: gradients add up)` : "")]);
  box.append(rows(pairs));
  return box;
}
function describeStep(k, gradients) {
  const box = make("section");
  if (k === 0) {
    box.append(make("h2", "Before the start"), make("p", "Press → (or “next”) to run the forward pass one operation at a time, then the backward pass."));
    return box;
  }
  if (k <= forwardSteps) {
    const id = data.forward[k - 1];
    box.append(describeNode(id, gradients));
    return box;
  }
  const step = stepsNow()[backwardIndex(k)];
  const node = data.nodes[step.node];
  box.append(make("h2", `Backward through ${node.symbol} = ${node.formula}`));
  box.append(rows([["incoming gradient g", heat(step.upstream)], ["y", heat(node.value)]]));
  const letters = "abcdefgh";
  for (const part of step.parts) {
    const target = data.nodes[part.to];
    const piece = make("div", null, "part");
    piece.append(make("h3", `to ${letters[part.slot] || part.slot} = ${target.symbol}`));
    const pairs = [["rule", rule(part.rule)]];
    if (part.local) pairs.push(["local derivative", heat(part.local)]);
    if (part.reduced) pairs.push(["un-broadcast", part.reduced]);
    pairs.push(["contribution", heat(part.given)]);
    if (part.before) pairs.push(["running sum", sum(part)]);
    else pairs.push(["first contribution", make("span", "nothing was there before", "note")]);
    piece.append(rows(pairs));
    box.append(piece);
  }
  return box;
}
function sum(part) {
  const line = make("div");
  line.append(heat(part.before), make("span", " + "), heat(part.given), make("span", " → "), heat(part.after));
  return line;
}
function describeEnd() {
  const box = make("section");
  if (Object.keys(data.checks).length) {
    box.append(make("h3", "Numeric check"), make("p", "Backward against central differences of the same recorded program.", "note"));
    for (const [id, check] of Object.entries(data.checks)) {
      const final = gradientsAt(lastStep()).get(id);
      const gap = Math.max(0, ...check.exact.map((value, i) => Math.abs(value - final.exact[i])));
      const verdict = gap.toExponential(1) + (gap > 1e-4 ? ": they disagree" : "");
      box.append(make("h4", name(id)), rows([["backward", heat(final)], ["numeric", heat(check)], ["largest difference", verdict]]));
    }
  }
  if (data.facts.length) {
    box.append(make("h3", "Beside it"));
    for (const [label, value] of data.facts) box.append(make("h4", label), heat(value));
  }
  return box;
}
const number = (value) => (Math.abs(value) < 5e-5 ? "0" : value.toFixed(4));
function describeInputs(gradients) {
  const box = make("section");
  const pairs = [];
  for (const [id, node] of Object.entries(data.nodes)) {
    const value = node.kind === "input" && gradients.get(id);
    if (value && value.cells && value.cells.length > 1) pairs.push([`${node.symbol}: sum of its gradient so far`, number(value.exact.reduce((a, b) => a + b, 0))]);
  }
  if (pairs.length) box.append(make("h3", "Inputs"), rows(pairs));
  return box;
}

// -- the picture -----------------------------------------------------------------------------------------------------------

const shownAs = (id) => data.views[state.v].standsFor[id];
function groups() {
  const found = new Map();
  for (const group of svg.querySelectorAll("g.node")) found.set(group.querySelector("title").textContent, group);
  return found;
}
function insertPicture() {
  const source = state.z < 0 ? data.views[state.v].svg : data.zoom[state.z].svg;
  const parsed = new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
  svg = document.importNode(parsed, true);
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", "graph");
  home = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  byId("holder").replaceChildren(svg);
  const pixelsPerUnit = Math.min(holder.clientWidth / home[2], holder.clientHeight / home[3]);
  if (pixelsPerUnit < 0.45) scale(pixelsPerUnit / 0.7, [0.5, 0]); // too small to read: start nearer, and follow the steps
  if (state.z >= 0) return; // scalars are not the nodes that the steps speak of
  for (const [id, group] of groups()) {
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    const members = Object.keys(data.nodes).filter((n) => shownAs(n) === id);
    const label = members.length === 1 ? name(members[0]) : `${group.querySelector("text").textContent}, ${members.length} nodes`;
    group.setAttribute("aria-label", label);
    const choose = () => { state.n = members[members.length - 1] === state.n ? "" : members[members.length - 1]; render(); };
    group.addEventListener("click", choose);
    group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } });
  }
}
function reach(id, next) {
  const seen = new Set();
  const waiting = [id];
  while (waiting.length) for (const other of next(waiting.pop())) if (!seen.has(other)) { seen.add(other); waiting.push(other); }
  return seen;
}
function paint() {
  if (state.z >= 0) return;
  const known = groups();
  const mark = (id, className) => { const group = known.get(shownAs(id)); if (group) group.classList.add(className); };
  for (const group of svg.querySelectorAll("g.node, g.edge")) group.classList.remove("active", "receives", "later", "flows", "kin", "found");
  const done = new Set(data.forward.slice(0, state.k));
  if (state.k <= forwardSteps) {
    for (const id of data.forward) if (!done.has(id)) mark(id, "later");
    if (state.k > 0) mark(data.forward[state.k - 1], "active");
  }
  const flowing = [];
  if (state.k > 0 && state.k <= forwardSteps) for (const source of inputsOf(data.forward[state.k - 1])) flowing.push([source, data.forward[state.k - 1]]);
  if (state.k > forwardSteps) {
    const step = stepsNow()[backwardIndex(state.k)];
    mark(step.node, "active");
    for (const part of step.parts) { mark(part.to, "receives"); flowing.push([part.to, step.node]); }
  }
  const titles = new Set(flowing.map(([a, b]) => `${shownAs(a)}->${shownAs(b)}`));
  for (const edge of svg.querySelectorAll("g.edge")) if (titles.has(edge.querySelector("title").textContent)) edge.classList.add("flows");
  if (state.n) {
    for (const id of reach(state.n, inputsOf)) mark(id, "kin");
    for (const id of reach(state.n, usersOf)) mark(id, "kin");
    mark(state.n, "found");
  }
  const wanted = byId("search").value.trim().toLowerCase();
  let hits = 0;
  if (wanted) for (const [id, node] of Object.entries(data.nodes)) {
    if (`${node.symbol} ${node.formula} ${node.op || ""} ${node.scope.join("/")}`.toLowerCase().includes(wanted)) { mark(id, "found"); hits += 1; }
  }
  byId("hits").textContent = wanted ? `${hits} found` : "";
}
function sentence() {
  const k = state.k;
  const note = data.orders[state.o].note;
  if (k === 0 && note) return note;
  if (k === 0) return `Forward pass: ${forwardSteps} operations; backward pass: ${stepsNow().length} steps.`;
  if (k <= forwardSteps) { const node = data.nodes[data.forward[k - 1]]; return `Forward ${k} of ${forwardSteps}: ${node.symbol} = ${node.formula} is ${node.value.text}.`; }
  const step = stepsNow()[backwardIndex(k)];
  const parts = step.parts.map((part) => `${name(part.to)} ${part.before ? "gets another" : "gets"} ${part.given.text}${part.before ? `, now ${part.after.text}` : ""}`);
  return `Backward ${backwardIndex(k) + 1} of ${stepsNow().length}, ${name(step.node)}: ${parts.join("; ")}.`;
}

// -- everything together ---------------------------------------------------------------------------------------------------

function render() {
  const gradients = gradientsAt(state.k);
  byId("slider").max = lastStep();
  byId("slider").value = state.k;
  byId("slider").setAttribute("aria-valuetext", sentence());
  byId("say").textContent = sentence();
  for (const [id, off] of [["first", state.k === 0], ["previous", state.k === 0], ["next", state.k === lastStep()], ["last", state.k === lastStep()]]) byId(id).disabled = off;
  const panel = byId("panel");
  panel.replaceChildren(describeStep(state.k, gradients));
  if (state.n) { const chosen = make("section"); chosen.append(make("h3", "Chosen node"), describeNode(state.n, gradients)); panel.append(chosen); }
  if (state.k > forwardSteps) panel.append(describeInputs(gradients));
  if (state.k === lastStep()) panel.append(describeEnd());
  paint();
  const address = `#k=${state.k}&v=${state.v}${state.n ? `&n=${state.n}` : ""}${state.z < 0 ? "" : `&z=${state.z}`}${state.o ? `&o=${state.o}` : ""}`;
  if (location.hash !== address) history.replaceState(null, "", address);
  follow();
}
function follow() {
  const active = svg.querySelector(".active");
  if (!active || svg.getAttribute("viewBox") === home.join(" ")) return;
  const box = holder.getBoundingClientRect();
  const node = active.getBoundingClientRect();
  if (node.left >= box.left && node.right <= box.right && node.top >= box.top && node.bottom <= box.bottom) return;
  const view = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  const unitsPerPixel = Math.max(view[2] / box.width, view[3] / box.height);
  const dx = ((box.left + box.right - node.left - node.right) / 2) * unitsPerPixel;
  const dy = ((box.top + box.bottom - node.top - node.bottom) / 2) * unitsPerPixel;
  svg.setAttribute("viewBox", [view[0] - dx, view[1] - dy, view[2], view[3]].join(" "));
}
function go(k) { state.k = Math.max(0, Math.min(lastStep(), k)); render(); }
function choices() {
  const button = (id, label, pressed, act) => {
    const made = make("button", label);
    made.id = id;
    made.type = "button";
    made.setAttribute("aria-pressed", String(pressed));
    made.addEventListener("click", () => { act(); look(state.v); byId(id).focus(); });
    return made;
  };
  const list = [];
  if (data.orders.length > 1) data.orders.forEach((order, i) => list.push(button(`order${i}`, order.label, state.o === i, () => { state.o = i; state.k = Math.min(state.k, lastStep()); })));
  if (data.zoom.length) {
    list.push(button("whole", "tensors", state.z < 0, () => { state.z = -1; }));
    data.zoom.forEach((zoom, i) => list.push(button(`zoom${i}`, `${zoom.label} in scalars`, state.z === i, () => { state.z = i; })));
  }
  byId("choices").replaceChildren(...list);
}
function look(v) {
  const focused = document.activeElement && document.activeElement.id;
  state.v = v; insertPicture(); listModules(); choices(); render();
  if (focused && byId(focused)) byId(focused).focus();
}
function listModules() {
  const all = [...new Set(data.views.flatMap((view) => view.closed))].sort();
  const closed = data.views[state.v].closed;
  byId("modules").hidden = state.z >= 0;
  byId("modules").replaceChildren(...all.map((path, i) => {
    const isClosed = closed.some((other) => other === path || path.startsWith(`${other}/`));
    const button = make("button", `${isClosed ? "open" : "close"} ${path}`);
    button.id = `module${i}`;
    button.type = "button";
    button.setAttribute("aria-pressed", String(isClosed));
    button.addEventListener("click", () => {
      const without = closed.filter((other) => other !== path && !path.startsWith(`${other}/`) && !other.startsWith(`${path}/`));
      const wanted = isClosed ? without : [...without, path];
      const key = (list) => [...list].sort().join("|");
      let v = data.views.findIndex((view) => key(view.closed) === key(wanted));
      if (v < 0) v = data.views.findIndex((view) => isClosed !== view.closed.includes(path));
      look(Math.max(0, v));
    });
    return button;
  }));
}
function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const whole = (key, most) => { const n = Number(parts.get(key)); return Number.isInteger(n) && n >= 0 ? Math.min(n, most) : 0; };
  state.o = whole("o", data.orders.length - 1);
  state.z = parts.has("z") && data.zoom.length ? whole("z", data.zoom.length - 1) : -1;
  state.k = whole("k", lastStep());
  state.v = whole("v", data.views.length - 1);
  state.n = Object.hasOwn(data.nodes, parts.get("n") || "") ? parts.get("n") : "";
}
function scale(factor, at) {
  const box = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  const [x, y] = at || [0.5, 0.5];
  svg.setAttribute("viewBox", [box[0] + box[2] * (1 - factor) * x, box[1] + box[3] * (1 - factor) * y, box[2] * factor, box[3] * factor].join(" "));
}
function pan(dx, dy) {
  const box = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  svg.setAttribute("viewBox", [box[0] - dx * box[2], box[1] - dy * box[3], box[2], box[3]].join(" "));
}

byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
byId("first").addEventListener("click", () => go(0));
byId("previous").addEventListener("click", () => go(state.k - 1));
byId("next").addEventListener("click", () => go(state.k + 1));
byId("last").addEventListener("click", () => go(lastStep()));
byId("turn").addEventListener("click", () => go(forwardSteps));
byId("search").addEventListener("input", paint);
byId("larger").addEventListener("click", () => scale(0.8));
byId("smaller").addEventListener("click", () => scale(1.25));
byId("fit").addEventListener("click", () => svg.setAttribute("viewBox", home.join(" ")));
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { ArrowRight: 1, ArrowLeft: -1 };
  if (event.key in moves) { go(state.k + moves[event.key]); event.preventDefault(); }
  if (event.key === "Home") go(0);
  if (event.key === "End") go(lastStep());
  if (event.key === "Escape") { state.n = ""; render(); }
  if (event.key === "/") { byId("search").focus(); event.preventDefault(); }
});
holder.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = holder.getBoundingClientRect();
  scale(event.deltaY > 0 ? 1.1 : 0.9, [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
}, { passive: false });
let drag = null;
holder.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; });
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const box = holder.getBoundingClientRect();
  pan((event.clientX - drag[0]) / box.width, (event.clientY - drag[1]) / box.height);
  drag = [event.clientX, event.clientY];
});
window.addEventListener("pointerup", () => { drag = null; });
window.addEventListener("hashchange", () => { readAddress(); look(state.v); });

readAddress();
look(state.v);
