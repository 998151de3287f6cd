"""`python -m linrec_bench`: the same as the command `linrec-bench`."""

from linrec_bench.cli import main

if __name__ == "__main__":
    main()
