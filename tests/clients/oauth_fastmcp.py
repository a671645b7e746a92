"""fastmcp, let in by OAuth with nothing but the URL: its own registration, browser and port.

usage: oauth_fastmcp.py URL NAME
Connects, creates a contact of this name, counts it, and prints a line of JSON. For each line on its input it asks once more and prints
what became of that.
"""

import asyncio
import json
import sys
from importlib.metadata import version

import fastmcp
from fastmcp.client.auth import OAuth


def tell(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def leaf(error: BaseException) -> BaseException:
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def main(url: str, name: str) -> None:
    count = {"model": "res.partner", "domain": [["name", "=", name]]}
    try:
        async with fastmcp.Client(url, auth=OAuth(client_name=name)) as client:
            tools = [tool.name for tool in await client.list_tools()]
            created = await client.call_tool("dev_create", {"model": "res.partner", "values": {"name": name}})
            counted = await client.call_tool("dev_count", count)
            tell(
                {
                    "client": f"fastmcp {version('fastmcp')}",
                    "tools": tools,
                    "created": created.structured_content["id"],
                    "count": counted.structured_content["count"],
                }
            )
            while await asyncio.to_thread(sys.stdin.readline):
                tell({"count": (await client.call_tool("dev_count", count)).structured_content["count"]})
    except Exception as error:
        if "Access was denied" not in str(leaf(error)):
            raise
        tell({"denied": str(leaf(error))})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
