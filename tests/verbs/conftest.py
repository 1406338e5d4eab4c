import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "channels"))  # its nets with branches
