// Draws the map: tens of thousands of points on a canvas, with pan and zoom by pointer, wheel and keys.
"use strict";

(async () => {
  const canvas = document.getElementById("map");
  if (!canvas) return;
  const { index, generation } = canvas.dataset;
  const { root } = document.documentElement.dataset; // the path of the site
  const where = new URLSearchParams({ i: index, g: generation });
  const response = await fetch(`${root}/map/points?${where}`);
  if (!response.ok) {
    // A newer generation may be served by now: reload the page, once.
    if (response.status === 404 && performance.getEntriesByType("navigation")[0]?.type !== "reload") location.reload();
    const note = Object.assign(document.createElement("p"), { className: "note", textContent: "The map could not be loaded. Reload the page." });
    canvas.before(note);
    return;
  }
  const buffer = await response.arrayBuffer();
  const n = new DataView(buffer).getUint32(4, true);
  const xs = new Float32Array(buffer, 8, n), ys = new Float32Array(buffer, 8 + 4 * n, n);
  const years = new Uint16Array(buffer, 8 + 8 * n, n), journals = new Uint16Array(buffer, 8 + 10 * n, n);
  const hits = canvas.dataset.hits.split(" ").filter(Boolean).map(Number);
  const question = canvas.dataset.x === undefined ? null : [+canvas.dataset.x, +canvas.dataset.y];

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = ["#8a8f92", "#3b7dd8", "#d9822b", "#2a9d6f", "#c2478b", "#7a5bd0", "#b8a11a", "#1f9fb4", "#c9503f"];
  const known = [...years].filter((year) => year > 0);
  known.sort((a, b) => a - b);
  const early = known[Math.floor(known.length * 0.02)] ?? 0;
  const late = known[Math.ceil(known.length * 0.98) - 1] ?? 0;
  const STEPS = 12;
  const step = (year) => Math.min(STEPS - 1, Math.max(0, Math.floor((year - early) / Math.max(1, late - early + 1) * STEPS)));
  const shade = (at) => `hsl(${Math.round(255 - 205 * at / (STEPS - 1))} 70% ${dark.matches ? 62 : 45}%)`;

  // Draw points of one colour together.
  const select = document.getElementById("colour");
  let groups = [];
  const group = () => {
    const rowsOf = new Map();
    for (let row = 0; row < n; row++) {
      const key = select.value === "year" ? (years[row] ? step(years[row]) : -1) : journals[row];
      if (!rowsOf.has(key)) rowsOf.set(key, []);
      rowsOf.get(key).push(row);
    }
    const colour = (key) => (select.value === "journal" ? colours[key] : key < 0 ? colours[0] : shade(key));
    groups = [...rowsOf].map(([key, rows]) => [colour(key), rows]);
    legend();
  };
  const swatch = (colour) => { const mark = document.createElement("i"); mark.style.background = colour; return mark; };
  const list = document.getElementById("legend");
  const named = [...list.children].map((item) => item.textContent);
  const legend = () => {
    const entries = select.value === "journal"
      ? [...named.map((name, at) => [colours[at + 1], name]), [colours[0], "other"]]
      : known.length ? [[shade(0), `up to ${early}`], [shade(STEPS >> 1), `${Math.round((early + late) / 2)}`], [shade(STEPS - 1), `${late} and later`], [colours[0], "unknown"]] : [[colours[0], "no known years"]];
    list.replaceChildren(...entries.map(([colour, text]) => {
      const item = document.createElement("li");
      item.dir = "auto";
      item.append(swatch(colour), text);
      return item;
    }));
  };

  // The visible part of the plane. Both axes have the same scale.
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const box = { left: least(xs), right: most(xs), low: least(ys), high: most(ys) };
  const view = { x: 0, y: 0, scale: 1 };
  let width = 1, height = 1;
  const home = () => {
    const wide = box.right - box.left || 1, tall = box.high - box.low || 1;
    view.scale = 0.94 * Math.min(width / wide, height / tall);
    view.x = (box.left + box.right) / 2;
    view.y = (box.low + box.high) / 2;
  };
  const toX = (x) => (x - view.x) * view.scale + width / 2;
  const toY = (y) => (view.y - y) * view.scale + height / 2;

  const pen = canvas.getContext("2d");
  let waiting = false;
  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  };
  const paint = () => {
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const size = n > 20000 ? 1.6 : n > 3000 ? 2.4 : 4;
    pen.globalAlpha = hits.length ? 0.45 : 0.75;
    for (const [colour, rows] of groups) {
      pen.fillStyle = colour;
      for (const row of rows) {
        const x = toX(xs[row]), y = toY(ys[row]);
        if (x > -4 && y > -4 && x < width + 4 && y < height + 4) pen.fillRect(x - size / 2, y - size / 2, size, size);
      }
    }
    pen.globalAlpha = 1;
    const ink = getComputedStyle(canvas).color;
    for (const row of hits) {
      pen.beginPath();
      pen.arc(toX(xs[row]), toY(ys[row]), row === chosen ? 9 : 5.5, 0, 2 * Math.PI);
      pen.fillStyle = "#ffd23f";
      pen.strokeStyle = ink;
      pen.lineWidth = 1.5;
      pen.fill();
      pen.stroke();
    }
    if (question) {
      const x = toX(question[0]), y = toY(question[1]);
      pen.strokeStyle = ink;
      pen.lineWidth = 3;
      pen.beginPath();
      pen.moveTo(x - 9, y); pen.lineTo(x + 9, y); pen.moveTo(x, y - 9); pen.lineTo(x, y + 9);
      pen.stroke();
    }
    canvas.dataset.drawn = String(n);
  };
  const zoom = (factor, x = width / 2, y = height / 2) => {
    const wanted = Math.min(1e6, Math.max(1, view.scale * factor));
    view.x += (x - width / 2) * (1 / view.scale - 1 / wanted);
    view.y -= (y - height / 2) * (1 / view.scale - 1 / wanted);
    view.scale = wanted;
    draw();
  };

  // The record below the pointer.
  const tip = document.getElementById("tip");
  let chosen = -1, pointedAt = null;
  const nearest = (x, y) => {
    let best = -1, distance = 12 * 12;
    for (let row = 0; row < n; row++) {
      const dx = toX(xs[row]) - x, dy = toY(ys[row]) - y, d = dx * dx + dy * dy;
      if (d < distance) { distance = d; best = row; }
    }
    return best;
  };
  const about = async (row) => {
    const response = await fetch(`${root}/map/at?${where}&row=${row}`);
    return response.ok ? response.json() : null;
  };
  const showTip = async (row, x, y) => {
    pointedAt = row;
    if (row < 0) { tip.hidden = true; return; }
    const record = await about(row);
    if (pointedAt !== row || !record) return;
    tip.textContent = [record.title || "[no title]", [record.journal, record.year].filter(Boolean).join(", ")].filter(Boolean).join("\n");
    tip.style.left = `${Math.min(x + 12, Math.max(0, width - 240))}px`;
    tip.style.top = `${canvas.offsetTop + y + 14}px`;
    tip.hidden = false;
  };

  const pointers = new Map();
  let moved = 0, resting = null;
  const place = (event) => { const frame = canvas.getBoundingClientRect(); return [event.clientX - frame.left, event.clientY - frame.top]; };
  canvas.addEventListener("pointerdown", (event) => { if (event.button) return; pointers.set(event.pointerId, place(event)); canvas.setPointerCapture(event.pointerId); moved = 0; });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      clearTimeout(resting);
      resting = setTimeout(() => showTip(nearest(x, y), x, y), 60);
      return;
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const span = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
      zoom(span([x, y]) / span(before), (x + other[0]) / 2, (y + other[1]) / 2);
    } else {
      view.x -= (x - before[0]) / view.scale;
      view.y += (y - before[1]) / view.scale;
      draw();
    }
    moved += Math.hypot(x - before[0], y - before[1]);
    tip.hidden = true;
    pointers.set(event.pointerId, [x, y]);
  });
  canvas.addEventListener("pointerup", async (event) => {
    if (!pointers.delete(event.pointerId) || moved > 4) return;
    const row = nearest(...place(event));
    const record = row < 0 ? null : await about(row);
    if (record) location.href = `${root}/record?${new URLSearchParams({ i: index, id: record.id })}`;
  });
  canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { clearTimeout(resting); pointedAt = null; tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...place(event)); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const far = 60 / view.scale;
    const keys = {
      ArrowLeft: () => { view.x -= far; }, ArrowRight: () => { view.x += far; },
      ArrowUp: () => { view.y += far; }, ArrowDown: () => { view.y -= far; },
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: home, Home: home,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
    draw();
  });
  document.getElementById("nearer").addEventListener("click", () => zoom(1.5));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("whole").addEventListener("click", () => { home(); draw(); });
  for (const item of document.querySelectorAll(".drawn li")) {
    const mark = (row) => () => { chosen = row; draw(); };
    for (const [kind, row] of [["pointerenter", +item.dataset.row], ["pointerleave", -1], ["focusin", +item.dataset.row], ["focusout", -1]]) {
      item.addEventListener(kind, mark(row));
    }
  }

  select.addEventListener("change", () => { group(); draw(); });
  dark.addEventListener("change", () => { group(); draw(); });
  new ResizeObserver(() => {
    const first = width === 1;
    const ratio = devicePixelRatio || 1;
    width = canvas.clientWidth; height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    if (first) home();
    draw();
  }).observe(canvas);
  group();
})();
