"""Review server: the files of the page, and the routes of its API."""

import json
import threading
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from remix_miner.errors import RemixMinerError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.review.guard import Guard
from remix_miner.review.listing import Filter, count_listed, list_page
from remix_miner.review.pictures import spectrogram
from remix_miner.review.ranges import wav_response
from remix_miner.review.session import Session

PAGE = Path(__file__).parent / "page"
MOST_BODY_BYTES = 10_000


def review_app(session: Session, token: str, hosts: list[str], any_address: bool = False) -> ASGIApp:
    """Return the application behind its access checks. Every path begins with ``/token/``."""
    views = _Views(session)
    routes = [
        Route("/api/overview", views.overview),
        Route("/api/excerpts", views.excerpts),
        Route("/api/count", views.count),
        Route("/api/sample", views.sample),
        Route("/api/items/{key}", views.item),
        Route("/api/items/{key}/probabilities", views.probabilities),
        Route("/api/items/{key}/decision", views.decide, methods=["POST"]),
        Route("/api/undo", views.undo, methods=["POST"]),
        Route("/audio/{key}/{part}.wav", views.audio),
        Route("/spectrogram/{key}/{part}", views.spectrogram),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    app = Starlette(routes=routes, exception_handlers={RemixMinerError: _refuse})
    threading.Thread(target=_warm_up, daemon=True).start()
    return Guard(app, token, hosts, any_address)


class _Views:
    """Endpoints, one method each. Those that access the disk run in threads."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def overview(self, request: Request) -> Response:
        return JSONResponse(self.session.overview())

    def excerpts(self, request: Request) -> Response:
        self._refuse_in_sample()
        query = request.query_params
        try:
            after = (float(query["after_value"]), int(query["after_id"])) if query.get("after_id") else None
        except ValueError:
            raise UsageError("after_value and after_id are numbers") from None
        with CatalogueView.read(self.session.settings.folder) as catalogue:
            return JSONResponse(list_page(catalogue.database, Filter.of(query), after))

    def count(self, request: Request) -> Response:
        self._refuse_in_sample()
        with CatalogueView.read(self.session.settings.folder) as catalogue:
            return JSONResponse(count_listed(catalogue.database, Filter.of(request.query_params)))

    def sample(self, request: Request) -> Response:
        return JSONResponse(None if self.session.sample is None else self.session.sample.state())

    def item(self, request: Request) -> Response:
        return JSONResponse(self.session.describe(request.path_params["key"]))

    def probabilities(self, request: Request) -> Response:
        return JSONResponse(self.session.curves(request.path_params["key"]))

    def audio(self, request: Request) -> Response:
        part = self.session.part(request.path_params["key"], request.path_params["part"])
        return wav_response(part, request.headers.get("range"))

    def spectrogram(self, request: Request) -> Response:
        part = self.session.part(request.path_params["key"], request.path_params["part"])
        levels = spectrogram(part.mono(), part.sample_rate)
        headers = {"X-Columns": str(len(levels)), "X-Bands": str(levels.shape[1]), "X-Seconds": f"{part.seconds:.6f}"}
        return Response(levels.tobytes(), headers=headers, media_type="application/octet-stream")

    async def decide(self, request: Request) -> Response:
        body = await _json_body(request)
        stretch = body.get("stretch")
        if stretch is not None and not (
            isinstance(stretch, list) and len(stretch) == 2 and all(isinstance(value, int | float) for value in stretch)
        ):
            raise UsageError("stretch is [start, end] in seconds, or null")
        wrong = None if stretch is None else (float(stretch[0]), float(stretch[1]))
        key, decision = request.path_params["key"], str(body.get("decision"))
        return JSONResponse(await run_in_threadpool(self.session.decide, key, decision, wrong))

    async def undo(self, request: Request) -> Response:
        await _json_body(request)
        return JSONResponse(await run_in_threadpool(self.session.undo))

    def _refuse_in_sample(self) -> None:
        if self.session.sample is not None:
            raise UsageError("a random sample has no list of excerpts")


async def _json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. A page of another origin cannot send this type without a CORS preflight."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise UsageError("the body is application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise UsageError("the body is too long")
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise UsageError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise UsageError("the body is a JSON object")
    return value


async def _refuse(request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, UsageError) else 404
    return JSONResponse({"error": str(error)}, status)


def _warm_up() -> None:
    """Compute one spectrogram, so that the libraries are loaded before the first request."""
    import numpy as np

    spectrogram(np.zeros(1024, dtype=np.float32), 16_000)
