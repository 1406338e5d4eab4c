// Elements and numbers. Whatever a study says enters the page as text: nothing here takes markup.

const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);

/** An element with attributes, handlers (functions) and children (elements or text). */
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** A chart by Plot, without the names that it gives to groups which may have none ("rule", "line"). */
function plotted(options) {
  const chart = Plot.plot(options);
  for (const group of chart.querySelectorAll("g[aria-label]:not([role])")) {
    group.removeAttribute("aria-label");
  }
  return chart;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A method's name, where controls are to be told from the others. */
const marked = (method, control) => (control ? `${method} (control)` : method);

const counted = (number, word) => `${exact(number)} ${word}${number === 1 ? "" : "s"}`;
const inFull = new Intl.NumberFormat("en-US");
const exact = (count) => inFull.format(count);
const share = (value) => value.toFixed(4);

/** Three digits and a unit: 59.3k; below a thousand it is exact. */
function short(count) {
  const units = ["", "k", "M", "G", "T"];
  let number = count;
  while (Math.abs(number) >= 999.5 && units.length > 1) {
    number /= 1000;
    units.shift();
  }
  return `${Number(number.toPrecision(3))}${units[0]}`;
}

const spaced = (count) => short(count).replace(/([kMGT])$/, " $1");
const milliseconds = (seconds) => `${Number((1e3 * seconds).toPrecision(3))} ms`;

/** Whether an axis has a unit of its own, or none: its numbers have four digits. */
const isPlain = (axis) => !["share", "seconds", "bytes", "count", "epochs"].includes(axis.unit);

/** Four digits, all before the point; of a band as many places as its mean has. */
function plain(value, like = value) {
  const size = like ? Math.floor(Math.log10(Math.abs(like))) : 0;
  const most = Math.min(20, Math.max(0, 3 - size));
  const least = Number.isInteger(value) ? 0 : most;
  return withPlaces(least, most).format(value);
}

const formats = new Map();

/** A format is dear to make, and there are few. */
function withPlaces(minimumFractionDigits, maximumFractionDigits) {
  const key = `${minimumFractionDigits} ${maximumFractionDigits}`;
  if (!formats.has(key)) {
    const places = { minimumFractionDigits, maximumFractionDigits };
    formats.set(key, new Intl.NumberFormat("en-US", places));
  }
  return formats.get(key);
}

/** A number beside an axis, in few letters. */
const tick = (value) =>
  Math.abs(value) >= 1e5
    ? d3.format("~s")(value)
    : value.toLocaleString("en-US", { maximumSignificantDigits: 6 });

/** A number on an axis, in the axis's own unit. */
function said(axis, value) {
  if (value === undefined || value === null) return "not measured";
  if (axis.unit === "share") return share(value);
  if (axis.unit === "seconds") return milliseconds(value);
  if (axis.unit === "bytes") return `${spaced(value)}${value < 999.5 ? " " : ""}B`;
  if (axis.unit === "count" || axis.unit === "epochs") return short(value);
  return withUnit(axis, plain(value));
}

const withUnit = (axis, text) => (axis.unit ? `${text} ${axis.unit}` : text);

function withBand(axis, level) {
  const mean = level.mean[axis.name];
  const band = level.band[axis.name];
  if (band === undefined) return said(axis, mean);
  if (isPlain(axis)) return withUnit(axis, `${plain(mean)} ± ${plain(band, mean)}`);
  return `${said(axis, mean)} ± ${said(axis, band)}`;
}

const labelOf = (axis) => axis.label.replace(/, s$/, "");
const titled = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const named = (level) => (level.level === "-" ? level.method : `${level.method} at ${level.level}`);

/** What tells two steps of the dense net apart: they have no level. */
function fully(level, values) {
  if (level.level !== "-") return named(level);
  return `${level.method} after ${d3.sum(values.points[level.points[0]].epochs)} epochs`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** A command with a button that copies it. */
function command(text) {
  const code = make("code", {}, text);
  const button = make("button", { type: "button", class: "quiet copy" }, "Copy");
  button.addEventListener("click", async () => {
    // A page opened from a file may not write by itself: then the user copies what is chosen.
    const done = (await copied(text)) || chosenToCopy(code);
    flash(button, done ? "Copied" : "Press Ctrl+C", "Copy");
  });
  return make("div", { class: "command" }, code, button);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function chosenToCopy(code) {
  getSelection().selectAllChildren(code);
  return document.execCommand("copy");
}

/** A word on a button, for a moment. */
function flash(button, word, usual) {
  button.textContent = word;
  setTimeout(() => {
    button.textContent = usual;
  }, 1500);
}
