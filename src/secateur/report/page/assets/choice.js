// The controls of the chart: axes and methods.

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
  find("zoom").checked = state.zoom;
  find("apart").checked = state.apart;
  find("log").disabled = derived.axes[state.x].higher;
  find("zoom-label").hidden = !farBelow(levels).length;
  drawMethods();
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
  drawFound();
}

/** The methods whose names have what is sought. */
function soughtMethods() {
  const sought = find("methods-find").value.trim().toLowerCase();
  const names = state.values.methods.map((method) => method.name);
  return names.filter((name) => name.toLowerCase().includes(sought));
}

function drawFound() {
  const found = new Set(soughtMethods());
  for (const input of find("methods").querySelectorAll("input")) {
    input.parentElement.hidden = !found.has(input.value);
  }
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

function listen() {
  find("x").addEventListener("change", (event) => change({ x: event.target.value }));
  find("y").addEventListener("change", (event) => change({ y: event.target.value }));
  find("log").addEventListener("change", (event) =>
    change({ log: { ...state.log, [state.x]: event.target.checked } }),
  );
  find("apart").addEventListener("change", (event) => change({ apart: event.target.checked }));
  find("others").addEventListener("change", (event) => change({ others: event.target.checked }));
  for (const [button, wanted] of [
    ["methods-best", () => foremost(state.values)],
    ["methods-all", () => new Set(soughtMethods())],
    ["methods-none", () => new Set()],
  ]) {
    find(button).addEventListener("click", () => {
      showOnly(wanted());
      refresh();
    });
  }
  find("zoom").addEventListener("change", (event) => change({ zoom: event.target.checked }));
  find("methods-find").addEventListener("input", () => {
    find("methods-all").textContent = find("methods-find").value.trim() ? "Only these" : "All";
    drawFound();
  });
  listenToPick();
}

function change(choice) {
  Object.assign(state, choice);
  refresh();
}
