"use strict";
// A program made ready to run thousands of times: prepared(program, n) looks once where the elements of each step's arguments
// lie for batches of n, and gives a function of the inputs, as interpreter.run is one.  Every step keeps its array from run to
// run, so outputs are to be read before the next one; states are written into their own arrays.
//
// It does what the interpreter does, with the interpreter's functions and positions, to whatever is in double precision.  Any
// other step it leaves to the interpreter.
const prepared = (() => {
  const { ELEMENTWISE, POSITIONS, STORES, broadcastMap, reductionMap, count } = interpreter;
  const DOUBLE = ["float64", "number", "bool"];
  const ARITHMETIC = ["add", "subtract", "multiply", "divide"];

  // Loops of their own for arithmetic, which is most of a program: a call for each element is slow.
  function arithmetic(operation, values, [a, b], [am, bm], out) {
    return () => {
      const x = values[a].data;
      const y = values[b].data;
      if (operation === "add") for (let i = 0; i < out.length; i += 1) out[i] = x[am[i]] + y[bm[i]];
      else if (operation === "subtract") for (let i = 0; i < out.length; i += 1) out[i] = x[am[i]] - y[bm[i]];
      else if (operation === "multiply") for (let i = 0; i < out.length; i += 1) out[i] = x[am[i]] * y[bm[i]];
      else for (let i = 0; i < out.length; i += 1) out[i] = x[am[i]] / y[bm[i]];
    };
  }
  function elementwise(name, values, args, shape, out) {
    const f = ELEMENTWISE[name];
    const maps = args.map((i) => broadcastMap(values[i].shape, shape));
    if (ARITHMETIC.includes(name)) return arithmetic(name, values, args, maps, out);
    const [a, b, c] = args;
    const [am, bm, cm] = maps;
    if (args.length === 1) {
      return () => {
        const x = values[a].data;
        for (let i = 0; i < out.length; i += 1) out[i] = f(x[i]);
      };
    }
    if (args.length === 2) {
      return () => {
        const x = values[a].data;
        const y = values[b].data;
        for (let i = 0; i < out.length; i += 1) out[i] = f(x[am[i]], y[bm[i]]);
      };
    }
    return () => {
      const x = values[a].data;
      const y = values[b].data;
      const z = values[c].data;
      for (let i = 0; i < out.length; i += 1) out[i] = f(x[am[i]], y[bm[i]], z[cm[i]]);
    };
  }
  function matmul(values, [a, b], out) {
    const [n, k] = values[a].shape;
    const m = values[b].shape[1];
    return () => {
      const x = values[a].data;
      const y = values[b].data;
      out.fill(0);
      for (let i = 0; i < n; i += 1) {
        for (let p = 0; p < k; p += 1) {
          const factor = x[i * k + p];
          for (let j = 0; j < m; j += 1) out[i * m + j] += factor * y[p * m + j];
        }
      }
    };
  }
  function taken(values, a, map, out) {
    return () => {
      const x = values[a].data;
      for (let i = 0; i < out.length; i += 1) out[i] = x[map[i]];
    };
  }
  function summed(values, a, map, out) {
    return () => {
      const x = values[a].data;
      out.fill(0);
      for (let i = 0; i < map.length; i += 1) out[map[i]] += x[i];
    };
  }
  function ready(step, values, out) { // what computes the step into out, or null where it is left to the interpreter
    const { name, args, params, shape } = step;
    if (!DOUBLE.includes(step.dtype) || args.some((i) => !DOUBLE.includes(values[i].dtype))) return null;
    if (Object.hasOwn(ELEMENTWISE, name) && args.length <= 3) return step.dtype === "bool" && name === "add" ? null : elementwise(name, values, args, shape, out);
    if (name === "matmul" && args.every((i) => values[i].shape.length === 2)) return matmul(values, args, out);
    if (name === "sum") return summed(values, args[0], reductionMap(values[args[0]].shape, params.axis), out);
    if (Object.hasOwn(POSITIONS, name) && args.length === 1) return taken(values, args[0], POSITIONS[name](values[args[0]].shape, [], params), out);
    return null;
  }

  return (program, n) => {
    const { constants, steps } = interpreter.at(program, n);
    const sized = (length) => (length?.size ? length.size[0] * n + length.size[1] : length);
    const values = program.inputs.map(({ shape, dtype }) => ({ shape: shape.map(sized), dtype, data: null }));
    for (const state of program.states) values.push(state.value && { ...state.value, data: state.value.data.slice() });
    values.push(...constants);
    const kept = values.slice(program.inputs.length, program.inputs.length + program.states.length);
    const work = steps.map((step) => {
      const slot = values.length;
      const out = new STORES[step.dtype](count(step.shape));
      values.push({ shape: step.shape, dtype: step.dtype, data: out });
      return ready(step, values, out) ?? (() => { values[slot].data = interpreter.one(step, values, Math.random).data; });
    });
    const writes = program.writes.filter(([state, from]) => kept[state - program.inputs.length] && from !== null);
    function run(inputs) {
      for (let i = 0; i < inputs.length; i += 1) values[i].data = inputs[i];
      for (const step of work) step();
      // A state may be written with another one: all are read before any is written.
      const found = writes.map(([, from]) => (from < program.first ? values[from].data.slice() : values[from].data));
      writes.forEach(([state], i) => values[state].data.set(found[i]));
      return program.outputs.map((i) => values[i].data);
    }
    return { run, states: new Map(program.states.map((state, i) => [state.name, kept[i]])) };
  };
})();
