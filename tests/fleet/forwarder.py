"""``python -m tests.fleet.forwarder PORT TO``: forwards connections on loopback; killed, it stands for a dead store."""

import socket
import sys
import threading


def pump(source: socket.socket, target: socket.socket) -> None:
    """Forward one direction until either side closes."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def main(port: int, to: int) -> None:
    """Forward until killed."""
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection(("127.0.0.1", to))
            for pair in ((client, upstream), (upstream, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
