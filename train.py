"""python train.py model=rcvae data=mit cycles=100"""

from batgen.cli import train_main

if __name__ == "__main__":
    train_main()
