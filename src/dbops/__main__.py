"""`python -m dbops` is `dbops`."""

from dbops.cli import main

if __name__ == "__main__":
    main()
