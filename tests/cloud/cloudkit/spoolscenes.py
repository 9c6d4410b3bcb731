"""Scenes of the spool's disk: full, read-only, gone, damaged. Metrics flow all the same, and what is lost is counted."""

import filecmp
import os
import shutil
import signal
import struct
import subprocess
import time
import typing

from cloudkit.bench import INTERVAL, SceneFailed, until
from cloudkit.scenes import SOON, announced_once, await_ticks, caught_up, scene, settle, steady
from labkit import netns

DEGRADED, MENDED = "the spool cannot be written", "the spool is on the disk again"
# A disk that failed is tried again every ten rounds.
MENDED_SECONDS = 12 * INTERVAL
MARKER = b"\xf5rnd"
# Behind the marker: number, tick, reported, length, checksum, urgent and scheduled datums, parts owed, checksum.
FRAME = struct.Struct("<QqQIIHHBI")


class Frame(typing.NamedTuple):
    """A round in a segment's file."""

    path: str
    at: int
    payload: int
    tick: float
    datums: int


@scene(230)
def spool_full_disk(stage):
    """The disk of the state directory fills up while it runs: said once, metrics flow; with room again all is as before."""
    _own_disk(stage, "size=64k")
    daemon = stage.daemon.start()
    folder = _as_seen_by(daemon)
    await_ticks(stage, 1)
    # Whatever the daemon frees is taken at once. Eight rounds fit into a page that it has.
    until(lambda: _fill(folder / "other") and "spool-degraded" in daemon.causes(), 110, "spool-degraded in last.json")
    until(lambda: any("spool-degraded" in line for line in daemon.status_lines()), SOON, "spool-degraded in STATUS")
    steady(stage)
    _through_an_outage(stage)
    (folder / "other").unlink()
    _is_mended(stage)
    return settle(stage, "the disk was full; delivered from memory")


@scene(180)
def spool_read_only(stage):
    """The state directory is on a read-only mount from the start: READY, said once, delivered; then it is writable."""
    _own_disk(stage, "ro,size=1m")
    daemon = stage.daemon.start()
    until(lambda: "spool-degraded" in daemon.causes(), SOON, "spool-degraded in last.json")
    await_ticks(stage, 2)
    _through_an_outage(stage)
    _mount(daemon, "mount", "-o", "remount,rw", f"{stage.state}/var")
    _is_mended(stage)
    return settle(stage, "read-only at the start; delivered from memory")


@scene(180)
def spool_turns_read_only(stage):
    """The spool becomes read-only with rounds in it, in an outage: they and those in memory are delivered, once."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="refuse")
    until(lambda: len(_frames(stage)) >= 2, 5 * INTERVAL, "rounds in the spool")
    spool = f"{stage.state}/var/spool"
    _mount(daemon, "mount", "--bind", spool, spool)
    _mount(daemon, "mount", "-o", "remount,bind,ro", spool)
    until(lambda: "spool-degraded" in daemon.causes(), SOON, "spool-degraded in last.json")
    stage.cloudwatch(heal=True)
    caught_up(stage)
    _mount(daemon, "umount", spool)
    _is_mended(stage)
    return settle(stage)


@scene(120)
def spool_flipped(stage):
    """An outage, kill -9, bytes of the spool's files flipped: what is intact is delivered, the rest is told as lost."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="refuse")
    delivered = set(stage.books().ticks())
    waiting = until(lambda: _waiting(stage, delivered, 5), 8 * INTERVAL, "five rounds in the spool")
    daemon.stop(signal.SIGKILL)
    waiting = _waiting(stage, delivered, 5)
    # One whose header still says what it was; and one of which nothing is legible, so that its neighbour's weight is taken.
    _flip(waiting[1].path, waiting[1].payload + 40)
    _flip(waiting[3].path, waiting[3].at + 5)
    gone = [waiting[1].tick, waiting[3].tick]
    stage.cloudwatch(heal=True)
    daemon.start()
    caught_up(stage, gone=gone)
    lost = _is_told(stage, waiting[1].datums + waiting[2].datums)
    return settle(stage, f"{len(waiting)} rounds waited, 2 damaged", lost=lost, gone=gone)


@scene(180)
def spool_gone(stage):
    """rm -rf of the spool in an outage: what was in it is told as lost, all else is delivered, and the spool comes back."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="refuse")
    delivered = set(stage.books().ticks())
    waiting = until(lambda: _waiting(stage, delivered, 3), 6 * INTERVAL, "three rounds in the spool")
    # Out of the daemon's sight at once: else it may add a file while others are being removed.
    aside = (stage.state / "var" / "spool").rename(stage.state / "var" / "aside")
    shutil.rmtree(aside)
    gone = [frame.tick for frame in waiting]
    until(lambda: "spool-degraded" in daemon.causes(), SOON, "spool-degraded in last.json")
    stage.cloudwatch(heal=True)
    caught_up(stage, gone=gone)
    _is_mended(stage)
    lost = _is_told(stage, sum(frame.datums for frame in waiting))
    return settle(stage, f"{len(gone)} rounds were in it", lost=lost, gone=gone)


@scene(150)
def power_cut(stage):
    """The machine loses its power six times, on a real file system, most of them in an outage: every round arrives."""
    disk = _Disk(stage)
    try:
        daemon = stage.daemon.start()
        await_ticks(stage, 1)
        disk.cut(daemon)
        stage.cloudwatch(mode="refuse")
        for pause in (2.3, 11.7, 5.9, 13.1, 7.3):
            daemon.start()
            time.sleep(pause)
            disk.cut(daemon)
        stage.cloudwatch(heal=True)
        daemon.start()
        caught_up(stage)
        # What was acknowledged when the power went may not have been noted.
        return settle(stage, f"{disk.cuts} cuts", doubles=2)
    finally:
        disk.end()


# -- what they share --


class _Disk:
    """An ext4 of its own for the daemon's state, which can lose its power: only what was written to the device is left."""

    def __init__(self, stage):
        self.place, self.image, self.cuts = stage.state / "var", stage.state / "image", 0
        with open(self.image, "wb") as file:
            file.truncate(16 << 20)
        netns.run("mkfs.ext4", "-q", str(self.image))
        self._mount()

    def cut(self, daemon):
        """Ends the daemon and its disk at one moment."""
        mark = self.place / f"unwritten{self.cuts}"
        mark.write_text("in memory only")
        daemon.send(signal.SIGSTOP)
        left = self._left()
        daemon.stop(signal.SIGKILL)
        netns.run("umount", str(self.place))
        self.image = left
        self._mount()
        if mark.exists() and mark.read_text():
            raise SceneFailed("what was never written has survived: the power was not cut")
        self.cuts += 1

    def end(self):
        """Lets go of the device; the daemon may still run where the scene failed."""
        netns.run("umount", "--lazy", str(self.place))

    def _mount(self):
        netns.run("mount", "-o", "loop", str(self.image), str(self.place))

    def _left(self):
        """What is on the device now: two copies that are the same were made while nothing was written."""
        one, other = (self.image.with_name(f"image{self.cuts}{which}") for which in "ab")

        def settled():
            shutil.copyfile(self.image, one)
            shutil.copyfile(self.image, other)
            return filecmp.cmp(one, other, shallow=False)

        until(settled, SOON, "a disk at rest")
        other.unlink()
        return one


def _own_disk(stage, options):
    """Gives the daemon a file system of its own for its state, which ends with it."""
    usual = stage.daemon.become
    flags = netns.MS_RDONLY if options.startswith("ro,") else 0

    def become(stage):
        usual(stage)
        netns.mount("tmpfs", f"{stage.state}/var", "tmpfs", flags, options.removeprefix("ro,"))

    stage.daemon.become = become


def _as_seen_by(daemon):
    """The daemon's state directory."""
    return type(daemon.state)(f"/proc/{daemon.child.pid}/root{daemon.state}/var")


def _fill(path):
    """Writes into a file until nothing more fits."""
    with open(path, "ab", buffering=0) as out:
        for size in (4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                pass  # full, as is wanted
    return True


def _mount(daemon, *command):
    """Runs a mount command where the daemon sees it."""
    done = subprocess.run(["nsenter", "-t", str(daemon.child.pid), "-m", *command], capture_output=True, text=True)
    if done.returncode:
        raise SceneFailed(f"{command}: {done.stderr}")


def _through_an_outage(stage):
    """Two rounds long nothing can be delivered; then all is, from memory."""
    stage.cloudwatch(mode="refuse")
    until(lambda: stage.daemon.shipping().get("spooled", 0) >= 2, 5 * INTERVAL, "two rounds wait")
    stage.cloudwatch(heal=True)
    caught_up(stage)


def _is_mended(stage):
    """The disk is used again, and all of that was said once."""
    daemon = stage.daemon
    until(lambda: "spool-degraded" not in daemon.causes(), MENDED_SECONDS, "the spool's problem is over in last.json")
    announced_once(daemon, DEGRADED)
    announced_once(daemon, MENDED)


def _is_told(stage, lost):
    """So many datums are told as lost, in last.json and by the metric Lost."""
    until(lambda: stage.daemon.shipping().get("lost") == lost, SOON, f"{lost} datums lost in last.json")

    def sent():
        datums = [d for e in stage.books().entries if e["outcome"] == "accepted" for d in e["datums"] if d["metric"] == "Lost"]
        return sum(value for datum in datums for value in datum["values"])

    until(lambda: sent() == lost, SOON, f"Lost adds up to {lost} at CloudWatch")
    announced_once(stage.daemon, "were lost before delivery")
    return lost


def _frames(stage):
    """The rounds in the spool's files, oldest first."""
    found = []
    for path in sorted((stage.state / "var" / "spool").glob("*.seg")):
        data, at = path.read_bytes(), -1
        while (at := data.find(MARKER, at + 1)) >= 0:
            _, tick, _, _, _, urgent, scheduled, _, _ = FRAME.unpack_from(data, at + len(MARKER))
            payload = at + len(MARKER) + FRAME.size
            found.append(Frame(str(path), at, payload, round(tick / 1000, 3), urgent + scheduled))
    return found


def _waiting(stage, delivered, least):
    """Rounds in the spool that were not delivered; None while they are fewer."""
    waiting = [frame for frame in _frames(stage) if frame.tick not in delivered]
    return waiting if len(waiting) >= least else None


def _flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x55]))
        file.flush()
        os.fsync(file.fileno())
