"""The server's routes; docs/serve.md describes them."""

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

from headstart.data.pictures.in_flight import pixels_in_bytes
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import decode_image, fitting_bytes
from headstart.errors import DataError, printable
from headstart.inference.segmenter import Segmenter
from headstart.serve.admission import PixelBudget, Uploads, WorkQueue
from headstart.serve.answer import answer
from headstart.serve.facts import About, facts
from headstart.serve.guard import Guard
from headstart.serve.limits import App, Refusal, RequestLimits, read_body, too_many_pixels
from headstart.serve.samples import Samples

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/requests.js": ("requests.js", "text/javascript; charset=utf-8"),
    "/stage.js": ("stage.js", "text/javascript; charset=utf-8"),
    "/worth.js": ("worth.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS = {"picture-size": 413, "not-a-picture": 415, "several-pages": 415}
_THUMBNAILS_WAITING = 64


@dataclass(frozen=True)
class Served:
    """A network and everything that the page shows about it.

    Attributes:
        segmenter: the trained network.
        about: the run's records.
        samples: scored frames to try the network on.
        limits: the limits of a request.
    """

    segmenter: Segmenter
    about: About
    samples: Samples
    limits: RequestLimits = field(default_factory=RequestLimits)


def make_app(served: Served, host: str = "127.0.0.1", token: str | None = None) -> App:
    """Return the application behind its [`Guard`][headstart.serve.guard.Guard].

    Args:
        served: the network to serve.
        host: the address that the server listens on; it decides which ``Host`` headers are valid.
        token: the token that requests about the run need; ``None``: none.
    """
    limits = served.limits
    budget = PixelBudget(limits.pixels)
    pictures = WorkQueue(limits.running, limits.waiting, limits, budget)
    thumbnails = WorkQueue(1, _THUMBNAILS_WAITING, limits, budget)
    uploads = Uploads(limits.held_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pictures.close()
        thumbnails.close()

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(DataError, _unreadable)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    _add_page(app, served)
    _add_samples(app, served, pictures, thumbnails)

    @app.post("/segment")
    async def segment(request: Request, picture: bool = False) -> Response:
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            message = "the body is a form, expected the picture's bytes"
            raise Refusal(415, "is-a-form", message, "use curl --data-binary @FILE")
        pictures.require_place()  # before the client sends a picture for nothing
        with uploads.upload() as take:
            content = await read_body(request.scope, request.receive, limits, take)
            work = partial(_segment, served, content, picture)
            count_pixels = partial(
                _allowed, limits, partial(pixels_in_bytes, content, served.segmenter.rules)
            )
            with pictures.admitted():
                return await _answer(request, pictures, work, count_pixels)

    return Guard(app, host, token)


def _add_page(app: FastAPI, served: Served) -> None:
    def file(name: str, kind: str) -> Callable[[], Response]:
        content = files("headstart.serve").joinpath(name).read_bytes()
        return lambda: Response(content, media_type=kind)

    for path, (name, kind) in _FILES.items():
        app.add_api_route(path, file(name, kind), methods=["GET"])
    limits, samples = served.limits, served.samples
    content = facts(served.about, served.segmenter)
    content["samples"] = {
        "split": samples.split,
        "missing": samples.missing,
        "names": [printable(frame.name) for frame in samples.frames],
    }
    content["limits"] = {"bytes": limits.bytes, "pixels": limits.pixels}

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/facts")
    async def all_facts() -> Response:
        return JSONResponse(content)

    @app.get("/sheets/{name}")
    async def sheet(name: str) -> Response:
        if name not in served.about.sheets:
            raise HTTPException(404)
        return Response(served.about.sheets[name], media_type="image/png")


def _add_samples(app: FastAPI, served: Served, pictures: WorkQueue, thumbnails: WorkQueue) -> None:
    samples = served.samples

    def existing(k: int) -> int:
        if not 0 <= k < len(samples.frames):
            raise HTTPException(404)
        return k

    @app.get("/samples/{k}/thumbnail")
    async def thumbnail(k: int) -> Response:
        with thumbnails.admitted():
            size = partial(samples.pixels_for_thumbnail, existing(k))
            content = await thumbnails.do(partial(samples.thumbnail, k), size)
        return Response(content, media_type="image/jpeg")

    @app.post("/samples/{k}/segment")
    async def segment_sample(request: Request, k: int) -> Response:
        work = partial(_segment_sample, served, existing(k))
        count_pixels = partial(_allowed, served.limits, partial(samples.pixels, k))
        with pictures.admitted():
            return await _answer(request, pictures, work, count_pixels)


async def _answer(
    request: Request,
    queue: WorkQueue,
    work: Callable[[], bytes],
    count_pixels: Callable[[], int],
) -> Response:
    content = await queue.do(work, count_pixels, request.is_disconnected)
    return Response(content, media_type="application/json")


def _allowed(limits: RequestLimits, count_pixels: Callable[[], int]) -> int:
    """Return the number of pixels of a picture; refuse a picture with too many."""
    pixels = count_pixels()
    if pixels > limits.pixels:
        raise too_many_pixels(pixels, limits)
    return pixels


def _segment(served: Served, content: bytes, shown: bool) -> bytes:
    name, pixels = "the picture", served.limits.pixels
    rules = fitting_bytes(content, name, served.segmenter.rules)
    # No name here holds the picture: answer() lets go of it before the network runs.
    return _json(answer(served.segmenter, decode_image(content, name, pixels, rules), shown=shown))


def _segment_sample(served: Served, k: int) -> bytes:
    samples = served.samples
    label_map = samples.label_map or served.segmenter.label_map
    image, truth = read_labelled(samples.frames[k], label_map, samples.root)
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


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: ("not-found", "there is no such page"), 405: ("method", "wrong HTTP method")}
    code, message = known.get(error.status_code, ("http", str(error.detail)))
    return Refusal(error.status_code, code, message).response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where, *names = error.errors()[0]["loc"]
    if where == "path":  # a frame that is not a number
        return await _http_error(request, HTTPException(404))
    message = f"{'.'.join(map(str, names))} in the URL has an invalid value"
    return Refusal(400, "bad-value", message, "expected true or false").response()


async def _failed(_: Request, error: Exception) -> Response:
    if isinstance(error, MemoryError):
        message = "there is not enough memory for this picture"
        return Refusal(503, "memory", message, "try a smaller picture").response()
    return Refusal(500, "broken", "the server failed; its log has the reason").response()
