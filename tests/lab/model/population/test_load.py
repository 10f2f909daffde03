"""What is wrong with a population file is said in one line that names file, place and value."""

from pathlib import Path

import numpy as np
import pytest

from liveness.errors import UsageError
from liveness.lab.model.population.answer import ANSWERED, BOTH, ERROR, PAYLOAD, RESET
from liveness.lab.model.population.load import load_population, packaged, parse_population
from liveness.lab.model.population.mix import used_addresses
from liveness.lab.model.population.rows import host_weights
from liveness.lab.model.population.words import packed
from tests.lab.model.population.support import SMALL, small


def test_the_packaged_population_is_found_by_its_name_and_stands_in_configs_too() -> None:
    assert packaged() == ["paper"]
    path = Path(__file__).parents[4] / "configs" / "lab" / "paper.yaml"
    assert np.array_equal(load_population().tables, load_population(path).tables)


def test_words_are_answers_in_the_order_of_the_probes() -> None:
    answers = packed("echo syn-ack rst both . 3/13 answer payload 11/0")
    assert answers[:5] == (ANSWERED, ANSWERED, RESET, BOTH, 0)
    assert answers[5] == ERROR | 3 << 8 | 13 << 16
    assert answers[6:] == (ANSWERED, PAYLOAD, ERROR | 11 << 8)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: small", "nome: small", "$.nome: 'small': no such field, did you mean 'name'?"),
        ("seed: 5", "seed: -1", "$.seed: -1"),
        ("share: 0.05", "share: 1.5", "$.tarpits.share: 1.5"),
        ("prefix: 30", "prefix: 24", "$.tarpits.prefix: 24"),
        ("weight: 50", "weight: 0", "$.profiles[0].weight: 0"),
        ("weight: 50", "weight: 1.0e+400", "$.profiles[0].weight: "),
        ("families: [icmp]", "families: [icmp, sctp]", "$.sites[1].families: 'sctp'"),
        ("families: [icmp]", "families: [tcp]", "$.sites: 'quiet': no profile answers"),
        ("favours: {web: 3}", "favours: {wab: 3}", "$.sites[0].favours: 'wab'"),
        ("hosts: [[30, 1]]", "hosts: [[300, 1]]", "$.sites[1].hosts[0][0]: 300"),
        ("name: town", "name: quiet", "$.sites: 'quiet': two have this name"),
        ('"echo . . . . . . . ."', '"echo . . . . . . ."', "$.profiles[0].answers: 'echo . . . . . . .': 8 words"),
        ('"echo . . . . . . . ."', '"rst . . . . . . . ."', "'rst' for icmp: expected ., echo"),
        ('". . . . . . answer . ."', '". . . . . . syn-ack . ."', "'syn-ack' for dns: expected ., answer, payload"),
        ("3/10 4/0", "3/10 8/0", "'8/0' for ntp"),
        ("3/10 4/0", "3/10 3/256", "'3/256' for ntp"),
        (
            'weight: 15, answers: ". .',
            'weight: 15, no_echo: 0.5, answers: ". .',
            "$.profiles[2].no_echo: 0.5: it does not answer echo",
        ),
    ],
)
def test_an_error_is_one_line(old: str, new: str, place: str) -> None:
    assert SMALL.count(old) >= 1
    with pytest.raises(UsageError) as caught:
        parse_population(SMALL.replace(old, new, 1), "mine.yaml")
    message = str(caught.value)
    assert message.startswith("mine.yaml:")
    assert place in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_reported_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: cannot read this population: .*packaged ones: paper"):
        load_population("nowhere.yaml")


def test_the_mix_bends_from_site_to_site_and_stays_the_same_as_a_whole() -> None:
    population = small()
    weights = np.array(host_weights(population.model))
    hosts = np.array([used_addresses(population.model, site) for site in population.model.sites])
    whole = (population.mixes * hosts[:, None]).sum(axis=0) / hosts.sum()
    assert whole == pytest.approx(weights / weights.sum(), abs=1e-9)
    names = [row.name for row in population.rows.rows[1 : 1 + population.rows.hosts]]
    town, quiet, empty = population.mixes
    assert {name for name, share in zip(names, quiet, strict=True) if share} == {"ping"}
    assert town.sum() == pytest.approx(1)
    assert not empty.any()


def test_a_kind_that_a_site_favours_is_more_common_there() -> None:
    population = load_population()
    servers = np.array([row.kind == "server" for row in population.rows.rows[1 : 1 + population.rows.hosts]])
    shares = {site.name: mix @ servers for site, mix in zip(population.model.sites, population.mixes, strict=True)}
    assert shares["hosting"] > 2 * shares["access"]
