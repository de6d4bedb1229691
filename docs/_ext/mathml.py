"""Formulas as MathML, which browsers draw themselves: no script, no fonts, no LaTeX.

Docutils translates; this fits it to Sphinx's `html_math_renderer`.
"""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError

# Docutils reads \hat x_i as three stacked parts; {\hat x}_i is what is meant.
ACCENT = re.compile(r"\\(hat|tilde|bar)\s*(\{[^{}]*\}|\\[a-zA-Z]+|\w)")


def translate(tex, as_block):
    """MathML of a formula, or an error that shows it."""
    tex = ACCENT.sub(r"{\\\1 \2}", tex)
    if as_block and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        raise ExtensionError(f"formula {tex!r}: {error}") from error


def visit_inline(translator, node):
    translator.body.append(translate(node.astext(), as_block=False))
    raise SkipNode


def visit_block(translator, node):
    formula = translate(node.astext(), as_block=True)
    translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
