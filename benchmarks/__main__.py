"""`make bench`: print the figures; exit 1 when one is over its bound."""

from benchmarks import robustness
from benchmarks.speed import figures

if __name__ == "__main__":
    held = all(figure.held for figure in figures())
    raise SystemExit(robustness.main() or int(not held))
