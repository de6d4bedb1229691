"""Names of other libraries link to their sites; names of ours must resolve.

No inventory is fetched: where scikit-learn and its like put the page of a class or
function follows from its name.
"""

import re

from docutils.nodes import reference
from sphinx.util import logging

logger = logging.getLogger(__name__)

SITES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{name}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{name}.html",
}
OURS = re.compile(r"(skae\.|~?[A-Z]\w*(Autoencoder|Coding|Display)\w*$)")


def link(app, env, node, contnode):
    """The node for a name that the site itself does not document."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    top = target.split(".")[0]
    if top in SITES and "." in target and "._" not in target:
        return reference(
            "", "", contnode, internal=False, refuri=SITES[top].format(name=target)
        )
    if OURS.match(target):
        logger.warning("no page documents %r", target, location=node)
    return None


def setup(app):
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
