"""The same as app_wsgi for ASGI servers. /sleep gives the loop back to others while it waits."""

import asyncio

import app_wsgi


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    number = path.removeprefix("/sleep/")
    if number != path and number.isdecimal():
        await asyncio.sleep(int(number) / 1e6)
        status, body = 200, b"done"
    else:
        text, body = app_wsgi.answer(path)
        status = int(text.split()[0])
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
