"""What discovery finds, leaves out, and refuses; it never raises and imports nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from grove_core.base.records import VersionRecord
from grove_core.parts.conflicts import ConflictingRecord
from grove_core.parts.discovery import UNREADABLE, collect, grove_discover_versions, records_in
from grove_core.parts.hookspecs import hookimpl
from grove_core.parts.plugins import make_plugin_manager

Package = Callable[..., Path]


class Gives:
    """A plugin whose hook gives, or raises, what it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def grove_discover_versions(self) -> Iterable[VersionRecord]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def found(*folders: Path) -> list[VersionRecord]:
    return records_in([str(folder) for folder in folders])


def collected(*plugins: object) -> tuple[list[VersionRecord], list[str]]:
    """Collect from these plugins alone: others that are installed have no say."""
    manager, _ = make_plugin_manager(plugins)
    for plugin in set(manager.get_plugins()) - set(plugins):
        manager.unregister(plugin)
    records, failures = collect(manager)
    return records, [str(failure) for failure in failures]


def test_a_version_is_found_and_not_imported(package: Package) -> None:
    folder = package("ledger", "1.2.0", "raise RuntimeError('imported')")
    assert found(folder) == [
        VersionRecord(
            module="ledger",
            version=Version("1.2.0"),
            distribution="grove-ledger-v1.2.0",
            entry_point="ledger_v1_2_0:Main",
            location=str(folder),
            path=(str(folder),),
        )
    ]
    assert "ledger_v1_2_0" not in sys.modules


def test_sys_path_is_searched_and_gives_no_path(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = package("ledger", "1.2.0")
    monkeypatch.syspath_prepend(str(folder))
    (record,) = [record for record in grove_discover_versions() if record.module == "ledger"]
    assert record.path == ()
    assert record.location == str(folder)


def test_a_folder_that_stands_twice_on_the_path_counts_once(package: Package) -> None:
    folder = package()
    assert len(found(folder, folder, folder / ".." / folder.name)) == 1


def test_a_folder_that_is_not_there_or_empty_holds_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere", tmp_path) == []


def test_one_package_may_give_several_modules(package: Package) -> None:
    text = "[grove_core.modules]\nledger = pkg:Ledger\naudit = pkg:Audit\n[console_scripts]\nledger = pkg:main\n"
    folder = package(import_name="pkg", entry_points=text)
    assert [(record.module, record.error) for record in found(folder)] == [("audit", None), ("ledger", None)]


def test_records_are_sorted_by_module_and_version(package: Package, tmp_path: Path) -> None:
    for module, version in (("b", "1.0"), ("a", "10.0"), ("a", "9.0"), ("a", "10.0rc1")):
        package(module, version, into=tmp_path / "all")
    records = found(tmp_path / "all")
    assert [f"{r.module}@{r.version}" for r in records] == ["a@9.0", "a@10.0rc1", "a@10.0", "b@1.0"]


def test_an_earlier_folder_shadows_a_later_one(package: Package) -> None:
    first = package("ledger", "2.0.0", distribution="grove-ledger")
    second = package("ledger", "1.0.0", distribution="Grove.Ledger")
    assert [str(record.version) for record in found(first, second)] == ["2.0.0"]
    assert [str(record.version) for record in found(second, first)] == ["1.0.0"]


def test_a_distribution_without_a_module_shadows_as_well(package: Package) -> None:
    plain = package(distribution="grove-ledger", entry_points="")
    assert found(plain, package(distribution="grove-ledger")) == []


def test_what_was_installed_just_now_is_seen(package: Package, tmp_path: Path) -> None:
    site = package("ledger", "1.0", into=tmp_path / "site")
    before = site.stat()
    assert len(found(site)) == 1
    package("ledger", "1.1", into=site)
    os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))  # as within one grain of the clock
    assert len(found(site)) == 2


def test_only_entry_points_are_read_of_other_distributions(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    for number in range(5):
        package(
            distribution=f"other-{number}",
            import_name=f"other{number}",
            entry_points="[x]\ny = z:Z\n",
            into=site,
        )
    package(into=site)
    read: list[str] = []
    real = Path.read_text

    def noted(self: Path, *args: Any, **kwargs: Any) -> str:
        read.append(str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", noted)
    assert len(found(site)) == 1
    assert sum(name.endswith("entry_points.txt") for name in read) >= 6
    assert not [name for name in read if "other" in name and not name.endswith("entry_points.txt")]


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        ({"entry_points": "[grove_core.modules]\nLedger = pkg:Main\n"}, "'Ledger' is no module's name"),
        ({"entry_points": "[grove_core.modules]\n2nd = pkg:Main\n"}, "'2nd' is no module's name"),
        ({"entry_points": "[grove_core.modules]\nledger = pkg\n"}, "does not name a class"),
        ({"entry_points": "[grove_core.modules]\nledger = pkg:\n"}, "does not name a class"),
        ({"entry_points": "[grove_core.modules]\nledger = a-b:Main\n"}, "does not name a class"),
        ({"entry_points": "[grove_core.modules]\nledger = ..:Main\n"}, "does not name a class"),
        ({"entry_points": "[grove_core.modules]\nledger\n"}, "cannot be read"),
        ({"entry_points": b"[grove_core.modules]\nledger = pkg:\xff\n"}, "cannot be read"),
        ({"metadata": "Metadata-Version: 2.1\nName: grove-ledger\nVersion: next\n"}, "'next'"),
        ({"metadata": f"Metadata-Version: 2.1\nName: grove-ledger\nVersion: 1.{'9' * 5000}\n"}, "PEP 440"),
        ({"metadata": "Metadata-Version: 2.1\nName: grove-ledger\n"}, "Version"),
        ({"metadata": b"Name: grove-ledger\nVersion: 1.0\nSummary: \xff\n"}, "cannot be read"),
        ({"metadata": ""}, "METADATA"),
    ],
)
def test_broken_metadata_is_a_record_with_its_cause(
    package: Package, tmp_path: Path, broken: dict[str, Any], cause: str
) -> None:
    site = tmp_path / "site"
    package("ledger", "1.0.0", distribution="grove-ledger", into=site, **broken)
    package("sound", "1.0.0", into=site)
    records = found(site)
    assert [record.error for record in records if record.module == "sound"] == [None]
    (record,) = [record for record in records if record.module != "sound"]
    assert record.error is not None
    assert cause in record.error
    assert record.distribution in ("grove-ledger", "grove_ledger")


def test_an_unreadable_file_of_a_stranger_is_left_alone(package: Package) -> None:
    assert found(package(entry_points=b"[console_scripts]\nx = y:\xff\n")) == []
    (record,) = found(package(entry_points=b"[grove_core.modules]\nx = y:\xff\n"))
    assert record.module == UNREADABLE


def test_metadata_that_is_missing_is_told(package: Package) -> None:
    folder = package(distribution="grove-ledger")
    next(folder.glob("*.dist-info/METADATA")).unlink()
    (record,) = found(folder)
    assert record.version is None
    assert record.error is not None


def test_a_distribution_without_record_is_sound(package: Package) -> None:
    folder = package()
    next(folder.glob("*.dist-info/RECORD")).unlink()
    assert [record.error for record in found(folder)] == [None]


@pytest.mark.parametrize(
    "content", [b"pkg/__init__.py,\xff,\n", b'"' + b"x" * 200_000 + b'",,\n'], ids=["no UTF-8", "a field without end"]
)
def test_a_record_that_cannot_be_read_is_told(package: Package, tmp_path: Path, content: bytes) -> None:
    site = package("ledger", "1.0.0", into=tmp_path / "site")
    next(site.glob("*.dist-info/RECORD")).write_bytes(content)
    package("sound", "1.0.0", into=site)
    broken, sound = found(site)
    assert sound.error is None
    assert "RECORD of" in (broken.error or "")
    assert str(broken.version) == "1.0.0"


@pytest.mark.parametrize("name", [".dist-info", "-1.0.dist-info", "Ledger-1.0.DIST-INFO", ".egg-info"])
@pytest.mark.parametrize("metadata", ["", "Version: 1.0\n", b"Name: \xff\n", None])
def test_a_folder_that_is_called_otherwise_hides_nobody(
    package: Package, tmp_path: Path, name: str, metadata: str | bytes | None
) -> None:
    site = package("sound", "1.0.0", into=tmp_path / "site")
    package("ledger", "1.0.0", into=site, metadata=metadata)
    next(site.glob("grove_ledger*.dist-info")).rename(site / name)
    records = found(site)
    assert [record.error for record in records if record.module == "sound"] == [None]
    assert len(records) <= 2


def test_too_many_entry_points_are_told_at_once(package: Package) -> None:
    entry_points = "[grove_core.modules]\n" + "".join(f"m{number} = pkg:Main\n" for number in range(10_000))
    (record,) = found(package(entry_points=entry_points))
    assert "has 10000 entry points in the group grove_core.modules; 100 are the most" in (record.error or "")


def test_links_in_a_circle_hold_nothing(package: Package, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert len(found(tmp_path / "circle" / "site", package())) == 1


def test_one_version_from_two_distributions_is_refused_on_both(package: Package, tmp_path: Path) -> None:
    site = tmp_path / "site"
    package("ledger", "1.0.0", distribution="grove-ledger-one", import_name="one", into=site)
    package("ledger", "1.0", distribution="grove-ledger-two", import_name="two", into=site)
    package("ledger", "1.1.0", distribution="grove-ledger-three", import_name="three", into=site)
    records = found(site)
    assert [record.error is None for record in records] == [False, False, True]
    for record in records[:2]:
        assert isinstance(record, ConflictingRecord)
        assert record.error is not None
        assert "grove-ledger-one" in record.error
        assert "grove-ledger-two" in record.error
        assert "ledger@1.0" in record.error


def test_one_import_package_of_two_distributions_is_refused_on_both(package: Package, tmp_path: Path) -> None:
    site = tmp_path / "site"
    package("ledger", "1.0.0", import_name="ledger", into=site)
    package("ledger", "2.0.0", import_name="ledger", into=site)
    records = found(site)
    assert len(records) == 2
    for record in records:
        assert record.error is not None
        assert "the import package ledger is claimed" in record.error
        assert "grove-ledger-v1.0.0" in record.error
        assert "grove-ledger-v2.0.0" in record.error


def test_the_same_import_package_in_two_folders_that_workers_search_apart_is_sound(package: Package) -> None:
    one, two = (package("ledger", version, import_name="ledger") for version in ("1.0.0", "2.0.0"))
    assert [record.error for record in found(one, two)] == [None, None]


def test_on_sys_path_it_is_not(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0.0", "2.0.0"):
        monkeypatch.syspath_prepend(str(package("ledger", version, import_name="ledger")))
    records = [record for record in records_in(None) if record.module == "ledger"]
    assert [record.error is None for record in records] == [False, False]


def test_a_parent_package_that_both_installed_is_refused(package: Package, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for version in ("1.0.0", "2.0.0"):
        package(version=version, import_name=f"games.v{version[0]}", files={"games/__init__.py": ""}, into=site)
    errors = [record.error for record in found(site)]
    assert all(error is not None and "the import package games is claimed" in error for error in errors)


def test_a_namespace_that_both_share_is_sound(package: Package, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        package(version=version, import_name=f"games.v{version[0]}", into=tmp_path / "site")
    assert [record.error for record in found(tmp_path / "site")] == [None, None]


def test_a_stray_tests_package_of_both_is_sound(package: Package, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        package(version=version, files={"tests/__init__.py": ""}, into=tmp_path / "site")
    assert [record.error for record in found(tmp_path / "site")] == [None, None]


def test_a_stranger_that_overwrites_the_package_is_refused(package: Package, tmp_path: Path) -> None:
    site = tmp_path / "site"
    package("ledger", "1.0.0", import_name="ledger", into=site)
    package("audit", "1.0.0", import_name="audit", files={"ledger/__init__.py": ""}, into=site)
    assert [record.error is None for record in found(site)] == [False, False]


def test_an_interrupted_upgrade_is_told(package: Package, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        package("ledger", version, distribution="grove-ledger", import_name="ledger", into=tmp_path / "site")
    records = found(tmp_path / "site")
    assert [isinstance(record, ConflictingRecord) for record in records] == [True, True]
    assert "grove-ledger 1.0.0" in (records[0].error or "")
    assert "grove-ledger 2.0.0" in (records[0].error or "")


def test_collect_merges_what_two_plugins_tell_alike(package: Package, installed: type) -> None:
    folder = package()
    records, failures = collected(installed(folder), Gives(records_in([str(folder)])))
    assert [record.error for record in records] == [None]
    assert failures == []


def test_collect_refuses_what_two_plugins_tell_in_contradiction(package: Package, installed: type) -> None:
    one = package("ledger", "1.0.0", distribution="grove-one")
    two = package("ledger", "1.0.0", distribution="grove-two")
    records, _ = collected(installed(one), installed(two))
    assert len(records) == 2
    for record in records:
        assert isinstance(record, ConflictingRecord)
        assert "grove-one" in (record.error or "")
        assert "grove-two" in (record.error or "")


def test_a_third_claim_is_refused_like_the_two_before_it(package: Package, installed: type, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("one", "two"):
        package(distribution=f"grove-{name}", import_name=name, into=site)
    third = package(distribution="grove-three", import_name="three")
    records, _ = collected(installed(site), installed(third))
    assert [isinstance(record, ConflictingRecord) for record in records] == [True, True, True]


def test_a_plugin_that_raises_does_not_hide_the_others(package: Package, installed: type) -> None:
    records, failures = collected(Gives(RuntimeError("boom")), installed(package()))
    assert [record.module for record in records] == ["ledger"]
    assert len(failures) == 1
    assert "Gives" in failures[0]
    assert "RuntimeError: boom" in failures[0]


@pytest.mark.parametrize(
    "answer",
    [None, 3, [None], [SimpleNamespace(module="x")], [VersionRecord("ledger", None, "d", "a:B", "here")]],
)
def test_a_plugin_that_answers_nonsense_is_told(package: Package, installed: type, answer: object) -> None:
    records, failures = collected(Gives(answer), installed(package()))
    assert [record.module for record in records] == ["ledger"]
    assert len(failures) == 1
    assert "grove_discover_versions" in failures[0]
