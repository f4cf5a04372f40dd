"""python scripts/generate.py run=outputs/DIR eol=800 ecl=50 n=100 out=curves.h5"""

from batgen.cli import generate_main

if __name__ == "__main__":
    generate_main()
