"""Python `mcp` 1.x against a running ocore: Streamable HTTP of 2025-11-25, or HTTP+SSE of 2024-11-05.

usage: mcp1_legacy.py http|sse URL KEY PREFIX
Prints one JSON object; exits with 1 when anything is not as it should be.
"""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client


async def main(kind: str, url: str, key: str, prefix: str) -> dict:
    headers = {"Authorization": f"Bearer {key}"}
    transport = sse_client(url, headers=headers) if kind == "sse" else streamablehttp_client(url, headers=headers)
    progress = []

    async def on_progress(done, total, message):
        progress.append((done, total, message))

    async with transport as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            hello = await session.initialize()
            await session.send_ping()
            tools = (await session.list_tools()).tools
            assert f"{prefix}search_read" in {t.name for t in tools}
            found = await session.call_tool(
                f"{prefix}search_read", {"model": "res.partner", "limit": 2, "fields": ["name"]}, progress_callback=on_progress
            )
            assert not found.isError and found.structuredContent["count"] == 2, found
            created = await session.call_tool(f"{prefix}create", {"model": "res.partner", "values": {"name": f"Python mcp 1 {kind}"}})
            assert not created.isError, created
            many = await session.call_tool(
                f"{prefix}batch_create",
                {"model": "res.partner", "values_list": [{"name": f"Batch {i}"} for i in range(5)]},
                progress_callback=on_progress,
            )
            assert not many.isError, many
            refused = await session.call_tool(f"{prefix}search_read", {"model": "ir.config_parameter"})
            assert refused.isError and refused.structuredContent["code"] == "model_denied", refused
            return {"protocol": hello.protocolVersion, "tools": len(tools), "created": [created.structuredContent["id"]], "progress": len(progress)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:5]))))
