"""python scripts/prepare_data.py data=nasa"""

from batgen.cli import prepare_data_main

if __name__ == "__main__":
    prepare_data_main()
