"""Many clients at once.

python tests/helpers/load_client.py PORT PHOTO SECONDS [PID of the server]
"""

import http.client
import sys
import threading
import time
from pathlib import Path


def ask_for(port: int, photo: bytes, end: float, seconds: list[float], codes: list[int]) -> None:
    """Ask again and again over one connection; append each answer's time and status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.perf_counter() < end:
        start = time.perf_counter()
        connection.request("POST", "/api/poses", photo)
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - start)
        codes.append(response.status)
    connection.close()


def put_under_load(
    port: int, photo: bytes, duration: float, clients: int = 32
) -> tuple[list[float], list[int]]:
    """Return the seconds and the status of each answer."""
    seconds: list[float] = []
    codes: list[int] = []
    end = time.perf_counter() + duration
    arguments = (port, photo, end, seconds, codes)
    threads = [threading.Thread(target=ask_for, args=arguments) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(seconds), codes


def rss_mb(pid: int) -> float:
    """Return the memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) / 1024


if __name__ == "__main__":
    port, photo, duration, pid = (
        int(sys.argv[1]),
        Path(sys.argv[2]),
        float(sys.argv[3]),
        sys.argv[4],
    )
    put_under_load(port, photo.read_bytes(), 8)
    before = rss_mb(int(pid))
    seconds, codes = put_under_load(port, photo.read_bytes(), duration)
    print(f"{len(codes)} requests, {sum(code != 200 for code in codes)} not answered with poses")
    print(f"{len(codes) / duration:.1f} requests/s")
    print(f"p50 {seconds[len(seconds) // 2]:.3f} s, p95 {seconds[len(seconds) * 95 // 100]:.3f} s")
    print(f"memory {before:.0f} MB, {rss_mb(int(pid)) - before:+.1f} MB")
