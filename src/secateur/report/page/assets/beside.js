// Two or three points side by side: what each has measured, what it gains, and what exports it.

const MOST = 3;

/** The digests that are kept side by side, and behind them the one that is looked at. */
function columnsBeside() {
  const kept = state.beside.filter((digest) => derived.levelOf.has(digest));
  const { selected } = derived;
  if (kept.length < MOST && selected && !kept.includes(selected)) return [...kept, selected];
  return kept;
}

function drawBeside() {
  const kept = columnsBeside();
  const box = find("beside");
  box.hidden = !state.beside.length;
  if (box.hidden) return;
  const points = kept.map(pointOf);
  find("beside-hint").textContent =
    points.length < 2
      ? "Choose another point of the chart or the table: it comes beside this one."
      : "";
  find("beside-table").replaceChildren(
    make("thead", {}, make("tr", {}, make("td", {}), ...points.map(besideHead))),
    make("tbody", {}, ...rowsBeside(points).map(besideRow)),
  );
}

function besideHead(point) {
  const level = derived.levelOf.get(point.digest);
  const kept = state.beside.includes(point.digest);
  const words = kept ? "Remove" : "Keep";
  const button = make(
    "button",
    { type: "button", class: "quiet", "aria-label": `${words} ${point.name}` },
    words,
  );
  button.addEventListener("click", () => {
    keepBeside(point.digest);
    find("beside").focus();
  });
  return make(
    "th",
    { scope: "col" },
    make(
      "span",
      { class: "beside-name" },
      swatch(derived.styles[point.method]),
      fully(level, state.values),
    ),
    make("small", {}, `seed ${point.seed}`),
    button,
  );
}

/** Keep a point beside the others, or take it away again. */
function keepBeside(digest) {
  const { beside } = state;
  const without = beside.filter((one) => one !== digest);
  const full = beside.length >= MOST;
  if (without.length === beside.length && full) {
    announce(`${MOST} points are kept side by side already.`);
    return;
  }
  change({ beside: without.length < beside.length ? without : [...beside, digest] });
}

/** What is told of each: what its level gains, then every number that one of them has. */
function rowsBeside(points) {
  const levels = points.map((point) => derived.levelOf.get(point.digest));
  const gained = levels.map(gains);
  const words = ["Size", "Time", "Score"].map((head, i) => ({
    head: `${head}, against the dense net`,
    texts: gained.map((found) => found[i]?.head ?? "–"),
  }));
  const numbers = state.values.axes.map((axis) => ({
    head: titled(labelOf(axis)),
    values: points.map((point) => numberOn(point, axis.name)),
    said: (value) => said(axis, value),
    factors: axis.unit !== "share",
    // Nothing is the best on test data: they choose nothing.
    higher: axis.chooses ? axis.higher : null,
  }));
  const there = numbers.filter((row) => row.values.some((value) => value !== null));
  return [...(gained.some((found) => found.length) ? words : []), ...there];
}

function besideRow(row) {
  const cells = row.texts
    ? row.texts.map((text) => make("td", {}, text))
    : row.values.map((value, i) => besideCell(row, value, i));
  return make("tr", {}, make("th", { scope: "row" }, row.head), ...cells);
}

function besideCell(row, value, i) {
  if (value === null) return make("td", {}, "–");
  const there = row.values.filter((one) => one !== null);
  const best = row.higher === null ? null : row.higher ? d3.max(there) : d3.min(there);
  const wins = value === best && new Set(there).size > 1;
  const [first] = row.values;
  const differs = i > 0 && row.factors && first && row.said(value) !== row.said(first);
  return make(
    "td",
    { class: wins ? "best" : null },
    row.said(value),
    wins ? make("span", { class: "unseen" }, ", the best") : null,
    differs ? make("small", {}, ratioWords(value / first)) : null,
  );
}

/** Against the first of those side by side. */
const ratioWords = (ratio) => `× ${Number(ratio.toPrecision(3))}`;
