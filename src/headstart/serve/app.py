"""The server's few addresses; see docs/serve.md for what they take and give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from headstart.data.decoded_frames import read_labelled
from headstart.data.pictures.reading import decode_image
from headstart.errors import DataError, printable
from headstart.inference.segmenter import Segmenter
from headstart.serve.admission import Desk
from headstart.serve.answer import answer
from headstart.serve.facts import About, facts
from headstart.serve.guard import Guard
from headstart.serve.limits import App, Limits, Refusal, read_body
from headstart.serve.samples import Samples

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/stage.js": ("stage.js", "text/javascript; charset=utf-8"),
    "/worth.js": ("worth.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS = {"picture-size": 413, "not-a-picture": 415, "several-pages": 415}
_THUMBNAILS_WAITING = 64


@dataclass(frozen=True)
class Served:
    """What is served.

    Attributes:
        segmenter: the trained network.
        about: what is known of it.
        samples: frames to try it on.
        limits: what is taken.
    """

    segmenter: Segmenter
    about: About
    samples: Samples
    limits: Limits = field(default_factory=Limits)


def make_app(served: Served, host: str = "127.0.0.1", token: str | None = None) -> App:
    """The application, behind its gate.

    Args:
        served: what it serves.
        host: the address it will listen on, which decides by what names it may be asked.
        token: without which it says nothing about the run.
    """
    limits = served.limits
    desk = Desk(limits.running, limits.waiting, limits)
    shelf = Desk(1, _THUMBNAILS_WAITING, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()
        shelf.close()

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(DataError, _unreadable)
    app.add_exception_handler(HTTPException, _no_such)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(Exception, _broken)
    _add_page(app, served)
    _add_samples(app, served, desk, shelf)

    @app.post("/segment")
    async def segment(request: Request, picture: bool = False) -> Response:
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            message = "expected the picture's bytes as the body, found a form"
            raise Refusal(415, "is-a-form", message, "curl --data-binary @FILE does it")
        with desk.admitted():
            content = await read_body(request.scope, request.receive, limits)
            work = partial(_segment, served, content, picture)
            del content  # a picture that waits is held once
            return await _done(request, desk, work)

    return Guard(app, host, token)


def _add_page(app: FastAPI, served: Served) -> None:
    def file(name: str, kind: str) -> Callable[[], Response]:
        content = files("headstart.serve").joinpath(name).read_bytes()
        return lambda: Response(content, media_type=kind)

    for path, (name, kind) in _FILES.items():
        app.add_api_route(path, file(name, kind), methods=["GET"])
    limits, samples = served.limits, served.samples
    known = facts(served.about, served.segmenter)
    known["samples"] = {
        "split": samples.split,
        "missing": samples.missing,
        "names": [printable(frame.name) for frame in samples.frames],
    }
    known["limits"] = {"bytes": limits.bytes, "pixels": limits.pixels}

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/facts")
    async def all_facts() -> Response:
        return JSONResponse(known)

    @app.get("/sheets/{name}")
    async def sheet(name: str) -> Response:
        if name not in served.about.sheets:
            raise HTTPException(404)
        return Response(served.about.sheets[name], media_type="image/png")


def _add_samples(app: FastAPI, served: Served, desk: Desk, shelf: Desk) -> None:
    samples = served.samples

    def known(k: int) -> int:
        if not 0 <= k < len(samples.frames):
            raise HTTPException(404)
        return k

    @app.get("/samples/{k}/thumbnail")
    async def thumbnail(k: int) -> Response:
        with shelf.admitted():
            content = await shelf.do(partial(samples.thumbnail, known(k)))
        return Response(content, media_type="image/jpeg")

    @app.post("/samples/{k}/segment")
    async def segment_sample(request: Request, k: int) -> Response:
        with desk.admitted():
            return await _done(request, desk, partial(_segment_sample, served, known(k)))


async def _done(request: Request, desk: Desk, work: Callable[[], bytes]) -> Response:
    return Response(await desk.do(work, request.is_disconnected), media_type="application/json")


def _segment(served: Served, content: bytes, shown: bool) -> bytes:
    image = decode_image(content, "the picture", served.limits.pixels)
    return _json(answer(served.segmenter, image, shown=shown))


def _segment_sample(served: Served, k: int) -> bytes:
    samples = served.samples
    image, truth = read_labelled(samples.frames[k], served.segmenter.label_map, samples.root)
    height, width = truth.shape
    if height * width > served.limits.pixels:  # what it would take depends on the network's classes
        message = f"this frame has {width} x {height} pixels, more than {served.limits.pixels}"
        hint = "headstart predict segments it"
        raise Refusal(413, "picture-size", message, hint)
    return _json(answer(served.segmenter, image, truth, shown=True))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, DataError)
    finding = error.findings[0]
    status = _STATUS.get(finding.code, 422)
    return Refusal(status, finding.code, finding.message, finding.hint).response()


async def _no_such(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: ("not-found", "there is nothing here"), 405: ("method", "not asked like this")}
    code, message = words.get(error.status_code, ("http", str(error.detail)))
    return Refusal(error.status_code, code, message).response()


async def _not_understood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where, *names = error.errors()[0]["loc"]
    if where == "path":  # no number, so no frame
        return await _no_such(request, HTTPException(404))
    message = f"{'.'.join(map(str, names))} in the address is not understood"
    return Refusal(400, "bad-value", message, "true or false").response()


async def _broken(_: Request, error: Exception) -> Response:
    if isinstance(error, MemoryError):
        message = "not enough memory for this picture"
        return Refusal(503, "memory", message, "try a smaller picture").response()
    return Refusal(500, "broken", "something went wrong in the server").response()
