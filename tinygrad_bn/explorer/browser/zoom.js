"use strict";
// One element of an array number by number: a box for each scalar that it is made of, and the gradient of this element alone.
const zoom = (() => {
  const { nodes } = model;
  const SVG = "http://www.w3.org/2000/svg";
  const MOST = 200;
  const area = byId("rows");
  let boxes = new Map();
  let lines = [];

  function formula(node, element, args) {
    const names = args.map((key) => { const [i, at] = key.split(".").map(Number); return show.elementName(i, at, model.value(i)); });
    if (nodes[node].elementwise) {
      let next = 0;
      return nodes[node].notation.replace(/\{(\d+)\}/g, (_, slot) => {
        const argument = nodes[node].args[Number(slot)];
        if (nodes[argument].kind === "number") return show.number(model.value(argument).data[0]);
        const own = args.filter((key) => Number(key.split(".")[0]) === argument);
        const name = own.length ? names[args.indexOf(own[Math.min(next, own.length - 1)])] : nodes[argument].name;
        next += own.length > 1 ? 1 : 0;
        return /[−+]/.test(name) && !name.startsWith("(") ? `(${name})` : name;
      }).replaceAll("-", "−");
    }
    const unique = [...new Set(names)];
    if (!unique.length) return "0";
    if (unique.length === 1) return unique[0];
    return unique.length <= 6 ? `${nodes[node].op}(${unique.join(", ")})` : `${nodes[node].op} of ${unique.length} numbers`;
  }
  function draw() {
    const { node, element } = page.state.zoom;
    const { found, whole } = model.scalarsBehind(node, element, MOST);
    const gradients = model.data.outputs.includes(node) ? model.gradientsOfOne(node, element) : () => null;
    boxes = new Map();
    lines = [];
    const name = show.elementName(node, element, model.value(node));
    const note = make("p", "note", `${name}, number by number${whole ? "" : `: the ${MOST} numbers nearest to it`}. ${model.data.outputs.includes(node) ? `∂ is the gradient of ${name} alone.` : ""} `);
    note.append(button("back to arrays", () => page.zoomTo(null), { id: "unzoom" }));
    const byNode = new Map();
    for (const [key, scalar] of found) {
      if (nodes[scalar.node].kind === "number") continue;
      byNode.set(scalar.node, [...(byNode.get(scalar.node) ?? []), [key, scalar]]);
    }
    const rows = [];
    for (const i of [...byNode.keys()].sort((a, b) => a - b)) {
      const alone = !nodes[i].op && byNode.get(i).length === 1 && rows.length > 0; // beside what is there already when it comes in
      (alone ? rows[rows.length - 1] : rows[rows.push(make("div", "row scalars")) - 1]).append(...boxesOf(i, byNode.get(i)));
    }
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "edges");
    svg.setAttribute("aria-hidden", "true");
    area.style.setProperty("--lanes", 0);
    area.replaceChildren(svg, note, ...rows);
    update();
    place();

    function boxesOf(i, scalars) {
      return scalars.sort((a, b) => a[1].element - b[1].element).map(([key, scalar]) => boxOf(i, key, scalar));
    }
    function boxOf(i, key, scalar) {
      const own = show.elementName(i, scalar.element, model.value(i));
      const args = scalar.args.filter((argument) => nodes[Number(argument.split(".")[0])].kind !== "number");
      const text = nodes[i].op ? formula(i, scalar.element, args) : "";
      const same = text.replace(/[\s·()]/g, "") === own.replace(/[\s·()]/g, "");
      const head = make("span", "head", text && !same ? `${own} = ${text}` : own);
      const value = make("span", "cell plain");
      const gradient = make("span", "cell plain");
      const box = make("div", `box ${nodes[i].kind}${key === `${node}.${element}` ? " active" : ""}`, head, make("div", "numbers", value), gradients(i) ? make("div", "numbers gradient", make("span", "tag", "∂"), gradient) : null);
      box.dataset.node = i;
      boxes.set(key, { box, value, gradient, node: i, element: scalar.element });
      for (const argument of args) lines.push([argument, key]);
      return box;
    }
  }
  function update() {
    const { node, element } = page.state.zoom;
    const gradients = model.data.outputs.includes(node) ? model.gradientsOfOne(node, element) : () => null;
    for (const scalar of boxes.values()) {
      scalar.value.textContent = show.number(model.value(scalar.node).data[scalar.element]);
      const found = gradients(scalar.node);
      if (found) scalar.gradient.textContent = show.number(found.data[scalar.element]);
    }
  }
  function place() {
    const svg = area.querySelector("svg");
    const whole = area.getBoundingClientRect();
    svg.setAttribute("width", area.offsetWidth);
    svg.setAttribute("height", area.offsetHeight);
    const rect = (key) => magnify.place(boxes.get(key).box, whole);
    const paths = lines.filter(([from]) => boxes.has(from)).map(([from, to]) => {
      const [a, b] = [rect(from), rect(to)];
      const [x1, y1, x2, y2] = [a.left + a.width / 2, a.bottom, b.left + b.width / 2, b.top];
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", `M${x1} ${y1} C${x1} ${y1 + 14} ${x2} ${y2 - 14} ${x2} ${y2}`);
      return path;
    });
    const edge = document.createElementNS(SVG, "g");
    edge.setAttribute("class", "edge");
    edge.append(...paths);
    svg.replaceChildren(edge);
  }
  return { draw, update, place };
})();
