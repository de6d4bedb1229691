"""Files of the site beside its pages: ``llms.txt``, ``sitemap.xml``, ``switcher.json``.

``llms.txt`` lists the pages in the order of the table of contents, with the first
sentence of each. ``sitemap.xml`` needs absolute addresses, so it is only written where
the address of the site is given: ``python docs/build.py -- -D html_baseurl=https://…/``.

If this address ends with a version of ``docs/versions.json``, as in ``https://…/dev/``,
pages have a menu of all versions. They read it from ``https://…/switcher.json``, which
all versions share: copy the file there from the build of the newest one.
"""

import json
import re
from pathlib import Path
from xml.sax.saxutils import escape

from docutils import nodes

SUMMARY = "Autoencoders with the interface of scikit-learn, on NumPy alone."
VERSIONS = json.loads((Path(__file__).parents[1] / "versions.json").read_text())
END_OF_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`\"(])")


def in_order(env, name, seen):
    """Names of documents as the table of contents lists them, each once."""
    if name not in seen:
        seen[name] = None
        for child in env.toctree_includes.get(name, ()):
            in_order(env, child, seen)
    return list(seen)


def first_sentence(doctree):
    """The first sentence of the first paragraph of a page, or of its class."""
    for paragraph in doctree.findall(nodes.paragraph):
        # The notes and links that the gallery adds are not what a page is about.
        if isinstance(paragraph.parent, nodes.Admonition | nodes.list_item):
            continue
        parts = (
            part.astext()
            for part in paragraph.children
            if not isinstance(part, nodes.footnote_reference)
        )
        text = " ".join("".join(parts).split())
        if text:
            return END_OF_SENTENCE.split(text)[0]
    return ""


def versions_of(base):
    """Address of all versions, and which one is built; Nones if it is none of them."""
    root, _, version = base.rstrip("/").rpartition("/")
    known = version in (entry["version"] for entry in VERSIONS)
    return (f"{root}/", version) if known else (None, None)


def add_menu(app, config):
    """Give the pages a menu of versions, where their address tells which they are."""
    root, version = versions_of(config.html_baseurl)
    if root:
        options = config.html_theme_options
        options["switcher"] = {
            "json_url": f"{root}switcher.json",
            "version_match": version,
        }
        options["check_switcher"] = False  # nothing is fetched
        options["navbar_start"] = ["navbar-logo", "version-switcher"]


def write_files(app, exception):
    """Write them, after a build of HTML pages."""
    if exception is not None or app.builder.format != "html":
        return
    env, root = app.env, app.config.root_doc
    pages = [name for name in in_order(env, root, {}) if name in env.found_docs]
    lines = [f"# {app.config.project}", "", f"> {SUMMARY}", "", "## Pages", ""]
    for name in pages:
        title = env.titles[name].astext()
        sentence = first_sentence(env.get_doctree(name))
        address = app.builder.get_target_uri(name)
        lines.append(f"- [{title}]({address}): {sentence}".removesuffix(": "))
    out = Path(app.outdir)
    (out / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    base = app.config.html_baseurl
    if base:
        base = base.rstrip("/") + "/"
        entries = [
            f"  <url><loc>{escape(base + app.builder.get_target_uri(name))}</loc></url>"
            for name in pages
        ]
        sitemap = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *entries,
            "</urlset>",
        ]
        (out / "sitemap.xml").write_text("\n".join(sitemap) + "\n", encoding="utf-8")
    root, _ = versions_of(base)
    if root:
        menu = [{**entry, "url": f"{root}{entry['version']}/"} for entry in VERSIONS]
        (out / "switcher.json").write_text(json.dumps(menu, indent=2) + "\n")


def setup(app):
    app.connect("config-inited", add_menu)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
