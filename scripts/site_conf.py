"""Sphinx's settings for the site; scripts/build_site copies it into the folder that it builds from."""

import re

project = "edgebench"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "edgebench"
html_static_path = ["_static"]
html_js_files = ["site.js"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = html_show_copyright = False
root_doc = "index"
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]  # a page may begin at any level


def keep_options_whole(app, pagename, templatename, context, doctree):
    """Mark the name of each option in the text of a page: site.css breaks no line inside one."""
    mark = lambda word: re.sub(r"(?<![\w-])--[a-zA-Z][\w-]*", r'<span class="option">\g<0></span>', word[0])  # noqa: E731
    context["body"] = re.sub(r'<span class="pre">[^<]*</span>', mark, context.get("body") or "")


def setup(app):
    app.connect("html-page-context", keep_options_whole)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
