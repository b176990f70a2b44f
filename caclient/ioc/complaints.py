"""What the server's log says of failures: at once, and then at most once a second for a cause, with a count."""

from __future__ import annotations

import logging
import threading
import time

from caclient.engine.throttle import Throttle

logger = logging.getLogger("caclient.ioc")


class Complaints:
    """Writes warnings and tracebacks that clients or user code can cause as often as they like. Any thread."""

    def __init__(self) -> None:
        self._throttle = Throttle()
        self._lock = threading.Lock()

    def warn(self, text: str) -> None:
        """A line by itself."""
        more = self._more(text)
        if more is not None:
            logger.warning("%s%s", text, more)

    def failed(self, text: str, error: BaseException, whose: str = "") -> None:
        """A line with the error's traceback; *whose* it was is told, but makes no other cause."""
        more = self._more((text, type(error)))
        if more is not None:
            logger.error("%s%s%s", text, whose, more, exc_info=error)

    def _more(self, cause: object) -> str | None:
        """What to add about lines that were left unsaid; None if this one is."""
        with self._lock:
            held_back = self._throttle.admit(cause, time.monotonic())
        if held_back is None:
            return None
        return f" ({held_back} times more since the last line)" if held_back else ""
