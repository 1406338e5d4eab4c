import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "channels")]
sys.path.append(str(HERE.parents[1] / "benchmarks"))
