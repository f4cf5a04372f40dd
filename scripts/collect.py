"""python scripts/collect.py sweep=outputs/ablation/rcvae_layers_mit"""

from batgen.cli import collect_main

if __name__ == "__main__":
    collect_main()
