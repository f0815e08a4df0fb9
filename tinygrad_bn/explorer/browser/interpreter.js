"use strict";
// Runs a recorded program (docs/program.md) in a browser: read(document) checks what Program.to_json wrote, evaluate(program,
// values) gives the value of every number, run(program, inputs) gives the outputs and writes the states.
//
// A value is {shape, dtype, data}: elements in row-major order, in a typed array of its dtype, so a float32 is rounded when it
// is stored.  A Python float has dtype "number" and no axes.  64-bit integers lie in doubles: beyond 2**53 they are refused.
// Nothing here knows what the program is of, nor how a derivative is formed: a derived backward pass is steps like any other.
const interpreter = (() => {
  const SCHEMA = "tinygrad_bn.program/1";
  const STORES = {
    number: Float64Array, float64: Float64Array, float32: Float32Array, float16: Float32Array, bool: Uint8Array,
    int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: Float64Array,
    uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: Float64Array,
  };
  const LARGEST = 2 ** 53;
  const isFloat = (dtype) => dtype === "number" || dtype.startsWith("float");
  const isWhole = (dtype) => !isFloat(dtype) && dtype !== "bool";
  const count = (shape) => shape.reduce((product, n) => product * n, 1);
  const fail = (what) => { throw new Error(what); };

  // -- values ---------------------------------------------------------------------------------------------------------------

  function half(x) { // to the nearest float16, by the spacing of those around it
    if (!Number.isFinite(x) || x === 0) return x;
    const spacing = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -14) - 10);
    const rounded = even(x / spacing) * spacing;
    return Math.abs(rounded) >= 65520 ? Math.sign(x) * Infinity : rounded;
  }
  function even(x) { // the nearest integer, the even one of two
    const below = Math.floor(x);
    const rest = x - below;
    const nearest = rest < 0.5 ? below : rest > 0.5 ? below + 1 : below % 2 === 0 ? below : below + 1;
    return nearest === 0 ? x * 0 : nearest;
  }
  function value(shape, dtype, numbers) { // numbers as computed, in doubles, become elements of the dtype
    const Store = STORES[dtype];
    if (isFloat(dtype) && dtype !== "float16") return { shape, dtype, data: numbers instanceof Store ? numbers : new Store(numbers) };
    const data = new Store(numbers.length);
    for (let i = 0; i < data.length; i += 1) {
      const v = numbers[i];
      if (dtype === "bool") data[i] = v ? 1 : 0;
      else if (dtype === "float16") data[i] = half(Math.fround(v));
      else if (Math.abs(v) <= LARGEST) data[i] = Math.trunc(v) + 0; // no minus zero
      else fail(`a whole number of ${v}: here only those up to 2**53 are exact`);
    }
    return { shape, dtype, data };
  }
  const number = (x) => ({ shape: [], dtype: "number", data: Float64Array.of(x) });
  const filled = (shape, dtype, x) => value(shape, dtype, new Float64Array(count(shape)).fill(x));

  // -- positions: where the elements of one array lie in another --------------------------------------------------------------

  function strides(shape) {
    const found = new Array(shape.length);
    for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i], i -= 1) found[i] = step;
    return found;
  }
  const walks = new Map();
  function walk(shape, steps, start = 0) { // positions of all elements of a shape, so many steps along each axis
    const key = `${shape}|${steps}|${start}`;
    const known = walks.get(key);
    if (known) return known;
    let found = Int32Array.of(start);
    shape.forEach((n, axis) => {
      const next = new Int32Array(found.length * n);
      for (let i = 0, at = 0; i < found.length; i += 1) for (let j = 0; j < n; j += 1, at += 1) next[at] = found[i] + j * steps[axis];
      found = next;
    });
    if (walks.size > 2000) walks.clear();
    if (found.length <= 100000) walks.set(key, found);
    return found;
  }
  function stretched(shape, to) { // steps that repeat a shape along new axes and axes of length 1
    const own = strides(shape);
    const lead = to.length - shape.length;
    return to.map((n, i) => (i < lead || shape[i - lead] === 1 ? 0 : own[i - lead]));
  }
  const broadcastMap = (shape, to) => walk(to, stretched(shape, to));
  function taken(x, map, shape) {
    const data = new STORES[x.dtype](map.length);
    for (let i = 0; i < map.length; i += 1) data[i] = x.data[map[i]];
    return { shape, dtype: x.dtype, data };
  }
  function added(x, map, shape) { // zeros with x added at the positions: taking transposed
    const data = new Float64Array(count(shape));
    for (let i = 0; i < map.length; i += 1) data[map[i]] += x.data[i];
    return value(shape, x.dtype, data);
  }
  const same = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);
  const spread = (x, shape) => (same(x.shape, shape) ? x.data : taken(x, broadcastMap(x.shape, shape), shape).data);

  // -- one element at a time --------------------------------------------------------------------------------------------------

  const truth = (test) => (x, y) => (test(x, y) ? 1 : 0);
  function power(x, y) { // as C has it: 1**NaN and (-1)**inf are 1
    if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
    return y === 2 ? x * x : Math.pow(x, y);
  }
  function remainder(x, y) {
    const rest = x % y;
    if (rest === 0) return y < 0 || Object.is(y, -0) ? -0 : 0;
    return y < 0 !== rest < 0 ? rest + y : rest; // NaN stays NaN
  }
  function floorDivide(x, y) {
    if (y === 0) return x / y;
    const rest = x % y;
    let quotient = (x - rest) / y;
    if (rest !== 0 && y < 0 !== rest < 0) quotient -= 1;
    if (quotient === 0) return 0 * (x / y);
    const below = Math.floor(quotient);
    return quotient - below > 0.5 ? below + 1 : below;
  }
  function logaddexp(x, y) {
    if (x === y) return x + Math.LN2;
    return x > y ? x + Math.log1p(Math.exp(y - x)) : y + Math.log1p(Math.exp(x - y));
  }
  const polynomial = (coefficients, x) => coefficients.reduceRight((total, c) => total * x + c, 0);
  // Sources of the coefficients: ops/primitives/error_function.py.
  const P = [0.128379167095512558561, -0.32504210724700149937, -0.0284817495755985104766, -0.00577027029648944159157, -2.37630166566501626084e-05];
  const Q = [1.0, 0.397917223959155352819, 0.0650222499887672944485, 0.00508130628187576562776, 0.000132494738004321644526, -3.9602282787753681232e-06];
  const C = [1230.33935479799725, 2051.07837782607147, 1712.04761263407058, 881.952221241769090, 298.635138197400131, 66.1191906371416295, 8.88314979438837594, 0.564188496988670089, 2.15311535474403846e-08];
  const D = [1230.33935480374942, 3439.36767414372164, 4362.61909014324716, 3290.79923573345963, 1621.38957456669019, 537.181101862009858, 117.693950891312499, 15.7449261107098347, 1.0];
  function erf(x) {
    const t = Math.min(Math.abs(x), 6); // beyond, it is 1 to the last place
    if (t < 0.84375) return x + x * (polynomial(P, x * x) / polynomial(Q, x * x));
    return Math.sign(x) * (1 - Math.exp(-t * t) * (polynomial(C, t) / polynomial(D, t)));
  }
  const TENS = Array.from({ length: 309 }, (_, i) => Number(`1e${i}`));
  function log10(x) { // exact at powers of ten, as C has it
    const found = Math.log10(x);
    const near = Math.round(found);
    return near >= 0 && TENS[near] === x ? near : found;
  }
  const ELEMENTWISE = {
    add: (x, y) => x + y, subtract: (x, y) => x - y, multiply: (x, y) => x * y, divide: (x, y) => x / y, negative: (x) => -x,
    power, square: (x) => x * x, reciprocal: (x) => 1 / x, logaddexp, remainder, floor_divide: floorDivide,
    exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, log2: Math.log2, log10, sqrt: Math.sqrt,
    abs: Math.abs, sign: Math.sign, floor: Math.floor, ceil: Math.ceil, trunc: Math.trunc, rint: even,
    hypot: Math.hypot, arctan2: Math.atan2, sin: Math.sin, cos: Math.cos, tan: Math.tan,
    arcsin: Math.asin, arccos: Math.acos, arctan: Math.atan, sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh,
    arcsinh: Math.asinh, arccosh: Math.acosh, arctanh: Math.atanh, erf,
    sigmoid: (x) => 1 / (1 + Math.exp(-x)), softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    relu: (x) => (x > 0 || x !== x ? x : 0),
    greater: truth((x, y) => x > y), greater_equal: truth((x, y) => x >= y), less: truth((x, y) => x < y),
    less_equal: truth((x, y) => x <= y), equal: truth((x, y) => x === y), not_equal: truth((x, y) => x !== y),
    // Numbers are true where they are not 0, NaN among them.
    logical_and: truth((x, y) => x !== 0 && y !== 0), logical_or: truth((x, y) => x !== 0 || y !== 0),
    logical_xor: truth((x, y) => (x !== 0) !== (y !== 0)), logical_not: truth((x) => x === 0),
    isfinite: truth(Number.isFinite), isinf: truth((x) => x === Infinity || x === -Infinity), isnan: truth(Number.isNaN),
    where: (condition, x, y) => (condition !== 0 ? x : y), maximum: Math.max, minimum: Math.min,
    clip: (x, low, high) => Math.min(Math.max(x, low), high),
  };
  const WHOLE = { // where whole numbers are not like doubles
    multiply: { int32: Math.imul, uint32: (x, y) => Math.imul(x, y) >>> 0 },
    remainder: (x, y) => (y === 0 ? 0 : remainder(x, y)), floor_divide: (x, y) => (y === 0 ? 0 : Math.floor(x / y)),
  };
  function elementFunction(name, dtype) {
    if (isWhole(dtype)) return WHOLE[name]?.[dtype] ?? (typeof WHOLE[name] === "function" ? WHOLE[name] : ELEMENTWISE[name]);
    if (dtype === "bool" && name === "add") return ELEMENTWISE.logical_or;
    return ELEMENTWISE[name];
  }
  function rounding(args) { // a Python number beside arrays of a narrower dtype is taken in that dtype
    const dtypes = args.filter((x) => x.dtype !== "number").map((x) => x.dtype);
    if (dtypes.some((d) => /(64|32)$/.test(d) && d !== "float32")) return null;
    return dtypes.includes("float32") ? Math.fround : dtypes.includes("float16") ? half : null;
  }
  function elementwise(f, args, shape, dtype) {
    const round = args.some((x) => x.dtype === "number") ? rounding(args) : null;
    const given = round ? args.map((x) => (x.dtype === "number" ? number(round(x.data[0])) : x)) : args;
    const [a, b, c] = given.map((x) => spread(x, shape));
    const out = new Float64Array(count(shape));
    if (c) for (let i = 0; i < out.length; i += 1) out[i] = f(a[i], b[i], c[i]);
    else if (b) for (let i = 0; i < out.length; i += 1) out[i] = f(a[i], b[i]);
    else for (let i = 0; i < out.length; i += 1) out[i] = f(a[i]);
    return value(shape, dtype, out);
  }

  // -- along axes -------------------------------------------------------------------------------------------------------------

  function reductionMap(shape, axes) { // for each element, the position of the result that takes it in
    const kept = strides(shape.map((n, i) => (axes.includes(i) ? 1 : n)));
    return walk(shape, kept.map((step, i) => (axes.includes(i) ? 0 : step)));
  }
  function reduced(x, axes, shape, dtype, f, start) {
    const map = reductionMap(x.shape, axes);
    const out = new Float64Array(count(shape)).fill(start);
    for (let i = 0; i < map.length; i += 1) out[map[i]] = f(out[map[i]], x.data[i]);
    return value(shape, dtype, out);
  }
  const reduction = (f, start) => ([x], { axis }, shape, dtype) => reduced(x, axis, shape, dtype, f, start);
  function mean([x], { axis }, shape, dtype) {
    const n = axis.reduce((product, i) => product * x.shape[i], 1);
    const total = reduced(x, axis, shape, "float64", ELEMENTWISE.add, 0).data;
    return value(shape, dtype, dtype === "float32" ? total.map((t) => Math.fround(t) / n) : total.map((t) => t / n));
  }
  function lines(shape, axis) { // the position at which each line along an axis starts, and the step along it
    const steps = strides(shape);
    return [walk(shape.map((n, i) => (i === axis ? 1 : n)), steps), steps[axis]];
  }
  function cumsum([x], { axis, reverse }, shape, dtype) {
    const [starts, step] = lines(shape, axis);
    const out = new Float64Array(count(shape));
    for (const start of starts) {
      for (let j = 0, total = 0; j < shape[axis]; j += 1) {
        const at = start + (reverse ? shape[axis] - 1 - j : j) * step;
        total += x.data[at];
        out[at] = total;
      }
    }
    return value(shape, dtype, out);
  }
  function ordered(a, b) { // rising, NaN last
    return Number.isNaN(a) || Number.isNaN(b) ? Number.isNaN(a) - Number.isNaN(b) : a - b;
  }
  function argsort([x], { axis }, shape, dtype) {
    const [starts, step] = lines(shape, axis);
    const out = new Float64Array(count(shape));
    for (const start of starts) {
      const positions = Array.from({ length: shape[axis] }, (_, j) => j);
      positions.sort((i, j) => ordered(x.data[start + i * step], x.data[start + j * step]) || i - j);
      positions.forEach((position, j) => { out[start + j * step] = position; });
    }
    return value(shape, dtype, out);
  }
  const extremePosition = (better) => ([x], { axis }, shape, dtype) => {
    const [starts, step] = axis === null || axis === undefined ? [[0], 1] : lines(x.shape, axis);
    const n = axis === null || axis === undefined ? x.data.length : x.shape[axis];
    return value(shape, dtype, Float64Array.from(starts, (start) => {
      let best = 0;
      for (let j = 1; j < n; j += 1) {
        const [now, held] = [x.data[start + j * step], x.data[start + best * step]];
        if (!Number.isNaN(held) && (better(now, held) || Number.isNaN(now))) best = j;
      }
      return best;
    }));
  };

  // -- products ---------------------------------------------------------------------------------------------------------------

  function matmul([x, y], params, shape, dtype) {
    const [n, k, m] = [...x.shape.slice(-2), y.shape[y.shape.length - 1]];
    const lead = shape.slice(0, -2);
    const starts = (z) => walk(lead, stretched(z.shape.slice(0, -2), lead).map((step) => step * z.shape[z.shape.length - 2] * z.shape[z.shape.length - 1]));
    const [xs, ys] = [starts(x), starts(y)];
    const out = new Float64Array(count(shape));
    for (let batch = 0, at = 0; batch < xs.length; batch += 1, at += n * m) {
      for (let i = 0; i < n; i += 1) {
        for (let p = 0; p < k; p += 1) {
          const factor = x.data[xs[batch] + i * k + p];
          for (let j = 0; j < m; j += 1) out[at + i * m + j] += factor * y.data[ys[batch] + p * m + j];
        }
      }
    }
    return value(shape, dtype, out);
  }
  function einsum(args, { inputs, output }, shape, dtype) {
    const sizes = new Map();
    args.forEach((x, i) => [...inputs[i]].forEach((letter, axis) => sizes.set(letter, x.shape[axis])));
    const letters = [...output, ...[...sizes.keys()].filter((letter) => !output.includes(letter))];
    const whole = letters.map((letter) => sizes.get(letter));
    const maps = args.map((x, i) => walk(whole, letters.map((letter) => (inputs[i].includes(letter) ? strides(x.shape)[inputs[i].indexOf(letter)] : 0))));
    const out = new Float64Array(count(shape));
    const each = count(whole) / (out.length || 1);
    for (let i = 0; i < out.length * each; i += 1) {
      let product = 1;
      for (let j = 0; j < args.length; j += 1) product *= args[j].data[maps[j][i]];
      out[Math.floor(i / each)] += product;
    }
    return value(shape, dtype, out);
  }

  // -- taking by positions, and its transpose, which adds back ------------------------------------------------------------------

  function sliced(part, n) { // start, step and count of a slice of an axis
    const [start, stop, step] = part.slice;
    const by = step ?? 1;
    const inside = (i, low, high) => Math.min(Math.max(i < 0 ? i + n : i, low), high);
    const [low, high] = by > 0 ? [0, n] : [-1, n - 1];
    const first = start === null ? (by > 0 ? 0 : n - 1) : inside(start, low, high);
    const last = stop === null ? (by > 0 ? n : -1) : inside(stop, low, high);
    return [first, by, Math.max(0, Math.ceil((last - first) / by))];
  }
  function position(i, n) {
    if (i < -n || i >= n) fail(`index ${i} is out of range for an axis of length ${n}`);
    return i < 0 ? i + n : i;
  }
  function indexMap(index, from, arrays = []) { // NumPy's indexing: the shape of the result, and where its elements lie
    const used = index.filter((part) => part !== null && !part.ellipsis).length;
    const rest = Array.from({ length: from.length - used }, () => ({ slice: [null, null, null] }));
    const at = index.findIndex((part) => part !== null && part.ellipsis);
    const parts = at < 0 ? [...index, ...rest] : [...index.slice(0, at), ...rest, ...index.slice(at + 1)];
    const steps = strides(from);
    const isAdvanced = (part) => part !== null && (part === "array" || (typeof part === "number" && arrays.length > 0));
    const shape = [];
    const own = [];
    const chosen = []; // of the advanced indices: the array, the axis it is on
    let start = 0;
    let axis = 0;
    let place = -1; // where the axes of the advanced indices go
    let queue = [...arrays];
    const far = parts.map(isAdvanced).join().replace(/^(false,?)*|(,?false)*$/g, "").includes("false");
    for (const part of parts) {
      if (part === null) { shape.push(1); own.push(0); continue; }
      if (isAdvanced(part)) {
        if (place < 0) place = far ? 0 : shape.length;
        chosen.push([part === "array" ? queue.shift() : value([], "int64", [part]), axis]);
      } else if (typeof part === "number") start += position(part, from[axis]) * steps[axis];
      else {
        const [first, by, n] = sliced(part, from[axis]);
        if (n > 0) start += first * steps[axis];
        shape.push(n);
        own.push(by * steps[axis]);
      }
      axis += 1;
    }
    if (!chosen.length) return [shape, walk(shape, own, start)];
    const common = chosen.reduce((found, [x]) => broadcastShape(found, x.shape), []);
    const whole = [...shape.slice(0, place), ...common, ...shape.slice(place)];
    const zeros = common.map(() => 0);
    const map = Int32Array.from(walk(whole, [...own.slice(0, place), ...zeros, ...own.slice(place)], start));
    for (const [x, on] of chosen) {
      const behind = shape.slice(place).map(() => 0);
      const where = walk(whole, [...shape.slice(0, place).map(() => 0), ...stretched(x.shape, common), ...behind]);
      for (let i = 0; i < map.length; i += 1) map[i] += position(x.data[where[i]], from[on]) * steps[on];
    }
    return [whole, map];
  }
  function broadcastShape(a, b) {
    const n = Math.max(a.length, b.length);
    const at = (shape, i) => shape[i - n + shape.length] ?? 1;
    return Array.from({ length: n }, (_, i) => (at(a, i) === 1 ? at(b, i) : at(a, i)));
  }
  function alongMap(positions, axis, from) {
    const steps = strides(from);
    const whole = broadcastShape(from.map((n, i) => (i === axis ? 1 : n)), positions.shape);
    const map = Int32Array.from(walk(whole, steps.map((step, i) => (i === axis || from[i] === 1 ? 0 : step))));
    const chosen = spread(positions, whole);
    for (let i = 0; i < map.length; i += 1) map[i] += position(chosen[i], from[axis]) * steps[axis];
    return map;
  }
  function windowMap(from, { window, stride, dilation }) {
    const n = window.length;
    const lead = from.length - n;
    const counts = window.map((w, i) => Math.floor((from[lead + i] - (w - 1) * dilation[i] - 1) / stride[i]) + 1);
    const steps = strides(from);
    const along = [...steps.slice(0, lead), ...stride.map((s, i) => s * steps[lead + i]), ...dilation.map((d, i) => d * steps[lead + i])];
    return walk([...from.slice(0, lead), ...counts, ...window], along);
  }
  function diagonalMap(shape, offset) {
    const steps = strides(shape);
    const [rows, columns] = steps.slice(-2);
    const [n, m] = shape.slice(-2);
    const length = Math.max(0, Math.min(n + Math.min(offset, 0), m - Math.max(offset, 0)));
    return walk([...shape.slice(0, -2), length], [...steps.slice(0, -2), rows + columns], Math.max(-offset, 0) * rows + Math.max(offset, 0) * columns);
  }
  // For each operation that takes, the positions; the one that adds back has the same, with the shapes exchanged.
  const POSITIONS = {
    take_slice: (from, args, { index }) => indexMap(index, from)[1],
    gather: (from, args, { pattern }) => indexMap(pattern, from, args)[1],
    take_diagonal: (from, args, { offset }) => diagonalMap(from, offset),
    take_along_axis: (from, [positions], { axis }) => alongMap(positions, axis, from),
    sliding_window: (from, args, params) => windowMap(from, params),
    broadcast_to: (from, args, { shape }) => broadcastMap(from, shape),
    transpose: (from, args, { axes }) => walk(axes.map((axis) => from[axis]), axes.map((axis) => strides(from)[axis])),
    reshape: (from) => walk([count(from)], [1]),
    identity: (from) => walk([count(from)], [1]),
    stop_gradient: (from) => walk([count(from)], [1]),
  };
  const TRANSPOSED = {
    put_slice: "take_slice", scatter_add: "gather", put_diagonal: "take_diagonal", add_along_axis: "take_along_axis",
    overlap_add: "sliding_window", sum_to: "broadcast_to",
  };
  const triangle = (keeps) => ([x], { k }, shape) => {
    const [n, m] = shape.slice(-2);
    return { ...x, shape, data: x.data.map((v, i) => (keeps((i % m) - (Math.floor(i / m) % n), k) ? v : 0)) };
  };
  function concatenate(args, { axis }, shape, dtype) {
    const steps = strides(shape);
    const out = new Float64Array(count(shape));
    let start = 0;
    for (const x of args) {
      walk(x.shape, steps, start * steps[axis]).forEach((at, i) => { out[at] = x.data[i]; });
      start += x.shape[axis];
    }
    return value(shape, dtype, out);
  }
  function checkedIndex([labels], { count: n, ignore_index: ignored, some, what }, shape, dtype) {
    const kept = Array.from(labels.data, (label) => ignored === null || label !== ignored);
    const outside = labels.data.findIndex((label, i) => kept[i] && !(label >= 0 && label < n));
    if (outside >= 0) fail(`${what}: ${labels.data[outside]} at ${outside}, expected 0 to ${n - 1}`);
    if (some && !kept.includes(true)) fail(`${what}: every target is ignored`);
    return value(shape, dtype, Float64Array.from(labels.data, (label, i) => (kept[i] ? label : 0)));
  }
  function checkedRange([x], { low, high, what }) {
    if (isFloat(x.dtype) && !x.data.every((v) => v >= low && v <= high)) fail(`${what}: outside of ${low} to ${high}`);
    return x;
  }

  // -- square matrices ------------------------------------------------------------------------------------------------------------

  function rowsOf(data, start, n, m) {
    return Array.from({ length: n }, (_, i) => Array.from(data.slice(start + i * m, start + (i + 1) * m)));
  }
  function eliminated(a, b) { // rows of a and b after elimination from all rows, with the determinant's parts
    let [sign, logarithm] = [1, 0];
    for (let column = 0; column < a.length; column += 1) {
      let pivot = column;
      for (let i = column + 1; i < a.length; i += 1) if (Math.abs(a[i][column]) > Math.abs(a[pivot][column])) pivot = i;
      if (a[pivot][column] === 0) return { sign: 0, logarithm: -Infinity, solution: null };
      if (pivot !== column) {
        [a[pivot], a[column], b[pivot], b[column]] = [a[column], a[pivot], b[column], b[pivot]];
        sign = -sign;
      }
      const head = a[column][column];
      sign *= Math.sign(head);
      logarithm += Math.log(Math.abs(head));
      for (let i = 0; i < a.length; i += 1) {
        const factor = i === column ? 0 : a[i][column] / head;
        if (factor === 0) continue;
        a[i] = a[i].map((v, j) => v - factor * a[column][j]);
        b[i] = b[i].map((v, j) => v - factor * b[column][j]);
      }
    }
    return { sign, logarithm, solution: b.map((row, i) => row.map((v) => v / a[i][i])) };
  }
  const unit = (n) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => (i === j ? 1 : 0)));
  function factored(a) { // the lower triangle L with L Lᵀ = a
    const lower = a.map((row) => row.map(() => 0));
    for (let i = 0; i < a.length; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        let rest = a[i][j];
        for (let k = 0; k < j; k += 1) rest -= lower[i][k] * lower[j][k];
        if (i === j && !(rest > 0)) fail("cholesky: the matrix is not positive definite");
        lower[i][j] = i === j ? Math.sqrt(rest) : rest / lower[j][j];
      }
    }
    return lower;
  }
  function diagonalized(lower) { // Jacobi's rotations: eigenvalues, rising, and eigenvectors as columns
    const n = lower.length;
    const a = lower.map((row, i) => row.map((_, j) => (j <= i ? lower[i][j] : lower[j][i])));
    const v = unit(n);
    const turn = (rows, p, q, c, s) => { for (const row of rows) [row[p], row[q]] = [c * row[p] - s * row[q], s * row[p] + c * row[q]]; };
    for (let round = 0; round < 60; round += 1) {
      let off = 0;
      for (let p = 0; p < n; p += 1) {
        for (let q = p + 1; q < n; q += 1) {
          if (a[p][q] === 0) continue;
          off += Math.abs(a[p][q]);
          const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
          const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
          const c = 1 / Math.hypot(t, 1);
          turn(a, p, q, c, t * c);
          for (let j = 0; j < n; j += 1) [a[p][j], a[q][j]] = [c * a[p][j] - t * c * a[q][j], t * c * a[p][j] + c * a[q][j]];
          turn(v, p, q, c, t * c);
        }
      }
      if (off < 1e-300) break;
    }
    const order = [...a.keys()].sort((i, j) => a[i][i] - a[j][j]);
    return { values: order.map((i) => a[i][i]), vectors: v.map((row) => order.map((i) => row[i])) };
  }
  const perMatrix = (f) => ([x], params, shape, dtype) => {
    const n = x.shape[x.shape.length - 1];
    const out = [];
    for (let start = 0; start < x.data.length; start += n * n) out.push(f(rowsOf(x.data, start, n, n)));
    return value(shape, dtype, Float64Array.from(out.flat(3)));
  };
  const solvable = ({ solution }) => solution ?? fail("the matrix is singular");
  function solve([x, y], params, shape, dtype) {
    const lead = shape.slice(0, -2);
    const [n, m] = shape.slice(-2);
    const batches = (z, size) => walk(lead, stretched(z.shape.slice(0, -2), lead).map((step) => step * size));
    const [xs, ys] = [batches(x, n * n), batches(y, n * m)];
    const out = Array.from(xs, (start, i) => solvable(eliminated(rowsOf(x.data, start, n, n), rowsOf(y.data, ys[i], n, m))));
    return value(shape, dtype, Float64Array.from(out.flat(3)));
  }
  const determinant = (a) => eliminated(a, a.map(() => []));

  // -- the table ----------------------------------------------------------------------------------------------------------------

  // name: (args, params, shape, dtype, random) => value.  What is not here is refused by name.
  const PRIMITIVES = {
    sum: reduction((total, x) => total + x, 0), max: reduction(Math.max, -Infinity), min: reduction(Math.min, Infinity),
    all: reduction((whole, x) => (whole && x !== 0 ? 1 : 0), 1), any: reduction((some, x) => (some || x !== 0 ? 1 : 0), 0),
    mean, cumsum, argsort, argmax: extremePosition((x, y) => x > y), argmin: extremePosition((x, y) => x < y),
    solve, inv: perMatrix((a) => solvable(eliminated(a, unit(a.length)))), cholesky: perMatrix(factored),
    det: perMatrix((a) => { const { sign, logarithm } = determinant(a); return sign * Math.exp(logarithm); }),
    logabsdet: perMatrix((a) => determinant(a).logarithm), signdet: perMatrix((a) => determinant(a).sign),
    eigvalsh: perMatrix((a) => diagonalized(a).values), eigenvectors: perMatrix((a) => diagonalized(a).vectors),
    matmul, einsum, concatenate, checked_index: checkedIndex, checked_range: checkedRange,
    tril: triangle((over, k) => over <= k), triu: triangle((over, k) => over >= k),
    astype: ([x], params, shape, dtype) => value(shape, dtype, value(shape, params.dtype, x.data).data),
    power_constant: (args, { exponent }, shape, dtype) => elementwise((x) => power(x, exponent), args, shape, dtype),
    uniform_like: (args, params, shape, dtype, random) => value(shape, dtype, Float64Array.from({ length: count(shape) }, random)),
  };
  for (const name of Object.keys(ELEMENTWISE)) {
    PRIMITIVES[name] = (args, params, shape, dtype) => elementwise(elementFunction(name, dtype), args, shape, dtype);
  }
  for (const [name, positions] of Object.entries(POSITIONS)) {
    PRIMITIVES[name] = ([x, ...args], params, shape) => taken(x, positions(x.shape, args, params), shape);
  }
  for (const [name, taking] of Object.entries(TRANSPOSED)) {
    PRIMITIVES[name] = ([x, ...args], params, shape) => added(x, POSITIONS[taking](shape, args, { ...params, shape: x.shape }), shape);
  }

  // -- programs -------------------------------------------------------------------------------------------------------------------

  function plain(part) { // what program/written.py's plain wrote
    if (Array.isArray(part)) return part.map(plain);
    if (part === null || typeof part !== "object" || part.ellipsis || part.size || part.scale !== undefined) return part;
    if (part.array !== undefined) return decoded(part);
    if (part.slice) return { slice: part.slice.map(plain) };
    if (part.float) return Number(part.float.replace("inf", "Infinity"));
    if (part.dict) return Object.fromEntries(part.dict.map(([key, entry]) => [key, plain(entry)]));
    return fail(`not plain data: ${Object.keys(part)}`);
  }
  function decoded({ array, shape, dtype }) {
    const bytes = Uint8Array.from(atob(array), (c) => c.charCodeAt(0)).buffer;
    if (dtype === "float16") return { shape, dtype, data: Float32Array.from(new Uint16Array(bytes), fromHalf) };
    if (dtype.endsWith("int64")) return value(shape, dtype, Float64Array.from(new (dtype === "int64" ? BigInt64Array : BigUint64Array)(bytes), Number));
    return { shape, dtype, data: new STORES[dtype](bytes) };
  }
  function fromHalf(bits) {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  }
  function sized(part, n) { // with every size that depends on N as a number
    if (Array.isArray(part)) return part.map((each) => sized(each, n));
    if (part === null || typeof part !== "object" || part.data) return part;
    if (part.size) return part.size[0] * n + part.size[1];
    return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, sized(each, n)]));
  }

  // A program from the object that JSON.parse makes of Program.to_json's text.
  function read(document) {
    if (document.schema !== SCHEMA) fail(`a program of schema ${String(document.schema)}, expected ${SCHEMA}`);
    const program = {
      inputs: document.inputs,
      states: document.states.map((state) => ({ ...state, value: held(plain(state.value)) })),
      constants: document.constants.map((constant) => ({ ...constant, value: plain(constant.value) })),
      steps: document.steps.map(([name, args, params, shape, dtype, scope, site]) => ({ name, args, params: plain(params), shape, dtype, scope, site })),
      outputs: document.outputs,
      writes: document.writes,
      n: document.n,
      free: document.free,
      smallestN: document.smallest_n,
      sizes: new Map(), // constants and steps for each N that came up
    };
    program.first = program.inputs.length + program.states.length + program.constants.length;
    return program;
  }
  const held = (x) => (typeof x === "number" ? number(x) : x);

  // The same program, and the same value, in double precision: what differences of nearly equal numbers need.
  function wide(program) {
    const wider = (dtype) => (dtype.startsWith("float") ? "float64" : dtype);
    const params = (step) => (step.params.dtype ? { ...step.params, dtype: wider(step.params.dtype) } : step.params);
    return {
      ...program,
      constants: program.constants.map((c) => ({ ...c, dtype: wider(c.dtype), value: c.value.data ? wideValue(c.value) : c.value })),
      steps: program.steps.map((step) => ({ ...step, params: params(step), dtype: wider(step.dtype) })),
      sizes: new Map(),
    };
  }
  const wideValue = (x) => (x.dtype.startsWith("float") ? value(x.shape, "float64", x.data) : x);

  // Which of a program's operations cannot be run here.
  const unknown = (program) => [...new Set(program.steps.map((step) => step.name).filter((name) => !Object.hasOwn(PRIMITIVES, name)))];

  function at(program, n) {
    if (!program.sizes.has(n)) {
      if (program.sizes.size > 20) program.sizes.clear();
      program.sizes.set(n, {
        constants: program.constants.map((constant) => {
          const [known, shape] = [sized(constant.value, n), sized(constant.shape, n)];
          if (typeof known === "number") return number(known);
          return same(known.shape, shape) ? known : { shape, dtype: known.dtype, data: known.data.constructor.from({ length: count(shape) }, () => known.data[0]) };
        }),
        steps: program.steps.map((step) => ({ ...step, params: sized(step.params, n), shape: sized(step.shape, n) })),
      });
    }
    return program.sizes.get(n);
  }

  // The value of every number, given those of the inputs, then of the states.  "changed" has values to take in place of
  // constants or of results: a Map from numbers.  Nothing is written; nothing behind the number "until" is computed.
  function evaluate(program, values, { n = program.n, changed = new Map(), random = Math.random, until = Infinity } = {}) {
    const { constants, steps } = at(program, n);
    const results = [...values, ...constants];
    for (const [number, known] of changed) if (number < program.first) results[number] = known;
    for (const step of steps) {
      if (results.length > until) break;
      results.push(changed.get(results.length) ?? one(step, results, random));
    }
    return results;
  }
  function one(step, results, random) {
    const compute = PRIMITIVES[step.name] ?? fail(`${step.name} cannot be run in a page`);
    return compute(step.args.map((i) => results[i]), step.params, step.shape, step.dtype, random);
  }

  // The outputs for new inputs; the states are written, all together and last.
  function run(program, inputs, { random = Math.random } = {}) {
    const free = program.inputs.findIndex((input) => input.shape.length && input.shape[0]?.size);
    const n = free < 0 ? program.n : inputs[free].shape[0];
    if (program.free && n < program.smallestN) fail(`N = ${n}: the program is for ${program.smallestN} and more`);
    const results = evaluate(program, [...inputs, ...program.states.map((state) => state.value)], { n, random });
    for (const [state, from] of program.writes) program.states[state - program.inputs.length].value = from === null ? null : results[from];
    return program.outputs.map((i) => results[i]);
  }

  return { STORES, read, wide, wideValue, decode: (part) => held(plain(part)), unknown, at, evaluate, one, run, value, number, filled, count, half, strides, walk, stretched, reductionMap, broadcastMap, POSITIONS, TRANSPOSED, ELEMENTWISE, PRIMITIVES };
})();
