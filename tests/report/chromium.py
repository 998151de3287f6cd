"""Headless Chromium driven over its DevTools pipe: messages of JSON that end in a zero byte, no sockets."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from itertools import count

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)

PATIENCE_S = 30

_EXEC = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from file descriptor 3 and answers on 4."""

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
        "ArrowRight": 39, "ArrowDown": 40}  # fmt: skip


def program():
    """The path of a Chromium; None where none is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page of a browser of its own. `errors` collects what the console and the page complain of,
    `requests` the address of everything that was asked for."""

    def __init__(self, profile):
        self.errors, self.requests = [], []
        self._ids = count(1)
        self._session = None
        self._read, theirs = os.pipe()
        mine, self._write = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _EXEC,
                str(mine),
                str(theirs),
                program(),
                *FLAGS,
                f"--user-data-dir={profile}",
            ],
            pass_fds=(mine, theirs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(mine)
        os.close(theirs)
        self._rest = b""
        try:
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
            self.send("Emulation.setFocusEmulationEnabled", enabled=True)
        except BaseException:
            self._end()
            raise

    def close(self):
        self._session = None
        try:
            self.send("Browser.close")
            self._process.wait(timeout=10)
        finally:
            self._end()

    def _end(self):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def send(self, method, **params):
        """Call a method of the protocol and return its result; events that arrive before it are kept."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                return found["result"]

    def _next(self):
        while b"\0" not in self._rest:
            assert select.select([self._read], [], [], PATIENCE_S)[0], "the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser closed its pipe"
            self._rest += data
        text, self._rest = self._rest.split(b"\0", 1)
        found = json.loads(text)
        params = found.get("params", {})
        if found.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif found.get("method") == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif found.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.errors.append(params["entry"]["text"])
        elif found.get("method") == "Runtime.consoleAPICalled":
            self.errors.append(str(params["args"]))
        return found

    def forget(self):
        """Leave the page that is open, and what it complained of and asked for."""
        self.send("Page.navigate", url="about:blank")
        self.errors.clear()
        self.requests.clear()

    def open(self, path):
        self.send("Page.navigate", url=path.as_uri())
        until = time.monotonic() + 20
        while self("document.readyState") != "complete" or self("location.href") != path.as_uri():
            assert time.monotonic() < until, "the page did not load"

    def __call__(self, expression):
        """The value of an expression of JavaScript in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key, *, shift=False):
        keyed = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 * shift}
        text = {"text": "\r"} if key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **keyed, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **keyed)

    def centre(self, expression):
        """The middle of an element, scrolled into view."""
        self(f"({expression}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        script = f"(() => {{const r = ({expression}).getBoundingClientRect();"
        x, y = self(script + "return [r.x + r.width / 2, r.y + r.height / 2]})()")
        return {"x": x, "y": y}

    def hover(self, expression):
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **self.centre(expression))

    def click(self, expression):
        at = self.centre(expression)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def show(self, *, width=1280, height=900, scheme="light", motion="no-preference"):
        """The size of the window, and what the person prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.send("Emulation.setEmulatedMedia", features=features)

    def picture(self, path, *, whole=True):
        path.write_bytes(
            base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"])
        )

    def pdf(self, path):
        path.write_bytes(base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"]))
