"""The contract of a probe: every file keeps it, and a file that lacks something is refused by name."""

from pathlib import Path
from types import ModuleType

import pytest

from liveness.compiling import sources
from liveness.compiling.sources import source_digest
from liveness.kernel import kernel
from liveness.packets import headers as hdr
from liveness.probes import dns, icmp, tcp
from liveness.probes.contract import VERBS, VERBS_OF_PROTOCOL, ContractError, define
from liveness.probes.dispatch import DEFINITIONS
from liveness.probes.probe import Description
from liveness.probes.registry import ENTRIES
from liveness.replies import Kind


def copy_of(module: ModuleType, **changed: object) -> ModuleType:
    """Return a module like another, some names changed; None removes a name."""
    copy = ModuleType("probes.copied")
    names = {**vars(module), **changed}
    vars(copy).update({name: value for name, value in names.items() if value is not None and name[:2] != "__"})
    return copy


def test_every_file_in_the_registry_keeps_the_contract() -> None:
    assert [definition.method for definition in DEFINITIONS] == [entry.module for entry in ENTRIES]
    for definition in DEFINITIONS:
        assert tuple(definition.verbs) == VERBS_OF_PROTOCOL[definition.description.protocol]


@pytest.mark.parametrize("module", [icmp, tcp, dns])
def test_a_probe_without_a_verb_is_refused_by_name(module: ModuleType) -> None:
    for verb in VERBS_OF_PROTOCOL[module.DESCRIPTION.protocol]:
        with pytest.raises(ContractError, match=f"^probe 'odd' .probes.copied.: verb '{verb}' is missing"):
            define("odd", copy_of(module, **{verb: None}))


def test_a_verb_with_other_arguments_is_refused() -> None:
    @kernel
    def is_answer(_row: int, _frame: int) -> bool:
        return False

    with pytest.raises(ContractError, match=r"^probe 'odd' .*: verb 'is_answer' takes \(_row, _frame\): expected"):
        define("odd", copy_of(dns, is_answer=is_answer))


def test_a_probe_without_a_description_is_refused() -> None:
    with pytest.raises(ContractError, match="DESCRIPTION is missing"):
        define("odd", copy_of(dns, DESCRIPTION=None))


def test_a_probe_of_another_protocol_is_refused() -> None:
    description = Description(hdr.PROTOCOL_UDP + 100, 9, "none", "none", {Kind.ERROR: "none"})
    with pytest.raises(ContractError, match=r"DESCRIPTION.protocol: 117: expected ICMP, TCP or UDP"):
        define("odd", copy_of(dns, DESCRIPTION=description))


def test_every_verb_belongs_to_some_protocol() -> None:
    assert {verb for verbs in VERBS_OF_PROTOCOL.values() for verb in verbs} == set(VERBS)


def test_compiled_kernels_are_outdated_when_any_probe_changes(tmp_path: Path) -> None:
    """The cache follows imports by name too: `dispatch.py` imports the files of probes through the registry alone."""
    for name in ("registry.py", "one.py"):
        (tmp_path / name).write_text("import_module('probes.' + name)" if name == "registry.py" else "A = 1")
    before = source_digest.__wrapped__(tmp_path / "registry.py")
    (tmp_path / "one.py").write_text("A = 2")
    sources._read.cache_clear()
    assert source_digest.__wrapped__(tmp_path / "registry.py") != before
