"use strict";
// What can be closed into one box: calls of modules, named parts of formulas, and, where there are many operations, stretches in
// which the same is computed again and again ("Linear, BatchNorm1d, ReLU × 12").  And what is closed to begin with.
const folding = (() => {
  const { nodes, forward, scopes } = model;
  const MOST_ROWS = 40; // before something is closed
  const FEWEST = 3; // repeats that are folded
  const LONGEST_PERIOD = 24; // parts of a repeat
  const groups = [];
  function group(label, children, kind = "") {
    const members = children.flatMap((child) => (typeof child === "number" ? [child] : child.members));
    groups.push({ id: groups.length, label, kind, children, members, repeats: false, depth: 0, foldable: false, face: -1 });
    return groups[groups.length - 1];
  }

  // -- one group for each call, or for each part of it that other calls do not interrupt ------------------------------------------

  function tree() {
    const top = { scope: -1, children: [] };
    let open = [top];
    const parts = [];
    for (const node of forward) {
      const { path } = nodes[node];
      let depth = 0;
      while (depth < path.length && open[depth + 1]?.scope === path[depth]) depth += 1;
      open = open.slice(0, depth + 1);
      for (const scope of path.slice(depth)) {
        const part = { scope, children: [] };
        parts.push(part);
        open[open.length - 1].children.push(part);
        open.push(part);
      }
      open[open.length - 1].children.push(node);
    }
    const times = new Map();
    for (const { scope } of parts) times.set(scope, (times.get(scope) ?? 0) + 1);
    const seen = new Map();
    const grown = (part) => {
      const { scope } = part;
      seen.set(scope, (seen.get(scope) ?? 0) + 1);
      const label = scope < 0 ? "" : scopes[scope].title + (times.get(scope) > 1 ? `, part ${seen.get(scope)} of ${times.get(scope)}` : "");
      const children = part.children.map((child) => (typeof child === "number" ? child : grown(child)));
      return group(label, children, scopes[scope]?.kind);
    };
    return grown(top);
  }

  // -- stretches that repeat ------------------------------------------------------------------------------------------------------

  const size = (node) => model.value(node).shape.join();
  // Whether two children compute the same, each from what is at the same place before it or comes from outside of the stretch;
  // "q" parts of the stretch lie before each.
  function alike(one, other, children, whereIs, q) {
    const members = (child) => (typeof child === "number" ? [child] : child.members);
    const [a, b] = [members(children[one]), members(children[other])];
    if (a.length !== b.length) return false;
    const source = (argument, at) => {
      const { kind, op } = nodes[argument];
      if (kind === "number") return `number ${model.value(argument).data[0]}`;
      if (!op) return `${["parameter", "buffer"].includes(kind) ? kind : "outside"} ${size(argument)}`;
      const [child, place] = whereIs.get(argument) ?? [-1, 0];
      return child >= at - q && child <= at ? `${at - child} ${place}` : `outside ${size(argument)}`;
    };
    return a.every((node, i) => {
      const twin = b[i];
      const same = nodes[node].op === nodes[twin].op && size(node) === size(twin) && nodes[node].args.length === nodes[twin].args.length;
      const written = nodes[node].op === "take_slice" || nodes[node].notation === nodes[twin].notation; // x[0], x[1] are alike
      return same && written && nodes[node].args.every((argument, slot) => source(argument, one) === source(nodes[twin].args[slot], other));
    });
  }
  function repeatsAt(start, children, whereIs) { // how many parts are repeated, and how often: the most parts, in short periods
    let best = [1, 1];
    for (let period = 1; period <= LONGEST_PERIOD && start + FEWEST * period <= children.length; period += 1) {
      let end = start + period;
      while (end < children.length && alike(start + ((end - start) % period), end, children, whereIs, (end - start) % period)) end += 1;
      const times = Math.floor((end - start) / period);
      if (times >= FEWEST && period * times > best[0] * best[1]) best = [period, times];
    }
    return best;
  }
  function foldRepeats(whole) {
    const { children } = whole;
    const whereIs = new Map();
    children.forEach((child, i) => (typeof child === "number" ? [child] : child.members).forEach((node, j) => whereIs.set(node, [i, j])));
    const found = [];
    for (let i = 0; i < children.length;) {
      const [period, times] = repeatsAt(i, children, whereIs);
      if (times < FEWEST) { found.push(children[i]); i += 1; continue; }
      const part = (j) => children.slice(i + j * period, i + (j + 1) * period);
      const several = (j) => (period === 1 ? part(j)[0] : group(`${j + 1} of ${times}`, part(j)));
      const names = part(0).map((child) => (typeof child === "number" ? nodes[child].op : child.kind || child.label));
      const name = names.length > 4 ? `${names.slice(0, 3).join(", ")} … ${names[names.length - 1]}` : names.join(", ");
      const repeat = group(`${name}\u00a0×\u00a0${times}`, Array.from({ length: times }, (_, j) => several(j)));
      repeat.repeats = true;
      found.push(repeat);
      i += period * times;
    }
    whole.children = found;
  }

  // -- what is closed -------------------------------------------------------------------------------------------------------------

  const closed = new Set();
  const rowsOf = (one) => one.children.reduce((sum, child) => sum + (typeof child === "number" || closed.has(child.id) ? 1 : rowsOf(child)), 0);
  function closeToFit(top) { // everything closed, then opened from the outside in while there is room; repeats stay closed
    for (const one of groups) if (one.foldable) closed.add(one.id);
    closed.delete(top.id);
    let level = top.children;
    while (level.length) {
      const next = [];
      for (const child of level) {
        if (typeof child === "number" || child.repeats) continue;
        const before = rowsOf(top);
        closed.delete(child.id);
        if (rowsOf(top) > (before < 8 ? 4 * MOST_ROWS : MOST_ROWS)) { if (child.foldable) closed.add(child.id); }
        else next.push(...child.children);
      }
      level = next;
    }
  }

  const top = tree();
  const many = forward.length > MOST_ROWS;
  if (many) for (const one of [...groups]) foldRepeats(one);
  const around = new Map(forward.map((node) => [node, []])); // the groups that a node is in, outermost first
  const settle = (one, depth) => {
    one.depth = depth;
    one.foldable = one !== top && one.members.length > 1;
    const inside = new Set(one.members);
    const outside = (node) => model.users[node].some((user) => !inside.has(user)) || nodes[node].kind === "output";
    one.face = one.members.findLast(outside) ?? one.members[one.members.length - 1];
    for (const node of one === top ? [] : one.members) around.get(node).push(one);
    for (const child of one.children) if (typeof child !== "number") settle(child, depth + 1);
  };
  settle(top, 0);
  if (many) closeToFit(top);
  return { groups, top, closed, around: (node) => around.get(node) ?? [], closedAround: (node) => (around.get(node) ?? []).find((one) => closed.has(one.id)) ?? null };
})();
