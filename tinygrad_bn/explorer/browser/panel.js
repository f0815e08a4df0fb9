"use strict";
// The details: what the present step does, the chosen value, and what the gradients are held against.
const panel = (() => {
  const { nodes, forward, users } = model;
  const area = byId("panel");

  function cells(node, x) { // of a value: each number leads to its own graph of scalars
    if (node === null) return show.array(make("div", "array"), x, { most: 64, columns: 8 });
    return show.array(make("div", "array"), x, {
      most: 64, columns: 8,
      cell: (i) => button("", () => page.zoomTo({ node, element: i }), { className: "cell", name: `${show.elementName(node, i, x)}, number by number` }),
    });
  }
  function rows(pairs) {
    const table = make("table");
    table.setAttribute("role", "table"); // said, since the style makes no table of it
    for (const [label, ...content] of pairs) {
      const row = table.insertRow();
      row.setAttribute("role", "row");
      const head = make("th", "", label);
      head.scope = "row";
      head.setAttribute("role", "rowheader");
      row.append(head);
      const cell = row.insertCell();
      cell.setAttribute("role", "cell");
      cell.append(...content);
    }
    return table;
  }
  const section = (heading, ...content) => make("section", "", make("h3", "", heading), ...content);
  const note = (text) => make("span", "note", text);
  const title = (node) => show.plain(show.heading(node));

  function value(node, known) {
    const { kind, own, wants, path, site, code, op, args } = nodes[node];
    const x = model.value(node);
    const pairs = [];
    if (op) for (const argument of new Set(args)) if (nodes[argument].kind !== "number") pairs.push([make("span", "", "from ", show.term(argument)), cells(argument, model.value(argument))]);
    pairs.push(["value", cells(node, x)], ["shape", show.type(x)]);
    if (wants) {
      const number = known.get(node);
      pairs.push(["gradient", number === undefined ? note(page.state.k === model.lastStep() ? "none arrives" : "not run yet") : cells(null, model.at(number))]);
    }
    if (!op) pairs.push(["kind", own && own !== nodes[node].name ? `${kind}, ${own}` : kind]);
    if (path.length) pairs.push(["in", path.map((i) => model.scopes[i].title).join(" / ")]);
    if (users[node].length) pairs.push(["used by", ...users[node].flatMap((user, i) => [i ? ", " : "", show.term(user)]), users[node].length > 1 ? " (its gradients add up)" : ""]);
    if (code) pairs.push(["code", make("code", "", code)]);
    if (site) pairs.push(["line", site]);
    return rows(pairs);
  }
  function backward(step) {
    const box = make("section", "", make("h2", "", `Backward through ${title(step.node)}`));
    box.append(rows([["g, the cotangent", cells(null, model.at(step.upstream))]]));
    for (const part of step.parts) {
      const pairs = [["rule", show.math(part.rule, step.node)]];
      const local = model.local(step, part);
      if (local) pairs.push(["derivative", cells(null, local)]);
      if (part.reduced) pairs.push(["un-broadcast", part.reduced]);
      pairs.push(["contribution", cells(null, model.at(part.given))]);
      if (part.before !== null) pairs.push(["running sum", cells(null, model.at(part.before)), make("span", "", " + "), cells(null, model.at(part.given)), make("span", "", " = "), cells(null, model.at(part.after))]);
      box.append(make("div", "part", make("h3", "", "to ", show.term(part.to)), rows(pairs)));
    }
    return box;
  }
  function start() {
    return make("section", "",
      make("h2", "", "Before the start"),
      make("p", "", "Press → or “next” to run the forward pass one operation at a time, then the backward pass; play runs them automatically."),
      make("p", "", model.fixed ? `Not all of it can be computed in a page: ${model.data.unknown.join(", ")} is an operation of your own. The numbers are those of the recording.` : "Every number is computed here: drag a number, type another one, or press the up and down keys in it, and forward and backward follow."),
      ...(model.data.tries.length && !model.fixed ? [make("h3", "", "Try"), make("ul", "", ...model.data.tries.map((text) => make("li", "", text)))] : []),
      make("p", "note", "Choose a box to see where its numbers come from; choose a number here to see it in scalars. Blue is above zero, orange below, by size within the array."));
  }

  function invariants(known) {
    if (!model.data.invariants.length || page.state.k <= forward.length) return [];
    return [section("Sums that end at 0", rows(model.invariants(known).map(({ label, total, final }) => [label, total === null ? note("no gradient yet") : show.nearZero(total), total !== null && !final ? note(" contributions are missing") : ""])))];
  }
  function ends(moving) {
    const found = [];
    const largest = (a, b) => a.data.reduce((most, v, i) => Math.max(most, Math.abs(v - b.data[i])), 0);
    for (const fact of model.facts()) {
      const number = model.walk().gradients[fact.node];
      const gap = largest(model.at(number), fact.value);
      found.push(section(fact.label, rows([["derived", cells(null, model.at(number))], ["closed form", cells(null, fact.value)], ["largest difference", gap.toExponential(1)]])));
    }
    if (moving && !model.checksAreQuick()) return [...found, section("Checked by central differences", note("as soon as the number stops changing"))];
    const checks = model.checks();
    if (checks.length) {
      found.push(section("Checked by central differences", ...checks.map(({ node, gradient, numeric }) => {
        const gap = largest(gradient, numeric);
        const bound = 1e-4 * Math.max(1, ...gradient.data.map(Math.abs));
        return make("div", "check", make("h4", "", show.term(node)), rows([["backward", cells(null, gradient)], ["numeric", cells(null, numeric)],
          ["largest difference", Number.isNaN(gap) ? "not finite" : gap.toExponential(1) + (gap > bound ? ": they disagree" : "")]]));
      })));
    }
    return found;
  }

  function draw(moving = false) {
    const { k, chosen } = page.state;
    const known = model.gradientNumbers(k);
    const step = model.backwardStep(k);
    const stops = () => [...area.querySelectorAll("button, [tabindex]")];
    const focused = stops().indexOf(document.activeElement);
    const main = step ? backward(step) : k > 0 ? make("section", "", make("h2", "", title(forward[k - 1])), value(forward[k - 1], known)) : start();
    area.replaceChildren(
      ...(model.trouble ? [make("p", "trouble", model.trouble)] : []),
      ...(chosen >= 0 ? [make("section", "chosen", make("h3", "", `Chosen: ${title(chosen)}`), value(chosen, known))] : []),
      main, ...invariants(known), ...(k === model.lastStep() ? ends(moving) : []),
    );
    if (focused >= 0) stops()[focused]?.focus();
  }
  function sentence() {
    const { k } = page.state;
    const { steps, note: about } = model.walk();
    if (k === 0) return about || `Forward: ${forward.length} operations, then backward: ${steps.length}.`;
    if (k <= forward.length) return `Forward ${k} of ${forward.length}: ${title(forward[k - 1])} gives ${show.inWords(model.value(forward[k - 1]))}`;
    const step = model.backwardStep(k);
    const parts = step.parts.map((part) => `${nodes[part.to].name} gets ${part.before === null ? "" : "another "}${show.inWords(model.at(part.given))}${part.before === null ? "" : `, now ${show.inWords(model.at(part.after))}`}`);
    return `Backward ${k - forward.length} of ${steps.length}, ${nodes[step.node].name}: ${parts.join("; ")}`;
  }
  return { draw, sentence };
})();
