"use strict";
// A number line for each stage of the lesson, on one scale: the same points centered, scaled, shifted; and the gradient at each of
// them as an arrow, once the backward pass has come there.
const line = (() => {
  const { nodes } = model;
  const SVG = "http://www.w3.org/2000/svg";
  const area = byId("line");
  const stages = model.data.line.map((symbol) => nodes.findIndex((node) => node.name === symbol)).filter((node) => node >= 0);
  const ROW = 50;
  let scale = null; // [low, high], which stays as it is while a point is dragged
  let drag = null;
  const svg = document.createElementNS(SVG, "svg");
  const draw_ = (tag, className, settings = {}, parent = svg) => {
    const element = document.createElementNS(SVG, tag);
    element.setAttribute("class", className);
    for (const [key, value] of Object.entries(settings)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  };
  let width = 0; // looked up when the page changes its size: each look makes the browser lay out anew
  const toPixels = (x) => 46 + ((x - scale[0]) / (scale[1] - scale[0])) * (width - 46 - 16);
  const fromPixels = (px) => scale[0] + ((px - 46) / (width - 46 - 16)) * (scale[1] - scale[0]);
  const seen = (node) => (nodes[node].op && page.state.k > 0 ? model.forward.indexOf(node) < page.state.k : true);

  function fit() {
    const all = stages.flatMap((node) => [...model.value(node).data]).filter(Number.isFinite);
    const [low, high] = [Math.min(...all, 0), Math.max(...all, 0)];
    const room = Math.max(high - low, 1) * 0.12;
    const [wantedLow, wantedHigh] = [low - room, high + room];
    const fits = scale && low >= scale[0] && high <= scale[1] && high - low > 0.45 * (scale[1] - scale[0]);
    if (!drag && !fits) scale = [wantedLow, wantedHigh];
    scale ??= [wantedLow, wantedHigh];
  }
  function ticks() {
    const rough = (scale[1] - scale[0]) / (width / 70);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const found = [];
    for (let i = Math.ceil(scale[0] / step); i * step <= scale[1]; i += 1) found.push(i * step);
    return found;
  }
  function draw() {
    if (!stages.length || !width) return;
    fit();
    const focused = document.activeElement?.dataset?.point;
    svg.setAttribute("width", width);
    svg.setAttribute("height", ROW * stages.length + 26);
    svg.replaceChildren();
    const known = model.gradientNumbers(page.state.k);
    const defs = draw_("defs", "");
    const marker = draw_("marker", "", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, defs);
    draw_("path", "gradient-tip", { d: "M0 0 L8 4 L0 8 Z" }, marker);
    const gradients = stages.map((node) => (known.has(node) ? model.at(known.get(node)) : null));
    const largest = Math.max(...gradients.flatMap((g) => (g ? [...g.data].map(Math.abs).filter(Number.isFinite) : [])), 1e-12);
    for (const x of ticks()) {
      draw_("line", x === 0 ? "zero" : "tick", { x1: toPixels(x), x2: toPixels(x), y1: 6, y2: ROW * stages.length });
      draw_("text", "number", { x: toPixels(x), y: ROW * stages.length + 18, "text-anchor": "middle" }).textContent = show.number(Math.abs(x) < 1e-9 ? 0 : x);
    }
    stages.forEach((node, row) => {
      const y = 24 + row * ROW;
      const x = model.value(node);
      draw_("line", "axis", { x1: 46, x2: width - 8, y1: y, y2: y });
      const label = draw_("text", "term stage", { x: 2, y: y + 5 });
      label.textContent = nodes[node].name;
      label.dataset.node = node;
      const mean = x.data.reduce((a, b) => a + b, 0) / x.data.length;
      if (Number.isFinite(mean)) draw_("path", `mean${seen(node) ? "" : " later"}`, { d: `M${toPixels(mean)} ${y + 12} l5 8 h-10 Z` }).append(title(`mean of ${nodes[node].name}: ${show.number(mean)}`));
      if (row > 0) {
        const above = model.value(stages[row - 1]);
        x.data.forEach((v, i) => { if (seen(node)) draw_("line", "thread", { x1: toPixels(above.data[i]), y1: y - ROW + 10, x2: toPixels(v), y2: y - 10 }); });
      }
      x.data.forEach((v, i) => {
        if (!Number.isFinite(v)) return;
        if (gradients[row]) {
          const length = (gradients[row].data[i] / largest) * 44;
          if (Math.abs(length) > 1) draw_("line", "gradient", { x1: toPixels(v), x2: toPixels(v) + length, y1: y - 15, y2: y - 15, "marker-end": "url(#arrow)" }).append(title(`∂${show.elementName(node, i, x)} = ${show.number(gradients[row].data[i])}`));
        }
        const point = draw_("g", `point${seen(node) ? "" : " later"}${row === 0 ? " handle" : ""}`, { transform: `translate(${toPixels(v)} ${y})` });
        if (row === 0) draw_("circle", "grip", { r: 17 }, point);
        draw_("circle", "dot", { r: 9 }, point);
        draw_("text", "index", { "text-anchor": "middle", y: 4.5 }, point).textContent = i + 1;
        point.append(title(`${show.elementName(node, i, x)} = ${show.number(v)}`));
        if (row === 0 && !model.fixed) handle(point, node, i, v);
      });
    });
    if (focused !== undefined) svg.querySelector(`[data-point="${focused}"]`)?.focus();
  }
  function title(text) {
    const element = document.createElementNS(SVG, "title");
    element.textContent = text;
    return element;
  }
  function handle(point, node, i, v) {
    const name = show.elementName(node, i, model.value(node));
    for (const [key, value] of Object.entries({ tabindex: 0, role: "slider", "aria-label": name, "aria-valuenow": v, "aria-valuetext": show.number(v) })) point.setAttribute(key, value);
    point.dataset.point = i;
    const group = model.groups().find((each) => each.node === node && !each.seed);
    point.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 0.1, ArrowUp: 0.1, ArrowLeft: -0.1, ArrowDown: -0.1, PageUp: 1, PageDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      model.set(group, i, Math.round((model.value(node).data[i] + by) * 1e6) / 1e6);
      page.changed();
    });
    point.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      drag = { group, i };
      point.focus();
    });
  }
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const x = fromPixels(event.clientX - svg.getBoundingClientRect().left);
    const inside = Math.min(Math.max(x, scale[0]), scale[1]);
    model.set(drag.group, drag.i, Math.round(inside * 100) / 100);
    page.changed();
  });
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => { if (drag) { drag = null; draw(); } });

  if (stages.length) {
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", "number line");
    area.append(svg);
  }
  function resized() {
    const now = area.clientWidth;
    if (now === width) return;
    width = now && Math.max(now, 260);
    draw();
  }
  return { draw, resized, stages };
})();
