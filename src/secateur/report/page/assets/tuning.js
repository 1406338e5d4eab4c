// A search: its best trial, what it consumed, and every trial with what it tried.

function drawTuning() {
  const { tuning } = state.values;
  find("tuning").hidden = !tuning;
  if (!tuning) return;
  find("tuning-words").textContent = tuning.words;
  const best = tuning.trials[tuning.best];
  find("tuning-body").replaceChildren(
    ...[
      best ? card("Best trial", pairs(trialRows(tuning, best)), "four") : null,
      best ? card("Trials in their order", trialChart(tuning), "eight") : null,
      card("Every trial", trialTable(tuning), "twelve"),
      card("Audit", pairs(auditRows(tuning)), "four"),
      card("What was tried", pairs(tuning.space), "eight"),
    ].filter(Boolean),
  );
}

const valued = (tuning, value) => {
  if (value === null) return "–";
  return tuning.unit === "share" ? share(value) : withUnit(tuning, plain(value));
};

function trialRows(tuning, trial) {
  const settings = tuning.space.map(([name]) => [name, trial.said[name] ?? "–"]);
  return [
    ["Trial", String(trial.number)],
    [titled(tuning.label), valued(tuning, trial.value)],
    ...settings,
    ["Epochs", exact(trial.epochs)],
  ];
}

function auditRows(tuning) {
  const count = (wanted) => tuning.trials.filter(wanted).length;
  const again = d3.sum(tuning.trials, (trial) => trial.begun - 1);
  return [
    [
      "Trials done",
      [exact(count((trial) => trial.state === "done")), `of ${tuning.wanted} asked for`],
    ],
    ["Failed", exact(count((trial) => trial.state === "failed"))],
    tuning.pruner === "none"
      ? null
      : ["Ended early", [exact(count((trial) => trial.state === "pruned")), tuning.pruner]],
    ["Interrupted", again ? `${exact(again)}, and begun again` : "0"],
    ["Epochs in all", [exact(tuning.epochs), "of runs that were killed, too"]],
    tuning.before ? ["Epochs of an earlier search", exact(tuning.before)] : null,
    ["Time of the runs, added up", duration(tuning.seconds)],
  ].filter(Boolean);
}

function trialChart(tuning) {
  const done = tuning.trials.filter((trial) => trial.state === "done");
  const better = tuning.higher ? Math.max : Math.min;
  let so = done[0].value;
  const best = done.map((trial) => {
    so = better(so, trial.value);
    return { number: trial.number, value: so };
  });
  const plot = plotted({
    className: "chart",
    width: 620,
    height: 220,
    marginLeft: 52,
    marginBottom: 36,
    style: { fontSize: "11px", background: "none", overflow: "visible" },
    x: {
      label: "trial",
      labelAnchor: "center",
      labelArrow: "none",
      domain: [-0.5, Math.max(tuning.trials.length, 2) - 0.5],
      ticks: 8,
      tickFormat: (value) => (Number.isInteger(value) ? String(value) : ""),
    },
    y: { label: tuning.label, labelArrow: "none", ticks: 5, nice: true, tickFormat: tick },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      Plot.line(best, { x: "number", y: "value", curve: "step-after", stroke: "var(--accent)" }),
      Plot.dot(done, { x: "number", y: "value", r: 3.4, fill: "var(--faint)" }),
      Plot.dot(
        done.filter((trial) => trial.own),
        {
          x: "number",
          y: "value",
          r: 6.5,
          stroke: "var(--ink)",
          strokeWidth: 1,
        },
      ),
      Plot.dot([tuning.trials[tuning.best]], {
        x: "number",
        y: "value",
        r: 4.6,
        fill: "var(--accent)",
      }),
    ],
  });
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `${tuning.label} by trial, and the best so far; see the table`);
  const own = done.some((trial) => trial.own);
  const words = `Line: the best so far.${own ? " Ring: the study's own settings." : ""}`;
  return make("figure", { class: "bare" }, plot, make("figcaption", { class: "muted" }, words));
}

function trialTable(tuning) {
  const names = tuning.space.map(([name]) => name);
  const heads = ["trial", tuning.label, ...names, "epochs", "time", ""];
  return make(
    "div",
    { class: "scroll", role: "region", "aria-label": "Every trial", tabindex: 0 },
    make(
      "table",
      { class: "trials" },
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...tuning.trials.map((trial) => trialRow(tuning, names, trial))),
    ),
  );
}

function trialRow(tuning, names, trial) {
  const cells = [
    valued(tuning, trial.value),
    ...names.map((name) => trial.said[name] ?? "–"),
    exact(trial.epochs),
    duration(trial.seconds),
    trial.notes.join(", "),
  ];
  return make(
    "tr",
    { class: trial.number === tuning.best ? "best" : null },
    make("th", { scope: "row" }, String(trial.number)),
    ...cells.map((cell) => make("td", {}, cell)),
  );
}
