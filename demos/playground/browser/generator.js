"use strict";
// Random numbers, data, weights and the order of points: the twin of demos/playground/generator.py, equal to it in every bit.
const generator = (() => {
  const POINTS = 256; // to train on, and as many unseen ones
  const GRID = 4096; // coordinates are whole multiples of 1 / GRID
  const PURPOSES = ["training points", "unseen points", "weights", "order"];
  const GOLDEN = 0x9e3779b9;

  function mixed(x) { // 32 bits, each of which depends on all bits of x
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  }
  function stream(seed, purpose) { // a counter, stepped by the golden ratio and mixed
    let at = mixed((seed + Math.imul(GOLDEN, PURPOSES.indexOf(purpose) + 1)) | 0);
    const uniform = () => mixed(at = (at + GOLDEN) | 0) / 2 ** 32;
    const many = (count, draw = uniform) => Float64Array.from({ length: count }, draw);
    return { uniform: (count) => many(count), normal: (count) => many(count, () => many(12).reduce((sum, u) => sum + u, 0) - 6) };
  }
  function place(data, u, v, second) {
    if (data === "moons") {
      const angle = Math.PI * u;
      return second ? [0.5 - Math.cos(angle), 0.3 - Math.sin(angle)] : [Math.cos(angle) - 0.5, Math.sin(angle) - 0.3];
    }
    if (data === "circles") {
      const radius = second ? 1.25 : 0.55;
      return [radius * Math.cos(2 * Math.PI * u), radius * Math.sin(2 * Math.PI * u)];
    }
    if (data === "xor") return [(2 * u - 1) * 1.4, (0.1 + 1.3 * v) * (u >= 0.5 !== second ? 1 : -1)];
    const [radius, angle] = [0.1 + 1.3 * Math.sqrt(u), 2 * Math.PI * Math.sqrt(u) * 1.25 + (second ? Math.PI : 0)];
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }
  function points(data, seed, purpose) { // [coordinates in rows of two, classes]
    const from = stream(seed, purpose);
    const [along, across, noise] = [from.uniform(POINTS), from.uniform(POINTS), from.normal(2 * POINTS)];
    const spread = { moons: 0.12, circles: 0.1, xor: 0.05, spiral: 0.04 }[data];
    const rounded = (x) => Math.floor(x * GRID + 0.5) / GRID;
    const found = new Float64Array(2 * POINTS);
    for (let i = 0; i < POINTS; i += 1) {
      const [x, y] = place(data, along[i], across[i], i % 2 === 1);
      found[2 * i] = rounded(x + spread * noise[i]);
      found[2 * i + 1] = rounded(y + spread * noise[POINTS + i]);
    }
    return [found, Float64Array.from({ length: POINTS }, (_, i) => i % 2)];
  }
  function weights(from, fanIn, fanOut, scale) { // uniform, with standard deviation scale / sqrt(fanIn)
    const bound = scale * Math.sqrt(3 / fanIn);
    return from.uniform(fanOut * fanIn).map((u) => (2 * u - 1) * bound);
  }
  function order(seed, batch) { // a function that gives the points of the next batch; a shuffle for every pass
    const from = stream(seed, "order");
    let left = [];
    return () => {
      if (!left.length) {
        left = Array.from({ length: POINTS }, (_, i) => i);
        for (let last = POINTS - 1; last > 0; last -= 1) {
          const other = Math.floor(from.uniform(1)[0] * (last + 1));
          [left[last], left[other]] = [left[other], left[last]];
        }
      }
      return left.splice(0, batch);
    };
  }
  return { POINTS, stream, points, weights, order };
})();
