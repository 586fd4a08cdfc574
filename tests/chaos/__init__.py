"""Chaos: real worker and API processes over a real Postgres, killed, stopped and cut off while callers use them.

`make chaos-ci` is the slice that CI runs; `make chaos` is all of it. `python -m tests.chaos kills --seed 7 --times 60`
is one bout, which is also how a failure says that it can be repeated: the seed decides who calls for what and what goes
wrong when; the machine's own timing is all that is left to chance.

- `zygote` has imported everything once and forks processes in milliseconds; `children` is what they become: the product
  as it is, with a scripted model (`models`) and tools (`tools`) that call the counter.
- `counter` is the world outside: a process of its own that syncs every effect to a file before it answers.
- `caller` is an app: it creates runs, follows them over cuts, decides what it is asked, and keeps all it was told;
  `steering` is what it does to them under way, and `control` what must hold of them then.
- `points` strikes at each place that graph/faults.py names; `trouble` at any time; `streams` cuts what readers get.
- `retention` prunes runs of its own, and sees that a log is whole or gone.
- `planted` are bugs, each with the one of `scenarios` that brings it to light, and `plants` sees that each is caught
  and nothing is found where none is planted.
- `RESULTS.md` is what a long campaign found.
- `bout` keeps callers coming while trouble goes on and lets every run end; `oracle` then compares what callers were
  told, the log, the ledger and the counter; `watch.sql` are its own eyes in the database.
"""
