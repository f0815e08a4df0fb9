"use strict";
// Two networks that are trained side by side, without and with Batch Normalization: same weights at the start, same batches.
// Nothing here knows the page.
const pair = (() => {
  const ARMS = ["plain", "bn"];
  const EVERY = 10; // steps between two looks at all points
  const GOOD = 0.95; // of unseen points right: what "trained" means in sentences
  const MAP = 36; // cells along each side of a decision map
  const REACH = 1.9; // the map is of -REACH to REACH
  const CLOCKINGS = [0, 30, 100, 300, 1000]; // steps before which it is found out what a step takes: browsers warm up
  const CLOCKED = 50; // milliseconds for that
  const BURST = 2; // milliseconds, at least, that are clocked at once
  const QUANTILES = [0.15, 0.5, 0.85];
  // Where the slope of an activation is under 1 % of its largest: the inputs for which a unit does not learn.
  const ASLEEP = { relu: (z) => z <= 0, tanh: (z) => Math.abs(z) > 2.994, sigmoid: (z) => Math.abs(z) > 5.989 };

  function initial(program, { scale, rate, seed }) { // values for the states of a program
    const from = generator.stream(seed, "weights");
    for (const state of program.states) {
      const { name, kind, shape, dtype } = state;
      if (kind === "gradient") continue; // written, never read
      if (kind === "setting") state.value = interpreter.number(name === "lr" ? rate : 0);
      else if (shape.length === 2) state.value = interpreter.value(shape, dtype, generator.weights(from, shape[1], shape[0], scale));
      else state.value = interpreter.filled(shape, dtype, /running_var$|norm\.\d+\.weight$/.test(name) ? 1 : 0);
    }
    return program;
  }
  function quantiles(numbers) {
    const sorted = Float64Array.from(numbers).sort();
    return QUANTILES.map((q) => sorted[Math.round(q * (sorted.length - 1))]);
  }
  const map = (() => { // the points of the map, row by row from the top
    const at = (i) => ((i + 0.5) / MAP * 2 - 1) * REACH;
    return Float64Array.from({ length: 2 * MAP * MAP }, (_, i) => (i % 2 ? -at(Math.floor(i / 2 / MAP)) : at((i >> 1) % MAP)));
  })();

  function network(setting, arm) {
    const [step, answers] = programs(setting.depth, setting.activation, arm).map((program) => initial(program, setting));
    const trained = prepared(step, setting.batch);
    const readers = new Map(); // the answers, made ready for so many points
    function reads(points) { // scores, and what comes into each activation
      const n = points.length / 2;
      if (!readers.has(n)) readers.set(n, prepared(answers, n));
      const { run, states } = readers.get(n);
      for (const [name, { data }] of states) data.set(trained.states.get(name).data);
      return run([points]);
    }
    return { arm, reads, states: trained.states, step: trained.run, cost: Infinity, burst: 1, losses: [], accuracies: [], inputs: [], drift: [], dead: [], good: null };
  }

  // What a step of each network takes, in milliseconds: the fastest of many bursts, in turns, so that other work on the machine
  // counts for neither.  The clock is coarser than a step.  All states are as they were afterwards.
  function clock(networks, inputs) {
    const before = networks.map(({ states }) => [...states.values()].filter(Boolean).map(({ data }) => [data, data.slice()]));
    const end = performance.now() + CLOCKED;
    for (let round = 0; round < 4 || performance.now() < end; round += 1) {
      for (const each of networks) {
        const start = performance.now();
        for (let k = 0; k < each.burst; k += 1) each.step(inputs);
        const spent = performance.now() - start;
        if (spent < BURST) each.burst *= 2;
        if (spent >= BURST || each.cost === Infinity) each.cost = Math.min(each.cost, Math.max(spent, 0.1) / each.burst);
      }
    }
    for (const [data, old] of before.flat()) data.set(old);
  }

  function started(setting) {
    const [points, classes] = generator.points(setting.data, setting.seed, "training points");
    const [unseen, truth] = generator.points(setting.data, setting.seed, "unseen points");
    const order = generator.order(setting.seed, setting.batch);
    const networks = ARMS.map((arm) => network(setting, arm));
    const whole = { setting, networks, points, classes, unseen, truth, steps: 0 };

    function look(each) { // the share of unseen points that are right, and the units that are asleep on all others
      const [scores] = each.reads(unseen);
      const right = truth.reduce((sum, label, i) => sum + (scores[i] > 0 === label > 0.5), 0) / truth.length;
      each.accuracies.push(right);
      each.good ??= right >= GOOD ? whole.steps : null;
      const [, ...inputs] = each.reads(points);
      const [n, asleep] = [points.length / 2, ASLEEP[setting.activation]];
      each.dead = inputs.map((z) => Array.from({ length: z.length / n }, (_, unit) => {
        for (let i = unit; i < z.length; i += z.length / n) if (!asleep(z[i])) return false;
        return true;
      }));
    }
    function advance() { // one step of both
      const batch = order();
      const x = new Float64Array(2 * batch.length);
      const t = new Float64Array(batch.length);
      batch.forEach((point, i) => {
        x[2 * i] = points[2 * point];
        x[2 * i + 1] = points[2 * point + 1];
        t[i] = classes[point];
      });
      if (CLOCKINGS.includes(whole.steps)) clock(networks, [x, t]);
      whole.steps += 1;
      for (const each of networks) {
        const [[loss], ...inputs] = each.step([x, t]);
        each.losses.push(loss);
        if (whole.steps === 1 || whole.steps % EVERY === 0) {
          each.inputs = inputs.map((z) => z.slice());
          each.drift.push({ step: whole.steps, layers: inputs.map(quantiles) });
        }
      }
      if (whole.steps % EVERY === 0) networks.forEach(look);
    }
    networks.forEach(look);
    return Object.assign(whole, { advance });
  }
  // Probabilities of class 1 on the cells of the map.
  const cells = (each) => each.reads(map)[0].map((score) => 1 / (1 + Math.exp(-score)));

  return { ARMS, EVERY, GOOD, MAP, REACH, initial, started, cells };
})();
