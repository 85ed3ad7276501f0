"""How Sphinx builds the manual. `make docs` runs it; every warning is an error, and nothing is fetched."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent), str(HERE.parent / "tools")]
# The reference imports the package, and with it Airflow, which makes a home wherever it is.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-bda-docs-")
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from airflow_bda import __version__  # noqa: E402  the path must stand first

project = "airflow-provider-bda"
author = "the airflow-provider-bda authors"
project_copyright = f"{author}, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "docstrings", "generated", "searchable"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
# So that [text](#heading) links work as they do on a code host.
myst_heading_anchors = 4

autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"airflow-provider-bda {release}"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["manual.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"
