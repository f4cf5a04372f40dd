"""python scripts/dashboard.py project=batgen out=dashboard.json"""

from batgen.cli import dashboard_main

if __name__ == "__main__":
    dashboard_main()
