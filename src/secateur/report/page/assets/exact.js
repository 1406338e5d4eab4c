// The same rules as secateur.study.frontier, on integers: `rank` is a level's place on an axis,
// higher is better and equal means have equal ranks; `val` is the fraction of its mean accuracy.

/** A share as it was written, "0.885", as the integers of a fraction; null if it is none. */
function decimal(text) {
  const found = /^\s*(\d*)(?:\.(\d*))?\s*$/.exec(text);
  if (!found || !(found[1] || found[2])) return null;
  const digits = found[2] || "";
  return { part: BigInt(found[1] + digits), total: 10n ** BigInt(digits.length) };
}

/** Whether a level's mean validation accuracy is at least the floor. */
function meets(level, floor) {
  return BigInt(level.val[0]) * floor.total >= floor.part * BigInt(level.val[1]);
}

function competing(levels, axis) {
  return levels.filter((level) => level.competes && level.rank[axis] !== undefined);
}

/** The levels that no other beats on both the axis and mean validation accuracy. */
function frontierOf(levels, axis) {
  const rivals = competing(levels, axis).sort(
    (a, b) => b.rank[axis] - a.rank[axis] || b.rank.val_accuracy - a.rank.val_accuracy,
  );
  const best = new Set();
  let reached = -Infinity;
  for (let i = 0; i < rivals.length; ) {
    const top = rivals[i];
    const stays = top.rank.val_accuracy > reached;
    for (; i < rivals.length && rivals[i].rank[axis] === top.rank[axis]; i += 1) {
      if (stays && rivals[i].rank.val_accuracy === top.rank.val_accuracy) best.add(rivals[i]);
    }
    reached = Math.max(reached, top.rank.val_accuracy);
  }
  return best;
}

/** The best level on the axis of those that meet the floor; else the most accurate. */
function pickOf(levels, axis, floor) {
  const rivals = competing(levels, axis);
  const able = rivals.filter((level) => meets(level, floor));
  const order = able.length ? [axis, "val_accuracy"] : ["val_accuracy", axis];
  // Levels come by method and step, and the first of equals is kept.
  const best = (able.length ? able : rivals).reduce((kept, level) => {
    const gain = order.map((name) => level.rank[name] - kept.rank[name]).find((d) => d !== 0);
    return gain > 0 ? level : kept;
  }, (able.length ? able : rivals)[0]);
  return best ? { level: best, met: able.length > 0 } : null;
}
