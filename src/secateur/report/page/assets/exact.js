// What the study decided, looked up: frontier and picks come as values, and nothing is ranked here.

/** A number as it was written, "0.885", as the integers of a fraction; null if it is none. */
function decimal(text) {
  const found = /^\s*(-?)(\d*)(?:\.(\d*))?\s*$/.exec(text);
  if (!found || !(found[2] || found[3])) return null;
  const digits = found[3] || "";
  const part = BigInt(found[2] + digits);
  return { part: found[1] ? -part : part, total: 10n ** BigInt(digits.length) };
}

/** The first pick that meets the floor, or the ceiling of an error; the last one has none. */
function pickAt(picks, floor, higher) {
  const reaches = ([part, total]) => {
    const [held, asked] = [BigInt(part) * floor.total, floor.part * BigInt(total)];
    return higher ? held >= asked : held <= asked;
  };
  const found = picks.find(([limit]) => limit === null || reaches(limit));
  return found ? { level: state.values.levels[found[1]], met: found[0] !== null } : null;
}
