"use strict";
// The page: settings, buttons and keys, sentences, the clock of the training, and the address that leads back here.
const page = (() => {
  const { ARMS, GOOD } = pair;
  const { NAMES } = drawing;
  const CHOICES = {
    data: { values: ["moons", "circles", "xor", "spiral"] },
    activation: { values: ["tanh", "relu", "sigmoid"] },
    depth: { label: "hidden layers", values: [1, 2, 3, 4, 5, 6, 7, 8] },
    rate: { label: "learning rate", values: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3] },
    batch: { label: "batch size", values: [2, 4, 8, 16, 32, 64, 128] },
    scale: { label: "initial weights ×", values: [0.1, 0.25, 0.5, 1, 1.4, 2, 4] },
  };
  const SPEEDS = { slow: 15, normal: 120, fast: Infinity }; // steps a second
  const LAST = 5000; // steps: it does not go on forever behind a forgotten window
  const BUDGET = 12; // milliseconds of a frame that may go into steps
  const MAPS = 150; // milliseconds between two drawings of the maps and layers
  const examples = JSON.parse(document.getElementById("measured").textContent);
  const byId = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const setting = { ...examples[0].setting };
  let run = null; // the two networks
  let training = false;
  let owed = 0; // steps that the clock says are due
  let before = 0;
  let drawn = 0;
  let shapes = "";

  function make(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // -- sentences ----------------------------------------------------------------------------------------------------------------

  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const seconds = (ms) => (ms < 100 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`);
  const named = (arm) => make("b", { className: arm, textContent: NAMES[arm] });
  const one = (arm, the = "the") => (arm === "bn" ? [`${the} one `, named(arm)] : [`${the} `, named(arm), " one"]);
  const within = (each) => `${each.good} steps (${seconds(each.good * each.cost)})`;
  function sentence() { // what can be said by now, in parts
    const [plain, bn] = run.networks;
    if (!run.steps) return ["Two networks learn to tell two classes apart: a ", named("plain"), " one and one ", named("bn"), ". They start with the same weights and see the same batches. Press Train."];
    const lost = run.networks.find((each) => !Number.isFinite(each.losses.at(-1)));
    if (lost) return [`After ${run.steps} steps, the network `, named(lost.arm), " computes with infinities: the learning rate or the weights are too large for it."];
    const said = [`After ${run.steps} step${run.steps > 1 ? "s" : ""}, `, "the network ", named("bn"), ` has ${percent(bn.accuracies.at(-1))} of unseen points right, `, ...one("plain"), ` ${percent(plain.accuracies.at(-1))}. `];
    const [first, second] = run.networks.filter((each) => each.good !== null).sort((a, b) => a.good - b.good);
    const mark = percent(GOOD);
    if (!first) said.push(`Neither has reached ${mark}. `);
    else said.push(...one(first.arm, "The"), ` reached ${mark} in ${within(first)}, `, ...one(ARMS.find((arm) => arm !== first.arm)), second ? ` in ${within(second)}. ` : " has not. ");
    said.push(`A step with BN takes ${(bn.cost / plain.cost).toFixed(1)} times as long.`);
    return said;
  }
  const announce = () => { byId("live").textContent = byId("say").textContent; };

  // -- drawing ------------------------------------------------------------------------------------------------------------------

  const describe = (canvas, text) => canvas.setAttribute("aria-label", text);
  function drawCurves() {
    drawing.curves(byId("by-steps"), run.networks, () => 1, { least: 100, unit: "steps" });
    const slower = run.steps && run.steps * Math.max(...run.networks.map((each) => each.cost));
    const [least, unit, size] = slower < 1000 ? [20, "ms", 1] : [1, "s", 1000];
    drawing.curves(byId("by-time"), run.networks, (each) => each.cost / size, { least, unit });
    const at = (each) => `${NAMES[each.arm]} ${each.losses.length ? drawing.short(each.losses.at(-1)) : "not begun"}`;
    describe(byId("by-steps"), `Loss over ${run.steps} steps; the last batch: ${run.networks.map(at).join(", ")}`);
    describe(byId("by-time"), `The same losses by time: ${run.networks.map((each) => `${NAMES[each.arm]} ${seconds(run.steps && run.steps * each.cost)}`).join(", ")}`);
  }
  function drawMaps() {
    for (const each of run.networks) {
      const section = byId(each.arm);
      const [canvas, score, note] = [".map", ".score b", ".score span"].map((part) => section.querySelector(part));
      drawing.map(canvas, run, pair.cells(each));
      const right = percent(each.accuracies.at(-1));
      const dead = each.dead.flat().filter(Boolean).length;
      score.textContent = right;
      note.textContent = `of unseen points right; ${dead} of ${each.dead.flat().length} units dead`;
      describe(canvas, `${NAMES[each.arm]}: the class it predicts at each point of the plane; ${right} of unseen points right`);
    }
  }
  function drawLayers() {
    const depth = run.setting.depth;
    const holder = byId("drift");
    if (shapes !== String(depth)) {
      shapes = String(depth);
      holder.style.setProperty("--layers", depth);
      const canvas = (arm, i) => {
        const made = make("canvas", { id: `${arm}-${i}` });
        made.setAttribute("role", "img");
        return made;
      };
      holder.replaceChildren(...Array.from({ length: depth }, (_, i) => [make("h3", { textContent: `layer ${i + 1}` }), canvas("plain", i), canvas("bn", i)]).flat());
    }
    const most = drawing.range(run.networks);
    for (const each of run.networks) {
      for (let i = 0; i < depth; i += 1) {
        const canvas = byId(`${each.arm}-${i}`);
        drawing.layer(canvas, each, i, run.steps, most);
        const last = each.drift.at(-1)?.layers[i].map(drawing.short);
        const dead = each.dead[i].filter(Boolean).length;
        describe(canvas, `${NAMES[each.arm]}, layer ${i + 1}: ${last ? `median ${last[1]}, 15th to 85th percentile ${last[0]} to ${last[2]}` : "no batch yet"}; ${dead} of ${each.dead[i].length} units dead`);
      }
    }
  }
  function draw() {
    byId("say").replaceChildren(...sentence());
    drawCurves();
    drawMaps();
    drawLayers();
    drawn = performance.now();
  }

  // -- training -----------------------------------------------------------------------------------------------------------------

  function start() { // with the setting as it is now
    tell();
    run = pair.started({ ...setting });
    owed = 0;
    draw();
  }
  function turn(on) {
    if (on && run.steps >= LAST) start();
    training = on;
    byId("train").textContent = on ? "Pause" : "Train";
    before = performance.now();
    if (on) requestAnimationFrame(frame);
    else { draw(); announce(); }
  }
  function frame(now) {
    if (!training) return;
    const passed = Math.max(0.001, Math.min(now - before, 100) / 1000);
    owed = Math.min(owed + passed * SPEEDS[byId("speed").value], LAST);
    before = now;
    const end = performance.now() + BUDGET;
    for (; owed >= 1 && run.steps < LAST && performance.now() < end; owed -= 1) run.advance();
    if (owed >= 1) owed = 0; // what could not be done in time is not made up for
    if (run.steps >= LAST) { turn(false); return; }
    if (performance.now() - drawn > (still.matches ? 500 : MAPS)) draw();
    else if (!still.matches) drawCurves();
    requestAnimationFrame(frame);
  }
  function once() {
    if (training) turn(false);
    if (run.steps < LAST) run.advance();
    draw();
    announce();
  }

  // -- examples -----------------------------------------------------------------------------------------------------------------

  function attempt(example) { // a setting to look at, or first a hint where the reader is to find it
    const show = () => {
      choose(example.setting);
      turn(true);
    };
    if (example.hint) byId("found").replaceChildren(`${example.hint} `, make("button", { type: "button", textContent: "Show one", onclick: show }));
    else show();
  }
  function tell() { // which example the setting is, and what Python measured for it
    const fits = (example) => Object.entries(example.setting).every(([name, value]) => name === "seed" || setting[name] === value);
    byId("tries").querySelectorAll("button").forEach((button, i) => { button.setAttribute("aria-pressed", String(fits(examples[i]))); });
    byId("found").textContent = examples.find(fits)?.found ?? "";
  }

  // -- settings -----------------------------------------------------------------------------------------------------------------

  function choose(changes) {
    Object.assign(setting, changes);
    showSetting();
    start();
    const address = `#${new URLSearchParams(setting)}`;
    if (location.hash !== address) history.replaceState(null, "", address);
  }
  function showSetting() {
    for (const name of ["data", "activation"]) byId(name).querySelector(`[value=${setting[name]}]`).checked = true;
    for (const name of ["depth", "rate", "batch", "scale"]) {
      const slider = byId(name);
      slider.value = CHOICES[name].values.indexOf(setting[name]);
      slider.setAttribute("aria-valuetext", setting[name]);
      byId(`${name}-value`).textContent = setting[name];
    }
    byId("seed").value = setting.seed;
  }
  function readAddress() { // what of the address is a setting
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      const found = Object.hasOwn(CHOICES, name) ? CHOICES[name].values.find((value) => String(value) === text) : undefined;
      if (found !== undefined) setting[name] = found;
      if (name === "seed" && /^\d{1,6}$/.test(text)) setting.seed = Number(text);
    }
  }
  function build() {
    for (const name of ["data", "activation"]) {
      for (const value of CHOICES[name].values) byId(name).append(make("label", {}, make("input", { type: "radio", name, value, onchange: () => choose({ [name]: value }) }), make("span", { textContent: value })));
    }
    for (const name of ["depth", "rate", "batch", "scale"]) {
      const { label, values } = CHOICES[name];
      const input = make("input", { type: "range", id: name, min: 0, max: values.length - 1, step: 1 });
      input.oninput = () => choose({ [name]: values[Number(input.value)] });
      byId("sliders").append(make("div", { className: "slider" }, make("div", {}, make("label", { htmlFor: name, textContent: label }), make("output", { id: `${name}-value`, htmlFor: name })), input));
    }
    byId("speed").append(...Object.keys(SPEEDS).map((name) => make("option", { value: name, textContent: name, selected: name === "normal" })));
    byId("tries").append(...examples.map((example) => make("button", { type: "button", textContent: example.title, onclick: () => attempt(example) })));
    byId("train").onclick = () => turn(!training);
    byId("step").onclick = once;
    byId("again").onclick = () => { start(); announce(); };
    byId("reseed").onclick = () => choose({ seed: (setting.seed + 1) % 1000000 });
    byId("seed").onchange = () => choose({ seed: Math.min(999999, Math.max(0, Math.trunc(Number(byId("seed").value) || 0))) });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select, [type=number]")) return;
      const button = { t: "train", s: "step", r: "again" }[event.key.toLowerCase()];
      if (button) byId(button).click();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawing.recolor(); draw(); });
    addEventListener("resize", draw);
    addEventListener("hashchange", () => { readAddress(); choose({}); });
  }

  drawing.recolor();
  build();
  readAddress();
  showSetting();
  start();
  return { CHOICES, examples, state: () => ({ ...setting, steps: run.steps, training }), networks: () => run.networks };
})();
