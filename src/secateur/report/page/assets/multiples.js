// Small multiples: one chart a method, all the others grey behind it, on the same axes.

const SMALL = { width: 236, height: 168 };

function multiples(levels, frame, width) {
  const lines = linesOf(levels);
  const dense = denseMarks(levels, frame);
  const across = Math.max(1, Math.floor(width / SMALL.width));
  const each = Math.floor(width / across) - 8;
  const charts = [...lines].map(([method, line]) =>
    smallChart(method, line, { lines, dense, frame }, each),
  );
  return make("div", { class: "multiples" }, ...charts);
}

function smallChart(method, line, { lines, dense, frame }, width) {
  const others = [...lines.values()].filter((other) => other !== line);
  const axis = derived.axes[state.x];
  const grey = { stroke: "var(--faint)", strokeOpacity: 0.35, strokeWidth: 1, clip: true };
  const own = { fill: colourOf(method), stroke: colourOf(method), r: 2.6, clip: true };
  const svg = plotted({
    className: "chart",
    width,
    height: SMALL.height,
    marginLeft: 40,
    marginRight: 8,
    marginTop: 8,
    marginBottom: 24,
    style: { fontSize: "11px", background: "none" },
    x: {
      type: frame.log ? "log" : "linear",
      domain: frame.x,
      reverse: !axis.higher,
      label: null,
      ticks: frame.log ? logTicks(frame.x, 3) : 4,
      tickFormat: axis.unit === "share" ? undefined : (value) => said(axis, value),
    },
    y: {
      domain: frame.y,
      reverse: !derived.axes[state.y].higher,
      label: null,
      ticks: 4,
      tickFormat: isShare() ? undefined : tick,
    },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 4 }),
      ...dense,
      ...others.map((other) => Plot.line(other, { x: xOf, y: yOf, ...grey })),
      ...lineMarks(line, frame),
      Plot.dot(line, { x: xOf, y: yOf, ...own }),
    ],
  });
  const [first, last] = [line[0], line[line.length - 1]].map(
    (level) =>
      `${said(derived.axes[state.y], yOf(level))} at ${labelOf(axis)} ${said(axis, xOf(level))}`,
  );
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${method}: from ${first} to ${last}`);
  return make("figure", {}, make("figcaption", {}, marked(method, isControl(line[0]))), svg);
}
