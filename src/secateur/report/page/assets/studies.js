// Several studies in one page: which there are, what each one's pick gains, and which one is shown.

/** The values of each study, in the order in which they were given, and what is said of it. */
const studies = [];

/** Take what the file carries: one study, or several; the first is shown. */
function takeStudies(carried) {
  for (const values of carried.studies ?? [carried]) {
    openStudy(values);
    derive();
    studies.push({ values, ...summary(values, derived.pick) });
  }
  openStudy(studies[0].values);
}

/** Take the rest of what the file carries: nothing of it is in the first picture. */
function completeStudies(carried) {
  for (const [i, { points = [], ...more }] of (carried.studies ?? [carried]).entries()) {
    const { values } = studies[i];
    Object.assign(values, more);
    for (const [place, point] of points.entries()) Object.assign(values.points[place], point);
  }
}

/** A study as its page opens. */
function openStudy(values) {
  Object.assign(state, opening(), { values: null });
  take(values);
}

/** What a row says of a study, at the floor and on the axis that it opens with. */
function summary({ study, points }, pick) {
  const chosen = pick?.level ?? null;
  const dense = chosen && denseOf(chosen);
  return {
    name: study.name,
    folder: study.folder,
    cells: [
      [study.model, study.data].filter(Boolean).join(" on ") || "–",
      exact(points.length),
      dense ? withBand(quality(), dense) : "–",
      chosen ? fully(chosen, state.values) : "–",
      ...[0, 1, 2].map((place) => (chosen && gains(chosen)[place]?.head) ?? "–"),
    ],
  };
}

/** What tells a study from the others: its name, and its folder where two have one name. */
function labelOfStudy({ name, folder }) {
  const alike = studies.filter((one) => one.name === name).length > 1;
  return alike ? `${name} (${folder})` : name;
}

const studyShown = () => studies.find((one) => one.values === state.values);

/** Show a study; the axes stay where it has them. */
function showStudy(wanted) {
  const { x, y, others } = state;
  openStudy(wanted.values);
  state.others = others;
  if (wanted.values.axes.some((axis) => axis.name === x)) state.x = x;
  if (derived.axes[y]?.score) state.y = y;
  rows.clear();
}

function drawStudies() {
  find("studies").hidden = find("others-label").hidden = studies.length < 2;
  find("others").checked = state.others;
  if (studies.length < 2) return;
  const heads = [
    "Study",
    "Of",
    "Points",
    titled(quality().label),
    "The pick",
    "Size",
    "Time",
    "Score",
  ];
  find("studies-table").replaceChildren(
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...studies.map(studyRow)),
  );
}

function studyRow(one) {
  const shown = one === studyShown();
  const button = make("button", { type: "button", "aria-pressed": shown }, labelOfStudy(one));
  button.addEventListener("click", () => {
    showStudy(one);
    refresh();
    find("studies-table").querySelectorAll("button")[studies.indexOf(one)].focus();
    announce(`${labelOfStudy(one)} is shown.`);
  });
  return make(
    "tr",
    { class: shown ? "chosen" : null },
    make("th", { scope: "row" }, button),
    ...one.cells.map((cell) => make("td", {}, cell)),
  );
}

const OTHER_DASHES = ["8 4", "2 3", "8 3 2 3"];

/** The other studies that are scored alike, each with its frontier on the axes of the chart. */
function otherFrontiers() {
  if (!state.others) return [];
  const alike = studies.filter(
    ({ values }) => values !== state.values && values.quality.val === state.values.quality.val,
  );
  return alike
    .map((one, i) => ({
      label: labelOfStudy(one),
      dash: OTHER_DASHES[i % OTHER_DASHES.length],
      levels: (one.values.choices[state.x]?.frontier ?? [])
        .map((place) => one.values.levels[place])
        .filter((level) => level.mean[state.y] !== undefined)
        .sort((a, b) => xOf(a) - xOf(b)),
    }))
    .filter(({ levels }) => levels.length);
}

const otherMarks = () =>
  otherFrontiers().map(({ levels, dash }) =>
    Plot.line(levels, {
      x: xOf,
      y: yOf,
      stroke: "var(--muted)",
      strokeWidth: 1.6,
      strokeDasharray: dash,
      clip: true,
    }),
  );

/** Which line is of which study. */
function otherWords() {
  const said = { "8 4": "dashed", "2 3": "dotted", "8 3 2 3": "dashed and dotted" };
  return otherFrontiers().map(
    ({ label, dash }) => `Grey and ${said[dash]}: the frontier of ${label}.`,
  );
}
