"""Photos of several requests at once through one model."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pose_project.inference import PosePredictor, Poses


class BatchingPredictor:
    """Computes photos of concurrent requests in batches; one thread owns the model.

    Use within the event loop, as an asynchronous context: leaving it ends the thread.

    Args:
        predictor: the model.
        max_batch: photos at once.
        seconds: how long the first photo of a batch waits for others.
    """

    def __init__(self, predictor: PosePredictor, max_batch: int, seconds: float) -> None:
        self.predictor = predictor
        self.max_batch = max_batch
        self.seconds = seconds
        self.waiting: asyncio.Queue[tuple[np.ndarray, asyncio.Future[Poses]]] = asyncio.Queue()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def __aenter__(self) -> "BatchingPredictor":
        self.task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        self.thread.shutdown()

    async def predict(self, image_bgr: np.ndarray) -> Poses:
        """Return the poses in an (H, W, 3) uint8 photo.

        Raises:
            Exception: what the predictor raised on this photo; others of its batch are not touched.
        """
        answer = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((image_bgr, answer))
        return await answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch()
            images = [image for image, _ in batch]
            found = await loop.run_in_executor(self.thread, self._predict, images)
            for (_, answer), poses in zip(batch, found, strict=True):
                if answer.done():  # nobody waits for it any more
                    continue
                if isinstance(poses, Exception):
                    answer.set_exception(poses)
                else:
                    answer.set_result(poses)

    async def _next_batch(self) -> list[tuple[np.ndarray, asyncio.Future[Poses]]]:
        batch = [await self.waiting.get()]
        try:
            async with asyncio.timeout(self.seconds):
                while len(batch) < self.max_batch:
                    batch.append(await self.waiting.get())
        except TimeoutError:
            pass
        return batch

    def _predict(self, images: Sequence[np.ndarray]) -> list[Poses | Exception]:
        try:
            return list(self.predictor.predict(images))
        except Exception as error:
            if len(images) == 1:
                return [error]
            return [self._predict([image])[0] for image in images]  # only one of them fails
