"""Formulas as MathML, which browsers draw themselves: no script, no fonts, no LaTeX.

Docutils translates; this fits it to Sphinx's `html_math_renderer`, and mends two things
that it makes: an accented letter with an index is three stacked parts, where the accent
belongs on the letter and the index beside both; and the bars of a norm are of different
height, as the right one carries the exponent.
"""

from xml.etree import ElementTree

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ACCENTS = {"ˆ", "~", "¯"}


def accent_on_letter(element):
    """Turn a stack of letter, index and accent into an accented letter with index."""
    parts = list(element)
    if element.tag.endswith("munderover") and parts[2].text in ACCENTS:
        letter, index, accent = parts
        element.tag = f"{{{NAMESPACE}}}msub"
        accented = ElementTree.Element(f"{{{NAMESPACE}}}mover", accent="true")
        accented.extend([letter, accent])
        element[:] = [accented, index]


def bars_alike(element):
    """Keep the bars of norms small, but those of a left and a right fence."""
    parts = list(element)
    tall = parts[:1] + parts[-1:]
    if not (element.tag.endswith("mrow") and all(part.text == "‖" for part in tall)):
        tall = []
    for part in parts:
        if part.text == "‖" and part not in tall:
            part.set("stretchy", "false")


def translate(tex, as_block):
    """MathML of a formula, or an error that shows it."""
    try:
        math = tex2mathml(tex, as_block=as_block)
    except MathError as error:
        raise ExtensionError(f"formula {tex!r}: {error}") from error
    # An entity that XML does not know, and nothing to see.
    tree = ElementTree.fromstring(math.replace("&ApplyFunction;", "\u2061"))
    for element in tree.iter():
        element.tail = None  # spaces between tags
        if not (element.text or "").strip():
            element.text = None
        accent_on_letter(element)
        bars_alike(element)
    return ElementTree.tostring(tree, encoding="unicode")


def visit_inline(translator, node):
    translator.body.append(translate(node.astext(), as_block=False))
    raise SkipNode


def visit_block(translator, node):
    formula = translate(node.astext(), as_block=True)
    translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode


ElementTree.register_namespace("", NAMESPACE)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
