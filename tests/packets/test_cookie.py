"""The cookie: its bits lie where the design says, and a source port tells its attempt and no other."""

from hypothesis import given
from hypothesis import strategies as st

from liveness.kernel import uint64
from liveness.packets import cookie
from tests.packets.reference import ExpectedCookie

HASHES = st.integers(0, 2**64 - 1)
KEYS = st.binary(min_size=16, max_size=16)


@st.composite
def port_ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """Return the first port, the stride and the number of attempts of a range that ends at 65535 or before."""
    attempts = draw(st.integers(1, 8))
    first = draw(st.integers(0, 65536 - attempts))
    stride = draw(st.integers(1, (65536 - first) // attempts))
    return first, stride, attempts


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 6, 17]), st.integers(0, 65535), KEYS)
def test_every_field_holds_its_bits_of_the_hash(target: int, protocol: int, port: int, key: bytes) -> None:
    expected = ExpectedCookie(target, protocol, port, key)
    low, high = (uint64(int.from_bytes(half, "little")) for half in (key[:8], key[8:]))
    hashed = cookie.cookie(target, cookie.probe_code(protocol, port), low, high)
    assert int(hashed) == expected.hashed
    hashed = uint64(expected.hashed)
    assert cookie.ip_id(hashed) == expected.ip_id
    assert cookie.sequence(hashed) == expected.sequence
    assert cookie.low_half(hashed) == expected.bits(0, 31)
    assert cookie.transaction(hashed) == expected.transaction
    for attempt in range(4):
        assert (cookie.echo_id(hashed), cookie.echo_sequence(hashed, attempt)) == expected.echo(attempt)


def test_an_echo_sequence_number_grows_past_the_highest_to_zero() -> None:
    hashed = uint64(0x1234_FFFF_0000_0000)
    assert [int(cookie.echo_sequence(hashed, attempt)) for attempt in range(3)] == [0xFFFF, 0, 1]


@given(HASHES, port_ranges())
def test_a_port_shows_its_attempt(number: int, ports: tuple[int, int, int]) -> None:
    first, stride, attempts = ports
    hashed = uint64(number)
    used = [int(cookie.source_port(hashed, first, stride, attempt)) for attempt in range(attempts)]
    for attempt, port in enumerate(used):
        assert first + attempt * stride <= port < first + (attempt + 1) * stride
        assert cookie.attempt_of_port(port, hashed, first, stride, attempts) == attempt


@given(HASHES, port_ranges(), st.integers(0, 65535), st.integers(-3, 3))
def test_any_other_port_shows_no_attempt(number: int, ports: tuple[int, int, int], anywhere: int, near: int) -> None:
    first, stride, attempts = ports
    hashed = uint64(number)
    used = {int(cookie.source_port(hashed, first, stride, attempt)): attempt for attempt in range(attempts)}
    beyond = [first + cookie.port_offset(hashed, stride) + stride * attempt for attempt in (-1, attempts)]
    for port in (anywhere, *beyond, *(port + near for port in used)):
        assert cookie.attempt_of_port(port, hashed, first, stride, attempts) == used.get(int(port), -1)


def test_a_small_range_is_divided_without_overlap() -> None:
    for number in range(200):
        hashed = uint64(number * 0x9E3779B97F4A7C15 & 2**64 - 1)
        proven = [int(cookie.attempt_of_port(port, hashed, 100, 7, 3)) for port in range(90, 130)]
        assert sorted(attempt for attempt in proven if attempt >= 0) == [0, 1, 2]


@given(HASHES, st.integers(1, 64))
def test_a_source_address_is_one_of_those_there_are(number: int, sources: int) -> None:
    assert cookie.source_index(uint64(number), sources) == (number >> 8 & 0xFFFF) * sources >> 16
