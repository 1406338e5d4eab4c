// The page as a whole.

let isWhole = false; // Whether the rest of the values is there.

function refresh() {
  drawFirst();
  if (isWhole) drawRest();
}

/** What one sees without scrolling. */
function drawFirst() {
  derive();
  drawTitle();
  drawStudies();
  drawControls();
  drawPick();
  drawChart();
  drawCaption();
}

function drawRest() {
  drawDetails();
  drawBeside();
  drawTable();
  drawRanks();
  drawTuning();
  drawAbout();
  keepView();
}

/** Light and dark follow the system until the button is used; a file may be refused a memory. */
function theme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => {
    try {
      return localStorage.getItem("secateur-theme");
    } catch {
      return null;
    }
  };
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    find("theme").textContent = isDark() ? "Light" : "Dark";
  };
  const kept = remembered();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  find("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("secateur-theme", root.dataset.theme);
    } catch {
      // The choice then lasts as long as the page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}

/** Base64 as bytes; browsers before 2025 have no word for it. */
function unpacked(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Once what was drawn so far has been seen; a page in the background is never seen. */
const painted = () =>
  new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done, 0));
    setTimeout(done, 250);
  });

/** Once the browser has read the file to its end: the rest of the values stands there. */
const parsed = () =>
  new Promise((done) => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", done);
    else done();
  });

/** Values that the file carries: gzipped JSON in base64. */
async function carried(id) {
  const bytes = unpacked(find(id).textContent);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

async function begin() {
  theme();
  takeStudies(await carried("values"));
  listen();
  listenToAddress();
  readView();
  listenToTable();
  listenToFilter();
  drawFirst();
  await painted();
  await parsed();
  completeStudies(await carried("rest"));
  isWhole = true;
  drawRest();
  document.documentElement.dataset.drawn = "true";
  let drawn = null;
  new ResizeObserver(([{ contentRect }]) => {
    const changed = drawn !== null && contentRect.width !== drawn;
    drawn = contentRect.width;
    if (changed) drawChart();
  }).observe(find("chart"));
  if (document.documentElement.dataset.live === "true") watch();
}

begin().catch((error) => {
  find("title").textContent = "This page could not be drawn";
  find("subtitle").textContent = `It needs a browser of 2023 or later. (${error.message})`;
  throw error;
});
