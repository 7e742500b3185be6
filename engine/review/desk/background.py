"""Work that is done again in the background whenever something has changed, for the newest state only."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.errors import EngineError

_PATIENCE = 5.0  # seconds that a run may take to end; the thread does not keep the process alive


class BackgroundTask:
    """One thread that runs a function once for all requests that came before it began."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        """Prepare; nothing runs before `start`."""
        self._run = run
        self._wanted = self._done = 0  # requests
        self._is_stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.trouble = ""  # why the last run failed; "" if it did not

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self) -> None:
        """Request another run."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a run has ended that began after the last request; return whether one has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_stopped or self._done == self._wanted, seconds)

    def end(self) -> None:
        """Let a run that has begun end, and begin no other; return when it has ended, or after a few seconds."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _serve(self) -> None:
        """Run whenever something was requested, until stopped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or self._done < self._wanted)
                if self._is_stopped:
                    return
                wanted = self._wanted
            try:
                self._run()
                self.trouble = ""
            except EngineError as err:
                self.trouble = str(err)
            except Exception as err:
                self.trouble = f"{type(err).__name__}: {err}"
            with self._changed:
                self._done = wanted
                self._changed.notify_all()
