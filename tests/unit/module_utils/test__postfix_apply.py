# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of things, and what happens when Postfix misbehaves, with a stand-in that can be told to."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _postconf, _postfix_apply
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidCertificate,
    InvalidInput,
    PostfixError,
    PostfixMissing,
)
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_apply import Change, Request, apply
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_policy import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_wishes import Wishes

from fake_postfix import FakePostfix
from postfix_states import MASTER, TRIXIE_DEFAULTS

TODAY: t.Final = dt.date(2027, 1, 1)
MAIN: t.Final = "# kept\nmyhostname = mx1.example.org\nrelayhost = [relay.example.org]\n"


@dataclass(frozen=True)
class Home:
    """A configuration directory, and the Postfix that it is of."""

    postfix: FakePostfix
    directory: Path

    @property
    def main_cf(self) -> str:
        return (self.directory / "main.cf").read_text()

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.directory.iterdir()}

    def apply(
        self,
        *,
        dry_run: bool = False,
        policies: tuple[Policy, ...] | None = None,
        policy_file: str | None = None,
        **wishes: t.Any,  # noqa: ANN401  # any field of Wishes
    ) -> Change:
        request = Request(
            wishes=Wishes(**wishes),
            directory=str(self.directory),
            policies=policies,
            policy_file=policy_file,
            accept=frozenset({"relayhost"}),
        )
        return apply(request, today=TODAY, dry_run=dry_run)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "main.cf").write_text(MAIN)
    (directory / "master.cf").write_text(MASTER)
    defaults = TRIXIE_DEFAULTS | {"queue_directory": str(tmp_path / "queue")}
    postfix = FakePostfix(defaults, {"-": Path("/etc/postfix"), "postfix-out": directory})
    monkeypatch.setattr(_postconf, "_run", postfix)
    monkeypatch.setattr(_postfix_apply, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    return Home(postfix, directory)


# --- a run, and a second one ---


def test_a_run_reads_once_writes_once_checks_and_reloads(home: Home) -> None:
    change = home.apply()
    assert change.changed
    assert change.reloaded
    assert home.main_cf.startswith(MAIN)
    assert "smtp_tls_security_level = dane" in home.main_cf
    calls = home.postfix.calls()
    assert calls[:4] == ["postconf -n", "postconf -x -C builtin", "postconf -M", "postconf -P -x"]
    assert len([call for call in calls if call.startswith("postconf -e ")]) == 1
    assert [call for call in calls if call.startswith("postfix ")] == [
        "postfix check",
        "postfix status",
        "postfix reload",
        "postfix status",
    ]


def test_a_second_run_only_reads(home: Home) -> None:
    home.apply()
    before = home.files()
    home.postfix.calls()
    change = home.apply()
    assert not change.changed
    assert not change.reloaded
    assert home.postfix.calls() == ["postconf -n", "postconf -x -C builtin", "postconf -M", "postconf -P -x"]
    assert home.files() == before


def test_a_dry_run_tells_what_a_run_does_and_touches_nothing(home: Home) -> None:
    before = home.files()
    foreseen = home.apply(dry_run=True, policies=(Policy("example.org", "may"),))
    assert home.files() == before
    assert not [call for call in home.postfix.calls() if re.match(r"postfix (check|reload)", call)]
    assert home.apply(policies=(Policy("example.org", "may"),)) == foreseen
    assert foreseen.files[0][1:] == (before["main.cf"], home.main_cf)


def test_the_owner_and_mode_of_main_cf_are_kept(home: Home) -> None:
    (home.directory / "main.cf").chmod(0o640)
    home.apply()
    assert (home.directory / "main.cf").stat().st_mode & 0o777 == 0o640


def test_what_postconf_lists_at_times_is_no_difference(home: Home) -> None:
    home.postfix.faults.add("names-directory")
    assert home.apply(log_level=2).changed
    assert "config_directory" not in home.main_cf


def test_a_symbolic_link_stays_one(home: Home) -> None:
    real = home.directory.parent / "real.cf"
    (home.directory / "main.cf").rename(real)
    (home.directory / "main.cf").symlink_to(real)
    home.apply()
    assert (home.directory / "main.cf").is_symlink()
    assert "smtp_tls_security_level = dane" in real.read_text()


def test_a_stopped_postfix_is_not_reloaded(home: Home) -> None:
    home.postfix.faults.add("stopped")
    assert not home.apply().reloaded
    assert not (home.directory / ".dane-reload-pending").exists()


# --- what goes wrong ---


def test_what_postfix_check_refuses_is_never_put_in_place(home: Home) -> None:
    before = home.files()
    home.postfix.faults.add("check-fails")
    with pytest.raises(PostfixError, match=re.escape("check failed: postfix: fatal: it will not do")):
        home.apply()
    assert home.files() == before


def test_an_edit_that_loses_a_setting_is_never_put_in_place(home: Home) -> None:
    before = home.files()
    home.postfix.faults.add("edits-more")
    message = "postconf did not make of main.cf what was asked: see relayhost; nothing was changed"
    with pytest.raises(PostfixError, match=re.escape(message)):
        home.apply()
    assert home.files() == before


def test_somebody_elses_edit_is_not_overwritten(home: Home) -> None:
    home.postfix.victim = home.directory / "main.cf"
    with pytest.raises(PostfixError, match=re.escape("was changed by somebody else in the meantime")):
        home.apply()
    assert home.main_cf == f"{MAIN}biff = no\n"


def test_a_postfix_that_dies_of_its_reload_is_reported_and_the_reload_stays_owed(home: Home) -> None:
    home.postfix.faults.add("reload-kills")
    with pytest.raises(PostfixError, match=re.escape("Postfix ended when it was reloaded; its log tells why")):
        home.apply()
    assert (home.directory / ".dane-reload-pending").exists()


def test_a_reload_that_a_killed_run_owed_is_made_up_for(home: Home) -> None:
    home.apply()
    (home.directory / ".dane-reload-pending").touch()
    assert home.apply(dry_run=True).reloaded
    home.postfix.calls()
    change = home.apply()
    assert change.changed
    assert change.reloaded
    assert "postfix reload" in home.postfix.calls()
    assert not home.apply().changed


def test_two_runs_at_once_do_not_meet(home: Home) -> None:
    handle = os.open(home.directory, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(PostfixError, match=re.escape(f"Another run is changing {home.directory}")):
        home.apply()
    os.close(handle)
    assert home.apply().changed


def test_leftovers_of_a_killed_run_are_no_hindrance(home: Home) -> None:
    (home.directory / "main.cf.dane-new").write_text("half")
    home.apply()
    assert sorted(home.files()) == ["main.cf", "master.cf"]


def test_errors_refuse_before_anything_changes(home: Home) -> None:
    (home.directory / "main.cf").write_text(MAIN + "ignore_mx_lookup_error = yes\n")
    before = home.files()
    with pytest.raises(
        PostfixError, match=re.escape("- ignore_mx_lookup_error: With `yes`, Postfix turns DANE off")
    ) as got:
        home.apply(policies=(Policy("example.org", "may"),))
    assert home.files() == before
    findings = t.cast("list[dict[str, str]]", got.value.details["findings"])
    assert [finding["setting"] for finding in findings] == ["ignore_mx_lookup_error", "relayhost"]


def test_a_finding_that_is_accepted_is_a_notice(home: Home) -> None:
    assert [(finding.setting, finding.severity) for finding in home.apply().findings] == [("relayhost", "notice")]


# --- the policy table ---


def test_a_policy_table_comes_and_goes(home: Home) -> None:
    table = home.directory / "dane_policy"
    change = home.apply(policies=(Policy("example.org", "may", comment="why"),))
    assert table.read_text().endswith("\n\n# why\nexample.org\tmay\n")
    assert f"smtp_tls_policy_maps = texthash:{table}" in home.main_cf
    assert [path for path, _unused, _unused in change.files] == [str(home.directory / "main.cf"), str(table)]
    assert not home.apply(policies=(Policy("example.org", "may", comment="why"),)).changed
    assert not home.apply().changed
    changed = home.apply(policies=(Policy("example.org", "encrypt"),))
    assert changed.reloaded
    assert not changed.plan
    gone = home.apply(policies=())
    assert gone.changed
    assert not table.exists()
    assert "smtp_tls_policy_maps" not in home.main_cf
    assert not home.apply(policies=()).changed


def test_a_policy_file_that_cannot_be_is_refused_before_anything_changes(home: Home) -> None:
    before = home.files()
    for path, message in (
        (home.directory / "missing" / "policy", "there is no directory"),
        (home.directory, "is a directory; name a file"),
        (home.directory / "main.cf" / "policy", "there is no directory"),
    ):
        with pytest.raises(PostfixError, match=f"policy_file: .*{message}"):
            home.apply(policies=(Policy("example.org", "may"),), policy_file=str(path))
    assert home.files() == before


def test_the_policies_of_an_earlier_run_are_still_ours_where_none_are_given(home: Home) -> None:
    home.apply(policies=(Policy("example.org", "may", comment="A broken peer."),))
    again = home.apply(policies=None)
    assert not again.changed
    assert [finding.setting for finding in again.findings if "example.org" in finding.setting] == []
    table = home.directory / "dane_policy"
    table.write_text(table.read_text().split("\n", 1)[1])
    assert [finding.setting for finding in home.apply(policies=None).findings if "example.org" in finding.setting]


def test_somebody_elses_file_is_not_taken_for_the_policy_table(home: Home) -> None:
    (home.directory / "dane_policy").write_text("example.org may\n")
    before = home.files()
    with pytest.raises(PostfixError, match=re.escape("is there and was not written by this module")):
        home.apply(policies=(Policy("example.org", "may"),))
    assert home.files() == before
    home.apply(policies=())
    assert (home.directory / "dane_policy").exists()


def test_an_expired_policy_is_a_warning(home: Home) -> None:
    policy = Policy("example.org", "may", until=TODAY - dt.timedelta(days=1))
    assert ("policies/example.org", "warning") in [
        (finding.setting, finding.severity) for finding in home.apply(policies=(policy,)).findings
    ]


# --- domains ---


def domains_added(home: Home, main: str) -> str:
    (home.directory / "main.cf").write_text(main)
    wanted = ("one.example", "two.example")
    return home.apply(dry_run=True, destinations=wanted).plan.assignments.get("mydestination", "")


def test_domains_that_are_received_already_are_not_added(home: Home) -> None:
    table, names = home.directory.parent / "table", home.directory.parent / "names"
    table.write_text("two.example OK\n")
    names.write_text("two.example\n")
    added = "$myhostname, localhost.$mydomain, localhost"
    assert domains_added(home, "") == f"{added}, one.example, two.example"
    assert domains_added(home, "virtual_alias_domains = one.example, TWO.example\n") == ""
    assert domains_added(home, f"virtual_mailbox_domains = hash:{table}\n") == f"{added}, one.example"
    assert domains_added(home, f"relay_domains = {names} one.example\n") == ""


def test_a_domain_that_was_the_host_name_is_kept_when_that_changes(home: Home) -> None:
    (home.directory / "main.cf").write_text("myhostname = example.org\nmydestination = $myhostname, localhost\n")
    wishes: dict[str, t.Any] = {"hostname": "mx1.example.org", "destinations": ("example.org",)}
    first = home.apply(**wishes)
    assert first.plan.assignments["mydestination"] == "$myhostname, localhost, example.org"
    assert not home.apply(**wishes).changed


def test_encryption_that_is_mandatory_is_not_taken_away(home: Home) -> None:
    (home.directory / "main.cf").write_text(MAIN + "smtp_tls_security_level = encrypt\n")
    before = home.files()
    with pytest.raises(PostfixError, match=re.escape("smtp_tls_security_level: It is `encrypt`, so mail is encrypted")):
        home.apply()
    assert home.files() == before
    assert home.apply(policies=(Policy("[relay.example.org]", "encrypt"),)).changed


def test_inbound_settings_are_looked_at_without_a_key_and_refuse_nothing(home: Home) -> None:
    (home.directory / "main.cf").write_text(MAIN + "smtpd_tls_security_level = encrypt\n")
    findings = [(one.setting, one.severity) for one in home.apply().findings]
    assert ("smtpd_tls_security_level", "warning") in findings


def test_transport_tables_are_read(home: Home) -> None:
    table = home.directory.parent / "transport"
    table.write_text("x\ty\n*\tsmtp:[192.0.2.1]\n")
    (home.directory / "main.cf").write_text(f"transport_maps = texthash:{table}\n")
    findings = [(one.setting, one.severity) for one in home.apply().findings]
    assert (f"transport_maps/texthash:{table}", "warning") in findings


def test_a_client_certificate_that_is_not_there_is_refused(home: Home) -> None:
    (home.directory / "main.cf").write_text(MAIN + "smtp_tls_cert_file = /none.pem\n")
    with pytest.raises(PostfixError, match=re.escape("smtp_tls_cert_file: /none.pem cannot be loaded with its key")):
        home.apply()


def test_a_domain_table_that_cannot_be_asked_stops_the_run(home: Home) -> None:
    with pytest.raises(PostfixError, match=re.escape("postmap -q one.example hash:/none failed: postmap: fatal")):
        domains_added(home, "virtual_mailbox_domains = hash:/none\n")


# --- instances ---


def test_an_instance_by_name(home: Home) -> None:
    request = Request(wishes=Wishes(), instance="postfix-out", accept=frozenset({"relayhost"}))
    assert apply(request, today=TODAY, dry_run=False).state.directory == str(home.directory)
    message = "instance: Postfix has no instance 'x' here; postmulti -l lists -, postfix-out"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        apply(Request(wishes=Wishes(), instance="x"), today=TODAY, dry_run=False)


def test_a_directory_without_main_cf(home: Home) -> None:
    (home.directory / "main.cf").unlink()
    with pytest.raises(InvalidInput, match=re.escape(f"config_directory: there is no main.cf in {home.directory}")):
        home.apply()


def test_without_postfix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_postconf, "SEARCH_PATH", str(tmp_path))
    for request in (
        Request(wishes=Wishes(), directory=str(tmp_path)),
        Request(wishes=Wishes(), instance="postfix-out"),
    ):
        with pytest.raises(PostfixMissing, match="install the Debian package postfix first"):
            apply(request, today=TODAY, dry_run=False)


def test_a_postfix_that_is_too_old(home: Home) -> None:
    home.postfix.defaults = {**home.postfix.defaults, "mail_version": "3.4.23"}
    with pytest.raises(PostfixError, match=re.escape("Postfix 3.4.23 is too old")):
        home.apply()


# --- chain files ---


def make_chain(directory: Path, name: str, kind: str) -> Path:
    options = ["-newkey", kind] + (["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else [])
    made = subprocess.run(
        ["openssl", "req", "-x509", *options, "-nodes", "-subj", "/CN=x", "-keyout", "-", "-out", "-"],
        capture_output=True,
        check=True,
    ).stdout
    path = directory / name
    path.touch(mode=0o600)
    path.write_bytes(made)
    return path


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("chains")
    make_chain(directory, "ecdsa.pem", "ec")
    make_chain(directory, "rsa.pem", "rsa:2048")
    return directory


def test_a_pattern_stands_for_the_files_that_are_there(home: Home, chains: Path) -> None:
    change = home.apply(chain_files=(f"{chains}/*.pem", f"{chains}/rsa.pem"))
    assert change.plan.assignments["smtpd_tls_chain_files"] == f"{chains}/ecdsa.pem, {chains}/rsa.pem"
    assert not home.apply(chain_files=(f"{chains}/*.pem",)).changed


def test_a_file_that_is_missing_stops_a_run_and_is_foretold_by_a_dry_one(home: Home, chains: Path) -> None:
    foreseen = home.apply(dry_run=True, chain_files=(f"{chains}/none*.pem",))
    assert foreseen.changed
    assert (f"{chains}/none*.pem", "warning") in [(finding.setting, finding.severity) for finding in foreseen.findings]
    before = home.files()
    with pytest.raises(InvalidInput, match=re.escape(f"chain_files: there is no file {chains}/none*.pem")):
        home.apply(chain_files=(f"{chains}/none*.pem",))
    assert home.files() == before


def test_a_key_that_is_not_the_certificates_is_refused(home: Home, chains: Path, tmp_path: Path) -> None:
    other = make_chain(tmp_path, "other.pem", "ec").read_text()
    key, _unused, _unused = other.partition("-----BEGIN CERTIFICATE-----")
    _unused, _unused, certificate = (chains / "ecdsa.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(f"{key}-----BEGIN CERTIFICATE-----{certificate}")
    with pytest.raises(
        InvalidCertificate, match=re.escape(f"chain_files: {mixed}: KEY_VALUES_MISMATCH; nothing was changed")
    ):
        home.apply(chain_files=(str(mixed),))


def test_two_keys_of_one_algorithm_are_refused(home: Home, chains: Path, tmp_path: Path) -> None:
    other = make_chain(tmp_path, "other.pem", "ec")
    with pytest.raises(InvalidCertificate, match="both hold an ECDSA key"):
        home.apply(chain_files=(f"{chains}/ecdsa.pem", str(other)))


def test_a_ca_file_that_smtpd_could_not_load_is_refused(home: Home, chains: Path, tmp_path: Path) -> None:
    assert home.apply(ca_file=str(chains / "ecdsa.pem")).plan.assignments["smtpd_tls_CAfile"] == f"{chains}/ecdsa.pem"
    before = home.files()
    empty = tmp_path / "empty.pem"
    empty.write_text("# no certificate\n")
    for dry_run in (True, False):
        with pytest.raises(InvalidCertificate, match=re.escape(f"ca_file: {empty}: ")):
            home.apply(dry_run=dry_run, ca_file=str(empty))
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(InvalidCertificate, match=re.escape(f"ca_file: {missing}: No such file or directory")):
        home.apply(ca_file=missing)
    foreseen = home.apply(dry_run=True, ca_file=missing)
    assert (missing, "warning") in [(finding.setting, finding.severity) for finding in foreseen.findings]
    assert home.files() == before


# --- a kill at every step ---


class Killed(BaseException):
    """Stands for SIGKILL: nothing that the code does on errors happens."""


STEPS: t.Final = 24  # more than the steps of a run, so that the last ones are not hit


def kill_at(step: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Have everything that leaves a trace outside of the process raise Killed before its `step`-th time."""
    done: list[str] = []

    def deadly(name: str, function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def wrapper(*arguments: t.Any, **options: t.Any) -> t.Any:  # noqa: ANN401  # stands for any function
            if len(done) == step:
                raise Killed
            done.append(name)
            return function(*arguments, **options)

        return wrapper

    patch.setattr(_postconf, "_run", deadly("run", _postconf._run))
    for name in ("replace", "unlink", "touch"):
        patch.setattr(Path, name, deadly(name, getattr(Path, name)))
    patch.setattr(os, "fsync", deadly("fsync", os.fsync))
    return done


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("backwards", [False, True], ids=["policies come", "policies go"])
def test_a_kill_leaves_a_valid_configuration_and_the_next_run_goes_on(home: Home, step: int, backwards: bool) -> None:
    policies = (Policy("example.org", "may"),)
    first: dict[str, t.Any] = {"policies": policies if backwards else ()}
    second: dict[str, t.Any] = {"policies": () if backwards else policies, "security_level": "dane-only"}
    home.apply(**second)
    wanted = home.files()
    home.apply(**first)
    before = home.main_cf
    home.postfix.calls()
    with pytest.MonkeyPatch.context() as patch:
        done = kill_at(step, patch)
        try:
            home.apply(**second)
        except Killed:
            assert step < STEPS
        else:
            assert len(done) <= step < STEPS
    main_cf, table = home.main_cf, home.directory / "dane_policy"
    assert main_cf in {before, wanted["main.cf"]}
    assert f"texthash:{table}" not in main_cf or table.exists()
    reloaded = "postfix reload" in home.postfix.calls()
    home.apply(**second)
    assert home.files() == wanted
    assert reloaded or "postfix reload" in home.postfix.calls()
    assert not home.apply(**second).changed
