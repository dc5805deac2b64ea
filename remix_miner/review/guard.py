"""Access checks of the review server: secret path, allowed host names, requests of its own page only."""

import hmac
import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """ASGI middleware: 403 unless the path begins with ``/token/``, the `Host` header is allowed and the request comes
    from the page itself.

    A page of another site can send requests to a server on this machine. It can also do so under a host name of its
    own that resolves to this machine (DNS rebinding). Host names other than ``hosts`` are therefore refused. With
    ``any_address``, numeric addresses are allowed, since a rebinding attack needs a name. The token is removed from the
    path of allowed requests.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str], any_address: bool = False) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(hosts)
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope["path"], Headers(scope=scope))
        if refusal is not None:
            await PlainTextResponse(refusal + "\n", 403, headers=HEADERS)(scope, receive, send)
            return
        prefix = f"/{self.token}"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        inner = {**scope, "path": scope["path"][len(prefix) :]}
        inner.pop("raw_path", None)
        await self.app(inner, receive, with_headers)

    def refusal(self, path: str, headers: Headers) -> str | None:
        """Return the reason to refuse a request, or None."""
        if not self.allows_host(headers.get("host", "")):
            return "this name is not one that the review page is served under"
        origin = headers.get("origin")
        if origin is not None and not (origin.startswith("http://") and origin[7:] == headers.get("host")):
            return "requests from another origin are refused"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "requests from another site are refused"
        given = path.split("/")[1] if path.startswith("/") else ""
        if not hmac.compare_digest(given.encode(), self.token.encode()) or path == f"/{self.token}":
            return "open the address that remix-miner review printed, as it stands there"
        return None

    def allows_host(self, host: str) -> bool:
        """Return whether a `Host` header names this server."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name in self.hosts:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True
