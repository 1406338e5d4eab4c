// What the user has chosen, and what follows from it. Data may be replaced; the choices stay.

const state = {
  values: null,
  x: "sparsity",
  y: "val_accuracy",
  log: {}, // By axis: what the user wants; else the values decide.
  zoom: true, // Whether levels far below all the others are left out of the frame.
  hidden: new Set(),
  floor: null, // Text as it was written; null until there is a level to take it from.
  selected: null, // The digest of a point.
  focused: null, // The key of the level that Tab reaches.
  sort: { column: null, up: true },
};

/** What every part of the page reads: made once for each change. */
const derived = { axes: {}, styles: {}, frontier: new Set(), pick: null, levelOf: new Map() };

const keyOf = (level) => `${level.method}/${level.step}`;

function take(values) {
  state.values = values;
  derived.axes = Object.fromEntries(values.axes.map((axis) => [axis.name, axis]));
  derived.styles = Object.fromEntries(values.methods.map((method) => [method.name, method]));
  derived.levelOf = new Map();
  for (const level of values.levels) {
    for (const place of level.points) derived.levelOf.set(values.points[place].digest, level);
  }
  state.floor ??= usualFloor(values);
}

/** Two points below the dense net, as `--within 0.02` has it, rounded down to the slider's step. */
function usualFloor(values) {
  const competing = values.levels.filter((level) => level.competes);
  if (!competing.length) return null;
  const dense = competing.filter((level) => level.method === "dense");
  const best = Math.max(...(dense.length ? dense : competing).map((l) => l.mean.val_accuracy));
  return Math.max(0, Math.floor((best - 0.02) * 1000) / 1000).toFixed(3);
}

function derive() {
  const { levels } = state.values;
  derived.frontier = frontierOf(levels, state.x);
  const floor = state.floor === null ? null : decimal(state.floor);
  derived.pick = floor && pickOf(levels, state.x, floor);
  const known = derived.levelOf.has(state.selected);
  if (!known && derived.pick) {
    state.selected = state.values.points[derived.pick.level.points[0]].digest;
  }
}

const pointOf = (digest) => state.values.points.find((point) => point.digest === digest);
const isControl = (level) => Boolean(derived.styles[level.method]?.control);
const colourOf = (method) => derived.styles[method]?.colour || "currentColor";

/** The levels that the chart can show now. */
function shown() {
  return state.values.levels.filter(
    (level) =>
      !state.hidden.has(level.method) &&
      level.mean[state.x] !== undefined &&
      level.mean[state.y] !== undefined,
  );
}
