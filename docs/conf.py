"""Sphinx configuration; it builds without a network.

`docs/build.py` runs it. Formulas become MathML at build time, so the pages need no
script and no font from elsewhere; names of scikit-learn, NumPy and SciPy link to
their sites without fetching an inventory.
"""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

# Links to IterativeImputer look for it, and without this import it is not there.
from sklearn.experimental import enable_iterative_imputer  # noqa: E402, F401

import skae  # noqa: E402

project = "skae"
author = "the skae developers"
copyright = f"2026, {author}"
version = release = skae.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "link_elsewhere",
    "mathml",
    "site_files",
]
exclude_patterns = ["_build", "images", "tables"]
templates_path = ["_templates"]
highlight_language = "text"
default_role = "py:obj"  # `SparseAutoencoder` in a docstring is a link
suppress_warnings = ["config.cache"]  # gallery settings that cannot be pickled

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_xref_param_type = False
toc_object_entries_show_parents = "hide"

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/(_|benchmarks/)",
    "doc_module": ("skae",),
    "backreferences_dir": "generated/gallery",
    "reference_url": {"skae": None},
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "write_computation_times": False,
    "image_scrapers": ("matplotlib",),
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_title = "skae"
html_favicon = "_static/skae.svg"
html_context = {"default_mode": "auto"}
html_additional_pages = {"404": "404.html"}
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "skae",
        "image_light": "_static/skae.svg",
        "image_dark": "_static/skae.svg",
    },
    "show_prev_next": True,
    "header_links_before_dropdown": 4,
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
# Pages without pages below them have nothing to show beside them.
html_sidebars = {
    name: []
    for name in "getting_started parameters comparison performance migration "
    "extending distributed experiments architecture".split()
}

# Examples say what they have to say in the page; Agg has no window to show.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
