"""Python `mcp`, 1.x and 2.x, with a server that it starts: a program which speaks MCP by standard input and output.

usage: stdio.py NAME PROGRAM [ARGUMENT...]
For each instance of dev and old creates a contact of this name and counts it, and prints a line of JSON. For each line on its input it
counts once more and prints what came of that, a refusal too.
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version

import mcp
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client

MODERN = version("mcp").startswith("2.")


@asynccontextmanager
async def session(server):
    if MODERN:
        async with mcp.Client(server) as client:
            yield client
    else:
        async with stdio_client(server) as streams:
            async with mcp.ClientSession(streams[0], streams[1]) as client:
                await client.initialize()
                yield client


async def call(client, tool, arguments):
    result = await client.call_tool(tool, arguments)
    error, content = (result.is_error, result.structured_content) if MODERN else (result.isError, result.structuredContent)
    assert not error, result
    return content


async def main(name, program, *arguments):
    count = {"model": "res.partner", "domain": [["name", "=", name]]}
    async with session(StdioServerParameters(command=program, args=list(arguments), env=dict(os.environ))) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        answer = {"client": f"mcp {version('mcp')}", "tools": tools, "created": {}, "count": {}}
        for instance in ("dev", "old"):
            made = await call(client, f"{instance}_create", {"model": "res.partner", "values": {"name": name}})
            answer["created"][instance] = made["id"]
            answer["count"][instance] = (await call(client, f"{instance}_count", count))["count"]
        tell(answer)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                tell({"count": (await call(client, "dev_count", count))["count"]})
            except Exception as error:
                tell({"refused": str(leaf(error))})


def tell(answer):
    print(json.dumps(answer), flush=True)


def leaf(error):
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
