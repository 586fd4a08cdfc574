-- Who asked that the run stand still. While it runs, it stops at the end of its superstep; then it is `interrupted` and
-- due at no time.
alter table runs add paused_by text;

-- A fork's history begins with its parent's lines up to `forked_seq`, so the parent's row stays as long as the fork's.
alter table runs add forked_from uuid references runs, add forked_seq bigint,
    add check ((forked_from is null) = (forked_seq is null));

create index runs_by_parent on runs (forked_from) where forked_from is not null;
