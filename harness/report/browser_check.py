"""Opens a report's page in headless Chromium and uses it as people do.

    python browser_check.py PAGE.html [--screenshot F.png]

Checked: nothing on the console, no request beyond the page, every chart has marks, tables sort and
policies hide by keyboard alone, nothing sticks out at 400 px, less than 6 MB. Exits with 77 where
there is no Chromium (setup.sh browser installs it).
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
KEYS = {"Tab": 9, "Enter": 13, " ": 32}
MOST_BYTES = 6_000_000


class Browser:
    """Chromium's DevTools protocol over its two pipes: JSON texts that end in a zero byte."""

    def __init__(self, program, profile):
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()

        def place():  # Chromium reads from descriptor 3 and writes to 4
            a, b = os.dup(to_browser), os.dup(from_browser)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            preexec_fn=place, close_fds=False, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.events, self.last_id, self.session = b"", [], 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]

    def close(self):
        self.process.kill()
        self.process.wait()

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.answers, 1 << 20)
            if not more:
                sys.exit("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.last_id += 1
        command = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self.read()
            if message.get("id") != self.last_id:
                self.events.append(message)
            elif "error" in message:
                sys.exit(f"{method}: {message['error']}")
            else:
                return message["result"]

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key):
        event = {"key": key, "windowsVirtualKeyCode": KEYS[key],
                 "text": {"Enter": "\r", " ": " "}.get(key, "")}
        self.call("Input.dispatchKeyEvent", type="keyDown" if event["text"] else "rawKeyDown",
                  **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **{**event, "text": ""})

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        # Two frames: the charts draw themselves anew after the page has its new width.
        self.evaluate("new Promise(done => requestAnimationFrame(() => "
                      "requestAnimationFrame(() => setTimeout(done, 300))))")


def expect(condition, what):
    if not condition:
        sys.exit(f"browser_check: {what}")


def tab_to(browser, selector):
    for _ in range(200):
        if browser.evaluate(f"document.activeElement.matches('{selector}')"):
            return
        browser.press("Tab")
    sys.exit(f"browser_check: the Tab key never comes to {selector}")


def check_loading(browser, page):
    for domain in ["Page", "Runtime", "Log", "Network"]:
        browser.call(f"{domain}.enable")
    browser.resize(1280, 900)
    browser.call("Page.navigate", url=page.resolve().as_uri())
    browser.evaluate("""new Promise((done, fail) => {
        const start = Date.now();
        const timer = setInterval(() => {
            if (document.body?.dataset.ready) { clearInterval(timer); done(); }
            if (Date.now() - start > 60000) { clearInterval(timer); fail("never ready"); }
        }, 50);
    })""")


def check_quiet(browser):
    browser.evaluate("0")  # events so far have come by then
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        loud = (method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")
                or method == "Log.entryAdded")
        # Vega says so of a layer whose only policies the reader has hidden.
        empty = "Infinite extent for field" in json.dumps(params.get("args", ""))
        expect(not loud or empty, f"the console says {json.dumps(params)[:600]}")
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            expect(url.startswith(("file:", "data:", "blob:")), f"the page asks for {url}")


def check_charts(browser):
    empty = browser.evaluate("""[...document.querySelectorAll("figure:not([hidden])")].filter((figure) =>
        figure.querySelectorAll("svg .role-mark path, svg .role-mark line").length === 0)
        .map((figure) => figure.id)""")
    expect(browser.evaluate("document.querySelectorAll('figure').length") >= 2, "no charts")
    expect(empty == [], f"charts without marks: {empty}")


def check_keyboard(browser):
    browser.press("Tab")
    expect(browser.evaluate("document.activeElement.className") == "skip",
           "the first Tab does not come to the skip link")
    tab_to(browser, ".legend button")
    marks = "document.querySelectorAll('#ratio .mark-symbol path').length"
    before = browser.evaluate(marks)
    for pressed, less in [("false", True), ("true", False)]:
        browser.press(" ")
        browser.evaluate("new Promise(done => setTimeout(done, 300))")
        expect(browser.evaluate("document.activeElement.ariaPressed") == pressed,
               "the space key does not switch a policy")
        expect((browser.evaluate(marks) < before) == less, "a hidden policy's marks are there")
    tab_to(browser, "#tables th.number button")
    column = """[...document.activeElement.closest("table").tBodies[0].rows].map((row) =>
        row.cells[document.activeElement.closest("th").cellIndex].textContent)
        .map(parseFloat).filter((value) => !Number.isNaN(value))"""
    for order, reverse in [("ascending", False), ("descending", True)]:
        browser.press("Enter")
        expect(browser.evaluate("document.activeElement.closest('th').ariaSort") == order,
               f"the Enter key does not sort {order}")
        values = browser.evaluate(column)
        expect(values == sorted(values, reverse=reverse), f"not {order}: {values}")


def check_worst(browser):
    """Every sample that can be chosen shows its texts, and its needle where one is known."""
    count = browser.evaluate("document.querySelectorAll('#worst option').length")
    seen = set()
    for i in range(count):
        shown = browser.evaluate(f"""new Promise((done) => {{
            const select = document.querySelector("#worst select");
            select.value = {i};
            select.dispatchEvent(new Event("change"));
            setTimeout(() => done([
                document.querySelector("#worst dl").textContent,
                [...document.querySelectorAll("#needle:not([hidden]) .mark-rect.role-mark path")]
                    .map((path) => path.getAttribute("aria-label") ?? "").join("\\n"),
            ]), 100);
        }})""")
        expect("Expected" in shown[0], f"worst sample {i} does not say what was expected")
        needle = browser.evaluate(f"JSON.parse(document.getElementById('data').textContent)"
                                  f".worst[{i}].needle?.kept.length ?? 0")
        marks = len(shown[1].split("\n")) if shown[1] else 0
        expect(marks == needle, f"worst sample {i}: {marks} marks of {needle} heads")
        seen.add(shown[0])
    expect(count == 0 or len(seen) > 1 or count == 1, "the worst samples are all alike")


def check_narrow(browser):
    browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    browser.resize(400, 800)
    width = browser.evaluate("document.documentElement.scrollWidth")
    expect(width <= 400, f"{width} px wide in a window of 400")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--screenshot", type=pathlib.Path, help="the top of the page, PNG")
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print(f"skipped: none of {', '.join(BROWSERS)} is installed (setup.sh browser)")
        sys.exit(77)
    size = options.page.stat().st_size
    expect(size < MOST_BYTES, f"{size} bytes")
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, profile)
        try:
            check_loading(browser, options.page)
            if options.screenshot:
                picture = browser.call("Page.captureScreenshot", format="png")["data"]
                options.screenshot.write_bytes(base64.b64decode(picture))
            check_charts(browser)
            check_keyboard(browser)
            check_worst(browser)
            check_narrow(browser)
            check_quiet(browser)
        finally:
            browser.close()
    print(f"{options.page}: {size / 1e6:.1f} MB, fine in {pathlib.Path(program).name}")


if __name__ == "__main__":
    main()
