from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# Nothing is written to the current folder, not even Hypothesis's own caches.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
settings.register_profile("tests", database=None, deadline=None)
settings.load_profile("tests")
