"use strict";
// Everything together: where the reader is, what the keys and buttons do, and the address that leads back here.
const page = (() => {
  const state = { k: 0, chosen: -1, search: "", zoom: null }; // step, chosen node, what is looked for, element seen in scalars
  const { nodes, forward } = model;
  const SPEEDS = [["slow", 2400], ["normal", 1200], ["fast", 500]];
  let playing = 0;
  let waiting = false; // for the next frame
  let resting = 0; // for a number to stop moving

  // -- drawing -----------------------------------------------------------------------------------------------------------------

  function render() { // a step, or another choice
    byId("slider").max = model.lastStep();
    byId("slider").value = state.k;
    const sentence = panel.sentence();
    byId("slider").setAttribute("aria-valuetext", sentence);
    byId("say").textContent = sentence;
    for (const [id, off] of [["first", state.k === 0], ["previous", state.k === 0], ["next", state.k === model.lastStep()], ["last", state.k === model.lastStep()]]) byId(id).setAttribute("aria-disabled", String(off));
    update();
    if (!state.zoom) {
      const found = picture.mark();
      byId("hits").textContent = state.search ? `${found} found` : "";
    }
    keepAddress();
  }
  function update(moving = false) { // numbers alone
    show.frame.moving = moving;
    if (state.zoom) zoom.update(); else picture.update();
    for (const { holder, node } of equations) show.array(holder, model.value(node), { most: 6, columns: 6 });
    numbers.fill();
    line.draw();
    panel.draw(moving);
    show.frame.moving = false;
  }
  function changed() { // a number was moved: drawn once in a frame, however many moves there are
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      byId("say").textContent = panel.sentence();
      update(true);
      clearTimeout(resting);
      resting = setTimeout(update, 300);
    });
  }
  function restructured() { // the shapes may be others
    state.k = Math.min(state.k, model.lastStep());
    numbers.draw();
    redraw();
    render();
  }
  function redraw() {
    if (state.zoom) zoom.draw(); else picture.draw();
  }
  function go(k, follow = true) {
    state.k = Math.max(0, Math.min(model.lastStep(), k));
    render();
    if (follow && !state.zoom) picture.follow();
  }
  function refold() {
    picture.draw();
    listFolds();
    keepAddress();
  }
  function choose(node, bring = false) {
    state.chosen = state.chosen === node && !bring ? -1 : node;
    if (!nodes[node].op) numbers.draw();
    render();
    if (bring && !state.zoom) { picture.reveal([node]); picture.bring([picture.key(node)]); }
  }
  function zoomTo(target) {
    state.zoom = target;
    if (target && matchMedia("(max-width: 50rem)").matches) openTab("graph");
    redraw();
    listFolds();
    render();
    byId(target ? "unzoom" : "graph").focus({ preventScroll: true });
    byId("holder").scrollTo(0, 0);
    window.scrollTo(0, 0);
  }

  // -- controls ----------------------------------------------------------------------------------------------------------------

  function play(on) {
    clearInterval(playing);
    playing = 0;
    if (on) {
      if (state.k === model.lastStep()) go(0);
      playing = setInterval(() => { go(state.k + 1); if (state.k === model.lastStep()) play(false); }, SPEEDS[byId("speed").selectedIndex][1]);
    }
    byId("play").textContent = on ? "❚❚ pause" : "▶ play";
    document.body.classList.toggle("playing", on);
  }
  function listFolds() {
    const some = picture.foldable();
    for (const id of ["open", "close"]) byId(id).hidden = Boolean(state.zoom) || some.length < 2;
    byId("open").setAttribute("aria-disabled", String(!picture.closed.size));
  }
  function openTab(name) {
    document.body.dataset.tab = name;
    for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
    picture.place();
    line.resized();
  }
  function listOrders() {
    const { walks } = model;
    byId("orders").hidden = walks.length < 2;
    byId("orders").replaceChildren(...(walks.length < 2 ? [] : walks.map((walk, i) => {
      const choice = button(walk.label, () => { const atEnd = state.k === model.lastStep(); model.order = i; state.k = atEnd ? model.lastStep() : Math.min(state.k, model.lastStep()); listOrders(); byId("orders").children[i].focus(); render(); });
      choice.setAttribute("aria-pressed", String(model.order === i));
      return choice;
    })));
  }

  // -- names in formulas and their boxes: pointing at one shows the other, and its array --------------------------------------------

  const tip = byId("tip");
  function link(node, from) {
    for (const element of document.querySelectorAll(".linked")) element.classList.remove("linked");
    tip.hidden = true;
    if (node < 0) return;
    for (const element of document.querySelectorAll(`.term[data-node="${node}"]`)) element.classList.add("linked");
    if (!state.zoom) picture.box(node)?.element.classList.add("linked");
    if (!from.classList?.contains("term")) return;
    const upstream = from.dataset.upstream !== undefined;
    const step = model.backwardStep(state.k);
    const x = upstream && step ? model.at(step.upstream) : model.value(node);
    tip.replaceChildren(make("b", "", upstream ? "g, the cotangent" : nodes[node].name), show.array(make("div", "array"), x, { most: 32, columns: 8 }));
    tip.hidden = false;
    const [box, own] = [from.getBoundingClientRect(), tip.getBoundingClientRect()];
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
    tip.style.top = `${box.bottom + 6 + own.height > innerHeight ? box.top - own.height - 6 : box.bottom + 6}px`;
  }
  const linkedIn = (target) => target instanceof Element ? target.closest("[data-node], [data-upstream]") : null;
  for (const [type, entering] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(type, (event) => {
      const element = linkedIn(event.target);
      link(element && entering ? Number(element.dataset.node ?? element.dataset.upstream) : -1, element ?? document.body);
    });
  }
  document.addEventListener("click", (event) => {
    const element = event.target instanceof Element ? event.target.closest(".term") : null;
    if (element?.dataset.node && !element.closest(".head")) choose(Number(element.dataset.node), true);
    const cell = event.target instanceof Element ? event.target.closest("#rows .box:not(.scalars .box) .numbers:not(.gradient) .cell") : null;
    if (cell && !state.zoom) zoomTo({ node: Number(cell.closest(".box").dataset.node), element: Number(cell.dataset.element) });
  });

  // -- the lesson ----------------------------------------------------------------------------------------------------------------

  const equations = model.data.equations.map((markup) => {
    const math = show.math(markup);
    const node = Number(math.querySelector("mi.term")?.dataset.node ?? -1);
    const holder = make("div", "array");
    byId("equations").append(make("div", "equation", math, holder));
    return { holder, node };
  }).filter(({ node }) => node >= 0);

  // -- the address -----------------------------------------------------------------------------------------------------------------

  function keepAddress() {
    const parts = [`k=${state.k}`];
    if (state.chosen >= 0) parts.push(`n=${state.chosen}`);
    if (model.order) parts.push(`o=${model.order}`);
    if (state.zoom) parts.push(`z=${state.zoom.node}.${state.zoom.element}`);
    if (picture.closed.size) parts.push(`c=${[...picture.closed].join(".")}`);
    const address = `#${parts.join("&")}`;
    try {
      if (location.hash !== address) history.replaceState(null, "", address);
    } catch { /* in a frame made of text there is no address to write to */ }
  }
  function readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const whole = (text, most) => (/^\d{1,9}$/.test(text ?? "") ? Math.min(Number(text), most) : 0);
    model.order = whole(parts.get("o"), model.walks.length - 1);
    state.k = whole(parts.get("k"), model.lastStep());
    state.chosen = parts.has("n") ? whole(parts.get("n"), nodes.length - 1) : -1;
    const [node, element] = (parts.get("z") ?? "").split(".");
    state.zoom = element === undefined ? null : { node: whole(node, nodes.length - 1), element: 0 };
    if (state.zoom) state.zoom.element = whole(element, model.value(state.zoom.node).data.length - 1);
    if (parts.has("c")) {
      picture.closed.clear();
      for (const id of parts.get("c").split(".")) if (picture.groups[id]?.foldable) picture.closed.add(Number(id));
    }
  }

  // -- events ------------------------------------------------------------------------------------------------------------------------

  function listen() {
    byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
    const steps = { first: () => go(0), previous: () => go(state.k - 1), next: () => go(state.k + 1), last: () => go(model.lastStep()), turn: () => go(forward.length + 1), play: () => play(!playing) };
    for (const [id, act] of Object.entries(steps)) byId(id).addEventListener("click", () => { if (id !== "play") play(false); act(); });
    byId("speed").addEventListener("change", () => { if (playing) play(true); });
    byId("open").addEventListener("click", () => { picture.closed.clear(); refold(); });
    byId("close").addEventListener("click", () => { for (const group of picture.foldable()) picture.closed.add(group.id); refold(); });
    byId("search").addEventListener("input", () => {
      state.search = byId("search").value.trim().toLowerCase();
      if (!state.zoom) picture.reveal(picture.hits(state.search));
      render();
      const found = [...picture.hits(state.search)];
      if (found.length && !state.zoom) picture.bring([picture.key(found[0])]);
    });
    for (const tab of byId("tabs").children) tab.addEventListener("click", () => openTab(tab.dataset.tab));
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") { state.chosen = -1; state.search = byId("search").value = ""; if (state.zoom) zoomTo(null); else render(); link(-1, document.body); }
      if (event.key === "Enter" && document.activeElement?.matches("mi.term[data-node]")) choose(Number(document.activeElement.dataset.node), true);
      if (["INPUT", "SELECT"].includes(event.target.tagName)) return; // they have keys of their own
      const keys = { ArrowRight: steps.next, ArrowLeft: steps.previous, Home: steps.first, End: steps.last, "/": () => byId("search").focus(), ...magnify.keys };
      if (event.key in keys) { event.preventDefault(); if (!(event.key in magnify.keys)) play(false); keys[event.key](); }
    });
    window.addEventListener("hashchange", () => { readAddress(); redraw(); listFolds(); listOrders(); render(); });
    new ResizeObserver(() => { if (state.zoom) zoom.place(); else picture.place(); }).observe(byId("rows")); // arrows go with the boxes
    window.addEventListener("resize", line.resized);
  }

  function begin() {
    try {
      readAddress();
      byId("speed").append(...SPEEDS.map(([label], i) => new Option(label, i, i === 1, i === 1)));
      byId("equations").hidden = !model.data.equations.length;
      byId("line").hidden = !line.stages.length;
      document.body.classList.toggle("lesson", model.data.equations.length > 0);
      openTab("graph");
      listOrders();
      numbers.draw();
      redraw();
      listFolds();
      render();
      listen();
      if (state.k) picture.follow();
    } catch (error) { // such as a whole number beyond what doubles hold
      byId("say").textContent = `This program cannot be run in a page: ${error.message}`;
    }
  }
  return { state, begin, changed, restructured, refold, choose, zoomTo, go };
})();
page.begin();
