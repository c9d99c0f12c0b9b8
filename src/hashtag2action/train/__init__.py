"""Making the networks learn.

OpenMP's threads wait without spinning: a small network's steps are short, and on cores shared with anything else a
spinning team makes them up to forty times slower. It has to be said before torch is first imported.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
