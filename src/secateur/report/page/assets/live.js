// The live study: newer values from the server beside the page, drawn in place of the old ones.

const EVERY = 2000;

async function watch() {
  let text = null;
  for (;;) {
    let word = null;
    try {
      const answer = await fetch("study.json", { cache: "no-cache" });
      if (answer.ok) {
        const told = await answer.text();
        // The choices, the focus and the scroll are left where they are.
        if (told !== text) update(JSON.parse(told));
        text = told;
      } else {
        word = `The server answers ${answer.status}; this is what was there before.`;
      }
    } catch {
      word = "The server is gone; this is what was there before. Looking again.";
    }
    drawLive(word);
    await new Promise((done) => setTimeout(done, EVERY));
  }
}

function update(values) {
  const before = state.values;
  const changed = Object.keys(values).some(
    (name) => name !== "live" && JSON.stringify(values[name]) !== JSON.stringify(before[name]),
  );
  if (!changed) {
    before.live = values.live;
    return;
  }
  const known = new Set(before.points.map((point) => point.digest));
  const fresh = values.points.filter((point) => !known.has(point.digest));
  rows.clear();
  studies[0].values = values;
  take(values);
  refresh();
  if (fresh.length) announce(`New: ${fresh.map((point) => point.name).join(", ")}.`);
}

function drawLive(trouble) {
  const { live, study } = state.values;
  const heartbeat = live?.heartbeat;
  find("live").hidden = false;
  find("live").classList.toggle("gone", Boolean(trouble));
  const words = trouble ? [trouble] : [stateWords(live, heartbeat, study)];
  if (!trouble && heartbeat) {
    words.push(`${heartbeat.ended} of ${heartbeat.runs} runs ended`);
    if (heartbeat.failed) words.push(`${heartbeat.failed} failed`);
    if (heartbeat.seconds_left !== null)
      words.push(`about ${duration(heartbeat.seconds_left)} left`);
  }
  const line = words.join(" · ");
  // A status that is written again is read again by a screen reader.
  if (find("live-state").textContent !== line) find("live-state").textContent = line;
  find("live-runs").replaceChildren(...(trouble ? [] : (heartbeat?.underway ?? [])).map(underway));
}

function stateWords(live, heartbeat, study) {
  if (heartbeat?.doing === "timing") return "Timing the nets";
  if (live?.state === "running") return "Running";
  return study.missing ? `Stopped; ${counted(study.missing, "run")} still to be done` : "Finished";
}

function underway(run) {
  const bar = make("progress", { max: run.epochs || 1, value: run.epoch, "aria-label": run.title });
  const axis = quality();
  const score = run[axis.name] ?? null;
  const val = score === null ? "" : `, ${axis.label} ${said(axis, score)}`;
  return make(
    "li",
    {},
    make("span", {}, run.title),
    bar,
    make("span", { class: "muted" }, `epoch ${run.epoch} of ${run.epochs}${val}`),
  );
}
