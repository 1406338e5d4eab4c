// The pick under a floor: what one gains by it first, then why it is the one, and its command.

function drawPick() {
  const { pick } = derived;
  const box = find("pick");
  drawFloor();
  find("pick-show").hidden = !pick;
  if (!pick) {
    box.replaceChildren(make("p", {}, state.values.levels.length ? asked() : "No point yet."));
    find("pick-command").replaceChildren();
    return;
  }
  const { level } = pick;
  const head = make(
    "p",
    { class: "pick-name" },
    swatch(derived.styles[level.method]),
    make("strong", {}, fully(level, state.values)),
    make("span", { class: "muted" }, against(level)),
  );
  box.replaceChildren(
    ...[head, gainList(level), make("p", { class: "muted" }, reason(pick))].filter(Boolean),
  );
  drawCommand(pick);
}

/** Why it is the pick. */
function reason({ level, met }) {
  const axis = derived.axes[state.x];
  const why = met
    ? `the ${axis.higher ? "highest" : "lowest"} ${labelOf(axis)} of all that reach it`
    : "no level reaches it; this is the best";
  return [
    `${titled(labelOf(axis))} ${withBand(axis, level)},`,
    `${quality().label} ${withBand(quality(), level)}`,
    `(n = ${level.points.length}): ${why}.`,
  ].join(" ");
}

function drawCommand({ met }) {
  const { quoted, builder, builder_note: note } = state.values.study;
  const across = state.x === "sparsity" ? "" : ` --x ${state.x}`;
  const { name: score } = quality();
  const bound =
    score === "val_accuracy"
      ? `--min-accuracy ${state.floor}`
      : `--at-${side()} ${score}=${state.floor}`;
  const verb = met ? "export" : "frontier";
  const line = `secateur ${verb} ${quoted} ${bound}${across}${met ? builder : ""}`;
  const box = find("pick-command");
  if (box.dataset.line === line) return; // A button under the user's hand stays.
  box.dataset.line = line;
  box.replaceChildren(command(line));
  if (met && note) box.append(make("p", { class: "muted" }, note));
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

const asked = () =>
  quality().unit === "share" ? "Write the floor as a share, as 0.9." : "Write a number.";

function listenToPick() {
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
