"""The site: `make docs` builds it from the documents, the docstrings and the commands, without a warning.

The source folder is the root of the repository, so that the links between README.md, the examples' pages and
these documents are the same on the site and in a checkout.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from alliance.version import VERSION  # noqa: E402

project = "alliance"
author = "the alliance contributors"
project_copyright = "Apache-2.0"
version = release = VERSION

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "command_line",
    "plain_docstrings",
    "public_doors",
    "self_contained",
]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "protos/README.md",
    "examples/*/README.md",
    "docs/*.md",
    "docs/**/*.md",
    "docs/reference/api/*.rst",
]
exclude_patterns = [".*", "build", "dist", "*.egg-info", "alliance", "tests", "farm", "docs/_*"]
templates_path = [str(HERE / "_templates")]

nitpicky = True
keep_warnings = True
highlight_language = "none"
smartquotes = False
myst_heading_anchors = 3

default_role = "literal"
add_module_names = False
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "__version__"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"alliance {VERSION}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_additional_pages = {"index": "index.html"}
