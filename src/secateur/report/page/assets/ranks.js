// Where each method stands: its mean rank over levels and seeds, with its band, as a dot on a line.

const RANK_ROW = 22;

function drawRanks() {
  const rankings = state.values.rankings;
  find("ranks").hidden = !rankings.length;
  find("ranks-body").replaceChildren(...rankings.map(rankingOf));
}

function rankingOf(ranking) {
  const heads = ["method", "mean rank", "band", "from 1, the best"];
  const last = ranking.ranks.length;
  return make(
    "figure",
    {},
    make(
      "table",
      {},
      make("caption", {}, ranking.title),
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...ranking.ranks.map((rank) => rankRow(rank, last))),
    ),
    make("figcaption", { class: "muted" }, ranking.caption),
  );
}

function rankRow(rank, last) {
  const band = rank.band === null ? "–" : `±${rank.band.toFixed(2)}`;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, marked(rank.method, rank.control)),
    make("td", {}, rank.rank.toFixed(2)),
    make("td", {}, band),
    make("td", {}, rankLine(rank, last)),
  );
}

/** The numbers stand beside it: to a screen reader the line says nothing more. */
function rankLine(rank, last) {
  const x = d3.scaleLinear([1, last], [8, 192]).clamp(true);
  const y = RANK_ROW / 2;
  const across = (name, from, to) => draw("line", { class: name, x1: from, x2: to, y1: y, y2: y });
  const line = draw(
    "svg",
    { viewBox: `0 0 200 ${RANK_ROW}`, width: 200, height: RANK_ROW, "aria-hidden": "true" },
    across("track", 8, 192),
    rank.band ? across("band", x(rank.rank - rank.band), x(rank.rank + rank.band)) : null,
    draw("circle", { cx: x(rank.rank), cy: y, r: 5 }),
  );
  line.style.setProperty("--c", colourOf(rank.method));
  return line;
}
