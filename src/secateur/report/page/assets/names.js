// The methods' names in a column right of the chart, where no mark is: each is led to its line's end.

const GAP = 14; // Pixels from one name to the next.
const WIDEST = 230; // Pixels: a longer name is cut off here and whole in the list of methods.
const FONT = '600 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** How wide a name is. */
const widthOf = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  return (name) => {
    pen.font = FONT;
    return pen.measureText(name).width;
  };
})();

/** A name that fits. */
function fitting(name) {
  let length = name.length;
  const cut = () => (length < name.length ? `${name.slice(0, length)}…` : name);
  while (widthOf(cut()) > WIDEST) length -= 1;
  return cut();
}

/** The room that the names take. */
function roomForNames(levels) {
  const names = new Set(levels.map((level) => level.method));
  return 22 + Math.ceil(d3.max([...names], (name) => Math.min(WIDEST, widthOf(name))) ?? 0);
}

/** The names and their leaders; none where there are more than fit below each other. */
function endNames(levels, scales, size) {
  const right = size.width - size.marginRight;
  const bottom = size.height - size.marginBottom;
  const group = draw("g", { class: "ends", "aria-hidden": "true" });
  const labels = endsOf(levels, scales, bottom).map((level) => ({
    level,
    from: level.method === "dense" ? right : Math.min(right, scales.x(xOf(level))),
    there: scales.y(yOf(level)),
  }));
  if (labels.length * GAP > bottom - size.marginTop) return group;
  spread(labels, size.marginTop, bottom - 8);
  for (const { level, from, there, y } of labels) {
    const text = draw(
      "text",
      { x: right + 18, y, dy: "0.32em", "text-anchor": "start" },
      fitting(level.method),
    );
    const lead = draw("path", {
      d: `M${from + 6},${there}H${right + 4}L${right + 11},${y}H${right + 15}`,
    });
    const one = draw("g", { class: isControl(level) ? "control" : "" }, lead, text);
    one.style.setProperty("--c", colourOf(level.method));
    group.append(one);
  }
  return group;
}

/** The last level of each line that is within the frame, and the dense net's. */
function endsOf(levels, scales, bottom) {
  const seen = (level) => scales.y(yOf(level)) <= bottom;
  const ends = [...linesOf(levels).values()].map((line) => line.filter(seen).pop());
  return [...ends, ...denseEnds(levels).filter(seen).slice(-1)].filter(Boolean);
}

/** Heights for the names: each near its line's end, none on another. */
function spread(labels, top, bottom) {
  labels.sort((a, b) => a.there - b.there);
  for (const [i, label] of labels.entries()) {
    label.y = i ? Math.max(label.there, labels[i - 1].y + GAP) : label.there;
  }
  let lowest = bottom;
  for (const label of [...labels].reverse()) {
    label.y = Math.max(top, Math.min(label.y, lowest));
    lowest = label.y - GAP;
  }
}
