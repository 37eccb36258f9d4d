"""Run the emulator: `python -m dbops.sandbox.emulators.search --home FOLDER`.

Settings beside those of every emulator: `query_key` (may only read documents), `visible_after_s` (how long a written
document stays unseen), `indexes` (how many this service may hold).
"""

from dbops.sandbox.emulators.search.application import Search
from dbops.sandbox.emulators.serve import serve

if __name__ == "__main__":
    serve(Search)
