// Draws the map: tens of thousands of points on a canvas with named regions, with pan, zoom and choice by pointer and keys.
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
  const [years, journals, regionOf] = [0, 1, 2].map((column) => new Uint16Array(buffer, 8 + 8 * n + 2 * column * n, n));
  let decisions = null; // of a review: a number for each row
  if (canvas.dataset.decisions) {
    const answer = await fetch(`${canvas.dataset.decisions}?${where}`);
    if (answer.ok) decisions = new Uint8Array(await answer.arrayBuffer());
    else document.querySelector("#colour [value=decision]").remove();
  }
  const hits = canvas.dataset.hits.split(" ").filter(Boolean).map(Number);
  const question = canvas.dataset.x === undefined ? null : [+canvas.dataset.x, +canvas.dataset.y];
  const regions = [...document.querySelectorAll(".regions [data-region]")].map((item) => ({
    item, number: +item.dataset.region, x: +item.dataset.x, y: +item.dataset.y,
    short: item.dataset.label, name: item.querySelector("a").textContent, list: item.querySelector("a").href,
  }));

  // Colours that people with any colour vision can tell apart (Okabe and Ito; Tol), each for light and dark pages.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const GREY = ["#8a8f92", "#8f979b"];
  const NAMED = [
    ["#0072b2", "#4a9fe0"], ["#d55e00", "#ff7f3a"], ["#009e73", "#25c795"], ["#cc79a7", "#e79ac4"],
    ["#b58900", "#f0c544"], ["#56b4e9", "#9bdcff"], ["#882255", "#c9638f"], ["#6b6f00", "#b9bd3f"],
  ];
  const STEPS = 12;
  const RAMP = [["#1d3f8f", "#4f76d9"], ["#4393c3", "#86c5f4"], ["#f0921e", "#ffc861"]]; // early, middle, late
  const pick = (pair) => pair[dark.matches ? 1 : 0];
  const mix = (a, b, share) => `#${[1, 3, 5].map((at) => {
    const [low, high] = [a, b].map((colour) => parseInt(colour.slice(at, at + 2), 16));
    return Math.round(low + (high - low) * share).toString(16).padStart(2, "0");
  }).join("")}`;
  const shade = (at) => {
    const part = 2 * at / (STEPS - 1), first = Math.min(1, Math.floor(part));
    return mix(pick(RAMP[first]), pick(RAMP[first + 1]), part - first);
  };
  const known = years.filter((year) => year > 0).sort();
  const early = known[Math.floor(known.length * 0.02)] ?? 0;
  const late = known[Math.ceil(known.length * 0.98) - 1] ?? 0;
  const step = (year) => Math.min(STEPS - 1, Math.max(0, Math.floor((year - early) / Math.max(1, late - early + 1) * STEPS)));
  const list = document.getElementById("legend");
  const journalNames = [...list.children].map((item) => item.textContent);

  // Neighbouring regions get different colours: each the colour whose nearest region that has it is farthest away.
  const colourOf = new Map();
  for (const region of regions) {
    const distance = NAMED.map((_, colour) => Math.min(Infinity, ...regions
      .filter((other) => colourOf.get(other.number) === colour)
      .map((other) => Math.hypot(other.x - region.x, other.y - region.y))));
    colourOf.set(region.number, distance.indexOf(Math.max(...distance)));
  }

  // What points may be coloured by: the key of a row, the colour of a key, and the entries of the legend.
  const schemes = {
    region: {
      key: (row) => regionOf[row],
      colour: (key) => pick(NAMED[colourOf.get(key)] ?? GREY),
      legend: () => [],
    },
    year: {
      key: (row) => (years[row] ? step(years[row]) : -1),
      colour: (key) => (key < 0 ? pick(GREY) : shade(key)),
      legend: () => (known.length
        ? [[shade(0), `${early} and before`], [shade(STEPS >> 1), `${Math.round((early + late) / 2)}`], [shade(STEPS - 1), `${late} and later`], [pick(GREY), "unknown"]]
        : [[pick(GREY), "no known years"]]),
    },
    journal: {
      key: (row) => journals[row],
      colour: (key) => pick(NAMED[key - 1] ?? GREY),
      legend: () => [...journalNames.map((name, at) => [pick(NAMED[at]), name]), [pick(GREY), "other"]],
    },
  };
  const DECIDED = ["not decided", "include", "exclude", "maybe", "conflict"];
  const VERDICTS = [GREY, NAMED[2], NAMED[1], NAMED[4], NAMED[6]]; // green, red, amber, purple
  if (decisions) {
    schemes.decision = {
      key: (row) => decisions[row],
      colour: (key) => pick(VERDICTS[key]),
      legend: () => DECIDED.map((name, key) => [pick(VERDICTS[key]), `${name}: ${decisions.filter((each) => each === key).length.toLocaleString("en")}`]),
    };
  }
  const select = document.getElementById("colour");
  let groups = []; // colour and rows: points of one colour are drawn together
  const group = () => {
    const scheme = schemes[select.value], rowsOf = new Map();
    for (let row = 0; row < n; row++) {
      const key = scheme.key(row);
      if (!rowsOf.has(key)) rowsOf.set(key, []);
      rowsOf.get(key).push(row);
    }
    groups = [...rowsOf].map(([key, rows]) => [scheme.colour(key), rows]).sort((a, b) => b[1].length - a[1].length);
    list.replaceChildren(...scheme.legend().map(([colour, text]) => {
      const item = document.createElement("li"), mark = document.createElement("i");
      item.dir = "auto";
      mark.style.background = colour;
      item.append(mark, text);
      return item;
    }));
  };

  // The visible part of the plane. At first it has the bulk of the records; the two directions may be stretched a little,
  // so that little of the canvas is empty.
  const range = (values, beyond) => {
    const sorted = values.slice().sort(), at = (share) => sorted[Math.round(share * (n - 1))] ?? 0;
    return [at(beyond), at(1 - beyond)];
  };
  const [left, right] = range(xs, 0.004), [low, high] = range(ys, 0.004);
  const MARGIN = 26, STRETCH = canvas.dataset.kind === "umap" ? 3 : 1.8; // directions of neighbours mean nothing
  const view = { x: 0, y: 0, scale: 1 };
  let width = 1, height = 1, stretch = 1, least = 1;
  const frame = (x1, x2, y1, y2) => {
    const wide = x2 - x1 || 1, tall = y2 - y1 || 1;
    view.scale = Math.min((width - 2 * MARGIN) / wide, (height - 2 * MARGIN) / (tall * stretch));
    view.x = (x1 + x2) / 2;
    view.y = (y1 + y2) / 2;
  };
  const home = () => {
    const wanted = ((height - 2 * MARGIN) / (high - low || 1)) / ((width - 2 * MARGIN) / (right - left || 1));
    stretch = Math.min(STRETCH, Math.max(1 / STRETCH, wanted));
    frame(left, right, low, high);
    least = view.scale;
  };
  const showAll = () => {
    frame(...range(xs, 0), ...range(ys, 0));
    least = Math.min(least, view.scale);
  };
  const toX = (x) => (x - view.x) * view.scale + width / 2;
  const toY = (y) => (view.y - y) * view.scale * stretch + height / 2;
  const fromX = (x) => (x - width / 2) / view.scale + view.x;
  const fromY = (y) => view.y - (y - height / 2) / (view.scale * stretch);

  // What is chosen: an area, as the corners that the address of its list has, and the rows in it.
  const status = document.getElementById("chosen"), ways = document.getElementById("chosen-ways");
  const listLink = document.getElementById("chosen-list");
  const chosen = { rows: null, corners: null };
  const isInside = (corners, x, y) => {
    let inside = false;
    corners.forEach(([x1, y1], at) => {
      const [x2, y2] = corners[(at || corners.length) - 1];
      if ((y1 > y) !== (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1) inside = !inside;
    });
    return inside;
  };
  const say = (text, address) => {
    status.textContent = text;
    ways.hidden = !text;
    listLink.hidden = !address;
    if (address) listLink.href = address;
  };
  const count = (rows) => `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "record" : "records"}`;
  const clear = () => { chosen.rows = chosen.corners = null; say("", ""); draw(); };
  const choose = (corners) => {
    const most = 150; // corners
    const kept = corners.filter((_, at) => corners.length <= most || at % Math.ceil(corners.length / most) === 0);
    const area = kept.map(([x, y]) => `${x.toFixed(5)},${y.toFixed(5)}`).join(" ");
    chosen.corners = area.split(" ").map((corner) => corner.split(",").map(Number));
    chosen.rows = [];
    for (let row = 0; row < n; row++) if (isInside(chosen.corners, xs[row], ys[row])) chosen.rows.push(row);
    const address = `${canvas.dataset.list}?${new URLSearchParams({ i: index, map: canvas.dataset.map, area })}`;
    say(chosen.rows.length ? `${count(chosen.rows)} chosen` : "No record lies there.", chosen.rows.length ? address : "");
    draw();
  };
  const chooseRegion = (region) => {
    chosen.corners = null;
    chosen.rows = [...regionOf.keys()].filter((row) => regionOf[row] === region.number);
    say(`${region.name}: ${count(chosen.rows)}`, region.list);
    const part = (values) => {
      const sorted = chosen.rows.map((row) => values[row]).sort((a, b) => a - b);
      return [sorted[Math.floor(sorted.length * 0.05)], sorted[Math.ceil(sorted.length * 0.95) - 1]];
    };
    frame(...part(xs), ...part(ys));
    view.scale = Math.min(view.scale * 0.8, least * 12);
    draw();
  };
  const chooseShown = () => {
    const [x1, x2, y1, y2] = [fromX(0), fromX(width), fromY(height), fromY(0)];
    choose([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]);
  };

  const pen = canvas.getContext("2d");
  let waiting = false;
  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  };
  const sprites = new Map(); // a disc of each colour and size
  const disc = (colour, radius, ratio) => {
    const key = `${colour} ${radius} ${ratio}`;
    if (!sprites.has(key)) {
      const side = Math.ceil(2 * radius * ratio) + 2, sprite = Object.assign(document.createElement("canvas"), { width: side, height: side });
      const brush = sprite.getContext("2d");
      brush.fillStyle = colour;
      brush.beginPath();
      brush.arc(side / 2, side / 2, radius * ratio, 0, 2 * Math.PI);
      brush.fill();
      sprites.set(key, sprite);
    }
    return sprites.get(key);
  };
  const paintPoints = (rows, colour, radius, ratio) => {
    const sprite = disc(colour, radius, ratio), side = sprite.width / ratio;
    for (const row of rows) {
      const x = toX(xs[row]), y = toY(ys[row]);
      if (x > -8 && y > -8 && x < width + 8 && y < height + 8) pen.drawImage(sprite, x - side / 2, y - side / 2, side, side);
    }
  };
  const paintLabels = (style) => {
    const near = view.scale > 2 * least, taken = [], shown = [];
    pen.font = `600 ${width < 500 ? 12 : 13}px ${style.fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    pen.strokeStyle = style.backgroundColor;
    pen.fillStyle = style.color;
    for (const region of regions) {
      const x = toX(region.x), y = toY(region.y);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      const terms = (near ? region.name : region.short).split(" · ");
      let lines = terms.length > 2 ? [terms.slice(0, 2).join(" · "), terms.slice(2).join(" · ")] : [terms.join(" · ")];
      if (lines.some((line) => pen.measureText(line).width > width * 0.45)) lines = terms;
      const wide = Math.max(...lines.map((line) => pen.measureText(line).width)) + 10, tall = 17 * lines.length + 4;
      const middle = Math.min(width - wide / 2, Math.max(wide / 2, x));
      for (const shift of [0, -22, 22, -44, 44]) {
        const box = [middle - wide / 2, y + shift - tall / 2, middle + wide / 2, y + shift + tall / 2];
        if (box[1] < 0 || box[3] > height || taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
        taken.push(box);
        shown.push({ region, box });
        lines.forEach((line, at) => {
          const place = y + shift + 17 * (at - (lines.length - 1) / 2);
          pen.strokeText(line, middle, place);
          pen.fillText(line, middle, place);
        });
        break;
      }
    }
    labels = shown;
    canvas.dataset.labels = shown.map(({ region }) => region.number).join(" ");
  };
  let labels = [], pointedRegion = 0, marked = -1;
  const paint = () => {
    const ratio = devicePixelRatio || 1, style = getComputedStyle(canvas);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const radius = Math.round(2 * Math.min(6, Math.max(1, 42 / Math.max(1, n) ** 0.33) * Math.min(2, (view.scale / least) ** 0.4))) / 2;
    const some = pointedRegion ? (row) => regionOf[row] === pointedRegion : chosen.rows && ((inside) => (row) => inside.has(row))(new Set(chosen.rows));
    for (const [colour, rows] of groups) {
      pen.globalAlpha = some ? 0.13 : hits.length ? 0.5 : 0.8;
      paintPoints(rows, colour, radius, ratio);
      if (!some) continue;
      pen.globalAlpha = 0.95;
      paintPoints(rows.filter(some), colour, radius, ratio);
    }
    pen.globalAlpha = 1;
    for (const row of hits) {
      pen.beginPath();
      pen.arc(toX(xs[row]), toY(ys[row]), row === marked ? 9 : 5.5, 0, 2 * Math.PI);
      pen.fillStyle = "#ffd23f";
      pen.strokeStyle = style.color;
      pen.lineWidth = 1.5;
      pen.fill();
      pen.stroke();
    }
    if (question) {
      const x = toX(question[0]), y = toY(question[1]);
      pen.strokeStyle = style.color;
      pen.lineWidth = 3;
      pen.beginPath();
      pen.moveTo(x - 9, y); pen.lineTo(x + 9, y); pen.moveTo(x, y - 9); pen.lineTo(x, y + 9);
      pen.stroke();
    }
    paintLabels(style);
    const outline = lasso ?? chosen.corners?.map(([x, y]) => [toX(x), toY(y)]);
    if (outline) {
      pen.beginPath();
      outline.forEach(([x, y]) => pen.lineTo(x, y));
      pen.closePath();
      pen.strokeStyle = style.color;
      pen.lineWidth = 1.5;
      pen.setLineDash([6, 4]);
      pen.stroke();
      pen.setLineDash([]);
    }
    canvas.dataset.drawn = String(n);
  };
  const zoom = (factor, x = width / 2, y = height / 2) => {
    const wanted = Math.min(least * 400, Math.max(least / 3, view.scale * factor));
    const [fixedX, fixedY] = [fromX(x), fromY(y)];
    view.scale = wanted;
    view.x += fixedX - fromX(x);
    view.y += fixedY - fromY(y);
    draw();
  };

  // The record or label below the pointer.
  const tip = document.getElementById("tip");
  let pointedAt = null;
  const labelAt = (x, y) => labels.find(({ box }) => x > box[0] && x < box[2] && y > box[1] && y < box[3])?.region;
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
    tip.style.left = `${Math.min(x + 12, Math.max(0, width - 260))}px`;
    tip.style.top = `${y + 14}px`;
    tip.hidden = false;
  };
  const point = (number) => { if (number !== pointedRegion) { pointedRegion = number; draw(); } };

  // Dragging moves the map, or draws around records: chosen by a button, or with Shift.
  const moving = document.getElementById("moving"), choosing = document.getElementById("choosing");
  const drawing = () => choosing.getAttribute("aria-pressed") === "true";
  const setDrawing = (on) => {
    choosing.setAttribute("aria-pressed", String(on));
    moving.setAttribute("aria-pressed", String(!on));
    canvas.closest(".map").classList.toggle("drawing", on);
  };
  moving.addEventListener("click", () => setDrawing(false));
  choosing.addEventListener("click", () => setDrawing(true));
  const pointers = new Map();
  let moved = 0, resting = null, lasso = null;
  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    moved = 0;
    lasso = pointers.size === 1 && (drawing() || event.shiftKey) ? [place(event)] : null; // two fingers zoom
    clearTimeout(resting);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      clearTimeout(resting);
      const region = labelAt(x, y);
      point(region?.number ?? 0);
      if (region) { pointedAt = null; tip.hidden = true; } else resting = setTimeout(() => showTip(nearest(x, y), x, y), 60);
      return;
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const span = (spot) => Math.hypot(spot[0] - other[0], spot[1] - other[1]) || 1;
      zoom(span([x, y]) / span(before), (x + other[0]) / 2, (y + other[1]) / 2);
    } else if (lasso) {
      lasso.push([x, y]);
      draw();
    } else {
      view.x -= (x - before[0]) / view.scale;
      view.y += (y - before[1]) / (view.scale * stretch);
      draw();
    }
    moved += Math.hypot(x - before[0], y - before[1]);
    tip.hidden = true;
    pointers.set(event.pointerId, [x, y]);
  });
  canvas.addEventListener("pointerup", async (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const around = lasso;
    lasso = null;
    if (moved > 4) {
      if (around?.length > 2) choose(around.map(([x, y]) => [fromX(x), fromY(y)])); else draw();
      return;
    }
    const region = labelAt(...place(event));
    if (region) { point(0); chooseRegion(region); return; }
    const row = nearest(...place(event));
    const record = row < 0 || around ? null : await about(row);
    if (record) location.href = `${root}/record?${new URLSearchParams({ i: index, id: record.id })}`;
  });
  canvas.addEventListener("pointercancel", (event) => { pointers.delete(event.pointerId); lasso = null; draw(); });
  canvas.addEventListener("pointerleave", () => { clearTimeout(resting); pointedAt = null; tip.hidden = true; point(0); });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...place(event)); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const far = 60 / view.scale;
    const keys = {
      ArrowLeft: () => { view.x -= far; }, ArrowRight: () => { view.x += far; },
      ArrowUp: () => { view.y += far / stretch; }, ArrowDown: () => { view.y -= far / stretch; },
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: showAll, Home: showAll,
      Enter: chooseShown, Escape: clear,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
    draw();
  });
  document.getElementById("nearer").addEventListener("click", () => zoom(1.5));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("whole").addEventListener("click", () => { showAll(); draw(); });
  document.getElementById("shown").addEventListener("click", chooseShown);
  document.getElementById("clear").addEventListener("click", () => { clear(); canvas.focus(); });
  const onHover = (item, enter, leave) => {
    for (const [kind, act] of [["pointerenter", enter], ["pointerleave", leave], ["focusin", enter], ["focusout", leave]]) item.addEventListener(kind, act);
  };
  for (const region of regions) {
    onHover(region.item, () => point(region.number), () => point(0));
    region.item.querySelector(".find").addEventListener("click", () => { point(0); chooseRegion(region); });
  }
  for (const item of document.querySelectorAll(".drawn li")) {
    onHover(item, () => { marked = +item.dataset.row; draw(); }, () => { marked = -1; draw(); });
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
