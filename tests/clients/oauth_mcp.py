"""Python `mcp`, 1.x and 2.x, let in by OAuth with nothing but the URL.

usage: oauth_mcp.py URL NAME
Connects, creates a contact of this name, counts it, and prints a line of JSON. For each line on its input it asks once more and prints
what became of that.
"""

import asyncio
import json
import sys
import threading
import webbrowser
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from urllib.parse import parse_qs, urlparse

import mcp
from mcp.client.auth import OAuthClientProvider
from mcp.client import streamable_http
from mcp.shared import auth

MODERN = version("mcp").startswith("2.")


class Denied(Exception):
    """What came back with the browser instead of a code."""


class Kept:
    """What the SDK wants kept: the registration and the tokens."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """Where the browser comes back to: a port of this computer's own."""

    def __init__(self, loop):
        self.answers = asyncio.Queue()
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlparse(self.path)
                self.send_response(200 if url.path == "/callback" else 404)
                self.end_headers()
                self.wfile.write(b"You can close this window.")
                if url.path == "/callback":
                    answer = {name: values[0] for name, values in parse_qs(url.query).items()}
                    loop.call_soon_threadsafe(callback.answers.put_nowait, answer)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/callback"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    async def open(self, url):
        assert webbrowser.open(url)

    async def answer(self):
        answer = await asyncio.wait_for(self.answers.get(), 300)
        if "error" in answer:
            raise Denied(answer["error"])
        if MODERN:
            return auth.AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))
        return answer["code"], answer.get("state")


@asynccontextmanager
async def session(url, provider):
    if MODERN:
        import httpx2

        async with httpx2.AsyncClient(auth=provider, timeout=180) as http:
            async with mcp.Client(streamable_http.streamable_http_client(url, http_client=http)) as client:
                yield client
    else:
        import httpx

        async with httpx.AsyncClient(auth=provider, timeout=180) as http:
            async with streamable_http.streamable_http_client(url, http_client=http) as streams:
                async with mcp.ClientSession(streams[0], streams[1]) as client:
                    await client.initialize()
                    yield client


def content(result):
    """The structured content of an answer that is no error."""
    error, content = (result.is_error, result.structured_content) if MODERN else (result.isError, result.structuredContent)
    assert not error, result
    return content


async def main(url: str, name: str) -> None:
    callback = Callback(asyncio.get_running_loop())
    metadata = auth.OAuthClientMetadata(client_name=name, redirect_uris=[callback.url])
    provider = OAuthClientProvider(
        server_url=url, client_metadata=metadata, storage=Kept(), redirect_handler=callback.open, callback_handler=callback.answer
    )
    try:
        async with session(url, provider) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            created = content(await client.call_tool("dev_create", {"model": "res.partner", "values": {"name": name}}))
            count = {"model": "res.partner", "domain": [["name", "=", name]]}
            counted = content(await client.call_tool("dev_count", count))
            tell({"client": f"mcp {version('mcp')}", "tools": tools, "created": created["id"], "count": counted["count"]})
            while await asyncio.to_thread(sys.stdin.readline):
                tell({"count": content(await client.call_tool("dev_count", count))["count"]})
    except* Denied as denied:
        # Asked again, and was told no: it went through the SDK's own tasks, and ended them.
        tell({"denied": str(leaf(denied))})


def tell(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def leaf(error: BaseException) -> BaseException:
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
