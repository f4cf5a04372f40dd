"""python scripts/evaluate.py run=outputs/DIR"""

from batgen.cli import evaluate_main

if __name__ == "__main__":
    evaluate_main()
