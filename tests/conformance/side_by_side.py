# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our digests and verdicts beside those of programs that nobody here wrote: ``python -m conformance.side_by_side``.

The programs run in a container of each Debian release, one after the other. The rows are put into
build/conformance.json beside what other runs left there; the status is 1 when a program disagrees, except where a case
says beforehand why it will.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from conformance import dane_verdicts, tlsa_digests
from conformance.judge_container import judges
from lab.topology import Suite

TARGET = Path(__file__).resolve().parents[2] / "build" / "conformance.json"
OURS = ("digests: ", "verdict: ")


def main() -> int:
    """Ask, write, and tell how many agree."""
    rows: list[dict[str, Any]] = []
    for suite in Suite:
        with judges(suite) as judge:
            for part in (tlsa_digests, dane_verdicts):
                found = part.run(judge)
                rows += found
                counts = Counter(bool(row["agree"]) for row in found)
                print(f"{part.__name__} on {suite}: {counts[True]} agree, {counts[False]} do not", flush=True)
    before = json.loads(TARGET.read_text("utf-8")) if TARGET.exists() else []
    others = [row for row in before if not str(row["case"]).startswith(OURS)]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps([*others, *rows], indent=1) + "\n", "utf-8")
    wrong = [row for row in rows if not row["agree"] and not row.get("why")]
    for row in wrong:
        print(json.dumps(row))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
