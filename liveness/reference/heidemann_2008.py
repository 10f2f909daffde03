"""The values of Heidemann et al. 2008, "Census and Survey of the Visible Internet" (IMC 2008), by id.

The comparison of methods is of one campus in one week. The shares of blocks and the median occupancy are those of the
abstract.
"""

from typing import Final

from liveness.reference.published import Published

LABEL: Final = "Heidemann 2008"
_CAMPUS: Final = "addresses of a campus"
_METHODS: Final = "comparison of ICMP, TCP and passive observation"
_ABSTRACT: Final = "abstract"

SCOPE: Final = 81_664
SILENT: Final = 54_078
ANY: Final = 27_586
ACTIVE: Final = 19_866
PASSIVE_ONLY: Final = ANY - ACTIVE

PUBLISHED: Final = {
    value.id: value
    for value in (
        Published("methods.scope", SCOPE, SCOPE, "addresses", _CAMPUS, _METHODS, f"{SCOPE:,}"),
        Published("methods.silent", SILENT / SCOPE, SILENT / SCOPE, "share", _CAMPUS, _METHODS, f"{SILENT:,} (66.2%)"),
        Published("methods.any", ANY / SCOPE, ANY / SCOPE, "share", _CAMPUS, _METHODS, f"{ANY:,} (33.8%)"),
        Published("methods.probed", ACTIVE / ANY, ACTIVE / ANY, "share", "any", _METHODS, f"{ACTIVE:,} (72.0% of any)"),
        Published(
            "methods.only.passive", PASSIVE_ONLY / ANY, PASSIVE_ONLY / ANY, "share", "any", _METHODS,
            f"{PASSIVE_ONLY:,} (28.0% of any)",
        ),
        Published("occupancy.sparse", 0.25, 0.25, "share", "responding /24s", _ABSTRACT, "a quarter"),
        Published("occupancy.dense", 0.09, 0.09, "share", "responding /24s", _ABSTRACT, "9%"),
        Published("stable", 0.16, 0.16, "share", "responding addresses", _ABSTRACT, "16%, 34 M"),
        Published("median_up_s", 4860, 4860, "seconds", "up periods of the other addresses", _ABSTRACT, "81 min"),
    )
}  # fmt: skip
"""Published values by id."""
