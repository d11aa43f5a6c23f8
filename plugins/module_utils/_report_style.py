# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""How the HTML report looks and behaves: its style sheet and its script, both fixed texts that hold no data."""

from __future__ import annotations

import typing as t

__all__ = ["SCRIPT", "STYLE"]

# Each verdict has a colour, a sign and a word. Colours keep a contrast of 4.5:1 or more to their background.
STYLE: t.Final = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #566072; --paper: #f6f7f9; --card: #fff; --line: #cfd5de;
  --good: #176b3a; --good-bg: #e3f4e9; --bad: #a1161f; --bad-bg: #fce8e8; --mild: #7a4b00; --mild-bg: #fdf1da;
  --focus: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #a4afbf; --paper: #12161c; --card: #1b2129;
  --line: #39424f; --good: #7ddba0; --good-bg: #14301f; --bad: #ff9c9c; --bad-bg: #3b1719; --mild: #f0c674;
  --mild-bg: #362a10; --focus: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: .8rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .35rem 0; } code { font: .9em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.dim { color: var(--dim); }
.skip { position: absolute; left: -999rem; } .skip:focus { position: static; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.filters { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; align-items: center; }
.filters button, .filters input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .35rem .7rem; min-height: 2.5rem; }
.filters input { flex: 1 1 12rem; min-width: 0; }
.filters button[aria-pressed=true] { border: 2px solid var(--focus); font-weight: 600; }
.badge { display: inline-block; border-radius: .4rem; padding: .05rem .5rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); background: var(--good-bg); } .bad { color: var(--bad); background: var(--bad-bg); }
.mild { color: var(--mild); background: var(--mild-bg); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .8rem 1rem;
  margin: 0 0 1rem; content-visibility: auto; contain-intrinsic-size: auto 22rem; }
section > header { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: baseline; }
article { border-top: 1px solid var(--line); padding: .6rem 0; }
.way { display: flex; align-items: stretch; list-style: none; margin: .3rem 0; padding: 0; gap: .4rem; }
.way > li { flex: 1 1 0; min-width: 0; border: 1px solid var(--line); border-radius: .5rem; padding: .3rem .5rem;
  overflow-wrap: anywhere; }
.way > li.link { flex: 0 0 auto; align-self: center; border: 0; padding: .1rem .4rem; max-width: 7rem;
  text-align: center; font-size: .85rem; border-radius: .4rem; }
.way b { display: block; font-size: .8rem; color: var(--dim); font-weight: 600; }
.times { border-top: 1px solid var(--line); } .times ol { list-style: none; margin: .3rem 0; padding: 0; }
.times li { margin: .35rem 0; overflow-wrap: anywhere; } .times svg { display: block; margin-top: .15rem;
  color: var(--dim); background: var(--paper); }
details > summary { cursor: pointer; color: var(--dim); padding: .2rem 0; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .15rem .5rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; } th { width: 8rem; font-weight: 600; }
[hidden] { display: none !important; }
@media (max-width: 45rem) { .filters button .dim { display: none; } .way { flex-direction: column; }
  .way > li.link { align-self: flex-start; max-width: none; }
  body { padding: .6rem; } th { width: 5.5rem; } }
@media print { .filters { display: none; } section { break-inside: avoid; content-visibility: visible; } }
"""

SCRIPT: t.Final = """
"use strict";
const buttons = [...document.querySelectorAll(".filters button")];
const search = document.getElementById("search");
const said = document.getElementById("shown");
const rows = [...document.querySelectorAll("article")].map(
  (row) => ({ row, verdict: row.dataset.verdict, text: row.dataset.find }));
const groups = [...document.querySelectorAll("main h3, main section")];
function apply() {
  const wanted = new Set(buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.value));
  const words = search.value.trim().toLowerCase();
  let shown = 0;
  for (const item of rows) {
    const hide = (wanted.size > 0 && !wanted.has(item.verdict)) || (words !== "" && !item.text.includes(words));
    item.row.hidden = hide;
    if (!hide) { shown += 1; }
  }
  const all = wanted.size === 0 && words === "";
  for (const group of groups) {
    const box = group.tagName === "H3" ? group.parentElement : group;
    const target = group.tagName === "H3" ? box : group;
    target.hidden = !all && box.querySelector("article:not([hidden])") === null;
  }
  said.textContent = shown + " of " + rows.length + " endpoints shown";
}
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    apply();
  });
}
let timer = 0;
search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, 120); });
document.querySelector(".filters").hidden = false;
apply();
"""
