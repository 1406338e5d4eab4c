// The controls: axes, methods, the floor and the pick under it.

function drawControls() {
  const measured = (axis) => state.values.levels.some((l) => l.mean[axis.name] !== undefined);
  const none = !state.values.levels.length;
  fillSelect(
    find("x"),
    state.values.axes.filter((axis) => !axis.score),
    state.x,
    (axis) =>
      none || measured(axis) ? titled(labelOf(axis)) : `${titled(labelOf(axis))} (not measured)`,
  );
  fillSelect(
    find("y"),
    state.values.axes.filter((axis) => axis.score),
    state.y,
    (axis) => (axis.chooses ? titled(axis.label) : `${titled(axis.label)} (never chooses)`),
  );
  for (const option of find("x").options) {
    option.disabled = !none && !measured(derived.axes[option.value]);
  }
  const levels = shown();
  find("log").checked = levels.length > 0 && isLog(levels);
  find("log").disabled = derived.axes[state.x].higher;
  find("zoom-label").hidden = !farBelow(levels).length;
  drawMethods();
  drawFloor();
}

function fillSelect(select, axes, chosen, label) {
  const options = axes.map((axis) => [axis.name, label(axis)]);
  const same = [...select.options].map((option) => [option.value, option.textContent]);
  // An open list would close under the user's hand.
  if (JSON.stringify(same) !== JSON.stringify(options)) {
    select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  }
  select.value = chosen;
}

function drawMethods() {
  const box = find("methods");
  const names = state.values.methods.map((method) => method.name);
  if (box.dataset.names !== JSON.stringify(names)) {
    box.dataset.names = JSON.stringify(names);
    box.replaceChildren(...state.values.methods.map(methodBox));
  }
  for (const input of box.querySelectorAll("input")) {
    input.checked = !state.hidden.has(input.value);
  }
  find("methods-many").hidden = names.length <= MANY;
}

function methodBox(method) {
  const input = make("input", { type: "checkbox", value: method.name });
  input.addEventListener("change", () => {
    if (input.checked) state.hidden.delete(method.name);
    else state.hidden.add(method.name);
    refresh();
  });
  const words = marked(method.name, method.control);
  return make("label", { class: "method" }, input, swatch(method), make("span", {}, words));
}

function swatch(method) {
  const line = draw("path", { d: "M1,8H27", "stroke-dasharray": method.dash });
  const mark = draw("path", {
    class: "mark",
    d: d3.symbol(MARKERS[method.marker], 44)(),
    transform: "translate(14,8)",
  });
  const picture = draw(
    "svg",
    { class: "swatch", viewBox: "0 0 28 16", "aria-hidden": "true" },
    line,
  );
  if (method.name !== "dense") picture.append(mark);
  picture.style.setProperty("--c", method.colour || "currentColor");
  return picture;
}

function drawFloor() {
  const axis = quality();
  const near = state.values.levels.filter((l) => l.competes && !l.far.includes(axis.name));
  const means = near.map((level) => level.mean[axis.name]);
  const [slider, number] = [find("floor"), find("floor-number")];
  slider.disabled = number.disabled = !means.length;
  find("floor-label").textContent = `${titled(axis.label)} of at ${side()}`;
  if (!means.length) return;
  const step = stepOf(axis, means);
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const ends = [Math.floor(least / step - 5) * step, Math.ceil(most / step + 5) * step];
  const [low, high] = axis.unit === "share" ? [Math.max(0, ends[0]), Math.min(1, ends[1])] : ends;
  slider.min = String(Number(low.toPrecision(12)));
  slider.max = String(Number(high.toPrecision(12)));
  slider.step = number.step = String(step);
  number.min = axis.unit === "share" ? "0" : "";
  number.max = axis.unit === "share" ? "1" : "";
  if (document.activeElement !== number) number.value = state.floor;
  slider.value = state.floor;
  slider.setAttribute("aria-valuetext", `at ${side()} ${state.floor}`);
}

/** Which side of the floor is right: an accuracy is at least so much, an error at most. */
const side = () => (quality().higher ? "least" : "most");

/** A thousandth of a share; of other numbers a power of ten below a hundredth of their range. */
function stepOf(axis, means) {
  if (axis.unit === "share") return 0.001;
  const range = Math.max(...means) - Math.min(...means) || Math.abs(means[0]) || 1;
  return Number(`1e${Math.floor(Math.log10(range / 100))}`);
}

const decimalsOf = (step) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

function drawPick() {
  const { pick } = derived;
  const box = find("pick");
  find("pick-show").hidden = !pick;
  const axis = derived.axes[state.x];
  if (!pick) {
    box.textContent = state.values.levels.length ? asked() : "";
    find("pick-command").replaceChildren();
    return;
  }
  const { level, met } = pick;
  const name = make("strong", {}, fully(level, state.values));
  const far = axis.higher ? "highest" : "lowest";
  const why = met
    ? `the ${far} ${labelOf(axis)} of all that reach it`
    : "no level reaches it; this is the best";
  const words = [
    `${titled(labelOf(axis))} ${withBand(axis, level)},`,
    `${quality().label} ${withBand(quality(), level)}`,
    `(n = ${level.points.length}): ${why}.`,
  ].join(" ");
  box.replaceChildren(name, make("br"), words);
  const { quoted } = state.values.study;
  const across = state.x === "sparsity" ? "" : ` --x ${state.x}`;
  const { name: score } = quality();
  const bound =
    score === "val_accuracy"
      ? `--min-accuracy ${state.floor}`
      : `--at-${side()} ${score}=${state.floor}`;
  const verb = met ? "export" : "frontier";
  const line = `secateur ${verb} ${quoted} ${bound}${across}`;
  if (find("pick-command").textContent !== line) {
    find("pick-command").replaceChildren(command(line));
  }
}

const asked = () =>
  quality().unit === "share" ? "Write the floor as a share, as 0.9." : "Write a number.";

function listen() {
  find("x").addEventListener("change", (event) => change({ x: event.target.value }));
  find("y").addEventListener("change", (event) => change({ y: event.target.value }));
  find("log").addEventListener("change", (event) =>
    change({ log: { ...state.log, [state.x]: event.target.checked } }),
  );
  find("apart").addEventListener("change", (event) => change({ apart: event.target.checked }));
  for (const [button, wanted] of [
    ["methods-best", () => foremost(state.values)],
    ["methods-all", () => new Set(state.values.methods.map((method) => method.name))],
    ["methods-none", () => new Set()],
  ]) {
    find(button).addEventListener("click", () => {
      showOnly(wanted());
      refresh();
    });
  }
  find("zoom").addEventListener("change", (event) => change({ zoom: event.target.checked }));
  find("floor").addEventListener("input", (event) =>
    change({ floor: Number(event.target.value).toFixed(decimalsOf(Number(event.target.step))) }),
  );
  find("floor-number").addEventListener("input", (event) => {
    if (decimal(event.target.value)) change({ floor: event.target.value });
  });
  find("pick-show").addEventListener("click", () => {
    select(derived.pick.level);
    find("details").scrollIntoView({ block: "nearest" });
  });
}

function change(choice) {
  Object.assign(state, choice);
  refresh();
}
