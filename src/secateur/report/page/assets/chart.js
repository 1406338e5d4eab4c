// The frontier as a chart: lines and bands by Plot, points of our own that can be reached by keys.

const xOf = (level) => level.mean[state.x];
const yOf = (level) => level.mean[state.y];
const low = (level) => yOf(level) - (level.band[state.y] ?? 0);
const high = (level) => yOf(level) + (level.band[state.y] ?? 0);

/** The levels of each method but the dense net, from left to right. */
function linesOf(levels) {
  const lines = d3.group(
    levels.filter((l) => l.method !== "dense"),
    (level) => level.method,
  );
  const way = derived.axes[state.x].higher ? 1 : -1;
  for (const line of lines.values())
    line.sort((a, b) => way * (xOf(a) - xOf(b)) || a.step - b.step);
  return lines;
}

/** The dense net as every method started from it, and after the most extra epochs. */
function denseEnds(levels) {
  const spent = (level) => d3.sum(state.values.points[level.points[0]].epochs);
  const dense = levels.filter((l) => l.method === "dense").sort((a, b) => spent(a) - spent(b));
  return dense.length < 2 ? dense : [dense[0], dense[dense.length - 1]];
}

/** Whether the axis is logarithmic: as the user wants it, else as the study's values have it. */
function isLog(levels) {
  if (derived.axes[state.x].higher || !(d3.min(levels, xOf) > 0)) return false;
  return state.log[state.x] ?? state.values.choices[state.x].log;
}

/** The score turned so that better is higher, and the ends of its band. */
const good = (level) => upwards() * yOf(level);
const goodLow = (level) => good(level) - (level.band[state.y] ?? 0);
const goodHigh = (level) => good(level) + (level.band[state.y] ?? 0);
const isShare = () => derived.axes[state.y].unit === "share";

/** Levels so far below all the others that these would look like one: left out, if there are any. */
function farBelow(levels) {
  const far = levels.filter((level) => level.far.includes(state.y));
  return far.length < levels.length ? far : [];
}

const leftOut = (levels) => new Set(state.zoom ? farBelow(levels) : []);

/**
 * Limits that hold every mean; the dense net's too, unless it lies far from all the others.
 * As in the figures, better is to the right.
 */
function frameOf(levels) {
  const log = isLog(levels);
  const scaled = (level) => (log ? Math.log(xOf(level)) : xOf(level));
  const others = levels.filter((level) => level.method !== "dense");
  let [least, most] = d3.extent(others.length ? others : levels, scaled);
  const wide = most - least || (log ? 0.1 : Math.abs(most) * 0.05) || 0.02;
  for (const level of levels) {
    if (scaled(level) > least - 0.3 * wide && scaled(level) < most + 0.3 * wide) {
      least = Math.min(least, scaled(level));
      most = Math.max(most, scaled(level));
    }
  }
  const ends = [least - 0.04 * wide, most + 0.04 * wide].map((end) => (log ? Math.exp(end) : end));
  const floor = !log && least >= 0 ? 0 : -Infinity;
  return { log, x: [Math.max(floor, ends[0]), ends[1]], y: heightsOf(levels) };
}

/** The limits of the vertical axis, the smaller first. */
function heightsOf(levels) {
  const highest = d3.max(levels, good);
  const without = leftOut(levels);
  const lowest = d3.min(levels, (level) => (without.has(level) ? NaN : good(level)));
  const room = Math.max(highest - lowest, isShare() ? 0.02 : 0.02 * Math.abs(highest)) || 1;
  // A zoom out for the widest bands would flatten the lines.
  const end = d3.min(levels, (level) => (good(level) < lowest ? lowest : goodLow(level)));
  const bottom = Math.max(end, lowest - room) - 0.06 * room;
  const top = Math.min(d3.max(levels, goodHigh), highest + room) + 0.06 * room;
  const [least, most] = d3.extent([upwards() * bottom, upwards() * top]);
  return isShare() ? [Math.max(0, least), Math.min(1, most)] : [least, most];
}

function drawChart() {
  const levels = shown();
  const held = document.activeElement?.closest?.(".dot") !== null;
  const box = find("chart");
  if (!levels.length) {
    const words = state.values.levels.length ? "Every method is hidden." : "No point yet.";
    box.replaceChildren(make("p", { class: "empty" }, words));
    return;
  }
  const width = Math.max(300, Math.floor(box.clientWidth || 720));
  const narrow = width < 560;
  const frame = frameOf(levels);
  const axis = derived.axes[state.x];
  if (state.apart) {
    box.replaceChildren(multiples(levels, frame, width));
    return;
  }
  const svg = plotted({
    className: "chart",
    width,
    height: narrow ? Math.round(width * 0.86) : Math.min(520, Math.round(width * 0.58)),
    marginLeft: 48,
    marginRight: narrow ? 14 : roomForNames(levels),
    marginBottom: 44,
    marginTop: 26,
    style: { fontSize: "12px", background: "none", overflow: "visible" },
    x: {
      type: frame.log ? "log" : "linear",
      domain: frame.x,
      reverse: !axis.higher,
      label: xLabel(axis, frame.log),
      labelAnchor: "center",
      labelArrow: "none",
      labelOffset: 40,
      tickSpacing: narrow ? 70 : 90,
      ticks: frame.log ? logTicks(frame.x, width / 80) : undefined,
      tickFormat: axis.unit === "share" ? undefined : (value) => said(axis, value),
    },
    y: {
      domain: frame.y,
      reverse: !derived.axes[state.y].higher,
      label: yLabel(),
      labelArrow: "none",
      tickSpacing: 50,
      tickFormat: isShare() ? undefined : tick,
    },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1 }),
      ...denseMarks(levels, frame),
      ...floorMarks(frame),
      ...otherMarks(),
      ...[...linesOf(levels).values()].flatMap((line) => lineMarks(line, frame)),
      narrow ? null : (_index, scales, _channels, size) => endNames(levels, scales, size),
      (_index, scales, _channels, size) => dots(levels, scales, size),
    ],
  });
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", `${yLabel()} against ${labelOf(axis)}; arrow keys move`);
  box.replaceChildren(svg);
  if (held) svg.querySelector('.dot[tabindex="0"]')?.focus({ preventScroll: true });
}

/** Round numbers on a logarithmic axis, as many as there is room for. */
function logTicks([least, most], room) {
  const decades = d3.range(Math.floor(Math.log10(least)), Math.ceil(Math.log10(most)) + 1);
  const choices = [[1, 2, 5], [1, 3], [1]].map((digits) =>
    decades
      .flatMap((power) => digits.map((digit) => digit * 10 ** power))
      .filter((tick) => tick >= least && tick <= most),
  );
  return choices.find((ticks) => ticks.length <= room) ?? choices[2];
}

function xLabel(axis, log) {
  const known = [
    axis.zeros && "share of zeros",
    log && "log scale",
    !axis.higher && "less is to the right",
  ].filter(Boolean);
  return titled(labelOf(axis)) + (known.length ? ` (${known.join(", ")})` : "");
}

function yLabel() {
  const axis = derived.axes[state.y];
  const totals = state.values.points.map((point) => point.scores[axis.name]?.[2]).filter(Boolean);
  const what = /^(val|test)_accuracy$/.test(axis.name) ? "examples" : "answers";
  const known = [
    totals.length && `${[...new Set(totals)].map(exact).join(" or ")} ${what}`,
    !isShare() && axis.unit,
    !axis.higher && "less is better, and up",
  ].filter(Boolean);
  return titled(labelOf(axis)) + (known.length ? ` (${known.join(", ")})` : "");
}

function lineMarks(line, frame) {
  const { colour, dash, control } = derived.styles[line[0].method];
  const marks = [];
  const banded = line.filter((level) => level.band[state.y] !== undefined);
  const scaled = frame.log ? Math.log : Number;
  const [least, most] = d3.extent(line, xOf).map(scaled);
  const flat = most - least < 0.02 * (scaled(frame.x[1]) - scaled(frame.x[0]));
  if (banded.length && !flat) {
    const y1 = (level) => (level.band[state.y] === undefined ? NaN : low(level));
    marks.push(
      Plot.areaY(line, { x: xOf, y1, y2: high, fill: colour, fillOpacity: 0.14, clip: true }),
    );
  } else if (banded.length) {
    // A line that stands upright has no width to shade.
    const style = { stroke: colour, strokeOpacity: 0.35, strokeWidth: 3, clip: true };
    marks.push(Plot.ruleX(banded, { x: xOf, y1: low, y2: high, ...style }));
  }
  const style = { stroke: colour, strokeWidth: control ? 1.2 : 1.8, strokeDasharray: dash };
  marks.push(Plot.line(line, { x: xOf, y: yOf, ...style, clip: true }));
  return marks;
}

function denseMarks(levels, frame) {
  return denseEnds(levels).flatMap((level, place) => {
    const band = { x1: frame.x[0], x2: frame.x[1], y1: low, y2: high };
    const style = { fill: "currentColor", fillOpacity: 0.07, clip: true };
    return [
      level.band[state.y] === undefined ? null : Plot.rect([level], { ...band, ...style }),
      Plot.ruleY([yOf(level)], {
        stroke: "currentColor",
        strokeOpacity: 0.75,
        strokeWidth: 1.1,
        strokeDasharray: place ? "7 4" : null,
      }),
    ];
  });
}

/** The floor: only where the vertical axis is what it is a floor of. */
function floorMarks(frame) {
  const floor = Number(state.floor);
  if (state.y !== quality().name || state.floor === null) return [];
  const [least, most] = frame.y;
  const within = Math.min(Math.max(floor, least), most);
  const [y1, y2] = quality().higher ? [least, within] : [within, most];
  if (y1 === y2) return [];
  const beyond = floor !== within;
  return [
    Plot.rect([0], { x1: frame.x[0], x2: frame.x[1], y1, y2, fill: "var(--shade)", clip: true }),
    beyond ? null : Plot.ruleY([floor], { stroke: "var(--muted)", strokeDasharray: "2 3" }),
    beyond
      ? null
      : Plot.text([floor], {
          y: Number,
          frameAnchor: "left", // Where the marks of few cuts are, high above any floor.
          dx: 6,
          dy: 10,
          text: () => `${quality().higher ? "floor" : "at most"} ${state.floor}`,
          fill: "var(--muted)",
        }),
  ];
}

function drawCaption() {
  const { values } = state;
  const counts = values.levels.map((level) => level.points.length);
  const [few, many] = d3.extent(counts);
  const seeds = few === many ? `${many}` : `${few} to ${many}`;
  const words = [
    many > 1 ? `Mean and 95 % band over ${seeds} seeds.` : "One seed: no band.",
    `Filled: on the frontier of this axis and ${quality().label}. Ringed: the pick.`,
    "Grey and dashed: controls.",
    values.study.budget,
    ...otherWords(),
  ];
  const ends = denseEnds(values.levels).map((level) => values.points[level.points[0]].epochs);
  if (ends.length === 2) {
    const [first, last] = ends.map((epochs) => d3.sum(epochs));
    words.push(`The dense net: solid after ${first} epochs, dashed after ${last}.`);
  }
  if (values.levels.some((level) => level.collapsed)) {
    words.push(
      "Collapsed levels, no better than an answer that ignores its input, take no place on the frontier.",
    );
  }
  const axis = derived.axes[state.y];
  if (!axis.chooses) {
    words.push(
      `${titled(axis.label)} was scored once and chose nothing: frontier and pick go by validation.`,
    );
  }
  const hidden = values.methods.filter((method) => state.hidden.has(method.name)).length;
  if (hidden) words.push(`Not drawn: ${counted(hidden, "method")} of ${values.methods.length}.`);
  const fallen = leftOut(shown()).size;
  if (fallen) words.push(`Below the frame, at the arrow heads: ${counted(fallen, "level")}.`);
  const axes = [state.x, state.y];
  const lost = values.levels.filter((level) => axes.some((name) => !(name in level.mean))).length;
  if (lost) words.push(`Not measured on this axis yet: ${counted(lost, "level")}.`);
  find("caption").textContent = words.filter(Boolean).join(" ");
  find("summary").textContent = inWords();
}

/** What the chart says, for whoever does not see it. */
function inWords() {
  const axis = derived.axes[state.x];
  const levels = shown();
  if (!levels.length) return "Nothing is shown.";
  const seen = (level) =>
    `${fully(level, state.values)} (${withBand(axis, level)}, ${said(derived.axes[state.y], level.mean[state.y])})`;
  const best = [...derived.frontier].sort((a, b) => xOf(a) - xOf(b));
  const lines = [...linesOf(levels)].map(([method, line]) => {
    const first = line[0];
    const last = line[line.length - 1];
    return `${method}: ${line.length} levels, from ${seen(first)} to ${seen(last)}.`;
  });
  return [
    `${labelOf(derived.axes[state.y])} against ${axis.label}, ${levels.length} levels.`,
    ...lines,
    `On the frontier: ${best.map(seen).join("; ")}.`,
  ].join(" ");
}
