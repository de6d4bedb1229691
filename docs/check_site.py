"""Open the built site in a headless Chromium and look for what is broken.

    pip install selenium; apt install chromium chromium-driver
    python docs/build.py --gallery && python docs/check_site.py [--screenshots FOLDER]

Every page is opened at the width of a phone and of a desk, and must

* have no broken internal link: neither a page nor an anchor may be missing;
* have figures that are loaded and not of one colour;
* not be wider than the screen, so that one scrolls in one direction only;
* have no table that is wider than its place, on a desk: one would overlook a column;
* write nothing to the browser's console as an error, and ask other hosts for nothing.

A search must find pages. Faults are printed, and any makes the exit status 1.
"""

import argparse
import base64
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SITE = Path(__file__).resolve().parent / "_build" / "html"
WIDTHS = {"phone": 390, "desk": 1280}
QUERIES = ["sparsity_target", "contractive", "MATLAB", "OpenBLAS"]
SHOWN = ["index.html", "getting_started.html", "user_guide/sparse.html"]
SHOWN += ["generated/skae.SparseAutoencoder.html", "migration.html", "parameters.html"]
SHOWN += [f"user_guide/{name}.html" for name in ("top_k", "missing", "outliers")]
SHOWN += ["auto_examples/index.html", "auto_examples/plot_denoising.html"]

# Links and anchors of the page, its figures, and how far it is wider than the screen.
LOOK = """
const shades = image => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 64, 64);
  return new Set(context.getImageData(0, 0, 64, 64).data).size;
};
const figures = [...document.querySelectorAll("main img")].map(image => ({
  source: image.src, width: image.naturalWidth,
  shades: image.naturalWidth ? shades(image) : 0, alt: image.alt,
}));
// What sticks out of the screen, unless it is inside something that scrolls.
const scrolls = element => {
  for (let e = element; e && e.tagName !== "ARTICLE"; e = e.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
  }
  return false;
};
const outside = [...document.querySelectorAll("main *")].filter(element =>
  element.getClientRects().length
  && element.getBoundingClientRect().right > window.innerWidth + 1
  && element.getBoundingClientRect().left < window.innerWidth
  && !scrolls(element)
).map(element => `${element.tagName} ${element.textContent.slice(0, 40)}`);
// Tables in a frame that scrolls, of which not all columns are seen.
const cut = [...document.querySelectorAll("main table")].filter(table => {
  for (let e = table.parentElement; e && e.tagName !== "ARTICLE"; e = e.parentElement) {
    if (e.scrollWidth > e.clientWidth + 1 && scrolls(e)) return table.rows.length;
  }
  return false;
}).map(table => table.textContent.trim().slice(0, 40));
return {
  outside, cut,
  links: [...document.querySelectorAll("a[href]")].map(a => a.href),
  anchors: [...document.querySelectorAll("[id]")].map(e => e.id),
  figures,
  excess: document.documentElement.scrollWidth - window.innerWidth,
  text: document.querySelector("main").innerText.length,
  requests: performance.getEntriesByType("resource").map(entry => entry.name),
};
"""
LOADED = "return [...document.images].every(i => i.complete) && document.readyState"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *args):
        pass


def serve(folder):
    """Serve the folder on a free port; returns the address of its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def browser(profile):
    """A headless Chromium with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in [
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update"),
        *("disable-sync", "hide-scrollbars", f"user-data-dir={profile}"),
    ]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    return webdriver.Chrome(options=options, service=service)


class Check:
    """Opens pages and gathers faults."""

    def __init__(self, driver, root, screenshots):
        self.driver, self.root, self.screenshots = driver, root, screenshots
        self.faults, self.anchors, self.links = [], {}, {}
        self.n_figures = 0

    def fault(self, page, text):
        self.faults.append(f"{page}: {text}")

    def resize(self, width):
        # A headless window has a least width; emulation has none.
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )

    def open(self, page):
        self.driver.get(urljoin(self.root, page))
        # Figures below the screen are loaded lazily.
        self.driver.execute_script(
            "document.querySelectorAll('img').forEach(i => i.loading = 'eager')"
        )
        WebDriverWait(self.driver, 20).until(
            lambda driver: driver.execute_script(LOADED) == "complete"
        )

    def look(self, page, name):
        """Open a page and note what is wrong with it."""
        self.open(page)
        seen = self.driver.execute_script(LOOK)
        self.anchors[page] = set(seen["anchors"])
        self.links[page] = seen["links"]
        if seen["excess"] > 0:
            self.fault(page, f"{seen['excess']} pixels wider than a {name}")
        if seen["outside"]:
            self.fault(page, f"cut off on a {name}: {seen['outside'][:3]}")
        if seen["cut"] and name == "desk":
            self.fault(page, f"tables wider than their place: {seen['cut'][:3]}")
        if seen["text"] < 40 and page != "search.html":
            self.fault(page, "hardly any text")
        for figure in seen["figures"]:
            if not figure["width"]:
                self.fault(page, f"figure not loaded: {figure['source']}")
            elif figure["shades"] < 4:
                self.fault(page, f"empty figure: {figure['source']}")
        self.n_figures += len(seen["figures"])
        for request in seen["requests"]:
            if not request.startswith((self.root, "data:")):
                self.fault(page, f"asks another host: {request}")
        for line in self.driver.get_log("browser"):
            if line["level"] == "SEVERE":
                self.fault(page, f"console: {line['message']}")
        if self.screenshots and page in SHOWN:
            self.save(f"{name}-{page.replace('/', '-')}.png")

    def save(self, name):
        """Save the page from top to bottom."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})
        height = min(int(size["cssContentSize"]["height"]), 6000)
        width = self.driver.execute_script("return window.innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
        )
        (self.screenshots / name).write_bytes(base64.b64decode(shot["data"]))

    def follow_links(self):
        """Every internal link must lead to a file, and to an anchor of the page."""
        for page, links in self.links.items():
            for link in sorted(set(links)):
                if not link.startswith(self.root):
                    continue
                address, anchor = urldefrag(link)
                target = unquote(address[len(self.root) :].partition("?")[0])
                target = target or "index.html"
                if not (SITE / target).is_file():
                    self.fault(page, f"broken link to {target}")
                elif anchor and target in self.anchors:
                    if unquote(anchor) not in self.anchors[target]:
                        self.fault(page, f"broken link to {target}#{anchor}")

    def search(self, query):
        """The search page must find something, and its first result exist."""
        self.open(f"search.html?q={query}")
        try:
            results = WebDriverWait(self.driver, 20).until(
                lambda driver: driver.find_elements(
                    By.CSS_SELECTOR, "#search-results li a"
                )
            )
        except Exception:
            return self.fault("search.html", f"nothing found for {query!r}")
        found = {urldefrag(result.get_attribute("href"))[0] for result in results}
        print(f"search for {query!r}: {len(results)} results on {len(found)} pages")
        if self.screenshots and query == QUERIES[0]:
            self.save("desk-search.png")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of pages")
    arguments = parser.parse_args()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    pages = sorted(
        path.relative_to(SITE).as_posix()
        for path in SITE.rglob("*.html")
        if "_static" not in path.parts
    )
    if not pages:
        sys.exit(f"no pages in {SITE}; run python docs/build.py --gallery first")
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            check = Check(driver, serve(SITE), arguments.screenshots)
            for name, width in WIDTHS.items():
                check.resize(width)
                for page in pages:
                    check.look(page, name)
            check.follow_links()
            for query in QUERIES:
                check.search(query)
        finally:
            driver.quit()
    links = sum(len(set(links)) for links in check.links.values())
    print(
        f"{len(pages)} pages, {links} links, {check.n_figures // len(WIDTHS)} figures"
    )
    print("\n".join(dict.fromkeys(check.faults)) or "no faults")
    sys.exit(bool(check.faults))


if __name__ == "__main__":
    main()
