// What a level has gained, and what it has lost, against the dense net that was trained as long.

/** The level of the dense net beside which a level is looked at; null of a study without it. */
const denseOf = (level) => (level.dense === null ? null : state.values.levels[level.dense]);

/** Sizes and times that are told, each the first of its list that both nets have. */
const SIZES = ["bytes", "nonzero"];
const TIMES = ["latency", "latency_64"];

/** Three things, in the order in which they are asked for: size, time, score. */
function gains(level) {
  const dense = denseOf(level);
  if (!dense || dense === level) return [];
  return [sizeGain(level, dense), timeGain(level, dense), scoreGain(level, dense)];
}

const both = (names, level, dense) =>
  names.find((name) => level.mean[name] > 0 && dense.mean[name] > 0);

/** How many times less of something there is; within a twentieth it is as much. */
function times(ratio, less, more, same) {
  if (ratio > 0.95 && ratio < 1.05) return same;
  const factor = ratio > 1 ? ratio : 1 / ratio;
  return `${factor < 10 ? factor.toPrecision(2) : exact(Math.round(factor))} times ${ratio > 1 ? less : more}`;
}

/** A mean beside the dense net's. */
const beside = (axis, level, dense) =>
  `${said(axis, level.mean[axis.name])} of ${said(axis, dense.mean[axis.name])}`;

function sizeGain(level, dense) {
  const name = both(SIZES, level, dense);
  if (!name) return { head: "size unknown", more: "neither bytes nor parameters were counted" };
  const axis = derived.axes[name];
  const words = name === "bytes" ? ["smaller", "larger", "as large"] : ["fewer", "more", "as many"];
  const head = times(dense.mean[name] / level.mean[name], ...words);
  const kind = name === "bytes" ? "on disk" : "non-zero parameters";
  return {
    head: name === "bytes" ? head : `${head} parameters`,
    more: `${beside(axis, level, dense)} ${kind}`,
  };
}

/** By measured latency alone: multiply-adds are no time. */
function timeGain(level, dense) {
  const order = state.x === "latency_64" ? [...TIMES].reverse() : TIMES;
  const name = both(order, level, dense);
  if (!name) return { head: "speed unknown", more: "latency was not measured" };
  const ratio = (one) => times(dense.mean[one] / level.mean[one], "faster", "slower", "as fast");
  const engines = (one) => engineWords(level.engines[one], dense.engines[one]);
  const other = both(
    order.filter((one) => one !== name),
    level,
    dense,
  );
  const batch = (one) => (one === "latency" ? "batch 1" : "batch 64");
  return {
    head: `${ratio(name)} ${engines(name)}`,
    more: [
      `${beside(derived.axes[name], level, dense)}, measured at ${batch(name)}`,
      other &&
        `at ${batch(other)} ${ratio(other)}` +
          (engines(other) === engines(name) ? "" : ` ${engines(other)}`),
    ]
      .filter(Boolean)
      .join("; "),
  };
}

/** In what both nets were timed: each runs on the engine that is fastest for it. */
const engineWords = (own, dense) => (own === dense ? `in ${own}` : `in ${own} (dense: ${dense})`);

function scoreGain(level, dense) {
  const [val, test] = [quality(), quality("test")];
  const more = [
    `${val.label} ${said(val, level.mean[val.name])} of ${said(val, dense.mean[val.name])}`,
  ];
  if (test && level.mean[test.name] !== undefined && dense.mean[test.name] !== undefined) {
    more.push(`on test data ${lostWords(test, level, dense)}`);
  }
  return { head: lostWords(val, level, dense), more: more.join("; ") };
}

/** What became of a score: points of a share, else its own unit. */
function lostWords(axis, level, dense) {
  const worse = (axis.higher ? 1 : -1) * (dense.mean[axis.name] - level.mean[axis.name]);
  const share = axis.unit === "share";
  const size = share ? (100 * Math.abs(worse)).toFixed(1) : plain(Math.abs(worse));
  if (share ? size === "0.0" : worse === 0) return share ? "no points lost" : "as good";
  return share
    ? `${size} points ${worse > 0 ? "lost" : "gained"}`
    : `${withUnit(axis, size)} ${worse > 0 ? "worse" : "better"}`;
}

/** The three as a list; null where there is no dense net to compare with. */
function gainList(level) {
  const found = gains(level);
  if (!found.length) return null;
  const items = found.map(({ head, more }) =>
    make("li", {}, make("strong", {}, titled(head)), make("span", { class: "muted" }, more)),
  );
  return make("ul", { class: "gains" }, ...items);
}

/** Against what a level has gained and lost. */
function against(level) {
  const dense = denseOf(level);
  if (!dense) return "There is no dense net to compare it with.";
  if (dense === level) return "The dense net itself: nothing is gained, and nothing lost.";
  const [spent, held] = [level.mean.epochs, dense.mean.epochs];
  return spent === held
    ? `against the dense net trained as long, ${counted(held, "epoch")}`
    : `against the dense net after ${counted(held, "epoch")}; this one has had ${exact(spent)}`;
}
