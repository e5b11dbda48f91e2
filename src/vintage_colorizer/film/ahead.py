"""Let an iterator work ahead of its consumer, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the same items, computed up to `depth` ahead. An error in `items` is raised here, in its place."""
    line: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(depth)
    abandoned = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> bool:
        while not abandoned.is_set():
            try:
                line.put(entry, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # whatever it is, the consumer has to know
            put((False, error))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = line.get()
            if is_item:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        abandoned.set()
        thread.join()
