"use strict";
// Everything that is drawn: decision maps, loss curves, what comes into the layers.  Colors are the style sheet's.
const drawing = (() => {
  const { ARMS, MAP, REACH } = pair;
  const NAMES = { plain: "plain", bn: "with BN" };
  const DASHES = { plain: [7, 4], bn: [] }; // told apart without color, too
  let colors = {};
  function recolor() {
    const style = getComputedStyle(document.documentElement);
    colors = Object.fromEntries(["paper", "ink", "soft", "line", "plain", "bn", "zero", "one", "zero-map", "one-map"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  function fresh(canvas) { // an empty canvas, sharp on any screen, and its size
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    return { pen, width, height };
  }
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

  // -- decision maps --------------------------------------------------------------------------------------------------------

  const small = document.createElement("canvas");
  function map(canvas, { points, classes }, probabilities) {
    const { pen, width } = fresh(canvas);
    small.width = small.height = MAP;
    const brush = small.getContext("2d");
    const image = brush.createImageData(MAP, MAP);
    const [zero, one, paper] = [rgb(colors["zero-map"]), rgb(colors["one-map"]), rgb(colors.paper)];
    probabilities.forEach((p, i) => {
      const sure = Number.isNaN(p) ? 0 : 0.25 + 1.5 * Math.abs(p - 0.5);
      const side = p > 0.5 ? one : zero;
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = paper[c] + Math.min(sure, 1) * (side[c] - paper[c]);
      image.data[4 * i + 3] = 255;
    });
    brush.putImageData(image, 0, 0);
    pen.drawImage(small, 0, 0, width, width);
    const at = (x) => (x / REACH + 1) / 2 * width;
    const size = Math.max(2.2, width / 110);
    classes.forEach((label, i) => { // a disc or a square
      const [x, y] = [at(points[2 * i]), at(-points[2 * i + 1])];
      pen.fillStyle = label ? colors.one : colors.zero;
      pen.beginPath();
      if (label) pen.rect(x - size, y - size, 2 * size, 2 * size); else pen.arc(x, y, 1.15 * size, 0, 7);
      pen.fill();
    });
  }

  // -- loss curves ----------------------------------------------------------------------------------------------------------

  function averaged(numbers) { // a running mean over about the last 20
    const found = new Float64Array(numbers.length);
    let total = 0;
    let weight = 0;
    numbers.forEach((v, i) => {
      total = 0.95 * total + v;
      weight = 0.95 * weight + 1;
      found[i] = total / weight;
    });
    return found;
  }
  function reach(x) { // the next of 1, 2, 5, 10, 20 ...
    const tens = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)));
    return [1, 2, 5, 10].map((k) => k * tens).find((k) => k >= x * (1 - 1e-9));
  }
  const short = (x) => String(Number(x.toPrecision(3)));
  function curves(canvas, networks, stride, { least, unit }) { // how wide a step of a network is on the horizontal axis
    const { pen, width, height } = fresh(canvas);
    const [left, right, top, bottom] = [30, width - 62, 8, height - 36];
    const most = reach(Math.max(least, ...networks.map((each) => each.losses.length && each.losses.length * stride(each))));
    const x = (v) => left + (right - left) * v / most;
    const y = (loss) => bottom + (top - bottom) * Math.min(loss, 1);
    pen.lineWidth = 1;
    pen.fillStyle = colors.soft;
    pen.strokeStyle = colors.line;
    for (const loss of [0, 0.5, 1]) {
      pen.beginPath();
      pen.moveTo(left, y(loss));
      pen.lineTo(right, y(loss));
      pen.stroke();
      pen.textAlign = "right";
      pen.fillText(short(loss), left - 5, y(loss) + 4);
    }
    for (const part of [0, 0.5, 1]) {
      pen.textAlign = part ? "center" : "left";
      pen.fillText(short(most * part) + (part === 1 ? ` ${unit}` : ""), x(most * part), bottom + 18);
    }
    const ends = [];
    for (const each of networks) {
      const [wide, losses] = [stride(each), averaged(each.losses)];
      pen.strokeStyle = colors[each.arm];
      pen.setLineDash(DASHES[each.arm]);
      pen.lineWidth = 2.5;
      pen.beginPath();
      const every = Math.max(1, Math.floor(losses.length / 600));
      let last = null;
      for (let i = 0; i < losses.length; i += i + every < losses.length ? every : Math.max(1, losses.length - 1 - i)) {
        if (!Number.isFinite(losses[i])) break;
        last = [x((i + 1) * wide), y(losses[i])];
        pen.lineTo(...last);
      }
      pen.stroke();
      if (last) ends.push({ arm: each.arm, x: last[0], y: last[1] });
    }
    pen.setLineDash([]);
    ends.sort((a, b) => a.y - b.y);
    if (ends.length === 2 && Math.abs(ends[0].x - ends[1].x) < 55) { // names that stay apart
      const gap = Math.max(0, 15 - (ends[1].y - ends[0].y)) / 2;
      ends[0].y -= gap;
      ends[1].y += gap;
    }
    pen.textAlign = "left";
    for (const { arm, x: at, y: level } of ends) {
      pen.fillStyle = colors[arm];
      pen.fillText(NAMES[arm], at + 5, Math.min(level, bottom) + 4);
    }
  }

  // -- what comes into a layer ------------------------------------------------------------------------------------------------

  const RANGES = [2, 3, 5, 10, 20, 50, 100, 1000, 1e4, 1e6];
  function range(networks) { // one for all layers and both networks; a few outliers may reach beyond
    const found = Float64Array.from(networks.flatMap(({ drift }) => drift.flatMap(({ layers }) => layers.flat()))).filter(Number.isFinite).map(Math.abs).sort();
    const most = found.length ? found[Math.floor(0.95 * (found.length - 1))] : 0;
    return RANGES.find((r) => r >= most) ?? RANGES.at(-1);
  }
  function layer(canvas, each, index, steps, most) {
    const { pen, width, height } = fresh(canvas);
    const [left, right, top, bottom] = [28, width * 0.72, 4, height - 20];
    const y = (v) => (top + bottom) / 2 + (top - bottom) / 2 * Math.max(-1, Math.min(1, v / most));
    pen.strokeStyle = colors.line;
    pen.lineWidth = 1;
    pen.strokeRect(left, top, width - left - 1, bottom - top);
    pen.beginPath();
    pen.moveTo(left, y(0));
    pen.lineTo(width - 1, y(0));
    pen.stroke();
    pen.fillStyle = colors.soft;
    pen.textAlign = "right";
    pen.font = pen.font.replace("13px", "12px");
    const label = most >= 1000 ? `1e${Math.log10(most)}` : String(most);
    pen.fillText(label, left - 4, top + 10);
    pen.fillText("0", left - 4, y(0) + 4);
    pen.fillText(`−${label}`, left - 4, bottom);
    const found = each.drift.filter(({ layers }) => layers[index].every(Number.isFinite));
    const every = Math.max(1, Math.floor(found.length / 150));
    const shown = found.filter((_, i) => i % every === 0 || i === found.length - 1);
    const x = (step) => left + (right - left) * (step - 1) / Math.max(steps - 1, 1);
    pen.fillStyle = colors[each.arm];
    pen.strokeStyle = colors[each.arm];
    pen.globalAlpha = 0.3;
    pen.beginPath();
    for (const { step, layers } of shown) pen.lineTo(x(step), y(layers[index][0]));
    for (const { step, layers } of [...shown].reverse()) pen.lineTo(x(step), y(layers[index][2]));
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.beginPath();
    for (const { step, layers } of shown) pen.lineTo(x(step), y(layers[index][1]));
    pen.stroke();
    const z = each.inputs[index];
    if (z) {
      const bars = new Float64Array(24);
      for (const v of z) if (Number.isFinite(v)) bars[Math.max(0, Math.min(23, Math.floor((v / most + 1) * 12)))] += 1;
      const tallest = Math.max(...bars, 1);
      const thick = (bottom - top) / 24;
      bars.forEach((n, i) => pen.fillRect(right + 3, bottom - (i + 1) * thick, (width - right - 5) * n / tallest, thick * 0.85));
    }
    const units = each.dead[index] ?? [];
    const side = Math.min(10, (width - left) / units.length - 2);
    units.forEach((dead, i) => {
      pen.strokeStyle = colors[each.arm];
      pen.lineWidth = 1;
      if (dead) pen.strokeRect(left + i * (side + 2) + 0.5, bottom + 6.5, side - 1, side - 1);
      else pen.fillRect(left + i * (side + 2), bottom + 6, side, side);
    });
  }
  return { ARMS, NAMES, recolor, map, curves, range, layer, short };
})();
