// The screening view with a script: keys, the next record at once, and decisions that are never lost.
// A decision is kept in the browser until the server has confirmed it. It has a key of its own, so that the server
// writes it once, however often it is sent. Without this script, the same forms work.
"use strict";

{
  const desk = document.getElementById("desk");
  const find = (selector, within = document) => within.querySelector(selector);
  const list = (selector, within = document) => [...within.querySelectorAll(selector)];
  const card = document.getElementById("card"), progress = document.getElementById("progress");
  const unsaved = document.getElementById("unsaved"), said = document.getElementById("said");
  const base = `${document.documentElement.dataset.root ?? ""}/review`;
  const order = desk.dataset.order;
  const prefix = `review ${base} ${desk.dataset.storage} `; // of what is stored: other reviewers and reviews have another
  const words = { include: "Included", exclude: "Excluded", maybe: "Maybe", note: "Note saved", undecided: "Taken back" };
  const waits = [1, 2, 5, 10, 20]; // seconds until a decision is sent again
  const most = 50; // records that can be gone back to at once

  // What is not saved yet, oldest first. It survives the tab; where the browser stores nothing, it is in memory only.
  const memory = new Map();
  const read = () => {
    const found = new Map(memory);
    try {
      for (const name of Object.keys(localStorage)) {
        if (name.startsWith(prefix)) found.set(name, JSON.parse(localStorage.getItem(name)));
      }
    } catch { /* nothing is stored */ }
    return [...found.values()].filter(Boolean).sort((a, b) => a.at - b.at);
  };
  const keep = (entry) => {
    try { localStorage.setItem(prefix + entry.fields.key, JSON.stringify(entry)); } catch { memory.set(prefix + entry.fields.key, entry); }
  };
  const forget = (entry) => {
    memory.delete(prefix + entry.fields.key);
    try { localStorage.removeItem(prefix + entry.fields.key); } catch { /* nothing is stored */ }
  };
  let last = 0;
  const now = () => { last = Math.max(last + 1, Date.now()); return last; }; // never the same twice
  const makeKey = () => [...crypto.getRandomValues(new Uint8Array(12))].map((n) => n.toString(16).padStart(2, "0")).join("");

  const say = (text) => { said.textContent = ""; requestAnimationFrame(() => { said.textContent = text; }); };
  const form = () => find("form.decide");
  let token = find("input[name=token]")?.value ?? "";

  // Records that are ready to be shown, and those that were.
  const ready = new Map();
  let upcoming = [], before = [];
  const markup = (html) => document.createRange().createContextualFragment(html);
  const remember = (id) => { before.push({ id, html: shownHtml }); before = before.slice(-most); };
  let shownHtml = card.innerHTML, shownAt = performance.now(), hiddenFor = 0, hiddenAt = null;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = performance.now();
    else if (hiddenAt !== null) { hiddenFor += performance.now() - hiddenAt; hiddenAt = null; }
  });
  const show = (html, text = "") => {
    shownHtml = html;
    card.replaceChildren(markup(html));
    shownAt = performance.now();
    hiddenFor = 0;
    const title = find("#title");
    title?.focus({ preventScroll: true });
    scrollTo(0, Math.min(scrollY, progress.offsetTop));
    say([text, title?.textContent.trim()].filter(Boolean).join(". Next: "));
  };
  const showNext = (text) => {
    const pending = new Set(read().filter((entry) => !entry.undo && !entry.refused).map((entry) => entry.fields.id));
    const id = upcoming.find((each) => ready.has(each) && !pending.has(each));
    if (id === undefined) { show('<p class="note" id="waiting">Loading the next record …</p>', text); return; }
    show(ready.get(id), text);
  };

  // Ask for the next records. Those that are decided here but not saved yet are left out.
  let asking = null, again = false;
  const prepare = async () => {
    if (asking) { again = true; return asking; }
    asking = (async () => {
      const query = new URLSearchParams({ order });
      for (const entry of read()) if (!entry.undo) query.append("skip", entry.fields.id);
      for (const id of ready.keys()) query.append("have", id);
      const answer = await fetch(`${base}/next?${query}`, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const found = await answer.json();
      for (const record of found.records) ready.set(record.id, record.html);
      for (const id of [...ready.keys()]) if (!found.next.includes(id) && id !== form()?.dataset.id) ready.delete(id);
      upcoming = found.next;
      token = found.token;
      progress.replaceChildren(markup(found.progress));
      const note = document.getElementById("order-note");
      if (note) note.textContent = found.note;
      if (find("#waiting")) {
        if (upcoming.length) showNext("");
        else show('<p class="note">No record is left.</p>');
      }
    })();
    try { await asking; } finally {
      asking = null;
      if (again) { again = false; refresh(); }
    }
  };
  let later = null;
  const refresh = () => {
    clearTimeout(later);
    prepare().catch(() => { if (find("#waiting")) later = setTimeout(refresh, 2000); });
  };

  // Send what is not saved, one after another, in order.
  let sending = false, failures = 0, timer = null;
  const send = async () => {
    if (sending) return;
    sending = true;
    clearTimeout(timer);
    try {
      for (let entry; (entry = read().find((each) => !each.refused)); ) {
        const path = entry.undo ? "undo" : "decide";
        const answer = await fetch(`${base}/${path}`, {
          method: "POST",
          headers: { Accept: "application/json", "X-Form-Token": token },
          body: new URLSearchParams(entry.fields),
          keepalive: true,
        });
        const body = await answer.json().catch(() => ({}));
        if (answer.ok) forget(entry);
        else if (body.error?.code === "form_token" && !entry.renewed) { entry.renewed = true; keep(entry); await prepare(); }
        else if (answer.status >= 400 && answer.status < 500 && ![401, 403, 408, 429].includes(answer.status)) {
          entry.refused = body.error?.message ?? `The server refused it (${answer.status}).`;
          keep(entry);
        } else throw new Error(body.error?.message ?? "");
        failures = 0;
        tell();
      }
    } catch (error) {
      const why = error instanceof TypeError ? "the server can’t be reached" : error.message || "the server failed";
      tell(why);
      timer = setTimeout(send, 1000 * waits[Math.min(failures++, waits.length - 1)]);
    } finally {
      sending = false;
    }
    refresh();
  };
  addEventListener("online", send);

  // Say what is not saved. What the server refused waits for the reviewer.
  const tell = (why = "") => {
    const left = read(), refused = left.filter((entry) => entry.refused);
    unsaved.hidden = !refused.length && !(why && left.length);
    const lines = [];
    if (why && left.length > refused.length) {
      const n = left.length - refused.length;
      lines.push(`${n === 1 ? "1 decision is" : `${n} decisions are`} not saved yet: ${why.replace(/\.$/, "")}. Kept in this browser, and sent again.`);
    }
    unsaved.replaceChildren(...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })));
    for (const entry of refused) {
      const line = document.createElement("span");
      line.className = "refused";
      const button = (text, act) => {
        const made = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: text });
        made.addEventListener("click", act);
        return made;
      };
      line.append(`“${entry.title}”: ${entry.refused} `);
      if (!entry.undo) line.append(button("Save it anyway", () => { delete entry.refused; delete entry.fields.seen; keep(entry); tell(); send(); }), " ");
      line.append(button("Drop it", () => { forget(entry); tell(); refresh(); }));
      unsaved.append(line);
    }
  };

  const decide = (button) => {
    const from = form();
    if (!from) return;
    const fields = Object.fromEntries(new FormData(from, button));
    for (const name of ["token", "back", "shown"]) delete fields[name];
    const choice = fields.decision ?? "exclude";
    if (choice !== "exclude" && fields.other_reason?.trim()) { say("A reason is for exclusion only"); find("#other-reason").focus(); return; }
    fields.seconds = Math.max(0.1, (performance.now() - shownAt - hiddenFor) / 1000).toFixed(1); // 0 is not kept
    const title = find("#title").textContent.trim().slice(0, 80), id = fields.id;
    keep({ fields, title, at: now() });
    remember(id);
    ready.delete(id);
    const back = find("input[name=back]", from)?.value;
    if (back) { leaveWhenSaved(`${base}/${back}`); return; }
    if (choice === "note" || choice === "undecided") { leaveWhenSaved(`${base}?${new URLSearchParams({ order, id })}`); return; }
    showNext([words[choice], fields.reason ?? fields.other_reason].filter(Boolean).join(": "));
    send();
    if (ready.size < 3) refresh(); // at once: the server may be slow
  };
  const leaveWhenSaved = async (address) => { await send(); if (!read().length) location.assign(address); };

  const undo = () => {
    const record = before.pop();
    const number = find("form.undo input[name=number]", progress)?.value;
    if (record) {
      const made = markup(record.html), of = find("input[name=key]", made).value;
      const fresh = find("input[name=key]", made);
      fresh.value = makeKey();
      fresh.setAttribute("value", fresh.value);
      const box = document.createElement("div");
      box.append(made);
      const refused = read().find((entry) => entry.refused && entry.fields.key === of);
      if (refused) { forget(refused); tell(); }
      else keep({ undo: true, fields: { of, key: makeKey() }, title: "Undo", at: now() });
      ready.set(record.id, box.innerHTML);
      show(box.innerHTML, "Undone");
      send();
    } else if (number) find("form.undo").requestSubmit();
    else say("Nothing to undo");
  };

  document.addEventListener("submit", (event) => {
    if (event.target.matches("form.decide")) { event.preventDefault(); decide(event.submitter); }
    if (event.target.matches("form.undo") && before.length) { event.preventDefault(); undo(); }
  });

  // Keys: not while typing, not with Ctrl, Alt or Meta; Escape leaves a field.
  const keysAreUsed = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, dialog");
    if (typing && event.key === "Escape") { find("#title")?.focus(); return; }
    if (typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat || !keysAreUsed()) return;
    const key = event.key.toLowerCase();
    if (key === "u") { event.preventDefault(); undo(); return; }
    const wanted = find(`[aria-keyshortcuts="${CSS.escape(key)}"]`, card);
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches("textarea")) wanted.focus(); else decide(wanted);
  });

  document.getElementById("order")?.addEventListener("change", (event) => event.target.form.requestSubmit());
  tell();
  send();
}
