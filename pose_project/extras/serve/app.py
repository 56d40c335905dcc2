"""The web application: a page, ``POST /api/poses`` and its OpenAPI document."""

import asyncio
import base64
import hashlib
import math
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from starlette.requests import ClientDisconnect

from pose_project.extras.serve.batching import BatchingPredictor
from pose_project.extras.serve.limits import (
    FORMATS,
    HANG_UP,
    ClientRates,
    Limits,
    decode_upload,
    read_body,
)
from pose_project.extras.serve.responses import (
    PosesAnswer,
    Problem,
    describe_categories,
    describe_poses,
)
from pose_project.inference import PosePredictor

_PHOTO = {"schema": {"type": "string", "format": "binary"}}
_BODY = {"required": True, "content": {f"image/{kind}": _PHOTO for kind in FORMATS.values()}}
_PROBLEMS = {
    408: "the upload took too long",
    413: "too many bytes or pixels",
    415: "not a photo, or of a kind that is not taken",
    422: "empty, damaged, or too long and thin",
    429: "too many requests of this client; see Retry-After",
    503: "too many requests at once; see Retry-After",
}


def build_app(predictor: PosePredictor, limits: Limits) -> FastAPI:
    """Return the application around a model.

    The answer to a photo depends on nothing but the photo. No photo is kept or written anywhere.
    """
    batches = BatchingPredictor(predictor, limits.max_batch, limits.batch_seconds)
    categories = describe_categories(predictor.categories, predictor.schema)
    rates = ClientRates(limits.max_per_minute)
    slots = _Slots(limits.max_waiting)
    # Decoded photos are large: two batches of them, one computed and one that gets ready.
    decoded = asyncio.Semaphore(2 * limits.max_batch)
    page, policy = _read_page()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batches:
            yield

    # the stock pages of documentation load their scripts from the internet
    app = FastAPI(
        title="Poses",
        version="1",
        description="People and their keypoints in a photo.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    @app.get("/favicon.ico", include_in_schema=False)
    async def show_no_icon() -> Response:
        return Response(status_code=204)

    @app.post(
        "/api/poses",
        response_model=PosesAnswer,
        responses={
            code: {"model": Problem, "description": text} for code, text in _PROBLEMS.items()
        },
        openapi_extra={"requestBody": _BODY},
    )
    async def find_poses(request: Request) -> PosesAnswer | Response:
        """Find the poses in a photo, which is the body of the request."""
        address = request.client.host if request.client else ""
        wait = rates.seconds_to_wait(address)
        if wait:
            raise _later(429, "too many requests", wait)
        with slots.take(address):
            try:
                announced = request.headers.get("content-length")
                data = await read_body(request.stream(), announced, limits)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            start = time.perf_counter()
            async with decoded:
                image = await asyncio.to_thread(decode_upload, data, limits.max_pixels)
                poses = await batches.predict(image)
        seconds = time.perf_counter() - start
        return describe_poses(poses, categories, predictor.schema, seconds)

    @app.middleware("http")
    async def add_headers(request: Request, call_next) -> Response:  # noqa: ANN001
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    return app


class _Slots:
    """Requests under way: so many in all, and of one address no more than half of them.

    Otherwise one client that uploads slowly, many times at once, would lock everybody out.
    """

    def __init__(self, number: int) -> None:
        self.free = number
        self.of_address: Counter[str] = Counter()
        self.most_of_address = max(number // 2, 1)

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        if not self.free:
            raise _later(503, "the server is busy", 1)
        if self.of_address[address] >= self.most_of_address:
            raise _later(429, "too many requests of yours are under way", 1)
        self.free -= 1
        self.of_address[address] += 1
        try:
            yield
        finally:
            self.free += 1
            self.of_address -= Counter([address])  # drops those that have none left


def _later(code: int, reason: str, seconds: float) -> HTTPException:
    wait = math.ceil(seconds)
    headers = {"Retry-After": str(wait), **HANG_UP}
    return HTTPException(code, f"{reason}; try again in {wait} s", headers=headers)


def _read_page() -> tuple[str, str]:
    """Return the page and the policy by which a browser runs its own script and nothing else."""
    page = files("pose_project.extras.serve").joinpath("page.html").read_text(encoding="utf-8")
    script, style = (
        _hash(re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1))
        for tag in ("script", "style")
    )
    return page, (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; img-src blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
