"use strict";
// The reader's numbers: to type, to drag sideways, or to move by the up and down keys; rows to add; a gradient step to take.
const numbers = (() => {
  const area = byId("inputs");
  const MOST = 24; // elements of an array, and
  const MOST_FIELDS = 80; // of all, that can be changed here; those of a chosen leaf always can
  let fields = [];

  // ε spans powers of ten: it is multiplied where others are added to.
  const moved = (group, x, ticks) => (group.input < 0 ? Math.min(Math.max(x * 10 ** (ticks / 10), 1e-12), 1e3) : Math.round((x + ticks * 0.05) * 1e9) / 1e9);
  const written = (x) => String(Math.abs(x) >= 1e-3 && Math.abs(x) < 1e6 ? Number(x.toFixed(4)) : x === 0 ? 0 : Number(x.toPrecision(3)));

  function field(group, element, name) {
    const input = make("input");
    input.type = "text";
    input.inputMode = "decimal";
    input.autocomplete = "off";
    input.setAttribute("role", "spinbutton");
    input.setAttribute("aria-label", name);
    input.disabled = model.fixed;
    const now = () => model.numbersOf(group).data[element];
    const put = (x) => { if (Number.isFinite(x)) { model.set(group, element, x); page.changed(); } };
    input.addEventListener("change", () => { put(Number(input.value.trim().replace("−", "-").replace(",", ".") || NaN)); fill(true); });
    input.addEventListener("keydown", (event) => {
      const ticks = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (event.key === "Enter") input.dispatchEvent(new Event("change"));
      if (!ticks) return;
      event.preventDefault();
      put(moved(group, now(), ticks * (event.shiftKey ? 10 : 1)));
      input.value = written(now());
    });
    let drag = null;
    input.addEventListener("pointerdown", (event) => { if (!model.fixed) drag = { x: event.clientX, start: now(), on: false }; });
    input.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const dx = event.clientX - drag.x;
      if (!drag.on && Math.abs(dx) < 4) return;
      if (!drag.on) { drag.on = true; input.setPointerCapture(event.pointerId); input.blur(); }
      event.preventDefault();
      put(moved(group, drag.start, Math.round(dx / 3)));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) input.addEventListener(end, () => { drag = null; });
    fields.push({ input, now });
    return input;
  }
  function fill(all = false) {
    for (const { input, now } of fields) {
      const x = now();
      input.setAttribute("aria-valuenow", x);
      if (all || document.activeElement !== input) input.value = written(x);
    }
    const loss = byId("loss");
    if (loss) loss.textContent = show.number(model.loss());
    byId("reset").setAttribute("aria-disabled", String(!model.moved()));
    const trouble = byId("trouble");
    trouble.textContent = model.trouble;
    trouble.hidden = !model.trouble;
  }
  function draw() {
    fields = [];
    const table = make("div", "fields");
    const singles = make("div", "singles"); // numbers on their own share a line
    let hidden = 0;
    const chosen = (group) => group.node === page.state.chosen && !group.seed;
    for (const group of model.groups().sort((a, b) => chosen(b) - chosen(a))) {
      const x = model.numbersOf(group);
      const { name } = group;
      if (x.data.length > (chosen(group) ? 64 : MOST) || (!group.seed && !chosen(group) && fields.length + x.data.length > MOST_FIELDS)) { hidden += 1; continue; }
      const last = x.shape.length > 1 ? x.shape[x.shape.length - 1] : 1;
      const holder = make("div", last > 1 && last <= 4 ? "array grid" : "array", ...Array.from(x.data, (_, i) => field(group, i, x.data.length > 1 ? `${name}[${elements.unravel(i, x.shape).join(", ")}]` : name)));
      if (last > 1) holder.style.setProperty("--columns", last);
      const label = make("span", "name", group.node >= 0 && !group.seed ? show.term(group.node) : name);
      label.title = group.seed ? "the cotangent of the output" : "";
      if (x.data.length === 1) singles.append(make("span", "single", label, " ", holder));
      else table.append(make("div", "field", label, holder));
    }
    const many = hidden ? make("p", "note", `${hidden} more array${hidden > 1 ? "s" : ""}: select a box to show its numbers (up to 64) here.`) : null;
    const rate = make("input");
    rate.id = "rate";
    rate.value = "0.1";
    rate.inputMode = "decimal";
    rate.setAttribute("aria-label", "learning rate");
    const names = model.learning().map((node) => model.nodes[node].name);
    const list = names.join(", ").length > 40 ? `${names.length} array${names.length > 1 ? "s" : ""}` : names.join(", ");
    const descend = names.length && !model.fixed ? make("div", "actions", button("take a gradient step", () => {
      const before = model.loss();
      model.descend(Number(rate.value.replace(",", ".")) || 0);
      page.changed();
      byId("stepped").textContent = `L: ${show.number(before)} → ${show.number(model.loss())}`;
    }, { id: "descend", title: `${list} minus the rate times their gradients` }), make("label", "", "rate ", rate), make("span", "note", `moves ${list}`)) : null;
    const stepped = make("span", "note");
    stepped.id = "stepped";
    stepped.setAttribute("role", "status");
    const loss = make("b");
    loss.id = "loss";
    const outputs = model.data.outputs.map((node) => model.nodes[node].name);
    const single = model.data.outputs.length === 1 && model.value(model.data.outputs[0]).data.length === 1;
    const what = single ? outputs[0] : outputs.length > 1 ? "Σ (cotangent) · (output)" : `Σ ∂${outputs[0]} · ${outputs[0]}`;
    const trouble = make("p", "trouble");
    trouble.id = "trouble";
    trouble.setAttribute("role", "alert");
    const rows = model.canResize() ? make("span", "", button("add a row", () => resize(1), { id: "more" }), " ", button("remove a row", () => resize(-1), { id: "fewer" })) : null;
    const fixed = model.data.fixed_rows ? make("p", "note", `Rows cannot be added: ${model.data.fixed_rows}`) : null;
    area.replaceChildren(
      make("h2", "", "Numbers"), make("p", "note", "Drag a number sideways, type, or press ↑ ↓ in it."), table, singles, ...(many ? [many] : []), trouble,
      make("div", "actions", rows, button("reset", () => { model.reset(); page.restructured(); }, { id: "reset", title: "restore the recorded numbers" })),
      ...(fixed ? [fixed] : []), ...(descend ? [descend] : []), make("p", "", what === "L" ? "L = " : `L = ${what} = `, loss, " ", stepped),
    );
    fill(true);
  }
  function resize(by) {
    model.resize(model.n + by);
    page.restructured();
  }
  return { draw, fill };
})();
