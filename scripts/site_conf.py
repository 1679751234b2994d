"""Sphinx's settings for the site; scripts/build_site copies it into the folder that it builds from."""

project = "edgebench"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "edgebench"
html_static_path = ["_static"]
html_js_files = ["site.js"]
html_copy_source = html_show_sphinx = html_show_copyright = False
root_doc = "index"
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]  # a page may begin at any level
