"""Response times of the review page on a large folder.

    python benchmarks/speed/review_page.py MINED [--excerpts 1000000]

The rows in a copy of MINED's catalogue are repeated (its shards are linked). The requests are those of the page; the
time to the first sound is that of the item's description and the first 64 KB of its wav file. Times are of requests
within this process, over random excerpts. The resident memory is measured after all requests.
"""

import argparse
import json
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from remix_miner.mined.catalogue_db import CATALOGUE_NAME
from remix_miner.review.server import review_app
from remix_miner.review.session import ReviewSettings, Session

CLICKS = 60
FIRST_BYTES = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mined", type=Path)
    parser.add_argument("--excerpts", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        result = measure(options.mined, folder, options.excerpts)
    finally:
        shutil.rmtree(folder)
    if options.json:
        json.dump(result, sys.stdout, indent=2)
    else:
        for name, value in result.items():
            print(f"{name:44} {value:>14,.3f}" if isinstance(value, float) else f"{name:44} {value:>14,}")


def repeat_rows(mined: Path, folder: Path, excerpts: int) -> int:
    """Make ``folder`` a copy of ``mined`` with its excerpts repeated, and return their number."""
    shutil.copyfile(mined / CATALOGUE_NAME, folder / CATALOGUE_NAME)
    (folder / "shards").symlink_to((mined / "shards").resolve())
    database = sqlite3.connect(folder / CATALOGUE_NAME)
    names = [row[1] for row in database.execute("PRAGMA table_info(excerpts)") if row[1] != "id"]
    columns = ", ".join(names)
    (count,) = database.execute("SELECT count(*) FROM excerpts").fetchone()
    while count < excerpts:
        database.execute(
            f"INSERT INTO excerpts ({columns}) SELECT {columns} FROM excerpts ORDER BY id LIMIT ?", (excerpts - count,)
        )
        (count,) = database.execute("SELECT count(*) FROM excerpts").fetchone()
    database.commit()
    database.close()
    return int(count)


def measure(mined: Path, folder: Path, excerpts: int) -> dict[str, Any]:
    result: dict[str, Any] = {"excerpts": repeat_rows(mined, folder, excerpts)}
    client = TestClient(review_app(Session(ReviewSettings(folder)), "t", ["127.0.0.1"]), base_url="http://127.0.0.1")

    def timed(name: str, path: str, **headers: str) -> Any:
        start = time.perf_counter()
        response = client.get(f"/t/{path}", headers=headers)
        result[name] = time.perf_counter() - start
        assert response.status_code in (200, 206), response.text
        return response

    timed("overview, s", "api/overview")
    timed("first page of the list, s", "api/excerpts")
    timed("a page from the middle, s", f"api/excerpts?after_value=0&after_id={excerpts // 2}")
    timed("least probable first, s", "api/excerpts?order=doubtful")
    timed("count by filter, s", "api/count?source=vocals&min_probability=0.95")
    generator = np.random.default_rng(0)
    waits = []
    for number in generator.integers(1, excerpts, CLICKS):
        start = time.perf_counter()
        assert client.get(f"/t/api/items/e{number}").status_code == 200
        sound = client.get(f"/t/audio/e{number}/excerpt.wav", headers={"range": f"bytes=0-{FIRST_BYTES - 1}"})
        waits.append(time.perf_counter() - start)
        assert sound.status_code == 206
        assert len(sound.content) == FIRST_BYTES
    result["first sound, median s"] = float(np.median(waits))
    result["first sound, slowest s"] = max(waits)
    start = time.perf_counter()
    response = client.post("/t/api/items/e1/decision", json={"decision": "accepted"})
    result["decision on the disk, s"] = time.perf_counter() - start
    assert response.status_code == 200
    result["resident memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


if __name__ == "__main__":
    main()
