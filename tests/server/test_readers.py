"""Readers of the stream that are slow or vanish, tags that move, and what keeps a server alive."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from typing import Any

import msgspec
from jupyter_server._tz import utcnow

from mlrun_jupyter_server import activity, events

Ask = Any


async def _until(found: Any, seconds: float = 60) -> Any:
    for _ in range(int(seconds * 20)):
        if value := found():
            return value
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come")


async def _listen(port: int, base: str, headers: dict[str, str], path: str = "events?project=lab") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=one, limit=65536)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {base}mlrun/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode())
    assert b"200" in await reader.readline()
    return reader, writer


async def test_what_waits_for_a_reader_that_does_not_read_is_bounded(
    ask: Ask, lab: Any, jp_serverapp: Any, http_server_port: Any, jp_base_url: str, jp_auth_header: Any
) -> None:
    hub = jp_serverapp.web_app.settings["mlrun_core"].hub
    reader, writer = await _listen(http_server_port[-1], jp_base_url, jp_auth_header)
    await _until(lambda: hub._clients)
    [client] = hub._clients
    text = "x" * 200_000
    for number in range(400):
        hub.publish("note", {"number": number, "text": text}, project="lab")
        if number % 20 == 0:
            await asyncio.sleep(0)
    await _until(lambda: hub._number - hub._first >= 400)
    assert 0 <= client.waiting <= events.MOST_BYTES and hub._kept_bytes <= events.MOST_BYTES + 1_000_000
    assert sum(len(event.text) for event in client.queue._queue) == client.waiting
    # another client is served meanwhile, and this one, when it reads at last, is told that it missed something
    other, second = await _listen(http_server_port[-1], jp_base_url, jp_auth_header)
    hub.publish("note", {"number": "last"}, project="lab")
    for one in (other, reader):
        heard = b""
        while b'"last"' not in heard:
            heard = heard[-100:] + await asyncio.wait_for(one.read(65536), 60)
            if one is reader and b"event: reset" in heard:
                text = "told"
    assert text == "told"
    second.close()
    writer.close()


async def test_a_reader_that_resets_its_connection_is_forgotten(
    ask: Ask, lab: Any, jp_serverapp: Any, http_server_port: Any, jp_base_url: str, jp_auth_header: Any
) -> None:
    hub = jp_serverapp.web_app.settings["mlrun_core"].hub
    uid = lab.run_function("train", params={"n": 1}, watch=False).uid
    for _ in range(3):
        _, writer = await _listen(http_server_port[-1], jp_base_url, jp_auth_header, f"events?runs={uid}")
        await _until(lambda: hub._clients and hub._readers)
        # RST instead of FIN
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await asyncio.sleep(0.1)
        for number in range(3):
            hub.publish("note", {"number": number})
            await asyncio.sleep(0.05)
        await _until(lambda: not hub._clients)
        assert not hub._readers
    # and with nobody left, nobody looks at the store
    await _until(lambda: hub._thread is None)


TAG = """
import sys, mlrun_jupyter as mlrun
store = mlrun.get_or_create_project('lab')._session.store
[(artifact, _)] = list(store.list_artifacts('lab', tree=sys.argv[1]))
store.tag_artifact(artifact, 'champion')
"""


async def test_a_tag_that_another_process_moves_is_told_for_both_artifacts(
    ask: Ask, lab: Any, http_server_port: Any, jp_base_url: str, jp_auth_header: Any
) -> None:
    first, second = (lab.run_function("train", params={"n": 1}) for _ in range(2))
    reader, writer = await _listen(http_server_port[-1], jp_base_url, jp_auth_header)
    told: dict[str, tuple[str, ...]] = {}

    async def listen() -> None:
        async for line in reader:
            if line.startswith(b"data: ") and b'"db_key"' in line:
                data = msgspec.json.decode(line[6:])
                told[data["tree"]] = tuple(data["tags"])

    task = asyncio.create_task(listen())
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", TAG, first.uid], check=True)
    await _until(lambda: "champion" in told.get(first.uid, ()))
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", TAG, second.uid], check=True)
    await _until(lambda: told.get(second.uid) == ("champion", "latest") and told[first.uid] == ())
    task.cancel()
    writer.close()


async def test_a_run_keeps_its_server_and_an_open_page_does_not(
    ask: Ask, lab: Any, jp_serverapp: Any, http_server_port: Any, jp_base_url: str, jp_auth_header: Any
) -> None:
    core, app = jp_serverapp.web_app.settings["mlrun_core"], jp_serverapp.web_app
    [extension] = jp_serverapp.extension_manager.extension_apps["mlrun_jupyter_server"]
    # these fixtures start no extensions
    extension.activity = looks = activity.Activity(core, app.settings)
    await ask("status")
    _, writer = await _listen(http_server_port[-1], jp_base_url, jp_auth_header)
    before = app.last_activity()
    core.hub.publish("note", {"x": 1}, project="lab")
    await asyncio.sleep(0.3)
    await looks.look()
    assert app.last_activity() == before and not jp_serverapp.extension_manager.any_activity()
    run = lab.run_function("train", params={"n": 600, "wait": 0.1}, watch=False)
    await _until(lambda: core.session.store.get_run(run.uid).state == "running")
    moment = utcnow()
    await looks.look()
    assert app.last_activity() >= moment and jp_serverapp.extension_manager.any_activity()
    run.abort()
    await looks.look()
    assert not jp_serverapp.extension_manager.any_activity()
    writer.close()
