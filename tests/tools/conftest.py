import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# As the benchmarks have it: their modules import each other from tools, the example's from its folder.
sys.path += [str(ROOT / "tools"), str(ROOT / "examples" / "omni")]
