"""What torchrun or Slurm say of the processes that they started; nothing here imports torch."""

from __future__ import annotations

import os

from hashtag2action.errors import UserError


def launched() -> bool:
    """Return whether this is one of several processes that torchrun or Slurm started on the same command."""
    return "TORCHELASTIC_RUN_ID" in os.environ or (
        "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", 1)) > 1
    )


def first_process() -> bool:
    """Return whether this process is the one that shows and records what all of them did."""
    return not launched() or int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) == 0


def world(devices: int) -> tuple[int, int]:
    """Return nodes and processes on each, as the launcher has set them, else one node with `devices`."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        return int(os.environ["WORLD_SIZE"]) // here, here
    if launched():
        if "SLURM_STEP_ID" not in os.environ:
            tasks = os.environ["SLURM_NTASKS"]
            raise UserError(
                f"Slurm: the job has {tasks} tasks and this is one command; start it with srun, or ask for one task"
            )
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise UserError("Slurm: processes are counted by node here; give --ntasks-per-node=N instead of --ntasks")
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return nodes, int(os.environ["SLURM_NTASKS"]) // nodes
    return 1, devices
