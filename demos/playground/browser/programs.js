"use strict";
// The recorded programs, as the page holds them: what many have in common stands once (demos/playground/packing.py).
const programs = (() => {
  const { shared, programs: known } = JSON.parse(document.getElementById("programs").textContent);
  const from = (places) => places.map((place) => shared[place]);

  function whole(short) { // as Program.to_json wrote it
    const steps = short.steps.map(([place, ...args]) => {
      const [name, params, shape, dtype] = shared[place];
      return [name, args, params, shape, dtype, [], null];
    });
    return { ...short, inputs: from(short.inputs), states: from(short.states), constants: from(short.constants), steps };
  }
  // The training step and the answers of a network; with states of their own, which have no values yet.
  return (depth, activation, arm) => known[`${depth} ${activation} ${arm}`].map((short) => interpreter.read(whole(short)));
})();
