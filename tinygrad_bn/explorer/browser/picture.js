"use strict";
// The picture: time runs down.  One row for each operation, in the order in which it ran, so the main path is straight and every
// module is a band; parameters and constants stand beside the row that uses them first; what skips rows goes by a lane at the left.
// Modules open and close one by one.  It is laid out here, at the size of letters that can be read, on any width.
const picture = (() => {
  const { nodes, forward } = model;
  const { groups, top, closed } = folding;
  const SVG = "http://www.w3.org/2000/svg";
  const area = byId("rows");
  let boxes = new Map(); // of nodes and of closed modules: by "n3", "g2"
  let drawn = [];

  function key(node) { // the box in which a node is seen
    const group = folding.closedAround(node);
    return group ? `g${group.id}` : boxes.has(`n${node}`) ? `n${node}` : null;
  }

  // -- rows ------------------------------------------------------------------------------------------------------------------------

  // Beside the main path stand parameters and constants, and what is made of one parameter alone, such as a transposed weight.
  const aside = new Set(nodes.keys().filter((node) => ["parameter", "buffer", "constant"].includes(nodes[node].kind)));
  for (const node of forward) {
    const [only, ...others] = nodes[node].args.filter((i) => nodes[i].kind !== "number");
    const ofParameter = only !== undefined && !others.length && aside.has(only) && nodes[only].kind !== "constant";
    if (ofParameter && nodes[node].kind !== "output" && model.users[node].length === 1) aside.add(node);
  }
  const onPath = new Set(); // what is given and has a row of its own: where something starts, and inputs that are used again
  for (const node of forward) {
    const starts = !aside.has(node) && !nodes[node].args.some((argument) => onPath.has(argument) || (nodes[argument].op && !aside.has(argument)));
    const fresh = [...new Set(nodes[node].args)].filter((argument) => ["input", "constant"].includes(nodes[argument].kind) && !onPath.has(argument));
    fresh.forEach((argument, i) => {
      const again = nodes[argument].kind === "input" && model.users[argument].length > 1;
      if ((starts && i === 0) || again) { onPath.add(argument); aside.delete(argument); } else aside.add(argument);
    });
  }
  function sidesOf(member) { // what stands beside an operation, arguments first
    return nodes[member].args.flatMap((i) => (aside.has(i) ? [...(nodes[i].op ? sidesOf(i) : []), i] : []));
  }
  function listRows() {
    const rows = [];
    const seen = new Set();
    const visit = (group, depth) => {
      for (const child of group.children) {
        if (typeof child !== "number" && !closed.has(child.id)) {
          if (child.foldable) rows.push({ type: "head", group: child, depth });
          visit(child, child.foldable ? depth + 1 : depth);
          continue;
        }
        if (aside.has(child)) continue;
        const members = typeof child === "number" ? [child] : child.members;
        const sides = [...new Set(members.flatMap(sidesOf))].filter((side) => typeof child === "number" || !members.includes(side));
        for (const argument of members.flatMap((member) => [member, ...sidesOf(member)]).flatMap((member) => nodes[member].args)) {
          if (!onPath.has(argument) || seen.has(argument)) continue;
          seen.add(argument);
          const at = rows.findIndex((row) => row.group && row.type === "head" && row.group.members.some((member) => nodes[member].args.includes(argument)));
          rows.splice(at < 0 ? rows.length : at, 0, { type: "box", id: `n${argument}`, node: argument, depth: 0, sides: [] });
        }
        const again = sides.filter((side) => seen.has(side));
        sides.forEach((side) => seen.add(side));
        const many = sides.length > (typeof child === "number" ? 5 : 2);
        rows.push({
          type: "box", depth, sides: many ? [] : sides.filter((side) => !again.includes(side)), again: many ? [] : again, many: many ? sides : [],
          ...(typeof child === "number" ? { id: `n${child}`, node: child } : { id: `g${child.id}`, node: child.face, group: child }),
        });
      }
    };
    visit(top, 0);
    for (const output of model.data.outputs) if (!nodes[output].op && !seen.has(output)) rows.push({ type: "box", id: `n${output}`, node: output, depth: 0, sides: [] });
    return rows;
  }

  // -- boxes -----------------------------------------------------------------------------------------------------------------------

  function box(id, node, group = null) {
    const { kind, wants } = nodes[node];
    const head = button("", () => page.choose(node), { className: "head" });
    if (group) head.append(`${group.label}: ${group.members.length} operations, gives `, show.term(node));
    else head.append(...show.heading(node));
    const element = make("div", `box ${group ? "group" : kind}`, make("div", "title", head, ["parameter", "buffer"].includes(kind) ? make("span", "kind", kind) : null));
    if (group) element.prepend(foldButton("▸", group, "fold", "open"));
    const value = make("div", "array");
    const gradient = wants ? make("div", "array") : null;
    const lines = make("div", "lines", make("div", "numbers", value));
    if (gradient) {
      const tag = make("span", "tag", "∂");
      tag.title = "gradient";
      lines.append(make("div", "numbers gradient", tag, gradient));
    }
    element.append(lines);
    element.dataset.node = node;
    boxes.set(id, { id, element, head, node, group, value, gradient, room: aside.has(node) ? { most: 8, columns: 2 } : {} });
    return element;
  }
  function headRow(row) {
    const { group } = row;
    return foldButton(`▾ ${group.label}`, group, "band", "close");
  }
  function foldButton(text, group, className, does) {
    const fold = button(text, () => toggle(group), { className, name: `${does} ${group.label}` });
    fold.dataset.group = group.id;
    fold.setAttribute("aria-expanded", String(does === "close"));
    return fold;
  }
  function draw() {
    boxes = new Map();
    drawn = listRows();
    area.replaceChildren(...drawn.map((row) => {
      const main = make("div", "main", row.type === "head" ? headRow(row) : box(row.id, row.node, row.group));
      main.style.setProperty("--depth", row.depth);
      const side = make("div", "side");
      for (const node of row.sides ?? []) side.append(box(`n${node}`, node));
      for (const node of row.again ?? []) side.append(make("div", "again", show.term(node), " again"));
      if (row.many?.length) side.append(make("div", "again", `with ${row.many.length} parameters and constants`));
      const wide = row.again?.length || row.many?.length || row.sides?.some((node) => model.value(node).data.length > 1);
      const room = !side.childNodes.length ? "no-side" : wide ? "wide-side" : ""; // where there is little: a line of its own
      return make("div", `row ${row.type === "head" ? "bands" : ""} ${room}`, main, side);
    }));
    drawEdges();
    update();
    mark();
  }
  function toggle(group) {
    if (!closed.delete(group.id)) closed.add(group.id);
    page.refold();
    area.querySelector(`[data-group="${group.id}"]`)?.focus();
  }

  // -- arrows ----------------------------------------------------------------------------------------------------------------------

  let edges = [];
  function listEdges() {
    const found = new Map();
    const beside = new Map(); // the row in which a box stands beside others: its arrows stay there, "again" stands in later rows
    drawn.forEach((row, i) => { for (const side of row.sides ?? []) beside.set(`n${side}`, i); if (row.id) beside.set(`row ${row.id}`, i); });
    const rowOf = (id) => beside.get(id) ?? beside.get(`row ${id}`);
    for (const node of forward) {
      for (const argument of nodes[node].args) {
        const [from, to] = [key(argument), key(node)];
        if (!from || !to || from === to || (beside.has(from) && rowOf(from) !== rowOf(to))) continue;
        const id = `${from}>${to}`;
        if (!found.has(id)) found.set(id, { from, to, pairs: [] });
        found.get(id).pairs.push(`${argument}>${node}`);
      }
    }
    return [...found.values()];
  }
  function drawEdges() {
    edges = listEdges();
    const order = new Map(drawn.filter((row) => row.type === "box").map((row, i) => [row.id, i]));
    const skips = edges.filter((edge) => order.has(edge.from) && order.get(edge.to) - order.get(edge.from) > 1);
    const lanes = []; // for each lane the intervals in it
    for (const edge of [...skips].sort((a, b) => order.get(a.to) - order.get(a.from) - order.get(b.to) + order.get(b.from))) {
      const [start, end] = [order.get(edge.from), order.get(edge.to)];
      let lane = lanes.findIndex((taken) => taken.every(([s, e]) => end <= s || e <= start));
      if (lane < 0) lane = lanes.length < 8 ? lanes.push([]) - 1 : 7;
      lanes[lane].push([start, end]);
      edge.lane = lane;
    }
    area.style.setProperty("--lanes", lanes.length);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "edges");
    svg.setAttribute("aria-hidden", "true");
    for (const edge of edges) {
      edge.element = document.createElementNS(SVG, "g");
      edge.element.setAttribute("class", "edge");
      edge.line = edge.element.appendChild(document.createElementNS(SVG, "path"));
      edge.tip = edge.element.appendChild(document.createElementNS(SVG, "path"));
      edge.tip.setAttribute("class", "tip");
      if (edge.pairs.length > 1) {
        edge.count = edge.element.appendChild(document.createElementNS(SVG, "text"));
        edge.count.textContent = `×${edge.pairs.length}`;
      }
      svg.append(edge.element);
    }
    area.prepend(svg);
    place();
  }
  function place() { // arrows to where the boxes are now
    const svg = area.querySelector("svg");
    if (!svg) return;
    const whole = area.getBoundingClientRect();
    svg.setAttribute("width", area.offsetWidth);
    svg.setAttribute("height", area.offsetHeight);
    const at = (id) => {
      const r = magnify.place(boxes.get(id).element, whole);
      return { ...r, x: r.left + Math.min(r.width / 2, 150), y: (r.top + r.bottom) / 2 };
    };
    const margin = parseFloat(getComputedStyle(area).paddingLeft);
    const outOf = new Map();
    const into = new Map();
    for (const edge of edges) {
      const [a, b] = [at(edge.from), at(edge.to)];
      if (a.left >= b.right) {
        const y = Math.max(b.top + 4, Math.min(a.y, b.bottom - 4)); // a box beside others may stand higher or lower than this one
        const bend = y === a.y ? "" : ` H${(a.left + b.right) / 2 + 4} V${y}`;
        shape(edge, `M${a.left} ${a.y}${bend} H${b.right + 1}`, [a.left, a.y], [b.right + 1, y], [1, 0], [-1, 0]);
      }
      else if (edge.lane === undefined) {
        const x = Math.max(a.left + 8, Math.min(b.x, a.right - 8, b.right - 8));
        shape(edge, `M${x} ${a.bottom} V${b.top - 1}`, [x, a.bottom], [x, b.top - 1], [0, -1], [0, 1]);
      }
      else {
        const out = outOf.get(edge.from) ?? 0;
        const inn = into.get(edge.to) ?? 0;
        outOf.set(edge.from, out + 1);
        into.set(edge.to, inn + 1);
        const [x, r] = [margin - 5 - 9 * edge.lane, 6];
        const [y1, y2] = [Math.min(a.y + 7 * out, a.bottom - 4), Math.max(b.y - 7 * inn, b.top + 4)];
        shape(edge, `M${a.left} ${y1} H${x + r} Q${x} ${y1} ${x} ${y1 + r} V${y2 - r} Q${x} ${y2} ${x + r} ${y2} H${b.left - 1}`, [a.left, y1], [b.left - 1, y2], [1, 0], [1, 0]);
      }
    }
  }
  function shape(edge, path, start, end, backwards, forwards) {
    edge.line.setAttribute("d", path);
    edge.ends = { forward: [end, forwards], backward: [start, backwards] };
    if (edge.count) { edge.count.setAttribute("x", end[0] + (forwards[0] ? -22 : 6)); edge.count.setAttribute("y", end[1] + (forwards[0] ? -4 : -5)); } // beside the tip
    aim(edge);
  }
  function aim(edge) { // the tip stands where the numbers arrive
    const [[x, y], [dx, dy]] = edge.back ? edge.ends.backward : edge.ends.forward;
    const [px, py] = [-dy, dx];
    edge.tip.setAttribute("d", `M${x} ${y} L${x - 7 * dx + 4 * px} ${y - 7 * dy + 4 * py} L${x - 7 * dx - 4 * px} ${y - 7 * dy - 4 * py} Z`);
  }

  // -- numbers and marks, which change at every step -------------------------------------------------------------------------------

  function update() { // numbers only
    const known = model.gradientNumbers(page.state.k);
    for (const { element, head, node, group, value, gradient, room } of boxes.values()) {
      const x = model.value(node);
      show.array(value, x, room);
      let said = show.frame.moving ? "" : `value ${show.inWords(x)}`;
      if (gradient) {
        const number = known.get(node);
        const ended = page.state.k === model.lastStep();
        if (number === undefined) {
          gradient.dataset.key = "";
          gradient.className = "array none";
          gradient.textContent = ended ? "none arrives" : "…";
        } else show.array(gradient, model.at(number), room);
        const partial = number !== undefined && !model.isFinal(node, number);
        element.classList.toggle("partial", partial);
        if (!show.frame.moving) said += number === undefined ? (ended ? ", no gradient arrives" : ", no gradient yet") : `, gradient ${partial ? "so far " : ""}${show.inWords(model.at(number))}`;
      }
      if (!show.frame.moving) head.setAttribute("aria-label", `${group ? group.label : show.plain(show.heading(node))}: ${said}`);
      element.classList.toggle("nonfinite", x.data.some((v) => !Number.isFinite(v)));
    }
  }
  function mark() { // which boxes and arrows the step is about
    const { k, chosen, search } = page.state;
    const step = model.backwardStep(k);
    const active = step ? step.node : k > 0 ? forward[k - 1] : -1;
    const done = new Set(forward.slice(0, k));
    const receives = new Set(step ? step.parts.map((part) => key(part.to)) : []);
    const flowing = new Set(step ? step.parts.map((part) => `${part.to}>${active}`) : active < 0 ? [] : nodes[active].args.map((argument) => `${argument}>${active}`));
    const kin = chosen < 0 ? new Set() : new Set([...reach(chosen, (i) => nodes[i].args), ...reach(chosen, (i) => model.users[i])].map(key));
    const found = hits(search);
    for (const [id, { element, head, node, group }] of boxes) {
      const members = group ? group.members : [node];
      element.classList.toggle("active", members.includes(active));
      element.classList.toggle("receives", receives.has(id) && !members.includes(active));
      element.classList.toggle("later", k > 0 && k <= forward.length && Boolean(nodes[node].op) && !members.some((member) => done.has(member)));
      element.classList.toggle("chosen", chosen >= 0 && members.includes(chosen));
      element.classList.toggle("kin", kin.has(id));
      element.classList.toggle("found", members.some((member) => found.has(member)) || (Boolean(group) && Boolean(search) && group.label.toLowerCase().includes(search)));
      if (members.includes(active)) head.setAttribute("aria-current", "step"); else head.removeAttribute("aria-current");
      head.setAttribute("aria-pressed", String(chosen >= 0 && members.includes(chosen)));
    }
    for (const edge of edges) {
      const flows = edge.pairs.some((pair) => flowing.has(pair));
      edge.element.classList.toggle("flows", flows);
      edge.back = flows && Boolean(step);
      edge.element.classList.toggle("back", edge.back);
      aim(edge);
    }
    return found.size;
  }
  function reach(node, next) {
    const seen = new Set();
    const waiting = [node];
    while (waiting.length) for (const other of next(waiting.pop())) if (!seen.has(other)) { seen.add(other); waiting.push(other); }
    return seen;
  }
  function hits(wanted) {
    if (!wanted) return new Set();
    const text = (node, i) => [node.name, node.own ?? "", node.op ?? node.kind, node.op ? show.plain(show.formula(i)) : "", ...node.path.map((scope) => model.scopes[scope].title)].join(" ").toLowerCase();
    return new Set([...nodes.keys()].filter((i) => nodes[i].kind !== "number" && text(nodes[i], i).includes(wanted)));
  }
  function reveal(found) { // open the modules around some nodes
    const before = closed.size;
    for (const node of found) for (const group of folding.around(node)) closed.delete(group.id);
    if (closed.size !== before) page.refold();
  }
  function bring(ids) { // the boxes into view, as little as need be
    const area_ = byId("holder");
    const found = ids.filter((id) => boxes.has(id)).map((id) => boxes.get(id).element.getBoundingClientRect());
    if (!found.length || !area_.clientHeight) return;
    const scrolls = area_.scrollHeight > area_.clientHeight + 1 && getComputedStyle(area_).overflowY !== "visible";
    const bar = byId("controls").getBoundingClientRect();
    const seen = scrolls ? area_.getBoundingClientRect() : { top: byId("top").getBoundingClientRect().bottom, bottom: bar.top > innerHeight / 2 ? bar.top : innerHeight };
    const fits = found.filter((r) => Math.max(...found.map((o) => o.bottom)) - Math.min(...found.map((o) => o.top)) < seen.bottom - seen.top || r === found[0]);
    const [low, high] = [Math.min(...fits.map((r) => r.top)) - 12, Math.max(...fits.map((r) => r.bottom)) + 12];
    const by = low < seen.top ? low - seen.top : high > seen.bottom ? Math.min(high - seen.bottom, low - seen.top) : 0;
    if (by) (scrolls ? area_ : window).scrollBy({ top: by, behavior: "instant" });
  }
  function follow() {
    const step = model.backwardStep(page.state.k);
    const active = step ? step.node : page.state.k > 0 ? forward[page.state.k - 1] : -1;
    if (active < 0) bring([drawn.find((row) => row.type === "box")?.id]);
    else bring([key(active), ...(step ? step.parts.map((part) => key(part.to)) : nodes[active].args.map(key))].filter(Boolean));
  }

  return {
    draw, update, mark, place, follow, bring, key, reveal, hits, groups, closed,
    foldable: () => groups.filter((group) => group.foldable),
    box: (node) => boxes.get(key(node)),
    boxes: () => boxes,
  };
})();
