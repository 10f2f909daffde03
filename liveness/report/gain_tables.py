"""Tables of what the method adds."""

from liveness.analysis.formula import formulas
from liveness.analysis.measures.gains import Gains, NegativeGain, ProbeGain, RetransmitGain
from liveness.report import published
from liveness.report.layout import Section, count, named_formulas, percent


def gains_table(gains: Gains) -> Section:
    """Return the gains of TCP and UDP probes and of negative replies, each in both readings."""
    probes, negative = gains.tcp_udp_over_icmp, gains.negative
    by_probe, by_sign = formulas(ProbeGain), formulas(NegativeGain)
    rows = [
        ("TCP and UDP probes", by_probe["of_all"], percent(probes.of_all), published.GAIN_TCP_UDP),
        ("", by_probe["over_icmp"], percent(probes.over_icmp), ""),
        ("negative replies", by_sign["over_positive"], percent(negative.over_positive), published.GAIN_NEGATIVE),
        ("", by_sign["of_all"], percent(negative.of_all), published.GAIN_NEGATIVE),
    ]
    return Section(
        "Gains (sections 1 and 4)",
        ("of", "formula", "share", published.LABEL),
        rows,
        ["The wording of the paper admits both readings of each; its 18% are 16% + 2% of IPall."],
        text_columns=frozenset({0, 1}),
    )


def retransmit_table(gains: Gains, attempts: int) -> Section:
    """Return what repeats recovered, a probe at a time (section 3); `attempts` is how often each target was probed."""
    rows = [
        (probe, count(gain.first), count(gain.recovered), percent(gain.gain), published.GAIN_RETRANSMIT.get(probe, ""))
        for probe, gain in gains.retransmit.items()
    ]
    return Section(
        "Recovered by retransmission (section 3)",
        ("probe", "first", "recovered", "gain", published.LABEL),
        rows,
        [
            *named_formulas(formulas(RetransmitGain)),
            "By the attempt each reply proves, in one pass."
            if attempts > 1
            else "Every target was probed once: there was nothing to recover.",
        ],
    )
