"""python scripts/leaderboard.py data=sim models=[rcvae,rcvae_continuous] seed=[0,1,2]"""

from batgen.cli import leaderboard_main

if __name__ == "__main__":
    leaderboard_main()
