"use strict";
// How large the picture is: Ctrl and the wheel (two fingers on a pad are the same), the keys + - 0, and buttons.  It has an end on
// both sides, so that the picture cannot be lost; a wheel alone scrolls, as everywhere.
const magnify = (() => {
  const [LEAST, MOST] = [0.4, 3];
  const area = byId("rows");
  const pane = byId("holder");
  let scale = 1;

  function to(wanted, at = null) { // the point "at" of the window, else the top left corner of the pane, stays where it is
    const seen = pane.getBoundingClientRect();
    const [x, y] = at ?? [seen.left, Math.max(seen.top, 0)];
    const before = area.getBoundingClientRect();
    scale = Math.min(Math.max(wanted, LEAST), MOST);
    area.style.setProperty("--scale", scale);
    const after = area.getBoundingClientRect();
    const moved = (start, length, old, now, point) => now + ((point - old) / length) * start - point;
    pane.scrollBy(moved(after.width, before.width || 1, before.left, after.left, x), moved(after.height, before.height || 1, before.top, after.top, y));
    byId("level").textContent = `${Math.round(100 * scale)} %`;
    byId("level").setAttribute("aria-label", `size of the picture: ${Math.round(100 * scale)} %, back to 100 %`);
    byId("smaller").setAttribute("aria-disabled", String(scale === LEAST));
    byId("larger").setAttribute("aria-disabled", String(scale === MOST));
    (page.state.zoom ? zoom : picture).place();
  }
  const by = (factor, at) => to(Math.abs(scale * factor - 1) < 0.05 ? 1 : scale * factor, at); // 100 % is not stepped over
  const viewBox = () => [pane.scrollLeft, pane.scrollTop, pane.clientWidth, pane.clientHeight].map((length) => length / scale);
  // The place of a box, in the picture's own units.
  function place(element, whole = area.getBoundingClientRect()) {
    const r = element.getBoundingClientRect();
    const unit = whole.width / area.offsetWidth || 1; // what of the size shows in these numbers differs between browsers
    return { left: (r.left - whole.left) / unit, right: (r.right - whole.left) / unit, top: (r.top - whole.top) / unit, bottom: (r.bottom - whole.top) / unit, width: r.width / unit, height: r.height / unit };
  }

  pane.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault(); // or the browser would make the whole page larger
    by(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), [event.clientX, event.clientY]);
  }, { passive: false });
  for (const [id, act] of [["smaller", () => by(1 / 1.25)], ["level", () => to(1)], ["larger", () => by(1.25)]]) byId(id).addEventListener("click", act);
  byId("sizes").hidden = !CSS.supports("zoom", "1");
  return { to, by, viewBox, place, keys: { "+": () => by(1.25), "=": () => by(1.25), "-": () => by(1 / 1.25), 0: () => to(1) } };
})();
// What of the picture is in view, in its own units: left, top, width, height; and what was in view at the beginning.
const { viewBox } = magnify;
const home = viewBox();
