// Optional improvements of the pages: keyboard shortcuts, ticks kept across pages, years selected on the bars, short URLs.
// Every page works without this script.
"use strict";

const root = document.documentElement;

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Wide screens have room for the filters beside the hits.
const filters = one(".filters");
if (filters && matchMedia("(min-width: 64rem)").matches) filters.open = true;

// While an answer is on its way, the page says so.
const search = one("#search");
const wait = () => {
  root.classList.add("busy");
  one("main").setAttribute("aria-busy", "true");
  const button = search && one(".ask button", search);
  if (button) { button.dataset.label ??= button.textContent; button.textContent = "Searching…"; }
};
addEventListener("pageshow", () => {
  root.classList.remove("busy");
  one("main").removeAttribute("aria-busy");
  const button = search && one(".ask button", search);
  if (button?.dataset.label) button.textContent = button.dataset.label;
});
if (search) {
  search.addEventListener("submit", wait);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link.target || link.hasAttribute("download")) return;
    const { origin, pathname, search: query } = new URL(link.href);
    if (origin === location.origin && pathname === location.pathname && query !== location.search) wait();
  });
  // What is chosen applies at once. What is typed is sent by Enter or Apply, years also when their fields are left.
  search.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=radio], input[type=checkbox]")) search.requestSubmit();
  });
  const range = one(".range", search);
  const years = () => `${one("#from").value}-${one("#to").value}`;
  if (range) {
    const before = years();
    range.addEventListener("focusout", (event) => {
      const next = event.relatedTarget;
      if (next && !range.contains(next) && !next.matches("button") && years() !== before && range.querySelector(":invalid") === null) {
        search.requestSubmit();
      }
    });
  }
}

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

// The titles come first; then the page is asked for again with its marks, which take longer.
const addMarks = async () => {
  const response = await fetch(location.href, { headers: { "Engine-Marks": "now" }, cache: "no-store" });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const marked = new Map(all("#hits > .hit", page).map((hit) => [one(".tick", hit).value, hit]));
  for (const hit of all(".hit", list)) {
    const other = marked.get(one(".tick", hit).value);
    if (!other) continue;
    one("h3 a", hit).replaceChildren(...one("h3 a", other).childNodes);
    if (one(".extract", hit)) one(".extract", hit).replaceWith(one(".extract", other));
    const before = one("details", hit), after = one("details", other);
    after.open = before.open;
    if (!before.contains(document.activeElement)) before.replaceWith(after);
  }
  const now = one(".messages"), later = one(".messages", page), kept = ".examples, .chips, .concealed";
  if (!now || !later) return;
  for (const each of [...now.children]) if (!each.matches(kept)) each.remove();
  let next = now.firstElementChild; // what is kept stays where it is: it may be open, or have the focus
  for (const each of [...later.children]) {
    if (each.matches(kept)) next = next?.nextElementSibling ?? null;
    else now.insertBefore(each, next);
  }
};
if (list?.hasAttribute("data-later")) addMarks().catch(() => {}).finally(() => list.removeAttribute("aria-busy"));

// Keep ticks while paging through the hits of one query and filtering them; hidden records lose their tick.
const storeTicks = (key) => {
  let own = null; // the ticks of this page, used if local storage is unavailable
  const read = () => { try { return new Set(own ?? JSON.parse(localStorage.getItem(key) || "[]")); } catch { return new Set(); } };
  const write = (ticked) => {
    try {
      if (ticked.size) localStorage.setItem(key, JSON.stringify([...ticked])); else localStorage.removeItem(key);
      own = null;
    } catch { own = [...ticked]; }
  };
  return { read, write };
};
// A form sends the ticks that it has no checked box for, too.
const addTicks = (form, read) => form.addEventListener("submit", () => {
  all("input.elsewhere", form).forEach((field) => field.remove());
  const here = new Set([...form.elements].filter((field) => field.name === "tick").map((field) => field.value));
  for (const id of read()) {
    if (here.has(id)) continue;
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "tick", value: id, className: "elsewhere" });
    form.append(field);
  }
});
const exporting = one("#export");
if (exporting) {
  const { read, write } = storeTicks(`ticked ${exporting.dataset.question}`);
  const most = +exporting.dataset.most; // ticked hits in one file
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
    const first = one("#top option");
    first.textContent = ticked.size ? `${ticked.size} ticked` : `all ${boxes.length} shown`;
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
  addTicks(exporting, read);
  const out = new URLSearchParams(location.search).getAll("hide"), before = read();
  if (out.some((id) => before.has(id))) write(new Set([...before].filter((id) => !out.includes(id))));
  show();
  addEventListener("pageshow", show); // a page restored from the cache may have outdated ticks
}

// The same for the records that were chosen on the map.
const choosing = one("#chosen-export");
if (choosing) {
  const { read, write } = storeTicks(`ticked ${choosing.dataset.question}`);
  const boxes = all(".tick"), untick = one("#chosen-untick");
  const show = () => {
    const ticked = read();
    for (const box of boxes) box.checked = ticked.has(box.value);
    const elsewhere = ticked.size - boxes.filter((box) => box.checked).length;
    one("#chosen-ticked").textContent = ticked.size ? `${ticked.size} ticked${elsewhere ? `, ${elsewhere} of them not on this page` : ""}` : "";
    untick.hidden = !ticked.size;
  };
  for (const box of boxes) {
    box.addEventListener("change", () => {
      const ticked = read();
      if (box.checked) ticked.add(box.value); else ticked.delete(box.value);
      write(ticked);
      show();
    });
  }
  untick.addEventListener("click", () => { write(new Set()); show(); });
  for (const form of all("#chosen-export, #chosen-label")) addTicks(form, read);
  show();
  addEventListener("pageshow", show);
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
  bars.addEventListener("pointerup", () => {
    if (start && (one("#q").value || location.search)) search.requestSubmit();
    start = null;
  });
  bars.addEventListener("pointercancel", () => { start = null; });
}

// Searches asked lately and saved ones, kept in this browser alone.
const kept = (name) => { try { return JSON.parse(localStorage.getItem(`${name} ${root.dataset.root ?? ""}`)) ?? []; } catch { return []; } };
const keep = (name, list) => { try { localStorage.setItem(`${name} ${root.dataset.root ?? ""}`, JSON.stringify(list)); } catch { /* full or refused */ } };
const now = () => {
  const address = new URLSearchParams(location.search);
  ["offset", "view"].forEach((name) => address.delete(name));
  const named = document.title.replace(/ · abstract-engine$/, "");
  const more = one(".chips") && one(".chips").textContent.replace(/[×\s]+/g, " ").trim();
  return { query: address.toString(), name: more ? `${named} (${more})` : named };
};
const RECENT = 12, SAVED = 100;
if (one("#found") && one("#hits")) {
  const here = now();
  keep("recent", [here, ...kept("recent").filter((each) => each.query !== here.query)].slice(0, RECENT));
  const saving = one("#save");
  const label = () => {
    const is = kept("saved").some((each) => each.query === here.query);
    saving.textContent = is ? "Saved" : "Save";
    saving.setAttribute("aria-pressed", is);
  };
  saving.addEventListener("click", () => {
    const others = kept("saved").filter((each) => each.query !== here.query);
    keep("saved", others.length === kept("saved").length ? [here, ...others].slice(0, SAVED) : others);
    label();
  });
  label();
}
const listKept = (name) => {
  const place = one(`#${name}`), items = kept(name);
  if (!place) return;
  place.hidden = !items.length;
  one("ul", place).replaceChildren(...items.map((each) => {
    const item = document.createElement("li"), link = document.createElement("a"), drop = document.createElement("button");
    link.href = `?${each.query}`;
    link.textContent = each.name;
    link.dir = "auto";
    Object.assign(drop, { type: "button", className: "plain", textContent: "Remove" });
    drop.setAttribute("aria-label", `Remove ${each.name}`);
    drop.addEventListener("click", () => { keep(name, kept(name).filter((other) => other.query !== each.query)); listKept(name); });
    item.append(link, " ", drop);
    return item;
  }));
};
for (const name of ["saved", "recent"]) {
  listKept(name);
  one(`#${name} .clear`)?.addEventListener("click", () => { keep(name, []); listKept(name); });
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
