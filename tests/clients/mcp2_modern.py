"""Python `mcp` 2.x against a running ocore: negotiates 2026-07-28, lists, reads, plans, writes, and is refused in words.

usage: mcp2_modern.py URL KEY PREFIX
Prints one JSON object; exits with 1 when anything is not as it should be.
"""

import asyncio
import json
import sys

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, key: str, prefix: str) -> dict:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        async with mcp.Client(streamable_http_client(url, http_client=http)) as client:
            tools = (await client.list_tools()).tools
            names = {t.name for t in tools}
            assert f"{prefix}search_read" in names, sorted(names)[:5]
            assert all(t.annotations is not None and t.output_schema is not None for t in tools)
            found = await client.call_tool(f"{prefix}search_read", {"model": "res.partner", "limit": 2, "fields": ["name"]})
            assert not found.is_error and found.structured_content["count"] == 2, found
            planned = await client.call_tool(
                f"{prefix}write", {"model": "res.partner", "ids": [1], "values": {"comment": "x"}, "dry_run": True}
            )
            assert planned.structured_content["plan"]["affected"] == 1, planned
            created = await client.call_tool(f"{prefix}create", {"model": "res.partner", "values": {"name": "Python mcp 2"}})
            assert not created.is_error, created
            refused = await client.call_tool(f"{prefix}search_read", {"model": "res.partner", "limitt": 1})
            assert refused.is_error and refused.structured_content["code"] == "invalid_argument", refused
            return {"tools": len(tools), "created": [created.structured_content["id"]]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:4]))))
