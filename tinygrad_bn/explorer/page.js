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
const READABLE = 0.8; // pixels per unit of a picture: its letters are 14 units high
let svg = null;
let home = null;

const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const name = (id) => data.nodes[id].symbol;
const title = (id) => (data.nodes[id].formula ? `${name(id)} = ${data.nodes[id].formula}` : name(id));
const inputsOf = (id) => data.edges.filter((e) => e[1] === id).map((e) => e[0]);
const usersOf = (id) => data.edges.filter((e) => e[0] === id).map((e) => e[1]);
const inSentence = (value) => (value.cells && value.cells.length > 8 ? `${value.shape.join("×")} numbers` : value.text);

// -- what is known after step k: a pure function of k, so going back costs nothing ----------------------------------------

const backwardIndex = (k) => k - forwardSteps - 1; // negative: nothing of the backward pass yet
function gradientsAt(k) {
  const known = new Map();
  if (k > forwardSteps) for (const [id, value] of Object.entries(data.seeds)) known.set(id, value);
  for (let i = 0; i <= backwardIndex(k); i += 1) for (const part of stepsNow()[i].parts) known.set(part.to, part.after);
  return known;
}

// -- the panel -------------------------------------------------------------------------------------------------------------

function heat(value) {
  if (!value.cells || !value.cells.length) return make("span", value.text);
  const columns = value.shape.length > 1 ? value.shape[value.shape.length - 1] : 1;
  const grid = make("div", null, columns > 1 ? "heat" : "heat line"); // a single column lies down
  if (columns > 1) grid.style.gridTemplateColumns = `repeat(${columns}, auto)`;
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
  const line = make("span");
  line.append(...new DOMParser().parseFromString(markup, "text/html").body.childNodes);
  return line;
}
function section(heading, ...content) {
  const box = make("section");
  box.append(make("h3", heading), ...content);
  return box;
}
function describeNode(id, gradients) {
  const node = data.nodes[id];
  const pairs = [["kind", node.kind]];
  if (node.scope.length) pairs.push(["in", node.scope.join(" / ")]);
  for (const source of new Set(inputsOf(id))) pairs.push([`from ${name(source)}`, heat(data.nodes[source].value)]);
  pairs.push(["shape", node.shape], ["value", heat(node.value)]);
  if (node.wants) pairs.push(["gradient", gradients.has(id) ? heat(gradients.get(id)) : make("span", state.k === lastStep() ? "none comes here" : "not run yet", "note")]);
  if (node.code) pairs.push(["code", make("code", node.code)]);
  if (node.site) pairs.push(["line", node.site]);
  const users = usersOf(id);
  if (users.length) pairs.push(["used by", users.map(name).join(", ") + (users.length > 1 ? ` (${users.length} uses: gradients add up)` : "")]);
  return rows(pairs);
}
function describeStep(k, gradients) {
  const box = make("section");
  if (k === 0) {
    box.append(
      make("h2", "Before the start"),
      make("p", "Press → (or “next”) to run the forward pass one operation at a time, then the backward pass."),
      make("p", "Choose a box to see what it depends on and what depends on it. Drag and turn the wheel to move and zoom."),
      make("p", "Numbers are coloured by size, relative to the largest of their array: blue above zero, red below.", "note"),
    );
    return box;
  }
  if (k <= forwardSteps) {
    const id = data.forward[k - 1];
    box.append(make("h2", title(id)), describeNode(id, gradients));
    return box;
  }
  const step = stepsNow()[backwardIndex(k)];
  box.append(make("h2", `Backward through ${title(step.node)}`));
  box.append(rows([["incoming gradient g", heat(step.upstream)], [`value of ${name(step.node)}`, heat(data.nodes[step.node].value)]]));
  for (const part of step.parts) {
    const piece = make("div", null, "part");
    piece.append(make("h3", `to ${name(part.to)}, argument ${part.slot}`));
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
function describeInvariants(gradients) {
  const pairs = [];
  for (const [label, id, weights] of data.invariants) {
    const value = gradients.get(id);
    const total = value && value.exact && value.exact.reduce((sofar, g, i) => sofar + g * weights[i], 0);
    pairs.push([label, value && value.exact ? shortNumber(total) : make("span", "not run yet", "note")]);
  }
  return section("Invariants: 0 when all contributions have come", rows(pairs));
}
const shortNumber = (value) => (Math.abs(value) < 1e-12 ? "0" : Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toFixed(4));
function describeEnd() {
  const boxes = [];
  if (Object.keys(data.checks).length) {
    const box = section("Numeric check", make("p", "Backward against central differences of the same recorded program.", "note"));
    for (const [id, check] of Object.entries(data.checks)) {
      const final = gradientsAt(lastStep()).get(id);
      const gap = Math.max(0, ...check.exact.map((value, i) => Math.abs(value - final.exact[i])));
      const verdict = Number.isNaN(gap) ? "not finite" : gap.toExponential(1) + (gap > 1e-4 ? ": they disagree" : "");
      box.append(make("h4", name(id)), rows([["backward", heat(final)], ["numeric", heat(check)], ["largest difference", verdict]]));
    }
    boxes.push(box);
  }
  if (data.facts.length) boxes.push(section("Beside it", ...data.facts.flatMap(([label, value]) => [make("h4", label), heat(value)])));
  return boxes;
}

// -- the picture -----------------------------------------------------------------------------------------------------------

const shownAs = (id) => data.views[state.v].standsFor[id];
const titleOf = (group) => group.querySelector("title").textContent;
const groups = () => new Map([...svg.querySelectorAll("g.node")].map((group) => [titleOf(group), group]));
function insertPicture() {
  const source = state.z < 0 ? data.views[state.v].svg : data.zoom[state.z].svg;
  svg = document.importNode(new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", "graph");
  const box = viewBox();
  home = [box[0] - 10, box[1] - 10, box[2] + 20, box[3] + 20]; // room for thick borders
  setViewBox(home);
  holder.replaceChildren(svg);
  const pixelsPerUnit = Math.min(holder.clientWidth / home[2], holder.clientHeight / home[3]);
  // Too small to read: start nearer, at the top, and follow the steps.
  if (pixelsPerUnit < 0.8 * READABLE) scale(pixelsPerUnit / READABLE, home[0] + home[2] / 2, home[1]);
  if (state.z >= 0) return; // scalars are not the nodes that the steps speak of
  for (const [id, group] of groups()) {
    const members = Object.keys(data.nodes).filter((n) => shownAs(n) === id);
    const face = data.views[state.v].faces[id];
    const label = members.length === 1 ? title(face) : `${group.querySelector("text").textContent}, ${members.length} nodes`;
    const texts = [...group.querySelectorAll("text")];
    const row = texts.findLastIndex((text) => text.textContent === "grad");
    group.gradientLines = row > 0 ? texts.slice(row + 1).map((text) => [text, text.textContent]) : [];
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", label);
    const choose = () => { state.n = state.n === face ? "" : face; render(); };
    group.addEventListener("focus", () => { if (group.matches(":focus-visible")) bring([group]); });
    group.addEventListener("click", () => { if (!dragged) choose(); });
    group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } });
  }
}
function reach(id, next) {
  const seen = new Set();
  const waiting = [id];
  while (waiting.length) for (const other of next(waiting.pop())) if (!seen.has(other)) { seen.add(other); waiting.push(other); }
  return seen;
}
function writeGradient(lines, value, final) {
  const whole = value && value.text === final.text;
  const width = value && value.cells && lines.length > 1 ? value.cells.length / lines.length : 0;
  lines.forEach(([text, original], i) => {
    if (whole) text.textContent = original;
    else if (!value) text.textContent = i ? "" : "…";
    else if (width >= 1) text.textContent = value.cells.slice(i * width, (i + 1) * width).map((cell) => cell[0]).join("  ");
    else text.textContent = i ? "" : value.text;
    text.classList.toggle("partial", Boolean(value) && !whole);
  });
}
function paint(gradients) {
  const known = groups();
  for (const group of svg.querySelectorAll("g.node, g.edge")) group.classList.remove("active", "receives", "later", "flows", "kin", "chosen", "found");
  const wanted = byId("search").value.trim().toLowerCase();
  if (state.z >= 0) {
    const hits = [...known.values()].filter((group) => wanted && group.querySelector("text").textContent.toLowerCase().includes(wanted));
    for (const group of hits) group.classList.add("found");
    byId("hits").textContent = wanted ? `${hits.length} found` : "";
    return;
  }
  const mark = (id, className) => { const group = known.get(shownAs(id)); if (group) group.classList.add(className); };
  for (const [id, group] of known) {
    const face = data.views[state.v].faces[id];
    if (data.nodes[face].grad) writeGradient(group.gradientLines, gradients.get(face), data.nodes[face].grad);
    group.setAttribute("aria-pressed", String(Boolean(state.n) && shownAs(state.n) === id));
  }
  const flowing = [];
  if (state.k <= forwardSteps) {
    const done = new Set(data.forward.slice(0, state.k).map(shownAs));
    for (const id of data.forward) if (!done.has(shownAs(id))) mark(id, "later");
    const active = data.forward[state.k - 1];
    if (active) mark(active, "active");
    if (active) for (const source of inputsOf(active)) flowing.push([source, active]);
  } else {
    const step = stepsNow()[backwardIndex(state.k)];
    mark(step.node, "active");
    for (const part of step.parts) { mark(part.to, "receives"); flowing.push([part.to, step.node]); }
  }
  const titles = new Set(flowing.map(([a, b]) => `${shownAs(a)}->${shownAs(b)}`));
  for (const edge of svg.querySelectorAll("g.edge")) if (titles.has(titleOf(edge))) edge.classList.add("flows");
  if (state.n) {
    for (const next of [inputsOf, usersOf]) for (const id of reach(state.n, next)) mark(id, "kin");
    mark(state.n, "chosen");
  }
  const hits = Object.entries(data.nodes).filter(([, node]) => wanted && `${node.symbol} ${node.formula} ${node.op || ""} ${node.scope.join("/")}`.toLowerCase().includes(wanted));
  for (const [id] of hits) mark(id, "found");
  byId("hits").textContent = wanted ? `${hits.length} found` : "";
}
function sentence() {
  const k = state.k;
  if (k === 0) return data.orders[state.o].note || `Forward pass: ${forwardSteps} operations; backward pass: ${stepsNow().length} steps.`;
  if (k <= forwardSteps) { const id = data.forward[k - 1]; return `Forward ${k} of ${forwardSteps}: ${title(id)} is ${inSentence(data.nodes[id].value)}.`; }
  const step = stepsNow()[backwardIndex(k)];
  const parts = step.parts.map((part) => `${name(part.to)} ${part.before ? "gets another" : "gets"} ${inSentence(part.given)}${part.before ? `, now ${inSentence(part.after)}` : ""}`);
  return `Backward ${backwardIndex(k) + 1} of ${stepsNow().length}, ${name(step.node)}: ${parts.join("; ")}.`;
}

// -- the part of the picture that is seen --------------------------------------------------------------------------------

function viewBox() { return svg.getAttribute("viewBox").split(/[ ,]+/).map(Number); }
function setViewBox(box) { svg.setAttribute("viewBox", box.join(" ")); }
function scale(factor, x, y) {
  const box = viewBox();
  const [cx, cy] = x === undefined ? [box[0] + box[2] / 2, box[1] + box[3] / 2] : [x, y];
  factor = Math.min(Math.max(factor, home[2] / 200 / box[2]), Math.max(1, (3 * home[2]) / box[2])); // zoom has an end
  keepInSight([cx - (cx - box[0]) * factor, cy - (cy - box[1]) * factor, box[2] * factor, box[3] * factor]);
}
function keepInSight(box) { // the middle of what is seen stays on the picture, so that it cannot be lost
  const at = (i) => Math.min(Math.max(box[i] + box[i + 2] / 2, home[i]), home[i] + home[i + 2]) - box[i + 2] / 2;
  setViewBox([at(0), at(1), box[2], box[3]]);
}
function pan(pixelsX, pixelsY) {
  const box = viewBox();
  const unitsPerPixel = Math.max(box[2] / holder.clientWidth, box[3] / holder.clientHeight);
  keepInSight([box[0] - pixelsX * unitsPerPixel, box[1] - pixelsY * unitsPerPixel, box[2], box[3]]);
}
function bring(...choices) { // into view: the first choice of boxes that fits
  const seen = holder.getBoundingClientRect();
  for (const boxes of choices.map((all) => all.map((group) => group.getBoundingClientRect()))) {
    const [left, right] = [Math.min(...boxes.map((b) => b.left)), Math.max(...boxes.map((b) => b.right))];
    const [top, bottom] = [Math.min(...boxes.map((b) => b.top)), Math.max(...boxes.map((b) => b.bottom))];
    if (left >= seen.left && right <= seen.right && top >= seen.top && bottom <= seen.bottom) return;
    if (right - left <= seen.width && bottom - top <= seen.height) {
      pan((seen.left + seen.right - left - right) / 2, (seen.top + seen.bottom - top - bottom) / 2);
      return;
    }
  }
}
function follow() {
  const active = [...svg.querySelectorAll(".active")];
  if (active.length && svg.getAttribute("viewBox") !== home.join(" ")) bring([...active, ...svg.querySelectorAll(".receives")], active);
}

// -- everything together ---------------------------------------------------------------------------------------------------

function render() {
  const gradients = gradientsAt(state.k);
  byId("slider").max = lastStep();
  byId("slider").value = state.k;
  byId("slider").setAttribute("aria-valuetext", sentence());
  byId("say").textContent = sentence();
  // Not "disabled", which would take the focus away from under the reader's fingers.
  for (const [id, off] of [["first", state.k === 0], ["previous", state.k === 0], ["next", state.k === lastStep()], ["last", state.k === lastStep()]]) byId(id).setAttribute("aria-disabled", String(off));
  const panel = byId("panel");
  panel.replaceChildren(describeStep(state.k, gradients));
  if (state.z >= 0) panel.append(section("In the picture", make("p", `${data.zoom[state.z].label} of the result, number by number; the gradients there are those of this element alone.`)));
  if (state.n) panel.append(section(`Chosen: ${title(state.n)}`, describeNode(state.n, gradients)));
  if (state.k > forwardSteps && data.invariants.length) panel.append(describeInvariants(gradients));
  if (state.k === lastStep()) panel.append(...describeEnd());
  paint(gradients);
  const address = `#k=${state.k}&v=${state.v}${state.n ? `&n=${state.n}` : ""}${state.z < 0 ? "" : `&z=${state.z}`}${state.o ? `&o=${state.o}` : ""}`;
  if (location.hash !== address) history.replaceState(null, "", address);
  follow();
}
function go(k) { state.k = Math.max(0, Math.min(lastStep(), k)); render(); }
function look(v) {
  const focused = document.activeElement && document.activeElement.id;
  state.v = v;
  insertPicture();
  listModules();
  listChoices();
  render();
  if (focused && byId(focused)) byId(focused).focus();
}
function choiceButton(id, label, act) {
  const button = make("button", label);
  button.id = id;
  button.type = "button";
  button.addEventListener("click", () => { act(); look(state.v); });
  return button;
}
function listChoices() {
  const list = [];
  const add = (id, label, pressed, act) => { const button = choiceButton(id, label, act); button.setAttribute("aria-pressed", String(pressed)); list.push(button); };
  if (data.orders.length > 1) data.orders.forEach((order, i) => add(`order${i}`, order.label, state.o === i, () => { const atEnd = state.k === lastStep(); state.o = i; state.k = atEnd ? lastStep() : Math.min(state.k, lastStep()); }));
  if (data.zoom.length) add("whole", "tensors", state.z < 0, () => { state.z = -1; });
  data.zoom.forEach((zoom, i) => add(`zoom${i}`, `${zoom.label} in scalars`, state.z === i, () => { state.z = i; }));
  byId("choices").hidden = !list.length;
  byId("choices").replaceChildren(...list);
}
function listModules() {
  const closed = data.views[state.v].closed;
  const isInside = (i, j) => data.modules[j].every((part, depth) => data.modules[i][depth] === part); // i is j, or in it
  const some = data.modules.map((_, i) => i).filter((i) => data.views.some((view) => view.closed.includes(i)));
  const buttons = some.map((i) => {
    const isClosed = closed.some((other) => isInside(i, other));
    const path = data.modules[i];
    const button = choiceButton(`module${i}`, `${isClosed ? "▸" : "▾"} ${path.slice(-2).join("/")}`, () => {
      const others = closed.filter((other) => !isInside(other, i) && !isInside(i, other));
      const wanted = (isClosed ? others : [...others, i]).sort((a, b) => a - b).join();
      const exact = data.views.findIndex((view) => view.closed.join() === wanted);
      const nearest = data.views.findIndex((view) => view.closed.some((other) => isInside(i, other)) !== isClosed);
      state.v = Math.max(0, exact < 0 ? nearest : exact);
    });
    button.setAttribute("aria-expanded", String(!isClosed));
    button.setAttribute("aria-label", `${isClosed ? "open" : "close"} ${path.join("/")}`);
    return button;
  });
  byId("modules").hidden = state.z >= 0 || !buttons.length;
  byId("modules").replaceChildren(...buttons);
}
function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const whole = (key, most) => { const n = Number(parts.get(key)); return Number.isInteger(n) && n >= 0 ? Math.min(n, most) : 0; };
  state.o = whole("o", data.orders.length - 1);
  state.z = /^\d+$/.test(parts.get("z") || "") && data.zoom.length ? whole("z", data.zoom.length - 1) : -1;
  state.k = whole("k", lastStep());
  state.v = whole("v", data.views.length - 1);
  state.n = Object.hasOwn(data.nodes, parts.get("n") || "") ? parts.get("n") : "";
}

byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
byId("first").addEventListener("click", () => go(0));
byId("previous").addEventListener("click", () => go(state.k - 1));
byId("next").addEventListener("click", () => go(state.k + 1));
byId("last").addEventListener("click", () => go(lastStep()));
byId("turn").addEventListener("click", () => go(forwardSteps + 1));
byId("search").addEventListener("input", () => paint(gradientsAt(state.k)));
byId("larger").addEventListener("click", () => scale(0.8));
byId("smaller").addEventListener("click", () => scale(1.25));
byId("fit").addEventListener("click", () => setViewBox(home));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") { state.n = ""; byId("search").value = ""; render(); }
  if (event.target.tagName === "INPUT") return; // the slider and the search have keys of their own
  const keys = { ArrowRight: () => go(state.k + 1), ArrowLeft: () => go(state.k - 1), Home: () => go(0), End: () => go(lastStep()), "/": () => byId("search").focus() };
  if (event.key in keys) { event.preventDefault(); keys[event.key](); }
});
holder.addEventListener("wheel", (event) => {
  if (event.ctrlKey || event.metaKey || !event.deltaY) return; // the browser's own zoom, a turn to the side
  event.preventDefault();
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  scale(event.deltaY > 0 ? 1.1 : 1 / 1.1, at.x, at.y);
}, { passive: false });
let drag = null;
let dragged = false; // a drag that ends on a box does not choose it
holder.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; dragged = false; });
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag[0], event.clientY - drag[1]];
  if (!dragged && Math.hypot(dx, dy) < 4) return;
  dragged = true;
  pan(dx, dy);
  drag = [event.clientX, event.clientY];
});
for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => { drag = null; });
let before = null; // what was seen before printing, which shows the whole picture
window.addEventListener("beforeprint", () => { before = viewBox(); setViewBox(home); });
window.addEventListener("afterprint", () => { if (before) setViewBox(before); before = null; });
window.addEventListener("hashchange", () => { readAddress(); look(state.v); });

readAddress();
look(state.v);
