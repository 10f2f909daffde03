"""The taxonomy of liveness: addresses that are alive or active at each layer (Bano et al. 2018, figure 1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Figure, Layers
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.measures.applications import talked_probes
from liveness.analysis.numbers import count, in_words, named_formulas, percent
from liveness.analysis.tables import PUBLISHED, Column, Share, Table
from liveness.reference.bano_2018 import VALUES, words
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Addresses by layer."""

    network_alive: Annotated[int, Formula("sources of any accepted reply to any probe, control included")]
    transport_active: Annotated[int, Formula("SYN-ACK or RST on at least one TCP port")]
    transport_alive: Annotated[int, Formula("SYN-ACK on at least one TCP port")]
    application_active: Annotated[int, Formula("a UDP payload, valid answer or not")]
    application_alive: Annotated[int, Formula("a valid UDP answer")]


@dataclass(frozen=True, slots=True)
class TalkedTaxonomy(Taxonomy):
    """Addresses by layer in a run that talked to TCP services."""

    tcp_application_active: Annotated[int, Formula("data from a TCP service that was talked to")]
    tcp_application_alive: Annotated[int, Formula("data of the port's protocol from a TCP service")]


def _layers(value: Taxonomy) -> dict[str, int]:
    return {name: getattr(value, name) for name in formulas(type(value))}


def taxonomy(run: RunStates) -> Taxonomy:
    """Count the addresses of a run at each layer."""
    tcp, udp = run.family_probes("tcp"), run.family_probes("udp")
    found = Taxonomy(
        network_alive=run.count(run.everything()),
        transport_active=run.count(run.sent(tcp, (Kind.SYN_ACK, Kind.RST))),
        transport_alive=run.count(run.sent(tcp, (Kind.SYN_ACK,))),
        application_active=run.count(run.sent(udp, (Kind.ANSWER, Kind.PAYLOAD))),
        application_alive=run.count(run.sent(udp, (Kind.ANSWER,))),
    )
    talked = talked_probes(run)
    if not talked:
        return found
    return TalkedTaxonomy(
        **_layers(found),
        tcp_application_active=run.count(run.sent(talked, (Kind.ANSWER, Kind.PAYLOAD))),
        tcp_application_alive=run.count(run.sent(talked, (Kind.ANSWER,))),
    )


def tables(value: Taxonomy, run: RunResults) -> Iterator[Table]:
    """Yield the funnel from network-alive to application-alive."""
    targets = run.targets
    of_targets = "targets, whose number the run does not record" if targets is None else f"the {count(targets)} targets"
    rows = []
    for name, number in _layers(value).items():
        # Sources of ICMP errors need not be targets, so that the share of network-alive is not one of the sample.
        of_sampled = Share.of_counts if name == "network_alive" else run.sampled
        rows.append(
            (
                in_words(name),
                number,
                of_sampled(number, targets),
                Share.of_counts(number, run.ipall),
                words(f"taxonomy.{name}"),
            )
        )
    yield Table(
        "taxonomy",
        "Liveness by layer (figure 1)",
        (
            Column("layer"),
            Column("addresses", "addresses"),
            Column("/ targets", "share", "targets", "share of targets"),
            Column("/ IPall", "share", "IPall", "share of IPall"),
            PUBLISHED,
        ),
        rows,
        [
            f"Shares of {of_targets} and of IPall, {count(run.ipall)} addresses.",
            *named_formulas(formulas(type(value))),
            *run.sampling_notes(),
        ],
    )


def figures(value: Taxonomy, run: RunResults) -> Iterator[Figure]:
    """Yield the layers as a funnel; a bar's width is the layer's share of IPall."""
    layers = _layers(value)
    numbers, all_addresses, targets = list(layers.values()), run.ipall, run.targets
    described = ", ".join(f"{in_words(name)} {count(number)}" for name, number in layers.items())
    probed = f"; {count(targets)} targets were probed" if targets else ""
    yield Figure(
        "figure-1-funnel",
        "Liveness by layer (figure 1)",
        f"A funnel of layers, addresses: {described}. IPall, what any service probe found: {count(all_addresses)}.",
        [
            f"A bar's width is the layer's share of IPall, {count(all_addresses)} addresses.",
            "The control counts in network alive alone, which may thus be more.",
            *named_formulas(formulas(type(value))),
        ],
        Layers(
            layers=[in_words(name) for name in layers],
            ids=list(layers),
            shares=[share(number, all_addresses) for number in numbers],
            columns={
                "addresses": [count(number) for number in numbers],
                "of IPall": [percent(share(number, all_addresses)) for number in numbers],
                "of targets": [percent(share(number, targets or 0)) for number in numbers],
            },
            x_label=f"IPall: {count(all_addresses)} addresses{probed}",
            published={list(layers).index("transport_active"): VALUES["taxonomy.transport_active.of_ipall"].value},
            published_name="53.8% of IPall",
        ),
        "taxonomy",
    )


def comparisons(value: Taxonomy, run: RunResults) -> Iterator[Comparison]:
    """Yield the share of targets in IPall; the transport-active share is a comparison of the transport measure."""
    del value
    if run.targets is not None:
        published = VALUES["taxonomy.network_alive.of_targets"]
        yield Comparison("IPall", "IPall / targets", share(run.ipall, run.targets), published)


TAXONOMY = Measure("taxonomy", taxonomy, tables, figures, comparisons)
