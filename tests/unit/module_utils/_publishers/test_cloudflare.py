# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import socket
import threading
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidInput,
    PublisherRefused,
    PublisherUnavailable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.cloudflare import CloudflarePublisher
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.cloudflare_api import ATTEMPTS, CloudflareApi

from cloudflare_stand_in import CloudflareStandIn, Fault

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NAME: t.Final = "_25._tcp.mx1.example.org"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")
RECORDS: t.Final = "/zones/zone0/dns_records"


@pytest.fixture
def cloudflare() -> Iterator[CloudflareStandIn]:
    with CloudflareStandIn(["example.org", "example.net"]) as stand_in:
        yield stand_in


def publisher(cloudflare: CloudflareStandIn, slept: list[float] | None = None, token: str = "") -> CloudflarePublisher:
    waits = slept if slept is not None else []
    return CloudflarePublisher(CloudflareApi(token or cloudflare.token, url=cloudflare.url, sleep=waits.append))


def publish(
    cloudflare: CloudflareStandIn,
    *records: str,
    name: str = NAME,
    state: State = State.EXACT,
    ttl: int | None = None,
    slept: list[float] | None = None,
) -> Outcome:
    wanted = wanted_rrsets([{"name": name, "records": [*records], "ttl": ttl}], state)
    return converge(publisher(cloudflare, slept), wanted, resolver=None, sleep=lambda _seconds: None)


# --- the work ---------------------------------------------------------------------------------------------------------


def test_the_life_of_an_rrset(cloudflare: CloudflareStandIn) -> None:
    publish(cloudflare, A, B, ttl=600)
    assert (cloudflare.published(NAME), cloudflare.ttls(NAME)) == ([A, B], {600})
    publish(cloudflare, C, state=State.PRESENT)
    assert (cloudflare.published(NAME), cloudflare.ttls(NAME)) == ([A, B, C], {600})
    publish(cloudflare, B, ttl=120)
    assert (cloudflare.published(NAME), cloudflare.ttls(NAME)) == ([B], {120})
    publish(cloudflare, state=State.ABSENT)
    assert cloudflare.published(NAME) == []


def test_a_second_run_only_reads(cloudflare: CloudflareStandIn) -> None:
    """The case of community.general issue 7780, with two records: upper case and spaces come back."""
    publish(cloudflare, A, B)
    cloudflare.calls.clear()
    outcome = publish(cloudflare, A, B)
    assert outcome.before == outcome.after
    assert cloudflare.calls == [("GET", "/zones"), *[("GET", RECORDS)] * 3]


def test_a_replacement_never_leaves_the_name_without_a_record(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A)
    cloudflare.history.clear()
    publish(cloudflare, B)
    seen = [state[NAME] for state in cloudflare.history]
    assert [A, B] in seen
    assert all(seen)


def test_other_names_and_zones_are_left_alone(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add("_443._tcp.www.example.org", C)
    cloudflare.add("_25._tcp.mx.example.net", C)
    publish(cloudflare, A)
    publish(cloudflare, state=State.ABSENT)
    assert cloudflare.published("_443._tcp.www.example.org") == [C]
    assert cloudflare.published("_25._tcp.mx.example.net") == [C]


def test_aliases_are_followed_into_another_zone(cloudflare: CloudflareStandIn) -> None:
    cloudflare.alias(NAME, "TLSA.example.net.")
    outcome = publish(cloudflare, A)
    assert (outcome.after[NAME].owner, outcome.after[NAME].zone) == ("tlsa.example.net", "example.net")
    assert cloudflare.published("tlsa.example.net") == [A]


def test_the_automatic_ttl_is_what_it_means(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A, ttl=1)
    cloudflare.calls.clear()
    publish(cloudflare, A, ttl=300)
    assert {method for method, _path in cloudflare.calls} == {"GET"}


def test_the_ttl_that_means_automatic_is_refused_before_anything_changes(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A)
    outcome = publish(cloudflare, B, ttl=1)
    assert f"to Cloudflare the TTL 1 of {NAME} means 300; give ttl: 300" in outcome.errors["example.org"]
    assert cloudflare.published(NAME) == [A]


@pytest.mark.parametrize("ttl", [60, 3600])
def test_records_with_several_ttls_get_the_one_that_is_wanted(cloudflare: CloudflareStandIn, ttl: int) -> None:
    cloudflare.add(NAME, A, ttl=60)
    cloudflare.add(NAME, B, ttl=3600)
    assert publish(cloudflare, A, B).warnings == []
    assert cloudflare.ttls(NAME) == {60, 3600}
    outcome = publish(cloudflare, A, B, ttl=ttl)
    assert (outcome.errors, outcome.warnings, cloudflare.ttls(NAME)) == ({}, [], {ttl})
    cloudflare.calls.clear()
    publish(cloudflare, A, B, ttl=ttl)
    assert {method for method, _path in cloudflare.calls} == {"GET"}


def test_a_name_that_other_servers_have_is_refused(cloudflare: CloudflareStandIn) -> None:
    cloudflare.delegate("mx1.example.org")
    cloudflare.delegate("example.org")  # the zone's own
    with pytest.raises(PublisherRefused, match=re.escape(f"{NAME} is delegated: zone example.org has NS records")):
        publish(cloudflare, A)
    assert publish(cloudflare, A, name="_25._tcp.mx2.example.org").errors == {}


def test_a_thousand_records_need_few_calls(cloudflare: CloudflareStandIn) -> None:
    entries = [{"name": f"_25._tcp.h{number}.example.org", "records": [A]} for number in range(1100)]
    wanted = wanted_rrsets(entries, State.EXACT)
    outcome = converge(publisher(cloudflare), wanted, resolver=None, sleep=lambda _seconds: None)
    assert outcome.errors == {}
    assert [path for method, path in cloudflare.calls if method == "POST"] == [f"{RECORDS}/batch"] * 6
    cloudflare.calls.clear()
    again = converge(publisher(cloudflare), wanted, resolver=None)
    assert again.before == again.after
    assert len(cloudflare.calls) == 5  # zones, two pages of records, aliases, delegations


def test_zones_are_listed_over_all_pages() -> None:
    with CloudflareStandIn([*(f"z{number}.example" for number in range(120)), "example.org"]) as cloudflare:
        publish(cloudflare, A)
        assert cloudflare.published(NAME) == [A]
        assert cloudflare.calls.count(("GET", "/zones")) == 3


def test_the_closest_zone_is_taken() -> None:
    with CloudflareStandIn(["example.org", "mx1.example.org"]) as cloudflare:
        assert publish(cloudflare, A).after[NAME].zone == "mx1.example.org"


def test_without_the_batch_records_go_one_by_one_additions_first() -> None:
    with CloudflareStandIn(["example.org"], with_batch=False) as cloudflare:
        cloudflare.add(NAME, A)
        publish(cloudflare, B, C)
        assert cloudflare.published(NAME) == [B, C]
        methods = [method for method, path in cloudflare.calls if method != "GET" and not path.endswith("batch")]
        assert methods == ["POST", "POST", "DELETE"]


# --- rivals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_batch", [True, False])
def test_an_answer_that_was_lost_does_no_harm(with_batch: bool) -> None:
    """The call took effect and its answer did not come: tried again, the record is there, and that is success."""
    with CloudflareStandIn(["example.org"], with_batch=with_batch) as cloudflare:
        path = f"{RECORDS}/batch" if with_batch else RECORDS
        if not with_batch:
            cloudflare.faults.append(Fault("POST", f"{RECORDS}/batch", 405, times=1))
        cloudflare.faults.append(Fault("POST", path, 502, b"bad gateway", late=True))
        outcome = publish(cloudflare, A)
        assert outcome.errors == {}
        assert cloudflare.published(NAME) == [A]


def test_a_record_that_somebody_else_removed_is_no_failure(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A, B)
    one = publisher(cloudflare)
    wanted = wanted_rrsets([{"name": NAME, "records": [B]}], State.EXACT)
    original = one.apply

    def apply(zone: str, changes: t.Any) -> None:  # noqa: ANN401  # passed on
        for identifier, record in list(cloudflare.records["example.org"].items()):
            if record["data"]["certificate"].startswith("aaaa"):
                del cloudflare.records["example.org"][identifier]
        original(zone, changes)

    one.apply = apply  # type: ignore[method-assign]
    outcome = converge(one, wanted, resolver=None, sleep=lambda _seconds: None)
    assert (outcome.errors, cloudflare.published(NAME)) == ({}, [B])


@pytest.mark.parametrize("there", [[], [A, B]])
def test_two_runs_at_once_end_as_if_one_came_after_the_other(there: list[str]) -> None:
    for _round in range(50):
        with CloudflareStandIn(["example.org"]) as cloudflare:
            cloudflare.add(NAME, *there)
            outcomes = at_once(cloudflare, A, B)
            assert cloudflare.published(NAME) in ([A], [B])
            assert [outcome.errors for outcome in outcomes] == [{}, {}]


def at_once(cloudflare: CloudflareStandIn, *records: str) -> list[Outcome]:
    """One run for each record, each of which has read before any of them changes something."""
    outcomes: list[Outcome] = []
    everybody_has_read = threading.Barrier(len(records))

    def run(record: str) -> None:
        one = publisher(cloudflare)
        original = one.apply

        def apply(zone: str, changes: t.Any) -> None:  # noqa: ANN401  # passed on
            one.apply = original  # type: ignore[method-assign]  # the first time only
            everybody_has_read.wait(10)
            original(zone, changes)

        one.apply = apply  # type: ignore[method-assign]
        outcomes.append(converge(one, wanted_rrsets([{"name": NAME, "records": [record]}], State.EXACT), resolver=None))

    threads = [threading.Thread(target=run, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_what_came_later_is_left_and_told(cloudflare: CloudflareStandIn) -> None:
    one = publisher(cloudflare)
    original = one.apply

    def apply(zone: str, changes: t.Any) -> None:  # noqa: ANN401  # passed on
        original(zone, changes)
        cloudflare.add(NAME, C)

    one.apply = apply  # type: ignore[method-assign]
    outcome = converge(one, wanted_rrsets([{"name": NAME, "records": [A]}], State.EXACT), resolver=None)
    assert cloudflare.published(NAME) == [A, C]
    assert outcome.warnings == [f"{NAME} was changed by somebody else right after this run changed it"]


# --- faults -----------------------------------------------------------------------------------------------------------


def test_what_a_batch_refuses_in_part_changes_nothing(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A)
    outcome = publish(cloudflare, B, ttl=30)
    assert "says no (HTTP 400): Invalid TTL" in outcome.errors["example.org"]
    assert outcome.errors["example.org"].startswith(f"Zone example.org: the Cloudflare API at {cloudflare.url}: ")
    assert cloudflare.published(NAME) == [A]


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault("GET", RECORDS, 500, b"oops", times=99), PublisherUnavailable, "answered HTTP 500 5 times"),
        (
            Fault("GET", RECORDS, 200, b"<html>"),
            PublisherUnavailable,
            "answered HTTP 200 with something that is not JSON",
        ),
        (Fault("GET", RECORDS, 200, b'{"success": true, "result": []}'), PublisherUnavailable, "gave no list"),
        (
            Fault("GET", RECORDS, 200, b'{"success": true, "result": [], "result_info": {}}'),
            PublisherUnavailable,
            "does not say how many pages there are",
        ),
        (Fault("GET", RECORDS, 200, b'{"success": false}'), PublisherRefused, "says no (HTTP 200): no reason given"),
        (
            Fault("GET", RECORDS, 429, headers={"Retry-After": "240"}),
            PublisherUnavailable,
            "takes no more calls for 240 s (HTTP 429)",
        ),
        (
            Fault("GET", RECORDS, 302, headers={"Location": "http://127.0.0.1:1/"}),
            PublisherRefused,
            "says no (HTTP 302)",
        ),
    ],
)
def test_a_read_that_fails_changes_nothing(
    cloudflare: CloudflareStandIn, fault: Fault, error: type[Exception], message: str
) -> None:
    cloudflare.add(NAME, A)
    cloudflare.faults.append(fault)
    with pytest.raises(error, match=re.escape(message)) as caught:
        publish(cloudflare, state=State.ABSENT)
    assert cloudflare.token not in str(caught.value)
    assert cloudflare.published(NAME) == [A]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("POST", RECORDS, 200, b"<html>"), "answered HTTP 200 with something that is not JSON"),
        (Fault("POST", RECORDS, 200, b"<html>", late=True), "answered HTTP 200 with something that is not JSON"),
        (Fault("POST", RECORDS, 200, b'{"success": false}'), "says no (HTTP 200): no reason given"),
        (Fault("POST", RECORDS, 403, b"{}"), "Zone Read and DNS Write"),
        (Fault("POST", RECORDS, 429, headers={"Retry-After": "240"}), "takes no more calls for 240 s (HTTP 429)"),
        (Fault("POST", RECORDS, 200, seconds=0.6), "does not answer: timed out"),
        (Fault("POST", RECORDS, 200, seconds=0.6, late=True), "does not answer: timed out"),
    ],
)
def test_a_change_that_fails_removes_nothing_and_names_server_zone_and_cause(
    cloudflare: CloudflareStandIn, fault: Fault, message: str
) -> None:
    cloudflare.add(NAME, A)
    cloudflare.faults.append(fault)
    one = CloudflarePublisher(CloudflareApi(cloudflare.token, url=cloudflare.url, timeout=0.2))
    outcome = converge(one, wanted_rrsets([{"name": NAME, "records": [B]}], State.EXACT), resolver=None)
    assert outcome.errors["example.org"].startswith(f"Zone example.org: the Cloudflare API at {cloudflare.url}: ")
    assert message in outcome.errors["example.org"]
    assert cloudflare.token not in outcome.errors["example.org"]
    assert A in cloudflare.published(NAME)
    assert [record.to_text() for record in outcome.after[NAME].records] == cloudflare.published(NAME)


def test_one_good_record_and_one_bad_in_a_batch_change_nothing(cloudflare: CloudflareStandIn) -> None:
    other = "_25._tcp.mx2.example.org"
    one = publisher(cloudflare)
    original = one.apply

    def apply(zone: str, changes: t.Any) -> None:  # noqa: ANN401  # passed on
        cloudflare.alias(other, "elsewhere.example.net")
        original(zone, changes)

    one.apply = apply  # type: ignore[method-assign]
    entries = [{"name": name, "records": [A]} for name in (NAME, other)]
    outcome = converge(one, wanted_rrsets(entries, State.EXACT), resolver=None)
    assert "says no (HTTP 400): A CNAME record with that host already exists" in outcome.errors["example.org"]
    assert cloudflare.published(NAME) == []


def test_a_record_that_cannot_be_read_is_in_the_way_of_its_own_name_only(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add("_443._tcp.www.example.org", "3 1 1 abc")
    assert publish(cloudflare, A).errors == {}
    with pytest.raises(PublisherUnavailable, match=re.escape("a TLSA record at _443._tcp.www.example.org cannot be")):
        publish(cloudflare, A, name="_443._tcp.www.example.org")


def test_the_limit_on_calls_is_waited_out() -> None:
    with CloudflareStandIn(["example.org"], rate_limit=2) as cloudflare:
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            cloudflare.wait(seconds)

        one = CloudflarePublisher(CloudflareApi(cloudflare.token, url=cloudflare.url, sleep=sleep))
        outcome = converge(one, wanted_rrsets([{"name": NAME, "records": [A]}], State.EXACT), resolver=None)
        assert (outcome.errors, cloudflare.published(NAME), set(slept)) == ({}, [A], {30.0})


@pytest.mark.parametrize("data", [{"usage": 3}, {"usage": 3, "selector": 1, "matching_type": 1, "certificate": "zz"}])
def test_a_record_that_cannot_be_read_is_not_taken_for_none(
    cloudflare: CloudflareStandIn, data: dict[str, object]
) -> None:
    record = {"id": "1", "type": "TLSA", "name": NAME, "ttl": 60, "data": data}
    page = {"success": True, "result": [record], "result_info": {"total_pages": 1}}
    cloudflare.faults.append(Fault("GET", RECORDS, 200, json.dumps(page).encode()))
    with pytest.raises(PublisherUnavailable, match=re.escape(f"a TLSA record at {NAME} cannot be read")):
        publish(cloudflare, A)


def test_limits_are_waited_out(cloudflare: CloudflareStandIn) -> None:
    cloudflare.faults += [
        Fault("POST", RECORDS, 429, headers={"Retry-After": "7"}),
        Fault("POST", RECORDS, 503),
    ]
    slept: list[float] = []
    assert publish(cloudflare, A, slept=slept).errors == {}
    assert (slept, cloudflare.published(NAME)) == ([7, 2], [A])


def test_back_off_grows_and_ends(cloudflare: CloudflareStandIn) -> None:
    cloudflare.add(NAME, A)
    cloudflare.faults.append(Fault("POST", RECORDS, 500, times=ATTEMPTS))
    slept: list[float] = []
    outcome = publish(cloudflare, B, slept=slept)
    assert slept == [1, 2, 4, 8]
    assert "answered HTTP 500 5 times" in outcome.errors["example.org"]
    assert cloudflare.published(NAME) == [A]


def test_a_wrong_token_is_refused_and_not_shown(cloudflare: CloudflareStandIn) -> None:
    wanted = wanted_rrsets([{"name": NAME, "records": [A]}], State.EXACT)
    with pytest.raises(PublisherRefused, match=r"refuses the token \(HTTP 401\): Authentication error") as caught:
        converge(publisher(cloudflare, token="another-token"), wanted, resolver=None)  # noqa: S106  # opens nothing
    assert "another-token" not in str(caught.value)


def test_a_token_that_may_only_read() -> None:
    with CloudflareStandIn(["example.org"], read_only=True) as cloudflare:
        outcome = publish(cloudflare, A)
    assert "It needs the permissions Zone Read and DNS Write for this zone" in outcome.errors["example.org"]


def test_a_name_in_no_zone_of_the_token(cloudflare: CloudflareStandIn) -> None:
    with pytest.raises(
        PublisherRefused, match=re.escape("_25._tcp.mx.example.com is in no zone that this token can see")
    ):
        publish(cloudflare, A, name="_25._tcp.mx.example.com")


def test_aliases_that_do_not_end(cloudflare: CloudflareStandIn) -> None:
    cloudflare.alias(NAME, "a.example.org")
    cloudflare.alias("a.example.org", NAME)
    with pytest.raises(PublisherRefused, match="more than 8 aliases in a row, or a loop of them"):
        publish(cloudflare, A)


def test_nobody_answers() -> None:
    with CloudflareStandIn(["example.org"]) as cloudflare:
        url = cloudflare.url
    api = CloudflareApi("t", url=url)
    with pytest.raises(PublisherUnavailable, match=re.escape(f"{url}/zones does not answer: ")):
        CloudflarePublisher(api).read([NAME])


def test_an_answer_that_does_not_come_in_time_is_no_empty_zone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PublisherUnavailable, match=re.escape(f"{url}/zones does not answer: timed out")):
            CloudflarePublisher(CloudflareApi("t", url=url, timeout=0.2)).read([NAME])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Provider cloudflare needs api_token"),
        ({"api_token": "with space"}, "has characters that no token has"),
        ({"api_token": "line\nbreak"}, "has characters that no token has"),
        ({"api_token": "t", "api_url": "http://api.example.net"}, "is no https URL; the token would be readable"),
        ({"api_token": "t", "api_url": "file:///etc/passwd"}, "is no https URL"),
    ],
)
def test_bad_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        CloudflarePublisher.from_options(options)
