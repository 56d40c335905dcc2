"""A real server on a port of this machine."""

import io
import json
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT
from helpers.runs import CONFIG
from helpers.server import COMMAND, SMALL, photo_bytes
from PIL import Image

from pose_project.inference import PosePredictor

pytestmark = pytest.mark.integration


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(height: int = 60, width: int = 80) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png_announcing(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header promises more."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def people_close(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a["score"] == pytest.approx(b["score"], abs=1e-4)
        np.testing.assert_allclose(a["box"], b["box"], atol=2e-2)
        for one, other in zip(a["keypoints"], b["keypoints"], strict=True):
            assert one["name"] == other["name"]
            np.testing.assert_allclose(
                [one["x"], one["y"], one["score"]],
                [other["x"], other["y"], other["score"]],
                atol=2e-2,
            )


def test_answer_is_the_predictors(server, served_weights):
    data = photo_bytes(7)
    status, answer = server.poses(data, {"Content-Type": "image/png"})
    assert status == 200
    predictor = PosePredictor.from_files(CONFIG, str(served_weights), SMALL)
    poses = predictor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert (answer["height"], answer["width"]) == poses.image_size_hw == (60, 80)
    assert len(poses) == len(answer["people"]) > 0
    assert answer["categories"][0]["keypoints"] == list(predictor.schema.names)
    lines = [list(line) for line in predictor.schema.skeleton_indices]
    assert answer["categories"][0]["skeleton"] == lines
    for index, person in enumerate(answer["people"]):
        np.testing.assert_allclose(person["box"], poses.boxes[index], atol=1e-2)
        points = [[each["x"], each["y"], each["score"]] for each in person["keypoints"]]
        np.testing.assert_allclose(points, poses.keypoints[index], atol=1e-2)
        covariances = [each["covariance"] for each in person["keypoints"]]
        np.testing.assert_allclose(covariances, poses.covariances[index], rtol=1e-2, atol=1e-2)


def test_no_answer_is_mixed_up_with_another(server):
    photos = [photo_bytes(seed, 40 + seed, 60 + 3 * (seed % 7)) for seed in range(24)]
    alone = [server.poses(photo) for photo in photos]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(server.poses, photos))
    for (status, found), (_, expected) in zip(together, alone, strict=True):
        assert status == 200
        assert (found["height"], found["width"]) == (expected["height"], expected["width"])
        people_close(found["people"], expected["people"])
    assert len({json.dumps(answer["people"]) for _, answer in alone}) == len(photos)


GREY16 = Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80))
JPEG = encoded(noise(), "JPEG")
REFUSED = {
    "empty": (b"", 422, "empty"),
    "text": (b"no photo at all", 415, "not a photo"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not a photo"),
    "a format that is not taken": (encoded(noise(), "TIFF"), 415, "not a photo"),
    "header only": (JPEG[:20], 415, "not a photo"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], 422, "damaged"),
    "truncated PNG": (photo_bytes(0)[:5000], 422, "damaged"),
    "no pixels": (png_announcing(0, 10), 415, "not a photo"),
    "bomb": (png_announcing(60_000, 60_000), 413, "pixels"),
    "pixels": (png_announcing(500, 401), 413, "500 x 401"),
    "bytes": (b"\xff\xd8\xff" + bytes(500_000), 413, "500000 bytes"),
    "animation": (
        encoded(noise(), "GIF", save_all=True, append_images=[noise(60, 80).rotate(90)]),
        415,
        "it has 2 frames",
    ),
    "an animated WebP": (
        encoded(noise(), "WEBP", save_all=True, append_images=[noise(60, 80).rotate(90)]),
        415,
        "it has 2 frames",
    ),
    "a line": (encoded(noise(1, 3000), "PNG"), 422, "too long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, name):
    body, code, reason = REFUSED[name]
    status, answer = server.poses(body)
    assert status == code, answer
    assert reason in answer["detail"]
    assert server.poses(photo_bytes(0))[0] == 200  # the server lives


TAKEN = {
    "CMYK": encoded(noise().convert("CMYK"), "JPEG"),
    "grey": encoded(noise().convert("L"), "PNG"),
    "palette with transparency": encoded(noise().quantize(), "PNG", transparency=0),
    "16 bits of grey": encoded(GREY16, "PNG"),
    "black and white": encoded(noise().convert("1"), "PNG"),
    "transparent": encoded(noise().convert("RGBA"), "PNG"),
    "WebP": encoded(noise(), "WEBP"),
    "BMP": encoded(noise(), "BMP"),
    "one frame": encoded(noise(), "GIF"),
    "MPO of phones": encoded(noise(), "MPO", save_all=True, append_images=[noise()]),
    "one pixel": encoded(noise(1, 1), "PNG"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(server, name):
    status, answer = server.poses(TAKEN[name])
    assert status == 200, answer
    size = (1, 1) if name == "one pixel" else (60, 80)
    assert (answer["height"], answer["width"]) == size


def test_turned_as_its_exif_data_say(server):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = noise().transpose(Image.Transpose.ROTATE_270)
    _, answer = server.poses(encoded(noise(), "JPEG", exif=exif, quality=100))
    assert (answer["height"], answer["width"]) == upright.size[::-1] == (80, 60)


def test_chunks_are_counted_as_they_arrive(server):
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 1
            yield bytes(65536)

    status = None
    with suppress(BrokenPipeError, ConnectionResetError):  # refused while we were still sending
        status, _ = server.poses(endless())  # no Content-Length
    assert status in (None, 413)
    assert sent < 1000
    assert server.poses(photo_bytes(0))[0] == 200


def test_a_length_that_is_too_large_is_not_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        headers = b"POST /api/poses HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(headers)
        assert b" 413 " in connection.recv(1000)


def test_page_and_document_need_no_network(server):
    status, headers, page = server.ask("GET", "/")
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
    assert b"http://" not in page and b"https://" not in page
    document = json.loads(server.ask("GET", "/openapi.json")[2])
    operation = document["paths"]["/api/poses"]["post"]
    assert set(operation["requestBody"]["content"]) >= {"image/jpeg", "image/png"}
    assert set(operation["responses"]) == {"200", "408", "413", "415", "422", "429", "503"}
    assert "covariance" in document["components"]["schemas"]["Keypoint"]["properties"]
    assert server.ask("GET", "/docs")[0] == 404
    assert server.ask("GET", "/api/poses")[0] == 405


def test_busy_and_too_often(start):
    limited = start("--max-waiting", "1", "--max-per-minute", "20")
    head = b"POST /api/poses HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", limited.port)) as slow:
        slow.sendall(head)
        time.sleep(0.5)
        status, headers, _ = limited.ask("POST", "/api/poses", photo_bytes(0))
        assert status == 503 and headers["retry-after"] == "1"
    time.sleep(0.5)  # its client has gone: the place is free, and the bucket of two is empty
    status, headers, _ = limited.ask("POST", "/api/poses", photo_bytes(0))
    assert status == 429 and 1 <= int(headers["retry-after"]) <= 3
    time.sleep(int(headers["retry-after"]))
    assert limited.poses(photo_bytes(0))[0] == 200
    assert limited.stop(signal.SIGINT) == 0


def test_requests_under_way_are_answered_before_the_end(start):
    server = start()
    photo = photo_bytes(0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        length = str(len(photo)).encode()
        head = b"POST /api/poses HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n"
        connection.sendall(head + photo[:100])
        time.sleep(0.5)
        codes = []
        stopper = threading.Thread(target=lambda: codes.append(server.stop(signal.SIGTERM)))
        stopper.start()
        time.sleep(0.5)
        assert not codes
        connection.sendall(photo[100:])
        assert b" 200 " in connection.recv(1000)
    stopper.join()
    assert codes == [0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--port", "BUSY"], "in use"),
        (["--port", "70000"], "cannot listen"),
        (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen"),
        (["--port", "0", "--max-batch", "0"], "--max-batch"),
        (["--port", "0"], "missing.pth"),
    ],
)
def test_wrong_input_is_one_line(options, reason):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        options = [str(busy.getsockname()[1]) if each == "BUSY" else each for each in options]
        done = subprocess.run(
            [*COMMAND, "--weights", "missing.pth", *options],
            cwd=ROOT,
            env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert reason in done.stderr
