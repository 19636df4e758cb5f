import sys
from pathlib import Path

OMNI = Path(__file__).parents[2] / "examples" / "omni"
sys.path.insert(0, str(OMNI))  # as Triton has it: a component's code is imported from its own folder
