// What the user has chosen, and what follows from it. Data may be replaced; the choices stay.

const state = {
  values: null,
  x: "sparsity",
  y: null, // The score that chooses, until another is chosen.
  log: {}, // By axis: what the user wants; else the values decide.
  zoom: true, // Whether levels far below all the others are left out of the frame.
  apart: false, // Whether each method has a small chart of its own.
  hidden: new Set(),
  floor: null, // Text as it was written; null until there is a level to take it from.
  selected: null, // The digest of a point.
  focused: null, // The key of the level that Tab reaches.
  sort: { column: null, up: true },
};

/** What every part of the page reads: made once for each change. */
const derived = { axes: {}, styles: {}, frontier: new Set(), pick: null, levelOf: new Map() };

const keyOf = (level) => `${level.method}/${level.step}`;

const MANY = 8; // Methods: beyond them the lines hide each other.

/** Of many methods the best of each kind, their controls, and the dense net. */
function foremost(values) {
  const names = values.methods.map((method) => method.name);
  const { rankings } = values;
  if (names.length <= MANY || !rankings.length) return new Set(names);
  const each = Math.max(1, Math.floor((MANY - 2) / rankings.length));
  const best = rankings.flatMap(({ ranks }) => [
    ...ranks.filter((rank) => !rank.control).slice(0, each),
    ...ranks.filter((rank) => rank.control).slice(0, 1),
  ]);
  return new Set(["dense", ...best.map((rank) => rank.method)]);
}

function showOnly(wanted) {
  const names = state.values.methods.map((method) => method.name);
  state.hidden = new Set(names.filter((name) => !wanted.has(name)));
}

function take(values) {
  const first = state.values === null;
  state.values = values;
  if (first) showOnly(foremost(values));
  derived.axes = Object.fromEntries(values.axes.map((axis) => [axis.name, axis]));
  derived.styles = Object.fromEntries(values.methods.map((method) => [method.name, method]));
  derived.levelOf = new Map();
  for (const level of values.levels) {
    for (const place of level.points) derived.levelOf.set(values.points[place].digest, level);
  }
  if (!derived.axes[state.y]) state.y = values.quality.val;
  state.floor ??= values.floor;
}

function derive() {
  const { levels, choices } = state.values;
  const { frontier, picks } = choices[state.x];
  derived.frontier = new Set(frontier.map((place) => levels[place]));
  const floor = state.floor === null ? null : decimal(state.floor);
  derived.pick = floor && pickAt(picks, floor, quality().higher);
  const known = derived.levelOf.has(state.selected);
  if (!known && derived.pick) {
    state.selected = state.values.points[derived.pick.level.points[0]].digest;
  }
}

/** The axis of the score that chooses, and of the one beside it on test data. */
const quality = (split = "val") => derived.axes[state.values.quality[split]];

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
