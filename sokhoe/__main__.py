"""`sokhoe` on the command line; the verbs are in sokhoe/ops/, one file each."""

from __future__ import annotations

import sys

from sokhoe.ops import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
