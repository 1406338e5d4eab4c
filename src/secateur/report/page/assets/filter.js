// The table filtered: words that a row must have, and bounds on its numbers.

const LONGEST = 500; // Letters of a filter.
const BOUND = /^([a-z_][\w-]*)(<=|>=|<|>|=)(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kMG]?)$/i;
const FACTORS = { "": 1, k: 1e3, M: 1e6, G: 1e9 };
const COMPARED = {
  "<": (one, other) => one < other,
  "<=": (one, other) => one <= other,
  ">": (one, other) => one > other,
  ">=": (one, other) => one >= other,
  "=": (one, other) => one === other,
};

/** What a point has on an axis, as the command line names it, or of its seed; null if nothing. */
function numberOn(point, name) {
  if (name === "seed") return point.seed;
  if (name === "bytes") return point.artifact_bytes;
  if (name === "latency") return latencyAt(point, 1);
  if (name === "latency_64") return latencyAt(point, 64);
  if (name === "epochs") return spentBy(point);
  if (Object.hasOwn(point.scores, name)) return point.scores[name][0];
  if (Object.hasOwn(point.metrics, name)) return point.metrics[name];
  const held = Object.hasOwn(point, name) ? point[name] : null;
  if (Array.isArray(held)) return ratio(held);
  return typeof held === "number" ? held : null;
}

/** What a filter asks of a point, and the words of it that ask for nothing that there is. */
function filterOf(text) {
  const asked = [];
  const unknown = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const found = BOUND.exec(word);
    if (!found) {
      const sought = word.toLowerCase();
      asked.push((point) => namedLike(point).includes(sought));
      continue;
    }
    const [, name, sign, number, unit] = found;
    if (name !== "seed" && !derived.axes[name]) unknown.push(name);
    const bound = Number(number) * FACTORS[unit];
    asked.push((point) => {
      const value = numberOn(point, name);
      return value !== null && COMPARED[sign](value, bound);
    });
  }
  return { fits: (point) => asked.every((fits) => fits(point)), unknown };
}

const namedLike = (point) =>
  [
    point.name,
    onFrontier(point) && "frontier",
    point.collapsed && "collapsed",
    isControl(point) && "control",
  ]
    .filter(Boolean)
    .join(" ")
    .toLowerCase();

/** The points that the table shows: of the methods drawn, if so wished, and as the filter has it. */
function filtered() {
  const { fits } = filterOf(state.filter);
  return state.values.points.filter(
    (point) => fits(point) && !(state.drawnOnly && state.hidden.has(point.method)),
  );
}

function drawFilter(shown, made) {
  const { unknown } = filterOf(state.filter);
  const input = find("filter");
  if (document.activeElement !== input) input.value = state.filter;
  input.setAttribute("aria-invalid", unknown.length > 0);
  find("filter-drawn").checked = state.drawnOnly;
  const all = state.values.points.length;
  const counts =
    shown === all ? `${counted(all, "point")}.` : `${exact(shown)} of ${counted(all, "point")}.`;
  const names = ["seed", ...state.values.axes.map((axis) => axis.name)];
  find("filter-said").textContent = unknown.length
    ? `No number is called ${unknown.join(", ")}. There are: ${names.join(", ")}.`
    : `${counts}${made < shown ? ` The first ${exact(made)} are listed.` : ""}`;
}

function listenToFilter() {
  find("filter").addEventListener("input", (event) => {
    state.filter = event.target.value.slice(0, LONGEST);
    state.rows = AT_ONCE;
    drawTable();
    keepView();
  });
  find("filter-drawn").addEventListener("change", (event) => {
    state.drawnOnly = event.target.checked;
    drawTable();
    keepView();
  });
}
