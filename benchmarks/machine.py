"""Facts about the machine and this process that belong to every figure."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hold_to(n_threads: int) -> None:
    """Let this process and its children use only so many processors, before libraries start."""
    if hasattr(os, "sched_setaffinity") and n_threads < processors():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])


def facts() -> dict[str, str | int | float]:
    """Processor, memory, system and interpreter."""
    return {
        "cpu": _cpu_name(),
        "processors": processors(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    name = found.get("model name", platform.processor() or platform.machine())
    flags = found.get("flags", "").split()
    width = next((w for w, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags), "")
    return f"{name}, {width}" if width else name


def forget_peak_memory() -> None:
    """Let the peak be counted from now on, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def memory_mb() -> tuple[float, float]:
    """Resident memory now and at its peak, in MB (2**20 bytes)."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return peak, peak
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak
