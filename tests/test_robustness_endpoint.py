"""A model behind HTTP, on a real server: batches, retries, limits, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.robustness.calling import Caller
from pytest_bugsle.robustness.endpoint import Endpoint
from pytest_bugsle.robustness.models import adapted


class Server(ThreadingHTTPServer):
    """Answers by a script: each entry is a status, or None for an answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[int | None] = []
        self.batches: list[list[Any]] = []
        self.answer: Any = None
        self.cut = 0

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/predict"


class Handler(BaseHTTPRequestHandler):
    """Calls a text by its length; refuses one that is empty."""

    server: Server

    def do_POST(self) -> None:  # the base class names it
        """Answer one batch."""
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        self.server.batches.append(inputs)
        status = self.server.script.pop(0) if self.server.script else None
        if status is None and "" in inputs:
            status = 422
        made = self.server.answer or {
            "predictions": [{"label": "long" if len(text) > 3 else "short", "score": 0.9} for text in inputs]
        }
        body = json.dumps(made).encode() if status is None else b"not now"
        self.send_response(status or 200)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        whole = self.server.cut <= 0
        self.server.cut -= 1
        self.wfile.write(body if whole else body[:3])

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Give a server on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_an_endpoint_is_asked_in_batches(server: Server) -> None:
    """By its URL alone, or with limits of its own."""
    answers = Caller(adapted(server.url))(["ab", "abcd"])
    assert [answers[text].label for text in ("ab", "abcd")] == ["short", "long"]
    Caller(adapted(Endpoint(server.url, batch=2)))(list("abcde"))
    assert [len(batch) for batch in server.batches] == [2, 2, 2, 1]


def test_a_busy_endpoint_is_asked_again(server: Server) -> None:
    """A few times."""
    server.script = [503, 429, None]
    assert Caller(adapted(Endpoint(server.url, pause=0.01)))(["ab"])["ab"].label == "short"
    server.script = [503] * 9
    with pytest.raises(ProgramError, match="gave no answer in 3 attempts: it answers HTTP 503: not now"):
        Caller(adapted(Endpoint(server.url, pause=0.001, retries=2)))(["x"])


def test_what_an_endpoint_refuses_is_one_bad_input(server: Server) -> None:
    """Found in its batch, and not tried again."""
    answers = Caller(adapted(server.url))(["a", "", "b", "c"])
    assert answers[""].error == "EndpointRefused: HTTP 422: not now" and answers["c"].label == "short"


def test_an_endpoint_that_is_not_there_is_told() -> None:
    """With how often it was tried."""
    with pytest.raises(ProgramError, match="gave no answer in 2 attempts"):
        Caller(adapted(Endpoint("http://127.0.0.1:9/", retries=1, pause=0.001, timeout=1)))(["a"])


def test_request_and_response_can_be_of_another_shape(server: Server) -> None:
    """By two functions."""
    server.answer = {"data": {"labels": ["x", "y"]}}
    endpoint = Endpoint(server.url, response=lambda body: body["data"]["labels"])
    assert Caller(adapted(endpoint))(["a", "b"])["b"].label == "y"
    with pytest.raises(UsageError, match="answered dict to a list of 2 inputs"):
        Caller(adapted(Endpoint(server.url)))(["a", "b"])


def test_only_http_is_spoken() -> None:
    """No file is opened by a URL."""
    with pytest.raises(UsageError, match="is no URL of a model"):
        Endpoint("file:///etc/passwd")


def test_a_broken_answer_is_asked_for_again(server: Server) -> None:
    """It says nothing of the input."""
    server.cut = 1
    assert Caller(adapted(Endpoint(server.url, pause=0.01)))(["ab"])["ab"].label == "short"
    assert len(server.batches) == 2
    server.cut = 9
    with pytest.raises(ProgramError, match="gave no answer in 2 attempts: IncompleteRead"):
        Caller(adapted(Endpoint(server.url, pause=0.01, retries=1)))(["x"])


def test_an_endpoint_that_breaks_on_a_bad_input_has_not_refused_it(server: Server) -> None:
    """An answer of 500 is no refusal, one of 422 is."""
    caller = Caller(adapted(Endpoint(server.url, pause=0.001, retries=1)))
    assert caller.attempt("") == ("raised", "EndpointRefused")
    server.script = [500, 500]
    assert caller.attempt("x") == ("raised", "ProgramError")


def test_no_password_stands_in_an_url() -> None:
    """It would stand in each report."""
    with pytest.raises(UsageError, match="the URL of the model holds a name or a password") as raised:
        Endpoint("https://user:secret@example.org/predict")
    assert "secret" not in str(raised.value)
