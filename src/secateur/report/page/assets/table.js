// Every point in a table that can be sorted by each column, and as CSV with every integer.

const ratio = (held) => (held[1] ? held[0] / held[1] : 0);
/** On the engine that is fastest, as everywhere in secateur; null if it was not measured. */
const latencyAt = (point, batch) =>
  d3.min(
    point.latency.filter((one) => one[0] === batch),
    (one) => one[2],
  ) ?? null;
const spentBy = (point) => d3.sum(point.epochs);
const onFrontier = (point) => derived.frontier.has(derived.levelOf.get(point.digest));

const asColumn = ([head, value, text]) => ({ head, value, text });

/** Head, the value that sorts, and the text of a cell: what comes before a study's scores. */
const FIRST = [
  ["method", (p) => p.method, (p) => p.method],
  ["level", (p) => levelNumber(p), (p) => p.level],
  ["seed", (p) => p.seed, (p) => String(p.seed)],
  [
    "frontier",
    (p) => (p.collapsed ? -1 : onFrontier(p) ? 1 : 0),
    (p) => (p.collapsed ? "collapsed" : onFrontier(p) ? "yes" : ""),
  ],
].map(asColumn);

/** What comes behind them. */
const REST = [
  ["sparsity", (p) => ratio(p.sparsity), (p) => share(ratio(p.sparsity))],
  ["conv sparsity", (p) => ratio(p.conv_sparsity), (p) => share(ratio(p.conv_sparsity))],
  ["zero parameters", (p) => ratio(p.model_sparsity), (p) => share(ratio(p.model_sparsity))],
  ["non-zero", (p) => p.nonzero, (p) => short(p.nonzero)],
  ["compact", (p) => p.compact_parameters, (p) => short(p.compact_parameters)],
  ["MACs", (p) => p.macs, (p) => short(p.macs)],
  ["non-zero MACs", (p) => p.nonzero_macs, (p) => short(p.nonzero_macs)],
  [
    "bytes",
    (p) => p.artifact_bytes,
    (p) => (p.artifact_bytes === null ? "–" : short(p.artifact_bytes)),
  ],
  ["ms, batch 1", (p) => latencyAt(p, 1), (p) => timeText(latencyAt(p, 1))],
  ["ms, batch 64", (p) => latencyAt(p, 64), (p) => timeText(latencyAt(p, 64))],
  ["epochs", spentBy, (p) => `${p.given ? "given, " : ""}${p.epochs.join("+")}=${spentBy(p)}`],
  ["seconds", (p) => p.seconds, (p) => String(p.seconds)],
].map(asColumn);

/** The columns of a study: each of its scores and of its own metrics is one. */
function columns() {
  const scores = state.values.axes.filter((axis) => axis.score);
  const own = state.values.axes.filter((axis) => axis.own);
  return [...FIRST, ...scores.map(scoreColumn), ...REST, ...own.map(ownColumn)];
}

function ownColumn(axis) {
  const value = (point) => point.metrics[axis.name] ?? null;
  return measuredColumn(axis, axis.label, value);
}

function scoreColumn(axis) {
  const head = axis.label.replace(/^validation /, "val ");
  const value = (point) => point.scores[axis.name]?.[0] ?? null;
  return measuredColumn(axis, head, value);
}

function measuredColumn(axis, head, value) {
  return { head, value, text: (point) => (value(point) === null ? "–" : said(axis, value(point))) };
}

const AT_ONCE = 150; // Rows a turn, and at first.

const levelNumber = (point) => (point.level === "-" ? -1 : d3.mean(point.level.split("/"), Number));
const timeText = (seconds) => (seconds === null ? "–" : (1e3 * seconds).toPrecision(3));

const rows = new Map(); // By digest; kept while the data are the same.
let filling = 0;

function drawTable() {
  const head = find("table").tHead;
  const heads = JSON.stringify(columns().map((column) => column.head));
  if (head.dataset.heads !== heads) {
    head.dataset.heads = heads;
    head.replaceChildren(headRow());
  }
  for (const [i, cell] of [...head.rows[0].cells].entries()) {
    const sorted = state.sort.column === i ? (state.sort.up ? "ascending" : "descending") : "none";
    cell.setAttribute("aria-sort", sorted);
  }
  const points = ordered();
  const some = points.slice(0, state.rows);
  drawFilter(points.length, some.length);
  drawMore(points.length, some.length);
  filling += 1;
  fillBody(some, 0, filling);
}

/** Of thousands of rows the first are made: what is sought is found by the filter. */
function drawMore(all, now) {
  find("more").hidden = now === all;
  find("more-some").textContent = `Show ${exact(Math.min(AT_ONCE, all - now))} more`;
  find("more-all").textContent = `Show all ${exact(all)}`;
}

function listenToTable() {
  find("csv").addEventListener("click", downloadCsv);
  for (const [id, wanted] of [
    ["more-some", () => state.rows + AT_ONCE],
    ["more-all", () => Infinity],
  ]) {
    find(id).addEventListener("click", () => {
      const next = find("table").tBodies[0].rows.length;
      state.rows = wanted();
      drawTable();
      // Behind the turns in which the rows are made.
      setTimeout(() => find("table").tBodies[0].rows[next]?.querySelector("button").focus(), 0);
    });
  }
}

function headRow() {
  const cells = columns().map((column, i) => {
    const button = make("button", { type: "button" }, column.head);
    button.addEventListener("click", () => {
      const up = state.sort.column === i ? !state.sort.up : true;
      state.sort = { column: i, up };
      drawTable();
      keepView();
      announce(`Sorted by ${column.head}, ${up ? "ascending" : "descending"}.`);
    });
    return make("th", { scope: "col" }, button);
  });
  return make("tr", {}, ...cells);
}

function ordered() {
  const { column, up } = state.sort;
  const points = filtered();
  if (column === null) return points;
  const { value } = columns()[column];
  const sign = up ? 1 : -1;
  // What was not measured comes last, whichever way.
  return points.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    return sign * (one < other ? -1 : one > other ? 1 : 0);
  });
}

function fillBody(points, from, turn) {
  if (turn !== filling) return; // Another order was asked for meanwhile.
  const body = find("table").tBodies[0];
  const some = points.slice(from, from + AT_ONCE).map(rowOf);
  some.forEach((row, i) => {
    const there = body.rows[from + i];
    if (there !== row) body.insertBefore(row, there ?? null);
  });
  if (from + AT_ONCE < points.length) setTimeout(fillBody, 0, points, from + AT_ONCE, turn);
  else while (body.rows.length > points.length) body.lastElementChild.remove();
}

function rowOf(point) {
  const row = rows.get(point.digest) ?? newRow(point);
  const text = onFrontier(point) ? "yes" : "";
  if (row.cells[3].textContent !== text) row.cells[3].textContent = text;
  row.classList.toggle("best", text !== "");
  row.classList.toggle("chosen", point.digest === derived.selected);
  row.querySelector("button").setAttribute("aria-pressed", point.digest === derived.selected);
  return row;
}

function newRow(point) {
  const button = make(
    "button",
    { type: "button", "aria-label": `Show ${point.name}` },
    point.method,
  );
  const head = make("th", { scope: "row" }, button);
  head.style.setProperty("--c", colourOf(point.method));
  const cells = columns()
    .slice(1)
    .map((column) => make("td", {}, column.text(point)));
  const row = make("tr", { "data-digest": point.digest }, head, ...cells);
  row.addEventListener("click", () => {
    change({ selected: point.digest });
    announce(`${point.name}: details above the table.`);
  });
  rows.set(point.digest, row);
  return row;
}

function downloadCsv() {
  const blob = new Blob([state.values.csv], { type: "text/csv;charset=utf-8" });
  const name = state.values.study.name.replace(/[^\w.-]+/g, "-").replace(/^[-.]+/, "") || "study";
  const link = make("a", { href: URL.createObjectURL(blob), download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
