"""Started as `python -m dbops.sandbox.emulators.cosmos --home FOLDER`."""

import gc

from dbops.sandbox.emulators.cosmos.application import make
from dbops.sandbox.emulators.serve import serve

gc.freeze()  # the SDK's modules, of which only the hashing is used, need not be looked through again and again
serve(make)
