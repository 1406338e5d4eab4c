// One point: what was measured, its layers, its budget, its curves, its files.

function drawDetails() {
  const point = pointOf(derived.selected);
  const box = find("details-body");
  if (!point) {
    box.replaceChildren(make("p", { class: "muted" }, "Choose a point of the chart or the table."));
    return;
  }
  const level = derived.levelOf.get(point.digest);
  box.replaceChildren(
    ...[
      pointHead(point, level),
      make(
        "div",
        { class: "cards" },
        card("Measured", measured(point), "five"),
        card("Layers", layers(point), "seven"),
        card("Budget, as audited", budget(point), "four"),
        card("Training", curves(point), "eight"),
        card("Files", filesOf(point), "twelve"),
      ),
    ].filter(Boolean),
  );
}

const card = (head, body, width = "") =>
  make("section", { class: `card ${width}` }, make("h3", {}, head), body);

function pointHead(point, level) {
  const badges = [
    derived.frontier.has(level) && "on the frontier",
    derived.pick?.level === level && "the pick",
    isControl(level) && "control",
    level.collapsed && "collapsed",
  ].filter(Boolean);
  const head = make(
    "p",
    { class: "point-head" },
    swatch(derived.styles[point.method]),
    make("strong", { id: "details-name" }, `${fully(level, state.values)}, seed ${point.seed}`),
    ...badges.map((badge) => make("span", { class: "badge" }, badge)),
    keepButton(point),
  );
  if (level.points.length < 2) return head;
  const seeds = level.points.map((place) => {
    const one = state.values.points[place];
    const chosen = one === point;
    const button = make(
      "button",
      { type: "button", class: "quiet", "aria-pressed": chosen, "data-seed": one.seed },
      `seed ${one.seed}`,
    );
    button.addEventListener("click", () => {
      change({ selected: one.digest });
      document.querySelector(`.seeds [data-seed="${one.seed}"]`)?.focus();
    });
    return button;
  });
  return make("div", {}, head, make("div", { class: "seeds", role: "group" }, ...seeds));
}

/** Keeps the point beside others, or takes it away again. */
function keepButton(point) {
  const kept = state.beside.includes(point.digest);
  const button = make(
    "button",
    { type: "button", class: "quiet", id: "keep", "aria-pressed": kept },
    kept ? "Kept side by side" : "Keep side by side",
  );
  button.addEventListener("click", () => {
    keepBeside(point.digest);
    find("keep").focus();
  });
  return button;
}

/** Each share with the integers that it is made of. */
function measured(point) {
  const part = (held, word) =>
    held[1] ? [share(held[0] / held[1]), `${exact(held[0])} of ${exact(held[1])} ${word}`] : "–";
  const rows = [
    ...state.values.axes.filter((axis) => axis.score).map((axis) => scoreRow(axis, point)),
    ["Overall sparsity", part(point.sparsity, "zeros")],
    ["Sparsity of the convs", part(point.conv_sparsity, "zeros")],
    ["Zero parameters", part(point.model_sparsity, "zeros")],
    ["Non-zero parameters", [exact(point.nonzero), `of ${exact(point.parameters)}`]],
    ["Compact parameters", [exact(point.compact_parameters), "once channels are gone"]],
    ["MACs", [exact(point.macs), `of ${exact(point.masked_macs)} before removal`]],
    ["Non-zero MACs", exact(point.nonzero_macs)],
    ["Bytes on disk", point.artifact_bytes === null ? "not recorded" : exact(point.artifact_bytes)],
    ...point.latency.map(([batch, n, median, q1, q3, engine, threads]) => [
      `Latency, batch ${batch}`,
      [
        milliseconds(median),
        `${milliseconds(q1)} to ${milliseconds(q3)}, n = ${n}, ${engine}, ` +
          `${threads} thread${threads === 1 ? "" : "s"}`,
      ],
    ]),
  ];
  if (point.reached) {
    const { target, cost, limit, dense } = point.reached;
    const more = `${short(cost)} of at most ${short(limit)}, dense ${short(dense)}, when it was cut`;
    rows.push(["Target", [target, more]]);
  }
  for (const axis of state.values.axes.filter((one) => one.own)) {
    rows.push([titled(axis.label), said(axis, point.metrics[axis.name])]);
  }
  if (!point.latency.length) rows.push(["Latency", "not measured yet"]);
  if (point.floored.length) {
    rows.push(["Kept from being emptied", point.floored.join(", ")]);
  }
  return pairs(rows);
}

function scoreRow(axis, point) {
  const [value, right, total] = point.scores[axis.name] ?? [null];
  const more = total ? `${exact(right)} of ${exact(total)} right` : null;
  return [titled(axis.label), [said(axis, value), more]];
}

/** Names and values; a pair of texts is a value and what it is made of. */
function pairs(rows) {
  const cells = rows.flatMap(([head, text]) => {
    const [value, more] = Array.isArray(text) ? text : [text, null];
    return [make("dt", {}, head), make("dd", {}, value, more && make("small", {}, more))];
  });
  return make("dl", { class: "pairs" }, ...cells);
}

function layers(point) {
  const net = state.values.nets[point.net];
  if (!net.length) {
    return make("p", { class: "muted" }, "This store was written before layers were recorded.");
  }
  const rows = net.map((layer, i) => {
    const total = layer.shape.reduce((product, size) => product * size, 1);
    const zeros = point.zeros[i];
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, layer.name, make("small", {}, shapeOf(layer))),
      barCell(point.kept[i], layer.channels, `${exact(point.kept[i])} / ${exact(layer.channels)}`),
      barCell(zeros, total, `${(total ? (100 * zeros) / total : 0).toFixed(1)} %`, exact(zeros)),
    );
  });
  const heads = ["Layer", "Channels kept", "Zeros"].map((h) => make("th", { scope: "col" }, h));
  return make(
    "div",
    { class: "scroll" },
    make(
      "table",
      { class: "layers" },
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...rows),
    ),
  );
}

const shapeOf = (layer) => ` ${layer.kind} ${layer.shape.join(" × ")}`;

function barCell(part, total, words, title = null) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${total ? (100 * part) / total : 0}%`;
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, fill);
  return make("td", { title }, bar, make("span", { class: "number" }, words));
}

const GIVEN = "It started from weights that were given. Epochs spent on those are not known.";

function budget(point) {
  const [base, sparsity, retrain, statistics, teacher] = point.epochs;
  const parts = [
    ["Base", base, "base"],
    ["Sparsity training", sparsity, "sparsity"],
    ["Retraining", retrain, "retrain"],
    ...(statistics ? [["Passes for statistics", statistics, "statistics"]] : []),
    ...(teacher ? [["Teacher's passes", teacher, "teacher"]] : []),
  ];
  const sum = d3.sum(point.epochs);
  const strip = make("div", { class: "strip", "aria-hidden": "true" });
  for (const [, epochs, kind] of parts) {
    const piece = make("span", { class: kind });
    piece.style.flexGrow = String(epochs);
    if (epochs) strip.append(piece);
  }
  const rows = parts.map(([head, epochs, kind]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("span", { class: `key ${kind}` }), head),
      make("td", {}, exact(epochs)),
    ),
  );
  rows.push(
    make(
      "tr",
      { class: "sum" },
      make("th", { scope: "row" }, "Epochs"),
      make("td", {}, exact(sum)),
    ),
  );
  const time = make("p", { class: "muted" }, `This run alone took ${duration(point.seconds)}.`);
  const given = point.given ? [make("p", { class: "muted" }, GIVEN)] : [];
  return make("div", {}, strip, make("table", { class: "budget" }, ...rows), ...given, time);
}

/** The trainings that led to a point, the oldest first. */
function chainOf(point) {
  const { trainings } = state.values;
  const chain = [];
  const add = (name) => {
    const training = trainings[name];
    if (!training || chain.includes(training)) return;
    training.before.forEach(add);
    chain.push(training);
  };
  add(point.id);
  return chain;
}

function curves(point) {
  let epoch = 0;
  const seen = chainOf(point).flatMap((training, i, chain) =>
    training.val.map((val, at) => {
      epoch += 1;
      const own = i === chain.length - 1;
      return { epoch, val, loss: training.loss[at], title: training.title, own, run: i };
    }),
  );
  if (!seen.length) return make("p", { class: "muted" }, "This run trained no epoch.");
  const last = seen[seen.length - 1];
  const words =
    `${seen.length} epochs in ${d3.groups(seen, (e) => e.run).length} runs, this run's in colour. ` +
    `At its end: loss ${last.loss ?? "not finite"}, ` +
    `${quality().label} ${last.val === null ? "none" : said(quality(), last.val)}.`;
  return make(
    "div",
    {},
    make(
      "div",
      { class: "curves" },
      curve(seen, "val", titled(quality().label), point),
      curve(seen, "loss", "Training loss", point),
    ),
    make("p", { class: "muted" }, words),
  );
}

function curve(seen, name, label, point) {
  const colour = colourOf(point.method);
  const own = seen.filter((entry) => entry.own);
  const joined = seen.slice(Math.max(0, seen.length - own.length - 1));
  const starts = d3
    .groups(seen, (entry) => entry.run)
    .slice(1)
    .map(([, run]) => run[0].epoch);
  const plot = plotted({
    className: "chart",
    width: 330,
    height: 180,
    marginLeft: 44,
    marginBottom: 34,
    style: { fontSize: "11px", background: "none", overflow: "visible" },
    x: {
      label: "epochs so far",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: 5,
      tickFormat: (value) => (Number.isInteger(value) ? String(value) : ""),
    },
    y: { label, labelArrow: "none", ticks: 4, grid: false, nice: true, tickFormat: tick },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 4 }),
      Plot.line(seen, { x: "epoch", y: name, strokeWidth: 1.4, stroke: "var(--faint)" }),
      Plot.ruleX(starts, { x: (epoch) => epoch - 0.5, stroke: "var(--line)" }),
      Plot.line(joined, { x: "epoch", y: name, strokeWidth: 1.8, stroke: colour }),
      Plot.dot(own, { x: "epoch", y: name, r: 2.4, fill: colour }),
    ],
  });
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `${label} by epoch`);
  return plot;
}

function filesOf(point) {
  return make(
    "div",
    { class: "files" },
    make("p", {}, "Weights, with the masks in their metadata"),
    command(`${state.values.study.folder}/${point.checkpoint}`),
    make(
      "p",
      {},
      "Export the compact net (add --to onnx or pt2 for a file that needs no secateur)",
    ),
    command(point.export),
    make("p", {}, "Made by the run"),
    command(point.digest),
  );
}
