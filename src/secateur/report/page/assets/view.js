// The view in the address, behind the `#`: what was chosen survives a reload and can be sent.
// Whatever stands there may be of anybody: a name counts only where the study has it.

/** What a view says, each as the words of the address: only what differs from how a page opens. */
const VIEW = {
  study: {
    said: () => studies.length > 1 && studyShown() !== studies[0] && labelOfStudy(studyShown()),
    read: ([label]) => {
      const wanted = studies.find((one) => labelOfStudy(one) === label);
      if (wanted && wanted !== studyShown()) showStudy(wanted);
    },
  },
  x: {
    said: (values) => state.x !== values.opening && state.x,
    read: ([name]) => {
      const axis = derived.axes[name];
      if (axis && !axis.score) state.x = name;
    },
  },
  y: {
    said: (values) => state.y !== values.quality.val && state.y,
    read: ([name]) => {
      if (derived.axes[name]?.score) state.y = name;
    },
  },
  log: {
    said: () => Object.entries(state.log).map(([name, on]) => (on ? name : `-${name}`)),
    read: (names) => {
      for (const name of names) {
        const axis = name.replace(/^-/, "");
        if (derived.axes[axis]) state.log[axis] = axis === name;
      }
    },
  },
  others: {
    said: () => state.others && "yes",
    read: ([word]) => {
      state.others = word === "yes";
    },
  },
  far: {
    said: () => !state.zoom && "yes",
    read: ([word]) => {
      state.zoom = word !== "yes";
    },
  },
  apart: {
    said: () => state.apart && "yes",
    read: ([word]) => {
      state.apart = word === "yes";
    },
  },
  methods: {
    said: (values) => {
      const drawn = drawnMethods();
      const same = [...foremost(values)].filter((name) => derived.styles[name]);
      if (drawn.length === same.length && same.every((name) => drawn.includes(name))) return false;
      return drawn.length ? drawn : "none";
    },
    read: (names) => showOnly(new Set(names)),
  },
  floor: {
    said: (values) => state.floor !== null && state.floor !== values.floor && state.floor,
    read: ([text]) => {
      if (decimal(text)) state.floor = text;
    },
  },
  point: {
    said: () => pointOf(state.selected)?.name,
    read: ([name]) => {
      state.selected = pointNamed(name)?.digest ?? null;
    },
  },
  beside: {
    said: () => state.beside.map((digest) => pointOf(digest)?.name).filter(Boolean),
    read: (names) => {
      const found = names.map(pointNamed).filter(Boolean);
      state.beside = [...new Set(found.map((point) => point.digest))].slice(0, MOST);
    },
  },
  sort: {
    said: () => {
      const { column, up } = state.sort;
      return column !== null && `${up ? "" : "-"}${columns()[column].head}`;
    },
    read: ([text]) => {
      const head = text.replace(/^-/, "");
      const column = columns().findIndex((one) => one.head === head);
      if (column >= 0) state.sort = { column, up: head === text };
    },
  },
  filter: {
    said: () => state.filter,
    read: (words) => {
      state.filter = words.join(",").slice(0, LONGEST);
    },
  },
  drawn: {
    said: () => state.drawnOnly && "yes",
    read: ([word]) => {
      state.drawnOnly = word === "yes";
    },
  },
};

const drawnMethods = () =>
  state.values.methods.map((method) => method.name).filter((name) => !state.hidden.has(name));

const pointNamed = (name) => state.values.points.find((point) => point.name === name);

/** The view as the address has it. */
function viewText() {
  const parts = Object.entries(VIEW).flatMap(([key, { said }]) => {
    const words = [said(state.values) || []].flat();
    return words.length ? [`${key}=${words.map(encodeURIComponent).join(",")}`] : [];
  });
  return parts.join("&");
}

/** What an address says, by its key; what cannot be read is left out. */
function wordsOf(hash) {
  const found = new Map();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [key, text] = part.split("=", 2);
    if (!Object.hasOwn(VIEW, key) || text === undefined) continue;
    try {
      found.set(key, text.split(",").map(decodeURIComponent));
    } catch {
      // A % that is none.
    }
  }
  return found;
}

/** Take the view of the address; whether it has said any. */
function readView() {
  const words = wordsOf(location.hash);
  for (const [key, { read }] of Object.entries(VIEW)) if (words.has(key)) read(words.get(key));
  return words.size > 0;
}

const PAUSE = 200; // Milliseconds: browsers refuse an address that is written at every move.
let written = { at: -PAUSE, timer: 0 };

/** Write the view into the address, without a step of the history for each choice. */
function keepView() {
  clearTimeout(written.timer);
  const wait = written.at + PAUSE - performance.now();
  if (wait > 0) {
    written.timer = setTimeout(keepView, wait);
    return;
  }
  const text = viewText();
  const known = location.hash.replace(/^#/, "");
  if (text === known || (!text && !known.includes("="))) return;
  written = { at: performance.now(), timer: 0 };
  try {
    history.replaceState(history.state, "", `${location.href.split("#")[0]}${text && `#${text}`}`);
  } catch {
    // Within another page's frame the address is not the page's own.
  }
}

function listenToAddress() {
  addEventListener("hashchange", () => {
    if (!wordsOf(location.hash).size) return; // The link to the table.
    openStudy(state.values);
    rows.clear();
    readView();
    refresh();
  });
  find("link").addEventListener("click", async () => {
    keepView();
    const done = await copied(location.href);
    flash(find("link"), done ? "Copied" : "See the address", "Copy link");
  });
}
