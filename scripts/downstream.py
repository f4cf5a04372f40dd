"""python scripts/downstream.py data=sim model=rcvae_continuous shares=[0.03,0.05,0.1,0.2] repeats=5"""

from batgen.cli import downstream_main

if __name__ == "__main__":
    downstream_main()
