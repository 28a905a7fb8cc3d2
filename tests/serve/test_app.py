"""What the server takes, gives and refuses, asked over HTTP as browsers and scripts ask it."""

from __future__ import annotations

import base64
import io
import shutil
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.inference.masks import predict
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import brought
from headstart.scores.frames_csv import read_frames_csv
from headstart.scores.overlap import dice_of_frames
from headstart.serve import app
from headstart.serve.answer import answer as answer_to
from headstart.serve.app import Served
from headstart.serve.guard import HEADERS, OPEN
from headstart.serve.limits import RequestLimits
from tests.data.pictures.test_reading import encoded, png_header, with_alpha
from tests.serve.conftest import running, slow

RGB = np.random.default_rng(0).integers(0, 256, (48, 70, 3), dtype=np.uint8)
PNG = encoded(RGB)
MB = 1_000_000
UPLOAD = b"POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def post(client: httpx.Client, content: Any = PNG, path: str = "/segment", **headers: str) -> Any:
    return client.post(path, content=content, headers=headers)


def test_the_mask_is_the_one_that_predict_writes(
    client: httpx.Client, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(PNG)
    predict(
        served.segmenter, find_pictures(tmp_path / "in").frames, tmp_path / "in", tmp_path / "out"
    )
    answer = post(client).json()
    assert base64.b64decode(answer["mask"]) == (tmp_path / "out/masks/a.png").read_bytes()
    classes = unpacked(answer["map"]).reshape(answer["height"], answer["width"])
    with Image.open(tmp_path / "out/masks/a.png") as mask:
        assert np.array_equal(served.segmenter.label_map.to_indices(np.asarray(mask)), classes)
    assert answer["areas"] == [float((classes == k).mean()) for k in range(5)]
    assert "picture" not in answer and "truth" not in answer


def test_probabilities_are_the_networks(client: httpx.Client, served: Served) -> None:
    told = post(client).json()["probabilities"]
    given = brought(served.segmenter, RGB).transpose(2, 0, 1)[None].copy()
    expected = served.segmenter.probabilities(given)[0]
    values = unpacked(told["values"]).reshape(5, told["height"], told["width"]) / 255
    assert np.abs(values - expected).max() <= 0.5 / 255 + 1e-6


def test_probabilities_are_calibrated(served: Served) -> None:
    """The map and the mask are not: they stay those that predict writes."""
    plain = answer_to(served.segmenter, RGB)
    warm = answer_to(replace(served.segmenter, temperature=2.0), RGB)
    given = np.stack([brought(served.segmenter, RGB).transpose(2, 0, 1)])
    expected = served.segmenter.probabilities(given)[0] ** 0.5
    expected /= expected.sum(0)
    told = warm["probabilities"]
    values = unpacked(told["values"]).reshape(5, told["height"], told["width"]) / 255
    assert np.abs(values - expected).max() <= 0.5 / 255 + 1e-6
    assert {**plain, "probabilities": told} == warm and plain != warm


def test_a_picture_that_browsers_cannot_read_comes_back(client: httpx.Client) -> None:
    answer = post(client, encoded(RGB, "TIFF"), "/segment?picture=true").json()
    kind, _, content = answer["picture"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert np.array_equal(np.asarray(picture), RGB)


def test_all_formats_that_check_reads_are_read_and_offered(client: httpx.Client) -> None:
    page = client.get("/").text
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"):
        assert post(client, encoded(RGB, kind)).status_code == 200
        assert f"image/{kind.lower()}" in page
    assert ".dcm" in page


def test_a_frame_has_its_truth_and_the_dice_of_the_run(
    client: httpx.Client, trained: Path, drawn: Path
) -> None:
    counts = read_frames_csv((trained / "frames.csv").read_bytes(), trained / "frames.csv").counts
    for k, dice in enumerate(dice_of_frames(counts)):
        answer = post(client, b"", f"/samples/{k}/segment").json()
        assert answer["dice"] == pytest.approx(dice, abs=1e-12)
        assert unpacked(answer["truth"]).size == 32 * 40 and "picture" in answer
    thumbnail = client.get("/samples/0/thumbnail")
    with Image.open(io.BytesIO(thumbnail.content)) as picture:
        assert picture.format == "JPEG" and max(picture.size) <= 160
    assert client.get("/samples/5/thumbnail").status_code == 404
    assert post(client, b"", "/samples/-1/segment").status_code == 404


def test_the_facts(client: httpx.Client) -> None:
    facts = client.get("/facts").json()
    assert facts["classes"][0] == {"name": "Drawn_Tissue", "colour": None}
    assert facts["samples"]["names"] == ["0", "1", "2", "3", "4"]
    assert facts["limits"] == {"bytes": 20 * MB, "pixels": 24 * MB}
    for sheet in facts["sheets"]:
        assert client.get(f"/sheets/{sheet}").content.startswith(b"\x89PNG")
    assert len(facts["sheets"]) == 2


BAD = {
    "nothing": (b"", 422, "empty-file"),
    "a page": (b"<html>", 415, "not-a-picture"),
    "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not-a-picture"),
    "cut short": (PNG[: len(PNG) // 2], 422, "damaged-picture"),
    "a header that lies": (png_header(30_000, 30_000), 413, "picture-size"),
    "more than 24 megapixels": (png_header(6001, 4000), 413, "picture-size"),
    "transparent": (encoded(with_alpha(0)), 422, "transparent-picture"),
    "sixteen bits": (encoded(Image.new("I;16", (4, 4))), 422, "picture-depth"),
}


@pytest.mark.parametrize(("content", "status", "code"), BAD.values(), ids=BAD.keys())
def test_bad_pictures_are_refused_in_words(
    client: httpx.Client, content: bytes, status: int, code: str
) -> None:
    answer = post(client, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "hint"} and "0x" not in answer.text


def test_a_form_is_refused_and_its_file_name_is_nowhere(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "../../../../tmp/evil.png"
    answer = client.post("/segment", files={"file": (name, PNG)})
    assert (answer.status_code, answer.json()["code"]) == (415, "is-a-form")
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/sheets/..%2fconfig.json",
     "/sheets/config.json", "/docs", "/openapi.json", "/redoc", "/samples/x/thumbnail", "/facts/"],
)  # fmt: skip
def test_there_is_nothing_else(address: str, path: str) -> None:
    """Sent as it is: httpx would tidy the path up first."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.split(b" ")[1] == b"404" and b'"code":"not-found"' in answer, answer
    assert b"root:" not in answer and b"headstart/" not in answer


def test_what_is_not_understood_is_said_like_everything_else(client: httpx.Client) -> None:
    answer = post(client, path="/segment?picture=perhaps")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-value")
    assert "picture" in answer.json()["message"] and "hint" in answer.json()


def test_the_network_that_was_loaded_answers_though_its_file_is_gone(
    trained: Path, client: httpx.Client, served: Served, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    with running(replace(served, segmenter=open_segmenter(run, "cpu"))) as url:
        (run / "weights.safetensors").write_bytes(b"another's")
        answer = httpx.post(f"{url}/segment", content=PNG)
        shutil.rmtree(run)
        again = httpx.post(f"{url}/segment", content=PNG)
    assert answer.json() == again.json() == post(client).json()


def chunks(size: int) -> Iterator[bytes]:
    for start in range(0, size, MB):
        yield b"\xff" * min(MB, size - start)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_20_mb_is_refused(client: httpx.Client, chunked: bool) -> None:
    size = 20 * MB + 1
    answer = post(client, chunks(size) if chunked else b"\xff" * size)
    assert (answer.status_code, answer.json()["code"]) == (413, "file-too-large")
    assert "20 MB" in answer.json()["message"]


def test_a_body_of_20_mb_is_read(client: httpx.Client) -> None:
    padded = PNG + b"\0" * (20 * MB - len(PNG))
    assert post(client, padded).status_code == 200


def test_only_its_own_names_and_pages_may_ask(client: httpx.Client, address: str) -> None:
    assert client.get("/", headers={"Host": "rebound.example"}).status_code == 400
    assert client.get("/facts", headers={"Host": "rebound.example:80"}).json()["code"] == (
        "wrong-host"
    )
    other = address.replace("127.0.0.1", "localhost")
    for origin in ("http://evil.example", "null", "http://[", other):
        answer = post(client, Origin=origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong-origin")
    assert post(client, Origin=address).status_code == 200


def test_every_answer_has_its_headers(client: httpx.Client) -> None:
    for answer in (
        client.get("/"),
        client.get("/facts"),
        client.get("/nothing"),
        client.get("/", headers={"Host": "rebound.example"}),
        post(client, b"<html>"),
        client.request("PUT", "/segment"),
    ):
        for name, value in HEADERS:
            assert answer.headers.get_list(name.decode()) == [value.decode()]
        assert "server" not in answer.headers
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_nothing_is_said_without_the_token(served: Served) -> None:
    token = "sixteen-letters-and-more"
    with running(served, token) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for path in ("/facts", "/sheets/curves.png", "/samples/0/thumbnail"):
            assert client.get(path).status_code == 401
            wrong = client.get(path, headers={"Authorization": "Bearer sixteen"})
            assert (wrong.status_code, wrong.json()["code"]) == (401, "token")
            right = client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert right.status_code == 200
        assert post(client).status_code == 401
        assert post(client, Authorization=f"Bearer {token}").status_code == 200
        for path in OPEN:
            assert client.get(path).status_code == 200
            assert "Drawn_Tissue" not in client.get(path).text


def test_more_than_can_wait_are_asked_to_come_again() -> None:
    limits = RequestLimits(running=1, waiting=1)
    with running(slow(0.5, limits)) as url, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.post(f"{url}/segment", content=PNG), range(8)))
        told = sorted(answer.status_code for answer in answers)
        assert told[:2] == [200, 200] and told[-1] == 503, told
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {a.headers["retry-after"] for a in refused} == {"2"}
        assert {a.json()["code"] for a in refused} == {"busy"}
        assert httpx.post(f"{url}/segment", content=PNG).status_code == 200


def test_health_answers_while_pictures_are_worked_on() -> None:
    with running(slow(1.0, RequestLimits())) as url, ThreadPoolExecutor(4) as pool:
        working = [pool.submit(httpx.post, f"{url}/segment", content=PNG) for _ in range(4)]
        time.sleep(0.1)
        began = time.monotonic()
        assert httpx.get(f"{url}/health").json() == {"status": "ok"}
        assert time.monotonic() - began < 1
        assert {w.result().status_code for w in working} == {200}


def test_what_takes_too_long_is_given_up_but_keeps_its_place() -> None:
    limits = RequestLimits(running=1, waiting=4, work_seconds=0.3)
    with running(slow(1.0, limits)) as url:
        began = time.monotonic()
        first = httpx.post(f"{url}/segment", content=PNG)
        assert (first.status_code, first.json()["code"]) == (504, "slow-work")
        assert time.monotonic() - began < 0.9
        second = httpx.post(f"{url}/segment", content=PNG, timeout=10)
        assert second.status_code == 504 and time.monotonic() - began > 1.2


def test_a_turn_that_does_not_come_is_not_waited_for() -> None:
    limits = RequestLimits(running=1, waiting=4, work_seconds=0.1, turn_seconds=0.3)
    with running(slow(1.5, limits)) as url:
        assert httpx.post(f"{url}/segment", content=PNG).status_code == 504
        began = time.monotonic()
        waited = httpx.post(f"{url}/segment", content=PNG)
        assert (waited.status_code, waited.json()["code"]) == (503, "busy")
        assert waited.headers["retry-after"] == "2" and 0.2 < time.monotonic() - began < 1.2


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 10)


def test_uploads_that_stall_are_ended_and_keep_nobody_from_a_place() -> None:
    limits = RequestLimits(running=1, waiting=0, pause_seconds=2.0)
    with running(slow(0.0, limits)) as url, ExitStack() as stack:
        lines = [stack.enter_context(connected(url)) for _ in range(12)]
        for line in lines:
            line.sendall(UPLOAD % 99 + b"a few bytes")
        began = time.monotonic()
        time.sleep(0.3)
        assert [status(url) for _ in range(3)] == [200, 200, 200]
        assert time.monotonic() - began < 2, "the uploads may have ended before"
        for line in lines:
            assert b" 408 " in line.recv(65536)
        assert time.monotonic() - began < 6


def test_uploads_beyond_what_memory_may_hold_are_refused() -> None:
    limits = RequestLimits(running=1, waiting=8, pause_seconds=1.0, held_bytes=len(PNG) + 99)
    with running(slow(0.0, limits)) as url:
        with connected(url) as line:
            line.sendall(UPLOAD % 1000 + b"." * 100)
            time.sleep(0.3)
            refused = httpx.post(f"{url}/segment", content=PNG)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert "MB of uploads" in refused.json()["message"]
            assert refused.headers["retry-after"] == "2"
            assert b" 408 " in line.recv(65536)
        assert status(url) == 200


def test_pictures_that_are_too_large_together_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 48 x 70 pixels each, where 1.5 times as many may be in memory."""
    lock, now, most = threading.Lock(), 0, 0

    def decode(*_: object) -> np.ndarray:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.1)
        with lock:
            now -= 1
        return RGB

    monkeypatch.setattr(app, "decode_image", decode)
    limits = RequestLimits(running=4, pixels=RGB.size // 2)
    with running(slow(0.0, limits)) as url, ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: status(url), range(4))) == {200}
    assert most == 1


def test_a_picture_is_refused_by_its_header_and_told_what_predict_takes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an upload nor a frame is decoded, nor waits for its turn."""

    def decode(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(app, "decode_image", decode)
    monkeypatch.setattr(app, "read_labelled", decode)
    with running(replace(served, limits=RequestLimits(pixels=32 * 40 - 1))) as url:
        for path, content in (("/segment", PNG), ("/samples/0/segment", b"")):
            told = httpx.post(url + path, content=content)
            assert (told.status_code, told.json()["code"]) == (413, "picture-size")
            assert "1,279" in told.json()["message"] and "64,000,000" in told.json()["hint"]


def test_a_thumbnail_needs_pixels_once(served: Served) -> None:
    samples = replace(served.samples, _thumbnails={})
    assert samples.pixels_for_thumbnail(0) == 32 * 40
    samples.thumbnail(0)
    assert samples.pixels_for_thumbnail(0) == 0


def status(url: str) -> int:
    return httpx.post(f"{url}/segment", content=PNG, timeout=30).status_code


def test_an_upload_that_crawls_is_ended() -> None:
    limits = RequestLimits(pause_seconds=5.0, upload_seconds=0.5)
    with running(slow(0.0, limits)) as url, connected(url) as line:
        line.sendall(UPLOAD % 99)
        stop = threading.Event()

        def crawl() -> None:
            while not stop.wait(0.1):
                line.sendall(b".")

        crawling = threading.Thread(target=crawl)
        crawling.start()
        try:
            answer = line.recv(65536)
        finally:
            stop.set()
            crawling.join()
        assert b" 408 " in answer


def test_places_are_free_again_after_senders_vanish(served: Served) -> None:
    with running(served) as url:
        for _ in range(30):
            with connected(url) as line:
                line.sendall(UPLOAD % 9999 + b"abc")
        until = time.monotonic() + 10
        statuses: list[int] = []
        while 200 not in statuses and time.monotonic() < until:
            statuses.append(httpx.post(f"{url}/segment", content=PNG).status_code)
        assert statuses[-1] == 200


def test_a_run_with_a_range_reads_more_than_8_bits(served: Served) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (32, 40), dtype=np.uint16)
    rules = ReadingRules((0, 4095), page=1)
    deep = replace(served, segmenter=replace(served.segmenter, rules=rules))
    buffer, first = io.BytesIO(), Image.new("I;16", (8, 8))
    first.save(buffer, "TIFF", save_all=True, append_images=[Image.fromarray(values)])
    with running(deep) as url, httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        for content in (encoded(values), buffer.getvalue()):
            answer = client.post("/segment?picture=true", content=content)
            assert answer.status_code == 200, answer.text
            sent = answer.json()["picture"].partition(",")[2]
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sent))))
            assert np.abs(picture[..., 0] - values / 4095 * 255).max() <= 1
