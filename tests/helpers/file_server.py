"""A local server that sends files as well or as badly as a test wants, and a tiny COCO."""

import hashlib
import io
import json
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

from helpers.annotations import person
from pose_project.extras.coco_download.coco import Archive, Dataset, Split

KINDS = ("captions", "instances", "person_keypoints")
PHOTO_HW = (24, 32)


@dataclass
class Fault:
    """How one reply departs from a good one."""

    status: int | None = None
    stop_after: int | None = None  # bytes of the body, then the connection is cut
    corrupt: bool = False  # one byte of the body
    length: int | None = None  # told instead of the file's
    no_length: bool = False
    extra: int = 0  # bytes after the body
    start_at: int | None = None  # sent whatever range was asked for
    redirect: str | None = None
    stall: float = 0.0  # seconds before the body


@dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    sent: int = 0  # bytes of the body


@dataclass
class FileServer:
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    obeys_if_range: bool = True
    block: int = 1 << 16
    pause: float = 0.0  # seconds after each block
    faults: list[Fault] = field(default_factory=list)  # of the next replies, in this order
    always: Fault | None = None  # of all further replies
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> "FileServer":
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def sent(self, path: str = "") -> int:
        return sum(each.sent for each in self.requests if path in each.path)


def _handler_of(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            request = Request(self.path, self.headers["Range"], self.headers["If-Range"])
            server.requests.append(request)
            fault = server.faults.pop(0) if server.faults else server.always or Fault()
            content = server.files.get(self.path)
            if fault.redirect or fault.status or content is None:
                self.send_response(302 if fault.redirect else fault.status or 404)
                if fault.redirect:
                    self.send_header("Location", fault.redirect)
                self.end_headers()
                return
            tag = '"' + hashlib.md5(content).hexdigest() + '"'
            same = request.if_range in (None, tag) or not server.obeys_if_range
            partial = request.range is not None and server.ranges and same
            start = int(request.range.removeprefix("bytes=").rstrip("-")) if partial else 0
            start = start if fault.start_at is None else fault.start_at
            total = len(content) if fault.length is None else fault.length
            self.send_response(206 if partial else 200)
            if server.tags:
                self.send_header("ETag", tag)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if not fault.no_length:
                self.send_header("Content-Length", str(total - start))
            self.end_headers()
            body = bytearray(content[start:]) + bytes(fault.extra)
            if fault.corrupt:
                body[len(body) // 2] ^= 1
            time.sleep(fault.stall)
            try:
                sent = memoryview(body)[: fault.stop_after]
                for place in range(0, len(sent), server.block):
                    block = sent[place : place + server.block]
                    self.wfile.write(block)
                    request.sent += len(block)
                    time.sleep(server.pause)
            except OSError:  # the client was killed
                self.close_connection = True

    return Handler


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def archive_of(
    name: str, path: str, content: bytes, folder: str, names: str, files: int
) -> Archive:
    md5 = hashlib.md5(content).hexdigest()
    return Archive(name, path, len(content), md5, 2 * len(content), folder, names, files)


def tiny_coco(photos: dict[str, int]) -> tuple[Dataset, dict[str, bytes]]:
    """Return a dataset of that many photos a split, every second with a person, and its files."""
    annotations = {"annotations/": b""}
    files, archives, splits = {}, [], []
    for first_id, (split, count) in enumerate(photos.items()):
        ids = range(1000 * first_id + 1, 1000 * first_id + 1 + count)
        members = {f"{split}2017/": b""}
        for number in ids:
            noise = np.random.default_rng(number).integers(0, 255, (*PHOTO_HW, 3), np.uint8)
            members[f"{split}2017/{number:012d}.jpg"] = cv2.imencode(".jpg", noise)[1].tobytes()
        height, width = PHOTO_HW
        images = [
            {"id": each, "file_name": f"{each:012d}.jpg", "height": height, "width": width}
            for each in ids
        ]
        people = [person(each, each) for each in ids[::2]]
        content = {"images": images, "annotations": people, "categories": []}
        for kind in KINDS:
            annotations[f"annotations/{kind}_{split}2017.json"] = json.dumps(content).encode()
        path = f"zips/{split}2017.zip"
        files[f"/{path}"] = zipped(members)
        names = r"\d{12}\.jpg"
        archives.append(archive_of(split, path, files[f"/{path}"], f"{split}2017", names, count))
        splits.append(Split(split, count, len(people)))
    path = "annotations/annotations_trainval2017.zip"
    files[f"/{path}"] = zipped(annotations, zipfile.ZIP_DEFLATED)
    names = r"(captions|instances|person_keypoints)_(train|val)2017\.json"
    unpacked = sum(map(len, annotations.values()))
    first = Archive(
        "annotations",
        path,
        len(files[f"/{path}"]),
        hashlib.md5(files[f"/{path}"]).hexdigest(),
        unpacked,
        "annotations",
        names,
        len(annotations) - 1,
    )
    return Dataset((first, *archives), tuple(splits)), files
