# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's work against stand-ins for Postfix's programs; molecule/mail_aliases has the real ones."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _alias_databases, _alias_store
from ansible_collections.mailsec.dane.plugins.module_utils._alias_databases import read_settings, rebuild
from ansible_collections.mailsec.dane.plugins.module_utils._alias_run import run
from ansible_collections.mailsec.dane.plugins.module_utils._alias_store import AliasStore, Change
from ansible_collections.mailsec.dane.plugins.module_utils._aliases import HEADING
from ansible_collections.mailsec.dane.plugins.module_utils._durable import Access, replace_file
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, PostfixError, PostfixMissing

if t.TYPE_CHECKING:
    from ansible_collections.mailsec.dane.plugins.module_utils._alias_settings import AliasSettings

# A table is a copy of the text's lines. The broken ones are named in the file "broken".
PROGRAM: t.Final = """#!{python}
import os, sys
from pathlib import Path

here = Path(sys.argv[0]).parent
name = Path(sys.argv[0]).name
settings = dict(line.split(" =", 1) for line in (here / "main.cf").read_text().splitlines())
broken = (here / "broken").read_text().split() if (here / "broken").exists() else []
with (here / "calls").open("a") as calls:
    calls.write(" ".join((name, *sys.argv[1:])) + "\\n")

def path(table):
    return Path(table.split(":", 1)[1] + (".lmdb" if table.startswith("lmdb:") else ".db"))

def build(table):
    text = Path(table.split(":", 1)[1]).read_text(errors="surrogateescape")
    lines = [line for line in text.splitlines() if line and line[0] not in "# "]
    if settings["smtputf8_enable"] == " yes":
        lines = [line for line in lines if line.isprintable()]
    if "deaf" in broken:
        lines = lines[:-1]
    for number, line in enumerate(lines, 1):
        if ":" not in line:
            where = f"{{table.split(':', 1)[1]}}, line {{number}}"
            print(f"postalias: warning: {{where}}: need name:value pair", file=sys.stderr)
    date = str(1_700_000_000 + int.from_bytes(os.urandom(3), "big"))
    # As in a real table of type cdb, key and value stand side by side.
    content = "\\n".join(["YP_LAST_MODIFIED" + date, *lines]) + "\\n"
    path(table).write_text(content, errors="surrogateescape")

if name == "postconf":
    print("\\n".join(f"{{key}} ={{settings.get(key, '')}}" for key in sys.argv[2:]))
elif name == "postalias" and sys.argv[1] == "-s":
    if "listing" in broken or not path(sys.argv[2]).exists() or not path(sys.argv[2]).read_bytes().startswith(b"YP_"):
        sys.exit("postalias: fatal: open database")
    for line in path(sys.argv[2]).read_text(errors="surrogateescape").splitlines():
        key, _colon, value = line.replace("MODIFIED", "MODIFIED:").partition(":")
        print(key + ":\\t" + value.strip())
elif name == "postalias":
    if "postalias" in broken:
        sys.exit("postalias: fatal: unsupported dictionary type: lmdb. Is the postfix-lmdb package installed?")
    build(sys.argv[1])
elif name == "postmap":
    lines = [line.split(":", 1) for line in path(sys.argv[3]).read_text().splitlines() if ":" in line]
    found = [value.strip() for key, value in lines if key == sys.argv[2]]
    print(found[0]) if found else sys.exit(1)
elif name == "newaliases":
    for table in settings["alias_database"].replace(",", " ").split():
        if "newaliases" in broken:
            path(table).write_text("half")
            sys.exit("newaliases: fatal: disk full")
        if "idle" not in broken:
            build(table)
"""

ORIGINAL: t.Final = "# mine\npostmaster:    root\nbob: bob@elsewhere.example\n"


@dataclass
class Postfix:
    """A configuration directory with stand-ins for the programs."""

    directory: Path

    @property
    def aliases(self) -> Path:
        return self.directory / "aliases"

    @property
    def table(self) -> Path:
        return self.directory / "aliases.db"

    def configure(self, **settings: str) -> None:
        values = {
            "alias_database": f"hash:{self.aliases}",
            "alias_maps": f"hash:{self.aliases}",
            "allow_mail_to_commands": "alias, forward",
            "allow_mail_to_files": "alias, forward",
            "allow_percent_hack": "yes",
            "default_database_type": "hash",
            "local_transport": "local:mx1",
            "mydestination": "here.example, localhost",
            "myorigin": "here.example",
            "parent_domain_matches_subdomains": "relay_domains",
            "smtputf8_enable": "yes",
            "swap_bangpath": "yes",
            **settings,
        }
        text = "".join(f"{name} = {value}\n" for name, value in values.items())
        (self.directory / "bin" / "main.cf").write_text(text)

    def break_down(self, *programs: str) -> None:
        (self.directory / "bin" / "broken").write_text(" ".join(programs))

    def calls(self, program: str) -> int:
        lines = (self.directory / "bin" / "calls").read_text().splitlines()
        return sum(line.startswith(program) for line in lines)

    def run(
        self, *, check_mode: bool = False, copy: t.Callable[[str], str] = "{}~".format, **options: object
    ) -> dict[str, t.Any]:
        defaults = {
            "path": str(self.aliases),
            "aliases": {},
            "names": [],
            "names_target": "root",
            "absent": [],
            "addresses": [],
            "backup": False,
        }
        return run({**defaults, **options}, check_mode=check_mode, backup=copy)


@pytest.fixture(name="postfix")
def fixture_postfix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Postfix:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("postconf", "postalias", "postmap", "newaliases"):
        (programs / name).write_text(PROGRAM.format(python=sys.executable))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    postfix = Postfix(tmp_path)
    postfix.configure()
    postfix.aliases.write_text(ORIGINAL)
    postfix.aliases.chmod(0o640)
    return postfix


TARGET: t.Final = {"root": "admin@elsewhere.example"}
AFTER: t.Final = f"{ORIGINAL}{HEADING}\nabuse: root\nroot: admin@elsewhere.example\n"


def test_the_file_is_changed_and_its_table_built(postfix: Postfix) -> None:
    result = postfix.run(aliases=TARGET, names=["postmaster", "abuse"])
    assert (result["changed"], result["file_changed"]) == (True, True)
    assert result["rebuilt"] == [{"database": f"hash:{postfix.aliases}", "reason": "it is missing"}]
    assert postfix.aliases.read_text() == AFTER
    assert postfix.aliases.stat().st_mode & 0o7777 == 0o640
    assert "root: admin@elsewhere.example" in postfix.table.read_text()


def test_who_is_reading_the_file_reads_the_old_one_to_its_end(postfix: Postfix) -> None:
    """One rename: at no moment, a crash of the machine included, is there half a file."""
    with postfix.aliases.open() as reader:
        postfix.run(aliases=TARGET)
        assert postfix.aliases.stat().st_ino != os.fstat(reader.fileno()).st_ino
        assert reader.read() == ORIGINAL


def test_the_same_again_changes_nothing_and_runs_no_newaliases(postfix: Postfix) -> None:
    postfix.run(aliases=TARGET, names=["abuse"])
    result = postfix.run(aliases=TARGET, names=["abuse"])
    assert (result["changed"], result["rebuilt"], result["diff"]) == (False, [], [])
    assert postfix.calls("newaliases") == 1


def test_check_mode_foretells_and_changes_nothing(postfix: Postfix) -> None:
    result = postfix.run(check_mode=True, aliases=TARGET, names=["abuse"])
    assert result["changed"]
    assert result["diff"][0]["before"] == ORIGINAL
    assert result["diff"][0]["after"] == AFTER
    assert result["diff"][1]["before"] == f"hash:{postfix.aliases}: it is missing\n"
    assert postfix.aliases.read_text() == ORIGINAL
    assert not postfix.table.exists()


@pytest.mark.parametrize(
    ("disturb", "reason"),
    [
        (lambda postfix: postfix.table.unlink(), "it is missing"),
        (lambda postfix: postfix.table.write_text("scrambled"), "it does not hold what the text says"),
        (lambda postfix: os.utime(postfix.table, (1, 1)), "it is older than the text"),
        (
            lambda postfix: postfix.aliases.write_text(postfix.aliases.read_text() + "new: x@elsewhere.example\n"),
            "it does not hold what the text says",
        ),
    ],
    ids=["table removed", "table damaged", "text touched", "text edited by hand"],
)
def test_newaliases_runs_when_a_table_needs_it_and_the_file_is_left_alone(
    postfix: Postfix, disturb: t.Callable[[Postfix], object], reason: str
) -> None:
    postfix.run(aliases=TARGET)
    disturb(postfix)
    text = postfix.aliases.read_text()
    result = postfix.run(aliases=TARGET)
    assert (result["changed"], result["file_changed"]) == (True, False)
    assert [found["reason"] for found in result["rebuilt"]] == [reason]
    assert postfix.aliases.read_text() == text
    assert not postfix.run(aliases=TARGET)["changed"]


def test_a_text_of_the_future_is_compared_by_what_it_says(postfix: Postfix) -> None:
    """postalias dates a table by the clock, so that no table could ever be as young as such a text."""
    future = time.time() + 86400
    os.utime(postfix.aliases, (future, future))
    assert [found["reason"] for found in postfix.run()["rebuilt"]] == ["it is missing"]
    assert not postfix.run()["changed"]
    postfix.aliases.write_text(f"{ORIGINAL}new: x@elsewhere.example\n")
    os.utime(postfix.aliases, (future, future))
    assert [found["reason"] for found in postfix.run()["rebuilt"]] == ["it does not hold what the text says"]
    assert not postfix.run()["changed"]


def test_a_table_that_the_disk_dates_before_its_text_is_no_failure(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built_by_another_clock() -> None:
        rebuild()
        os.utime(postfix.table, (1, 1))

    monkeypatch.setattr(_alias_store, "rebuild", built_by_another_clock)
    assert postfix.run(aliases=TARGET)["changed"]
    assert "root: admin@elsewhere.example" in postfix.table.read_text()


def test_a_table_of_a_type_that_cannot_be_listed_is_compared_without_its_date(postfix: Postfix) -> None:
    postfix.break_down("listing")
    assert postfix.run(aliases=TARGET)["changed"]
    assert not postfix.run(aliases=TARGET)["changed"]
    postfix.table.write_text(postfix.table.read_text().replace("admin@", "other@"))
    assert [found["reason"] for found in postfix.run()["rebuilt"]] == ["it does not hold what the text says"]
    postfix.aliases.write_text("")
    postfix.break_down("listing", "deaf")
    with pytest.raises(PostfixError, match="Postfix would not find root in hash:"):
        postfix.run(aliases=TARGET)


def test_every_database_counts(postfix: Postfix) -> None:
    other = postfix.directory / "lists"
    other.write_text("list: a@elsewhere.example\n")
    both = f"lmdb:{postfix.aliases}, hash:{other}"
    postfix.configure(alias_database=both, alias_maps=both)
    postfix.run(aliases=TARGET)
    assert (postfix.directory / "aliases.lmdb").exists()
    other.write_text("list: b@elsewhere.example\n")
    result = postfix.run(aliases=TARGET)
    assert result["rebuilt"] == [{"database": f"hash:{other}", "reason": "it does not hold what the text says"}]


@pytest.mark.parametrize("had_table", [True, False])
def test_where_newaliases_fails_file_and_table_are_put_back(postfix: Postfix, *, had_table: bool) -> None:
    if had_table:
        postfix.run()
    table = postfix.table.read_text() if had_table else None
    postfix.break_down("newaliases")
    message = "newaliases failed: newaliases: fatal: disk full. The aliases and their tables were put back as they were"
    with pytest.raises(PostfixError, match=re.escape(message)):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL
    assert (postfix.table.read_text() if postfix.table.exists() else None) == table


@pytest.fixture(name="full_disk")
def fixture_full_disk() -> t.Iterator[t.Callable[[], None]]:
    """A call after which no octet can be written to any file (RLIMIT_FSIZE), as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_all_is_put_back(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, full_disk: t.Callable[[], None]
) -> None:
    postfix.run()
    times = {path: path.stat().st_mtime_ns for path in (postfix.aliases, postfix.table)}
    table = postfix.table.read_bytes()

    def half_written() -> None:
        postfix.table.write_bytes(b"half")  # in place, as postalias does
        full_disk()
        msg = "newaliases failed: no space left"
        raise PostfixError(msg)

    monkeypatch.setattr(_alias_store, "rebuild", half_written)
    with pytest.raises(PostfixError, match=r"no space left\. The aliases and their tables were put back as they were"):
        postfix.run(aliases=TARGET)
    assert (postfix.aliases.read_text(), postfix.table.read_bytes()) == (ORIGINAL, table)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not list(postfix.directory.glob(".*"))


def test_a_text_that_cannot_be_written_is_named(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, full_disk: t.Callable[[], None]
) -> None:
    def late(path: Path, content: bytes, access: Access) -> None:
        full_disk()
        replace_file(path, content, access)

    monkeypatch.setattr(_alias_store, "replace_file", late)
    with pytest.raises(PostfixError, match=f"^{postfix.aliases} cannot be written: File too large. The aliases and"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL
    assert not list(postfix.directory.glob(".*"))


def test_on_a_full_disk_nothing_is_begun(postfix: Postfix, full_disk: t.Callable[[], None]) -> None:
    postfix.run()
    table = postfix.table.read_bytes()
    settings = read_settings()
    store = AliasStore(str(postfix.aliases))
    change = store.plan(store.read(), b"root: admin@elsewhere.example\n", settings, ())
    full_disk()
    with pytest.raises(PostfixError, match=r"aliases cannot be copied, so it could not be put back; nothing was chan"):
        store.apply(change, settings)
    assert (postfix.aliases.read_text(), postfix.table.read_bytes()) == (ORIGINAL, table)
    assert not list(postfix.directory.glob(".*"))


def test_what_cannot_be_put_back_is_named_and_the_rest_is_put_back(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = postfix.directory / "lists"
    lists.mkdir()
    other = lists / "other"
    other.write_text("list: a@elsewhere.example\n")
    postfix.configure(alias_database=f"hash:{other}, hash:{postfix.aliases}")
    postfix.run()
    table = postfix.table.read_bytes()

    def half_written() -> None:
        postfix.table.write_bytes(b"half")
        (lists / "other.db").unlink()
        (lists / "other.db").mkdir()
        msg = "newaliases failed: somebody is in the way"
        raise PostfixError(msg)

    monkeypatch.setattr(_alias_store, "rebuild", half_written)
    with pytest.raises(PostfixError, match="Not everything could be put back as it was: ") as caught:
        postfix.run(aliases=TARGET)
    [copy] = lists.glob(".other.db.*")
    assert f"{lists}/other.db (Is a directory; its former content is in {copy})" in str(caught.value)
    assert "list: a@elsewhere.example" in copy.read_text()
    assert (postfix.aliases.read_text(), postfix.table.read_bytes()) == (ORIGINAL, table)


def test_what_a_killed_run_left_is_removed_and_an_editors_file_is_not(postfix: Postfix) -> None:
    for path in (postfix.aliases, postfix.table):
        (postfix.directory / f".{path.name}.unfinished-abcd1234").write_text("half")
    (postfix.directory / ".aliases.swp").write_text("an editor's")
    postfix.run(aliases=TARGET)
    assert [path.name for path in postfix.directory.glob(".*")] == [".aliases.swp"]


def test_two_runs_at_once_do_not_meet(postfix: Postfix) -> None:
    handle = os.open(postfix.directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(PostfixError, match="cannot be locked, so another run may be changing"):
            postfix.run(aliases=TARGET)
    finally:
        os.close(handle)
    assert postfix.aliases.read_text() == ORIGINAL


def test_tables_behind_symbolic_links_are_put_back_where_they_are(postfix: Postfix) -> None:
    postfix.run()
    real = postfix.directory / "real.db"
    postfix.table.rename(real)
    postfix.table.symlink_to(real)
    content = real.read_bytes()
    postfix.break_down("newaliases")
    with pytest.raises(PostfixError, match="were put back as they were"):
        postfix.run(aliases=TARGET)
    assert postfix.table.is_symlink()
    assert real.read_bytes() == content


def test_a_newaliases_that_says_nothing_and_does_nothing_is_found_out(postfix: Postfix) -> None:
    postfix.run()
    postfix.break_down("idle")
    with pytest.raises(PostfixError, match=r"newaliases ran, and .* is still not right: it does not hold"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL


def test_a_table_that_postfix_cannot_build_is_found_before_anything_is_written(postfix: Postfix) -> None:
    postfix.break_down("postalias")
    with pytest.raises(PostfixError, match=r"Postfix cannot build hash:.*Is the postfix-lmdb package installed"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL


def test_loops_and_dead_ends_stop_before_anything_is_written(postfix: Postfix) -> None:
    for aliases in ({"root": "nobody-at-all"}, {**TARGET, "a": "b", "b": "a"}, {"root": "root"}):
        with pytest.raises(
            InvalidInput, match=re.escape(f"Nothing was changed in {postfix.aliases}, because mail would")
        ):
            postfix.run(aliases=aliases)
    assert postfix.aliases.read_text() == ORIGINAL
    assert not postfix.table.exists()


def test_a_domain_of_this_host_leads_to_its_aliases(postfix: Postfix) -> None:
    with pytest.raises(InvalidInput, match="nobody-at-all is neither an alias nor an account"):
        postfix.run(aliases={"root": "nobody-at-all@HERE.example"})
    assert postfix.run(aliases={"root": "bob@here.example"})["changed"]


@pytest.mark.parametrize("form", ["file", "table"])
def test_the_domains_of_this_host_may_stand_in_a_file_or_a_table(postfix: Postfix, form: str) -> None:
    domains = postfix.directory / "domains"
    domains.write_text("# ours\nhere.example\n")
    postfix.directory.joinpath("domains.db").write_text("here.example: yes\n")
    postfix.configure(mydestination=str(domains) if form == "file" else f"localhost hash:{domains}")
    for address in ("nobody-at-all@here.example", "nobody-at-all@here.example.", "nobody-at-all"):
        with pytest.raises(InvalidInput, match="nobody-at-all is neither an alias nor an account"):
            postfix.run(aliases={"root": address})
    assert postfix.run(aliases=TARGET)["warnings"] == []


def test_a_file_of_domains_that_cannot_be_read_is_told(postfix: Postfix) -> None:
    postfix.configure(mydestination="/nonexistent/domains, here.example")
    assert postfix.run(aliases=TARGET)["warnings"] == [
        "mydestination names the file /nonexistent/domains, which cannot be read: No such file or directory",
    ]
    assert postfix.run(aliases={"root": "nobody-at-all"})["changed"]


def test_commands_and_files_are_ends_where_postfix_delivers_to_them(postfix: Postfix) -> None:
    listed = postfix.directory / "listed"
    listed.write_text("|/bin/store\n")
    ways = {"root": f":include:{listed}"}
    with pytest.raises(InvalidInput, match="allow_mail_to_commands does not have include, so Postfix returns the mail"):
        postfix.run(aliases=ways)
    postfix.configure(allow_mail_to_commands="Alias, include", allow_mail_to_files="")
    assert postfix.run(aliases=ways)["changed"]
    with pytest.raises(InvalidInput, match="allow_mail_to_files does not have alias, so Postfix returns the mail"):
        postfix.run(aliases={"root": "/var/mail/kept"})


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        ("# nobody-at-all\nadmin@elsewhere.example\n", 0o644, ""),
        ("# only a comment\n", 0o644, "that file lists nobody"),
        ("x # nobody-at-all\n", 0o644, "nobody-at-all is neither an alias nor an account"),
        ("admin@elsewhere.example\n", 0o666, "everybody may write to that file, so Postfix returns the mail"),
        ("a@elsewhere.example\n" * 60_000 + "nobody-at-all\n", 0o644, ""),
        ("a@elsewhere.example," * 60_000 + "nobody-at-all\n", 0o644, ""),
        ("a@elsewhere.example\n" * 50_000 + "nobody-at-all\n", 0o644, "nobody-at-all is neither"),
    ],
    ids=[
        "list",
        "comment",
        "comment in a line",
        "open to all",
        "over a mebibyte",
        "over a mebibyte in a line",
        "below a mebibyte",
    ],
)
def test_include_files_are_followed(postfix: Postfix, content: str, mode: int, error: str) -> None:
    listed = postfix.directory / "listed"
    listed.write_text(content)
    listed.chmod(mode)
    ways = {"root": f":include:{listed}"}
    if error:
        with pytest.raises(InvalidInput, match=error):
            postfix.run(aliases=ways)
    else:
        assert postfix.run(aliases=ways)["changed"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("list", "leads to :include:list, and its path does not begin with /"),
        ("/dev/null", "leads to :include:/dev/null, and that is no regular file"),
        ("/nonexistent/list", "leads to :include:/nonexistent/list, and that file cannot be read"),
    ],
)
def test_what_is_no_include_file_reaches_nobody(postfix: Postfix, path: str, error: str) -> None:
    with pytest.raises(InvalidInput, match=error):
        postfix.run(aliases={"root": f":include:{path}"})


@pytest.mark.parametrize(
    ("parameter", "address"), [("allow_percent_hack", "x%elsewhere.example"), ("swap_bangpath", "elsewhere.example!x")]
)
def test_addresses_within_local_parts_are_for_another_host(postfix: Postfix, parameter: str, address: str) -> None:
    assert postfix.run(aliases={"root": address})["changed"]
    postfix.configure(**{parameter: "no"})
    with pytest.raises(InvalidInput, match=f"{address} is neither an alias nor an account"):
        postfix.run(aliases={"root": address})


def test_an_extension_is_taken_off_where_postfix_does_it(postfix: Postfix) -> None:
    aliases = {"root": "bob+root", "bob": "bob@elsewhere.example"}
    with pytest.raises(InvalidInput, match=r"bob\+root is neither an alias nor an account"):
        postfix.run(aliases=aliases)
    postfix.configure(recipient_delimiter="+")
    assert postfix.run(aliases=aliases)["changed"]


def test_where_a_table_cannot_be_asked_no_end_is_dead_and_it_is_told_once(postfix: Postfix) -> None:
    postfix.configure(alias_maps=f"hash:{postfix.aliases} hash:{postfix.directory}/nothing")
    result = postfix.run(aliases={"root": "nobody-at-all, nor-anybody"}, names=["abuse"])
    assert result["changed"]
    [warning] = result["warnings"]
    assert warning.endswith("; names that only this table has cannot be checked")


def test_where_postfix_delivers_unknown_names_too_no_end_is_dead(postfix: Postfix) -> None:
    postfix.configure(luser_relay="catchall@elsewhere.example")
    assert postfix.run(aliases={"root": "nobody-at-all"})["changed"]


def test_a_local_transport_without_aliases_is_warned_of(postfix: Postfix) -> None:
    postfix.configure(local_transport="error:no mail here", **{"error/unix/command": "error"})
    result = postfix.run(aliases={"root": "nobody-at-all"})
    assert result["changed"]
    [warning] = result["warnings"]
    assert warning.startswith("Postfix does not use aliases with this local_transport, error:no mail here, and ")


def test_a_local_transport_is_known_by_its_program(postfix: Postfix) -> None:
    postfix.configure(local_transport="accounts:mx1", **{"accounts/unix/command": "local -o x=y"})
    with pytest.raises(InvalidInput, match="nobody-at-all is neither an alias nor an account"):
        postfix.run(aliases={"root": "nobody-at-all"})
    assert postfix.run(aliases=TARGET)["warnings"] == []


@pytest.mark.parametrize(
    ("parameter", "recipients", "what"),
    [
        ("virtual_alias_domains", None, "v.example is in virtual_alias_domains, and virtual_alias_maps has no"),
        (
            "virtual_mailbox_domains",
            "virtual_mailbox_maps",
            "v.example is in virtual_mailbox_domains, and virtual_mailbox_maps has no",
        ),
        ("relay_domains", "relay_recipient_maps", "v.example is in relay_domains, and relay_recipient_maps has no"),
    ],
)
def test_an_address_at_a_domain_without_aliases_must_lead_somewhere(
    postfix: Postfix, parameter: str, recipients: str | None, what: str
) -> None:
    virtual = postfix.directory / "virtual.db"
    virtual.write_text("someone@v.example: root\n")
    mailboxes = postfix.directory / "mailboxes.db"
    mailboxes.write_text("someone@v.example: someone/\n")
    tables = {"virtual_alias_maps": f"hash:{postfix.directory}/virtual"}
    tables |= {recipients: f"hash:{postfix.directory}/mailboxes"} if recipients else {}
    postfix.configure(**{parameter: "v.example"}, **tables)
    addresses = ["Postmaster@V.example"]
    assert postfix.run(aliases=TARGET, addresses=addresses)["warnings"] == [
        f"Postmaster@V.example: {what} such address. Add a virtual alias that leads it to postmaster on this host"
    ]
    for table in (virtual, mailboxes) if recipients else (virtual,):
        for entry in ("postmaster@v.example: x\n", "@v.example: x\n"):
            before = table.read_text()
            table.write_text(before + entry)
            assert postfix.run(aliases=TARGET, addresses=addresses)["warnings"] == []
            table.write_text(before)


@pytest.mark.parametrize(
    "domains", [{"relay_domains": "example"}, {"virtual_mailbox_domains": "v.example"}], ids=["relay", "mailboxes"]
)
def test_without_a_list_of_recipients_they_are_left_to_who_has_them(postfix: Postfix, domains: dict[str, str]) -> None:
    postfix.configure(**domains)
    assert postfix.run(aliases=TARGET, addresses=["postmaster@v.example"])["warnings"] == []


def test_an_address_at_a_domain_of_this_host_must_be_an_alias_or_an_account(postfix: Postfix) -> None:
    addresses = ["postmaster@here.example", "tls-reports@here.example", "postmaster@unknown.example"]
    assert postfix.run(aliases=TARGET, addresses=addresses)["warnings"] == [
        "tls-reports@here.example: tls-reports is neither an alias nor an account on this host",
        (
            "postmaster@unknown.example: Postfix takes no mail for unknown.example. "
            "Add it to mydestination, or to another class of domains"
        ),
    ]


def test_an_address_whose_table_cannot_be_asked_is_told(postfix: Postfix) -> None:
    postfix.configure(virtual_alias_maps=f"hash:{postfix.directory}/nothing")
    [warning] = postfix.run(aliases=TARGET, addresses=["postmaster@here.example"])["warnings"]
    assert "postmaster@here.example: whether it reaches somebody could not be checked: hash:" in warning


def test_names_that_leave_the_host_are_warned_of(postfix: Postfix) -> None:
    postfix.configure(myorigin="elsewhere.example")
    assert any("myorigin is elsewhere.example" in warning for warning in postfix.run(aliases=TARGET)["warnings"])


def test_myorigin_may_be_a_file(postfix: Postfix) -> None:
    (postfix.directory / "mailname").write_text("here.example\nsecond line\n")
    postfix.configure(myorigin=str(postfix.directory / "mailname"))
    assert postfix.run(aliases=TARGET)["warnings"] == []


def test_what_postfix_complains_of_is_passed_on_with_the_real_path(postfix: Postfix) -> None:
    postfix.aliases.write_text(f"{ORIGINAL}garbage\n")
    assert postfix.run(aliases=TARGET)["warnings"] == [
        f"postalias: warning: {postfix.aliases}, line 3: need name:value pair"
    ]


LATIN_1: t.Final = b"postmaster: bob@elsewhere.example (J\xf6rg)\n"


def test_a_line_that_is_not_utf_8_is_no_alias_where_postfix_passes_over_it(postfix: Postfix) -> None:
    postfix.aliases.write_bytes(LATIN_1)
    postfix.run(names=["postmaster"], aliases=TARGET)
    after = postfix.aliases.read_bytes()
    assert after == LATIN_1 + f"{HEADING}\npostmaster: root\nroot: admin@elsewhere.example\n".encode()
    assert not postfix.run(names=["postmaster"], aliases=TARGET)["changed"]


def test_a_line_that_is_not_utf_8_is_an_alias_where_postfix_takes_it_for_one(postfix: Postfix) -> None:
    postfix.configure(smtputf8_enable="no")
    postfix.aliases.write_bytes(LATIN_1)
    postfix.run(names=["postmaster"], aliases=TARGET)
    assert postfix.aliases.read_bytes() == LATIN_1 + f"{HEADING}\nroot: admin@elsewhere.example\n".encode()


def test_octets_that_are_not_utf_8_are_shown_as_what_they_are(postfix: Postfix) -> None:
    """Ansible takes no result that cannot be encoded; the change was made then, and the task failed."""
    postfix.configure(smtputf8_enable="no")
    postfix.aliases.write_bytes(LATIN_1 + b"j\xf6rg: nobody-at-\xe4ll\n")
    result = postfix.run(aliases=TARGET)
    assert result["diff"][0]["before"] == (
        "postmaster: bob@elsewhere.example (J\\xf6rg)\nj\\xf6rg: nobody-at-\\xe4ll\n"
    )
    assert result["warnings"] == [r"nobody-at-\xe4ll is neither an alias nor an account on this host"]
    json.dumps(result, ensure_ascii=False).encode()
    with pytest.raises(InvalidInput, match=r"nobody-at-\\xe4ll is neither an alias"):
        postfix.run(aliases={"root": "j\udcf6rg"})


def test_a_wanted_name_that_postfix_would_not_find_stops_it_before_anything_is_written(postfix: Postfix) -> None:
    """Postfix's own table is the last proof that it reads the file as we do."""
    postfix.break_down("deaf")
    with pytest.raises(PostfixError, match=r"Postfix would not find root in hash:.*aliases, though .*aliases would"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alias_maps": "hash:/elsewhere"}, "Postfix does not look for aliases in"),
        ({"alias_database": "hash:/elsewhere"}, "newaliases does not build what Postfix reads: alias_maps has hash:"),
    ],
)
def test_a_file_that_postfix_does_not_read_is_refused(postfix: Postfix, settings: dict[str, str], message: str) -> None:
    postfix.configure(**settings)
    with pytest.raises(InvalidInput, match=message):
        postfix.run(aliases=TARGET)


def test_a_type_of_table_that_newaliases_does_not_build_is_refused(postfix: Postfix) -> None:
    both = f"hash:{postfix.aliases} regexp:/etc/regexp"
    postfix.configure(alias_database=both)
    with pytest.raises(InvalidInput, match="regexp is no type of table that newaliases builds"):
        postfix.run(aliases=TARGET)


def test_a_table_through_proxymap_is_the_same_table(postfix: Postfix) -> None:
    postfix.configure(alias_maps=f"proxy:hash:{postfix.aliases}")
    assert postfix.run(aliases=TARGET)["changed"]


def test_another_table_is_what_newaliases_will_make_of_its_text(postfix: Postfix) -> None:
    other = postfix.directory / "other"
    other.write_text("sales: bob@elsewhere.example\n")
    both = f"hash:{postfix.aliases} hash:{other}"
    postfix.configure(alias_maps=both, alias_database=both)
    (postfix.directory / "other.db").write_text("YP_LAST_MODIFIED: 1\nsales: nobody-at-all\n")
    result = postfix.run(aliases={"shop": "sales", **TARGET})
    assert result["warnings"] == []
    other.write_text("sales: nobody-at-all\n")
    with pytest.raises(InvalidInput, match="nobody-at-all is neither an alias nor an account"):
        postfix.run(aliases={"shop": "sales"})


def test_the_first_table_that_has_a_name_counts(postfix: Postfix) -> None:
    """local(8) asks the tables in the order of alias_maps, and stops at the first answer."""
    other = postfix.directory / "other"
    other.write_text("postmaster: nobody-at-all\n")
    first, last = f"hash:{other}", f"hash:{postfix.aliases}"
    postfix.configure(alias_maps=f"{first} {last}", alias_database=f"{first} {last}")
    with pytest.raises(InvalidInput, match=r"nobody-at-all is neither an alias nor an account.*postmaster goes there"):
        postfix.run(aliases=TARGET, names=["postmaster"])
    postfix.configure(alias_maps=f"{last} {first}", alias_database=f"{first} {last}")
    assert postfix.run(aliases=TARGET, names=["postmaster"])["changed"]


def test_an_alias_that_another_table_hides_is_warned_of(postfix: Postfix) -> None:
    other = postfix.directory / "other"
    other.write_text("root: bob@elsewhere.example\n")
    both = f"hash:{other} hash:{postfix.aliases}"
    postfix.configure(alias_maps=both, alias_database=both)
    warning = (
        f"root (line 5) has no effect: hash:{other} has root too, and stands before {postfix.aliases} in alias_maps. "
        f"Take root out of hash:{other}, or change the order"
    )
    assert postfix.run(aliases=TARGET)["warnings"] == [warning]


def test_a_required_name_of_another_table_is_not_added_in_front_of_it(postfix: Postfix) -> None:
    other = postfix.directory / "other"
    other.write_text("abuse: carol@elsewhere.example\n")
    both = f"hash:{postfix.aliases} hash:{other}"
    postfix.configure(alias_maps=both, alias_database=both)
    postfix.run(aliases=TARGET, names=["abuse", "noc"])
    assert postfix.aliases.read_text() == f"{ORIGINAL}{HEADING}\nnoc: root\nroot: admin@elsewhere.example\n"
    other.write_text("abuse: nobody-at-all\n")
    with pytest.raises(InvalidInput, match=r"nobody-at-all is neither an alias nor an account.*abuse goes there"):
        postfix.run(aliases=TARGET, names=["abuse"])


def test_each_table_of_the_file_that_postfix_reads_must_be_built(postfix: Postfix) -> None:
    postfix.configure(alias_maps=f"lmdb:{postfix.aliases} hash:{postfix.aliases}")
    with pytest.raises(InvalidInput, match=r"alias_maps has lmdb:.*Add lmdb:.* to alias_database"):
        postfix.run(aliases=TARGET)


def test_a_table_that_could_not_be_put_back_stops_it_before_anything_is_written(postfix: Postfix) -> None:
    postfix.table.mkdir()
    with pytest.raises(PostfixError, match=r"aliases\.db cannot be copied, so it could not be put back"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == ORIGINAL
    assert postfix.calls("newaliases") == 0


def test_a_backup_is_made_of_a_file_that_changes(postfix: Postfix) -> None:
    made: list[str] = []

    def copy(path: str) -> str:
        made.append(Path(path).read_text())
        return f"{path}.copy"

    assert postfix.run(aliases=TARGET, copy=copy)["changed"]
    assert made == []
    postfix.aliases.write_text(ORIGINAL)
    result = postfix.run(aliases=TARGET, backup=True, copy=copy)
    assert (made, result["backup_file"]) == ([ORIGINAL], f"{postfix.aliases}.copy")


def test_no_backup_is_made_of_a_file_that_stays(postfix: Postfix) -> None:
    result = postfix.run(backup=True)
    assert (result["changed"], result["file_changed"], "backup_file" in result) == (True, False, False)


def test_a_symbolic_link_is_kept(postfix: Postfix) -> None:
    real = postfix.directory / "real"
    postfix.aliases.rename(real)
    postfix.aliases.symlink_to(real)
    postfix.run(aliases=TARGET)
    assert postfix.aliases.is_symlink()
    assert "root: admin" in real.read_text()


def test_a_file_that_is_not_there_is_made(postfix: Postfix) -> None:
    postfix.aliases.unlink()
    postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == f"{HEADING}\nroot: admin@elsewhere.example\n"
    assert postfix.aliases.stat().st_mode & 0o777 == 0o644


def test_a_change_by_somebody_else_in_between_is_not_overwritten(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = AliasStore.apply

    def late(store: AliasStore, change: Change, settings: AliasSettings) -> None:
        postfix.aliases.write_text("theirs: x@elsewhere.example\n")
        apply(store, change, settings)

    monkeypatch.setattr(AliasStore, "apply", late)
    with pytest.raises(PostfixError, match="was changed by somebody else in the meantime"):
        postfix.run(aliases=TARGET)
    assert postfix.aliases.read_text() == "theirs: x@elsewhere.example\n"


def test_without_postfix_a_run_fails_and_check_mode_shows_the_text(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_alias_databases, "_SYSTEM_PATH", "/nonexistent")
    for program in (postfix.directory / "bin").iterdir():
        program.unlink()
    with pytest.raises(PostfixMissing, match="Postfix is not installed on this host"):
        postfix.run(aliases=TARGET)
    result = postfix.run(check_mode=True, aliases=TARGET, names=["abuse"])
    assert result["changed"]
    assert result["warnings"] == ["Postfix is not installed yet, so only the text of the aliases was checked"]
    assert postfix.aliases.read_text() == ORIGINAL


@pytest.mark.parametrize("value", ["", [], ["a", ""], 5, None])
def test_a_value_that_is_no_address_is_refused(postfix: Postfix, value: object) -> None:
    with pytest.raises(InvalidInput, match="The alias 'abuse' has the value"):
        postfix.run(aliases={**TARGET, "abuse": value})


def test_a_list_of_addresses_is_one_alias(postfix: Postfix) -> None:
    postfix.run(aliases={"root": ["a@elsewhere.example", "b@elsewhere.example"]})
    assert "root: a@elsewhere.example, b@elsewhere.example\n" in postfix.aliases.read_text()
