// The study itself: its head, its settings, versions and machine, and what failed.

function drawTitle() {
  const { study, points, levels, failures } = state.values;
  document.title = `${study.name} – secateur`;
  find("title").textContent = study.name;
  const words = [
    study.model && study.data ? `${study.model} on ${study.data}` : null,
    counted(points.length, "point"),
    levels.length === points.length ? null : counted(levels.length, "level"),
    study.seeds.length ? counted(study.seeds.length, "seed") : null,
    study.missing ? `${counted(study.missing, "run")} still to be done` : null,
    failures.length ? `${counted(failures.length, "run")} failed` : null,
  ];
  find("subtitle").textContent = words.filter(Boolean).join(" · ");
}

function drawAbout() {
  const { study, failures } = state.values;
  find("failures").hidden = !failures.length;
  find("failures-body").replaceChildren(
    ...failures.flatMap((f) => [make("dt", {}, f.title), make("dd", {}, f.reason)]),
  );
  find("about").replaceChildren(
    card("Settings", pairs(settingsOf(study.settings))),
    card("Versions and machine", pairs(machines())),
  );
}

function settingsOf(settings) {
  const { methods = {}, ...rest } = settings;
  const words = Object.entries(methods).map(([name, options]) => {
    const own = flat(options)
      .map(([key, value]) => `${key} ${value}`)
      .join(", ");
    return own ? `${name} (${own})` : name;
  });
  return [...flat(rest), ["methods", words.join(", ")]].filter(([, text]) => text);
}

/** Nested settings as pairs of a dotted name and a text, without what was left empty. */
function flat(value, name = "") {
  if (value === null || value.length === 0) return [];
  if (Array.isArray(value)) return [[name, value.map(listed).join(", ")]];
  if (typeof value !== "object") return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, one]) => flat(one, name ? `${name}.${key}` : key));
}

/** What the points were measured with; where they differ, how many by which. */
function machines() {
  const { environments, points } = state.values;
  const names = [...new Set(environments.flatMap(Object.keys))];
  return names.map((name) => {
    const found = d3.rollup(
      points,
      (those) => those.length,
      (p) => environments[p.environment][name],
    );
    if (found.size === 1) return [name, [...found.keys()][0] ?? ""];
    return [
      name,
      [...found]
        .map(([text, count]) => `${text ?? "none"} (${counted(count, "point")})`)
        .join(", "),
    ];
  });
}

const listed = (entry) => (Array.isArray(entry) ? entry.join("/") : String(entry));
