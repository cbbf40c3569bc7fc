"""``python -m mlrun_jupyter``: the command line."""

from mlrun_jupyter.cli import main

if __name__ == "__main__":
    main()
