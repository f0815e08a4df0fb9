"use strict";
// How numbers, arrays and formulas are shown; every name in a formula leads to its box.
const byId = (id) => document.getElementById(id);
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}
function button(label, act, settings = {}) {
  const element = make("button", settings.className ?? "", label);
  element.type = "button";
  if (settings.id) element.id = settings.id;
  if (settings.name) element.setAttribute("aria-label", settings.name);
  if (settings.title) element.title = settings.title;
  element.addEventListener("click", act);
  return element;
}

const show = (() => {
  const { data, nodes } = model;

  function number(x) { // as in the pictures: four decimals at most, powers of ten where those would lose it
    if (Number.isNaN(x)) return "NaN";
    if (!Number.isFinite(x)) return x > 0 ? "+inf" : "−inf";
    if (x === 0) return "0";
    const size = Math.abs(x);
    const text = size >= 1e-3 && size < 1e5 ? x.toFixed(4).replace(/\.?0+$/, "") : x.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
    return text.replace(/-/g, "−");
  }
  // What is 0 but for rounding, as a sum of gradients is: against numbers of about 1.
  const nearZero = (x) => (Math.abs(x) < 1e-12 ? "0" : Math.abs(x) < 1e-3 ? x.toExponential(1).replace(/-/g, "−") : number(x));
  const shape = (x) => (x.shape.length ? x.shape.join("×") : x.dtype === "number" ? "number" : "single");
  const type = (x) => (x.dtype === "float64" || x.dtype === "number" ? shape(x) : `${shape(x)} ${x.dtype}`);
  const inWords = (x) => (x.data.length > 8 ? `${x.shape.join("×")} numbers` : [...x.data].map(number).join("  ") || "empty");
  function elementName(node, element, x) {
    const inside = elements.unravel(element, x.shape).join(", ");
    const name = /[−+]/.test(nodes[node].name) && !nodes[node].name.startsWith("(") ? `(${nodes[node].name})` : nodes[node].name;
    return x.data.length > 1 ? `${name}[${inside}]` : nodes[node].name;
  }

  // An array as cells: whole up to "most" elements, otherwise its smallest, mean and largest.  Shown again with other numbers it
  // keeps its cells, so a drag moves nothing but digits; what is only read at rest waits until then.
  const frame = { moving: false };
  function array(holder, x, { most = 16, columns: widest = 4, cell = null } = {}) {
    const last = x.shape.length > 1 ? x.shape[x.shape.length - 1] : 1;
    const whole = x.data.length <= most && (last <= widest || x.data.length <= widest);
    const key = `${x.shape}|${whole}`;
    if (holder.dataset.key !== key) {
      holder.dataset.key = key;
      holder.className = "array";
      holder.replaceChildren(...(whole ? Array.from(x.data, (_, i) => (cell ? cell(i) : make("span", "cell"))) : [make("span", "summary")]));
      const columns = whole && last > 1 ? Math.min(last, widest) : 0;
      holder.classList.toggle("grid", columns > 0);
      if (columns) holder.style.setProperty("--columns", columns);
    }
    if (!whole) {
      const finite = [...x.data].filter(Number.isFinite);
      const low = finite.reduce((a, b) => Math.min(a, b), Infinity);
      const high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
      const mean = finite.reduce((a, b) => a + b, 0) / finite.length;
      const text = finite.length ? `${shape(x)}: ${[low, mean, high].map(number).join(" … ")}` : x.data.length ? "no finite element" : "empty";
      holder.firstChild.textContent = finite.length < x.data.length ? `${text}  ⚠ ${x.data.length - finite.length} not finite` : text;
      holder.firstChild.title = `${type(x)}: smallest … mean … largest`;
      return holder;
    }
    const largest = x.data.reduce((most_, v) => (Number.isFinite(v) ? Math.max(most_, Math.abs(v)) : most_), 0);
    [...holder.children].forEach((element, i) => {
      const v = x.data[i];
      const text = x.dtype === "bool" ? (v ? "true" : "false") : number(v);
      if (element.textContent !== text) element.textContent = text;
      if (!frame.moving) {
        element.dataset.element = i;
        element.title = String(v);
      }
      element.classList.toggle("below", v < 0);
      element.classList.toggle("odd", !Number.isFinite(v));
      const heat = largest && Number.isFinite(v) ? Math.round((34 * Math.abs(v)) / largest) : 0;
      if (element.heat !== heat) { element.heat = heat; element.style.setProperty("--heat", `${heat}%`); }
    });
    if (!x.data.length) holder.textContent = "empty";
    return holder;
  }

  // A formula in the names of its arguments: "{0} + {1}" becomes links and the text between them.
  function formula(node) {
    const { notation, args } = nodes[node];
    const pieces = /\{\d+\}/.test(notation) ? notation : `${notation}(${args.map((_, i) => `{${i}}`).join(", ")})`;
    return pieces.split(/(\{\d+\})/).filter(Boolean).map((piece) => {
      const slot = /^\{\d+\}$/.test(piece) ? Number(piece.slice(1, -1)) : NaN;
      if (Number.isNaN(slot) || slot >= args.length) return piece.replaceAll("-", "−");
      const argument = args[slot];
      if (nodes[argument].kind === "number") return number(model.value(argument).data[0]);
      const compound = /[−+]/.test(nodes[argument].name) && !nodes[argument].name.startsWith("(") && pieces !== piece;
      return term(argument, compound ? `(${nodes[argument].name})` : nodes[argument].name);
    });
  }
  const breakable = (name) => name.split(/(?<=\D[._/])(?=.)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part])); // a line may end there
  function term(node, text) {
    const element = make("span", "term", ...breakable(text ?? nodes[node].name));
    element.dataset.node = node;
    return element;
  }
  const plain = (pieces) => pieces.map((piece) => piece.textContent ?? piece).join("");
  const bare = (text) => text.replace(/[\s·]/g, "");
  function heading(node) { // "σ = √(σ²+ε)"; once only where the name is the formula itself
    if (!nodes[node].op) return [make("span", "", ...breakable(nodes[node].name))];
    const pieces = formula(node);
    return bare(plain(pieces)) === bare(nodes[node].name) ? pieces : [`${nodes[node].name} = `, ...pieces];
  }

  // MathML, with each symbol that has a box linked to it; hovering or focusing it shows its array.
  function math(markup, upstream = null) {
    const found = document.importNode(new DOMParser().parseFromString(markup, "text/html").querySelector("math"), true);
    found.setAttribute("displaystyle", "true");
    for (const sign of found.querySelectorAll("mo")) sign.textContent = sign.textContent.replaceAll("-", "−");
    for (const element of found.querySelectorAll("mi")) {
      const text = element.textContent.replace(/^\((.*)\)$/, "$1");
      const node = text === "g" && upstream !== null ? upstream : nodes.findIndex((each) => each.name === text && each.kind !== "number");
      if (node < 0) continue;
      if (text === "g" && upstream !== null) element.dataset.upstream = node;
      else element.dataset.node = node;
      element.classList.add("term");
      element.setAttribute("tabindex", "0");
      element.setAttribute("role", "button");
      element.setAttribute("aria-label", text === "g" ? "g, the cotangent" : text);
    }
    return found;
  }
  return { frame, number, nearZero, shape, type, inWords, elementName, array, formula, term, heading, plain, math };
})();
