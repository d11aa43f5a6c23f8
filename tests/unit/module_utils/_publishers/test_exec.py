# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The publisher exec with programs that do as documented, and with such as do not."""

from __future__ import annotations

import json
import re
import sys
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidInput,
    PublisherConflict,
    PublisherError,
    PublisherPending,
    PublisherRefused,
    PublisherUnavailable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.exec import ExecPublisher
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import plan_tlsrpt, wanted_tlsrpt

if t.TYPE_CHECKING:
    from pathlib import Path

NAME: t.Final = "_25._tcp.mx1.example.org"
ALIAS: t.Final = "_25._tcp.alias.example.org"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")

# A program as a user might write it: the zone is a file.
PROGRAM: t.Final = """
import json, pathlib, sys
file, requests = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1] + ".requests")
zone = json.loads(file.read_text())
request = json.load(sys.stdin)
requests.open("a").write(json.dumps(request) + "\\n")
if request["version"] != 1 or request["type"] != "TLSA":
    sys.exit(10)
if request["action"] == "read":
    rrsets = []
    for name in request["names"]:
        owner = "_tlsa.example.org" if name.startswith("_25._tcp.alias") else name
        there = zone.get(owner, {"ttl": None, "records": []})
        rrsets.append({"name": name, "owner": owner, "zone": "example.org", **there})
    json.dump({"rrsets": rrsets}, sys.stdout)
elif request["action"] == "apply":
    for change in request["changes"]:
        if zone.get(change["name"], {"records": []})["records"] != change["before"]:
            sys.exit(11)
    for change in request["changes"]:
        zone.pop(change["name"], None)
        if change["after"]:
            zone[change["name"]] = {"ttl": change["ttl"], "records": change["after"]}
    file.write_text(json.dumps(zone))
"""


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    path = tmp_path / "zone"
    path.write_text("{}")
    return path


def program(code: str, *arguments: object, seconds: float = 10.0, **environment: str) -> ExecPublisher:
    command = [sys.executable, "-IS", "-c", code, *(str(argument) for argument in arguments)]
    return ExecPublisher.from_options({"command": command, "timeout": seconds, "environment": environment})


def publish(to: ExecPublisher, *records: str, name: str = NAME, state: State = State.EXACT) -> Outcome:
    wanted = wanted_rrsets([{"name": name, "records": [*records]}], state)
    return converge(to, wanted, resolver=None, sleep=lambda _seconds: None)


def requests(zone: Path) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in (zone.parent / "zone.requests").read_text().splitlines()]


# --- the work ---------------------------------------------------------------------------------------------------------


def test_the_life_of_an_rrset(zone: Path) -> None:
    for records, state, there in (
        ((A,), State.EXACT, [A]),
        ((B,), State.PRESENT, [A, B]),
        ((B, C), State.EXACT, [B, C]),
        ((), State.ABSENT, None),
    ):
        assert publish(program(PROGRAM, zone), *records, state=state).errors == {}
        assert json.loads(zone.read_text()).get(NAME, {}).get("records") == there


def test_what_the_program_is_asked(zone: Path) -> None:
    zone.write_text(json.dumps({NAME: {"ttl": 600, "records": [A]}}))
    publish(program(PROGRAM, zone), B)
    common = {"version": 1, "type": "TLSA"}
    read = {**common, "action": "read", "names": [NAME]}
    change = {
        "name": NAME,
        "ttl_before": 600,
        "ttl": 600,
        "before": [A],
        "after": [B],
        "add": [B],
        "remove": [A],
    }
    assert requests(zone) == [read, {**common, "action": "apply", "zone": "example.org", "changes": [change]}, read]


def test_a_thousand_rrsets_take_one_run_each_way(zone: Path) -> None:
    entries = [{"name": f"_25._tcp.h{number}.example.org", "records": [A, B]} for number in range(1000)]
    wanted = wanted_rrsets(entries, State.EXACT)
    assert converge(program(PROGRAM, zone), wanted, resolver=None).errors == {}
    assert [request["action"] for request in requests(zone)] == ["read", "apply", "read"]
    same = converge(program(PROGRAM, zone), wanted, resolver=None)
    assert same.before == same.after
    assert [request["action"] for request in requests(zone)[3:]] == ["read"]


def test_an_alias_is_followed(zone: Path) -> None:
    assert publish(program(PROGRAM, zone), A, name=ALIAS).after[ALIAS].owner == "_tlsa.example.org"
    assert [*json.loads(zone.read_text())] == ["_tlsa.example.org"]


def test_the_environment_is_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANE_KEY_SECRET", "not for others")
    monkeypatch.setenv("HOME", "/home/of/somebody")
    code = "import os, sys; sys.stderr.write(' '.join(f'{k}={v}' for k, v in sorted(os.environ.items()))); sys.exit(10)"
    with pytest.raises(PublisherRefused) as caught:
        program(code, TOKEN="t", LC_ALL="C").read([NAME])  # noqa: S106  # opens nothing
    names = re.findall(r"(\w+)=", str(caught.value))
    assert {"TOKEN", "PATH", "HOME"} <= {*names} <= {"TOKEN", "PATH", "HOME", "LC_ALL", "LOGNAME", "TZ", "USER"}
    assert "HOME=/home/of/somebody LC_ALL=C " in str(caught.value)


def test_the_program_is_told_that_text_records_are_meant(zone: Path) -> None:
    code = PROGRAM.replace('!= "TLSA"', '!= "TXT"')
    command = [sys.executable, "-IS", "-c", code, str(zone)]
    there = '"v=other1; of=somebody"'
    zone.write_text(json.dumps({"_smtp._tls.example.org": {"ttl": 60, "records": [there]}}))
    wanted = wanted_tlsrpt([{"name": "example.org", "rua": ["mailto:tls-reports@example.org"]}], None)
    to = ExecPublisher.from_options({"command": command}, TextRecord)
    assert converge(to, wanted, resolver=None, planner=plan_tlsrpt).errors == {}
    (published,) = json.loads(zone.read_text()).values()
    assert published["records"] == ['"v=TLSRPTv1; rua=mailto:tls-reports@example.org"', there]


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (1, PublisherUnavailable, "failed with exit status 1 (asked to read): because"),
        (2, PublisherUnavailable, "failed with exit status 2"),
        (10, PublisherRefused, "refused (asked to read): because"),
        (11, PublisherConflict, "found the RRset changed between reading and writing"),
        (12, PublisherPending, "has passed the change on, and it is not made yet; run again once it is"),
        (-9, PublisherUnavailable, "failed with signal 9"),
    ],
)
def test_exit_statuses(status: int, kind: type[PublisherError], message: str) -> None:
    """Whatever it writes beside, a run that does not end with 0 is no answer."""
    code = f"""
import json, os, sys
print(json.dumps({{"rrsets": [{{"name": "{NAME}", "zone": "example.org", "records": []}}]}}), flush=True)
sys.stderr.write("  because\\n"); sys.stderr.flush()
os.kill(os.getpid(), 9) if {status} < 0 else sys.exit({status})
"""
    with pytest.raises(kind, match=re.escape(f"the program {sys.executable} {message}")):
        publish(program(code), A)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (1, "failed with exit status 1 (asked to apply)"),
        (10, "refused (asked to apply)"),
        (12, "has passed the change on, and it is not made yet; run again once it is (asked to apply): told them"),
    ],
)
def test_a_change_that_is_not_made_names_zone_and_cause(zone: Path, status: int, message: str) -> None:
    zone.write_text(json.dumps({NAME: {"ttl": 600, "records": [A]}}))
    code = PROGRAM.replace("file.write_text", f"sys.stderr.write('told them'); sys.exit({status}); file.write_text")
    outcome = publish(program(code, zone), B)
    assert outcome.errors["example.org"].startswith(f"Zone example.org: the program {sys.executable} {message}")
    assert outcome.before == outcome.after


def test_a_lost_race_is_read_again(zone: Path) -> None:
    """The first time it is to change something, somebody else did."""
    rival = f"""
if request["action"] == "apply" and not zone:
    zone["{NAME}"] = {{"ttl": 60, "records": ["{B}"]}}
    file.write_text(json.dumps(zone))
"""
    code = PROGRAM.replace('if request["version"]', f'{rival}\nif request["version"]')
    assert publish(program(code, zone), A, state=State.PRESENT).errors == {}
    assert json.loads(zone.read_text())[NAME]["records"] == [A, B]


def answer(**changed: object) -> str:
    return json.dumps({"rrsets": [{"name": NAME, "zone": "example.org", "ttl": 60, "records": [A], **changed}]})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "Expecting value"),
        ("records: none", "Expecting value"),
        ("[]", "gave an answer to read that is not as it must be"),
        ("null", "gave an answer to read that is not as it must be"),
        ("{}", "it lacks 'rrsets'"),
        ('{"rrsets": null}', "gave an answer to read that is not as it must be"),
        ('{"rrsets": ["x"]}', "gave an answer to read that is not as it must be"),
        ('{"rrsets": []}', f"did not say what is at {NAME}; every name needs an answer"),
        ("[" * 100_000, "gave an answer to read that is not as it must be"),
        (answer(name="_26._tcp.mx1.example.org"), f"did not say what is at {NAME}"),
        (answer(records=None), f"the records of {NAME} are no list of texts"),
        (answer(records="3 1 1 ab"), f"the records of {NAME} are no list of texts"),
        (answer(records=["3 1 1 xyz"]), "must be hexadecimal digits"),
        (answer(records=[None]), f"the records of {NAME} are no list of texts"),
        (answer(ttl="60"), f"the ttl of {NAME} is '60', and no number of seconds"),
        (answer(ttl=True), "and no number of seconds"),
        (answer(ttl=-1), "and no number of seconds"),
        (answer(zone="example.net"), f"{NAME} is not in the zone example.net"),
        (answer(zone=7), "zone is 7, and no text"),
        (answer(owner="x y"), "Label 'x y' of host name"),
        (answer()[:-1] + ", " + answer()[1:-1].partition("[")[2].rpartition("]")[0], "gave an answer to read"),
        (json.dumps({"rrsets": 2 * json.loads(answer())["rrsets"]}), f"{NAME} is in it twice"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_no_empty_rrset(zone: Path, output: str, message: str) -> None:
    zone.write_text(output)
    code = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
    with pytest.raises(PublisherUnavailable, match=re.escape(message)):
        publish(program(code, zone), state=State.ABSENT)


def test_octets_that_are_no_text_are_no_answer() -> None:
    with pytest.raises(PublisherUnavailable, match="gave an answer to read that is not as it must be"):
        publish(program("import sys; sys.stdout.buffer.write(b'\\xff')"), A)


def test_time_is_limited() -> None:
    with pytest.raises(PublisherUnavailable, match=re.escape("did not end within 0.3 s (asked to read)")):
        publish(program("import time; time.sleep(60)", seconds=0.3), A)


def test_what_it_says_becomes_one_line_without_control_characters() -> None:
    code = "import sys; sys.stderr.write('x' * 9000 + 'first\\nsecond\\x1b[31m'); sys.exit(1)"
    with pytest.raises(PublisherUnavailable) as caught:
        program(code).read([NAME])
    said = str(caught.value).rpartition(": ")[2]
    assert (said.endswith("xxfirst second?[31m"), len(said)) == (True, 500)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Provider exec needs command"),
        ({"command": []}, "Provider exec needs command"),
        ({"command": ["publish"]}, "begins with 'publish'; give the program's full path"),
        ({"command": ["/nowhere/publish"]}, "/nowhere/publish, is no executable file on this host"),
        ({"command": ["/etc/passwd"]}, "/etc/passwd, is no executable file on this host"),
        ({"command": ["/etc"]}, "/etc, is no executable file on this host"),
        ({"command": ["/bin/true"], "environment": {"A=B": "c"}}, "has 'A=B', which no environment can hold"),
        ({"command": ["/bin/true"], "environment": {"A": "\0"}}, "has 'A', which no environment can hold"),
    ],
)
def test_bad_options(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        ExecPublisher.from_options(options)
