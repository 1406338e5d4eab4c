// What the user has chosen, and what follows from it. Data may be replaced; the choices stay.

const opening = () => ({
  x: null, // The axis on which the study opens, until another is chosen.
  y: null, // The score that chooses, until another is chosen.
  log: {}, // By axis: what the user wants; else the values decide.
  zoom: true, // Whether levels far below all the others are left out of the frame.
  others: false, // Whether the frontiers of other studies in the page are drawn, too.
  apart: false, // Whether each method has a small chart of its own.
  hidden: new Set(),
  floor: null, // Text as it was written; null until there is a level to take it from.
  selected: null, // The digest of a point; until one is chosen it is the pick's.
  focused: null, // The key of the level that Tab reaches.
  beside: [], // The digests of the points that are kept side by side.
  sort: { column: null, up: true },
  filter: "", // What the rows of the table must have.
  drawnOnly: false, // Whether the table, too, has the methods alone that are drawn.
  rows: 150, // As many of the table are made.
});

const state = { values: null, ...opening() };

/** What every part of the page reads: made once for each change. */
const derived = {
  axes: {},
  styles: {},
  frontier: new Set(),
  pick: null,
  selected: null,
  levelOf: new Map(),
};

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

/** Things by their names, and by no other word: an address may say `constructor`. */
const byName = (things) =>
  Object.setPrototypeOf(Object.fromEntries(things.map((one) => [one.name, one])), null);

function take(values) {
  const first = state.values === null;
  const unseen = first || state.values.levels.length ? null : state.values; // no level so far
  state.values = values;
  if (first) showOnly(foremost(values));
  derived.axes = byName(values.axes);
  derived.styles = byName(values.methods);
  derived.levelOf = new Map();
  for (const level of values.levels) {
    for (const place of level.points) derived.levelOf.set(values.points[place].digest, level);
  }
  if (!derived.axes[state.x] || (unseen && state.x === unseen.opening)) state.x = values.opening;
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
  derived.selected = known ? state.selected : derived.pick && shipped(derived.pick.level);
}

/** The axis of the score that chooses, and of the one beside it on test data. */
const quality = (split = "val") => derived.axes[state.values.quality[split]];

/** The digest of the seed that is shipped of a level. */
const shipped = (level) => state.values.points[level.ships].digest;

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
