"""A model behind HTTP: JSON out, JSON in, batches, retries and time limits.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pytest_bugsle.errors import ProgramError, UsageError

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_LARGEST = 64 * 1024 * 1024
_LONGEST_PAUSE = 10.0


class EndpointRefused(ValueError):
    """The endpoint answered that it will not take this input (4xx)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that takes {"inputs": […]} by POST, and answers a list, alone or under `field`.

    `request` and `response` turn a list of inputs into what is sent, and what comes back into a list of answers.
    A busy endpoint (429, 5xx) or a broken connection is tried again, `retries` times, after `pause` seconds, twice
    as many each time, or what Retry-After asks for, at most ten.
    """

    url: str
    batch: int = 32
    timeout: float = 30.0
    retries: int = 3
    pause: float = 0.5
    headers: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[Any] | None = None
    request: Callable[[list[Any]], Any] = lambda inputs: {"inputs": inputs}
    response: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise UsageError(f"{self.url!r} is no URL of a model.", hint="http://… or https://…")
        if "@" in urlsplit(self.url).netloc:
            raise UsageError(
                "the URL of the model holds a name or a password.",
                why="a URL stands in messages and reports",
                hint='Endpoint("https://…", headers={"Authorization": os.environ["…"]})',
            )

    def ask_endpoint(self, inputs: list[Any]) -> Any:
        """Return the answers to a batch; EndpointRefused for a 4xx, ProgramError where none comes."""
        body = json.dumps(self.request(inputs), default=_plain).encode()
        for attempt in range(self.retries + 1):
            pause = min(_LONGEST_PAUSE, self.pause * 2**attempt)
            try:
                answered = json.loads(self._post(body))
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(500).decode("utf-8", "replace").strip()
                if error.code not in _BUSY:
                    raise EndpointRefused(f"HTTP {error.code}: {said}") from error
                what = f"it answers HTTP {error.code}: {said}"
                asked = error.headers.get("Retry-After", "")
                pause = min(_LONGEST_PAUSE, float(asked)) if asked.isdigit() else pause
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                what = str(getattr(error, "reason", error)) or type(error).__name__
            except ValueError as error:
                raise ProgramError(f"{self.url} does not answer in JSON: {error}") from error
            else:
                return self._answers(answered)
            if attempt < self.retries:
                time.sleep(pause)
        raise ProgramError(
            f"{self.url} gave no answer in {self.retries + 1} attempts: {what}",
            hint="is it running? Endpoint(url, timeout=…, retries=…) sets the limits",
        )

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self.headers}
        asked = urllib.request.Request(self.url, data=body, headers=headers, method="POST")  # noqa: S310  # http(s), see above
        with urllib.request.urlopen(asked, timeout=self.timeout) as answered:  # noqa: S310  # as above
            content: bytes = answered.read(_LARGEST + 1)
            missing = answered.length
        if len(content) > _LARGEST:
            raise ProgramError(f"{self.url} answers more than {_LARGEST // 2**20} MB to one batch.")
        if missing:  # read() does not say so where it is given a size
            raise http.client.IncompleteRead(content, missing)
        return content

    def _answers(self, answered: Any) -> Any:
        if self.response is not None:
            return self.response(answered)
        if isinstance(answered, dict):
            for key in ("predictions", "outputs", "answers"):
                if isinstance(answered.get(key), list):
                    return answered[key]
        return answered


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON: Endpoint(url, request=…) says how it is sent")
