# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open the report in Chromium, wide and narrow, light and dark; use it by keyboard; keep pictures in build/page."""

from __future__ import annotations

import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.mailsec.dane.plugins.module_utils._report import merged
from ansible_collections.mailsec.dane.plugins.module_utils._report_html import page as render

from page.chromium import Browser, browser
from page.samples import earlier_report, large_result, varied_result

BUILD: t.Final = Path(__file__).resolve().parents[2] / "build" / "page"
TAB, SPACE = 9, 32

# Text whose contrast to what lies behind it is too low (WCAG 2, 4.5:1), as a list of its beginnings.
LOW_CONTRAST: t.Final = """(() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const lum = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
    return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const back = (el) => { for (; el; el = el.parentElement) { const c = parse(getComputedStyle(el).backgroundColor);
    if (c.length === 3 || c[3] > 0) { return c.slice(0, 3); } } return [255, 255, 255]; };
  const bad = [];
  for (const el of document.querySelectorAll("body *")) {
    if (![...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) { continue; }
    if (["SCRIPT", "STYLE"].includes(el.tagName) || !el.checkVisibility()) { continue; }
    const a = lum(parse(getComputedStyle(el).color).slice(0, 3)), b = lum(back(el));
    if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) { bad.push(el.textContent.slice(0, 40)); }
  } return bad; })()"""


def main() -> int:
    """Run the checks; return the exit status."""
    BUILD.mkdir(parents=True, exist_ok=True)
    varied, large = BUILD / "varied.html", BUILD / "large.html"
    result, thousands = varied_result(), large_result(5000)
    varied.write_text(render(merged([result], earlier_report(result))), encoding="utf-8")
    large.write_text(render(merged([thousands], merged([thousands]))), encoding="utf-8")
    with browser() as window:
        for width in (1280, 400):
            for dark in (False, True):
                _looks(window, varied, width, dark=dark)
        _keyboard(window, varied)
        _times(window, varied)
        _large(window, large)
        _check(window.complaints == [], f"no complaint in the console: {window.complaints}")
    print(f"page: all checks passed; pictures in {BUILD}")
    return 0


def _check(held: object, what: str) -> None:
    if not held:
        sys.exit(f"page: FAILED: {what}")
    print(f"page: ok: {what[:100]}")


def _looks(window: Browser, page: Path, width: int, *, dark: bool) -> None:
    window.open(page, width, dark=dark)
    name = f"{width}{'-dark' if dark else ''}"
    window.screenshot(BUILD / f"{name}.png")
    over = window.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    _check(over <= 0, f"{name}: nothing is wider than the window ({over} pixels over)")
    low = window.evaluate(LOW_CONTRAST)
    _check(low == [], f"{name}: every text has a contrast of 4.5:1: {low}")
    _check(window.evaluate("document.querySelectorAll('h1').length") == 1, f"{name}: one heading of the first level")
    small = window.evaluate(
        "[...document.querySelectorAll('button, input')]"
        ".filter((e) => Math.min(e.offsetHeight, e.offsetWidth) < 24).length"
    )
    _check(small == 0, f"{name}: controls are large enough to hit")


def _shown(window: Browser) -> int:
    return int(window.evaluate("document.querySelectorAll('article:not([hidden])').length"))


def _keyboard(window: Browser, page: Path) -> None:
    window.open(page, 1280)
    total = _shown(window)
    visited = []
    for _unused in range(16):
        window.press("Tab", TAB)
        visited.append(
            window.evaluate(
                "document.activeElement.value || document.activeElement.id || document.activeElement.tagName"
            )
        )
        outline = window.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        _check(outline != "none", f"focus can be seen on {visited[-1]}")
        if visited[-1] == "mismatch":
            break
    _check(visited[-1] == "mismatch", f"the filter for mismatch is reached by Tab: {visited}")
    window.press(" ", SPACE, " ")
    wrong = _shown(window)
    _check(0 < wrong < total, f"Space shows the mismatches alone: {wrong} of {total}")
    _check(window.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true", "the button says pressed")
    said = window.evaluate("document.getElementById('shown').textContent")
    _check(said == f"{wrong} of {total} endpoints shown", f"a status is announced: {said}")
    empty = window.evaluate(
        "[...document.querySelectorAll('main section:not([hidden])')].filter("
        "(s) => s.querySelectorAll('article:not([hidden])').length === 0).length"
    )
    _check(empty == 0, "no empty group stays behind")
    window.screenshot(BUILD / "filtered.png")
    window.press(" ", SPACE, " ")
    _check(_shown(window) == total, "Space again shows all")
    window.evaluate("document.getElementById('search').focus()")
    for letter in "rsa":
        window.press(letter, ord(letter.upper()), letter)
    window.evaluate("new Promise((done) => setTimeout(done, 300))")
    _check(0 < _shown(window) < total, f"the search narrows: {_shown(window)} of {total}")
    window.evaluate("document.querySelector('article:not([hidden]) summary').focus()")
    window.press("Enter", 13, "\r")
    _check(window.evaluate("document.activeElement.parentElement.open"), "Enter opens records and certificates")
    window.screenshot(BUILD / "details.png")


def _times(window: Browser, page: Path) -> None:
    """The time line: open where a rollover was seen, its bars as wide as the page, in both widths."""
    for width in (1280, 400):
        window.open(page, width)
        _check(window.evaluate("document.querySelectorAll('.times[open]').length") > 0, "a time line is open")
        window.evaluate("document.querySelector('.times[open]').scrollIntoView()")
        window.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        narrow = window.evaluate(
            "[...document.querySelectorAll('.times[open] svg')].filter("
            "(e) => e.clientWidth < e.parentElement.clientWidth - 1 || e.clientHeight < 8).length"
        )
        _check(narrow == 0, f"{width}: its bars are drawn over the whole width")
        window.screenshot(BUILD / f"times-{width}.png")


def _large(window: Browser, page: Path) -> None:
    began = time.monotonic()
    window.open(page, 1280)
    loaded = time.monotonic() - began
    _check(_shown(window) == 5000, f"5,000 endpoints are there, {page.stat().st_size >> 20} MiB")
    _check(loaded < 15, f"and drawn in {loaded:.1f} s")
    frames = window.evaluate(
        """new Promise((done) => { const times = []; let last = performance.now(); let n = 0;
        const step = () => { const now = performance.now(); times.push(now - last); last = now; scrollBy(0, 900);
          n += 1; if (n < 90) { requestAnimationFrame(step); } else { done(times.sort((a, b) => a - b)); } };
        requestAnimationFrame(step); })"""
    )
    middle, slow = frames[len(frames) // 2], frames[int(len(frames) * 0.95)]
    _check(middle < 100, f"scrolling: half of the frames within {middle:.0f} ms, 95 % within {slow:.0f} ms")
    began = time.monotonic()
    window.evaluate("document.querySelector('button[value=mismatch]').click()")
    window.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    _check(0 < _shown(window) < 5000, f"filtering takes {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
