"""Configuration of these pages; `make docs` builds them with Sphinx."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes

project = 'mmxpl'
html_title = 'mmxpl'
html_theme = 'furo'
html_static_path = ['figures', 'style.css']
html_css_files = ['style.css']
html_copy_source = False
html_show_copyright = False
html_math_renderer = 'mathml'  # MathJax would be loaded from the web

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
autodoc_default_options = {
    'members': True,
    'member-order': 'bysource',
    'special-members': '__call__',
    'show-inheritance': True,
}
autodoc_typehints = 'none'  # the docstrings state types, with shapes and units


def add_anchors(app, doctree):
    """Lets Markdown pages link to `reference/PAGE.md#CLASS`."""
    slugs = app.env.metadata[app.env.docname].setdefault('myst_slugs', {})
    for signature in doctree.findall(addnodes.desc_signature):
        slugs.update((name, (0, name, name)) for name in signature['ids'])


def write_math(translator, node):
    """Writes a formula as MathML, which browsers draw without a script."""
    as_block = isinstance(node, nodes.math_block)
    translator.body.append(tex2mathml(node.astext(), as_block=as_block))
    raise nodes.SkipNode


def setup(app):
    """Connects the functions above."""
    app.connect('doctree-read', add_anchors)
    app.add_html_math_renderer('mathml', (write_math, None), (write_math, None))
