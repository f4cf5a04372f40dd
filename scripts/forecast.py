"""python scripts/forecast.py run=outputs/DIR input=cells.csv cycles=30 horizon=to_eol out=forecast.csv"""

from batgen.cli import forecast_main

if __name__ == "__main__":
    forecast_main()
