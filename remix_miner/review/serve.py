"""Run of the review server until an interrupt: port, secret address, browser."""

import contextlib
import secrets
import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from remix_miner.config import Bounds, Settings
from remix_miner.errors import UsageError
from remix_miner.review.server import review_app
from remix_miner.review.session import Session

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class ServeSettings(Settings):
    """Settings of the server.

    ``host``: an address of this machine. ``port``: 0 takes a free one. ``token``: None makes a random one.
    """

    host: str = LOCAL
    port: Annotated[int, Bounds(0, 65535)] = 0
    token: str | None = None
    open_browser: bool = True


def serve(session: Session, settings: ServeSettings, announce: Callable[[str], None]) -> str:
    """Serve until Ctrl-C and return the address. ``announce`` is called with the address once requests are accepted.

    Raises `UsageError` for a host or port that cannot be used.
    """
    import uvicorn

    token = settings.token or secrets.token_urlsafe(24)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    shown = settings.host if settings.host not in ("0.0.0.0", "::") else socket.gethostname()
    hosts = {LOCAL, "localhost", settings.host, shown}
    is_local = settings.host in (LOCAL, "localhost", "::1")
    app = review_app(session, token, sorted(hosts), any_address=not is_local)
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/{token}/"
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    announce(address)
    if settings.open_browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    finally:
        listener.close()
        session.close()
    return address


def _listen(settings: ServeSettings) -> socket.socket:
    """Return a listening socket, so that requests are accepted before the address is announced."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(f"cannot listen on {settings.host} port {settings.port}: {error}; choose another") from error
    return listener
