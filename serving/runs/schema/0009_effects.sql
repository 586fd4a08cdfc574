-- The effect ledger: what a person is asked about an effect, the moments of its states, and which step leads to which.
alter table effects
    add column step_id text not null default '',
    -- Kept from `unknown` on, for the person who decides; before that the log has them.
    add column arguments jsonb,
    add column reason text not null default '',
    add column round int not null default 1,
    add column proposed_at timestamptz,
    add column approved_at timestamptz,
    add column prepared_at timestamptz,
    add column unknown_at timestamptz,
    add column decision text check (decision in ('happened', 'did_not', 'retry')),
    add column decided_by text,
    add column decided_at timestamptz,
    add column note text not null default '';

create index effects_unknown on effects (run_id, key) where state = 'unknown';

create function step_effect() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' and new.state not in ('proposed', 'prepared') then
        raise exception 'an effect can''t begin as %', new.state using errcode = 'check_violation';
    end if;
    if tg_op = 'UPDATE' and (old.state, new.state) not in (
        ('proposed', 'approved'), ('proposed', 'failed'), ('approved', 'prepared'),
        ('prepared', 'done'), ('prepared', 'failed'), ('prepared', 'unknown'),
        ('unknown', 'done'), ('unknown', 'failed'), ('unknown', 'approved')) then
        raise exception 'an effect can''t go from % to %', old.state, new.state using errcode = 'check_violation';
    end if;
    case new.state
        when 'proposed' then new.proposed_at := clock_timestamp();
        when 'approved' then new.approved_at := clock_timestamp();
        when 'prepared' then new.prepared_at := clock_timestamp();
        when 'unknown' then new.unknown_at := clock_timestamp();
        else new.settled_at := clock_timestamp();
    end case;
    return new;
end $$;

create trigger effects_begin before insert on effects for each row execute function step_effect();
create trigger effects_step before update of state on effects
    for each row when (new.state is distinct from old.state) execute function step_effect();
