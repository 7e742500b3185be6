// What must be known before the page is drawn: that scripts run (the server may then send the marks later), and how much of each hit was shown last.
"use strict";
document.documentElement.classList.add("scripted");
document.cookie = `marks=later; SameSite=Strict; path=${document.documentElement.dataset.root}/`;
try {
  const view = new URLSearchParams(location.search).get("view") || localStorage.getItem("view");
  if (view) document.documentElement.dataset.view = view;
} catch { /* nothing is kept here */ }
