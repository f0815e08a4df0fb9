"use strict";
// What the page computes: the program on the reader's numbers, and what of it is known after step k.
const model = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes } = data;
  const scopes = data.scopes.map(([inside, title, kind]) => ({ inside, title, kind }));
  for (const node of nodes) {
    node.path = []; // the scopes around it, outermost first
    for (let i = node.scope; i >= 0; i = scopes[i].inside) node.path.unshift(i);
  }
  const walks = data.walks.map((walk) => ({ ...walk, program: interpreter.read(walk.program), held: walk.held.map(([number, x]) => [number, interpreter.decode(x)]) }));
  const facts = data.facts.map((fact) => ({ ...fact, program: interpreter.read(fact.program) }));
  const forward = [...nodes.keys()].filter((i) => nodes[i].op);
  const users = nodes.map(() => []);
  nodes.forEach((node, i) => node.args.forEach((argument) => { if (!users[argument].includes(i)) users[argument].push(i); }));
  const first = data.inputs.map(interpreter.decode);
  const firstN = walks[0].program.n;

  const self = { data, nodes, scopes, walks, forward, users, fixed: data.unknown.length > 0, order: 0, n: firstN, trouble: "" };
  let inputs = first.map(copy);
  let constants = new Map(); // of named constants: the node to its number
  let results = null; // of each walk, computed when asked for

  function copy(x) { return { ...x, data: x.data.slice() }; }
  const changedIn = (walk) => new Map([...walk.held, ...[...constants].map(([node, x]) => [walk.numbers[node], interpreter.number(x)])]);
  function resultsOf(order) {
    if (!results[order]) results[order] = interpreter.evaluate(walks[order].program, inputs, { n: self.n, changed: changedIn(walks[order]) });
    return results[order];
  }
  self.walk = () => walks[self.order];
  self.lastStep = () => forward.length + self.walk().steps.length;
  self.at = (number) => resultsOf(self.order)[number];
  self.value = (node) => self.at(self.walk().numbers[node]);
  self.step = (node) => stepAt(self.walk().numbers[node]);
  const stepAt = (number) => interpreter.at(self.walk().program, self.n).steps[number - self.walk().program.first];

  // Try a change of numbers; one that the program refuses (a class that is not there) is taken back.
  function change(act) {
    const before = [inputs.map(copy), new Map(constants), self.n, results];
    try {
      act();
      results = [];
      resultsOf(self.order);
      self.trouble = "";
    } catch (error) {
      [inputs, constants, self.n, results] = before;
      self.trouble = String(error.message);
    }
  }

  // -- numbers that the reader can change ------------------------------------------------------------------------------------

  // Each group of numbers: what it is called, its node, whether it is the cotangent of the output.
  self.groups = () => {
    const { program } = self.walk();
    const found = data.leaves.map((node, i) => ({ input: i, node, name: node < 0 ? "" : nodes[node].name, seed: false }));
    data.outputs.forEach((node, i) => found.push({ input: data.leaves.length + i, node, name: `∂${nodes[node].name}`, seed: true }));
    const live = found.filter((group) => group.node >= 0 && /^(float|number)/.test(program.inputs[group.input].dtype));
    nodes.forEach((node, i) => { if (node.kind === "constant" && /^(float|number)/.test(self.value(i).dtype) && self.value(i).data.length === 1) live.push({ input: -1, node: i, name: node.name, seed: false }); });
    return live;
  };
  self.numbersOf = (group) => (group.input < 0 ? self.value(group.node) : inputs[group.input]);
  self.set = (group, element, number) => change(() => {
    if (group.input < 0) constants.set(group.node, number);
    else inputs[group.input].data[element] = number;
  });
  self.canResize = () => walks[0].program.free;
  self.resize = (n) => change(() => {
    if (n < walks[0].program.smallestN || n > Math.max(12, 2 * firstN)) return;
    inputs = inputs.map((x, i) => {
      const shape = walks[0].program.inputs[i].shape.map((size) => (size.size ? size.size[0] * n + size.size[1] : size));
      if (shape.every((size, axis) => size === x.shape[axis])) return x;
      const grown = Float64Array.from({ length: interpreter.count(shape) }, (_, j) => newElement(x, elements.unravel(j, shape), data.leaves.length <= i && i < data.leaves.length + data.outputs.length));
      return interpreter.value(shape, x.dtype, grown);
    });
    self.n = n;
  });
  function newElement(x, index, isSeed) { // of a new row: one further along, or those from the start again; no gradient comes in
    const at = (place) => x.data[place.reduce((sum, j, axis) => sum + (j % x.shape[axis]) * interpreter.strides(x.shape)[axis], 0)];
    const isNew = index.some((j, axis) => j >= x.shape[axis]);
    if (!isNew) return at(index);
    if (isSeed) return 0;
    const last = x.data.length - 1;
    return x.data.length === x.shape[0] && x.dtype.startsWith("float") ? x.data[last] + index[0] - last : at(index);
  }
  self.reset = () => change(() => { inputs = first.map(copy); constants = new Map(); self.n = firstN; });
  self.moved = () => self.n !== firstN || constants.size > 0 || inputs.some((x, i) => x.data.some((v, j) => v !== first[i].data[j]));

  // Parameters; where there are none, whatever wants a gradient.
  self.learning = () => {
    const wanting = data.leaves.filter((node) => node >= 0 && nodes[node].wants && self.walk().gradients[node] !== null);
    const parameters = wanting.filter((node) => nodes[node].kind === "parameter");
    return parameters.length ? parameters : wanting;
  };
  self.descend = (rate) => change(() => {
    const moves = self.learning().map((node) => [data.leaves.indexOf(node), self.at(self.walk().gradients[node])]);
    for (const [i, gradient] of moves) inputs[i].data.forEach((v, j) => { inputs[i].data[j] = v - rate * gradient.data[j]; });
  });
  const weighted = (outputs) => outputs.reduce((sum, x, i) => sum + x.data.reduce((part, v, j) => part + v * inputs[data.leaves.length + i].data[j], 0), 0);
  self.loss = () => weighted(data.outputs.map(self.value));

  // -- what is known after step k: a pure function of k, so going back costs nothing -----------------------------------------

  self.backwardStep = (k) => (k > forward.length ? self.walk().steps[k - forward.length - 1] : null);
  self.gradientNumbers = (k) => {
    const known = new Map();
    if (k <= forward.length) return known;
    data.outputs.forEach((node, i) => known.set(node, data.leaves.length + i));
    for (const step of self.walk().steps.slice(0, k - forward.length)) for (const part of step.parts) known.set(part.to, part.after);
    return known;
  };
  self.isFinal = (node, number) => self.walk().gradients[node] === number;

  // The derivative of a result by one argument, element by element: the rule's own steps with 1 coming in.
  self.local = (step, part) => {
    if (!nodes[step.node].elementwise) return null;
    const upstream = self.at(step.upstream);
    const changed = changedIn(self.walk()).set(step.upstream, interpreter.filled(upstream.shape, upstream.dtype, 1));
    const given = [...inputs];
    if (step.upstream < given.length) given[step.upstream] = changed.get(step.upstream);
    return interpreter.evaluate(self.walk().program, given, { n: self.n, changed, until: part.returned })[part.returned];
  };

  // Gradients of a single element of an output.
  self.gradientsOfOne = (output, element) => {
    const given = inputs.map((x, i) => (i < data.leaves.length ? x : interpreter.filled(x.shape, x.dtype, 0)));
    given[data.leaves.length + data.outputs.indexOf(output)].data[element] = 1;
    const found = interpreter.evaluate(self.walk().program, given, { n: self.n, changed: changedIn(self.walk()) });
    return (node) => { const number = self.walk().gradients[node]; return number === null ? null : found[number]; };
  };

  // -- what the gradients are held against -------------------------------------------------------------------------------------

  const MOST = 60000; // operations run again for the numeric check, and
  const AT_ONCE = 5000; // so many while a number is being dragged
  const checkable = (node) => node >= 0 && self.walk().gradients[node] !== null && self.at(self.walk().gradients[node]).data.length <= 64;
  self.checksAreQuick = () => data.leaves.filter(checkable).reduce((sum, node) => sum + 2 * self.value(node).data.length * forward.length, 0) <= AT_ONCE;
  self.checks = () => {
    if (self.fixed) return [];
    const walk = self.walk();
    const program = interpreter.wide(walk.program);
    const changed = new Map([...changedIn(walk)].map(([number, x]) => [number, interpreter.wideValue(x)]));
    const until = Math.max(...data.outputs.map((node) => walk.numbers[node]));
    let left = MOST;
    const found = [];
    for (const node of data.leaves) {
      if (!checkable(node)) continue;
      const gradient = self.at(walk.gradients[node]);
      left -= 2 * gradient.data.length * forward.length;
      if (left < 0) continue;
      const given = inputs.map(interpreter.wideValue);
      const here = given[data.leaves.indexOf(node)] = copy(given[data.leaves.indexOf(node)]);
      const numeric = here.data.map((v, j) => {
        const step = 1e-6 * Math.max(1, Math.abs(v));
        const [up, down] = [v + step, v - step].map((moved) => {
          here.data[j] = moved;
          const results_ = interpreter.evaluate(program, given, { n: self.n, changed, until });
          return weighted(data.outputs.map((output) => results_[walk.numbers[output]]));
        });
        here.data[j] = v;
        return (up - down) / (2 * step);
      });
      found.push({ node, gradient, numeric: interpreter.value(gradient.shape, "float64", numeric) });
    }
    return found;
  };
  self.facts = () => facts.map((fact) => {
    const at = (number) => constants.has(walks[0].numbers.indexOf(number)) ? interpreter.number(constants.get(walks[0].numbers.indexOf(number))) : resultsOf(0)[number];
    return { ...fact, value: interpreter.run(fact.program, fact.takes.map(at))[0] };
  });
  self.invariants = (known) => data.invariants.map(([label, node, weights]) => {
    if (!known.has(node)) return { label, total: null };
    const factor = weights === null ? null : self.value(weights);
    const gradient = self.at(known.get(node));
    return { label, total: gradient.data.reduce((sum, g, i) => sum + g * (factor ? factor.data[i] : 1), 0), final: self.isFinal(node, known.get(node)) };
  });

  // -- a graph number by number ----------------------------------------------------------------------------------------------

  // The scalars that an element is made of, those that it needs most directly first: up to "most" of them.
  self.scalarsBehind = (node, element, most) => {
    const found = new Map([[`${node}.${element}`, { node, element, args: [] }]]);
    const waiting = [[node, element]];
    let whole = true;
    while (waiting.length) {
      const [i, at] = waiting.shift();
      if (!nodes[i].op) continue;
      const args = nodes[i].args.map(self.value);
      for (const [slot, from] of elements.behind(self.step(i), args, at)) {
        const argument = nodes[i].args[slot];
        const key = `${argument}.${from}`;
        if (!found.has(key)) {
          if (found.size >= most) { whole = false; continue; }
          found.set(key, { node: argument, element: from, args: [] });
          waiting.push([argument, from]);
        }
        found.get(`${i}.${at}`).args.push(key);
      }
    }
    return { found, whole };
  };

  results = [];
  return self;
})();
