"""The map: every /24 has the pixel that the curve gives it, in the colour that its number of alive addresses has."""

import io
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from liveness.analysis.measures.coverage import COVERAGE
from liveness.report.map.hilbert import SIDE, on_map, place_of, square_of
from liveness.report.map.liveness_map import LivenessMap, reduced
from liveness.report.map.palette import (
    FIRST_SHADE,
    PAPER,
    RESERVED,
    SHADES,
    SILENT,
    STRIPE,
    UNPROBED,
    palette,
    shade_of,
    shades,
    striped,
)
from liveness.report.options import octet_of
from liveness.space.special import special_purpose
from tests.populations import BASE, town
from tests.report.runs import HOSTILE, full


def curve(order: int) -> list[tuple[int, int]]:
    """Return the points of the curve as (row, column), drawn by its rule: four smaller ones, two of them turned."""
    if order == 0:
        return [(0, 0)]
    smaller, half = curve(order - 1), 1 << (order - 1)
    flipped = [(column, row) for row, column in smaller]
    anti = [(half - 1 - column, half - 1 - row) for row, column in smaller]
    quarters = [
        flipped,
        [(row + half, column) for row, column in smaller],
        [(row + half, column + half) for row, column in smaller],
        [(row, column + half) for row, column in anti],
    ]
    return [point for quarter in quarters for point in quarter]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_the_curve_is_hilberts(order: int) -> None:
    assert [square_of(distance, order) for distance in range(4**order)] == curve(order)


def test_the_curve_visits_every_place_once_and_never_jumps() -> None:
    numbers = np.arange(1 << 16).astype(np.uint16)
    values = np.concatenate([numbers] * 256)
    places = on_map(values)
    assert places.shape == (SIDE, SIDE)
    for octet in (0, 1, 127, 203, 255):
        row, column = square_of(octet, 4)
        part = places[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
        order = np.argsort(part.ravel(), kind="stable")
        assert np.array_equal(part.ravel()[order], numbers)
        rows, columns = np.divmod(order, 256)
        assert np.all(np.abs(np.diff(rows)) + np.abs(np.diff(columns)) == 1)


@pytest.mark.parametrize("prefix", ["0.0.0.0/8", "10.0.0.0/12", "203.0.112.0/20", "255.255.255.0/24", "128.0.0.0/2"])
def test_a_prefix_is_a_square_where_its_own_curve_has_it(prefix: str) -> None:
    network = IPv4Network(prefix)
    order, side = network.prefixlen // 2, SIDE >> (network.prefixlen // 2)
    row, column = square_of(int(network.network_address) >> (32 - network.prefixlen), order)
    for address in (network[0], network[-1], network[network.num_addresses // 3]):
        place = int(place_of(int(address) >> 8, 12))
        assert (place // SIDE // side, place % SIDE // side) == (row, column)


def test_the_octets_lie_as_on_other_maps_of_the_internet() -> None:
    """The first row of Munroe's map, and of the heat maps that followed it."""
    row = {square_of(octet, 4)[1]: octet for octet in range(256) if square_of(octet, 4)[0] == 0}
    assert [row[column] for column in range(16)] == [
        0,
        1,
        14,
        15,
        16,
        19,
        20,
        21,
        234,
        235,
        236,
        239,
        240,
        241,
        254,
        255,
    ]


def read(png: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(png))
    assert image.mode == "P"
    return np.asarray(image)


def some_alive() -> NDArray[np.uint16]:
    """Return a few /24s with a few addresses each."""
    alive = np.zeros(1 << 24, np.uint16)
    for text, number in (
        ("1.0.0.0", 1),
        ("203.0.112.0", 256),
        ("203.200.7.0", 17),
        ("10.1.2.0", 90),
        ("223.255.255.0", 4),
    ):
        alive[int(IPv4Address(text)) >> 8] = number
    return alive


def tiles(pixels: NDArray[np.uint8], side: int, many: int) -> NDArray[np.uint8]:
    """Cut the squares out of a sheet: what is neither paper nor letters, put together again."""
    inked = (pixels >= PAPER).mean(axis=1), (pixels >= PAPER).mean(axis=0)
    rows = [at for at in range(1, len(pixels)) if inked[0][at] < 0.5 <= inked[0][at - 1]][:many]
    columns = [at for at in range(1, pixels.shape[1]) if inked[1][at] < 0.5 <= inked[1][at - 1]][:many]
    assert (len(rows), len(columns)) == (many, many)
    return np.block([[pixels[row : row + side, column : column + side] for column in columns] for row in rows])


def test_every_pixel_of_the_whole_map() -> None:
    alive = some_alive()
    drawn = tiles(read(LivenessMap("census/1", alive).png()), 256, 16)
    assert drawn.shape == (SIDE, SIDE)
    special = [IPv4Network("10.0.0.0/8"), IPv4Network("203.0.113.0/24"), IPv4Network("100.64.0.0/10")]
    for text in ("203.0.113.0", "100.64.0.0", "100.127.255.0", "10.0.0.0"):
        assert drawn.flat[int(place_of(int(IPv4Address(text)) >> 8, 12))] in (RESERVED, STRIPE)
        assert any(IPv4Address(text) in network for network in special)
    for number in np.flatnonzero(alive).tolist():
        assert drawn.flat[int(place_of(number, 12))] == shade_of(int(alive[number]))
    assert np.count_nonzero((drawn >= FIRST_SHADE) & (drawn < FIRST_SHADE + SHADES)) == 5
    silent = int(np.count_nonzero(drawn == SILENT))
    reserved = sum(
        ((last + 1) >> 8) - -(-first >> 8)
        for first, last in zip(special_purpose().first.tolist(), special_purpose().last.tolist(), strict=True)
    )
    assert silent == (1 << 24) - reserved - 4  # one of the five lies in reserved space


@pytest.mark.parametrize("reduction", [2, 4])
def test_a_reduced_map_has_means_and_hides_nobody(reduction: int) -> None:
    random = np.random.default_rng(7)
    alive = (random.integers(0, 257, (64, 64)) * (random.random((64, 64)) < 0.1)).astype(np.uint16)
    reserved = np.zeros((64, 64), np.bool_)
    reserved[:8] = True
    means, throughout = reduced(alive, reserved, reduction)
    for row in range(64 // reduction):
        for column in range(64 // reduction):
            part = np.s_[row * reduction : (row + 1) * reduction, column * reduction : (column + 1) * reduction]
            numbers = alive[part].ravel().tolist()
            assert means[row, column] == -(-sum(numbers) // len(numbers))
            assert (means[row, column] > 0) == (max(numbers) > 0)
            assert throughout[row, column] == all(reserved[part].ravel().tolist())


def test_a_reduced_map_is_drawn_in_its_size() -> None:
    drawn = tiles(read(LivenessMap("census/1", some_alive()).png(4)), 64, 16)
    assert drawn.shape == (1024, 1024)
    for text, mean in (("1.0.0.0", 1), ("203.0.112.0", 16), ("203.200.7.0", 2), ("10.1.2.0", 6)):
        assert drawn.flat[int(place_of(int(IPv4Address(text)) >> 12, 10))] == shade_of(mean)


def test_an_enlarged_octet() -> None:
    drawn = tiles(read(LivenessMap("census/1", some_alive()).zoomed(203)), 256, 4)
    assert drawn.shape == (1024, 1024)
    row, column = square_of(203, 4)
    for text, number in (("203.0.112.0", 256), ("203.200.7.0", 17), ("203.255.255.0", 0)):
        place = int(place_of(int(IPv4Address(text)) >> 8, 12))
        y, x = place // SIDE - 256 * row, place % SIDE - 256 * column
        assert np.all(drawn[4 * y : 4 * y + 4, 4 * x : 4 * x + 4] == shade_of(number))
    place = int(place_of(int(IPv4Address("203.0.113.0")) >> 8, 12))
    y, x = place // SIDE - 256 * row, place % SIDE - 256 * column
    assert np.all(np.isin(drawn[4 * y : 4 * y + 4, 4 * x : 4 * x + 4], (RESERVED, STRIPE)))
    assert np.count_nonzero(np.isin(drawn, (RESERVED, STRIPE))) == 16


def test_the_twelves_of_an_octet_are_named_where_they_lie() -> None:
    """Each name is read from the sheet's own words."""
    named: dict[str, Any] = {}
    base_row, base_column = (16 * part for part in square_of(203, 4))
    for square in range(16):
        row, column = square_of((203 << 4) + square, 6)
        named[f"203.{16 * square}.0.0/12"] = (row - base_row // 4, column - base_column // 4)
    assert sorted(named.values()) == [(row, column) for row in range(4) for column in range(4)]


def test_more_alive_is_brighter_and_silence_is_darkest() -> None:
    colours = np.frombuffer(palette(), np.uint8).reshape(256, 3).astype(float)
    light = colours @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(light[FIRST_SHADE : FIRST_SHADE + SHADES]) >= -0.5)
    assert light[FIRST_SHADE] > light[SILENT] + 30
    assert len({shade_of(number) for number in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)}) == 10
    assert shade_of(256) == FIRST_SHADE + SHADES - 1
    assert [shade_of(number) for number in range(257)] == sorted(shade_of(number) for number in range(257))


def test_reserved_space_is_striped_and_alive_there_is_seen() -> None:
    alive = np.zeros((16, 16), np.uint16)
    alive[3, 3] = 9
    pixels = striped(shades(alive, np.ones((16, 16), np.bool_)))
    assert pixels[3, 3] == shade_of(9)
    assert pixels[0, 0] == pixels[2, 6] == STRIPE
    assert pixels[0, 1] == RESERVED


def test_the_map_of_a_run_counts_what_the_run_has() -> None:
    run = full()
    assert run.alive24 is not None
    drawn = LivenessMap(run.manifest.run, run.alive24)
    assert (
        f"{run[COVERAGE].addresses.all:,} addresses alive in {run[COVERAGE].prefixes24.all:,} of 16,777,216 /24s"
        in drawn.summary()
    )
    assert f"map of {BASE >> 24}.0.0.0/8: {run[COVERAGE].addresses.all:,} addresses" in drawn.summary(BASE >> 24)
    assert "map of 11.0.0.0/8: 0 addresses" in drawn.summary(11)
    everybody = {reply.source for reply in town().replies if reply.probe != "tcp/control"}
    assert len(everybody) >= run[COVERAGE].addresses.all


def test_the_same_run_gives_the_same_map_whatever_its_name() -> None:
    alive = some_alive()
    first, again = LivenessMap(HOSTILE, alive).zoomed(1), LivenessMap(HOSTILE, alive).zoomed(1)
    assert first == again
    assert Image.open(io.BytesIO(first)).size == Image.open(io.BytesIO(LivenessMap("a" * 300, alive).zoomed(1))).size


@pytest.mark.parametrize(("text", "octet"), [("0", 0), ("203", 203), ("203/8", 203), ("255.0.0.0/8", 255)])
def test_octets(text: str, octet: int) -> None:
    assert octet_of(text) == octet


@pytest.mark.parametrize("text", ["256", "", "203.1.0.0/8", "203.0.0.0/16", "-1", "203.0.0.0", "abc", "٣"])
def test_what_is_no_octet(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no /8: expected 0 to 255, or a prefix as 203\.0\.0\.0/8"):
        octet_of(text)


def test_space_that_was_never_probed_has_a_colour_of_its_own() -> None:
    alive, reserved = np.array([0, 0, 0, 7], np.uint16), np.array([False, False, True, False])
    unprobed = np.array([False, True, True, True])
    pixels = shades(alive, reserved, unprobed)
    assert pixels.tolist() == [SILENT, UNPROBED, RESERVED, shade_of(7)]
    assert shades(alive, reserved).tolist() == [SILENT, SILENT, RESERVED, shade_of(7)]
    assert shades(alive, reserved, ~reserved).tolist()[2] == SILENT, "reserved, but probed: a lab"


def test_a_small_run_is_drawn_as_large_as_it_is() -> None:
    alive, probed = np.zeros(1 << 24, np.uint16), np.zeros(1 << 24, np.bool_)
    probed[0x0A0100:0x0A0110] = True
    alive[0x0A0103] = 9
    small = LivenessMap("small", alive, probed)
    assert small.focus == (10, 0x0A010)
    picture = np.asarray(Image.open(io.BytesIO(small.focused or b"")))
    assert np.count_nonzero(picture == shade_of(9)) >= 256 * 256
    assert np.count_nonzero(picture == SILENT) >= 15 * 256 * 256
    probed[0x0A0200] = True
    wider = LivenessMap("wider", alive, probed)
    assert wider.focus == (7, 0x0A01 >> 2)
    picture = np.asarray(Image.open(io.BytesIO(wider.focused or b"")))
    assert np.count_nonzero(picture == RESERVED) > np.count_nonzero(picture == SILENT)
    probed[-1] = True
    assert LivenessMap("two ends", alive, probed).focused is None
    assert LivenessMap("unknown", alive).focused is None


def test_a_pixel_of_many_prefixes_is_unprobed_if_all_of_them_are() -> None:
    alive, probed = np.zeros(1 << 24, np.uint16), np.zeros(1 << 24, np.bool_)
    probed[0x080808] = probed[-1] = True
    picture = np.asarray(Image.open(io.BytesIO(LivenessMap("two", alive, probed).png(4))))
    letters = 4 * 13 * 26  # of the legend
    assert 1 <= np.count_nonzero(picture == SILENT) <= 2 + letters
    assert np.count_nonzero(picture == UNPROBED) > 700_000
