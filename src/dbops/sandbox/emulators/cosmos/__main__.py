"""Started as `python -m dbops.sandbox.emulators.cosmos --home FOLDER`."""

from dbops.sandbox.emulators.cosmos.application import make
from dbops.sandbox.emulators.serve import serve

serve(make)
