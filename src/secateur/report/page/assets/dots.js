// The points of the chart: seen, hovered, clicked, reached with Tab and the arrow keys, announced.

const MARKERS = {
  o: d3.symbolCircle,
  s: d3.symbolSquare,
  "^": d3.symbolTriangle,
  D: { draw: (path, size) => d3.symbolDiamond.draw(path, size * 0.8) },
  v: { draw: hanging },
};

function hanging(path, size) {
  const y = Math.sqrt(size / (Math.sqrt(3) * 3));
  path.moveTo(0, 2 * y);
  path.lineTo(-Math.sqrt(3) * y, -y);
  path.lineTo(Math.sqrt(3) * y, -y);
  path.closePath();
}

const MANY_DOTS = 400; // Beyond them each is as little as can be drawn, and said in full later.

/** The level that each dot on the screen is of. */
const dotLevels = new WeakMap();
let saying = 0;

function dots(levels, scales, size) {
  const many = levels.length > MANY_DOTS;
  // One ear for all of them.
  const group = draw("g", {
    class: "dots",
    click: onDot((level) => select(level)),
    keydown: onDot((level, _dot, event) => onKey(event, level)),
    focusin: onDot(onFocus),
    focusout: hideTip,
    pointerover: onDot(showTip),
    pointerout: hideTip,
  });
  // Controls first: what matters lies on top. Then from left to right, the order of the keys.
  const order = [...levels].sort((a, b) => isControl(b) - isControl(a) || rightwards(a, b));
  const reached = order.find((level) => keyOf(level) === state.focused) ?? order[order.length - 1];
  const copies = new Map();
  const drawn = order.map((level) => {
    const dot = (many && plainDot(level, scales, size, copies)) || dotOf(level, scales, size, many);
    dot.setAttribute("tabindex", level === reached ? 0 : -1);
    dotLevels.set(dot, level);
    return dot;
  });
  group.append(...drawn);
  saying += 1;
  if (many) setTimeout(sayDots, 0, drawn, 0, saying);
  else sayDots(drawn, 0, saying);
  return group;
}

const onDot = (act) => (event) => {
  const dot = event.target.closest(".dot");
  if (dot) act(dotLevels.get(dot), dot, event);
};

/** What each dot says to a screen reader, so many a turn. */
function sayDots(all, from, turn) {
  if (turn !== saying) return; // Drawn anew meanwhile.
  for (const dot of all.slice(from, from + MANY_DOTS)) sayDot(dot);
  if (from + MANY_DOTS < all.length) setTimeout(sayDots, 0, all, from + MANY_DOTS, turn);
}

function sayDot(dot) {
  if (!dot.hasAttribute("aria-label")) {
    dot.setAttribute("aria-label", announced(dotLevels.get(dot)));
  }
}

/** The order from left to right, where better is, and upwards. */
const rightwards = (a, b) =>
  (derived.axes[state.x].higher ? 1 : -1) * (xOf(a) - xOf(b)) || upwards() * (yOf(a) - yOf(b));

/** The sign that makes better higher: less error is drawn above more. */
const upwards = () => (derived.axes[state.y].higher ? 1 : -1);

/** Of many dots most are one element, copied; null of one that is more than its mark. */
function plainDot(level, scales, size, copies) {
  const [x, y] = [scales.x(xOf(level)), scales.y(yOf(level))];
  const special = level === derived.levelOf.get(derived.selected) || level === derived.pick?.level;
  if (special || isAway(x, y, size).some(Boolean)) return null;
  const best = derived.frontier.has(level);
  const key = `${best}/${level.method}`;
  if (!copies.has(key)) {
    const d = outline(derived.styles[level.method].marker);
    const names = `dot plain${best ? " best" : ""}${isControl(level) ? " control" : ""}`;
    const made = draw("path", { class: names, role: "button", "aria-pressed": false, d });
    made.style.setProperty("--c", colourOf(level.method));
    copies.set(key, made);
  }
  const dot = copies.get(key).cloneNode();
  dot.setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)})`);
  dot.dataset.key = keyOf(level);
  return dot;
}

/** Whether a place lies beyond the left edge, and below the frame. */
const isAway = (x, y, size) => [
  x < size.marginLeft - 0.5,
  y > size.height - size.marginBottom + 0.5,
];

function dotOf(level, scales, size, many) {
  const bottom = size.height - size.marginBottom;
  const [left, below] = isAway(scales.x(xOf(level)), scales.y(yOf(level)), size);
  const x = Math.max(size.marginLeft, scales.x(xOf(level)));
  const y = Math.min(bottom - 4, scales.y(yOf(level)));
  const selected = level === derived.levelOf.get(derived.selected);
  const picked = level === derived.pick?.level;
  const best = derived.frontier.has(level);
  const dot = draw("g", {
    class: ["dot", best && "best", isControl(level) && "control"].filter(Boolean).join(" "),
    transform: `translate(${x},${y})`,
    role: "button",
    "aria-pressed": selected,
    "data-key": keyOf(level),
  });
  dot.style.setProperty("--c", colourOf(level.method));
  if (picked) dot.append(draw("circle", { class: "ring", r: 11 }));
  if (selected) dot.append(draw("circle", { class: "halo", r: 8 }));
  if (!many) dot.append(draw("circle", { class: "reach", r: 12 }));
  // Beyond an edge: an arrow head that points to where it lies.
  const away = left || below;
  const path = draw("path", { d: outline(away ? null : derived.styles[level.method].marker) });
  if (away) path.setAttribute("transform", `rotate(${below ? 180 : -90})`);
  dot.append(path);
  return dot;
}

const outlines = new Map();

/** The outline of a marker, or of the arrow head. */
function outline(marker) {
  if (!outlines.has(marker)) {
    const symbol = marker === null ? d3.symbolTriangle : MARKERS[marker];
    outlines.set(marker, d3.symbol(symbol, marker === null ? 46 : 56)());
  }
  return outlines.get(marker);
}

/** The vertical axis, where it is another score than the two that are always said. */
const another = () =>
  [derived.axes[state.y]].filter((axis) => axis !== quality() && axis !== quality("test"));

function announced(level) {
  const axis = derived.axes[state.x];
  const words = [
    fully(level, state.values),
    `${labelOf(axis)} ${withBand(axis, level)}`,
    `${quality().label} ${withBand(quality(), level)}`,
    `${quality("test").label} ${withBand(quality("test"), level)}`,
    ...another().map((other) => `${other.label} ${withBand(other, level)}`),
  ];
  if (derived.frontier.has(level)) words.push("on the frontier");
  if (level === derived.pick?.level) words.push("the pick");
  if (isControl(level)) words.push("control");
  if (level.collapsed) words.push("collapsed to the score of a guess");
  return words.join(", ");
}

function select(level) {
  if (derived.levelOf.get(state.selected) !== level) state.selected = shipped(level);
  state.focused = keyOf(level);
  refresh();
  announce(`${fully(level, state.values)}: details below the chart.`);
}

function announce(words) {
  find("said").textContent = words;
}

function onFocus(level, dot) {
  state.focused = keyOf(level);
  sayDot(dot);
  for (const other of document.querySelectorAll(".dot")) other.setAttribute("tabindex", -1);
  dot.setAttribute("tabindex", 0);
  showTip(level, dot);
}

/** Left and right go along the axis, up and down to the nearest point of another method. */
function onKey(event, level) {
  const order = shown().sort(rightwards);
  const place = order.indexOf(level);
  const to = {
    ArrowRight: order[place + 1],
    ArrowLeft: order[place - 1],
    Home: order[0],
    End: order[order.length - 1],
    ArrowUp: nearest(level, order, 1),
    ArrowDown: nearest(level, order, -1),
  };
  if (event.key === "Enter" || event.key === " ") select(level);
  else if (!(event.key in to)) return;
  event.preventDefault();
  if (to[event.key]) {
    document.querySelector(`.dot[data-key="${CSS.escape(keyOf(to[event.key]))}"]`)?.focus();
  }
}

function nearest(level, order, way) {
  const others = order.filter(
    (other) => other.method !== level.method && way * upwards() * (yOf(other) - yOf(level)) > 0,
  );
  return others[d3.minIndex(others, (other) => Math.abs(xOf(other) - xOf(level)))];
}

function showTip(level, dot) {
  const tip = find("tip");
  const axis = derived.axes[state.x];
  const rows = [
    [titled(labelOf(axis)), withBand(axis, level)],
    ["Validation", withBand(quality(), level)],
    ["Test", withBand(quality("test"), level)],
    ...another().map((other) => [titled(other.label), withBand(other, level)]),
  ].flatMap(([head, text]) => [make("dt", {}, head), make("dd", {}, text)]);
  tip.replaceChildren(make("strong", {}, fully(level, state.values)), make("dl", {}, ...rows));
  tip.hidden = false;
  const frame = find("figure").getBoundingClientRect();
  const at = dot.getBoundingClientRect();
  const x = at.left + at.width / 2 - frame.left;
  const half = tip.offsetWidth / 2;
  tip.style.left = `${Math.min(Math.max(x, half), Math.max(half, frame.width - half))}px`;
  const above = at.top - frame.top - tip.offsetHeight - 6;
  tip.style.top = `${above > -30 ? above : at.bottom - frame.top + 6}px`;
}

function hideTip() {
  find("tip").hidden = true;
}
