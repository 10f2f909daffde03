"""Hostile clients of the metrics endpoint: it answers others, prints nothing, and starts no thread without bound."""

import random
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest

from liveness.watch import endpoint as endpoint_module
from liveness.watch.publishing import MetricsEndpoint
from tests.fuzzing.hostile import octets, with_tokens
from tests.watch.readings import progress, reading

REQUESTS: Final = (
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n",
    b"HEAD /metrics?x=1 HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
)
TOKENS: Final = (
    b"\r\n", b"\0", b"HTTP/9.9", b"HTTP/1.", b"A" * 70_000, b"a: b\r\n" * 200, b"Content-Length: -1\r\n", b"\xff\xfe",
    b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"/../../etc/passwd", b"%00", b"GET ", b"\x1b[2J",
)  # fmt: skip
MUTANTS: Final = 300


@pytest.fixture
def endpoint() -> Iterator[MetricsEndpoint]:
    server = MetricsEndpoint("127.0.0.1:0")
    server.open()
    server.read(reading(progress(1, 100)))
    yield server
    server.close()


def answers(endpoint: MetricsEndpoint) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=60) as answer:
        return b"liveness_" in answer.read()


def test_mutants_of_requests(endpoint: MetricsEndpoint, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(1)
    for _ in range(MUTANTS):
        content = octets(chance, chance.choice(REQUESTS), REQUESTS)
        if chance.random() < 0.5:
            content = with_tokens(chance, content, TOKENS)
        with suppress(OSError), socket.create_connection(("127.0.0.1", endpoint.port), timeout=30) as client:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass
    assert answers(endpoint)
    assert capfd.readouterr() == ("", "")


def test_clients_that_say_nothing_take_no_more_than_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MOST_CLIENTS", 2)
    endpoint = MetricsEndpoint("127.0.0.1:0")
    endpoint.open()
    endpoint.read(reading(progress(1, 100)))
    before = most = threading.active_count()
    clients = []
    for _ in range(8):
        clients.append(socket.create_connection(("127.0.0.1", endpoint.port)))
        time.sleep(0.2)  # the server looks for clients ten times a second
        most = max(most, threading.active_count())
    for client in clients:
        client.close()
    assert 0 < most - before <= 2
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:  # until their threads have noticed
        time.sleep(0.05)
    assert answers(endpoint)
    endpoint.close()
