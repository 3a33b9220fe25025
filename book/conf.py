"""Sphinx's settings for the site; tools/site.py lays out what they are applied to."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "Convolutional networks, chapter by notebook"
html_title = project
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [("enlarge.js", {"defer": "defer"})]
html_copy_source = False
html_show_copyright = html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}

extensions = ["myst_nb"]
nb_execution_mode = "off"  # what is stored is shown
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
exclude_patterns = ["_static"]
html_math_renderer = "mathml"  # which browsers draw themselves: no script, no network


def formula(self, node, display: str) -> None:
    self.body.append(convert(node.astext(), display=display))
    raise SkipNode


def setup(app) -> None:
    app.add_html_math_renderer(
        "mathml",
        (lambda self, node: formula(self, node, "inline"), None),
        (lambda self, node: formula(self, node, "block"), None),
    )
