"""The modules of tools/cluster import each other as its programs do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
