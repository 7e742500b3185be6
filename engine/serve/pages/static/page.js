// Optional improvements of the pages: keyboard shortcuts, ticks kept across pages, years selected on the bars, short URLs.
// Every page works without this script.
"use strict";

const root = document.documentElement;

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Wide screens have room for the filters beside the hits.
const filters = one(".filters");
if (filters && matchMedia("(min-width: 64rem)").matches) filters.open = true;

// Keep empty fields out of the URL.
for (const form of all("form[method=get]")) {
  form.addEventListener("submit", () => {
    const blank = all("input, select", form).filter((field) => field.name && !field.value && !field.disabled);
    for (const field of blank) field.disabled = true;
    setTimeout(() => blank.forEach((field) => { field.disabled = false; }));
  });
}

// How much of each hit is shown is changed at once, and kept in the browser and in the address.
const list = one("#hits");
const showAs = (view) => {
  list.classList.remove("in-compact", "in-abstract");
  list.classList.add(`in-${view}`);
  for (const link of all("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
  const usual = one("[data-view]").dataset.view, address = new URL(location);
  if (view === usual) address.searchParams.delete("view"); else address.searchParams.set("view", view);
  if (address.href !== location.href) history.replaceState(history.state, "", address);
};
if (list && one(".views")) {
  // What is kept decides on the next pages, so that their addresses need not say it.
  const forget = () => {
    for (const link of all("main a[href*='view=']:not([data-view])")) {
      const address = new URL(link.href);
      if (address.origin === location.origin) { address.searchParams.delete("view"); link.href = address; }
    }
    all("input[name=view]").forEach((field) => field.remove());
  };
  if (all(".views [data-view]").some((link) => link.dataset.view === root.dataset.view)) showAs(root.dataset.view);
  for (const link of all(".views [data-view]")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      try { localStorage.setItem("view", link.dataset.view); } catch { return; }
      event.preventDefault();
      showAs(link.dataset.view);
      forget();
    });
  }
}

// Keep ticks while paging through the hits of one query and filtering them; hidden records lose their tick.
const exporting = one("#export");
if (exporting) {
  const key = `ticked ${exporting.dataset.question}`;
  const most = +exporting.dataset.most; // ticked hits in one file
  let own = null; // the ticks of this page, used if session storage is unavailable
  const read = () => { try { return new Set(own ?? JSON.parse(sessionStorage.getItem(key) || "[]")); } catch { return new Set(); } };
  const write = (ticked) => { try { sessionStorage.setItem(key, JSON.stringify([...ticked])); own = null; } catch { own = [...ticked]; } };
  const boxes = all(".tick");
  const everything = one("#all"), untick = one("#untick");
  const show = () => {
    const ticked = read();
    for (const box of boxes) box.checked = ticked.has(box.value);
    const elsewhere = ticked.size - boxes.filter((box) => box.checked).length;
    const more = elsewhere > 0 ? `, ${elsewhere} of them not on this page` : "";
    const excess = ticked.size > most ? `; a file can have at most ${most}` : "";
    one("#ticked").textContent = ticked.size ? `${ticked.size} ticked${more}${excess}` : "";
    untick.hidden = !ticked.size;
    everything.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  };
  const change = (some) => {
    const ticked = read();
    for (const box of some) if (box.checked) ticked.add(box.value); else ticked.delete(box.value);
    write(ticked);
    show();
  };
  for (const box of boxes) box.addEventListener("change", () => change([box]));
  everything.addEventListener("change", () => { boxes.forEach((box) => { box.checked = everything.checked; }); change(boxes); });
  untick.addEventListener("click", () => { write(new Set()); show(); everything.focus(); });
  exporting.addEventListener("submit", () => {
    all("input.elsewhere", exporting).forEach((field) => field.remove());
    const here = new Set(boxes.map((box) => box.value));
    for (const id of read()) {
      if (here.has(id)) continue;
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "tick", value: id, className: "elsewhere" });
      exporting.append(field);
    }
  });
  const out = new URLSearchParams(location.search).getAll("hide"), before = read();
  if (out.some((id) => before.has(id))) write(new Set([...before].filter((id) => !out.includes(id))));
  show();
  addEventListener("pageshow", show); // a page restored from the cache may have outdated ticks
}

for (const button of all("[data-copy]")) {
  button.addEventListener("click", async () => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

// Select a range of years by dragging over the bars.
const bars = one(".bars");
if (bars) {
  const from = one("#from"), to = one("#to");
  const barAt = (event) => {
    const box = bars.getBoundingClientRect(), list = all(".bar", bars);
    const place = Math.floor((event.clientX - box.left) / box.width * list.length);
    return list[Math.min(list.length - 1, Math.max(0, place))];
  };
  let start = null;
  const draw = (event) => {
    const pair = [start, barAt(event)].sort((a, b) => a.dataset.first - b.dataset.first);
    from.value = pair[0].dataset.first;
    to.value = pair[1].dataset.last;
    for (const bar of all(".bar", bars)) {
      bar.classList.toggle("in", +bar.dataset.last >= +from.value && +bar.dataset.first <= +to.value);
    }
  };
  bars.addEventListener("pointerdown", (event) => { start = barAt(event); bars.setPointerCapture(event.pointerId); draw(event); });
  bars.addEventListener("pointermove", (event) => { if (start) draw(event); });
  bars.addEventListener("pointerup", () => { start = null; });
  bars.addEventListener("pointercancel", () => { start = null; });
}

// A browser drops the ends of lines that are pasted into a field. In a numbered search they count, so they stay as
// line separators.
one("#q")?.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text") ?? "";
  if (!/[\r\n]/.test(text.trim())) return;
  event.preventDefault();
  const field = event.target;
  field.setRangeText(text.trim().replace(/\r\n?|\n/g, "\u2028"), field.selectionStart, field.selectionEnd, "end");
});

// Keyboard shortcuts: not while typing, not with Ctrl, Alt or Meta, and not if turned off.
const dialog = one("#keys"), using = one("#keys-used");
let used = null; // the setting of this page, used if local storage is unavailable
const areUsed = () => { try { return (used ?? localStorage.getItem("keys")) !== "off"; } catch { return true; } };
if (dialog) {
  using.checked = areUsed();
  using.addEventListener("change", () => {
    const wanted = using.checked ? "on" : "off";
    try { localStorage.setItem("keys", wanted); used = null; } catch { used = wanted; }
  });
  one("#keys-shown").addEventListener("click", () => dialog.showModal());
}
const hits = all("#hits > .hit");
let place = -1;
const go = (step) => {
  if (!hits.length) return;
  hits[place]?.classList.remove("here");
  place = Math.min(hits.length - 1, Math.max(0, place + step));
  hits[place].classList.add("here");
  one("h3 a", hits[place]).focus({ preventScroll: true });
  hits[place].scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
};
const keys = {
  "/": () => one("#q")?.select(),
  "?": () => dialog?.showModal(),
  j: () => go(1),
  k: () => go(-1),
  x: () => one(".tick", hits[place] ?? document.createElement("i"))?.click(),
  o: () => { const whole = hits[place] && one(".whole, .more", hits[place]); if (whole) whole.open = !whole.open; },
  s: () => hits[place] && one(".similar", hits[place])?.click(),
  h: () => hits[place] && one(".hide", hits[place])?.click(),
  n: () => one("a[rel=next]")?.click(),
  p: () => one("a[rel=prev]")?.click(),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, dialog");
  if (typing || !areUsed() || event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
