// What the study decided, looked up: frontier and picks come as values, and nothing is ranked here.

/** A share as it was written, "0.885", as the integers of a fraction; null if it is none. */
function decimal(text) {
  const found = /^\s*(\d*)(?:\.(\d*))?\s*$/.exec(text);
  if (!found || !(found[1] || found[2])) return null;
  const digits = found[2] || "";
  return { part: BigInt(found[1] + digits), total: 10n ** BigInt(digits.length) };
}

/** The first pick whose floor is at least the one asked for; the last has none: none meets it. */
function pickAt(picks, floor) {
  const reaches = ([part, total]) => BigInt(part) * floor.total >= floor.part * BigInt(total);
  const found = picks.find(([limit]) => limit === null || reaches(limit));
  return found ? { level: state.values.levels[found[1]], met: found[0] !== null } : null;
}
