"""The entry of a set in a manifest: what the set is of, where its file lies, and how to verify it."""

from pathlib import PurePosixPath

from msgspec import Struct

from liveness.ipsets.roaring import SetDigest
from liveness.replies import Kind, ReplyKey, Role, SetKey


class SetEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One set file of a run: whose addresses it holds, its path below the run directory, and how to verify it.

    `icmp_type` and `icmp_code` exist for errors only and are absent otherwise.
    """

    probe: str
    kind: str
    icmp_type: int | None = None
    icmp_code: int | None = None
    role: Role
    file: str
    cardinality: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse what no run writes; msgspec adds the path inside the manifest."""
        kind = Kind.from_label(self.kind)
        stray_half = (self.icmp_type is None) != (self.icmp_code is None)
        if stray_half or (self.error is not None) != (kind is Kind.ERROR):
            raise ValueError(f"icmp_type and icmp_code belong to errors, and only to them: {self.file!r}")
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"a set lies below its run directory: {self.file!r}")

    @property
    def key(self) -> SetKey:
        """The key this set has in analysis and lab."""
        kind = Kind.from_label(self.kind)
        return SetKey(ReplyKey(self.probe, kind, self.icmp_type, self.icmp_code), self.role)

    @property
    def error(self) -> tuple[int, int] | None:
        """The ICMP type and code of an error, None for other kinds."""
        return None if self.icmp_type is None or self.icmp_code is None else (self.icmp_type, self.icmp_code)

    @property
    def digest(self) -> SetDigest:
        """The cardinality and checksum that the file must have."""
        return SetDigest(self.cardinality, self.sha256)

    @classmethod
    def of(cls, key: SetKey, digest: SetDigest) -> "SetEntry":
        """Return the entry of a set that was written under its usual file name."""
        return cls(
            probe=key.reply.probe,
            kind=key.reply.kind.label,
            icmp_type=key.reply.icmp_type,
            icmp_code=key.reply.icmp_code,
            role=key.role,
            file=key.file,
            cardinality=digest.cardinality,
            sha256=digest.sha256,
        )
