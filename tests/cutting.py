"""A TCP proxy on loopback that cuts connections after random numbers of bytes."""

import contextlib
import random
import selectors
import socket
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager

_AT_ONCE = 65536


class Cutting:
    """Passes bytes on until a connection has had its share; `most` is the largest share, None lets all pass."""

    def __init__(self, target: int, seed: int) -> None:
        self.most: int | None = None
        self.cuts = 0
        self._target, self._chance = target, random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def cut(self) -> None:
        """Cut all connections that there are."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _pass(self, client: socket.socket) -> None:
        left = None if self.most is None else self._chance.randrange(self.most)
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            self._open |= {client, server}
            with contextlib.suppress(OSError), selectors.DefaultSelector() as both:
                both.register(client, selectors.EVENT_READ, server)
                both.register(server, selectors.EVENT_READ, client)
                while left is None or left > 0:
                    for key, _ in both.select():
                        source, other = key.fileobj, key.data
                        assert isinstance(source, socket.socket)
                        data = source.recv(_AT_ONCE if left is None else max(1, min(_AT_ONCE, left)))
                        if not data:
                            return
                        other.sendall(data)
                        left = None if left is None else left - len(data)
                self.cuts += 1
                # A reset, as a firewall or a dying load balancer sends it, and no orderly end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._open -= {client, server}


@contextmanager
def before(port: int, seed: int = 1) -> Generator[Cutting]:
    """Stand before the server on `port`."""
    proxy = Cutting(port, seed)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(5)
