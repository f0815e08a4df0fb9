"use strict";
// Which elements of its arguments one element of a result is made of: the graph number by number, read off the tensors' own.
const elements = (() => {
  const { POSITIONS, TRANSPOSED, ELEMENTWISE, broadcastMap, reductionMap, walk, strides, count } = interpreter;
  const REDUCTIONS = ["sum", "mean", "max", "min", "all", "any"];
  const where = (map, at) => [...map.keys()].filter((i) => map[i] === at);
  const of = (slot, positions) => positions.map((i) => [slot, i]);
  const range = (n) => Array.from({ length: n }, (_, i) => i);

  function unravel(at, shape) {
    const steps = strides(shape);
    return shape.map((n, axis) => Math.floor(at / steps[axis]) % n);
  }
  function matmul([x, y], shape, at) {
    const index = unravel(at, shape);
    const [i, j] = index.slice(-2);
    const k = x.shape[x.shape.length - 1];
    const lead = shape.slice(0, -2);
    const batch = lead.length ? index.slice(0, -2).reduce((sum, n, axis) => sum + n * strides(lead)[axis], 0) : 0;
    const start = (z) => broadcastMap(z.shape.slice(0, -2), lead)[batch] * count(z.shape.slice(-2));
    return range(k).flatMap((p) => [[0, start(x) + i * k + p], [1, start(y) + p * y.shape[y.shape.length - 1] + j]]);
  }
  function einsum(args, { inputs, output }, shape, at) {
    const sizes = new Map();
    args.forEach((x, i) => [...inputs[i]].forEach((letter, axis) => sizes.set(letter, x.shape[axis])));
    const known = new Map([...output].map((letter, axis) => [letter, unravel(at, shape)[axis]]));
    return args.flatMap((x, slot) => {
      const steps = strides(x.shape);
      const start = [...inputs[slot]].reduce((sum, letter, axis) => sum + (known.get(letter) ?? 0) * steps[axis], 0);
      return of(slot, [...walk([...inputs[slot]].map((letter) => (known.has(letter) ? 1 : sizes.get(letter))), steps, start)]);
    });
  }
  function concatenate(args, { axis }, shape, at) {
    const index = unravel(at, shape);
    let slot = 0;
    while (index[axis] >= args[slot].shape[axis]) { index[axis] -= args[slot].shape[axis]; slot += 1; }
    return [[slot, index.reduce((sum, n, i) => sum + n * strides(args[slot].shape)[i], 0)]];
  }
  function cumsum([x], { axis, reverse }, at) {
    const i = unravel(at, x.shape)[axis];
    const step = strides(x.shape)[axis];
    return of(0, range(x.shape[axis]).filter((j) => (reverse ? j >= i : j <= i)).map((j) => at + (j - i) * step));
  }

  // [argument, element] pairs; "args" are the values of the step's arguments.
  function behind(step, args, at) {
    const [x, ...rest] = args;
    const { name, params, shape } = step;
    if (Object.hasOwn(TRANSPOSED, name)) return of(0, where(POSITIONS[TRANSPOSED[name]](shape, rest, { ...params, shape: x.shape }), at));
    if (Object.hasOwn(POSITIONS, name)) return [[0, POSITIONS[name](x.shape, rest, params)[at]]];
    if (REDUCTIONS.includes(name)) return of(0, where(reductionMap(x.shape, params.axis), at));
    if (name === "matmul") return matmul(args, shape, at);
    if (name === "einsum") return einsum(args, params, shape, at);
    if (name === "concatenate") return concatenate(args, params, shape, at);
    if (name === "cumsum") return cumsum(args, params, at);
    const single = Object.hasOwn(ELEMENTWISE, name) || ["power_constant", "astype", "tril", "triu", "checked_index", "checked_range"].includes(name);
    if (single) return args.map((arg, slot) => [slot, broadcastMap(arg.shape, shape)[at]]);
    return args.flatMap((arg, slot) => of(slot, range(arg.data.length)));
  }
  return { behind, unravel };
})();
